//! Zones as immutable snapshots.
//!
//! A [`Zone`] never changes: an [`Edit`] on one ends in another, with the [`Change`] between them, and what the edit did not
//! touch is shared by both. So a reader needs no lock, a journal and IXFR have their difference for nothing, and a writer
//! may throw an edit away. **Invariants:** a zone has exactly one SOA record, at its apex; every name between a name
//! with records and the apex has a node (an empty non-terminal, RFC 8020), and no other name has one.

mod builder;
mod chain;
mod change;
mod draft;
mod edit;
mod lease;
mod node;
pub mod nsec3;
mod settle;
mod soa;
mod table;
#[cfg(test)]
mod tests;

pub use builder::Builder;
pub use change::Change;
pub use edit::{Edit, EditError};
pub use lease::{Lease, Leases};
pub use node::{Entry, Node};
pub use soa::{Serial, Soa, SoaError};

use crate::name::{Name, NameRef};
use crate::record::{Record, RecordSet, Rtype};
use chain::Chain;
use table::Table;

/// One zone at one serial.
#[derive(Clone)]
pub struct Zone {
    apex: Name,
    /// Every name with records, and the empty ones between.
    names: Table,
    /// The owners of NSEC3 records: hashes, which are no names of the zone (RFC 5155, 7.2.8).
    hashes: Table,
    /// The owners of NSEC records in canonical order.
    nsec: Chain,
    /// The same for NSEC3.
    nsec3: Chain,
}

/// Why records are not a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// Without an SOA record at the apex there is no zone.
    #[error("the zone {0} has no SOA record")]
    NoSoa(Name),
    /// The SOA record's data is not one.
    #[error("the SOA record of {0} cannot be read")]
    Soa(Name, #[source] SoaError),
    /// A record that cannot be in this zone.
    #[error(transparent)]
    Edit(#[from] EditError),
}

impl Zone {
    /// The zone of these records, in any order.
    ///
    /// # Errors
    /// When one does not belong into the zone, or there is not exactly one SOA record.
    pub fn new(apex: Name, records: impl IntoIterator<Item = Record>) -> Result<Self, ZoneError> {
        let mut builder = Builder::new(apex);
        for record in records {
            builder.add(record)?;
        }
        builder.finish()
    }

    /// The name that the zone begins at.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The start of authority.
    pub fn soa(&self) -> Soa {
        self.set(self.apex.as_ref(), Rtype::SOA).and_then(|set| Soa::read(set.first()).ok()).unwrap_or_default()
    }

    /// The version of the zone.
    pub fn serial(&self) -> Serial {
        self.soa().serial
    }

    /// The node of the apex.
    pub fn top(&self) -> Option<&Node> {
        self.names.get(self.apex.as_ref())
    }

    /// The node of a name; nothing when the name does not exist. Wildcards and cuts are not looked at.
    pub fn node(&self, name: NameRef<'_>) -> Option<&Node> {
        self.names.get(name)
    }

    /// The records of a name and type.
    pub fn set(&self, name: NameRef<'_>, rtype: Rtype) -> Option<&RecordSet> {
        self.names.get(name)?.set(rtype)
    }

    /// The nodes, in no order, the empty ones included.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.names.iter()
    }

    /// The nodes with records: the names in canonical order, then the hashed ones in theirs.
    pub fn sorted(&self) -> Vec<&Node> {
        let mut sorted = Vec::new();
        for table in [&self.names, &self.hashes] {
            let mut nodes: Vec<_> = table.iter().filter(|node| !node.is_empty()).collect();
            nodes.sort_by_cached_key(|node| node.name().sort_key());
            sorted.append(&mut nodes);
        }
        sorted
    }

    /// The same, with the owners of NSEC3 records.
    pub fn all_nodes(&self) -> impl Iterator<Item = &Node> {
        self.names.iter().chain(self.hashes.iter())
    }

    /// How many names there are, the empty ones included.
    pub fn name_count(&self) -> usize {
        self.names.len()
    }

    /// All records, signatures included: the SOA first, the others in no order.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let soa = self.top().into_iter().flat_map(|top| top.records()).filter(|record| record.rtype == Rtype::SOA);
        let others = self.all_nodes().flat_map(Node::records);
        soa.chain(others.filter(|record| record.rtype != Rtype::SOA))
    }

    /// Whether the zone is signed: it has keys of its own and a chain of names.
    pub fn is_signed(&self) -> bool {
        !(self.nsec.is_empty() && self.nsec3.is_empty())
    }

    /// The node whose NSEC record is for `name` or covers it: the last in canonical order that is not after it.
    /// Nothing in a zone without NSEC.
    pub fn nsec_at_or_before(&self, name: NameRef<'_>) -> Option<&Node> {
        self.names.get(self.nsec.at_or_before(name)?)
    }

    /// The owner of an NSEC record before `name` in canonical order, around the beginning, and not `name` itself.
    pub fn nsec_before(&self, name: NameRef<'_>) -> Option<NameRef<'_>> {
        self.nsec.before(name)
    }

    /// The same for NSEC3; `hash` is the hashed name as a label, with the apex behind it.
    pub fn nsec3_at_or_before(&self, hash: NameRef<'_>) -> Option<&Node> {
        self.hashes.get(self.nsec3.at_or_before(hash)?)
    }

    /// The owner of an NSEC3 record before `hash`, around the beginning, and not `hash` itself.
    pub fn nsec3_before(&self, hash: NameRef<'_>) -> Option<NameRef<'_>> {
        self.nsec3.before(hash)
    }

    /// The node of a hashed name.
    pub fn nsec3_node(&self, hash: NameRef<'_>) -> Option<&Node> {
        self.hashes.get(hash)
    }

    /// The next owner of an NSEC record after `name` in canonical order, around the end.
    pub fn nsec_after(&self, name: NameRef<'_>) -> Option<NameRef<'_>> {
        self.nsec.after(name)
    }

    /// The next owner of an NSEC3 record after `hash`, around the end.
    pub fn nsec3_after(&self, hash: NameRef<'_>) -> Option<NameRef<'_>> {
        self.nsec3.after(hash)
    }

    /// Begins a change of this zone.
    pub fn edit(&self) -> Edit {
        Edit::of(self.clone())
    }

    /// This zone after `change`: what a journal or an IXFR says happened next.
    ///
    /// # Errors
    /// When the change does not fit: another serial, a record to remove that is not there, or one to add that is.
    pub fn apply(&self, change: &Change) -> Result<Self, ZoneError> {
        let mut edit = self.edit();
        edit.apply(change)?;
        edit.finish().map(|(zone, _)| zone)
    }
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} serial {} ({} names)", self.apex, self.serial(), self.name_count())
    }
}
