//! What is fuzzed, and what each decoder promises beyond not panicking.

#[path = "election.rs"]
mod election;
#[path = "fabric.rs"]
mod fabric_identity;
#[path = "messages.rs"]
pub mod messages;
#[path = "texts.rs"]
pub mod texts;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use gatehouse::config::{Surroundings, parse_duration, parse_within};
use gatehouse::lan::health::dns::{Question, Reply};
use gatehouse::units::{BootEpoch, NodeId, SiteTag, Term, Time};
use gatehouse::wire::{Intake, Message, Nonce, Outbox, SiteKey, decode, encode};
use netconfig::frame;

/// Panics when its decoder breaks a promise.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("wire-decode", wire_decode),
    ("intake-take", intake_take),
    ("config-parse", config_parse),
    ("duration-parse", duration_parse),
    ("dns-reply", dns_reply),
    ("frame-claim", frame_claim),
    ("election-step", election::election_step),
    ("dns-message", messages::message),
    ("dns-question", messages::question),
    ("dns-update", messages::update),
    ("dns-signature", messages::signature),
    ("dns-transfer", messages::transfer),
    ("dns-cookie", messages::cookie),
    ("dns-name", texts::name),
    ("dns-data", texts::data),
    ("dns-zone-file", texts::zone_file),
    ("dns-key-file", texts::key_file),
    ("dns-journal", texts::journal),
    ("dns-router", texts::router),
    ("fabric-certificate", fabric_identity::certificate),
    ("fabric-files", fabric_identity::files),
    ("fabric-names", fabric_identity::names),
    ("fabric-replay", fabric_identity::replay),
    ("fabric-request", fabric_identity::request),
    ("fabric-revocation", fabric_identity::revocation),
];

/// A datagram that decodes encodes to the very same bytes: no two byte strings have one meaning.
fn wire_decode(input: &[u8]) {
    let Ok(parts) = decode::parts(input) else { return };
    let Ok(datagram) = parts.datagram() else { return };
    assert_eq!(encode::unsigned(&datagram, parts.header.key), parts.signed, "{datagram:?}");
}

/// Whatever is sent, repeated, forged and delayed: each datagram is delivered at most once, none that was changed on
/// the way, and none of this member's own. Each three bytes of the input are one thing that happens.
fn intake_take(input: &[u8]) {
    const SITE: SiteTag = SiteTag([7; 4]);
    const OWN: NodeId = NodeId([0; 16]);
    let key = SiteKey::from_seed(&[1; 32]);
    let mut intake = Intake::new(key.public(), SITE, OWN, BootEpoch(1));
    let mut senders =
        [OWN, NodeId([1; 16]), NodeId([2; 16])].map(|node| Outbox::new(key.clone(), SITE, node, BootEpoch(1)));
    let (mut now, mut sent, mut delivered) = (Time::from_millis(1), Vec::<Vec<u8>>::new(), BTreeSet::new());
    for event in input.chunks_exact(3).take(200) {
        let [what, a, b] = [event[0], event[1], event[2]].map(usize::from);
        let message = if b % 2 == 0 { Message::Query(Nonce(7)) } else { Message::Released { leaving: b % 3 == 0 } };
        let sender = &mut senders[a % 3];
        let (bytes, changed): (Vec<u8>, bool) = match (what % 6, sent.is_empty()) {
            (0, _) | (_, true) => (sender.seal(Term(b as u64), &message), false),
            (1, false) => (sent[b % sent.len()].clone(), false),
            (2, false) => {
                let mut bytes = sent[b % sent.len()].clone();
                let at = a * 7 % bytes.len();
                bytes[at] ^= 1 << (b % 8);
                (bytes, true)
            }
            (3, false) => {
                sender.raise_epoch(BootEpoch(b as u64));
                continue;
            }
            (4, false) => {
                // Sealed but not heard yet: it comes late or never.
                sent.push(sender.seal(Term(1), &message));
                continue;
            }
            (_, false) => {
                now = now + Duration::from_millis((a * b) as u64);
                continue;
            }
        };
        let from = IpAddr::V4(Ipv4Addr::new(10, 0, 0, (b % 4) as u8));
        if let Ok(datagram) = intake.take(now, from, &bytes) {
            assert!(!changed, "a changed datagram was delivered: {datagram:?}");
            assert_ne!(datagram.node, OWN, "its own datagram was delivered");
            assert!(delivered.insert((datagram.node, datagram.epoch, datagram.sequence)), "twice: {datagram:?}");
        }
        if !changed {
            sent.push(bytes);
        }
    }
}

/// A configuration means settings that fit each other, or its problems can be shown in a picture.
fn config_parse(input: &[u8]) {
    let surroundings = Surroundings {
        hostname: "box".into(),
        root: true,
        state_home: PathBuf::from("/var/lib"),
        inspect_key: |_| Ok(()),
        read: |_| Err(std::io::ErrorKind::NotFound.into()),
    };
    match parse_within(&String::from_utf8_lossy(input), "gatehouse.toml", &surroundings) {
        Ok(settings) => assert_eq!(settings.lan.timing.checked(), Ok(settings.lan.timing)),
        Err(error) => assert!(!error.picture(false).is_empty()),
    }
}

/// A duration that is understood is the same when it is written in another unit.
fn duration_parse(input: &[u8]) {
    if let Ok(span) = parse_duration(&String::from_utf8_lossy(input)) {
        let nanos = span.as_nanos();
        assert_eq!(parse_duration(&format!("{}.{:03}us", nanos / 1_000, nanos % 1_000)), Ok(span));
    }
}

/// A datagram that answers the question carries its id, is a response, and repeats the name.
fn dns_reply(input: &[u8]) {
    let question = Question::new([0xab, 0xcd], "example.org");
    if let Reply::Good { .. } = question.read(input) {
        let asked = question.encode();
        assert_eq!(input[..2], asked[..2]);
        assert_eq!(input[2] & 0x80, 0x80);
        assert!(input[12..asked.len()].eq_ignore_ascii_case(&asked[12..]));
    }
}

/// What a frame claims can be announced, and the announcement claims the same.
fn frame_claim(input: &[u8]) {
    let Some(claim) = frame::claim(input) else { return };
    let announcement = match claim.ip {
        IpAddr::V4(address) if address.is_unspecified() => return,
        IpAddr::V4(address) => frame::arp_announcement(claim.mac, address),
        IpAddr::V6(address) => frame::neighbor_announcement(claim.mac, address),
    };
    assert_eq!(frame::claim(&announcement), Some(claim));
}
