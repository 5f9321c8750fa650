//! What is done in one batch: in which order, and what is left of it when the power is cut.

use std::pin::Pin;

use super::*;
use crate::zone::Soa;

/// A zone with some names, the first of which is called after it.
fn given(label: &str, serial: u32, names: usize) -> Zone {
    let apex = name("dyn.test");
    let soa = Soa { serial: Serial(serial), ..Soa::default() };
    let top = Record { name: apex.clone(), rtype: Rtype::SOA, ttl: 60, rdata: soa.write() };
    let hosts = (0..names).map(|number| {
        let owner = if number == 0 { format!("{label}.dyn.test") } else { format!("{label}-{number}.dyn.test") };
        Record { name: name(&owner), rtype: Rtype::A, ttl: 60, rdata: Box::from([10, 1, 1, 1]) }
    });
    Zone::new(apex, std::iter::once(top).chain(hosts)).expect("a zone")
}

fn reseed(site: &Site, zone: Zone) {
    let keeper = site.store.find(name("dyn.test").as_ref()).expect("a keeper");
    keeper.reseed((zone, Item::Note { key: "zone.file".into(), value: None }));
}

#[test]
fn a_zone_file_that_is_read_again_takes_no_update_away() {
    let (runtime, disk) = (runtime(), Sim::default());
    let settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk.clone()), &settings, &runtime).expect("opened");
    runtime.block_on(async {
        let (held, holding) = hold(&site, "dyn.test").await;
        let update = begin_add(&site, "a.dyn.test").await;
        reseed(&site, given("seed", 7, 1));
        drop(held);
        assert_eq!(holding.await.expect("not cancelled"), Ok(()));
        assert_eq!(update.await.expect("not cancelled"), Ok(None));
        assert_eq!(site.add("b.dyn.test").await, Ok(None));
    });
    assert!(site.has("a.dyn.test") && !site.has("seed.dyn.test"), "the journal has begun before");
    let site = Site::open(Arc::new(disk.after_cut(&mut Chance(1))), &settings, &runtime).expect("opened");
    assert!(site.has("a.dyn.test") && site.has("b.dyn.test") && !site.has("seed.dyn.test"));
}

#[test]
fn a_zone_file_that_is_read_again_before_any_update_is_what_the_journal_begins_with() {
    let runtime = runtime();
    // Small ones and such whose journal is written ahead, the first time in vain.
    for (names, is_ahead) in [(1, false), (9, true)] {
        let disk = Sim::default();
        let settings = settings(Path::new("state"), &["dyn.test"]);
        let site = Site::open(Arc::new(disk.clone()), &settings, &runtime).expect("opened");
        let ahead = Path::new("state/zones/dyn.test/journal.new");
        let is_written = || disk.octets(ahead).is_some_and(|octets| !octets.is_empty());
        runtime.block_on(async {
            reseed(&site, given("first", 7, names));
            until(|| site.has("first.dyn.test") && is_written() == is_ahead).await;
            reseed(&site, given("second", 8, names));
            until(|| site.has("second.dyn.test") && is_written() == is_ahead).await;
            assert_eq!(site.add("a.dyn.test").await, Ok(None));
            assert!(disk.octets(ahead).is_none(), "it is the journal now");
            assert_eq!(site.add("b.dyn.test").await, Ok(None));
        });
        let site = Site::open(Arc::new(disk.after_cut(&mut Chance(1))), &settings, &runtime).expect("opened");
        for owner in ["second.dyn.test", "a.dyn.test", "b.dyn.test"] {
            assert!(site.has(owner), "{owner} of {names}");
        }
        assert!(!site.has("first.dyn.test"));
    }
}

#[test]
fn changes_of_a_transfer_are_done_at_once_or_not_at_all() {
    let (runtime, disk) = (runtime(), Sim::default());
    let settings = settings(Path::new("state"), &["dyn.test"]);
    let site = Site::open(Arc::new(disk.clone()), &settings, &runtime).expect("opened");
    let changes = |site: &Site, from: usize| {
        let mut zone = site.zone("dyn.test").expect("published");
        let next = |number: usize| {
            let mut edit = zone.edit();
            let owner = name(&format!("n{number}.dyn.test"));
            edit.add(Record { name: owner, rtype: Rtype::A, ttl: 60, rdata: Box::from([10, 0, 0, 1]) }).expect("added");
            edit.advance().expect("an SOA record");
            let (after, change) = edit.finish().expect("a zone");
            zone = after;
            change
        };
        (from..from + 3).map(next).collect::<Vec<_>>()
    };
    runtime.block_on(async {
        assert_eq!(site.add("a.dyn.test").await, Ok(None));
        let (before, calls) = (site.zone("dyn.test").expect("published").serial(), disk.calls());
        let all = changes(&site, 0);
        let plan = move |_: &State| Ok((Plan::Changes { changes: all, items: Vec::new() }, ()));
        assert_eq!(site.store.plan(name("dyn.test").as_ref(), plan).await, Ok(()));
        assert_eq!(disk.calls() - calls, 2, "one write and one sync");
        let (zone, known) = site.store.since(name("dyn.test").as_ref(), before).await.expect("read");
        assert_eq!((zone.serial().0 - before.0, known.map(|known| known.len())), (3, Some(3)));
        // The last one does not fit, and others are in the same batch.
        let mut wrong = changes(&site, 3);
        wrong[2] = wrong[0].clone();
        let (held, _) = hold(&site, "dyn.test").await;
        let first = begin_add(&site, "b.dyn.test").await;
        let plan = move |state: &State| {
            let serial = state.zone.serial();
            wrong.iter_mut().for_each(|change| {
                // They are of the version before `b` came.
                let soa = |next| Soa { serial: next, ..state.zone.soa() }.write();
                change.removed[0].rdata = soa(serial);
                change.added[0].rdata = soa(serial.next());
            });
            Ok((Plan::Changes { changes: wrong, items: Vec::new() }, ()))
        };
        let middle = begin(&site, "dyn.test", plan).await;
        let last = begin_add(&site, "c.dyn.test").await;
        drop(held);
        assert_eq!(first.await.expect("not cancelled"), Ok(None));
        assert_eq!(middle.await.expect("not cancelled"), Err(Rcode::SERVFAIL));
        assert_eq!(last.await.expect("not cancelled"), Ok(None));
    });
    let is_right = |site: &Site| {
        let there = ["a", "b", "c", "n0", "n2"].map(|label| site.has(&format!("{label}.dyn.test")));
        there == [true; 5] && !site.has("n3.dyn.test")
    };
    assert!(is_right(&site));
    let site = Site::open(Arc::new(disk.after_cut(&mut Chance(1))), &settings, &runtime).expect("opened");
    assert!(is_right(&site));
}

/// One thing of a batch that is acknowledged or refused.
struct Asked {
    owner: String,
    /// Whether nothing of before is left when it is done.
    replaces: bool,
    is_done: Pin<Box<dyn Future<Output = bool>>>,
}

impl Asked {
    fn new<R: 'static>(owner: String, replaces: bool, task: JoinHandle<Result<R, Rcode>>) -> Self {
        Self { owner, replaces, is_done: Box::pin(async { task.await.expect("not cancelled").is_ok() }) }
    }
}

#[test]
fn whatever_is_in_a_batch_what_was_acknowledged_survives_failures_and_a_power_cut() {
    let runtime = runtime();
    for seed in 0..250u64 {
        let mut chance = Chance(seed);
        let mut faults: Vec<_> = (0..chance.below(4)).map(|_| (chance.below(50), Fault::Fails)).collect();
        faults.push((chance.below(60), Fault::PowerCut));
        let disk = Sim::with(faults.clone());
        let settings = settings(Path::new("state"), &["dyn.test"]);
        let Ok(site) = Site::open(Arc::new(disk.clone()), &settings, &runtime) else { continue };
        // What must be there, and what may be there instead after replacements that failed.
        let (mut sure, mut maybe) = (BTreeSet::new(), Vec::new());
        runtime.block_on(async {
            for round in 0..8 {
                let (held, _) = hold(&site, "dyn.test").await;
                let mut asked = Vec::new();
                for step in 0..1 + chance.below(4) {
                    let label = format!("n{round}-{step}");
                    let zone = given(&label, 1_000 + round * 10 + step as u32, 1 + chance.below(9));
                    let owner = format!("{label}.dyn.test");
                    match chance.below(9) {
                        0..3 => reseed(&site, zone),
                        3 => {
                            let plan = move |_: &State| Ok((Plan::Replace { zone, items: Vec::new() }, ()));
                            asked.push(Asked::new(owner, true, begin(&site, "dyn.test", plan).await));
                        }
                        _ => {
                            let task = begin_add(&site, &owner).await;
                            asked.push(Asked::new(owner, false, task));
                        }
                    }
                }
                drop(held);
                let mut refused = Vec::new();
                for Asked { owner, replaces, is_done } in asked {
                    match (is_done.await, replaces) {
                        (true, _) => {
                            if replaces {
                                sure.clear();
                            }
                            sure.insert(owner);
                            maybe.clear();
                        }
                        (false, true) => maybe.push(owner),
                        (false, false) => refused.push(owner),
                    }
                }
                let missing = sure.iter().find(|owner| !site.has(owner));
                assert_eq!(missing, None, "seed {seed}, {faults:?}: acknowledged and not served");
                let served = refused.iter().find(|owner| site.has(owner));
                assert_eq!(served, None, "seed {seed}, {faults:?}: refused and served");
                if disk.is_dark() {
                    break;
                }
            }
        });
        let disk = disk.after_cut(&mut chance);
        let site = Site::open(Arc::new(disk), &settings, &runtime)
            .unwrap_or_else(|error| panic!("seed {seed}, {faults:?}: {error}"));
        let missing = sure.iter().find(|owner| !site.has(owner));
        let is_replaced = maybe.iter().any(|owner| site.has(owner));
        assert!(missing.is_none() || is_replaced, "seed {seed}, {faults:?}: {missing:?} was acknowledged");
        assert_eq!(runtime.block_on(site.add("again.dyn.test")), Ok(None), "seed {seed}");
    }
}
