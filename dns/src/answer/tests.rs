//! Questions and the whole answers to them, as another implementation reads them.

mod signed;

use super::*;
use crate::guard::udp_room;
use crate::name::Name;
use crate::record::{Record, Rtype};
use crate::wire::{
    CLASS_ANY, CLASS_CHAOS, CLASS_IN, Edns, EdnsOption, Flags, Header, MAX_MESSAGE, Message, Opcode, Question, Rcode,
    Section, Writer,
};
use crate::zone::{Serial, Soa, Zone};
use hickory_proto::op::Message as Oracle;
use hickory_proto::rr::RecordType;

fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

/// `owner TYPE data` with a TTL of 60; hexadecimal data for types whose text is not worth reading here.
fn record(line: &str) -> Record {
    let (owner, rest) = line.split_once(' ').expect("an owner");
    let (rtype, data) = rest.split_once(' ').expect("a type");
    let rtype: Rtype = rtype.parse().expect("a type");
    let wire = |text: &str| name(text).as_ref().wire().to_vec();
    let rdata = match rtype {
        Rtype::A => data.parse::<std::net::Ipv4Addr>().expect("an address").octets().to_vec(),
        Rtype::AAAA => data.parse::<std::net::Ipv6Addr>().expect("an address").octets().to_vec(),
        Rtype::NS | Rtype::CNAME | Rtype::DNAME => wire(data),
        Rtype::MX => [vec![0, 10], wire(data)].concat(),
        Rtype::SRV => [vec![0, 1, 0, 2, 0, 80], wire(data)].concat(),
        Rtype::TXT => [vec![data.len() as u8], data.as_bytes().to_vec()].concat(),
        _ => data_encoding::HEXLOWER.decode(data.as_bytes()).expect("hexadecimal"),
    };
    Record { name: name(owner), rtype, ttl: 60, rdata: rdata.into() }
}

fn zone(apex: &str, lines: &str) -> Served {
    let soa = Soa {
        primary: name("ns").to_owned(),
        mailbox: name("x"),
        serial: Serial(1),
        refresh: 2,
        retry: 3,
        expire: 4,
        minimum: 30,
    };
    let top = Record { name: name(apex), rtype: Rtype::SOA, ttl: 60, rdata: soa.write() };
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    Served::new(Zone::new(name(apex), std::iter::once(top).chain(lines.map(record))).expect("a zone"))
}

fn zones() -> Zones {
    let mut expired = zone("old.test", "a.old.test A 10.0.0.1");
    expired.expired = true;
    let long = "b".repeat(60);
    let lines = "
        test NS ns.test
        test NS ns.sub.test
        test MX mail.test
        ns.test A 10.0.0.1
        ns.test AAAA fd00::1
        mail.test A 10.0.0.2
        www.test A 10.0.0.3
        www.test A 10.0.0.4
        www.test TXT hello
        alias.test CNAME www.test
        long.test CNAME alias.test
        away.test CNAME www.example.com
        into.test CNAME www.other
        lost.test CNAME nothing.other
        round.test CNAME circle.test
        circle.test CNAME round.test
        enter.test CNAME round.test
        *.self.test CNAME x.self.test
        deep.a.b.test A 10.0.0.5
        *.wild.test A 10.0.0.6
        *.wild.test MX mail.test
        real.wild.test TXT here
        x.ent.wild.test TXT below
        *.walias.test CNAME www.test
        sub.test NS ns.sub.test
        sub.test NS ns.test
        sub.test DS 0001080200
        ns.sub.test A 10.0.0.7
        lower.test CNAME www.sub.test
        tree.test DNAME other
        loop.test DNAME loop.test
        _s._tcp.test SRV www.test
        lent.test A 10.0.0.8
    ";
    let other = "
        other NS ns.other
        www.other A 10.1.0.1
        a.tree.other A 10.1.0.2
        again.other CNAME www.tree.test
    ";
    let lent = vec![Fading { name: name("LENT.test"), until: 1_010 }, Fading { name: name("mail.test"), until: 900 }];
    [
        zone("test", lines).with_fading(lent),
        zone("other", other),
        zone("far", &format!("far DNAME {long}.{long}.{long}.{long}")),
        zone("child.tree.other", "child.tree.other TXT child"),
        expired,
    ]
    .into_iter()
    .collect()
}

struct Ask {
    opcode: Opcode,
    flags: Flags,
    class: u16,
    edns: Option<Edns<'static>>,
    limit: usize,
    recursion: bool,
}

impl Default for Ask {
    fn default() -> Self {
        let flags = Flags::default();
        Self { opcode: Opcode::QUERY, flags, class: CLASS_IN, edns: None, limit: MAX_MESSAGE, recursion: false }
    }
}

impl Ask {
    /// Asks `name TYPE` and gives back the outcome and the answer's octets.
    fn octets(&self, question: &str) -> (String, Vec<u8>) {
        let (owner, rtype) = question.split_once(' ').expect("a name and a type");
        let mut query = Vec::new();
        let flags = Flags::of(self.opcode).with(self.flags);
        let mut writer = Writer::new(&mut query, MAX_MESSAGE, Header { id: 0x1234, flags, counts: [0; 4] });
        let (owner, rtype) = (name(owner), rtype.parse().expect("a type"));
        writer.question(Question { name: owner.as_ref(), rtype, class: self.class }).expect("room");
        if let Some(edns) = &self.edns {
            writer.opt(edns, Rcode::NOERROR, &[]).expect("room");
        }
        let query = Message::read(&query).expect("a query");
        let room = Room { limit: self.limit, recursion: self.recursion, now: 1_000, ..Room::default() };
        let mut out = Vec::new();
        let outcome = respond(&query, &zones(), &room, &mut out);
        assert!(out.len() <= self.limit);
        (format!("{outcome:?}"), out)
    }

    /// The answer: result and flags, then the sections, each with what stands before it.
    fn of(&self, question: &str) -> String {
        let (outcome, octets) = self.octets(question);
        if octets.is_empty() { outcome } else { text(&octets) }
    }
}

/// An answer in one line.
fn text(octets: &[u8]) -> String {
    let ours = Message::read(octets).expect("a message");
    assert_eq!(ours.header().id, 0x1234);
    let mut line = format!("{:?}", ours.flags()).replace("QUERY ", "").replace(" qr", "");
    let oracle = Oracle::from_vec(octets).expect("a message for others");
    let sections = [("an", &oracle.answers), ("au", &oracle.authorities), ("ad", &oracle.additionals)];
    for (title, records) in sections {
        for record in records {
            let rtype = record.record_type();
            let is_dull = matches!(rtype, RecordType::SOA | RecordType::DNAME);
            let data = if is_dull { "…".into() } else { record.data.to_string() };
            line.push_str(&format!(" | {title} {} {} {rtype} {data}", record.name, record.ttl));
        }
    }
    line
}

fn check(ask: &Ask, table: &[(&str, &str)]) {
    for (question, expected) in table {
        assert_eq!(ask.of(question), *expected, "{question}");
    }
}

#[test]
fn names_and_types_are_found_or_not() {
    let mail = "ad mail.test. 30 A 10.0.0.2";
    check(
        &Ask::default(),
        &[
            ("www.test A", "NOERROR aa | an www.test. 60 A 10.0.0.3 | an www.test. 60 A 10.0.0.4"),
            ("wWw.TEST TXT", "NOERROR aa | an wWw.TEST. 60 TXT hello"),
            ("www.test AAAA", "NOERROR aa | au test. 30 SOA …"),
            ("nope.test A", "NXDOMAIN aa | au test. 30 SOA …"),
            ("b.nope.test A", "NXDOMAIN aa | au test. 30 SOA …"),
            ("b.www.test A", "NXDOMAIN aa | au test. 30 SOA …"),
            ("deep.a.b.test A", "NOERROR aa | an deep.a.b.test. 60 A 10.0.0.5"),
            ("a.b.test A", "NOERROR aa | au test. 30 SOA …"),
            ("b.test A", "NOERROR aa | au test. 30 SOA …"),
            ("c.a.b.test A", "NXDOMAIN aa | au test. 30 SOA …"),
            ("test SOA", "NOERROR aa | an test. 60 SOA …"),
            ("test MX", &format!("NOERROR aa | an test. 60 MX 10 mail.test. | {mail}")),
            (
                "_s._tcp.test SRV",
                "NOERROR aa | an _s._tcp.test. 60 SRV 1 2 80 www.test. | ad www.test. 60 A 10.0.0.3 | ad www.test. 60 A 10.0.0.4",
            ),
            (
                "test NS",
                "NOERROR aa | an test. 60 NS ns.sub.test. | an test. 60 NS ns.test. | ad ns.test. 60 A 10.0.0.1 | ad ns.test. 60 AAAA fd00::1",
            ),
            ("www.test ANY", "NOERROR aa | an www.test. 60 A 10.0.0.3 | an www.test. 60 A 10.0.0.4"),
            ("b.test ANY", "NOERROR aa | au test. 30 SOA …"),
            ("www.test RRSIG", "NOERROR aa | au test. 30 SOA …"),
        ],
    );
}

#[test]
fn aliases_are_followed_within_what_is_served() {
    let www = "an www.test. 60 A 10.0.0.3 | an www.test. 60 A 10.0.0.4";
    check(
        &Ask::default(),
        &[
            ("alias.test A", &format!("NOERROR aa | an alias.test. 60 CNAME www.test. | {www}")),
            ("alias.test CNAME", "NOERROR aa | an alias.test. 60 CNAME www.test."),
            ("alias.test ANY", "NOERROR aa | an alias.test. 60 CNAME www.test."),
            ("alias.test MX", "NOERROR aa | an alias.test. 60 CNAME www.test. | au test. 30 SOA …"),
            (
                "long.test A",
                &format!("NOERROR aa | an long.test. 60 CNAME alias.test. | an alias.test. 60 CNAME www.test. | {www}"),
            ),
            ("away.test A", "NOERROR aa | an away.test. 60 CNAME www.example.com."),
            ("into.test A", "NOERROR aa | an into.test. 60 CNAME www.other. | an www.other. 60 A 10.1.0.1"),
            ("lost.test A", "NXDOMAIN aa | an lost.test. 60 CNAME nothing.other. | au other. 30 SOA …"),
        ],
    );
}

#[test]
fn a_circle_of_aliases_is_said_once() {
    check(
        &Ask::default(),
        &[
            (
                "round.test A",
                "NOERROR aa | an round.test. 60 CNAME circle.test. | an circle.test. 60 CNAME round.test.",
            ),
            (
                "enter.test A",
                "NOERROR aa | an enter.test. 60 CNAME round.test. | an round.test. 60 CNAME circle.test. | \
                 an circle.test. 60 CNAME round.test.",
            ),
            ("x.loop.test A", "NOERROR aa | an loop.test. 60 DNAME … | an x.loop.test. 60 CNAME x.loop.test."),
            (
                "q.self.test A",
                "NOERROR aa | an q.self.test. 60 CNAME x.self.test. | an x.self.test. 60 CNAME x.self.test.",
            ),
            // Twice through one tree, which is no circle.
            (
                "again.tree.test A",
                "NOERROR aa | an tree.test. 60 DNAME … | an again.tree.test. 60 CNAME again.other. | \
                 an again.other. 60 CNAME www.tree.test. | an www.tree.test. 60 CNAME www.other. | \
                 an www.other. 60 A 10.1.0.1",
            ),
        ],
    );
}

#[test]
fn a_referral_has_all_glue_or_says_that_it_has_not() {
    let lines = (0..20).map(|n| format!("sub.many NS ns{n}.sub.many\nns{n}.sub.many A 10.0.0.{n}\n"));
    let zones: Zones = [zone("many", &lines.collect::<String>())].into_iter().collect();
    let mut query = Vec::new();
    let mut writer = Writer::new(&mut query, MAX_MESSAGE, Header { id: 0x1234, ..Header::default() });
    let owner = name("x.sub.many");
    writer.question(Question { name: owner.as_ref(), rtype: Rtype::A, class: CLASS_IN }).expect("room");
    let query = Message::read(&query).expect("a query");
    for (limit, glue, truncated) in [(MAX_MESSAGE, 20, false), (700, 0, true)] {
        let mut out = Vec::new();
        respond(&query, &zones, &Room { limit, ..Room::default() }, &mut out);
        let answer = Message::read(&out).expect("an answer");
        assert_eq!(answer.records(Section::Additional).count(), glue);
        assert_eq!(answer.flags().has(Flags::TRUNCATED), truncated);
    }
}

#[test]
fn wildcards_answer_for_what_does_not_exist() {
    check(
        &Ask::default(),
        &[
            ("a.wild.test A", "NOERROR aa | an a.wild.test. 60 A 10.0.0.6"),
            ("b.a.wild.test A", "NOERROR aa | an b.a.wild.test. 60 A 10.0.0.6"),
            ("*.wild.test A", "NOERROR aa | an *.wild.test. 60 A 10.0.0.6"),
            ("a.wild.test TXT", "NOERROR aa | au test. 30 SOA …"),
            ("wild.test A", "NOERROR aa | au test. 30 SOA …"),
            ("real.wild.test A", "NOERROR aa | au test. 30 SOA …"),
            ("a.real.wild.test A", "NXDOMAIN aa | au test. 30 SOA …"),
            ("ent.wild.test A", "NOERROR aa | au test. 30 SOA …"),
            ("a.ent.wild.test A", "NXDOMAIN aa | au test. 30 SOA …"),
            ("a.walias.test TXT", "NOERROR aa | an a.walias.test. 60 CNAME www.test. | an www.test. 60 TXT hello"),
        ],
    );
}

#[test]
fn cuts_refer_to_others() {
    let referral = "NOERROR | au sub.test. 60 NS ns.sub.test. | au sub.test. 60 NS ns.test. | \
                    ad ns.sub.test. 60 A 10.0.0.7 | ad ns.test. 60 A 10.0.0.1 | ad ns.test. 60 AAAA fd00::1";
    check(
        &Ask::default(),
        &[
            ("sub.test A", referral),
            ("sub.test NS", referral),
            ("sub.test SOA", referral),
            ("x.y.sub.test A", referral),
            ("ns.sub.test A", referral),
            ("sub.test DS", "NOERROR aa | an sub.test. 60 DS 1 8 2 00"),
            // An alias that leads to a cut (RFC 1034, 4.3.2, step 3).
            ("lower.test A", &referral.replace("NOERROR", "NOERROR aa | an lower.test. 60 CNAME www.sub.test.")),
            ("www.test DS", "NOERROR aa | au test. 30 SOA …"),
            // The parent has the DS records of an apex, its child none.
            ("child.tree.other DS", "NXDOMAIN aa | au other. 30 SOA …"),
            ("child.tree.other TXT", "NOERROR aa | an child.tree.other. 60 TXT child"),
            ("test DS", "NOERROR aa | au test. 30 SOA …"),
        ],
    );
}

#[test]
fn trees_lead_elsewhere() {
    let dname = "an tree.test. 60 DNAME …";
    let longest = format!("{}.far A", ["a"; 6].join("."));
    let (outcome, octets) = Ask::default().octets(&longest);
    assert!(outcome.starts_with("Answered(Answer"), "{outcome}");
    let too_long = text(&octets);
    assert!(too_long.starts_with("YXDOMAIN aa | an far. 60 DNAME …"), "{too_long}");
    check(
        &Ask::default(),
        &[
            ("tree.test DNAME", &format!("NOERROR aa | {dname}")),
            ("tree.test A", "NOERROR aa | au test. 30 SOA …"),
            (
                "www.tree.test A",
                &format!("NOERROR aa | {dname} | an www.tree.test. 60 CNAME www.other. | an www.other. 60 A 10.1.0.1"),
            ),
            (
                "a.b.tree.test A",
                &format!("NXDOMAIN aa | {dname} | an a.b.tree.test. 60 CNAME a.b.other. | au other. 30 SOA …"),
            ),
            ("www.tree.test CNAME", &format!("NOERROR aa | {dname} | an www.tree.test. 60 CNAME www.other.")),
        ],
    );
}

#[test]
fn lent_addresses_are_kept_no_longer_than_they_are_good() {
    check(
        &Ask::default(),
        &[
            ("lent.test A", "NOERROR aa | an lent.test. 10 A 10.0.0.8"),
            ("mail.test A", "NOERROR aa | an mail.test. 30 A 10.0.0.2"),
        ],
    );
}

#[test]
fn what_is_not_answered_here() {
    let update = Ask { opcode: Opcode::UPDATE, ..Ask::default() };
    let notify = Ask { opcode: Opcode::NOTIFY, ..Ask::default() };
    let status = Ask { opcode: Opcode(2), ..Ask::default() };
    let chaos = Ask { class: CLASS_CHAOS, ..Ask::default() };
    let any = Ask { class: CLASS_ANY, ..Ask::default() };
    let client = Ask { recursion: true, flags: Flags::RECURSION_DESIRED, ..Ask::default() };
    let mut newer = Edns::new(4096, false);
    newer.version = 1;
    let later = Ask { edns: Some(newer), ..Ask::default() };
    for (ask, question, expected) in [
        (&Ask::default(), "www.example.com A", "REFUSED"),
        (&Ask::default(), ". NS", "REFUSED"),
        (&Ask::default(), "a.old.test A", "SERVFAIL"),
        (&Ask::default(), "test AXFR", "Slow(Transfer)"),
        (&Ask::default(), "test IXFR", "Slow(Transfer)"),
        (&Ask::default(), "test TKEY", "NOTIMP"),
        (&update, "test SOA", "Slow(Update)"),
        (&notify, "test SOA", "Slow(Notify)"),
        (&status, "test SOA", "OPCODE2 NOTIMP"),
        (&chaos, "version.bind TXT", "REFUSED"),
        (&any, "www.test A", "REFUSED"),
        (&client, "www.example.com A", "Slow(Forward)"),
        (&client, "away.test A", "Slow(Forward)"),
        (&client, "x.sub.test A", "Slow(Forward)"),
        (&client, "www.test TXT", "NOERROR aa rd ra | an www.test. 60 TXT hello"),
        (&Ask { recursion: true, ..Ask::default() }, "www.example.com A", "REFUSED"),
    ] {
        assert_eq!(ask.of(question), expected, "{question}");
    }
    let (_, octets) = later.octets("www.test A");
    let answer = Message::read(&octets).expect("a message");
    let edns = answer.edns().expect("an OPT record");
    assert_eq!((edns.extended_rcode, edns.version, answer.flags().rcode()), (1, 0, Rcode(0)));
    assert_eq!(answer.header().counts, [1, 0, 0, 1]);
}

#[test]
fn flags_and_options_are_answered() {
    let flags = Flags::RECURSION_DESIRED.with(Flags::CHECKING_DISABLED).with(Flags::AUTHENTIC_DATA);
    let ask = Ask { flags, edns: Some(Edns::new(9_000, true)), ..Ask::default() };
    let (outcome, octets) = ask.octets("x.wild.test A");
    assert_eq!(outcome, "Answered(Answer, wild.test.)");
    let answer = Message::read(&octets).expect("a message");
    assert_eq!(format!("{:?}", answer.flags()), "QUERY NOERROR qr aa rd cd");
    let edns = answer.edns().expect("an OPT record");
    assert_eq!((edns.udp_size, edns.dnssec_ok, edns.version), (1232, true, 0));
    for (question, counted) in [
        ("www.test A", "Answered(Answer, www.test.)"),
        ("a.b.c.test A", "Answered(NoName, test.)"),
        ("a.b.sub.test A", "Answered(Referral, sub.test.)"),
        ("b.test A", "Answered(NoData, b.test.)"),
        ("x.y.wild.test TXT", "Answered(NoData, wild.test.)"),
        ("www.example.com A", "Answered(Error, .)"),
    ] {
        assert_eq!(ask.octets(question).0, counted);
    }
}

#[test]
fn what_does_not_fit_is_truncated() {
    let whole = Ask::default().octets("www.test A").1.len();
    let short = Ask { limit: whole - 1, ..Ask::default() };
    assert_eq!(short.of("www.test A"), "NOERROR aa tc");
    let edns = Some(Edns::new(512, false));
    assert_eq!(Ask { limit: whole + 10, edns, ..Ask::default() }.of("www.test A"), "NOERROR aa tc");
    assert!(!Ask { limit: whole + 11, edns, ..Ask::default() }.of("www.test A").contains("tc"));
    // The addresses that are only welcome go first, without a sign; glue that is needed is missed.
    let referral = Ask::default().octets("sub.test A").1.len();
    for (limit, expected) in [(referral - 1, false), (referral - 28, false), (referral - 28 - 17, true)] {
        let line = Ask { limit, ..Ask::default() }.of("sub.test A");
        assert_eq!(line.contains("tc"), expected, "{limit} {line}");
    }
    assert_eq!(udp_room(None), 512);
}

#[test]
fn octets_that_are_no_message_get_a_format_error() {
    let mut out = Vec::new();
    let cut = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x01";
    let error = Message::read(cut).expect_err("no message");
    assert!(matches!(malformed(cut, error, &mut out), Outcome::Answered(..)));
    assert_eq!(text(&out), "FORMERR rd");
    let response = b"\x12\x34\x80\x00\0\x01\0\0\0\0\0\0\x01";
    let error = Message::read(response).expect_err("no message");
    assert_eq!(malformed(response, error, &mut out), Outcome::Drop);
    assert_eq!(malformed(b"abc", crate::wire::WireError::NoHeader, &mut out), Outcome::Drop);
    let empty = Header { id: 0x1234, ..Header::default() }.write();
    let empty = Message::read(&empty).expect("a message");
    out.clear();
    respond(&empty, &zones(), &Room { limit: 512, ..Room::default() }, &mut out);
    assert_eq!(text(&out), "FORMERR");
    assert_eq!(empty.records(Section::Answer).count(), 0);
}

#[test]
fn the_closest_zone_is_found() {
    let zones = zones();
    let apex = |text: &str| zones.get(name(text).as_ref()).map(|served| served.zone.apex().to_string());
    assert_eq!(apex("a.b.c.TEST"), Some("test.".into()));
    assert_eq!(apex("x.child.tree.other"), Some("child.tree.other.".into()));
    assert_eq!(apex("tree.other"), Some("other.".into()));
    assert_eq!(apex("com"), None);
    assert_eq!(apex(&["a"; 127].join(".")), None);
    let mut fewer = zones.clone();
    fewer.remove(name("test").as_ref());
    assert!(fewer.get(name("www.test").as_ref()).is_none() && zones.at(name("test").as_ref()).is_some());
    let order: Vec<_> = fewer.iter().map(|served| served.zone.apex().to_string()).collect();
    assert_eq!(order, ["far.", "other.", "child.tree.other.", "old.test."]);
}

/// Mutations of queries: nothing panics, every answer is a message within its limit that says whose answer it is.
#[test]
fn no_query_breaks_it() {
    let zones = zones();
    let mut corpus = Vec::new();
    for question in ["www.test A", "x.y.wild.test MX", "long.test A", "a.b.tree.test A", "ns.sub.test A", "test NS"] {
        let (owner, rtype) = question.split_once(' ').expect("a name and a type");
        let (owner, rtype) = (name(owner), rtype.parse().expect("a type"));
        let mut query = Vec::new();
        let mut writer = Writer::new(&mut query, MAX_MESSAGE, Header { id: 0x1234, ..Header::default() });
        writer.question(Question { name: owner.as_ref(), rtype, class: CLASS_IN }).expect("room");
        writer.opt(&Edns::new(1232, true), Rcode::NOERROR, &[]).expect("room");
        corpus.push(query);
    }
    let mut seed = 1_u64;
    let mut below = |limit: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % limit as u64) as usize
    };
    let mut answered = 0;
    for _ in 0..50_000 {
        let mut query = corpus[below(corpus.len())].clone();
        for _ in 0..below(4) {
            // The number stays: the answer is to have it.
            let at = 2 + below(query.len() - 2);
            match below(4) {
                0 => query[at] ^= 1 << below(8),
                1 => query[at] = [0, 1, 0x2a, 0x3f, 0xc0, 0xff][below(6)],
                2 => query.insert(at, below(256) as u8),
                _ => query.truncate(at.max(13)),
            }
        }
        let room = Room { limit: 512 + below(1000), recursion: below(2) == 0, ..Room::default() };
        let mut out = Vec::new();
        let outcome = match Message::read(&query) {
            Ok(message) => format!("{:?}", respond(&message, &zones, &room, &mut out)),
            Err(error) => format!("{:?}", malformed(&query, error, &mut out)),
        };
        assert_eq!(outcome.starts_with("Answered"), !out.is_empty());
        if out.is_empty() {
            continue;
        }
        let answer = Message::read(&out).expect("an answer is a message");
        assert!(out.len() <= room.limit && answer.flags().has(Flags::RESPONSE) && answer.header().id == 0x1234);
        answered += 1;
    }
    assert!(answered > 30_000, "{answered}");
}

#[test]
fn who_it_is_is_said_where_it_is_told_and_never_what() {
    let ask = |owner: &str, rtype, identity| {
        let mut query = Vec::new();
        let header = Header { id: 7, flags: Flags::of(Opcode::QUERY), counts: [0; 4] };
        let mut writer = Writer::new(&mut query, MAX_MESSAGE, header);
        let owner = name(owner);
        writer.question(Question { name: owner.as_ref(), rtype, class: CLASS_CHAOS }).expect("room");
        let nsid = EdnsOption { code: EdnsOption::NSID, data: &[] };
        writer.opt(&Edns::new(1232, false), Rcode::NOERROR, &[nsid]).expect("room");
        let cookie = EdnsOption { code: EdnsOption::COOKIE, data: b"12345678" };
        let room = Room { limit: 512, identity, options: &[cookie], ..Room::default() };
        let mut out = Vec::new();
        respond(&Message::read(&query).expect("a query"), &zones(), &room, &mut out);
        let answer = Message::read(&out).expect("a message");
        let edns = answer.edns().expect("an OPT record");
        assert_eq!(edns.option(EdnsOption::COOKIE), Some(&b"12345678"[..]));
        let text = answer.records(Section::Answer).next().map(|record| {
            assert_eq!((record.class, record.ttl, record.name().expect("a name")), (CLASS_CHAOS, 0, owner.clone()));
            String::from_utf8_lossy(record.raw_rdata()).into_owned()
        });
        let nsid = edns.option(EdnsOption::NSID).map(|nsid| String::from_utf8_lossy(nsid).into_owned());
        (answer.flags().rcode(), text, nsid)
    };
    let (told, id) = (Some("\x03ns1".to_owned()), Some("ns1".to_owned()));
    for (owner, rtype, identity, expected) in [
        ("id.server", Rtype::TXT, Some("ns1"), (Rcode::NOERROR, told.clone(), id.clone())),
        ("Hostname.BIND", Rtype::ANY, Some("ns1"), (Rcode::NOERROR, told, id.clone())),
        ("version.bind", Rtype::TXT, Some("ns1"), (Rcode::REFUSED, None, id.clone())),
        ("id.server", Rtype::A, Some("ns1"), (Rcode::REFUSED, None, id.clone())),
        ("www.test", Rtype::TXT, Some("ns1"), (Rcode::REFUSED, None, id)),
        ("id.server", Rtype::TXT, None, (Rcode::REFUSED, None, None)),
        ("version.server", Rtype::TXT, None, (Rcode::REFUSED, None, None)),
    ] {
        assert_eq!(ask(owner, rtype, identity), expected, "{owner} {rtype} {identity:?}");
    }
}
