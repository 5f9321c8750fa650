//! The LAN datagrams: bytes to values and back.
//!
//! Layout (big endian): bytes 0..4 the DMZ IPv4 address *if and only if* this is a holder's beacon, else zero; 4..20
//! likewise the IPv6 address (the kernel's lease reads them there); then magic, version, kind, flags, key id, site
//! tag, node id, boot epoch, sequence, term, body, and an Ed25519 signature over all of it.
//!
//! A datagram goes out through [`Outbox::seal`] and comes in through [`Intake::take`]; the words between are here.
//!
//! Pure: no socket, no clock. **Invariant:** decoding is total; no datagram can make it panic or allocate more than
//! [`MAX_DATAGRAM`] bytes. **Invariant:** nothing of a datagram is believed before its signature has verified.

mod budget;
pub mod decode;
pub mod encode;
mod guard;
mod intake;
mod key;
pub mod layout;
mod outbox;
#[cfg(test)]
mod tests;

pub use decode::DecodeError;
pub use guard::{Verdict, Window};
pub use intake::{Drop, Intake, MAX_SENDERS};
pub use key::{KeyError, Keyring, PublicKey, SiteKey};
pub use outbox::Outbox;

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::units::{BootEpoch, Health, Mac, NodeId, Priority, Sequence, SiteTag, Term};

/// No datagram is longer; it fits one Ethernet frame with room for tunnels.
pub const MAX_DATAGRAM: usize = 1200;
/// A member's name in a datagram is cut to this many bytes, as a host name's label is (RFC 1035, 2.3.4).
pub const MAX_NAME: usize = 63;
/// A beacon names at most this many successors; more could not act before the first ones have.
pub const MAX_SUCCESSORS: usize = 8;
/// No beacon interval or lease in a datagram is longer.
pub const MAX_LEASE: Duration = Duration::from_secs(60);
/// No member promises to be heard only after a longer time than this.
pub const MAX_NEXT_WITHIN: Duration = Duration::from_secs(3_600);

/// The addresses the site's gateway forwards to: IPv4, IPv6 or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DmzAddresses {
    /// The IPv4 address, if the site has one.
    pub v4: Option<Ipv4Addr>,
    /// The IPv6 address, if the site has one.
    pub v6: Option<Ipv6Addr>,
}

impl DmzAddresses {
    /// What tells this site apart from others on the same LAN.
    pub fn site_tag(self) -> SiteTag {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(encode::dmz(self)));
        SiteTag([a, b, c, d])
    }
}

/// Who says it, and when in the sender's own counting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datagram {
    /// The site it speaks of.
    pub site: SiteTag,
    /// The sender.
    pub node: NodeId,
    /// The sender's start count.
    pub epoch: BootEpoch,
    /// The sender's datagram count since that start.
    pub sequence: Sequence,
    /// The highest term the sender knows; in a beacon, the term it holds.
    pub term: Term,
    /// What it says.
    pub message: Message,
}

/// What a datagram says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// "I hold the DMZ address": multicast every beacon interval; its leaving the NIC renews the kernel's lease.
    Beacon(Beacon),
    /// "I am here": from everyone else, at a rate that the group shares.
    Presence(Presence),
    /// "Do you still hold?" Asked directly before a takeover, and by a member that was frozen.
    Query(Nonce),
    /// The answer to [`Message::Query`].
    Answer {
        /// Copied from the query.
        nonce: Nonce,
        /// Whether the sender's gate is open: it holds.
        holding: bool,
    },
    /// "Configure the address, keep the gate shut": the holder prepares its successor.
    Prepare(Nonce),
    /// "Configured, waiting": the answer to [`Message::Prepare`].
    Ready(Nonce),
    /// "My gate is shut; you hold now, in `term`." The datagram's own term is still the old one.
    Go {
        /// Who shall hold.
        to: NodeId,
        /// The term to hold in.
        term: Term,
    },
    /// "I no longer answer": sent only after the gate is shut and the address removed.
    Released {
        /// Whether the sender leaves the site altogether.
        leaving: bool,
    },
    /// "You speak with an old boot epoch": tells a member that lost its state what to count from.
    Stale {
        /// The member that is meant.
        about: NodeId,
        /// The newest epoch seen of it.
        epoch: BootEpoch,
    },
}

/// Ties an answer to its question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(pub u64);

/// The holder's periodic announcement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beacon {
    /// The addresses held; the datagram's first 20 bytes.
    pub dmz: DmzAddresses,
    /// Who it is.
    pub member: MemberInfo,
    /// The hardware address that answers for the DMZ address.
    pub mac: Mac,
    /// The time between two beacons; whole microseconds.
    pub interval: Duration,
    /// How long the kernel answers after a beacon; whole microseconds.
    pub lease: Duration,
    /// How many members the holder knows, itself included.
    pub members: u16,
    /// Who takes over, first one first.
    pub successors: Vec<NodeId>,
}

/// A member's sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// Who it is.
    pub member: MemberInfo,
    /// What it does now.
    pub stance: Stance,
    /// It promises to be heard again within this time; whole milliseconds.
    pub next_within: Duration,
}

/// What every sign of life says of its sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// Its name, for people; not unique.
    pub name: String,
    /// How much it wants to hold.
    pub priority: Priority,
    /// How fit it is to serve.
    pub health: Health,
}

/// What a member that does not hold is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Stance {
    /// Never holds.
    Observer,
    /// Finding out whether the address is taken.
    Probing,
    /// Ready to take over.
    Standby,
    /// Sees a stranger use the address.
    Conflict,
}
