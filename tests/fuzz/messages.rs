//! What the DNS server is sent: messages, questions, updates, signatures, transfers, cookies.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use dns::answer::{Outcome, Room, Served, Zones, malformed, respond};
use dns::guard::{Cookies, Secret, Standing};
use dns::name::Name;
use dns::record::{Record, Rtype};
use dns::settings::{Algorithm, Key, Pattern, Rule};
use dns::sign::{request_room, sign_request, verify};
use dns::text::{Source, no_include, read_zone};
use dns::transfer::{Asked, Content, Incoming, Notify, Outgoing, Progress, Query, Received, ask};
use dns::update::{Ground, Policy, Update, decide};
use dns::wire::{CLASS_IN, Flags, Header, MAX_MESSAGE, Message, Section, Writer};
use dns::zone::{Leases, Zone};

/// Seconds since 1970, for all that is signed.
const NOW: u64 = 1_700_000_000;
/// Messages of one transfer that are read.
const MAX_MESSAGES: usize = 20;
const SECTIONS: [Section; 3] = [Section::Answer, Section::Authority, Section::Additional];

const ZONE: &[u8] = b"$TTL 60
@ SOA ns admin 1 60 10 600 30\n NS ns\n NS ns.sub\n MX 10 mail\nns A 10.0.0.1\nmail A 10.0.0.2\nwww A 10.0.0.3
www TXT hello\nalias CNAME www\nround CNAME circle\ncircle CNAME round\n*.wild A 10.0.0.6\nx.ent.wild TXT below
*.walias CNAME x.wild\nsub NS ns.sub\nsub DS 1 8 2 00\nns.sub A 10.0.0.7\ntree DNAME wild\nloop DNAME loop
long DNAME a.a.a.a.a.a.a.a.a.a.a.a.a.long\n_s._tcp SRV 1 2 80 www\nsvc HTTPS 1 . alpn=h2\nx LOC 1 N 2 E 3m\n";

static HERE: LazyLock<Zone> = LazyLock::new(|| zone("test"));
static ZONES: LazyLock<Zones> =
    LazyLock::new(|| [zone("test"), zone("sub.test")].map(Served::new).into_iter().collect());

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn zone(apex: &str) -> Zone {
    read_zone(Source { file: "zone".into(), text: ZONE }, &name(apex), &mut no_include).unwrap()
}

fn key() -> Key {
    Key { name: name("k1"), algorithm: Algorithm::HmacSha256, secret: Box::from([7; 32]) }
}

/// What is read is written as a message that reads the same.
pub fn message(input: &[u8]) {
    let Ok(message) = Message::read(input) else { return };
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, MAX_MESSAGE, message.header());
    if let Some(question) = message.question() {
        writer.question(question).unwrap();
    }
    let mut written = SECTIONS.map(|_| Vec::new());
    for (section, kept) in SECTIONS.into_iter().zip(&mut written) {
        for raw in message.records(section) {
            let is_ours = raw.class == CLASS_IN && !matches!(raw.rtype, Rtype::OPT | Rtype::TSIG | Rtype::SIG);
            let Some(record) = raw.record().ok().filter(|_| is_ours) else { continue };
            if writer.record(section, &record).is_ok() {
                kept.push(record);
            }
        }
    }
    let again = Message::read(&out).unwrap();
    assert_eq!(again.question(), message.question());
    for (section, kept) in SECTIONS.into_iter().zip(written) {
        let read: Vec<Record> = again.records(section).map(|raw| raw.record().unwrap()).collect();
        assert_eq!(read, kept);
    }
}

/// A question is answered with a message that fits, says whose answer it is, and has nothing twice.
pub fn question(input: &[u8]) {
    for (limit, recursion) in [(512, true), (1232, false), (MAX_MESSAGE, false)] {
        let room = Room { limit, recursion, now: NOW, ..Room::default() };
        let mut out = Vec::new();
        let outcome = match Message::read(input) {
            Ok(query) => matches!(respond(&query, &ZONES, &room, &mut out), Outcome::Answered(..)),
            Err(error) => matches!(malformed(input, error, &mut out), Outcome::Answered(..)),
        };
        assert_eq!(outcome, !out.is_empty());
        if out.is_empty() {
            continue;
        }
        let answer = Message::read(&out).unwrap();
        assert!(out.len() <= limit && answer.flags().has(Flags::RESPONSE));
        assert_eq!(Some(answer.header().id), Header::read(input).map(|header| header.id));
        let all: Vec<Record> = answer.records(Section::Answer).map(|raw| raw.record().unwrap()).collect();
        assert!(all.iter().enumerate().all(|(at, record)| !all[..at].contains(record)), "{all:?}");
    }
}

/// An update is read as it is written, and leaves a zone with its start, its servers and the difference as it says.
pub fn update(input: &[u8]) {
    let Ok(message) = Message::read(input) else { return };
    let Ok(update) = Update::read(&message) else { return };
    if let Ok(octets) = update.write(message.header().id, 0) {
        let again = Update::read(&Message::read(&octets).unwrap()).unwrap();
        assert_eq!(again.operations, update.operations);
    }
    let before = &*HERE;
    let rule = Rule {
        key: name("k1"),
        names: vec![Pattern::Below(name("test")), Pattern::Exactly(name("test"))],
        types: None,
    };
    let (leases, policy) = (Leases::default(), Policy { rules: &[rule], aliases: &[], is_signed: false });
    let ground = Ground { zone: before, leases: &leases, policy };
    assert!(decide(&update, None, NOW, &ground).is_err());
    let Ok(outcome) = decide(&update, Some(name("K1").as_ref()), NOW, &ground) else { return };
    let is_changed = outcome.is_changed;
    let (after, change) = outcome.edit.finish().unwrap();
    assert_eq!(is_changed, after.serial().is_newer_than(before.serial()), "{update:?}");
    assert!(after.set(name("test").as_ref(), Rtype::NS).is_some());
    let again = before.apply(&change).unwrap();
    assert_eq!(sorted(&again), sorted(&after));
    for node in after.nodes() {
        let is_alone = node.set(Rtype::CNAME).is_none()
            || node.entries().iter().all(|entry| matches!(entry.set.rtype(), Rtype::CNAME | Rtype::KEY));
        assert!(is_alone, "{}", node.name());
    }
}

fn sorted(zone: &Zone) -> Vec<Record> {
    let mut records: Vec<Record> = zone.records().collect();
    records.sort();
    records
}

/// Nothing is believed to be signed but what was: the request of the corpus and the answer to it.
pub fn signature(input: &[u8]) {
    static SIGNED: LazyLock<[Vec<u8>; 2]> = LazyLock::new(signed);
    let public = Box::from(*b"\x02\x00\x03\x0f0123456789abcdef0123456789abcdef");
    let keys = [key(), Key { name: name("host.test"), algorithm: Algorithm::Sig0, secret: public }];
    let Ok(message) = Message::read(input) else { return };
    // The number may change on the way, and case is no difference.
    let is_like = |mine: &[u8]| mine[2..].eq_ignore_ascii_case(&input[2..]);
    match verify(&message, &keys, NOW) {
        Ok(Some(_)) => assert!(is_like(&SIGNED[0])),
        Ok(None) => assert!(message.signature().is_none()),
        Err(refusal) => {
            let mut answer = Header::default().write().to_vec();
            refusal.seal(&mut answer, NOW);
            Message::read(&answer).unwrap();
        }
    }
    let mut request = ask(Query::Soa(name("test").as_ref()), 1).unwrap();
    let mut answers = sign_request(&mut request, &keys[0], NOW).unwrap();
    assert!(answers.check(&message, NOW).is_err() || is_like(&SIGNED[1]));
}

/// A signed request for the start of authority, and a signed answer to it.
pub fn signed() -> [Vec<u8>; 2] {
    let keys = [key()];
    let mut request = ask(Query::Soa(name("test").as_ref()), 1).unwrap();
    let plain = request.len();
    sign_request(&mut request, &keys[0], NOW).unwrap();
    assert_eq!(request.len(), plain + request_room(&keys[0]));
    let query = Message::read(&request).unwrap();
    let mut signer = verify(&query, &keys, NOW).unwrap().unwrap().signer;
    let mut answer = Vec::new();
    let room = Room { limit: MAX_MESSAGE, verified: true, ..Room::default() };
    respond(&query, &ZONES, &room, &mut answer);
    signer.sign(&mut answer, NOW);
    [request, answer]
}

/// What comes out of messages, each with its length in front, is a zone, and goes out as one that arrives.
pub fn transfer(input: &[u8]) {
    for mut incoming in [Incoming::whole(name("test")), Incoming::since(HERE.clone())] {
        let mut rest = input;
        for _ in 0..MAX_MESSAGES {
            let Some((len, after)) = rest.split_first_chunk::<2>() else { break };
            let len = usize::from(u16::from_be_bytes(*len)).min(after.len());
            let Ok(message) = Message::read(&after[..len]) else { break };
            let _ = (Asked::read(&message), Notify::read(&message));
            rest = &after[len..];
            match incoming.read(&message) {
                Ok(Progress::More) => {}
                Ok(Progress::Done(received)) => {
                    arrived(received);
                    break;
                }
                Err(_) => break,
            }
        }
    }
}

fn arrived(received: Received) {
    let zone = match received {
        Received::Current(_) => return,
        Received::Whole(zone) => zone,
        Received::Changes(changes, zone) => {
            let last = changes.iter().fold(HERE.clone(), |zone, change| zone.apply(change).unwrap());
            assert_eq!(sorted(&last), sorted(&zone));
            zone
        }
    };
    let query = ask(Query::Whole(name("test").as_ref()), 1).unwrap();
    let mut outgoing = Outgoing::new(&Message::read(&query).unwrap(), &zone, Content::Whole).unwrap();
    let mut incoming = Incoming::whole(name("test"));
    loop {
        let mut message = Vec::new();
        assert!(outgoing.write(&mut message, 0).unwrap(), "it does not end");
        if let Progress::Done(received) = incoming.read(&Message::read(&message).unwrap()).unwrap() {
            let Received::Whole(again) = received else { panic!("{received:?}") };
            return assert_eq!(sorted(&again), sorted(&zone));
        }
    }
}

/// Only the cookie that is given out proves anything, and it does.
pub fn cookie(input: &[u8]) {
    let cookies = Cookies::new(Secret([3; 16]));
    let client = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    match cookies.judge(input, client, NOW) {
        Standing::Proven(_) => {
            assert!(matches!(cookies.judge(&input[..8], client, NOW), Standing::Unproven(made) if made == *input))
        }
        Standing::Unproven(made) => assert!(matches!(cookies.judge(&made, client, NOW), Standing::Proven(_))),
        Standing::Malformed => assert!(!matches!(input.len(), 8 | 16..=40)),
    }
}
