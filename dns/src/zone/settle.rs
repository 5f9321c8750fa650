//! What belongs into a zone and where: the nodes above a name and the chains are kept in step with it.

use super::draft::covers;
use super::node::{Entry, Node};
use super::{EditError, Soa, Table, Zone, ZoneError};
use crate::name::{Name, NameRef};
use crate::record::{Record, Rtype};

/// The two sets of owners of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Names,
    Hashes,
}

impl Side {
    /// Where a record's owner is.
    pub(super) fn of(rtype: Rtype, rdata: &[u8]) -> Self {
        if covers(rtype, rdata) == Rtype::NSEC3 { Self::Hashes } else { Self::Names }
    }
}

impl Zone {
    pub(super) fn table(&self, side: Side) -> &Table {
        match side {
            Side::Names => &self.names,
            Side::Hashes => &self.hashes,
        }
    }

    /// Whether the record may be in this zone at all.
    pub(super) fn check(&self, record: &Record) -> Result<(), EditError> {
        let Record { name, rtype, .. } = record;
        if !name.as_ref().is_at_or_below(self.apex.as_ref()) {
            return Err(EditError::OutOfZone(name.clone()));
        }
        if rtype.is_meta() {
            return Err(EditError::Meta(name.clone(), *rtype));
        }
        if *rtype == Rtype::SOA && *name != self.apex {
            return Err(EditError::SoaBelow(name.clone()));
        }
        Ok(())
    }

    /// Whether there is an SOA record, and it can be read.
    pub(super) fn check_soa(&self) -> Result<(), ZoneError> {
        let top = self.set(self.apex.as_ref(), Rtype::SOA).ok_or_else(|| ZoneError::NoSoa(self.apex.clone()))?;
        Soa::read(top.first()).map(drop).map_err(|error| ZoneError::Soa(self.apex.clone(), error))
    }

    /// Gives a name these entries.
    pub(super) fn settle(&mut self, side: Side, name: Name, entries: Box<[Entry]>) {
        let (rtype, chain) = match side {
            Side::Names => (Rtype::NSEC, &mut self.nsec),
            Side::Hashes => (Rtype::NSEC3, &mut self.nsec3),
        };
        match entries.iter().any(|entry| entry.set.rtype() == rtype) {
            true => chain.insert(&name),
            false => chain.remove(&name),
        }
        match side {
            Side::Hashes if entries.is_empty() => self.hashes.remove(name.as_ref()),
            Side::Hashes => self.hashes.put(Node { name, entries, children: 0 }),
            Side::Names => self.settle_name(name, entries),
        }
    }

    fn settle_name(&mut self, name: Name, entries: Box<[Entry]>) {
        match self.names.get(name.as_ref()).map(|old| old.children) {
            Some(0) if entries.is_empty() => {
                self.names.remove(name.as_ref());
                self.left(name.as_ref());
            }
            Some(_) => {
                self.names.change(name.as_ref(), |node| node.entries = entries);
            }
            None if entries.is_empty() => {}
            None => {
                self.joined(name.as_ref());
                self.names.put(Node { name, entries, children: 0 });
            }
        }
    }

    /// A node for `name` is new: the one above counts it, and is made where there is none.
    fn joined(&mut self, name: NameRef<'_>) {
        let mut below = name;
        while below != self.apex.as_ref() {
            let Some(above) = below.parent() else { return };
            if self.names.change(above, |node| node.children += 1) {
                return;
            }
            self.names.put(Node { name: above.to_owned(), entries: Box::default(), children: 1 });
            below = above;
        }
    }

    /// The node of `name` is gone: the one above does not count it any more, and goes as well if it was there for it only.
    fn left(&mut self, name: NameRef<'_>) {
        let mut below = name;
        while below != self.apex.as_ref() {
            let Some(above) = below.parent() else { return };
            let mut is_needed = true;
            self.names.change(above, |node| {
                node.children = node.children.saturating_sub(1);
                is_needed = node.children > 0 || !node.is_empty();
            });
            if is_needed || above == self.apex.as_ref() {
                return;
            }
            self.names.remove(above);
            below = above;
        }
    }
}
