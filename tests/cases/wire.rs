//! The bytes of each kind of datagram: members of different versions meet on one LAN, so these must not change.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use gatehouse::units::{BootEpoch, Health, Mac, NodeId, Priority, Term, Time};
use gatehouse::wire::{
    Beacon, DmzAddresses, Intake, MemberInfo, Message, Nonce, Outbox, Presence, SiteKey, Stance, layout,
};

use crate::{case_file, golden};

const SENDER: NodeId = NodeId(*b"the sender's id.");
const OTHER: NodeId = NodeId(*b"another node's. ");

#[test]
fn every_kind_keeps_its_bytes() {
    for (name, message) in messages() {
        let bytes = outbox().seal(Term(3), &message);
        let file = format!("wire/{name}.hex");
        golden(&file, &picture(&message, &bytes));
        let stored = bytes_of(&std::fs::read_to_string(case_file(&file)).unwrap());
        let mut intake = Intake::new(key().public(), dmz().site_tag(), OTHER, BootEpoch(1));
        let taken = intake.take(Time::from_millis(1), IpAddr::V4(Ipv4Addr::LOCALHOST), &stored);
        assert_eq!(taken.map(|datagram| datagram.message), Ok(message), "{name}");
    }
}

fn key() -> SiteKey {
    SiteKey::from_seed(b"a seed of thirty-two bytes long.")
}

fn outbox() -> Outbox {
    Outbox::new(key(), dmz().site_tag(), SENDER, BootEpoch(2))
}

fn dmz() -> DmzAddresses {
    DmzAddresses { v4: Some(Ipv4Addr::new(192, 168, 1, 11)), v6: Some("fd00::11".parse().unwrap()) }
}

fn messages() -> Vec<(&'static str, Message)> {
    let member = MemberInfo { name: "küche".into(), priority: Priority(100), health: Health(90) };
    let beacon = Beacon {
        dmz: dmz(),
        member: member.clone(),
        mac: Mac([2, 0, 0x5e, 0, 0, 1]),
        interval: Duration::from_millis(100),
        lease: Duration::from_millis(180),
        members: 3,
        successors: vec![OTHER, SENDER],
    };
    let v4_only = Beacon { dmz: DmzAddresses { v6: None, ..dmz() }, successors: vec![], ..beacon.clone() };
    let presence = Presence { member, stance: Stance::Standby, next_within: Duration::from_secs(2) };
    vec![
        ("beacon", Message::Beacon(beacon)),
        ("beacon-v4", Message::Beacon(v4_only)),
        ("presence", Message::Presence(presence)),
        ("query", Message::Query(Nonce(0x0102_0304_0506_0708))),
        ("answer", Message::Answer { nonce: Nonce(1), holding: true }),
        ("prepare", Message::Prepare(Nonce(2))),
        ("ready", Message::Ready(Nonce(3))),
        ("go", Message::Go { to: OTHER, term: Term(4) }),
        ("released", Message::Released { leaving: true }),
        ("stale", Message::Stale { about: OTHER, epoch: BootEpoch(9) }),
    ]
}

/// The message, and its bytes cut into the header's parts, the body and the signature.
fn picture(message: &Message, bytes: &[u8]) -> String {
    let mut text = format!("# {message:?}\n");
    let signature = bytes.len() - layout::SIGNATURE..bytes.len();
    let parts = [
        ("dmz v4", layout::DMZ_V4),
        ("dmz v6", layout::DMZ_V6),
        ("magic", layout::MAGIC),
        ("version", layout::VERSION),
        ("kind", layout::KIND),
        ("flags", layout::FLAGS),
        ("key id", layout::KEY_ID),
        ("site", layout::SITE),
        ("node", layout::NODE),
        ("epoch", layout::EPOCH),
        ("sequence", layout::SEQUENCE),
        ("term", layout::TERM),
        ("body", layout::HEADER..signature.start),
        ("signature", signature),
    ];
    for (name, range) in parts {
        for (index, line) in bytes[range].chunks(32).enumerate() {
            let hex: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let note = if index == 0 { format!("  # {name}") } else { String::new() };
            writeln!(text, "{hex}{note}").unwrap();
        }
    }
    text
}

/// The bytes of a picture.
fn bytes_of(picture: &str) -> Vec<u8> {
    let digits: String = picture.lines().filter_map(|line| line.split('#').next()).map(str::trim).collect();
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
