//! The first journal of a large zone that was read from a file, written before there is anything to put into it.
//!
//! With the first update a zone needs a snapshot to append it to. Writing one of a million names takes a second or two,
//! which nobody wants to wait for; so it is written in the background as soon as the zone is served, under a name that
//! counts for nothing until the first update is there.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::journal::{Compaction, Ready};
use crate::name::Name;

/// A snapshot on its way.
#[derive(Clone)]
pub(super) struct First(Arc<Mutex<Progress>>);

enum Progress {
    /// To be written.
    Wanted(Compaction),
    Written(Ready),
    /// Used, of no use any more, or the disk refused.
    Gone,
}

impl First {
    pub(super) fn new(compaction: Compaction) -> Self {
        Self(Arc::new(Mutex::new(Progress::Wanted(compaction))))
    }

    /// Writes it, unless it is of no use any more.
    pub(super) fn write(&self, apex: &Name) {
        let mut progress = self.lock();
        *progress = match std::mem::replace(&mut *progress, Progress::Gone) {
            Progress::Wanted(compaction) => match compaction.run() {
                Ok(ready) => Progress::Written(ready),
                Err(error) => {
                    tracing::warn!(zone = %apex, %error, "cannot write a journal ahead; the first update writes it");
                    Progress::Gone
                }
            },
            other => other,
        };
    }

    /// What was written, if anything; waits for it if it is being written. It is not written any more after this.
    pub(super) fn take(self) -> Option<Ready> {
        match std::mem::replace(&mut *self.lock(), Progress::Gone) {
            Progress::Written(ready) => Some(ready),
            Progress::Wanted(_) | Progress::Gone => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
