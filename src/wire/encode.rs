//! Values to bytes.
//!
//! Total like decoding: what does not fit the layout is brought into its bounds (a name is cut, a duration clamped),
//! so that whatever is encoded decodes. What fits comes back unchanged.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::layout::{
    DMZ_V4, DMZ_V6, EPOCH, HEADER, KEY_ID, KIND, MAGIC, MAGIC_VALUE, NODE, SEQUENCE, SITE, TERM, VERSION,
    VERSION_VALUE, kind, stance,
};
use super::{
    Beacon, Datagram, DmzAddresses, MAX_DATAGRAM, MAX_LEASE, MAX_NAME, MAX_NEXT_WITHIN, MAX_SUCCESSORS, MemberInfo,
    Message, Nonce, Presence, Stance,
};
use crate::units::{Health, KeyId};

/// The bytes of a datagram up to its signature.
pub fn unsigned(datagram: &Datagram, key: KeyId) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_DATAGRAM);
    out.extend_from_slice(&header(datagram, key));
    body(&mut out, &datagram.message);
    out
}

/// The DMZ addresses as the header has them; a family that is not used is zero.
pub fn dmz(addresses: DmzAddresses) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[DMZ_V4].copy_from_slice(&addresses.v4.unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
    bytes[DMZ_V6].copy_from_slice(&addresses.v6.unwrap_or(Ipv6Addr::UNSPECIFIED).octets());
    bytes
}

fn header(datagram: &Datagram, key: KeyId) -> [u8; HEADER] {
    let (number, addresses) = match &datagram.message {
        Message::Beacon(beacon) => (kind::BEACON, beacon.dmz),
        Message::Presence(_) => (kind::PRESENCE, DmzAddresses::default()),
        Message::Query(_) => (kind::QUERY, DmzAddresses::default()),
        Message::Answer { .. } => (kind::ANSWER, DmzAddresses::default()),
        Message::Prepare(_) => (kind::PREPARE, DmzAddresses::default()),
        Message::Ready(_) => (kind::READY, DmzAddresses::default()),
        Message::Go { .. } => (kind::GO, DmzAddresses::default()),
        Message::Released { .. } => (kind::RELEASED, DmzAddresses::default()),
        Message::Stale { .. } => (kind::STALE, DmzAddresses::default()),
    };
    let mut header = [0; HEADER];
    header[DMZ_V4.start..DMZ_V6.end].copy_from_slice(&dmz(addresses));
    header[MAGIC].copy_from_slice(&MAGIC_VALUE);
    header[VERSION].copy_from_slice(&[VERSION_VALUE]);
    header[KIND].copy_from_slice(&[number]);
    header[KEY_ID].copy_from_slice(&key.0);
    header[SITE].copy_from_slice(&datagram.site.0);
    header[NODE].copy_from_slice(&datagram.node.0);
    header[EPOCH].copy_from_slice(&datagram.epoch.0.to_be_bytes());
    header[SEQUENCE].copy_from_slice(&datagram.sequence.0.to_be_bytes());
    header[TERM].copy_from_slice(&datagram.term.0.to_be_bytes());
    header
}

fn body(out: &mut Vec<u8>, message: &Message) {
    match message {
        Message::Beacon(it) => beacon(out, it),
        Message::Presence(it) => presence(out, it),
        Message::Query(Nonce(nonce)) | Message::Prepare(Nonce(nonce)) | Message::Ready(Nonce(nonce)) => {
            out.extend_from_slice(&nonce.to_be_bytes());
        }
        Message::Answer { nonce, holding } => {
            out.extend_from_slice(&nonce.0.to_be_bytes());
            out.push(u8::from(*holding));
        }
        Message::Go { to, term } => {
            out.extend_from_slice(&to.0);
            out.extend_from_slice(&term.0.to_be_bytes());
        }
        Message::Released { leaving } => out.push(u8::from(*leaving)),
        Message::Stale { about, epoch } => {
            out.extend_from_slice(&about.0);
            out.extend_from_slice(&epoch.0.to_be_bytes());
        }
    }
}

fn beacon(out: &mut Vec<u8>, beacon: &Beacon) {
    out.extend_from_slice(&beacon.mac.0);
    out.extend_from_slice(&micros(beacon.interval).to_be_bytes());
    out.extend_from_slice(&micros(beacon.lease).to_be_bytes());
    out.extend_from_slice(&beacon.members.to_be_bytes());
    member(out, &beacon.member);
    let successors = beacon.successors.get(..MAX_SUCCESSORS).unwrap_or(&beacon.successors);
    out.push(successors.len().try_into().unwrap_or(0));
    successors.iter().for_each(|node| out.extend_from_slice(&node.0));
}

fn presence(out: &mut Vec<u8>, presence: &Presence) {
    out.push(match presence.stance {
        Stance::Observer => stance::OBSERVER,
        Stance::Probing => stance::PROBING,
        Stance::Standby => stance::STANDBY,
        Stance::Conflict => stance::CONFLICT,
    });
    out.extend_from_slice(&millis(presence.next_within).to_be_bytes());
    member(out, &presence.member);
}

fn member(out: &mut Vec<u8>, member: &MemberInfo) {
    out.push(member.priority.0);
    out.push(member.health.min(Health::FULL).0);
    let name = name(&member.name);
    out.push(name.len().try_into().unwrap_or(0));
    out.extend_from_slice(name.as_bytes());
}

/// The name without control characters, which a terminal would obey, and cut between two characters.
fn name(name: &str) -> String {
    let mut clean = String::with_capacity(MAX_NAME);
    for letter in name.chars().map(|letter| if letter.is_control() { '?' } else { letter }) {
        if clean.len() + letter.len_utf8() > MAX_NAME {
            break;
        }
        clean.push(letter);
    }
    clean
}

fn micros(span: Duration) -> u32 {
    span.clamp(Duration::from_micros(1), MAX_LEASE).as_micros().try_into().unwrap_or(u32::MAX)
}

fn millis(span: Duration) -> u32 {
    span.clamp(Duration::from_millis(1), MAX_NEXT_WITHIN).as_millis().try_into().unwrap_or(u32::MAX)
}
