//! What one batch does to a zone: in memory first, then in the journal.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::opening;
use super::plan::Done;
use super::signing::Signing;
use crate::clock;
use crate::journal::{Files, Item, Journal, Ready, State};
use crate::name::Name;
use crate::settings::ZoneSettings;
use crate::wire::Rcode;
use crate::zone::{Edit, Zone};

/// What only the one who works may touch.
pub(super) struct Work {
    pub(super) files: Arc<dyn Files>,
    pub(super) folder: PathBuf,
    pub(super) state: State,
    pub(super) signing: Signing,
    /// Nothing as well after a failure that leaves it open which file is there: the next batch writes a new one.
    pub(super) journal: Option<Journal>,
    /// Whether the zone's file counts no more.
    pub(super) is_journaled: bool,
    pub(super) seed: Option<opening::Stamp>,
    pub(super) is_compacting: bool,
    /// After a compaction that failed: the size of the journal at which the next one is tried.
    pub(super) retry_at: u64,
}

/// What was planned and is not on the disk yet.
pub(super) struct Batch {
    pub(super) before: Zone,
    pub(super) items: Vec<Item>,
    pub(super) undo: Vec<Item>,
    pub(super) waiting: Vec<(Done, Result<(), Rcode>)>,
}

impl Work {
    /// Appends a batch to the journal, or begins one with it.
    pub(super) fn write(&mut self, apex: &Name, items: &[Item]) -> io::Result<()> {
        let changes =
            || items.iter().filter_map(|item| if let Item::Change(change) = item { Some(change) } else { None });
        match &mut self.journal {
            Some(journal) if !Journal::is_large(items) => journal.append(items)?,
            _ => {
                let mut state = self.state.clone();
                changes().for_each(|change| state.history.push(change.clone()));
                self.begin(apex, &state)?;
            }
        }
        changes().for_each(|change| self.state.history.push(change.clone()));
        Ok(())
    }

    /// Begins a journal that says `state`, whatever was before.
    pub(super) fn begin(&mut self, apex: &Name, state: &State) -> io::Result<()> {
        self.journal = None;
        self.journal = Some(Journal::create(self.files.clone(), &self.folder, apex, state)?);
        self.is_journaled = true;
        Ok(())
    }

    pub(super) fn seed(&mut self, zone: Zone) {
        if !self.is_journaled {
            self.state = State::new(zone);
        }
    }

    pub(super) fn replace_journal(&mut self, ready: Option<Ready>, apex: &Name) {
        self.is_compacting = false;
        let Some(journal) = &mut self.journal else { return };
        let done = ready.map(|ready| journal.replace(ready));
        self.retry_at = match done {
            Some(Ok(())) => 0,
            _ => journal.size() + journal.size() / 4,
        };
        if let Some(Err(error)) = done {
            tracing::warn!(zone = %apex, %error, "cannot compact the journal");
        }
        self.state.history.set_limit(journal.snapshot_size());
    }
}

impl Batch {
    pub(super) fn new(work: &Work) -> Self {
        Self { before: work.state.zone.clone(), items: Vec::new(), undo: Vec::new(), waiting: Vec::new() }
    }

    /// Adds a change, which the plans after it see already.
    pub(super) fn take(
        &mut self,
        work: &mut Work,
        settings: &ZoneSettings,
        edit: Option<Edit>,
        items: Vec<Item>,
    ) -> Result<(), Rcode> {
        let mut all = Vec::with_capacity(1 + items.len());
        if let Some(mut edit) = edit {
            let dnssec = settings.dnssec.as_ref();
            work.signing.sign(dnssec, &work.state, (&mut edit, &items), clock::wall_secs())?;
            let (zone, change) = edit.finish().map_err(|error| {
                tracing::warn!(%error, "an update would leave no valid zone");
                Rcode::SERVFAIL
            })?;
            if !change.is_empty() {
                work.state.zone = zone;
                all.push(Item::Change(Arc::new(change)));
            }
        }
        all.extend(items);
        for item in all {
            work.state.note(&item, &mut self.undo);
            self.items.push(item);
        }
        Ok(())
    }
}
