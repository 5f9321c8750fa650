//! What one batch does to a zone: in memory first, then in the journal.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::first::First;
use super::opening::Lock;
use super::plan::Done;
use super::signing::Signing;
use crate::clock;
use crate::journal::{Compaction, Files, Item, Journal, Ready, State};
use crate::name::Name;
use crate::settings::ZoneSettings;
use crate::wire::Rcode;
use crate::zone::{Change, Edit, Zone};

/// What only the one who works may touch.
pub(super) struct Work {
    pub(super) files: Arc<dyn Files>,
    pub(super) folder: PathBuf,
    pub(super) state: State,
    pub(super) signing: Signing,
    /// Nothing as well after a failure that leaves it open which file is there: the next batch writes a new one.
    pub(super) journal: Option<Journal>,
    /// Whether there is or may be a journal on the disk, so that the zone's file counts no more.
    pub(super) is_journaled: bool,
    /// What the first journal begins with, if it is written ahead.
    pub(super) first: Option<First>,
    pub(super) is_compacting: bool,
    /// After a compaction that failed: the size of the journal at which the next one is tried.
    pub(super) retry_at: u64,
    /// As long as this is held, nobody else uses the state folder.
    pub(super) lock: Option<Lock>,
}

/// What was planned and is not on the disk yet.
pub(super) struct Batch {
    pub(super) before: Zone,
    pub(super) items: Vec<Item>,
    pub(super) undo: Vec<Item>,
    pub(super) waiting: Vec<(Done, Result<(), Rcode>)>,
    /// Whether the zone is to be given to those who answer, also when nothing in it changes.
    pub(super) wants_serving: bool,
}

impl Work {
    /// Appends a batch to the journal, or begins one with it.
    pub(super) fn write(&mut self, apex: &Name, items: &[Item]) -> io::Result<()> {
        let changes =
            || items.iter().filter_map(|item| if let Item::Change(change) = item { Some(change) } else { None });
        let is_large = Journal::is_large(items);
        if !self.is_journaled && !is_large {
            self.begin_first()?;
        }
        match &mut self.journal {
            Some(journal) if !is_large => journal.append(items)?,
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
        // What was written ahead must be out of the way, and who writes it.
        drop(self.first.take().map(First::take));
        self.journal = None;
        // Also when this fails the file may be there.
        self.is_journaled = true;
        self.journal = Some(Journal::create(self.files.clone(), &self.folder, apex, state)?);
        Ok(())
    }

    /// Begins the journal with the snapshot that was written ahead, if there is one.
    fn begin_first(&mut self) -> io::Result<()> {
        if let Some(ready) = self.first.take().and_then(First::take) {
            self.is_journaled = true;
            self.journal = Some(Journal::begin(ready)?);
        }
        Ok(())
    }

    /// Has the first journal written ahead by whoever gets this.
    pub(super) fn prepare_first(&mut self, apex: &Name) -> First {
        let first = First::new(Compaction::first(self.files.clone(), &self.folder, apex, &self.state));
        self.first.insert(first).clone()
    }

    /// Begins with another version of the zone's file, unless there is a journal; whether it was taken.
    pub(super) fn seed(&mut self, zone: Zone, items: &[Item]) -> bool {
        if !self.is_journaled {
            drop(self.first.take().map(First::take));
            self.state = State::new(zone);
            items.iter().for_each(|item| self.state.note(item, &mut Vec::new()));
        }
        !self.is_journaled
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
        let before = work.state.zone.clone();
        Self { before, items: Vec::new(), undo: Vec::new(), waiting: Vec::new(), wants_serving: false }
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

    /// Adds changes that follow each other, all or none of them.
    pub(super) fn take_all(
        &mut self,
        work: &mut Work,
        settings: &ZoneSettings,
        changes: &[Change],
        items: Vec<Item>,
    ) -> Result<(), Rcode> {
        let (before, items_len, undo_len) = (work.state.zone.clone(), self.items.len(), self.undo.len());
        let done = changes.iter().try_for_each(|change| {
            let mut edit = work.state.zone.edit();
            edit.apply(change).map_err(|error| {
                tracing::warn!(zone = %before.apex(), %error, "a change does not fit the zone");
                Rcode::SERVFAIL
            })?;
            self.take(work, settings, Some(edit), Vec::new())
        });
        match done {
            Ok(()) => self.take(work, settings, None, items),
            Err(rcode) => {
                self.items.truncate(items_len);
                work.state.take_back(before, &self.undo.split_off(undo_len));
                Err(rcode)
            }
        }
    }
}
