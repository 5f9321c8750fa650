//! Transfers from one end to the other, and what primaries must not do.

use std::sync::Arc;

use super::*;
use crate::name::Name;
use crate::record::{Record, Rtype};
use crate::wire::{CLASS_IN, Flags, Full, Header, MAX_MESSAGE, Message, Opcode, Question, Rcode, Section, Writer};
use crate::zone::{Change, EditError, Serial, Soa, Zone, ZoneError};

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn soa(serial: u32) -> Record {
    let data = Soa { serial: Serial(serial), refresh: 60, retry: 10, expire: 600, ..Soa::default() };
    Record { name: name("test"), rtype: Rtype::SOA, ttl: 300, rdata: data.write() }
}

fn a(host: &str, last: u8) -> Record {
    Record { name: name(&format!("{host}.test")), rtype: Rtype::A, ttl: 60, rdata: Box::from([192, 0, 2, last]) }
}

fn text(host: &str, len: usize) -> Record {
    Record { name: name(&format!("{host}.test")), rtype: Rtype(65_400), ttl: 60, rdata: vec![7; len].into() }
}

fn zone(serial: u32, others: &[Record]) -> Zone {
    let ns = Record { name: name("test"), rtype: Rtype::NS, ttl: 300, rdata: name("ns.test").as_ref().wire().into() };
    Zone::new(name("test"), [soa(serial), ns].into_iter().chain(others.iter().cloned())).expect("a zone")
}

/// The zone with a record more and a serial more.
fn next(zone: &Zone, record: Record) -> (Zone, Change) {
    let mut edit = zone.edit();
    edit.add(record).expect("fits");
    edit.set_soa(&Soa { serial: zone.serial().next(), ..zone.soa() }, 300).expect("fits");
    edit.finish().expect("a zone")
}

fn sorted(zone: &Zone) -> Vec<Record> {
    let mut records: Vec<_> = zone.records().collect();
    records.sort();
    records
}

fn shared(changes: &[Change]) -> Vec<Arc<Change>> {
    changes.iter().cloned().map(Arc::new).collect()
}

/// The messages that answer a query.
fn answer(query: Query<'_>, zone: &Zone, history: &[Change]) -> Vec<Vec<u8>> {
    let query = ask(query, 99).expect("room");
    let query = Message::read(&query).expect("a query");
    let asked = Asked::read(&query).expect("a query for a transfer");
    let content = Content::choose(zone, &asked, Some(shared(history)));
    let mut outgoing = Outgoing::new(&query, zone, content).expect("a zone");
    let mut messages = Vec::new();
    loop {
        let mut message = Vec::new();
        if !outgoing.write(&mut message, 100).expect("every record fits") {
            return messages;
        }
        messages.push(message);
    }
}

fn read(mut incoming: Incoming, messages: &[Vec<u8>]) -> Result<Received, TransferError> {
    for (index, message) in messages.iter().enumerate() {
        if let Progress::Done(received) = incoming.read(&Message::read(message)?)? {
            assert_eq!(index + 1, messages.len(), "done too early");
            return Ok(received);
        }
    }
    Err(TransferError::Incomplete)
}

#[test]
fn a_whole_zone_arrives_as_it_was() {
    let many: Vec<_> = (0..3000u32).map(|n| a(&format!("host-{n}"), n as u8)).collect();
    for (records, least) in [(&many[..0], 1), (&many[..1], 1), (&many, 5)] {
        let zone = zone(7, records);
        let messages = answer(Query::Whole(name("Test").as_ref()), &zone, &[]);
        assert!(messages.len() >= least, "{} messages", messages.len());
        assert!(messages.iter().all(|message| message.len() <= MAX_TRANSFER_MESSAGE - 100));
        match read(Incoming::whole(name("test")), &messages).expect("a zone") {
            Received::Whole(received) => assert_eq!(sorted(&received), sorted(&zone)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_record_that_fills_a_message_is_alone_in_it() {
    let zone = zone(7, &[text("long", 40_000), text("longer", 65_000), a("short", 1)]);
    let messages = answer(Query::Whole(name("test").as_ref()), &zone, &[]);
    assert!(messages.iter().all(|message| message.len() <= MAX_MESSAGE - 100));
    assert!(matches!(read(Incoming::whole(name("test")), &messages), Ok(Received::Whole(_))));
}

#[test]
fn only_what_changed_arrives() {
    let filler: Vec<_> = (0..50).map(|n| a(&format!("host-{n}"), n)).collect();
    let first = zone(u32::MAX, &filler);
    let (second, one) = next(&first, a("new", 1));
    let (third, two) = next(&second, a("newer", 2));
    let history = [one, two];
    let messages = answer(Query::Since(&first), &third, &history);
    assert!(messages[0].len() < 400, "{}", messages[0].len());
    match read(Incoming::since(first.clone()), &messages).expect("changes") {
        Received::Changes(changes, received) => {
            assert_eq!(changes, history);
            assert_eq!(sorted(&received), sorted(&third));
        }
        other => panic!("{other:?}"),
    }
    // Who has the newest, or something newer still, is told so.
    for have in [&third, &next(&third, a("newest", 3)).0] {
        let messages = answer(Query::Since(have), &third, &[]);
        assert!(matches!(read(Incoming::since(have.clone()), &messages), Ok(Received::Current(Serial(2)))));
    }
}

#[test]
fn a_history_of_no_use_is_the_whole_zone() {
    let first = zone(1, &[a("x", 1)]);
    let (second, one) = next(&first, a("new", 1));
    let (third, two) = next(&second, a("newer", 2));
    let gone: Vec<_> = (0..200).map(|n| a(&format!("gone-{n}"), n)).collect();
    let bulky = Change { removed: [vec![soa(1)], gone.clone()].concat(), added: [vec![soa(3)], gone].concat() };
    for (what, history) in [
        ("none", vec![]),
        ("short", vec![two.clone()]),
        ("with a hole", vec![one, two.clone(), two]),
        ("bulky", vec![bulky]),
    ] {
        let messages = answer(Query::Since(&first), &third, &history);
        assert!(matches!(read(Incoming::since(first.clone()), &messages), Ok(Received::Whole(_))), "{what}");
    }
}

#[test]
fn a_datagram_holds_all_or_nothing() {
    let first = zone(1, &(0..20).map(|n| a(&format!("host-{n}"), n)).collect::<Vec<_>>());
    let (second, one) = next(&first, a("new", 1));
    let query = ask(Query::Since(&first), 99).expect("room");
    let query = Message::read(&query).expect("a query");
    let history = [one];
    let outgoing = || Outgoing::new(&query, &second, Content::Changes(shared(&history))).expect("a zone");
    let mut whole = Vec::new();
    assert_eq!(outgoing().write_datagram(&mut whole, 512), Ok(()));
    let mut cut = vec![1, 2, 3];
    assert_eq!(outgoing().write_datagram(&mut cut, whole.len() - 1), Err(Full));
    assert_eq!(cut, [1, 2, 3]);
    let mut newest = Vec::new();
    let outgoing = Outgoing::new(&query, &second, Content::Newest).expect("a zone");
    assert_eq!(outgoing.write_datagram(&mut newest, 512), Ok(()));
    assert_eq!(Message::read(&newest).expect("a message").header().counts, [1, 1, 0, 0]);
}

#[test]
fn a_query_for_something_else_is_malformed() {
    let ixfr = ask(Query::Since(&zone(5, &[])), 1).expect("room");
    let asked = Asked::read(&Message::read(&ixfr).expect("a query"));
    assert_eq!(asked, Ok(Asked { apex: name("test"), have: Some(Serial(5)) }));
    let soa = ask(Query::Soa(name("test").as_ref()), 1).expect("room");
    assert_eq!(Asked::read(&Message::read(&soa).expect("a query")), Err(Rcode::FORMERR));
    let mut without = ask(Query::Whole(name("test").as_ref()), 1).expect("room");
    let at = without.len() - 3;
    without[at] = 251;
    assert_eq!(Asked::read(&Message::read(&without).expect("a query")), Err(Rcode::FORMERR));
}

#[test]
fn a_notify_says_which_zone_and_version() {
    let message = notify(&zone(5, &[]), 1).expect("room");
    let message = Message::read(&message).expect("a message");
    assert_eq!(message.flags().opcode(), Opcode::NOTIFY);
    assert_eq!(Notify::read(&message), Ok(Notify { apex: name("test"), serial: Some(Serial(5)) }));
}

/// Messages with these records, as a primary may send them.
fn messages(asked: Rtype, groups: &[&[Record]]) -> Vec<Vec<u8>> {
    let write = |records: &&[Record]| {
        let mut out = Vec::new();
        let header = Header { id: 99, flags: Flags::of(Opcode::QUERY).reply(), counts: [0; 4] };
        let mut writer = Writer::new(&mut out, MAX_MESSAGE, header);
        let apex = name("test");
        writer.question(Question { name: apex.as_ref(), rtype: asked, class: CLASS_IN }).expect("room");
        records.iter().for_each(|record| writer.record(Section::Answer, record).expect("room"));
        out
    };
    groups.iter().map(write).collect()
}

#[test]
fn each_legal_shape_is_read() {
    let (x, y) = (a("x", 1), a("y", 2));
    let have = zone(1, std::slice::from_ref(&x));
    let ns = Record { name: name("test"), rtype: Rtype::NS, ttl: 300, rdata: name("ns.test").as_ref().wire().into() };
    let since = |groups: &[&[Record]]| read(Incoming::since(have.clone()), &messages(Rtype::IXFR, groups));
    let whole = |groups: &[&[Record]]| read(Incoming::whole(name("test")), &messages(Rtype::AXFR, groups));
    let has = |received: Result<Received, TransferError>, is_whole: bool| match received {
        Ok(Received::Whole(zone)) if is_whole => sorted(&zone),
        Ok(Received::Changes(_, zone)) if !is_whole => sorted(&zone),
        other => panic!("{other:?}"),
    };
    let expected = sorted(&zone(3, std::slice::from_ref(&y)));
    // One record a message, as very old servers send it.
    let singly = [soa(3), ns.clone(), y.clone(), soa(3)];
    assert_eq!(has(whole(&singly.chunks(1).collect::<Vec<_>>()), true), expected);
    // The whole zone in answer to a question for changes.
    assert_eq!(has(since(&[&[soa(3), ns.clone()], &[y.clone(), soa(3)]]), true), expected);
    // Step by step, with a detour.
    let steps = [soa(3), soa(1), x.clone(), soa(2), a("z", 3), y.clone(), soa(2), a("z", 3), soa(3), soa(3)];
    assert_eq!(has(since(&[&steps]), false), expected);
    for cut in 1..steps.len() {
        assert_eq!(has(since(&[&steps[..cut], &steps[cut..]]), false), expected, "cut at {cut}");
    }
    // Condensed into one step.
    assert_eq!(has(since(&[&[soa(3), soa(1), x.clone(), soa(3), y.clone(), soa(3)]]), false), expected);
    // The start of authority in the case of other names, as primaries send it that compress without looking at the case.
    let loud = Soa { serial: Serial(3), ..Soa::read(&soa(3).rdata).expect("data") };
    let [loud, low] = ["NS.Test", "ns.test"]
        .map(|primary| Record { rdata: Soa { primary: name(primary), ..loud.clone() }.write(), ..soa(3) });
    assert!(matches!(whole(&[&[loud.clone(), ns.clone(), low.clone()]]), Ok(Received::Whole(_))));
    let received = since(&[&[loud.clone(), soa(1), x.clone(), low.clone(), y.clone(), loud.clone()]]);
    assert!(matches!(received, Ok(Received::Changes(..))), "{received:?}");
    // A record that is removed and added again.
    let received = since(&[&[soa(3), soa(1), x.clone(), soa(3), x.clone(), soa(3)]]);
    assert_eq!(has(received, false), sorted(&zone(3, &[x])));
}

#[test]
fn what_is_no_transfer_is_refused_with_the_reason() {
    let (x, y) = (a("x", 1), a("y", 2));
    let have = zone(1, std::slice::from_ref(&x));
    let since = |records: &[Record]| read(Incoming::since(have.clone()), &messages(Rtype::IXFR, &[records]));
    let whole = |records: &[Record]| read(Incoming::whole(name("test")), &messages(Rtype::AXFR, &[records]));
    let order = |at, from, to| TransferError::Order { at: Serial(at), from: Serial(from), to: Serial(to) };
    let zone_error = |error: EditError| TransferError::Zone(ZoneError::Edit(error));
    let outside = Record { name: name("elsewhere"), ..x.clone() };
    for (what, received, expected) in [
        ("no SOA", whole(std::slice::from_ref(&x)), TransferError::NoSoa(name("test"))),
        ("nothing", whole(&[]), TransferError::Empty),
        ("no end", whole(&[soa(3), x.clone()]), TransferError::Incomplete),
        ("two serials", whole(&[soa(3), x.clone(), soa(4)]), zone_error(EditError::Single(name("test"), Rtype::SOA))),
        ("more after the end", whole(&[soa(3), x.clone(), soa(3), y.clone()]), TransferError::Trailing),
        ("another zone's", whole(&[soa(3), outside.clone(), soa(3)]), zone_error(EditError::OutOfZone(outside.name))),
        ("only newer", since(&[soa(3)]), TransferError::Incomplete),
        ("a hole", since(&[soa(3), soa(1), soa(2), soa(4), soa(3), soa(3)]), order(2, 4, 3)),
        ("back", since(&[soa(3), soa(1), soa(0), soa(0), soa(3), soa(3)]), order(1, 1, 0)),
        ("on the spot", since(&[soa(3), soa(1), soa(1), soa(3)]), order(1, 1, 1)),
        (
            "removes what is not there",
            since(&[soa(3), soa(1), y.clone(), soa(3), soa(3)]),
            zone_error(EditError::Missing(y.name.clone(), Rtype::A)),
        ),
        (
            "adds what is there",
            since(&[soa(3), soa(1), soa(3), x.clone(), soa(3)]),
            zone_error(EditError::Exists(x.name.clone(), Rtype::A)),
        ),
        ("beyond the newest", since(&[soa(3), soa(1), soa(3), soa(4), soa(3)]), TransferError::Trailing),
    ] {
        assert_eq!(received.err(), Some(expected), "{what}");
    }
}

#[test]
fn an_error_or_another_question_ends_it() {
    let mut refused = messages(Rtype::AXFR, &[&[]]);
    refused[0][3] |= 5;
    assert_eq!(read(Incoming::whole(name("test")), &refused).err(), Some(TransferError::Refused(Rcode::REFUSED)));
    let other = messages(Rtype::IXFR, &[&[soa(1), soa(1)]]);
    assert_eq!(read(Incoming::whole(name("test")), &other).err(), Some(TransferError::OtherQuestion));
    let mut chaos = messages(Rtype::AXFR, &[&[soa(1), soa(1)]]);
    let first = 12 + 6 + 4;
    chaos[0][first + 5] = 3;
    assert_eq!(read(Incoming::whole(name("test")), &chaos).err(), Some(TransferError::Class(name("test"))));
}
