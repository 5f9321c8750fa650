//! Stores on a disk in memory that fails, and on a real one.

mod life;
mod order;
mod upkeep;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::*;
use crate::journal::fault::{Chance, Fault, Sim};
use crate::journal::{Item, OpenError};
use crate::record::{Record, Rtype};
use crate::settings::{Access, Pattern, Rule, Source};
use crate::update::Operation;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn zone_settings(apex: &str, source: Source) -> ZoneSettings {
    let apex = name(apex);
    let rule = Rule { key: name("k1"), names: vec![Pattern::Below(apex.clone())], types: None };
    ZoneSettings {
        apex,
        source,
        transfer: Access::default(),
        notify: Vec::new(),
        update: vec![rule],
        aliases: Vec::new(),
        dnssec: None,
    }
}

fn settings(state: &Path, zones: &[&str]) -> Settings {
    let zones = zones.iter().map(|apex| zone_settings(apex, Source::Primary { file: None })).collect();
    Settings { state: state.to_owned(), zones, ..Settings::default() }
}

fn add(owner: &str, last: u8, lease: Option<u32>) -> Update {
    let owner = name(owner);
    let record = Record { name: owner.clone(), rtype: Rtype::A, ttl: 60, rdata: Box::from([10, 0, 0, last]) };
    let zone = owner.as_ref().parent().expect("a parent").to_owned();
    let lease = lease.map(|lease| LeaseTimes { lease, key_lease: None });
    Update { zone, prerequisites: Vec::new(), operations: vec![Operation::Add(record)], lease }
}

/// A store, and what is published of it.
struct Site {
    store: Arc<Store>,
    seen: Arc<StdMutex<Zones>>,
}

impl Site {
    fn open(files: Arc<dyn Files>, settings: &Settings, runtime: &Runtime) -> Result<Self, StoreError> {
        let seen: Arc<StdMutex<Zones>> = Arc::default();
        let publish = {
            let seen = seen.clone();
            move |zones| *seen.lock().expect("not poisoned") = zones
        };
        Store::open_on(files, settings, runtime.handle(), publish).map(|store| Self { store, seen })
    }

    fn zone(&self, apex: &str) -> Option<Zone> {
        let seen = self.seen.lock().expect("not poisoned");
        seen.at(name(apex).as_ref()).map(|served| served.zone.clone())
    }

    fn has(&self, owner: &str) -> bool {
        let owner = name(owner);
        let seen = self.seen.lock().expect("not poisoned");
        seen.get(owner.as_ref()).is_some_and(|served| served.zone.set(owner.as_ref(), Rtype::A).is_some())
    }

    async fn add(&self, owner: &str) -> Result<Option<LeaseTimes>, Rcode> {
        self.store.update(add(owner, 1, None), Some(name("k1"))).await
    }
}

/// A folder of a test that goes away with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gatehouse-store-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Keeps a zone's keeper at work until the other end is dropped, so that what comes meanwhile is one batch.
async fn hold(site: &Site, apex: &str) -> (std::sync::mpsc::Sender<()>, JoinHandle<Result<(), Rcode>>) {
    let (held, gate) = std::sync::mpsc::channel::<()>();
    let hold = move |_: &State| {
        let _ = gate.recv();
        Ok((Plan::Nothing, ()))
    };
    let holding = begin(site, apex, hold).await;
    (held, holding)
}

/// Hands in a plan, and does not wait for it.
async fn begin<R: Send + 'static>(
    site: &Site,
    apex: &str,
    plan: impl FnOnce(&State) -> Result<(Plan, R), Rcode> + Send + 'static,
) -> JoinHandle<Result<R, Rcode>> {
    let (store, apex) = (site.store.clone(), name(apex));
    let task = tokio::spawn(async move { store.plan(apex.as_ref(), plan).await });
    tokio::task::yield_now().await;
    task
}

/// Hands in an update, and does not wait for it.
async fn begin_add(site: &Site, owner: &str) -> JoinHandle<Result<Option<LeaseTimes>, Rcode>> {
    let (store, update) = (site.store.clone(), add(owner, 1, None));
    let task = tokio::spawn(async move { store.update(update, Some(name("k1"))).await });
    tokio::task::yield_now().await;
    task
}

/// Waits for what happens by itself, within reason.
async fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not happen");
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn updates_are_served_and_come_back() {
    let (runtime, folder) = (runtime(), Folder::new());
    let settings = settings(&folder.0, &["dyn.test", "other.test"]);
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened");
    let before = site.zone("dyn.test").expect("published").serial();
    runtime.block_on(async {
        assert_eq!(site.add("a.dyn.test").await, Ok(None));
        assert_eq!(site.store.update(add("b.dyn.test", 1, None), None).await, Err(Rcode::REFUSED));
        assert_eq!(site.store.update(add("b.dyn.test", 1, None), Some(name("k2"))).await, Err(Rcode::REFUSED));
        assert_eq!(site.add("x.none.test").await, Err(Rcode::NOTAUTH));
        let granted = site.store.update(add("c.dyn.test", 1, Some(3600)), Some(name("k1"))).await;
        assert_eq!(granted, Ok(Some(LeaseTimes { lease: 3600, key_lease: None })));
    });
    assert!(site.has("a.dyn.test") && site.has("c.dyn.test") && !site.has("b.dyn.test"));
    let after = site.zone("dyn.test").expect("published").serial();
    assert_eq!(after, before.next().next());
    let status = site.store.status();
    assert_eq!(status.iter().map(|zone| zone.apex.clone()).collect::<Vec<_>>(), [name("dyn.test"), name("other.test")]);
    assert_eq!((status[0].serial, status[0].leases, status[0].names), (after, 1, 3));
    assert!(status[0].journal.is_some() && status[1].journal.is_none());
    let second = Site::open(Arc::new(Disk), &settings, &runtime).err();
    assert!(matches!(second, Some(StoreError::InUse(_))), "{second:?}");
    site.store.close();
    assert_eq!(runtime.block_on(site.add("late.dyn.test")), Err(Rcode::SERVFAIL));
    drop(site);
    // The task that ends leases holds the store while it looks.
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened again");
    assert!(site.has("a.dyn.test") && site.has("c.dyn.test") && !site.has("late.dyn.test"));
    assert_eq!(site.store.status()[0].leases, 1);
}

#[test]
fn many_at_once_share_their_syncs() {
    let (runtime, disk) = (runtime(), Sim::default());
    let settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk.clone()), &settings, &runtime).expect("opened");
    runtime.block_on(async {
        assert_eq!(site.add("first.dyn.test").await, Ok(None));
        let before = disk.calls();
        let all: Vec<_> = (0..600)
            .map(|number| {
                let store = site.store.clone();
                let update = add(&format!("n{number}.dyn.test"), 1, None);
                tokio::spawn(async move { store.update(update, Some(name("k1"))).await })
            })
            .collect();
        for each in all {
            assert_eq!(each.await.expect("not cancelled"), Ok(None));
        }
        // Each batch is a write and a sync.
        assert!(disk.calls() - before < 600, "{}", disk.calls() - before);
    });
    assert!((0..600).all(|number| site.has(&format!("n{number}.dyn.test"))));
    let changes = runtime.block_on(site.store.since(name("dyn.test").as_ref(), Serial(1))).expect("read").1;
    assert_eq!(changes.map(|changes| changes.len()), Some(601));
}

#[test]
fn who_comes_when_too_many_wait_is_refused() {
    let (runtime, disk) = (runtime(), Sim::default());
    let settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk), &settings, &runtime).expect("opened");
    runtime.block_on(async {
        let (held, holding) = hold(&site, "dyn.test").await;
        let all: Vec<_> = (0..3_000)
            .map(|number| {
                let store = site.store.clone();
                let update = add(&format!("n{number}.dyn.test"), 1, None);
                tokio::spawn(async move { store.update(update, Some(name("k1"))).await })
            })
            .collect();
        tokio::task::yield_now().await;
        drop(held);
        let (mut done, mut refused) = (0, 0);
        for each in all {
            match each.await.expect("not cancelled") {
                Ok(_) => done += 1,
                Err(rcode) => {
                    assert_eq!(rcode, Rcode::SERVFAIL);
                    refused += 1;
                }
            }
        }
        assert_eq!(holding.await.expect("not cancelled"), Ok(()));
        assert!(done >= 1_000 && refused >= 1_000, "{done} done, {refused} refused");
    });
}

#[test]
fn whatever_the_disk_does_what_was_acknowledged_is_there() {
    let runtime = runtime();
    for seed in 0..300u64 {
        let mut chance = Chance(seed);
        let mut faults: Vec<_> = (0..chance.below(5)).map(|_| (chance.below(70), Fault::Fails)).collect();
        faults.push((chance.below(90), Fault::PowerCut));
        let disk = Sim::with(faults.clone());
        let settings = settings(Path::new("state"), &["dyn.test"]);
        let Ok(site) = Site::open(Arc::new(disk.clone()), &settings, &runtime) else { continue };
        let (mut done, mut refused, mut last) = (BTreeSet::new(), BTreeSet::new(), None);
        runtime.block_on(async {
            for number in 0..30 {
                let owner = format!("n{number}.dyn.test");
                let result = site.add(&owner).await;
                assert_eq!(site.has(&owner), result.is_ok(), "seed {seed}: what is served is what was acknowledged");
                if result.is_ok() {
                    done.insert(owner);
                    last = None;
                } else {
                    refused.insert(owner.clone());
                    last = Some(owner);
                }
                if disk.is_dark() {
                    break;
                }
            }
        });
        let disk = disk.after_cut(&mut chance);
        let site = Site::open(Arc::new(disk), &settings, &runtime)
            .unwrap_or_else(|error| panic!("seed {seed}, {faults:?}: {error}"));
        for owner in &done {
            assert!(site.has(owner), "seed {seed}, {faults:?}: {owner} was acknowledged");
        }
        for owner in refused.iter().filter(|owner| last.as_ref() != Some(owner)) {
            assert!(!site.has(owner), "seed {seed}, {faults:?}: {owner} was refused");
        }
        assert_eq!(runtime.block_on(site.add("again.dyn.test")), Ok(None), "seed {seed}");
    }
}

#[test]
fn a_full_disk_stops_updates_and_nothing_else() {
    let runtime = runtime();
    let disk = Sim::default();
    let settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk.clone()), &settings, &runtime).expect("opened");
    runtime.block_on(async {
        assert_eq!(site.store.update(add("a.dyn.test", 1, Some(3600)), Some(name("k1"))).await.map(drop), Ok(()));
        let serial = site.zone("dyn.test").expect("published").serial();
        disk.fill(true);
        // This one takes a lease away, which must come back.
        assert_eq!(site.store.update(add("a.dyn.test", 1, None), Some(name("k1"))).await, Err(Rcode::SERVFAIL));
        assert_eq!(site.add("b.dyn.test").await, Err(Rcode::SERVFAIL));
        assert!(site.has("a.dyn.test") && !site.has("b.dyn.test"));
        assert_eq!((site.zone("dyn.test").expect("published").serial(), site.store.status()[0].leases), (serial, 1));
        disk.fill(false);
        assert_eq!(site.add("b.dyn.test").await, Ok(None));
        assert!(site.has("b.dyn.test"));
    });
}

#[test]
fn records_go_when_their_leases_end() {
    let (runtime, disk) = (runtime(), Sim::default());
    let settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk.clone()), &settings, &runtime).expect("opened");
    runtime.block_on(async {
        assert_eq!(site.add("stays.dyn.test").await, Ok(None));
        assert_eq!(site.add("goes.dyn.test").await, Ok(None));
        let ended =
            Lease { name: name("goes.dyn.test"), rtype: Rtype::A, rdata: Box::from([10, 0, 0, 1]), expires: Some(1) };
        let plan = move |_: &State| Ok((Plan::Change { edit: None, items: vec![Item::Lease(ended)] }, ()));
        let mut changes = site.store.changes();
        assert_eq!(site.store.plan(name("dyn.test").as_ref(), plan).await, Ok(()));
        let (apex, serial) = changes.recv().await.expect("a change");
        assert_eq!((apex, serial), (name("dyn.test"), Serial(4)));
    });
    assert!(site.has("stays.dyn.test") && !site.has("goes.dyn.test"));
    assert_eq!(site.store.status()[0].leases, 0);
    drop(site);
    let site = Site::open(Arc::new(disk.after_cut(&mut Chance(1))), &settings, &runtime).expect("opened");
    assert!(site.has("stays.dyn.test") && !site.has("goes.dyn.test"));
}

#[test]
fn other_settings_are_taken_while_it_runs() {
    let (runtime, folder) = (runtime(), Folder::new());
    let seed = folder.0.join("seeded.test.zone");
    let write = |serial: u32, last: u8| {
        let text = format!("@ 60 SOA ns hostmaster {serial} 1 1 1 1\n@ 60 NS ns\nwww 60 A 10.0.0.{last}\n");
        std::fs::write(&seed, text + &" ".repeat(serial as usize)).expect("written");
    };
    let address = |site: &Site| {
        let zone = site.zone("seeded.test").expect("published");
        let set = zone.set(name("www.seeded.test").as_ref(), Rtype::A).expect("an address");
        Ipv4Addr::from(<[u8; 4]>::try_from(set.first()).expect("four octets")).octets()[3]
    };
    write(1, 1);
    let mut settings = settings(&folder.0.join("state"), &["dyn.test"]);
    settings.zones.push(zone_settings("seeded.test", Source::Primary { file: Some(seed.clone()) }));
    let site = Site::open(Arc::new(Disk), &settings, &runtime).expect("opened");
    runtime.block_on(async {
        assert_eq!(site.add("a.dyn.test").await, Ok(None));
        assert_eq!(address(&site), 1);
        // The file is read again while there is no journal, and a fault in it changes nothing.
        write(2, 2);
        site.store.reload(&settings).expect("taken");
        assert_eq!(
            site.store.since(name("seeded.test").as_ref(), Serial(2)).await.map(|(zone, _)| zone.serial()),
            Ok(Serial(2))
        );
        assert_eq!(address(&site), 2);
        std::fs::write(&seed, "no zone").expect("written");
        let wrong = site.store.reload(&settings).expect_err("a fault").to_string();
        assert!(wrong.contains("seeded.test.zone") && wrong.contains('1'), "{wrong}");
        assert_eq!(address(&site), 2);
        // With a journal the file does not count any more.
        assert_eq!(site.add("x.seeded.test").await, Ok(None));
        write(9, 9);
        // A zone goes, one comes, and a key may no more.
        settings.zones.retain(|zone| zone.apex != name("dyn.test"));
        settings.zones[0].update.clear();
        settings.zones.push(zone_settings("new.test", Source::Primary { file: None }));
        site.store.reload(&settings).expect("taken");
        assert_eq!((address(&site), site.add("y.seeded.test").await), (2, Err(Rcode::REFUSED)));
        assert!(site.zone("dyn.test").is_none() && site.zone("new.test").is_some());
        assert_eq!(site.add("b.dyn.test").await, Err(Rcode::NOTAUTH));
        // It comes back with what it had.
        settings.zones.push(zone_settings("dyn.test", Source::Primary { file: None }));
        site.store.reload(&settings).expect("taken");
        assert!(site.has("a.dyn.test"));
        assert_eq!(site.add("b.dyn.test").await, Ok(None));
    });
}

#[test]
fn a_secondary_serves_what_it_was_given() {
    let (runtime, disk) = (runtime(), Sim::default());
    let mut settings = settings(Path::new("state"), &[]);
    settings.zones.push(zone_settings("dyn.test", Source::Secondary { primaries: Vec::new() }));
    let site = Site::open(Arc::new(disk.clone()), &settings, &runtime).expect("opened");
    assert!(site.store.status()[0].is_expired, "it has nothing yet");
    let apex = name("dyn.test");
    let soa = crate::zone::Soa { serial: Serial(70), ..crate::zone::Soa::default() };
    let given =
        Zone::new(apex.clone(), [Record { name: apex.clone(), rtype: Rtype::SOA, ttl: 60, rdata: soa.write() }])
            .expect("a zone");
    runtime.block_on(async {
        assert_eq!(site.add("a.dyn.test").await, Err(Rcode::REFUSED));
        let note = Item::Note { key: "checked".into(), value: Some(Box::from([1])) };
        let plan = move |_: &State| Ok((Plan::Replace { zone: given, items: vec![note] }, ()));
        assert_eq!(site.store.plan(apex.as_ref(), plan).await, Ok(()));
        site.store.set_expired(apex.as_ref(), false);
    });
    assert_eq!(site.zone("dyn.test").map(|zone| zone.serial()), Some(Serial(70)));
    drop(site);
    let site = Site::open(Arc::new(disk.after_cut(&mut Chance(1))), &settings, &runtime).expect("opened");
    let status = &site.store.status()[0];
    assert_eq!((status.serial, status.is_expired, status.is_secondary), (Serial(70), false, true));
    let note = |state: &State| Ok((Plan::Nothing, state.notes.get("checked").cloned()));
    assert_eq!(runtime.block_on(site.store.plan(name("dyn.test").as_ref(), note)), Ok(Some(Box::from([1]))));
}

#[test]
fn a_damaged_journal_is_not_served() {
    let (runtime, disk) = (runtime(), Sim::default());
    let settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk.clone()), &settings, &runtime).expect("opened");
    for number in 0..3 {
        assert_eq!(runtime.block_on(site.add(&format!("n{number}.dyn.test"))), Ok(None));
    }
    drop(site);
    let disk = disk.after_cut(&mut Chance(1));
    let journal = Path::new("state/zones/dyn.test/journal");
    let mut octets = disk.octets(journal).expect("a journal");
    let at = octets.len() / 2;
    octets[at] ^= 1;
    disk.put(journal, octets);
    let error = Site::open(Arc::new(disk), &settings, &runtime).err();
    assert!(matches!(error, Some(StoreError::Journal(OpenError::Damaged { .. }))), "{error:?}");
}
