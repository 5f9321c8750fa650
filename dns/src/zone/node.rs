//! What a name has.

use crate::name::{Name, NameRef};
use crate::record::{Record, RecordSet, Rtype};

/// A name and its records.
#[derive(Clone, Debug)]
pub struct Node {
    pub(super) name: Name,
    /// Sorted by type.
    pub(super) entries: Box<[Entry]>,
    /// How many nodes have this one as parent.
    pub(super) children: u32,
}

/// A set of records with its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The records.
    pub set: RecordSet,
    /// The RRSIG records that cover them.
    pub signatures: Option<Box<RecordSet>>,
}

impl Node {
    /// The name, in the case it was first written in.
    pub fn name(&self) -> NameRef<'_> {
        self.name.as_ref()
    }

    /// The records of one type.
    pub fn set(&self, rtype: Rtype) -> Option<&RecordSet> {
        self.entry(rtype).map(|entry| &entry.set)
    }

    /// The records of one type with their signatures.
    pub fn entry(&self, rtype: Rtype) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.set.rtype() == rtype)
    }

    /// Everything but signatures, sorted by type.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether nothing is here: the name exists because something is below it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there are names below.
    pub fn has_children(&self) -> bool {
        self.children > 0
    }

    /// Every record, signatures included.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let all = self.entries.iter().flat_map(|entry| std::iter::once(&entry.set).chain(entry.signatures.as_deref()));
        all.flat_map(|set| set.records(&self.name))
    }
}
