//! The states with the data each of them owns.

use std::net::SocketAddr;
use std::time::Duration;

use super::claim::Claim;
use super::effect::{Reason, State};
use crate::units::{Mac, NodeId, Term, Time};
use crate::wire::Nonce;

#[derive(Debug)]
pub(super) enum Phase {
    Down,
    Observer(Option<Following>),
    Probing(Probing),
    Standby(Following),
    Suspecting(Suspecting),
    Prepared(Prepared),
    Holding(Holding),
    HandingOver(HandingOver),
    Asking(Asking),
    Conflict(Conflict),
    /// For good; who holds from now on, as far as is known.
    Stopped(Option<NodeId>),
}

impl Phase {
    pub(super) fn state(&self) -> State {
        match self {
            Phase::Down => State::Down,
            Phase::Observer(_) => State::Observer,
            Phase::Probing(_) => State::Probing,
            Phase::Standby(_) => State::Standby,
            Phase::Suspecting(_) => State::Suspecting,
            Phase::Prepared(_) => State::Prepared,
            Phase::Holding(_) => State::Holding,
            Phase::HandingOver(_) => State::HandingOver,
            Phase::Asking(_) => State::Asking,
            Phase::Conflict(_) => State::Conflict,
            Phase::Stopped(_) => State::Stopped,
        }
    }
}

/// The holder that this member follows, as its last beacon described it.
#[derive(Clone, Debug)]
pub(super) struct Following {
    pub node: NodeId,
    pub address: SocketAddr,
    pub claim: Claim,
    pub mac: Mac,
    pub interval: Duration,
    pub lease: Duration,
    pub successors: Vec<NodeId>,
    /// How many members act before this one when the holder falls silent.
    pub turn: u32,
    pub heard: Time,
}

/// Watching the LAN and asking the wire before the first claim.
#[derive(Debug)]
pub(super) struct Probing {
    /// The term known when the watch began.
    pub known: Term,
    pub claim_at: Time,
    pub next_probe: Time,
    /// The watch is over; fitter candidates are given the time to ask first.
    pub in_turn: bool,
    pub seen: Sightings,
}

/// Who answered for the address although no beacon explains it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sightings {
    pub count: u32,
    pub last: Option<(Mac, Time)>,
}

impl Sightings {
    pub(super) fn note(&mut self, mac: Mac, now: Time) {
        self.count += 1;
        self.last = Some((mac, now));
    }
}

/// The holder is silent and is being asked.
#[derive(Debug)]
pub(super) struct Suspecting {
    pub following: Following,
    pub asked: u32,
    pub next_question: Time,
    pub claim_at: Time,
    pub seen: Sightings,
    pub reason: Reason,
}

/// The address is on, the gate shut: the holder is about to say "go".
#[derive(Debug)]
pub(super) struct Prepared {
    pub following: Following,
    /// When the holder was last told that the address is on; its word must follow soon.
    pub ready: Time,
    pub until: Time,
    /// The word has come: hold in this term.
    pub go: Option<Term>,
}

/// This member answers for the address.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    pub term: Term,
    /// When the last beacon left; the lease counts from here.
    pub last_beacon: Time,
    /// The one before, should the last one turn out not to have left.
    pub previous_beacon: Time,
    pub next_beacon: Time,
    pub announced: usize,
    pub next_announce: Time,
    /// The better member that is waiting for its time, and since when.
    pub preferred: Option<(NodeId, Time)>,
    /// No offer before this: the last one found nobody.
    pub next_offer: Time,
    pub next_defence: Time,
}

/// This member is making room for another.
#[derive(Debug)]
pub(super) struct HandingOver {
    pub holding: Holding,
    pub to: Successor,
    pub rest: Vec<Successor>,
    pub stage: Stage,
    pub after: After,
    pub reason: Reason,
}

impl HandingOver {
    pub(super) fn still_holding(&self) -> bool {
        matches!(self.stage, Stage::Preparing { .. })
    }
}

/// Whom the address is handed to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Successor {
    pub node: NodeId,
    pub address: SocketAddr,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Still holding; the successor puts the address on.
    Preparing { nonce: Nonce, resend: Time, until: Time },
    /// No longer holding; waiting for the successor's first beacon. The others are told who is named when that beacon
    /// is late.
    Going { term: Term, resend: Time, until: Time, told: bool },
}

/// What follows a handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Stay,
    Leave,
}

/// Nobody is known to hold: asks everyone before it does.
#[derive(Debug)]
pub(super) struct Asking {
    pub asked: u32,
    pub next_question: Time,
    pub claim_at: Time,
    pub seen: Sightings,
    pub reason: Reason,
    /// How often somebody answered for the address, and everybody was asked again.
    pub again: u32,
}

/// A stranger uses the address.
#[derive(Debug)]
pub(super) struct Conflict {
    pub next_probe: Time,
    pub unanswered: u32,
    pub next_complaint: Time,
}

/// When a tick is wanted, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The moment.
    pub at: Time,
    /// The question that the tick answers.
    pub why: Why,
}

/// What a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The next beacon is due.
    Beacon,
    /// The address is to be announced again.
    Announce,
    /// The holder has been silent for long enough to ask.
    Suspect,
    /// The next question or probe is due.
    Question,
    /// Nobody answered: time to claim.
    Claim,
    /// A handover made no progress.
    Handover,
    /// A sign of life is due.
    Presence,
    /// A release that failed is said once its lease has run out.
    Release,
    /// The kernel is to be asked for another lease, or has granted it.
    Lease,
    /// Silent members are forgotten.
    Housekeeping,
}
