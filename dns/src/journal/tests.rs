//! Journals on a disk in memory that fails and loses its power, and one on a real disk.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::fault::{Chance, Fault, Sim};
use super::*;
use crate::record::{Record, Rtype};
use crate::zone::{Serial, Soa, Zone};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn folder() -> PathBuf {
    PathBuf::from("zones/dyn.test")
}

fn file() -> PathBuf {
    folder().join("journal")
}

fn zone() -> Zone {
    let apex = name("dyn.test");
    let soa = Soa { serial: Serial(1), ..Soa::default() };
    let record = |rtype, rdata: &[u8]| Record { name: apex.clone(), rtype, ttl: 60, rdata: rdata.into() };
    Zone::new(apex.clone(), [record(Rtype::SOA, &soa.write()), record(Rtype::NS, b"\x02ns\0")]).expect("a zone")
}

/// The `number`th batch: a record comes, one goes, one gets a lease, and a note says so.
fn batch(state: &State, number: usize) -> (State, Vec<Item>) {
    let mut after = state.clone();
    let mut items = Vec::new();
    for part in 0..1 + number % 3 {
        let owner = name(&format!("n{number}-{part}.dyn.test"));
        let rdata: Box<[u8]> = vec![number as u8; 1 + number % 40].into();
        let mut edit = after.zone.edit();
        edit.add(Record { name: owner.clone(), rtype: Rtype(65_400), ttl: 60, rdata: rdata.clone() }).expect("added");
        if number > 2 {
            edit.remove_types(name(&format!("n{}-0.dyn.test", number - 2)).as_ref(), |_| true);
        }
        edit.advance().expect("an SOA record");
        let (zone, change) = edit.finish().expect("a zone");
        after.zone = zone;
        let change = Arc::new(change);
        after.history.push(change.clone());
        let lease = Lease { name: owner, rtype: Rtype(65_400), rdata, expires: Some(1_000 + number as u64) };
        items.extend([Item::Change(change), Item::Lease(lease)]);
    }
    let value = (!number.is_multiple_of(5)).then(|| Box::from(number.to_be_bytes()));
    items.push(Item::Note { key: "number".into(), value });
    items.iter().for_each(|item| after.note(item, &mut Vec::new()));
    (after, items)
}

/// All that a state says, in one comparable text.
fn told(state: &State) -> String {
    let mut records: Vec<Record> = state.zone.records().collect();
    records.sort();
    let leases: Vec<Lease> = state.leases.iter().collect();
    let latest = state.history.changes().last().and_then(|change| change.to());
    assert!(latest.is_none_or(|latest| latest == state.zone.serial()), "the history leads to the zone");
    format!("{records:?} {leases:?} {:?}", state.notes)
}

fn open(disk: &Sim) -> Result<Option<Opened>, OpenError> {
    Journal::open(Arc::new(disk.clone()), &folder(), &name("dyn.test"))
}

fn reopened(disk: &Sim) -> (Journal, State) {
    let opened = open(disk).expect("it can be opened").expect("there is one");
    assert_eq!(opened.cut, None);
    (opened.journal, opened.state)
}

fn create(disk: &Sim, state: &State) -> io::Result<Journal> {
    Journal::create(Arc::new(disk.clone()), &folder(), &name("dyn.test"), state)
}

/// A life with batches and compactions; what must be there after it, and what may be there instead.
fn life(disk: &Sim) -> (Option<State>, Vec<State>) {
    let mut state = State::new(zone());
    let mut journal = match create(disk, &state) {
        Ok(journal) => journal,
        Err(_) => return (None, vec![state]),
    };
    let (mut maybe, mut compacting) = (Vec::new(), None);
    for number in 0..14 {
        let (after, items) = batch(&state, number);
        match journal.append(&items) {
            Ok(()) => {
                state = after;
                maybe.clear();
            }
            Err(_) => maybe = vec![after],
        }
        match number % 5 {
            2 => compacting = Some(journal.compaction(&state)),
            4 => {
                if let Some(Ok(ready)) = compacting.take().map(Compaction::run) {
                    // Whether it works or not, nothing may change.
                    let _ = journal.replace(ready);
                }
            }
            _ => {}
        }
        if disk.is_dark() {
            break;
        }
    }
    (Some(state), maybe)
}

#[test]
fn what_was_appended_is_there_again() {
    let disk = Sim::default();
    let (state, _) = life(&disk);
    let state = state.expect("nothing failed");
    let (_, found) = reopened(&disk);
    assert_eq!(told(&found), told(&state));
    assert_eq!(found.notes["number"].as_ref(), 13usize.to_be_bytes());
    let past = found.history.since(Serial(1)).expect("all of it");
    assert_eq!(
        past.iter().try_fold(zone(), |zone, change| zone.apply(change)).map(|zone| zone.serial()),
        Ok(state.zone.serial())
    );
    assert!(found.history.since(Serial(999)).is_none());
}

#[test]
fn after_a_power_cut_at_any_point_exactly_what_was_acknowledged_is_there() {
    let calls = {
        let disk = Sim::default();
        life(&disk);
        disk.calls()
    };
    assert!(calls > 50, "{calls}");
    for cut in 0..calls {
        let disk = Sim::with([(cut, Fault::PowerCut)]);
        let (sure, maybe) = life(&disk);
        for seed in 0..6 {
            check_after_cut(&disk, sure.as_ref(), &maybe, seed, &format!("cut at {cut}, seed {seed}"));
        }
    }
}

#[test]
fn failures_of_the_disk_before_a_cut_change_nothing_about_that() {
    for seed in 0..400u64 {
        let mut chance = Chance(seed);
        let mut faults: Vec<(usize, Fault)> = (0..chance.below(6)).map(|_| (chance.below(90), Fault::Fails)).collect();
        faults.push((chance.below(120), Fault::PowerCut));
        let disk = Sim::with(faults.clone());
        let (sure, maybe) = life(&disk);
        check_after_cut(&disk, sure.as_ref(), &maybe, seed, &format!("seed {seed}, {faults:?}"));
    }
}

fn check_after_cut(disk: &Sim, sure: Option<&State>, maybe: &[State], seed: u64, what: &str) {
    let disk = disk.after_cut(&mut Chance(seed));
    let opened = open(&disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let Some(Opened { mut journal, state, .. }) = opened else {
        return assert!(sure.is_none(), "{what}: the journal is gone");
    };
    let found = told(&state);
    let right = sure.into_iter().chain(maybe).any(|state| told(state) == found);
    assert!(right, "{what}: found {found}\nexpected {:?}", sure.map(told));
    // It goes on from there.
    let (after, items) = batch(&state, 99);
    journal.append(&items).unwrap_or_else(|error| panic!("{what}: {error}"));
    drop(journal);
    assert_eq!(told(&reopened(&disk).1), told(&after), "{what}");
}

#[test]
fn a_full_disk_refuses_a_batch_and_takes_the_next() {
    let disk = Sim::default();
    let state = State::new(zone());
    let mut journal = create(&disk, &state).expect("created");
    let (first, items) = batch(&state, 0);
    journal.append(&items).expect("appended");
    let size = journal.size();
    // The write fails, and then everything that would mend it; and once more.
    let calls = disk.calls();
    let failing = Sim::with((calls..calls + 5).map(|call| (call, Fault::Fails)));
    failing.put(&file(), disk.octets(&file()).expect("the file"));
    let mut journal = open(&failing).expect("opened").expect("there").journal;
    (0..calls).for_each(|_| drop(failing.remove(Path::new("nothing"))));
    let (_, refused) = batch(&first, 1);
    assert!(journal.append(&refused).is_err() && journal.append(&refused).is_err());
    let (second, items) = batch(&first, 2);
    while journal.append(&items).is_err() {
        assert!(failing.calls() < calls + 20, "it takes batches again");
    }
    assert!(journal.size() > size);
    assert_eq!(told(&reopened(&failing).1), told(&second));
}

#[test]
fn damage_is_cut_at_the_end_and_refused_anywhere_else() {
    let disk = Sim::default();
    let mut state = State::new(zone());
    let mut journal = create(&disk, &state).expect("created");
    let mut ends = vec![journal.size()];
    let mut states = vec![told(&state)];
    for number in 0..4 {
        let (after, items) = batch(&state, number);
        journal.append(&items).expect("appended");
        ends.push(journal.size());
        states.push(told(&after));
        state = after;
    }
    let whole = disk.octets(&file()).expect("the file");
    let last = ends[ends.len() - 2] as usize;
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        disk.put(&file(), damaged);
        match open(&disk) {
            Err(OpenError::Damaged { path, offset, what }) => {
                assert!(at < last, "octet {at}");
                assert!(offset as usize <= at && path == file(), "octet {at}, said {offset}: {what}");
            }
            Ok(Some(opened)) => {
                assert!(at >= last, "octet {at}");
                assert_eq!(told(&opened.state), states[states.len() - 2]);
                assert_eq!(opened.cut.map(|cut| cut.offset), Some(last as u64));
            }
            _ => panic!("octet {at}"),
        }
    }
    for len in 0..whole.len() {
        disk.put(&file(), whole[..len].to_vec());
        let batches = ends.iter().filter(|end| **end as usize <= len).count();
        match open(&disk) {
            Err(OpenError::Damaged { .. }) => assert_eq!(batches, 0, "length {len}"),
            Ok(Some(opened)) => assert_eq!(told(&opened.state), states[batches - 1], "length {len}"),
            _ => panic!("length {len}"),
        }
    }
}

#[test]
fn the_message_says_where_and_what_to_do() {
    let disk = Sim::default();
    let (state, _) = life(&disk);
    assert!(state.is_some());
    let mut octets = disk.octets(&file()).expect("the file");
    let at = octets.len() / 2;
    octets[at] ^= 1;
    disk.put(&file(), octets);
    let text = open(&disk).err().expect("damaged").to_string();
    assert!(text.contains("zones/dyn.test/journal is damaged at octet ") && text.contains("restore"), "{text}");
}

#[test]
fn a_journal_is_of_one_zone_and_version() {
    let disk = Sim::default();
    create(&disk, &State::new(zone())).expect("created");
    let other = Journal::open(Arc::new(disk.clone()), &folder(), &name("other.test"));
    assert!(matches!(other, Err(OpenError::Damaged { what: Damage::OtherZone(_), offset: 0, .. })));
    let mut octets = disk.octets(&file()).expect("the file");
    octets[9] = 2;
    disk.put(&file(), octets);
    assert!(matches!(open(&disk), Err(OpenError::Damaged { what: Damage::Version(2), .. })));
    disk.put(&file(), Vec::new());
    assert!(matches!(open(&disk), Err(OpenError::Damaged { what: Damage::NoJournal, .. })));
}

#[test]
fn history_is_bounded_and_has_no_gap() {
    let mut state = State::new(zone());
    for number in 0..4_000 {
        state = batch(&state, number).0;
    }
    let (kept, serial) = (state.history.changes().count(), state.zone.serial());
    assert!((100..4_000).contains(&kept), "{kept}");
    let oldest = state.history.changes().next().and_then(|change| change.from()).expect("a serial");
    assert_eq!(state.history.since(oldest).map(|changes| changes.len()), Some(kept));
    let mut history = state.history.clone();
    let (from, to) = (Serial(serial.0 + 5), Serial(serial.0 + 6));
    let top = |serial| Record {
        name: name("dyn.test"),
        rtype: Rtype::SOA,
        ttl: 1,
        rdata: Soa { serial, ..Soa::default() }.write(),
    };
    history.push(Arc::new(Change { removed: vec![top(from)], added: vec![top(to)] }));
    assert_eq!(history.changes().count(), 1, "it does not follow");
}

#[test]
fn what_was_noted_can_be_taken_back() {
    let (before, _) = batch(&batch(&State::new(zone()), 3).0, 4);
    let (_, items) = batch(&before, 5);
    let (mut state, mut undo) = (before.clone(), Vec::new());
    items.iter().for_each(|item| state.note(item, &mut undo));
    assert_ne!(told(&state), told(&before));
    undo.iter().rev().for_each(|item| state.note(item, &mut Vec::new()));
    assert_eq!(told(&state), told(&before));
}

#[test]
fn entries_of_any_octets_are_read_without_harm() {
    let (state, items) = batch(&batch(&State::new(zone()), 3).0, 4);
    let mut frame = format::Frame::new();
    items.iter().for_each(|item| frame.item(item));
    state.zone.records().for_each(|record| frame.record(&record));
    state.history.changes().for_each(|change| frame.past(change));
    frame.base(Serial(9), 4);
    let written = frame.seal(7, 0);
    assert_eq!((format::check(&written, 7), format::check(&written, 8)), (Some(0), None));
    let payload = &written[format::FRAME_HEAD..];
    let read = format::read_payload(payload).expect("as written");
    assert_eq!(read[..items.len()], items.into_iter().map(format::Stored::Item).collect::<Vec<_>>());
    let (mut chance, mut whole) = (Chance(1), 0);
    for _ in 0..20_000 {
        let mut mutated = payload[..chance.below(payload.len() + 1)].to_vec();
        for _ in 0..chance.below(4) {
            let at = chance.below(mutated.len());
            if let Some(octet) = mutated.get_mut(at) {
                *octet = chance.below(256) as u8;
            }
        }
        whole += usize::from(format::read_payload(&mutated).is_some());
    }
    assert!(whole > 0, "some are read to their end");
}

#[test]
fn folder_names_are_safe() {
    for (apex, folder) in
        [("Dyn.Test", "dyn.test"), (".", "%"), (r"a/b\.\.c.x", "a%2fb%2e%2ec.x"), (r"..x".trim_start_matches('.'), "x")]
    {
        assert_eq!(folder_name(name(apex).as_ref()), folder);
    }
    let long = |last: &str| name(&format!("{}.{}.{}", r"\001".repeat(63), r"\001".repeat(63), last));
    let (a, b) = (folder_name(long("a").as_ref()), folder_name(long("b").as_ref()));
    assert!(a != b && a.len() < 255, "{a}");
}

#[test]
fn a_real_disk_keeps_a_journal_and_one_server() {
    let state = std::env::temp_dir().join(format!("gatehouse-journal-{}", std::process::id()));
    let folder = state.join("zones/dyn.test");
    let (apex, before) = (name("dyn.test"), State::new(zone()));
    let mut journal = Journal::create(Arc::new(Disk), &folder, &apex, &before).expect("created");
    let (after, items) = batch(&before, 1);
    journal.append(&items).expect("appended");
    let ready = journal.compaction(&after).run().expect("written");
    journal.replace(ready).expect("replaced");
    let (last, items) = batch(&after, 2);
    journal.append(&items).expect("appended");
    let opened = Journal::open(Arc::new(Disk), &folder, &apex).expect("opened").expect("there");
    let mode = std::fs::metadata(folder.join("journal")).expect("a file").permissions().mode();
    let held = Disk.lock(&state.join("lock")).expect("the lock");
    let second = Disk.lock(&state.join("lock")).map(drop).map_err(|error| error.kind());
    drop(held);
    let third = Disk.lock(&state.join("lock")).map(drop);
    std::fs::remove_dir_all(&state).expect("removed");
    assert_eq!((told(&opened.state), mode & 0o777), (told(&last), 0o600));
    assert_eq!((second, third.is_ok()), (Err(io::ErrorKind::WouldBlock), true));
}
