//! Updates on a small zone: prerequisites, operations, rights and leases.

use super::*;
use crate::record::IN;
use crate::settings::{Alias, Pattern, Rule};
use crate::wire::{CLASS_ANY, CLASS_NONE, Header, Message, Question, Section, Writer};
use crate::zone::{Serial, Soa};

fn name(text: &str) -> Name {
    Name::parse(text, Name::from_wire(b"\x04test\0").expect("a name").as_ref()).expect("a valid name")
}

fn a(owner: &str, last: u8) -> Record {
    Record { name: name(owner), rtype: Rtype::A, ttl: 60, rdata: Box::from([10, 0, 0, last]) }
}

fn named(owner: &str, rtype: Rtype, target: &str) -> Record {
    Record { name: name(owner), rtype, ttl: 60, rdata: name(target).as_ref().wire().into() }
}

fn soa(serial: u32) -> Record {
    let soa = Soa { primary: name("ns"), mailbox: name("admin"), serial: Serial(serial), ..Soa::default() };
    Record { name: name("@"), rtype: Rtype::SOA, ttl: 60, rdata: soa.write() }
}

fn zone(records: impl IntoIterator<Item = Record>) -> Zone {
    let start = [soa(1), named("@", Rtype::NS, "ns"), a("al", 9)];
    Zone::new(name("@"), start.into_iter().chain(records)).expect("a valid zone")
}

/// What becomes of a zone when the key `k`, which may do everything there, sends an update.
fn done(zone: &Zone, operations: Vec<Operation>) -> Result<Outcome, Rcode> {
    leased(zone, operations, (None, &Leases::default()))
}

fn leased(zone: &Zone, operations: Vec<Operation>, (lease, leases): (Option<u32>, &Leases)) -> Result<Outcome, Rcode> {
    let lease = lease.map(|lease| LeaseTimes { lease, key_lease: None });
    let update = Update { zone: name("@"), prerequisites: Vec::new(), operations, lease };
    let rules =
        [Rule { key: name("k"), names: vec![Pattern::Exactly(name("@")), Pattern::Below(name("@"))], types: None }];
    let aliases = [Alias { name: name("al"), target: name("x"), ttl: 60 }];
    let policy = Policy { rules: &rules, aliases: &aliases, is_signed: true };
    decide(&update, Some(name("k").as_ref()), 1_000, &Ground { zone, leases, policy })
}

fn after(zone: &Zone, operations: Vec<Operation>) -> Zone {
    done(zone, operations).expect("accepted").edit.finish().expect("a zone").0
}

#[test]
fn what_changes_nothing_has_no_serial() {
    let old = zone([a("x", 1)]);
    let again = vec![Operation::DeleteName(name("x")), Operation::Add(a("x", 1))];
    let outcome = done(&old, again).expect("accepted");
    assert!(!outcome.is_changed);
    let (new, change) = outcome.edit.finish().expect("a zone");
    assert!(change.is_empty() && new.serial() == Serial(1));
    assert_eq!(after(&old, vec![Operation::Add(a("x", 2)), Operation::Add(a("y", 2))]).serial(), Serial(2));
    assert_eq!(after(&old, vec![Operation::Add(soa(9))]).serial(), Serial(9));
    assert_eq!(after(&old, vec![Operation::Add(soa(9)), Operation::Add(a("x", 2))]).serial(), Serial(9));
    assert_eq!(after(&old, vec![Operation::Add(soa(1)), Operation::Add(a("x", 2))]).serial(), Serial(2));
}

#[test]
fn the_apex_keeps_its_start() {
    let old = zone([a("@", 1)]);
    let new = after(&old, vec![Operation::DeleteName(name("@"))]);
    assert!(new.set(name("@").as_ref(), Rtype::A).is_none());
    assert!(new.set(name("@").as_ref(), Rtype::NS).is_some());
    let ns = named("@", Rtype::NS, "ns");
    let gone = Operation::Delete(ns.name.clone(), ns.rtype, ns.rdata.clone());
    assert!(!done(&old, vec![gone.clone()]).expect("accepted").is_changed);
    let other = named("@", Rtype::NS, "ns2");
    let new = after(&old, vec![Operation::Add(other.clone()), gone]);
    assert_eq!(new.set(name("@").as_ref(), Rtype::NS).map(|set| set.first().to_vec()), Some(other.rdata.to_vec()));
    for rtype in [Rtype::SOA, Rtype::NS] {
        assert!(!done(&old, vec![Operation::DeleteSet(name("@"), rtype)]).expect("accepted").is_changed);
    }
}

#[test]
fn case_in_data_does_not_count() {
    let old = zone([named("d", Rtype::NS, "NS.elsewhere")]);
    assert!(!done(&old, vec![Operation::Add(named("d", Rtype::NS, "ns.ELSEWHERE"))]).expect("accepted").is_changed);
    let lower = named("d", Rtype::NS, "ns.elsewhere");
    let new = after(&old, vec![Operation::Delete(lower.name, lower.rtype, lower.rdata)]);
    assert!(new.node(name("d").as_ref()).is_none());
}

#[test]
fn what_the_server_makes_is_not_for_updates() {
    let old = zone([]);
    let add = |owner, rtype| Operation::Add(Record { rtype, rdata: Box::from([1; 20]), ..a(owner, 1) });
    for operation in [
        add("x", Rtype::NSEC),
        add("x", Rtype::RRSIG),
        add("@", Rtype::DNSKEY),
        Operation::Add(a("al", 1)),
        Operation::Add(named("al", Rtype::CNAME, "x")),
        Operation::DeleteSet(name("al"), Rtype::A),
    ] {
        assert_eq!(done(&old, vec![operation.clone()]).map(drop).err(), Some(Rcode::REFUSED), "{operation:?}");
    }
    let new = after(&old, vec![add("al", Rtype::TXT), Operation::DeleteName(name("al"))]);
    assert_eq!(new.node(name("al").as_ref()).map(|node| node.entries().len()), Some(1));
}

#[test]
fn a_set_that_no_message_carries_is_refused() {
    let long = |last: u8| Record { rtype: Rtype(65_400), rdata: vec![last; 40_000].into(), ..a("x", 1) };
    assert!(done(&zone([]), vec![Operation::Add(long(1))]).is_ok());
    let both = vec![Operation::Add(long(1)), Operation::Add(long(2))];
    assert_eq!(done(&zone([]), both).map(drop).err(), Some(Rcode::REFUSED));
}

#[test]
fn a_lease_begins_goes_on_and_ends() {
    let (mut now, mut leases) = (zone([a("x", 2)]), Leases::default());
    let mut step = |outcome: Outcome| {
        let (zone, change) = outcome.edit.finish().expect("a zone");
        leases.follow(&change);
        for lease in outcome.leases {
            leases.set(lease);
        }
        (zone, leases.clone())
    };
    let add = || vec![Operation::Add(a("x", 1))];
    let outcome = leased(&now, add(), (Some(30), &Leases::default())).expect("accepted");
    assert_eq!(outcome.granted, Some(LeaseTimes { lease: 30, key_lease: None }));
    let (zone, held) = step(outcome);
    assert_eq!((held.next(), zone.serial()), (Some(1_030), Serial(2)));
    // A refresh does not touch the serial (RFC 9664, 5.3).
    let outcome = leased(&zone, add(), (Some(60), &held)).expect("accepted");
    assert!(!outcome.is_changed);
    let (zone, held) = step(outcome);
    assert_eq!((held.next(), zone.serial()), (Some(1_060), Serial(2)));
    assert!(expire(&zone, &held, 1_059).expect("a zone").is_none());
    let (zone, held) = step(expire(&zone, &held, 1_060).expect("a zone").expect("one has ended"));
    let set = zone.set(name("x").as_ref(), Rtype::A).expect("the record without a lease");
    assert_eq!((set.first(), zone.serial(), held.len()), ([10, 0, 0, 2].as_slice(), Serial(3), 0));
    now = zone;
    // Who says it without a lease makes it stay.
    let (zone, held) = step(leased(&now, add(), (Some(u32::MAX), &held)).expect("accepted"));
    assert_eq!(held.next(), Some(1_000 + u64::from(MAX_LEASE)));
    let (_, held) = step(leased(&zone, add(), (None, &held)).expect("accepted"));
    assert!(held.is_empty());
}

#[test]
fn the_last_name_server_outlives_its_lease() {
    let (now, mut leases) = (zone([]), Leases::default());
    let Record { name, rtype, rdata, .. } = named("@", Rtype::NS, "ns");
    leases.set(Lease { name, rtype, rdata, expires: Some(5) });
    let outcome = expire(&now, &leases, 5).expect("a zone").expect("one has ended");
    assert!(!outcome.is_changed);
    for lease in outcome.leases {
        leases.set(lease);
    }
    assert!(leases.is_empty());
}

#[test]
fn forms_are_read_or_refused() {
    let read = |section, (rtype, class, ttl): (Rtype, u16, u32), rdata: &[u8]| {
        let mut octets = Vec::new();
        let mut writer = Writer::new(&mut octets, 512, Header::default());
        let zone = name("@");
        writer.question(Question { name: zone.as_ref(), rtype: Rtype::SOA, class: IN }).expect("room");
        writer.raw(section, name("x").as_ref(), (rtype, class, ttl), rdata).expect("room");
        let update = Update::read(&Message::read(&octets).expect("a message"))?;
        Ok::<_, Rcode>((update.prerequisites, update.operations))
    };
    let (first, second) = (Section::Answer, Section::Authority);
    let address = [10, 0, 0, 1].as_slice();
    let (x, data) = (name("x"), Box::<[u8]>::from(address));
    for (record, expected) in [
        ((Rtype::ANY, CLASS_ANY, 0), Prerequisite::NameInUse(x.clone())),
        ((Rtype::ANY, CLASS_NONE, 0), Prerequisite::NameNotInUse(x.clone())),
        ((Rtype::A, CLASS_ANY, 0), Prerequisite::SetExists(x.clone(), Rtype::A)),
        ((Rtype::A, CLASS_NONE, 0), Prerequisite::SetAbsent(x.clone(), Rtype::A)),
    ] {
        assert_eq!(read(first, record, b""), Ok((vec![expected], vec![])));
        assert_eq!(read(first, record, address), Err(Rcode::FORMERR));
        assert_eq!(read(first, (record.0, record.1, 1), b""), Err(Rcode::FORMERR));
    }
    let equals = Prerequisite::SetEquals(x.clone(), Rtype::A, vec![data.clone()]);
    assert_eq!(read(first, (Rtype::A, IN, 0), address), Ok((vec![equals], vec![])));
    for (record, rdata, expected) in [
        ((Rtype::A, IN, 60), address, Operation::Add(a("x", 1))),
        ((Rtype::A, IN, u32::MAX), address, Operation::Add(Record { ttl: 0, ..a("x", 1) })),
        ((Rtype::A, CLASS_ANY, 0), b"".as_slice(), Operation::DeleteSet(x.clone(), Rtype::A)),
        ((Rtype::ANY, CLASS_ANY, 0), b"", Operation::DeleteName(x.clone())),
        ((Rtype::A, CLASS_NONE, 0), address, Operation::Delete(x.clone(), Rtype::A, data)),
    ] {
        assert_eq!(read(second, record, rdata), Ok((vec![], vec![expected])));
    }
    for (record, rdata) in [
        ((Rtype::A, IN, 60), b"".as_slice()),
        ((Rtype::A, IN, 60), &address[1..]),
        ((Rtype::ANY, IN, 60), address),
        ((Rtype::AXFR, IN, 60), address),
        ((Rtype::A, CLASS_ANY, 60), b""),
        ((Rtype::A, CLASS_ANY, 0), address),
        ((Rtype::AXFR, CLASS_ANY, 0), b""),
        ((Rtype::A, CLASS_NONE, 60), address),
        ((Rtype::ANY, CLASS_NONE, 0), address),
        ((Rtype::A, 3, 60), address),
    ] {
        assert_eq!(read(second, record, rdata), Err(Rcode::FORMERR), "{record:?}");
    }
    assert_eq!(LeaseTimes::read(&[0; 6]), None);
    let long = LeaseTimes { lease: 7, key_lease: Some(9) };
    assert_eq!(LeaseTimes::read(&long.write()), Some(long));
}
