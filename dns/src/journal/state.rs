//! What a journal says: the zone, its leases and notes, and how it got there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Item, format};
use crate::zone::{Change, Lease, Leases, Serial, Zone};

/// Octets of history that are kept of any zone, however small.
const MIN_HISTORY: usize = 256 << 10;
/// Octets of history that are kept of any zone, however large.
const MAX_HISTORY: usize = 8 << 20;

/// Everything that a zone's journal keeps.
#[derive(Clone, Debug)]
pub struct State {
    /// The records.
    pub zone: Zone,
    /// Which of them go away by themselves, and when.
    pub leases: Leases,
    /// What parts of the server want to find again.
    pub notes: BTreeMap<String, Box<[u8]>>,
    /// The latest changes.
    pub history: History,
}

impl State {
    /// A zone without a past.
    pub fn new(zone: Zone) -> Self {
        Self { zone, leases: Leases::default(), notes: BTreeMap::new(), history: History::default() }
    }

    /// Does what an item says about leases and notes; zone and history are left alone. What would take it back is
    /// appended to `undo`, to be noted in reverse order.
    pub fn note(&mut self, item: &Item, undo: &mut Vec<Item>) {
        match item {
            Item::Change(change) => undo.extend(self.leases.follow(change).into_iter().map(Item::Lease)),
            Item::Lease(lease) => {
                let expires = self.leases.set(lease.clone());
                undo.push(Item::Lease(Lease { expires, ..lease.clone() }));
            }
            Item::Note { key, value } => {
                let value = match value {
                    Some(value) => self.notes.insert(key.clone(), value.clone()),
                    None => self.notes.remove(key),
                };
                undo.push(Item::Note { key: key.clone(), value });
            }
        }
    }

    /// Is again what it was before a change of the zone, with what [`Self::note`] gave for it.
    pub fn take_back(&mut self, zone: Zone, undo: &[Item]) {
        self.zone = zone;
        undo.iter().rev().for_each(|item| self.note(item, &mut Vec::new()));
    }
}

/// The latest changes of a zone, without a gap, bounded.
#[derive(Clone, Debug)]
pub struct History {
    changes: VecDeque<Arc<Change>>,
    /// About what they take in a file.
    octets: usize,
    /// How many octets are kept.
    limit: usize,
}

impl Default for History {
    fn default() -> Self {
        Self { changes: VecDeque::new(), octets: 0, limit: MIN_HISTORY }
    }
}

impl History {
    /// Adds the next change; what does not follow the last one begins the history anew.
    pub fn push(&mut self, change: Arc<Change>) {
        let (Some(from), Some(_)) = (change.from(), change.to()) else {
            return *self = Self { limit: self.limit, ..Self::default() };
        };
        if self.changes.back().is_some_and(|last| last.to() != Some(from)) {
            *self = Self { limit: self.limit, ..Self::default() };
        }
        self.octets += format::size_of(&change);
        self.changes.push_back(change);
        self.trim();
    }

    /// Keeps about as much as a snapshot of `snapshot` octets takes: a longer way than all of the zone helps nobody.
    pub fn set_limit(&mut self, snapshot: u64) {
        self.limit = usize::try_from(snapshot).unwrap_or(usize::MAX).clamp(MIN_HISTORY, MAX_HISTORY);
        self.trim();
    }

    /// The changes that lead from the version `from` to the latest one; nothing when that is not known any more.
    pub fn since(&self, from: Serial) -> Option<Vec<Arc<Change>>> {
        let at = self.changes.iter().position(|change| change.from() == Some(from))?;
        Some(self.changes.range(at..).cloned().collect())
    }

    /// All changes, the oldest first.
    pub fn changes(&self) -> impl Iterator<Item = &Arc<Change>> {
        self.changes.iter()
    }

    fn trim(&mut self) {
        while self.octets > self.limit {
            let Some(gone) = self.changes.pop_front() else { return };
            self.octets -= format::size_of(&gone);
        }
    }
}
