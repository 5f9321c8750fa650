//! What the registration machine wants done, in order.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use dns::name::Name;

use super::Entry;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Write down what may be at the server from now on, for the next start.
    Keep(BTreeSet<Entry>),
    /// Send an update in place of any that is on its way, and give its answer as an input.
    Send(Update),
    /// Tell people.
    Note(Note),
    /// The end is reached: nothing more will be sent.
    Done,
}

/// Counts updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UpdateId(pub u64);

/// One update (RFC 2136) with a lease (RFC 9664).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Its number.
    pub id: UpdateId,
    /// What it changes, all or nothing.
    pub changes: Vec<Change>,
    /// For what it adds.
    pub lease: Duration,
}

/// One change of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The name has these addresses and no others.
    Replace(Name, BTreeSet<IpAddr>),
    /// The name has this address, too.
    Add(Name, IpAddr),
    /// The name does not have this address.
    Remove(Name, IpAddr),
}

/// A change that people may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The server has these now.
    Registered {
        /// All that it was told.
        entries: BTreeSet<Entry>,
        /// For how long without a refresh; none if it knows no leases.
        lease: Option<Duration>,
    },
    /// The server cannot be told, or for another reason than before; it is tried again.
    Failing(Failure),
}

/// Why the server cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub why: String,
    /// Whether the server said no, rather than nothing.
    pub refused: bool,
}
