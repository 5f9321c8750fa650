//! Effects and messages of the election as one readable line each.
//!
//! Nodes are written `n0`, `n1`, …: by convention the last four bytes of a test node's id are its number, and its
//! address is 10.0.0.1 plus that number.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gatehouse::election::{Dest, Effect, Note, Timing};
use gatehouse::units::NodeId;
use gatehouse::wire::{Message, Stance};

/// One effect.
pub fn effect(effect: &Effect) -> String {
    match effect {
        Effect::Configure => "configure".into(),
        Effect::Deconfigure => "deconfigure".into(),
        Effect::ShutGate => "shut gate".into(),
        Effect::SetLease(lease) => format!("let the gate stay open for {}", duration(*lease)),
        Effect::Send { to, term, message: said, not_after } => {
            let mut line = format!("send {} term {term} to {}", message(said), dest(to));
            if let Some(latest) = not_after {
                let _ = write!(line, " by {}", millis(latest.as_nanos()));
            }
            line
        }
        Effect::Announce => "announce".into(),
        Effect::Probe => "probe".into(),
        Effect::Note(note) => format!("note {}", self::note(note)),
        Effect::Finished => "finished".into(),
    }
}

/// One node.
pub fn node(id: NodeId) -> String {
    let [.., a, b, c, d] = id.0;
    format!("n{}", u32::from_be_bytes([a, b, c, d]))
}

/// Nanoseconds as milliseconds, with as many digits as it takes.
pub fn millis(nanos: u64) -> String {
    format!("{}ms", nanos as f64 / 1e6)
}

fn duration(span: Duration) -> String {
    millis(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}

/// One message.
pub fn message(message: &Message) -> String {
    match message {
        Message::Beacon(beacon) => {
            let order: Vec<String> = beacon.successors.iter().map(|id| node(*id)).collect();
            // The lease is said where it is not the one that follows from the interval.
            let usual = Timing::from_beacon(beacon.interval).map(|timing| timing.lease);
            let lease = format!(" lease {}", duration(beacon.lease));
            format!("beacon [{}]{}", order.join(" "), if usual == Ok(beacon.lease) { "" } else { &lease })
        }
        Message::Presence(presence) => {
            let stance = match presence.stance {
                Stance::Observer => "observer",
                Stance::Probing => "probing",
                Stance::Standby => "standby",
                Stance::Conflict => "conflict",
            };
            let member = &presence.member;
            let within = duration(presence.next_within);
            format!("presence {stance} priority {} health {} within {within}", member.priority.0, member.health.0)
        }
        Message::Query(_) => "query".into(),
        Message::Answer { holding, .. } => format!("answer {}", if *holding { "holding" } else { "not holding" }),
        Message::Prepare(_) => "prepare".into(),
        Message::Ready(_) => "ready".into(),
        Message::Go { to, term } => format!("go {} in {term}", node(*to)),
        Message::Released { leaving } => if *leaving { "released, leaving" } else { "released" }.into(),
        Message::Stale { about, .. } => format!("stale {}", node(*about)),
    }
}

fn dest(dest: &Dest) -> String {
    match dest {
        Dest::Group => "all".into(),
        Dest::Unicast(SocketAddr::V4(address)) => {
            format!("n{}", u32::from(*address.ip()).wrapping_sub(0x0a00_0001))
        }
        Dest::Unicast(address) => match address.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => ip.to_string(),
        },
    }
}

fn note(note: &Note) -> String {
    match note {
        Note::Role { from, to, reason } => format!("{from:?} -> {to:?} ({reason:?})"),
        Note::Holder { node: Some(id), term } => format!("holder {} term {term}", node(*id)),
        Note::Holder { node: None, term } => format!("no holder, term {term}"),
        Note::Joined { node: id, .. } => format!("joined {}", node(*id)),
        Note::Left { node: id, announced, .. } => {
            format!("left {}{}", node(*id), if *announced { "" } else { ", silently" })
        }
        Note::Stranger { mac, .. } => format!("stranger {mac}"),
        Note::Takeover { silence, reason } => match silence {
            Some(silence) => {
                format!("takeover after {} ({reason:?})", duration(*silence))
            }
            None => format!("takeover ({reason:?})"),
        },
        Note::LateBeacon { shut_micros } => format!("late beacon, shut {shut_micros}us"),
        Note::GiveUpRefused => "give-up refused".into(),
    }
}
