//! Engines that talk across machines as if they were in one place.
//!
//! An engine is a mailbox with an id. Each node tells the others which it has; a message for a foreign one goes over the
//! *link* to its node, authenticated with the key of the engine that sends it.
//!
//! * [`table`]: which engines there are, at this node and at others.
//! * [`filter`]: which events a subscriber wants, judged where they are made.
//!
//! **Invariant:** nothing here knows of sockets, clocks or TLS.

pub mod filter;
pub mod table;

use std::fmt;

use data_encoding::HEXLOWER;

/// Names an engine everywhere: 16 random bytes, which a service keeps over restarts, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineId(pub [u8; 16]);

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_write(&self.0, f)
    }
}

impl fmt::Debug for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// How an engine's messages are proven. The node says it of each of its engines, so that a message that comes with less
/// is not taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// By an authenticator that only the two nodes can make: proof for the receiver, not for others.
    #[default]
    Mac,
    /// And by the engine's signature over all that goes at once.
    Batch,
    /// And by the engine's signature over each.
    Each,
}

impl Proof {
    /// Its number on the wire.
    pub fn code(self) -> u8 {
        match self {
            Proof::Mac => 0,
            Proof::Batch => 1,
            Proof::Each => 2,
        }
    }

    /// What has this number.
    pub fn from_code(code: u8) -> Option<Proof> {
        [Proof::Mac, Proof::Batch, Proof::Each].get(usize::from(code)).copied()
    }
}
