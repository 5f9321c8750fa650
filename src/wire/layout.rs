//! Where each field of the fixed header lies, and the numbers that stand for message kinds.
//!
//! All integers are big endian. After the header come the body, whose shape the kind decides, and the signature.

use std::ops::Range;

/// The DMZ IPv4 address in a holder's beacon, else zero; the kernel's lease reads it here.
pub const DMZ_V4: Range<usize> = 0..4;
/// The DMZ IPv6 address in a holder's beacon, else zero; the kernel's lease reads it here.
pub const DMZ_V6: Range<usize> = 4..20;
/// [`MAGIC_VALUE`].
pub const MAGIC: Range<usize> = 20..24;
/// [`VERSION_VALUE`].
pub const VERSION: Range<usize> = 24..25;
/// One of [`kind`].
pub const KIND: Range<usize> = 25..26;
/// Zero; for what later versions may add without a new version number.
pub const FLAGS: Range<usize> = 26..28;
/// The fingerprint of the key that signs.
pub const KEY_ID: Range<usize> = 28..36;
/// The site.
pub const SITE: Range<usize> = 36..40;
/// The sender.
pub const NODE: Range<usize> = 40..56;
/// The sender's start count.
pub const EPOCH: Range<usize> = 56..64;
/// The sender's datagram count since then.
pub const SEQUENCE: Range<usize> = 64..72;
/// The highest term the sender knows.
pub const TERM: Range<usize> = 72..80;

/// The length of the header; the body starts here.
pub const HEADER: usize = TERM.end;
/// The length of the signature at the end.
pub const SIGNATURE: usize = 64;

/// Marks a datagram as one of ours.
pub const MAGIC_VALUE: [u8; 4] = *b"Gate";
/// The layout's version; another one is not read.
pub const VERSION_VALUE: u8 = 1;

/// The numbers that stand for message kinds.
pub mod kind {
    /// [`Message::Beacon`](crate::wire::Message::Beacon).
    pub const BEACON: u8 = 1;
    /// [`Message::Presence`](crate::wire::Message::Presence).
    pub const PRESENCE: u8 = 2;
    /// [`Message::Query`](crate::wire::Message::Query).
    pub const QUERY: u8 = 3;
    /// [`Message::Answer`](crate::wire::Message::Answer).
    pub const ANSWER: u8 = 4;
    /// [`Message::Prepare`](crate::wire::Message::Prepare).
    pub const PREPARE: u8 = 5;
    /// [`Message::Ready`](crate::wire::Message::Ready).
    pub const READY: u8 = 6;
    /// [`Message::Go`](crate::wire::Message::Go).
    pub const GO: u8 = 7;
    /// [`Message::Released`](crate::wire::Message::Released).
    pub const RELEASED: u8 = 8;
    /// [`Message::Stale`](crate::wire::Message::Stale).
    pub const STALE: u8 = 9;
}

/// The numbers that stand for stances.
pub mod stance {
    /// [`Stance::Observer`](crate::wire::Stance::Observer).
    pub const OBSERVER: u8 = 0;
    /// [`Stance::Probing`](crate::wire::Stance::Probing).
    pub const PROBING: u8 = 1;
    /// [`Stance::Standby`](crate::wire::Stance::Standby).
    pub const STANDBY: u8 = 2;
    /// [`Stance::Conflict`](crate::wire::Stance::Conflict).
    pub const CONFLICT: u8 = 3;
}
