//! Which of two holders stays, and which standby comes first.

use crate::units::{Health, NodeId, Priority, Term};

/// A holder's claim to the address. The greater one stays: the younger term, then the priority, then the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Claim {
    pub term: Term,
    pub priority: Priority,
    pub node: NodeId,
}

/// A candidate's fitness to take over. The greater one comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Fitness {
    pub health: Health,
    pub priority: Priority,
    pub node: NodeId,
}
