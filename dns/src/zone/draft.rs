//! The records of one name while they change.

use super::EditError;
use super::node::{Entry, Node};
use crate::name::Name;
use crate::rdata::is_same;
use crate::record::{FIXED_LEN, MAX_SET_LEN, Record, RecordSet, Rtype};

/// One set for each type, and for RRSIG one for each type that is signed.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft(pub(super) Vec<DraftSet>);

#[derive(Clone, Debug)]
pub(super) struct DraftSet {
    pub(super) rtype: Rtype,
    /// For RRSIG the type that is signed, which separates the signatures of different sets; else the type itself.
    pub(super) covers: Rtype,
    pub(super) ttl: u32,
    pub(super) rdata: Vec<Box<[u8]>>,
    /// What the records take in a message.
    octets: usize,
}

impl Draft {
    pub(super) fn of(node: &Node) -> Self {
        let all = node.entries.iter().flat_map(|entry| std::iter::once(&entry.set).chain(entry.signatures.as_deref()));
        Self(all.map(DraftSet::of).collect())
    }

    /// The set that data of this type belongs to; a new and empty one where there is none.
    pub(super) fn set_mut(&mut self, rtype: Rtype, rdata: &[u8], ttl: u32) -> &mut DraftSet {
        let covers = covers(rtype, rdata);
        let at = self.0.iter().position(|set| set.rtype == rtype && set.covers == covers);
        let at = at.unwrap_or_else(|| {
            self.0.push(DraftSet { rtype, covers, ttl, rdata: Vec::new(), octets: 0 });
            self.0.len() - 1
        });
        &mut self.0[at]
    }

    /// Adds a record; whether it was not there with this TTL. The set gets the record's TTL, and the data that was there
    /// first stays when the two differ in the case of names only. A set that gets too large ends here: every record that is
    /// added is compared with those before.
    pub(super) fn add(&mut self, record: Record) -> Result<bool, EditError> {
        let Record { name, rtype, ttl, rdata } = record;
        let set = self.set_mut(rtype, &rdata, ttl);
        let known = set.rdata.iter().any(|mine| is_same(rtype, mine, &rdata));
        if !known && is_single(rtype) && !set.rdata.is_empty() {
            return Err(EditError::Single(name, rtype));
        }
        let octets = FIXED_LEN + rdata.len();
        if !known && set.octets + octets > MAX_SET_LEN {
            self.0.retain(|set| !set.rdata.is_empty());
            return Err(EditError::TooMany(name, rtype));
        }
        let changed = !known || set.ttl != ttl;
        set.ttl = ttl;
        if !known {
            set.octets += octets;
            set.rdata.push(rdata);
        }
        Ok(changed)
    }

    /// Whether a CNAME record is beside others (RFC 2181, 10.1; RFC 4034, 2.5).
    pub(super) fn has_cname_and_other(&self) -> bool {
        let beside = |set: &DraftSet| matches!(set.rtype, Rtype::CNAME | Rtype::NSEC | Rtype::KEY | Rtype::RRSIG);
        self.0.iter().any(|set| set.rtype == Rtype::CNAME) && !self.0.iter().all(beside)
    }

    /// Whether both are the same records, in whatever order.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        let has = |sets: &[DraftSet], set: &DraftSet| sets.iter().any(|other| other.is_same_as(set));
        self.0.len() == other.0.len() && self.0.iter().all(|set| has(&other.0, set))
    }

    pub(super) fn build(&self, name: &Name) -> Result<Box<[Entry]>, EditError> {
        let mut entries = Vec::with_capacity(self.0.len());
        for set in self.0.iter().filter(|set| set.rtype != Rtype::RRSIG) {
            let built = set.build().ok_or_else(|| EditError::TooMany(name.clone(), set.rtype))?;
            let signatures = self.0.iter().find(|other| other.rtype == Rtype::RRSIG && other.covers == set.rtype);
            entries.push(Entry { set: built, signatures: signatures.and_then(DraftSet::build).map(Box::new) });
        }
        entries.sort_unstable_by_key(|entry| entry.set.rtype());
        if self.has_cname_and_other() {
            return Err(EditError::CnameAndOther(name.clone()));
        }
        Ok(entries.into())
    }
}

impl DraftSet {
    fn of(set: &RecordSet) -> Self {
        let rdata = set.rdata().map(Box::from).collect();
        let covers = covers(set.rtype(), set.first());
        Self { rtype: set.rtype(), covers, ttl: set.ttl(), rdata, octets: set.answer().len() }
    }

    /// Removes a record, in whatever case its names are; whether it was there.
    pub(super) fn remove(&mut self, rdata: &[u8]) -> bool {
        let Some(at) = self.rdata.iter().position(|mine| is_same(self.rtype, mine, rdata)) else { return false };
        let removed = self.rdata.swap_remove(at);
        self.octets -= FIXED_LEN + removed.len();
        true
    }

    fn is_same_as(&self, other: &Self) -> bool {
        let head = |set: &Self| (set.rtype, set.covers, set.ttl);
        head(self) == head(other) && self.sorted() == other.sorted()
    }

    fn sorted(&self) -> Vec<&[u8]> {
        let mut rdata: Vec<&[u8]> = self.rdata.iter().map(AsRef::as_ref).collect();
        rdata.sort_unstable();
        rdata
    }

    pub(super) fn build(&self) -> Option<RecordSet> {
        RecordSet::new(self.rtype, self.ttl, &self.rdata.iter().map(AsRef::as_ref).collect::<Vec<_>>())
    }
}

/// The type that a signature signs (RFC 4034, 3.1.1); any other type itself.
pub(super) fn covers(rtype: Rtype, rdata: &[u8]) -> Rtype {
    match (rtype, rdata) {
        (Rtype::RRSIG, [high, low, ..]) => Rtype(u16::from_be_bytes([*high, *low])),
        _ => rtype,
    }
}

fn is_single(rtype: Rtype) -> bool {
    matches!(rtype, Rtype::SOA | Rtype::CNAME | Rtype::DNAME)
}
