//! Zones from edit to edit: nodes, chains, changes, serials.

use super::*;

fn name(text: &str) -> Name {
    Name::parse(text, Name::from_wire(b"\x04test\0").expect("a name").as_ref()).expect("a valid name")
}

fn a(owner: &str, last: u8) -> Record {
    Record { name: name(owner), rtype: Rtype::A, ttl: 60, rdata: Box::from([10, 0, 0, last]) }
}

fn cname(owner: &str, target: &str) -> Record {
    Record { name: name(owner), rtype: Rtype::CNAME, ttl: 60, rdata: name(target).as_ref().wire().into() }
}

fn soa(serial: u32) -> Soa {
    let (primary, mailbox) = (name("ns"), name("admin"));
    Soa { primary, mailbox, serial: Serial(serial), refresh: 1, retry: 2, expire: 3, minimum: 4 }
}

fn top(serial: u32) -> Record {
    Record { name: name("@"), rtype: Rtype::SOA, ttl: 60, rdata: soa(serial).write() }
}

fn zone(records: impl IntoIterator<Item = Record>) -> Zone {
    Zone::new(name("@"), std::iter::once(top(1)).chain(records)).expect("a valid zone")
}

fn exists(zone: &Zone, owner: &str) -> bool {
    zone.node(name(owner).as_ref()).is_some()
}

#[test]
fn a_zone_has_what_it_was_made_of() {
    let zone = zone([a("www", 1), a("www", 2), a("WWW", 2), cname("x", "www")]);
    let set = zone.set(name("Www").as_ref(), Rtype::A).expect("two addresses");
    assert_eq!(set.count(), 2);
    assert_eq!((zone.serial(), zone.name_count()), (Serial(1), 3));
    assert_eq!(zone.records().next(), Some(top(1)));
    assert_eq!(zone.records().count(), 4);
    assert_eq!(Soa::read(&soa(7).write()), Ok(soa(7)));
}

#[test]
fn what_cannot_be_in_a_zone_is_refused() {
    let try_with = |records: &[Record]| Zone::new(name("@"), records.iter().cloned()).map(drop);
    let other = Record { name: "other".parse().expect("a name"), ..a("www", 1) };
    assert_eq!(try_with(&[a("www", 1)]), Err(ZoneError::NoSoa(name("@"))));
    assert_eq!(try_with(&[top(1), other.clone()]), Err(EditError::OutOfZone(other.name).into()));
    assert_eq!(try_with(&[top(1), top(2)]), Err(EditError::Single(name("@"), Rtype::SOA).into()));
    assert_eq!(try_with(&[top(1), a("x", 1), cname("x", "y")]), Err(EditError::CnameAndOther(name("x")).into()));
    assert_eq!(
        try_with(&[top(1), Record { rtype: Rtype::ANY, ..a("x", 1) }]),
        Err(EditError::Meta(name("x"), Rtype::ANY).into())
    );
    assert_eq!(try_with(&[Record { name: name("x"), ..top(1) }]), Err(EditError::SoaBelow(name("x")).into()));
    let short = Record { rdata: Box::from([0]), ..top(1) };
    assert_eq!(try_with(&[short]), Err(ZoneError::Soa(name("@"), SoaError::Name(crate::name::NameError::CutOff))));
}

#[test]
fn a_set_gets_no_larger_than_a_message() {
    let many =
        |count: u16| (0..count).map(|n| Record { rdata: [[10, 0], n.to_be_bytes()].concat().into(), ..a("x", 1) });
    let full = zone(many(4_095));
    assert_eq!(full.set(name("x").as_ref(), Rtype::A).map(RecordSet::count), Some(4_095));
    let mut builder = Builder::new(name("@"));
    assert_eq!(many(4_095).try_for_each(|record| builder.add(record)), Ok(()));
    let over = Record { rdata: [11, 0, 0, 1].into(), ..a("x", 1) };
    let too_many = Err(EditError::TooMany(name("x"), Rtype::A));
    assert_eq!(builder.add(over.clone()), too_many, "found at once, not at the end");
    let mut edit = full.edit();
    assert_eq!(edit.add(over.clone()).map(drop), too_many);
    assert!(edit.remove(name("x").as_ref(), Rtype::A, &[10, 0, 0, 7]));
    assert_eq!(edit.add(over.clone()), Ok(true), "there is room again");
    let huge = Record { rtype: Rtype(65_400), rdata: vec![0; 65_530].into(), ..a("y", 1) };
    assert_eq!(edit.add(huge).map(drop), Err(EditError::TooMany(name("y"), Rtype(65_400))));
    let (_, change) = edit.finish().expect("a zone");
    assert_eq!((change.removed, change.added), (many(8).skip(7).collect(), vec![over]));
}

#[test]
fn names_between_exist_as_long_as_something_is_below() {
    let zone = zone([a("a.b.c", 1), a("d.c", 1)]);
    assert!(exists(&zone, "b.c") && exists(&zone, "c") && !exists(&zone, "e.c"));
    let mut edit = zone.edit();
    assert!(edit.remove(name("a.b.c").as_ref(), Rtype::A, &[10, 0, 0, 1]));
    let (after, change) = edit.finish().expect("a zone");
    assert!(!exists(&after, "a.b.c") && !exists(&after, "b.c") && exists(&after, "c"));
    assert_eq!(change, Change { removed: vec![a("a.b.c", 1)], added: vec![] });
    // The old version is as it was.
    assert!(exists(&zone, "a.b.c"));
    let mut edit = after.edit();
    edit.remove_set(name("d.c").as_ref(), Rtype::A);
    let (after, _) = edit.finish().expect("a zone");
    assert_eq!(after.name_count(), 1);
}

#[test]
fn a_change_takes_one_version_to_the_other_and_back() {
    let old = zone((0..200).map(|i| a(&format!("n{i}"), i as u8)));
    let mut edit = old.edit();
    edit.add(Record { ttl: 5, ..a("n1", 99) }).expect("added");
    edit.remove_types(name("n2").as_ref(), |_| true);
    edit.add(a("n3", 7)).expect("added");
    assert!(edit.remove(name("n3").as_ref(), Rtype::A, &[10, 0, 0, 7]), "done and undone");
    edit.set_soa(&soa(2), 60).expect("an SOA");
    let (new, change) = edit.finish().expect("a zone");
    let low = |record| Record { ttl: 5, ..record };
    assert_eq!(change.removed, [top(1), a("n1", 1), a("n2", 2)]);
    assert_eq!(change.added, [top(2), low(a("n1", 1)), low(a("n1", 99))]);
    assert_eq!((change.from(), change.to()), (Some(Serial(1)), Some(Serial(2))));
    assert_eq!(sorted(&old.apply(&change).expect("it fits")), sorted(&new));
    let back = Change { removed: change.added.clone(), added: change.removed.clone() };
    assert_eq!(sorted(&new.apply(&back).expect("it fits")), sorted(&old));
    assert_eq!(old.apply(&back).map(drop), Err(EditError::Missing(name("@"), Rtype::SOA).into()));
}

#[test]
fn an_edit_reads_what_it_has_written() {
    let mut edit = zone([a("x", 1)]).edit();
    edit.remove_set(name("x").as_ref(), Rtype::A);
    assert!(!edit.has_records(name("x").as_ref()));
    edit.add(cname("x", "y")).expect("added");
    assert_eq!(edit.types(name("x").as_ref()), [Rtype::CNAME]);
    assert_eq!(edit.set(name("x").as_ref(), Rtype::A), None);
    assert_eq!(edit.soa().map(|soa| soa.serial), Some(Serial(1)));
    assert_eq!(edit.touched().collect::<Vec<_>>(), [name("x").as_ref()]);
}

#[test]
fn the_serial_advances_once() {
    let mut edit = zone([a("x", 1), a("x", 2)]).edit();
    edit.remove_set(name("x").as_ref(), Rtype::A);
    assert!(edit.is_changed());
    edit.add(a("x", 2)).expect("added");
    edit.add(a("x", 1)).expect("added");
    assert!(!edit.is_changed(), "done and undone");
    edit.add(Record { ttl: 5, ..a("x", 1) }).expect("added");
    assert!(edit.is_changed());
    edit.advance().expect("a start of authority");
    edit.advance().expect("a start of authority");
    assert_eq!(edit.soa(), Some(soa(2)));
    let mut edit = zone([]).edit();
    edit.set_soa(&soa(7), 60).expect("an SOA");
    edit.advance().expect("a start of authority");
    assert_eq!(edit.soa(), Some(soa(7)));
}

#[test]
fn signatures_stay_with_what_they_sign() {
    let rrsig = |owner: &str, covered: Rtype, last: u8| Record {
        rtype: Rtype::RRSIG,
        rdata: [covered.0.to_be_bytes().as_slice(), &[0; 16], &[last]].concat().into(),
        ..a(owner, 1)
    };
    let nsec = |owner: &str| Record { rtype: Rtype::NSEC, rdata: name("@").as_ref().wire().into(), ..a(owner, 1) };
    let signed =
        zone([a("x", 1), rrsig("x", Rtype::A, 1), nsec("x"), rrsig("x", Rtype::NSEC, 2), nsec("@"), nsec("m")]);
    let node = signed.node(name("x").as_ref()).expect("a node");
    let entry = node.entry(Rtype::A).expect("an address");
    assert_eq!(entry.signatures.as_ref().map(|set| set.count()), Some(1));
    assert_eq!(node.records().count(), 4);
    let at = |owner: &str| signed.nsec_at_or_before(name(owner).as_ref()).map(|node| node.name().to_owned());
    assert_eq!([at("y"), at("n"), at("m"), at("a")], [name("x"), name("m"), name("m"), name("@")].map(Some));
    assert_eq!(signed.nsec_after(name("x").as_ref()), Some(name("@").as_ref()));
    let mut edit = signed.edit();
    edit.remove_signatures(name("x").as_ref(), Rtype::A);
    edit.remove_set(name("m").as_ref(), Rtype::NSEC);
    let (after, change) = edit.finish().expect("a zone");
    assert_eq!(change.removed, [nsec("m"), rrsig("x", Rtype::A, 1)]);
    assert!(!exists(&after, "m"));
    assert_eq!(after.nsec_after(name("@").as_ref()), Some(name("x").as_ref()));
}

#[test]
fn hashes_are_no_names() {
    let nsec3 = Record { rtype: Rtype::NSEC3, ..a("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", 1) };
    let signed = zone([nsec3.clone()]);
    assert!(!exists(&signed, "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"));
    assert_eq!(signed.nsec3_at_or_before(name("a").as_ref()).map(Node::name), Some(nsec3.name.as_ref()));
    assert_eq!(signed.records().last(), Some(nsec3));
}

#[test]
fn many_names_come_and_go() {
    let count = 3_000;
    let full = zone((0..count).map(|i| a(&format!("n{i}.sub{}", i % 7), 1)));
    assert_eq!(full.name_count(), 1 + 7 + count);
    assert!((0..count).all(|i| exists(&full, &format!("N{i}.sub{}", i % 7))));
    let mut edit = full.edit();
    for i in 0..count {
        edit.remove_types(name(&format!("n{i}.sub{}", i % 7)).as_ref(), |_| true);
    }
    let (empty, change) = edit.finish().expect("a zone");
    assert_eq!((empty.name_count(), change.removed.len()), (1, count));
    assert_eq!(full.nodes().count(), 1 + 7 + count);
}

#[test]
fn serials_go_around() {
    assert!(Serial(5).is_newer_than(Serial(4)));
    assert!(Serial(1).is_newer_than(Serial(u32::MAX)));
    assert!(!Serial(0x8000_0000).is_newer_than(Serial(0)) && !Serial(0).is_newer_than(Serial(0x8000_0000)));
    assert_eq!(Serial(u32::MAX).next(), Serial(1));
}

fn sorted(zone: &Zone) -> Vec<Record> {
    let mut records: Vec<Record> = zone.records().collect();
    records.sort();
    records
}
