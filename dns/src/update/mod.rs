//! Dynamic updates (RFC 2136): from a message to a changed zone, or to the reason why not.
//!
//! [`Update::read`] turns octets into an [`Update`] that is right in form; [`decide`] holds it against a zone and says what
//! the zone becomes. The order of the checks is that of RFC 2136, 3, with two exceptions: all that is wrong in form is
//! found before anything is looked up, and who has no right in the zone at all learns nothing else (3.2 would let anybody
//! probe for names). The rights to single records are looked at after the prescan, since only a record of the zone can be
//! permitted. **Invariant:** an update is done as a whole or not at all; who gets an error has changed nothing.

mod apply;
mod lease;
mod policy;
mod prerequisites;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use apply::expire;
pub use lease::{LeaseTimes, MAX_LEASE, MIN_LEASE};
pub use policy::Policy;
pub use read::MAX_RECORDS;

use crate::name::{Name, NameRef};
use crate::record::{Record, Rtype};
use crate::wire::Rcode;
use crate::zone::{Edit, Lease, Leases, Zone};

/// What somebody wants to become of a zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The zone, by its apex.
    pub zone: Name,
    /// What must be so before; the first that is not decides the answer.
    pub prerequisites: Vec<Prerequisite>,
    /// What to do, in this order.
    pub operations: Vec<Operation>,
    /// How long the added records shall stay; nothing for good (RFC 9664).
    pub lease: Option<LeaseTimes>,
}

/// A condition (RFC 2136, 2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prerequisite {
    /// The name has at least one record.
    NameInUse(Name),
    /// The name has no record.
    NameNotInUse(Name),
    /// There is at least one record of this name and type.
    SetExists(Name, Rtype),
    /// There is no record of this name and type.
    SetAbsent(Name, Rtype),
    /// The records of this name and type are exactly these, whatever their order and TTL.
    SetEquals(Name, Rtype, Vec<Box<[u8]>>),
}

/// A change (RFC 2136, 2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Adds a record.
    Add(Record),
    /// Deletes the records of a name and type.
    DeleteSet(Name, Rtype),
    /// Deletes all records of a name.
    DeleteName(Name),
    /// Deletes one record.
    Delete(Name, Rtype, Box<[u8]>),
}

/// What an update is held against.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The zone as it is.
    pub zone: &'a Zone,
    /// The leases of its records.
    pub leases: &'a Leases,
    /// Who may do what in it.
    pub policy: Policy<'a>,
}

/// What becomes of a zone.
#[derive(Debug)]
pub struct Outcome {
    /// The zone with the update done, its serial advanced if anything changed.
    pub edit: Edit,
    /// Whether any record differs; if not, there is nothing to publish.
    pub is_changed: bool,
    /// The leases that begin, go on or end.
    pub leases: Vec<Lease>,
    /// What the answer says about leases, if the request asked for one.
    pub granted: Option<LeaseTimes>,
}

/// Does an update on a zone that it names, if it may be done. `signer` is the key that the message was signed with.
///
/// # Errors
/// The result code to answer with: NOTAUTH, REFUSED, NOTZONE, SERVFAIL, or that of the first prerequisite that fails.
pub fn decide(update: &Update, signer: Option<NameRef<'_>>, now_secs: u64, on: &Ground<'_>) -> Result<Outcome, Rcode> {
    let Ground { zone, leases, policy } = on;
    if update.zone != *zone.apex() {
        return Err(Rcode::NOTAUTH);
    }
    let signer = signer.filter(|signer| policy.knows(*signer)).ok_or(Rcode::REFUSED)?;
    prerequisites::check(zone, &update.prerequisites)?;
    let outside = |operation: &Operation| !operation.name().is_at_or_below(zone.apex().as_ref());
    if update.operations.iter().any(outside) {
        return Err(Rcode::NOTZONE);
    }
    if !update.operations.iter().all(|operation| policy.allows(signer, operation, zone)) {
        return Err(Rcode::REFUSED);
    }
    let mut edit = zone.edit();
    apply::apply(&mut edit, &update.operations, policy)?;
    let granted = update.lease.map(LeaseTimes::granted);
    let leases = lease::begun(&edit, update, leases, now_secs);
    let is_changed = apply::conclude(&mut edit)?;
    Ok(Outcome { edit, is_changed, leases, granted })
}

impl Operation {
    /// Whose records it is about.
    pub fn name(&self) -> NameRef<'_> {
        match self {
            Self::Add(record) => record.name.as_ref(),
            Self::DeleteSet(name, _) | Self::DeleteName(name) | Self::Delete(name, ..) => name.as_ref(),
        }
    }

    /// Of what type; nothing for all.
    pub fn rtype(&self) -> Option<Rtype> {
        match self {
            Self::Add(record) => Some(record.rtype),
            Self::DeleteSet(_, rtype) | Self::Delete(_, rtype, _) => Some(*rtype),
            Self::DeleteName(_) => None,
        }
    }
}

impl Prerequisite {
    /// Whose records it is about.
    pub fn name(&self) -> NameRef<'_> {
        match self {
            Self::NameInUse(name) | Self::NameNotInUse(name) => name.as_ref(),
            Self::SetExists(name, _) | Self::SetAbsent(name, _) | Self::SetEquals(name, ..) => name.as_ref(),
        }
    }
}
