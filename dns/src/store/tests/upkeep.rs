//! What the store does to zones by itself: signatures and keys, the addresses of aliases.

use std::net::IpAddr;

use super::*;
use crate::alias::{Family, Loan};
use crate::dnssec::{Role, Stage};
use crate::settings::{Alias, Dnssec, SigningAlgorithm};

fn signed(state: &Path, nsec3: bool) -> Settings {
    let mut settings = settings(state, &["dyn.test"]);
    settings.zones[0].dnssec = Some(Dnssec { algorithm: SigningAlgorithm::EcdsaP256, nsec3, roll_after: None });
    settings
}

fn is_signed(site: &Site) -> bool {
    site.zone("dyn.test").is_some_and(|zone| zone.is_signed())
}

#[test]
fn a_zone_gets_keys_and_every_update_its_signatures() {
    let (runtime, folder) = (runtime(), Folder::new());
    let settings = signed(&folder.0, false);
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened");
    let apex = name("dyn.test");
    let tags = runtime.block_on(async {
        until(|| is_signed(&site)).await;
        site.add("a.dyn.test").await.expect("added");
        let keys = site.store.keys(apex.as_ref()).await.expect("keys");
        assert_eq!(keys.iter().filter(|key| key.role() == Role::KeySigning).count(), 1);
        assert!(keys.iter().all(|key| matches!(key.stage(), Stage::Active(_))));
        keys.iter().map(ZoneKey::tag).collect::<Vec<_>>()
    });
    let entry = |site: &Site| {
        let zone = site.zone("dyn.test").expect("published");
        let node = zone.node(name("a.dyn.test").as_ref()).expect("the name");
        (node.entry(Rtype::A).expect("the address").clone(), node.set(Rtype::NSEC).is_some())
    };
    let (address, is_linked) = entry(&site);
    assert!(address.signatures.is_some() && is_linked);
    site.store.close();
    drop(site);
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened again");
    assert_eq!(entry(&site).0, address, "the same signature as before");
    runtime.block_on(async {
        let keys = site.store.keys(apex.as_ref()).await.expect("keys");
        assert_eq!(keys.iter().map(ZoneKey::tag).collect::<Vec<_>>(), tags);
        assert_eq!(site.store.tell_keys(apex.as_ref(), Input::RollKeySigning).await, Ok(()));
        assert_eq!(site.store.keys(apex.as_ref()).await.expect("keys").len(), 3);
    });
}

#[test]
fn a_zone_is_signed_otherwise_and_not_at_all_as_the_settings_say() {
    let (runtime, disk) = (runtime(), Sim::default());
    let site = Site::open(Arc::new(disk), &signed(Path::new("state"), false), &runtime).expect("opened");
    let has = |rtype: Rtype| site.zone("dyn.test").is_some_and(|zone| zone.set(zone.apex().as_ref(), rtype).is_some());
    runtime.block_on(async {
        until(|| is_signed(&site)).await;
        site.store.reload(&signed(Path::new("state"), true)).expect("reloaded");
        until(|| has(Rtype::NSEC3PARAM)).await;
        assert!(!has(Rtype::NSEC));
        site.store.reload(&self::settings(Path::new("state"), &["dyn.test"])).expect("reloaded");
        until(|| !has(Rtype::DNSKEY)).await;
        assert!(!is_signed(&site));
        let refused = site.store.tell_keys(name("dyn.test").as_ref(), Input::RollKeySigning).await;
        assert_eq!(refused, Err(Rcode::REFUSED));
    });
}

#[test]
fn an_alias_has_what_its_target_lends() {
    let (runtime, folder) = (runtime(), Folder::new());
    let mut settings = settings(&folder.0, &["dyn.test", "other.test"]);
    let alias = |of: &str, target: &str| Alias { name: name(of), target: name(target), ttl: 300 };
    settings.zones[0].aliases = vec![alias("dyn.test", "dyna.example"), alias("x.dyn.test", "else.example")];
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened");
    let addresses = |site: &Site, owner: &str, rtype: Rtype| {
        let zone = site.zone("dyn.test").expect("published");
        zone.set(name(owner).as_ref(), rtype).map_or(0, |set| set.count())
    };
    let loan = |addresses: &[IpAddr], family| Loan {
        target: name("Dyna.example"),
        family,
        addresses: addresses.to_vec(),
        until: u64::MAX,
    };
    let v4 = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
    runtime.block_on(async {
        let before = site.zone("dyn.test").expect("published").serial();
        site.store.lend(loan(&v4, Family::V4)).await;
        site.store.lend(loan(&v4, Family::V4)).await;
        assert_eq!(site.zone("dyn.test").expect("published").serial(), before.next(), "the same loan changes nothing");
        site.store.lend(loan(&[IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])], Family::V6)).await;
        assert_eq!(addresses(&site, "dyn.test", Rtype::A), 2);
        assert_eq!(addresses(&site, "dyn.test", Rtype::AAAA), 1);
        assert_eq!(addresses(&site, "x.dyn.test", Rtype::A), 0);
        assert_eq!(site.add("dyn.test").await, Err(Rcode::NOTAUTH), "the zone above is not here");
        let touch = Update { zone: name("dyn.test"), ..add("x.dyn.test", 9, None) };
        assert_eq!(site.store.update(touch, Some(name("k1"))).await, Err(Rcode::REFUSED));
        site.store.lend(loan(&[], Family::V6)).await;
        assert_eq!(addresses(&site, "dyn.test", Rtype::AAAA), 0);
    });
    site.store.close();
    drop(site);
    settings.zones[0].aliases.clear();
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened again");
    assert_eq!(addresses(&site, "dyn.test", Rtype::A), 2);
    runtime.block_on(until(|| addresses(&site, "dyn.test", Rtype::A) == 0));
}
