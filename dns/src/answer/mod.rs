//! Answers from zones: one query in, its answer out.
//!
//! [`Zones`] are all zones at one moment; [`respond()`] finds the closest one, looks the name up in it (cuts, aliases,
//! wildcards: `lookup`), follows aliases within what is served and writes the answer (`compose`), with proofs where they are
//! wanted (`proof`). What is no plain question is handed back as [`Outcome::Slow`]. **Invariants:** a query costs bounded work
//! whatever it asks ([`MAX_CHAIN`], the labels of a name) and, signed zones with hashed names apart, no allocation.

mod compose;
mod lookup;
mod proof;
mod respond;
#[cfg(test)]
mod tests;
mod zones;

pub use compose::MAX_CHAIN;
pub use respond::{MAX_OPTIONS, malformed, reject, respond, truncate};
pub use zones::{Fading, Served, Zones};

use crate::guard::Kind;
use crate::name::NameRef;
use crate::wire::EdnsOption;

/// What an answer may be, and what it takes from outside.
#[derive(Clone, Copy, Debug, Default)]
pub struct Room<'a> {
    /// The longest answer, in octets: over UDP what [`crate::guard::udp_room`] says; less where a signature follows.
    pub limit: usize,
    /// Whether names of no zone are resolved for this client.
    pub recursion: bool,
    /// Whether the signature of the query, if it has one, has been verified.
    pub verified: bool,
    /// Seconds since 1970.
    pub now: u64,
    /// Options for the OPT record, [`MAX_OPTIONS`] at most; left out when the query has none.
    pub options: &'a [EdnsOption<'a>],
    /// What the server calls itself when it is asked, if it says.
    pub identity: Option<&'a str>,
}

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'q> {
    /// The answer is written; it counts against its client as one of this kind, about this name.
    Answered(Kind, NameRef<'q>),
    /// Nothing is written: this needs somebody with time.
    Slow(Slow),
    /// Nothing is written, and nothing is to be sent.
    Drop,
}

/// Why a query is not answered here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slow {
    /// RFC 2136.
    Update,
    /// RFC 1996.
    Notify,
    /// AXFR or IXFR.
    Transfer,
    /// The query has a signature that is to be verified first.
    Signed,
    /// Another server knows the answer, or the end of it: our zones have a cut or an alias that leads away.
    Forward,
}
