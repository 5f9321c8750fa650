//! Messages of every malformed kind, and of the right ones against another implementation.

use super::*;
use crate::name::{Name, NameRef};
use crate::record::{Record, RecordSet, Rtype};
use hickory_proto::op::Message as Oracle;
use hickory_proto::rr::RData;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

fn header(counts: [u16; 4]) -> Vec<u8> {
    Header { id: 7, flags: Flags::of(Opcode::QUERY), counts }.write().to_vec()
}

/// A header with these counts, and octets after it.
fn message(counts: [u16; 4], rest: &[&[u8]]) -> Vec<u8> {
    [header(counts), rest.concat()].concat()
}

const ASKS: &[u8] = b"\x01a\x04test\0\0\x01\0\x01";
const A: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\x0a\0\0\x01";
const OPT: &[u8] = b"\0\0\x29\x10\0\0\0\x80\0\0\0";
const COOKIE: &[u8] = b"\0\0\x29\x10\0\0\0\0\0\0\x0c\0\x0a\0\x0812345678";
const TSIG: &[u8] = b"\x01k\0\0\xfa\0\xff\0\0\0\0\0\0";
const SIG0: &[u8] = b"\0\0\x18\0\xff\0\0\0\0\0\x02\0\0";

#[test]
fn sixteen_is_another_error_in_a_signature() {
    assert_eq!((Rcode(16).to_string(), Rcode(16).in_tsig().to_string()), ("BADVERS".to_owned(), "BADSIG".to_owned()));
    assert_eq!(Rcode::BADTIME.in_tsig().to_string(), "BADTIME");
}

#[test]
fn a_message_is_in_order_or_not() {
    for (what, octets, expected) in [
        ("nothing", vec![], Some(WireError::NoHeader)),
        ("eleven octets", header([0; 4])[..11].to_vec(), Some(WireError::NoHeader)),
        ("a header only", header([0; 4]), None),
        ("a question", message([1, 0, 0, 0], &[ASKS]), None),
        ("a cut question", message([1, 0, 0, 0], &[&ASKS[..9]]), Some(WireError::CutOff)),
        ("two questions", message([2, 0, 0, 0], &[ASKS, ASKS]), Some(WireError::Questions)),
        ("a compressed question", message([1, 0, 0, 0], &[b"\xc0\x0c\0\x01\0\x01"]), Some(WireError::Name)),
        ("an answer", message([1, 1, 0, 0], &[ASKS, A]), None),
        ("an answer too few", message([1, 2, 0, 0], &[ASKS, A]), Some(WireError::CutOff)),
        ("an answer too many", message([1, 1, 0, 0], &[ASKS, A, A]), Some(WireError::Trailing)),
        ("cut data", message([1, 1, 0, 0], &[ASKS, &A[..A.len() - 1]]), Some(WireError::CutOff)),
        ("a reserved label", message([0, 1, 0, 0], &[b"\x40"]), Some(WireError::Name)),
        ("an OPT record", message([1, 0, 0, 1], &[ASKS, OPT]), None),
        ("two of them", message([1, 0, 0, 2], &[ASKS, OPT, OPT]), Some(WireError::Opt)),
        ("one among the answers", message([1, 1, 0, 0], &[ASKS, OPT]), Some(WireError::Opt)),
        ("one with a name", message([1, 0, 0, 1], &[ASKS, b"\xc0\x0c", &OPT[1..]]), Some(WireError::Opt)),
        ("a cut option", message([0, 0, 0, 1], &[&OPT[..10], b"\x03\0\x0a\0"]), Some(WireError::Opt)),
        ("an option without octets", message([0, 0, 0, 1], &[&OPT[..10], b"\x04\0\x0a\0\x09"]), Some(WireError::Opt)),
        ("TSIG at the end", message([1, 0, 0, 2], &[ASKS, OPT, TSIG]), None),
        ("TSIG before the end", message([1, 0, 0, 2], &[ASKS, TSIG, OPT]), Some(WireError::Signature)),
        ("TSIG among the answers", message([1, 1, 0, 0], &[ASKS, TSIG]), Some(WireError::Signature)),
        ("SIG(0) at the end", message([1, 0, 0, 2], &[ASKS, OPT, SIG0]), None),
        ("SIG(0) before the end", message([1, 0, 0, 2], &[ASKS, SIG0, OPT]), Some(WireError::Signature)),
    ] {
        assert_eq!(Message::read(&octets).err(), expected, "{what}");
    }
}

#[test]
fn a_message_has_what_was_written() {
    let octets = message([1, 1, 0, 2], &[ASKS, A, COOKIE, TSIG]);
    let message = Message::read(&octets).expect("a message");
    let question = message.question().expect("a question");
    assert_eq!((question.name, question.rtype, question.class), (name("a.test").as_ref(), Rtype::A, CLASS_IN));
    assert_eq!(message.question_octets(), ASKS);
    let edns = message.edns().expect("an OPT record");
    assert_eq!((edns.udp_size, edns.version, edns.dnssec_ok), (4096, 0, false));
    assert_eq!(edns.option(EdnsOption::COOKIE), Some(b"12345678".as_slice()));
    let (kind, record) = message.signature().expect("a signature");
    assert_eq!((kind, record.start(), record.name()), (SignatureKind::Tsig, octets.len() - TSIG.len(), Ok(name("k"))));
    let answers: Vec<_> = message.records(Section::Answer).map(|record| record.record()).collect();
    let expected = Record { name: name("a.test"), rtype: Rtype::A, ttl: 5, rdata: Box::from([10, 0, 0, 1]) };
    assert_eq!(answers, [Ok(expected)]);
    assert_eq!(message.records(Section::Additional).count(), 2);
}

#[test]
fn names_are_decompressed_with_bounded_work() {
    let read = |octets: &[u8], at| NameBuffer::new().read(octets, at).map(|(name, next)| (name.to_owned(), next));
    assert_eq!(read(b"\x01a\0\x01b\xc0\0!", 3), Ok((name("b.a"), 7)));
    for (what, octets, at, expected) in [
        ("itself", b"\xc0\0".as_slice(), 0, WireError::Name),
        ("forward", b"\xc0\x02\x01a\0", 0, WireError::Name),
        ("its own label", b"\x01a\xc0\0", 0, WireError::Name),
        ("one another", b"\xc0\x02\xc0\0", 2, WireError::Name),
        ("half a pointer", b"\x01a\0\xc0", 3, WireError::CutOff),
        ("a label that is cut", b"\x05abc", 0, WireError::CutOff),
        ("a reserved label", b"\x80a", 0, WireError::Name),
    ] {
        assert_eq!(read(octets, at), Err(expected), "{what}");
    }
    // Each pointer goes to the one before it: as many as the message holds, but not followed.
    let mut chain = b"\0\0".to_vec();
    (0..8_000u16).for_each(|i| chain.extend_from_slice(&(0xc000 + i * 2).to_be_bytes()));
    assert!(read(&chain, 2 * MAX_JUMPS).is_ok());
    assert_eq!(read(&chain, 2 * MAX_JUMPS + 2), Err(WireError::Name));
    let long = [[&[63], [b'a'; 63].as_slice()].concat().repeat(4), vec![0]].concat();
    assert_eq!(read(&long, 0), Err(WireError::Name));
}

#[test]
fn data_is_stored_plain_or_refused() {
    let mx = b"\xc0\x0c\0\x0f\0\x01\0\0\0\x05\0\x06\0\x0a\x01m\xc0\x0e";
    let svcb = b"\xc0\x0c\0\x40\0\x01\0\0\0\x05\0\x04\0\x01\xc0\x0c";
    let short = b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x03\x0a\0\0";
    let leak = b"\xc0\x0c\0\x02\0\x01\0\0\0\x05\0\x01\x01\0";
    let large_ttl = b"\xc0\x0c\0\x01\0\x01\xff\0\0\x05\0\x04\x0a\0\0\x01";
    let data = |record: &[u8], more: &[u8]| {
        let octets = message([1, 1 + u16::from(!more.is_empty()), 0, 0], &[ASKS, record, more]);
        let first = Message::read(&octets).map(|message| message.records(Section::Answer).next());
        first.expect("a message").expect("a record").record().map(|record| (record.ttl, record.rdata))
    };
    assert_eq!(data(mx, b""), Ok((5, Box::from(b"\0\x0a\x01m\x04test\0".as_slice()))));
    assert_eq!(data(svcb, b""), Err(WireError::Data), "compressed where it may not be");
    assert_eq!(data(short, b""), Err(WireError::Data));
    assert_eq!(data(large_ttl, b""), Ok((0, Box::from([10, 0, 0, 1]))), "RFC 2181, 8");
    let mut cut = leak.to_vec();
    cut.truncate(cut.len() - 1);
    assert_eq!(data(&cut, A), Err(WireError::CutOff), "a name goes on in the next record");
}

#[test]
fn names_are_compressed_and_keep_their_case() {
    let query = message([1, 0, 0, 0], &[b"\x03wWw\x04Test\0\0\x01\0\x01"]);
    let query = Message::read(&query).expect("a query");
    let mut out = b"before".to_vec();
    let mut writer = Writer::reply(&mut out, PLAIN_UDP, &query);
    let ns = RecordSet::new(Rtype::NS, 9, &[name("n1.Test").as_ref().wire(), name("n2.N1.Test").as_ref().wire()]);
    writer.set(Section::Authority, name("test").as_ref(), &ns.expect("two")).expect("room");
    let octets = out.split_off(6);
    assert_eq!(out, b"before");
    let expected = [
        message([1, 0, 2, 0], &[b"\x03wWw\x04Test\0\0\x01\0\x01"]),
        b"\xc0\x10\0\x02\0\x01\0\0\0\x09\0\x05\x02n1\xc0\x10".to_vec(),
        b"\xc0\x10\0\x02\0\x01\0\0\0\x09\0\x08\x02n2\x02N1\xc0\x10".to_vec(),
    ]
    .concat();
    assert_eq!(octets[4..], expected[4..]);
    let flags = Message::read(&octets).map(|message| message.flags());
    assert_eq!(flags, Ok(Flags::RESPONSE));
}

#[test]
fn a_full_message_is_as_it_was() {
    let record =
        Record { name: name("b.test"), rtype: Rtype::NS, ttl: 5, rdata: name("c.test").as_ref().wire().into() };
    let (mut out, mut short) = (Vec::new(), Vec::new());
    let mut writer = Writer::new(&mut out, MAX_MESSAGE, Header::default());
    writer.record(Section::Answer, &record).expect("room");
    let whole = writer.len();
    let mut writer = Writer::new(&mut short, whole - 1, Header::default());
    assert_eq!(writer.record(Section::Answer, &record), Err(Full));
    assert!(writer.is_empty());
    writer.set_limit(whole);
    assert_eq!(writer.record(Section::Answer, &record), Ok(()));
    assert_eq!(out, short);
}

#[test]
fn an_opt_record_carries_the_upper_bits_of_the_result() {
    let mut out = Vec::new();
    let asked = message([1, 0, 0, 1], &[ASKS, OPT]);
    let asked = Message::read(&asked).expect("a query");
    let edns = asked.edns().expect("an OPT record");
    let option = EdnsOption { code: EdnsOption::COOKIE, data: b"12345678" };
    Writer::reply(&mut out, 512, &asked).opt(&edns, Rcode::BADCOOKIE, &[option]).expect("room");
    let reply = Message::read(&out).expect("a message");
    let said = reply.edns().expect("an OPT record");
    assert_eq!((said.extended_rcode, reply.flags().rcode()), (1, Rcode(7)));
    assert_eq!(said.options().collect::<Vec<_>>(), [option]);
}

/// Every name and type of these, written and read again, and read by somebody else.
#[test]
fn what_is_written_is_read() {
    let owners = ["test", "a.test", "b.a.test", "A.TEST", "other.example", "."].map(name);
    let target = owners[2].as_ref().wire();
    let with = |front: &[u8]| [front, target].concat();
    let data = [
        (Rtype::A, vec![10, 0, 0, 1]),
        (Rtype::AAAA, vec![1; 16]),
        (Rtype::NS, target.to_vec()),
        (Rtype::MX, with(&[0, 10])),
        (Rtype::SOA, [target, target, &[9; 20]].concat()),
        (Rtype::SRV, with(&[0, 1, 0, 2, 0, 3])),
        (Rtype::TXT, b"\x05hello\0".to_vec()),
        (Rtype(65), with(&[0, 1])),
        (Rtype(65_400), b"\xc0\x0c anything".to_vec()),
    ];
    let mut records = Vec::new();
    for owner in &owners {
        for (rtype, rdata) in &data {
            records.push(Record { name: owner.clone(), rtype: *rtype, ttl: 60, rdata: rdata.as_slice().into() });
        }
    }
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, MAX_MESSAGE, Header { id: 1, flags: Flags::RESPONSE, counts: [0; 4] });
    let question = Question { name: owners[1].as_ref(), rtype: Rtype::A, class: CLASS_IN };
    writer.question(question).expect("room");
    records.iter().for_each(|record| writer.record(Section::Answer, record).expect("room"));
    let message = Message::read(&out).expect("a message");
    assert_eq!(message.question(), Some(question));
    let read: Vec<_> = message.records(Section::Answer).map(|record| record.record().expect("a record")).collect();
    assert_eq!(read, records);
    assert_eq!(oracle_records(&Oracle::from_vec(&out).expect("a message")), records);
    let plain: usize = records.iter().map(|record| record.name.as_ref().wire().len() + 10 + record.rdata.len()).sum();
    assert!(out.len() < plain, "compression saves nothing");
}

/// The records of a message as another implementation reads them.
fn oracle_records(message: &Oracle) -> Vec<Record> {
    message.answers.iter().map(oracle_record).collect()
}

fn oracle_record(record: &hickory_proto::rr::Record) -> Record {
    let wire = |value: &dyn Fn(&mut BinEncoder<'_>)| {
        let mut octets = Vec::new();
        let mut encoder = BinEncoder::new(&mut octets);
        encoder.set_name_encoding(hickory_proto::serialize::binary::NameEncoding::Uncompressed);
        value(&mut encoder);
        octets
    };
    let owner = wire(&|encoder| record.name.emit(encoder).expect("a name"));
    let rdata = wire(&|encoder| RData::emit(&record.data, encoder).expect("data"));
    let owner = NameRef::read(&owner).expect("a name").0.to_owned();
    Record { name: owner, rtype: Rtype(u16::from(record.record_type())), ttl: record.ttl, rdata: rdata.into() }
}

/// Mutations of messages: nothing panics, and what is read can be written and is then read the same.
#[test]
fn no_octets_break_it() {
    let corpus = [
        message([1, 1, 0, 2], &[ASKS, A, COOKIE, TSIG]),
        message([1, 2, 0, 1], &[ASKS, A, b"\xc0\x0c\0\x0f\0\x01\0\0\0\x05\0\x06\0\x0a\x01m\xc0\x0e", OPT]),
        message([1, 0, 1, 1], &[ASKS, b"\xc0\x0c\0\x06\0\x01\0\0\0\x05\0\x18\xc0\x0c\xc0\x0e", &[7; 20], SIG0]),
    ];
    let mut seed = 1_u64;
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % limit as u64) as usize
    };
    let (mut read, mut rewritten) = (0, 0);
    for _ in 0..200_000 {
        let mut octets = corpus[below(corpus.len())].clone();
        for _ in 0..=below(4) {
            let at = below(octets.len());
            match below(5) {
                0 => octets[at] = [0, 1, 12, 0x3f, 0x40, 0xc0, 0xff][below(7)],
                1 => octets[at] ^= 1 << below(8),
                2 => octets.truncate(at.max(1)),
                3 => octets.insert(at, below(256) as u8),
                _ => octets.extend_from_slice(A),
            }
        }
        let Ok(message) = Message::read(&octets) else { continue };
        read += 1;
        let records: Vec<_> = message.records(Section::Answer).map(|record| record.record()).collect();
        let Ok(records) = records.into_iter().collect::<Result<Vec<_>, _>>() else { continue };
        let mut again = Vec::new();
        let mut writer = Writer::reply(&mut again, MAX_MESSAGE, &message);
        records.iter().for_each(|record| writer.record(Section::Answer, record).expect("room"));
        let message = Message::read(&again).expect("what was written");
        let back: Vec<_> = message.records(Section::Answer).map(|record| record.record().expect("read")).collect();
        assert_eq!(back, records);
        rewritten += 1;
    }
    assert!(read > 10_000 && rewritten > 10_000, "{read} {rewritten}");
}
