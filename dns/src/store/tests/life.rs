//! Zones that come, go and are changed while somebody works on them.

use std::sync::mpsc;

use super::*;
use crate::store::upkeep::end_leases_of;

/// Nothing that works takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_zone_that_is_gone_is_not_served_again() {
    let (runtime, disk) = (runtime(), Sim::default());
    let mut settings = settings(Path::new("state"), &["dyn.test", "other.test"]);
    let site = Site::open(Arc::new(disk), &settings, &runtime).expect("opened");
    let keeper = site.store.find(name("dyn.test").as_ref()).expect("a keeper");
    settings.zones.remove(0);
    site.store.reload(&settings).expect("taken");
    keeper.set_expired(true);
    // Ends when what has begun is done.
    drop(runtime);
    assert!(site.zone("dyn.test").is_none() && site.zone("other.test").is_some());
}

#[test]
fn who_says_that_a_zone_is_too_old_waits_for_no_disk() {
    let (runtime, disk) = (runtime(), Sim::default());
    let settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk), &settings, &runtime).expect("opened");
    let expired = |site: &Site| {
        let seen = site.seen.lock().expect("not poisoned");
        seen.at(name("dyn.test").as_ref()).is_some_and(|served| served.expired)
    };
    runtime.block_on(async {
        let (held, holding) = hold(&site, "dyn.test").await;
        let (store, (done, is_done)) = (site.store.clone(), mpsc::channel());
        std::thread::spawn(move || {
            store.set_expired(name("dyn.test").as_ref(), true);
            let _ = done.send(());
        });
        assert_eq!(is_done.recv_timeout(PATIENCE), Ok(()), "the zone is worked on all the time");
        drop(held);
        assert_eq!(holding.await.expect("not cancelled"), Ok(()));
        until(|| expired(&site)).await;
        site.store.set_expired(name("dyn.test").as_ref(), false);
        until(|| !expired(&site)).await;
    });
}

#[test]
fn the_state_folder_is_held_as_long_as_a_zone_is_worked_on() {
    let (runtime, folder) = (runtime(), Folder::new());
    let settings = settings(&folder.0, &["dyn.test"]);
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened");
    let second = || Site::open(Arc::new(Disk), &settings, &runtime);
    runtime.block_on(async {
        let (held, holding) = hold(&site, "dyn.test").await;
        let weak = Arc::downgrade(&site.store);
        holding.abort();
        drop((site, holding));
        until(|| weak.upgrade().is_none()).await;
        let refused = second().err();
        assert!(matches!(refused, Some(StoreError::InUse(_))), "{refused:?}");
        drop(held);
        until(|| second().is_ok()).await;
    });
}

#[test]
fn a_closed_store_opens_no_zone() {
    let (runtime, disk) = (runtime(), Sim::default());
    let settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk), &settings, &runtime).expect("opened");
    site.store.close();
    let more = self::settings(Path::new("state"), &["dyn.test", "more.test"]);
    assert!(matches!(site.store.reload(&more), Err(StoreError::Closed)));
}

#[test]
fn who_may_no_more_is_refused_with_what_waits_already() {
    let (runtime, disk) = (runtime(), Sim::default());
    let mut settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk), &settings, &runtime).expect("opened");
    runtime.block_on(async {
        assert_eq!(site.add("a.dyn.test").await, Ok(None));
        let (held, _) = hold(&site, "dyn.test").await;
        let waiting = begin_add(&site, "b.dyn.test").await;
        settings.zones[0].update.clear();
        site.store.reload(&settings).expect("taken");
        drop(held);
        assert_eq!(waiting.await.expect("not cancelled"), Err(Rcode::REFUSED));
    });
    assert!(site.has("a.dyn.test") && !site.has("b.dyn.test"));
}

#[test]
fn leases_of_a_secondary_end_where_they_began() {
    let (runtime, disk) = (runtime(), Sim::default());
    let mut settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk), &settings, &runtime).expect("opened");
    runtime.block_on(async {
        let leased = site.store.update(add("a.dyn.test", 1, Some(3_600)), Some(name("k1"))).await;
        assert!(leased.is_ok(), "{leased:?}");
        settings.zones[0].source = Source::Secondary { primaries: Vec::new() };
        site.store.reload(&settings).expect("taken");
        let keeper = site.store.find(name("dyn.test").as_ref()).expect("a keeper");
        end_leases_of(keeper.clone(), u64::MAX).await;
        assert!(site.has("a.dyn.test"));
        settings.zones[0].source = Source::Primary { file: None };
        site.store.reload(&settings).expect("taken");
        end_leases_of(keeper, u64::MAX).await;
        assert!(!site.has("a.dyn.test"));
    });
}

#[test]
fn a_zone_file_that_does_not_count_is_known() {
    let (runtime, folder) = (runtime(), Folder::new());
    let file = folder.0.join("dyn.test.zone");
    let write = |more: &str| {
        let text = format!("@ 60 SOA ns hostmaster 1 1 1 1 1\n@ 60 NS ns\n{more}");
        std::fs::write(&file, text).expect("written");
    };
    write("");
    let mut settings = settings(&folder.0.join("state"), &[]);
    settings.zones.push(zone_settings("dyn.test", Source::Primary { file: Some(file.clone()) }));
    let is_from = |site: &Site| {
        let file = file.clone();
        let look = move |state: &State| Ok((Plan::Nothing, opening::is_from(state, &file).ok()));
        runtime.block_on(site.store.plan(name("dyn.test").as_ref(), look)).expect("read")
    };
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened");
    assert_eq!(runtime.block_on(site.add("a.dyn.test")), Ok(None));
    site.store.close();
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened again");
    assert_eq!(is_from(&site), Some(true), "the journal knows which version it began with");
    write("www 60 A 10.0.0.1\n");
    assert_eq!(is_from(&site), Some(false));
    // It is said in the log, and changes nothing.
    site.store.reload(&settings).expect("taken");
    assert!(site.has("a.dyn.test") && !site.has("www.dyn.test"));
}
