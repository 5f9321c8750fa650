//! One change of a zone, from begin to end.
//!
//! An edit reads through to the zone it began from. It keeps a draft of each name that it touches; [`Edit::finish`] compares
//! the drafts with what was there, so that the [`Change`] holds what really differs and nothing that was done and undone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::draft::{Draft, DraftSet};
use super::node::{Entry, Node};
use super::settle::Side;
use super::{Chain, Change, Soa, Table, Zone, ZoneError};
use crate::name::{Name, NameRef};
use crate::rdata::is_same;
use crate::record::{Record, RecordSet, Rtype};

/// A change being made.
#[derive(Debug)]
pub struct Edit {
    base: Zone,
    drafts: BTreeMap<(Side, Name), Draft>,
}

/// Why a record cannot be added or removed. The edit is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It is not at or below the apex.
    #[error("{0} is not in the zone")]
    OutOfZone(Name),
    /// A query type, OPT or the like.
    #[error("{1} of {0} is no data for a zone")]
    Meta(Name, Rtype),
    /// SOA is at the apex and nowhere else.
    #[error("{0} has an SOA record below the apex of the zone")]
    SoaBelow(Name),
    /// A second one where there can be one only (SOA, CNAME, DNAME).
    #[error("{0} has more than one {1} record")]
    Single(Name, Rtype),
    /// RFC 2181, 10.1.
    #[error("{0} has a CNAME record and other records beside it")]
    CnameAndOther(Name),
    /// More records of one type than one message carries, which no client could be told.
    #[error("{0} has more {1} records than a message can carry")]
    TooMany(Name, Rtype),
    /// A change wants to remove what is not there.
    #[error("there is no such {1} record of {0} to remove")]
    Missing(Name, Rtype),
    /// A change wants to add what is there.
    #[error("the {1} record of {0} to add is there already")]
    Exists(Name, Rtype),
}

impl Edit {
    /// Begins with nothing.
    pub fn empty(apex: Name) -> Self {
        let (names, hashes) = (Table::new(), Table::new());
        Self::of(Zone { apex, names, hashes, nsec: Chain::default(), nsec3: Chain::default() })
    }

    pub(super) fn of(base: Zone) -> Self {
        Self { base, drafts: BTreeMap::new() }
    }

    /// The zone as it was.
    pub fn base(&self) -> &Zone {
        &self.base
    }

    /// The names touched so far, in canonical order; hashed ones left out.
    pub fn touched(&self) -> impl Iterator<Item = NameRef<'_>> {
        self.drafts.keys().filter(|(side, _)| *side == Side::Names).map(|(_, name)| name.as_ref())
    }

    /// Whether the name has any record now.
    pub fn has_records(&self, name: NameRef<'_>) -> bool {
        match self.draft(Side::Names, name) {
            Some(draft) => !draft.0.is_empty(),
            None => self.base.node(name).is_some_and(|node| !node.is_empty()),
        }
    }

    /// The types that the name has now, signatures left out.
    pub fn types(&self, name: NameRef<'_>) -> Vec<Rtype> {
        match self.draft(Side::Names, name) {
            Some(draft) => draft.0.iter().map(|set| set.rtype).filter(|rtype| *rtype != Rtype::RRSIG).collect(),
            None => self
                .base
                .node(name)
                .map(|node| node.entries().iter().map(|e| e.set.rtype()).collect())
                .unwrap_or_default(),
        }
    }

    /// The records of a name and type now; not for RRSIG.
    pub fn set(&self, name: NameRef<'_>, rtype: Rtype) -> Option<RecordSet> {
        match self.draft(Side::of(rtype, &[]), name) {
            Some(draft) => draft.0.iter().find(|set| set.rtype == rtype)?.build(),
            None => self.base.table(Side::of(rtype, &[])).get(name)?.set(rtype).cloned(),
        }
    }

    /// The signatures of the records of a name and type now.
    pub fn signatures(&self, name: NameRef<'_>, covered: Rtype) -> Option<RecordSet> {
        let side = Side::of(covered, &[]);
        match self.draft(side, name) {
            Some(draft) => draft.0.iter().find(|set| set.rtype == Rtype::RRSIG && set.covers == covered)?.build(),
            None => self.base.table(side).get(name)?.entry(covered)?.signatures.as_deref().cloned(),
        }
    }

    /// How many records of a name and type there are now.
    pub fn count(&self, name: NameRef<'_>, rtype: Rtype) -> usize {
        match self.draft(Side::of(rtype, &[]), name) {
            Some(draft) => draft.0.iter().filter(|set| set.rtype == rtype).map(|set| set.rdata.len()).sum(),
            None => self
                .base
                .table(Side::of(rtype, &[]))
                .get(name)
                .and_then(|node| node.set(rtype))
                .map_or(0, |set| set.count().into()),
        }
    }

    /// The data that a record has in the zone now: as `rdata`, perhaps in another case.
    pub fn find(&self, name: NameRef<'_>, rtype: Rtype, rdata: &[u8]) -> Option<&[u8]> {
        let side = Side::of(rtype, rdata);
        let same = |mine: &&[u8]| is_same(rtype, mine, rdata);
        match self.draft(side, name) {
            Some(draft) => {
                let sets = draft.0.iter().filter(|set| set.rtype == rtype);
                sets.flat_map(|set| set.rdata.iter().map(AsRef::as_ref)).find(same)
            }
            None => self.base.table(side).get(name)?.set(rtype)?.rdata().find(same),
        }
    }

    /// The start of authority now.
    pub fn soa(&self) -> Option<Soa> {
        Soa::read(self.set(self.base.apex.as_ref(), Rtype::SOA)?.first()).ok()
    }

    /// Adds a record; whether it was not there with this TTL. The set gets the record's TTL (RFC 2181, 5.2). The case of
    /// names in data does not count: the data that was there first stays.
    ///
    /// # Errors
    /// When the record cannot be in this zone.
    pub fn add(&mut self, record: Record) -> Result<bool, EditError> {
        self.base.check(&record)?;
        let side = Side::of(record.rtype, &record.rdata);
        self.draft_mut(side, &record.name).add(record)
    }

    /// Removes a record, whatever its TTL; whether it was there.
    pub fn remove(&mut self, name: NameRef<'_>, rtype: Rtype, rdata: &[u8]) -> bool {
        let mut removed = false;
        self.retain(name, Side::of(rtype, rdata), |set| {
            removed |= set.rtype == rtype && set.remove(rdata);
            !set.rdata.is_empty()
        });
        removed
    }

    /// Removes all records of a name and type, their signatures left; for RRSIG all signatures.
    pub fn remove_set(&mut self, name: NameRef<'_>, rtype: Rtype) {
        self.retain(name, Side::of(rtype, &[]), |set| set.rtype != rtype);
    }

    /// Removes the signatures of the records of a name and type.
    pub fn remove_signatures(&mut self, name: NameRef<'_>, covered: Rtype) {
        self.retain(name, Side::of(covered, &[]), |set| set.rtype != Rtype::RRSIG || set.covers != covered);
    }

    /// Removes all records of a name of the types that `which` wants.
    pub fn remove_types(&mut self, name: NameRef<'_>, which: impl Fn(Rtype) -> bool) {
        self.retain(name, Side::Names, |set| !which(set.rtype));
    }

    /// Puts another start of authority in the place of the one there is, if any, with its TTL.
    ///
    /// # Errors
    /// When the zone cannot have it.
    pub fn set_soa(&mut self, soa: &Soa, ttl: u32) -> Result<(), EditError> {
        let apex = self.base.apex.clone();
        self.remove_set(apex.as_ref(), Rtype::SOA);
        self.add(Record { name: apex, rtype: Rtype::SOA, ttl, rdata: soa.write() }).map(drop)
    }

    /// Whether anything differs from the zone as it was.
    pub fn is_changed(&self) -> bool {
        self.drafts.iter().any(|((side, name), draft)| {
            let before = self.base.table(*side).get(name.as_ref()).map(Draft::of).unwrap_or_default();
            !draft.is_same_as(&before)
        })
    }

    /// Gives the zone the next serial, unless it has another than it had.
    ///
    /// # Errors
    /// When there is no start of authority.
    pub fn advance(&mut self) -> Result<(), ZoneError> {
        let apex = self.base.apex.clone();
        let (Some(mut soa), Some(set)) = (self.soa(), self.set(apex.as_ref(), Rtype::SOA)) else {
            return Err(ZoneError::NoSoa(apex));
        };
        if soa.serial == self.base.serial() {
            soa.serial = soa.serial.next();
            self.set_soa(&soa, set.ttl())?;
        }
        Ok(())
    }

    /// Does what a change says.
    ///
    /// # Errors
    /// When the change does not fit; the edit is then of no more use.
    pub fn apply(&mut self, change: &Change) -> Result<(), EditError> {
        for record in &change.removed {
            if !self.remove(record.name.as_ref(), record.rtype, &record.rdata) {
                return Err(EditError::Missing(record.name.clone(), record.rtype));
            }
        }
        for record in &change.added {
            if !self.add(record.clone())? {
                return Err(EditError::Exists(record.name.clone(), record.rtype));
            }
        }
        Ok(())
    }

    /// The zone after the edit, and what became different.
    ///
    /// # Errors
    /// When the result is not a zone: no SOA, CNAME beside other records, a set too large.
    pub fn finish(self) -> Result<(Zone, Change), ZoneError> {
        let mut change = Change::default();
        let zone = self.settled(Some(&mut change))?;
        zone.check_soa()?;
        change.arrange();
        Ok((zone, change))
    }

    /// The zone as it would be if the edit ended here: which names there are, what is below what.
    ///
    /// # Errors
    /// As [`Edit::finish`], but the zone may be without an SOA.
    pub fn preview(&self) -> Result<Zone, EditError> {
        self.settled(None)
    }

    fn settled(&self, mut change: Option<&mut Change>) -> Result<Zone, EditError> {
        let mut zone = self.base.clone();
        for ((side, name), draft) in &self.drafts {
            let entries = draft.build(name)?;
            let old = self.base.table(*side).get(name.as_ref());
            if *old.map(Node::entries).unwrap_or_default() == *entries {
                continue;
            }
            if let Some(change) = &mut change {
                note(change, old, name, &entries);
            }
            zone.settle(*side, name.clone(), entries);
        }
        Ok(zone)
    }

    fn draft(&self, side: Side, name: NameRef<'_>) -> Option<&Draft> {
        // Most edits touch nothing before they read; the key of a look-up costs an allocation.
        if self.drafts.is_empty() { None } else { self.drafts.get(&(side, name.to_owned())) }
    }

    fn draft_mut(&mut self, side: Side, name: &Name) -> &mut Draft {
        match self.drafts.entry((side, name.clone())) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => {
                let node = self.base.table(side).get(name.as_ref());
                slot.insert(node.map(Draft::of).unwrap_or_default())
            }
        }
    }

    /// Keeps the sets that `keep` wants, which may change them.
    fn retain(&mut self, name: NameRef<'_>, side: Side, keep: impl FnMut(&mut DraftSet) -> bool) {
        if self.draft(side, name).is_some() || self.base.table(side).get(name).is_some() {
            self.draft_mut(side, &name.to_owned()).0.retain_mut(keep);
        }
    }
}

/// Writes down what differs between a node and the entries that take its place.
fn note(change: &mut Change, old: Option<&Node>, name: &Name, entries: &[Entry]) {
    let (owner, before) = old.map_or((name, [].as_slice()), |old| (&old.name, &old.entries));
    note_missing(&mut change.removed, owner, before, entries);
    note_missing(&mut change.added, owner, entries, before);
}

/// Appends the records that are in the first entries and not in the second ones.
fn note_missing(missing: &mut Vec<Record>, owner: &Name, of: &[Entry], within: &[Entry]) {
    let mut note_set = |set: &RecordSet, other: Option<&RecordSet>| {
        // Sets are sorted; one with another TTL has no record in common.
        let known: Vec<&[u8]> =
            other.filter(|other| other.ttl() == set.ttl()).into_iter().flat_map(RecordSet::rdata).collect();
        missing.extend(set.records(owner).filter(|record| known.binary_search(&&*record.rdata).is_err()));
    };
    for entry in of {
        let other = within.iter().find(|other| other.set.rtype() == entry.set.rtype());
        note_set(&entry.set, other.map(|other| &other.set));
        if let Some(signatures) = &entry.signatures {
            note_set(signatures, other.and_then(|other| other.signatures.as_deref()));
        }
    }
}
