//! A zone from nothing: what a file, a snapshot or a transfer is read into.
//!
//! Records of one owner that follow each other are collected and go into the table at once, so that a zone of a million
//! names is read in seconds. An owner that comes again later is taken up again, at the price of a copy of its records.

use super::draft::Draft;
use super::settle::Side;
use super::{Chain, EditError, Table, Zone, ZoneError};
use crate::name::Name;
use crate::record::Record;

/// A zone being read.
#[derive(Debug)]
pub struct Builder {
    zone: Zone,
    /// Whose records are collected.
    owner: Option<(Side, Name)>,
    draft: Draft,
}

impl Builder {
    /// Begins with nothing.
    pub fn new(apex: Name) -> Self {
        let (names, hashes) = (Table::new(), Table::new());
        let zone = Zone { apex, names, hashes, nsec: Chain::default(), nsec3: Chain::default() };
        Self { zone, owner: None, draft: Draft::default() }
    }

    /// Adds a record. One that is there already is left out; the set gets the TTL of the last one (RFC 2181, 5.2).
    ///
    /// # Errors
    /// When the record cannot be in this zone, or what was collected before cannot; the zone is then of no use, but more
    /// records may be tried.
    pub fn add(&mut self, record: Record) -> Result<(), EditError> {
        self.zone.check(&record)?;
        let side = Side::of(record.rtype, &record.rdata);
        if !self.owner.as_ref().is_some_and(|(mine, name)| *mine == side && *name == record.name) {
            self.settle()?;
            let name = record.name.as_ref();
            self.draft = self.zone.table(side).get(name).map(Draft::of).unwrap_or_default();
            self.owner = Some((side, record.name.clone()));
        }
        self.draft.add(record)?;
        match &self.owner {
            Some((_, name)) if self.draft.has_cname_and_other() => Err(EditError::CnameAndOther(name.clone())),
            _ => Ok(()),
        }
    }

    /// The zone.
    ///
    /// # Errors
    /// When what was collected last cannot be in it, or it has no SOA record.
    pub fn finish(mut self) -> Result<Zone, ZoneError> {
        self.settle()?;
        self.zone.check_soa()?;
        Ok(self.zone)
    }

    fn settle(&mut self) -> Result<(), EditError> {
        let Some((side, name)) = self.owner.take() else { return Ok(()) };
        let entries = std::mem::take(&mut self.draft).build(&name)?;
        self.zone.settle(side, name, entries);
        Ok(())
    }
}
