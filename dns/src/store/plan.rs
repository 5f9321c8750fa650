//! What is to become of a zone.

use super::items_of;
use crate::journal::{Item, State};
use crate::update::Outcome;
use crate::wire::Rcode;
use crate::zone::{Change, Edit, Zone};

/// What is to become of a zone and what belongs to it.
#[derive(Debug)]
pub enum Plan {
    /// Nothing: somebody wanted to read.
    Nothing,
    /// It is changed.
    Change {
        /// How; the serial is advanced already.
        edit: Option<Edit>,
        /// Leases and notes that change with it.
        items: Vec<Item>,
    },
    /// It is changed several times, or not at all when one of the changes does not fit.
    Changes {
        /// One after the other; each leads to a version of its own.
        changes: Vec<Change>,
        /// Leases and notes that change with the last.
        items: Vec<Item>,
    },
    /// Another zone of the same name takes its place, and its leases and history end.
    Replace {
        /// The zone.
        zone: Zone,
        /// Notes that change with it.
        items: Vec<Item>,
    },
}

/// A plan that waits, with the way back to who wants it.
pub(super) type Task = Box<dyn FnOnce(&State) -> (Plan, Done) + Send>;
/// Tells who wanted a plan what became of it.
pub(super) type Done = Box<dyn FnOnce(Result<(), Rcode>) + Send>;

impl From<Outcome> for Plan {
    fn from(outcome: Outcome) -> Self {
        let Outcome { edit, is_changed, leases, granted: _ } = outcome;
        Self::Change { edit: is_changed.then_some(edit), items: items_of(leases) }
    }
}
