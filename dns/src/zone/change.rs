//! The difference between two versions of a zone.

use super::Serial;
use crate::record::{Record, Rtype};

/// What was removed and what was added, the SOA records included: an IXFR difference (RFC 1995, 4).
///
/// Both lists are sorted and have no record in common; the first of each is the SOA when the serial changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// In the old version and not in the new one.
    pub removed: Vec<Record>,
    /// In the new version and not in the old one.
    pub added: Vec<Record>,
}

impl Change {
    /// Whether the two versions are the same.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.added.is_empty()
    }

    /// Puts the SOA records first.
    pub(super) fn arrange(&mut self) {
        for records in [&mut self.removed, &mut self.added] {
            records.sort_unstable_by(|a, b| (a.rtype != Rtype::SOA, a).cmp(&(b.rtype != Rtype::SOA, b)));
        }
    }

    /// The serial before.
    pub fn from(&self) -> Option<Serial> {
        soa_serial(&self.removed)
    }

    /// The serial after.
    pub fn to(&self) -> Option<Serial> {
        soa_serial(&self.added)
    }
}

fn soa_serial(records: &[Record]) -> Option<Serial> {
    let soa = records.first().filter(|record| record.rtype == Rtype::SOA)?;
    super::Soa::read(&soa.rdata).ok().map(|soa| soa.serial)
}
