//! The only writer of one zone.
//!
//! Plans wait in a bounded queue. Where there are any, one blocking task of the runtime takes what waits, makes the plans,
//! appends what came out to the journal with one sync, publishes and answers, until nothing waits any more. So while one
//! batch is on its way to the disk the next one gathers, and a zone at rest has no thread. **Invariant:** whoever may not
//! block touches the queue, never the work.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::batch::{Batch, Work};
use super::lending::Freshness;
use super::opening::{self, OpenedZone, StoreError};
use super::plan::{Done, Task};
use super::queue::{IsIdle, Queue, Step, Taken};
use super::signing::Signing;
use super::{Plan, Publisher, ZoneStatus, lending};
use crate::alias::Loan;
use crate::answer::Served;
use crate::clock;
use crate::journal::{Item, Journal, State};
use crate::name::Name;
use crate::settings::{Source, ZoneSettings};
use crate::wire::Rcode;
use crate::zone::Zone;

/// Names of a zone at most whose first update writes the journal: some milliseconds. Tests have both kinds of zones.
const MAX_AT_ONCE: usize = if cfg!(test) { 4 } else { 10_000 };

/// One zone and its journal.
pub(super) struct Keeper {
    pub(super) apex: Name,
    pub(super) settings: ArcSwap<ZoneSettings>,
    publisher: Arc<Publisher>,
    runtime: Handle,
    queue: Queue,
    work: Mutex<Work>,
    /// Held by who writes a snapshot beside the work.
    snapshot: Mutex<()>,
    /// When the first lease ends, in seconds since 1970; the greatest number when none does.
    next_end: AtomicU64,
    /// The journal's size in octets, zero without one.
    size: AtomicU64,
    leases: AtomicU64,
    is_expired: AtomicBool,
    freshness: Mutex<Freshness>,
}

impl Keeper {
    pub(super) fn new(
        opened: OpenedZone,
        settings: &ZoneSettings,
        publisher: Arc<Publisher>,
        runtime: Handle,
    ) -> Arc<Self> {
        let OpenedZone { files, folder, state, journal, is_empty, lock } = opened;
        let keeper = Self {
            apex: settings.apex.clone(),
            settings: ArcSwap::from_pointee(settings.clone()),
            publisher,
            runtime,
            queue: Queue::default(),
            work: Mutex::new(Work {
                files,
                folder,
                state,
                signing: Signing::default(),
                is_journaled: journal.is_some(),
                journal,
                first: None,
                is_compacting: false,
                retry_at: 0,
                lock: Some(lock),
            }),
            snapshot: Mutex::new(()),
            next_end: AtomicU64::new(u64::MAX),
            size: AtomicU64::new(0),
            leases: AtomicU64::new(0),
            is_expired: AtomicBool::new(is_empty),
            freshness: Mutex::default(),
        };
        keeper.note_facts(&keeper.work());
        Arc::new(keeper)
    }

    /// Hands in a plan and waits for what becomes of it.
    pub(super) async fn plan<R: Send + 'static>(
        self: &Arc<Self>,
        plan: impl FnOnce(&State) -> Result<(Plan, R), Rcode> + Send + 'static,
    ) -> Result<R, Rcode> {
        let (send, receive) = oneshot::channel();
        let task: Task = Box::new(move |state| {
            let (plan, result) = match plan(state) {
                Ok((plan, result)) => (plan, Ok(result)),
                Err(rcode) => (Plan::Nothing, Err(rcode)),
            };
            // Who does not wait any more has no use for the answer.
            let done: Done = Box::new(move |lasting| drop(send.send(lasting.and(result))));
            (plan, done)
        });
        self.push(Step::Plan(task))?;
        // Without an answer the keeper was closed.
        receive.await.unwrap_or(Err(Rcode::SERVFAIL))
    }

    fn push(self: &Arc<Self>, step: Step) -> Result<(), Rcode> {
        self.queue.push(step).map(|is_idle| self.begin(is_idle))
    }

    fn begin(self: &Arc<Self>, IsIdle(is_idle): IsIdle) {
        if is_idle {
            let keeper = self.clone();
            self.runtime.spawn_blocking(move || keeper.run());
        }
    }

    /// Works until nothing waits.
    fn run(self: Arc<Self>) {
        loop {
            // First the work, then the queue: who closes the keeper waits for the work to be let go of.
            let mut work = self.work();
            let Some(batch) = self.queue.take() else { return };
            self.work_on(&mut work, batch);
        }
    }

    fn work_on(self: &Arc<Self>, work: &mut Work, Taken { steps, wants_serving }: Taken) {
        let mut batch = Batch::new(work);
        for step in steps {
            match step {
                Step::Written(ready) => work.replace_journal(ready, &self.apex),
                Step::Seed(zone, items) => {
                    // What was planned before makes a journal begin, which counts instead.
                    self.conclude(work, &mut batch);
                    if work.seed(zone, &items) {
                        self.serve(work);
                    }
                    batch = Batch::new(work);
                }
                Step::Plan(task) => {
                    let (plan, done) = task(&work.state);
                    let result = match plan {
                        Plan::Nothing => Ok(()),
                        Plan::Change { edit, items } => batch.take(work, &self.settings.load(), edit, items),
                        Plan::Changes { changes, items } => {
                            batch.take_all(work, &self.settings.load(), &changes, items)
                        }
                        Plan::Replace { zone, items } => {
                            self.conclude(work, &mut batch);
                            // It lasts whatever becomes of the plans after it.
                            done(self.replace(work, zone, &items));
                            batch = Batch::new(work);
                            continue;
                        }
                    };
                    batch.waiting.push((done, result));
                }
            }
        }
        batch.wants_serving = wants_serving;
        self.conclude(work, &mut batch);
        self.write_snapshot(work);
    }

    /// Makes a batch last, publishes it, and answers.
    fn conclude(&self, work: &mut Work, batch: &mut Batch) {
        let Batch { before, items, undo, waiting, mut wants_serving } = std::mem::replace(batch, Batch::new(work));
        let mut lasting = Ok(());
        if !items.is_empty() {
            match work.write(&self.apex, &items) {
                Ok(()) => wants_serving = true,
                Err(error) => {
                    tracing::error!(zone = %self.apex, %error, "cannot write the journal; updates are refused");
                    work.state.take_back(before, &undo);
                    lasting = Err(Rcode::SERVFAIL);
                }
            }
        }
        if wants_serving {
            self.serve(work);
        }
        for (done, result) in waiting {
            done(lasting.and(result));
        }
    }

    /// Another zone takes the place of this one.
    fn replace(&self, work: &mut Work, zone: Zone, items: &[Item]) -> Result<(), Rcode> {
        let mut edit = zone.edit();
        let settings = self.settings.load();
        let dnssec = settings.dnssec.as_ref();
        work.signing.sign(dnssec, &work.state, (&mut edit, items), clock::wall_secs())?;
        let (zone, _) = edit.finish().map_err(|error| {
            tracing::warn!(zone = %self.apex, %error, "a zone that came as a whole is not valid");
            Rcode::SERVFAIL
        })?;
        let mut state = State { notes: work.state.notes.clone(), ..State::new(zone) };
        items.iter().for_each(|item| state.note(item, &mut Vec::new()));
        match work.begin(&self.apex, &state) {
            Ok(()) => {
                work.state = state;
                self.serve(work);
                Ok(())
            }
            Err(error) => {
                tracing::error!(zone = %self.apex, %error, "cannot write the journal of a zone that came as a whole");
                Err(Rcode::SERVFAIL)
            }
        }
    }

    /// Begins a snapshot where one pays.
    fn write_snapshot(self: &Arc<Self>, work: &mut Work) {
        if let Some(journal) = &work.journal
            && !work.is_compacting
            && journal.is_long()
            && journal.size() >= work.retry_at
        {
            let compaction = journal.compaction(&work.state);
            work.is_compacting = true;
            self.beside(move |keeper| {
                let ready = compaction.run();
                if let Err(error) = &ready {
                    tracing::warn!(zone = %keeper.apex, %error, "cannot compact the journal; the long one is kept");
                }
                // A keeper that was closed meanwhile needs it no more.
                let _ = keeper.push(Step::Written(ready.ok()));
            });
        }
        if !work.is_journaled && work.first.is_none() && self.pays_ahead(&work.state) {
            let first = work.prepare_first(&self.apex);
            self.beside(move |keeper| first.write(&keeper.apex));
        }
    }

    /// Whether the first update of a zone is to find its journal written.
    fn pays_ahead(&self, state: &State) -> bool {
        let settings = self.settings.load();
        let may_change = !settings.update.is_empty() || !settings.aliases.is_empty();
        // The first signatures are a journal of their own.
        may_change && settings.dnssec.is_none() && state.zone.name_count() > MAX_AT_ONCE
    }

    /// Does something for the disk while the work goes on, unless it has ended.
    fn beside(self: &Arc<Self>, deed: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let keeper = self.clone();
        self.runtime.spawn_blocking(move || {
            let _writing = keeper.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
            if !keeper.queue.is_closed() {
                deed(&keeper);
            }
        });
    }

    /// The zone's file with a note of it, if it has changed and there is no journal that counts instead.
    pub(super) fn new_seed(&self, zone: &ZoneSettings) -> Result<Option<(Zone, Item)>, StoreError> {
        let Source::Primary { file: Some(path) } = &zone.source else { return Ok(None) };
        let work = self.work();
        if work.is_journaled {
            opening::warn_of_file(&work.state, zone, &work.folder);
            return Ok(None);
        }
        if opening::is_from(&work.state, path)? {
            return Ok(None);
        }
        drop(work);
        opening::read_seed(path, &zone.apex).map(Some)
    }

    /// Serves what is in the zone's file now, unless a journal has begun meanwhile.
    pub(super) fn reseed(self: &Arc<Self>, (zone, noted): (Zone, Item)) {
        // Refused only when it is closed.
        let _ = self.push(Step::Seed(zone, vec![noted]));
    }

    /// Goes on under these settings. A zone that becomes a primary's has all it will get.
    pub(super) fn change_settings(self: &Arc<Self>, zone: &ZoneSettings) {
        self.settings.store(Arc::new(zone.clone()));
        if matches!(zone.source, Source::Primary { .. }) {
            self.is_expired.store(false, Ordering::Relaxed);
        }
        self.want_serving();
    }

    /// Serves a zone that was opened.
    pub(super) fn publish(self: &Arc<Self>) {
        let mut work = self.work();
        self.serve(&work);
        self.write_snapshot(&mut work);
    }

    /// Gives the aliases of the loan's target its addresses.
    pub(super) async fn lend(self: &Arc<Self>, loan: Loan) -> Result<(), Rcode> {
        if self.settings.load().aliases.iter().all(|alias| alias.target != loan.target) {
            return Ok(());
        }
        let (keeper, lent) = (self.clone(), loan.clone());
        self.plan(move |state| Ok((lending::lend(state, &keeper.settings.load().aliases, &lent)?, ()))).await?;
        self.freshness().note(&self.settings.load().aliases, &loan);
        // Answers show how fresh they are, also when the addresses are the same as before.
        self.want_serving();
        Ok(())
    }

    /// Whether it is a secondary's.
    pub(super) fn is_secondary(&self) -> bool {
        matches!(self.settings.load().source, Source::Secondary { .. })
    }

    pub(super) fn set_expired(self: &Arc<Self>, is_expired: bool) {
        if self.is_expired.swap(is_expired, Ordering::Relaxed) != is_expired {
            self.want_serving();
        }
    }

    fn want_serving(self: &Arc<Self>) {
        self.begin(self.queue.want_serving());
    }

    /// Gives the zone to those who answer.
    fn serve(&self, work: &Work) {
        self.note_facts(work);
        let mut served = Served::new(work.state.zone.clone());
        served.expired = self.is_expired.load(Ordering::Relaxed);
        let aliases = &self.settings.load().aliases;
        if !aliases.is_empty() {
            served = served.with_fading(self.freshness().fading(aliases));
        }
        self.publisher.put(served);
    }

    /// Keeps what anybody may ask for at any time.
    fn note_facts(&self, work: &Work) {
        let leases = &work.state.leases;
        self.next_end.store(leases.next().unwrap_or(u64::MAX), Ordering::Relaxed);
        self.leases.store(leases.len() as u64, Ordering::Relaxed);
        self.size.store(work.journal.as_ref().map_or(0, Journal::size), Ordering::Relaxed);
    }

    /// When the first lease ends, in seconds since 1970.
    pub(super) fn next_end(&self) -> u64 {
        self.next_end.load(Ordering::Relaxed)
    }

    pub(super) fn status(&self) -> ZoneStatus {
        let zone = self.publisher.zone(self.apex.as_ref());
        ZoneStatus {
            apex: self.apex.clone(),
            is_secondary: self.is_secondary(),
            is_expired: self.is_expired.load(Ordering::Relaxed),
            serial: zone.as_ref().map(|served| served.zone.serial()).unwrap_or_default(),
            names: zone.map_or(0, |served| served.zone.name_count()),
            leases: self.leases.load(Ordering::Relaxed) as usize,
            journal: Some(self.size.load(Ordering::Relaxed)).filter(|size| *size > 0),
        }
    }

    /// Ends when what waits is done, and lets go of the journal.
    pub(super) fn close(self: &Arc<Self>) {
        self.queue.close();
        let mut work = self.work();
        while let Some(batch) = self.queue.take() {
            self.work_on(&mut work, batch);
        }
        work.journal = None;
        work.first = None;
        let lock = work.lock.take();
        drop(work);
        // What still writes beside the journal must not do so when it is opened again.
        drop(self.snapshot.lock());
        drop(lock);
    }

    fn freshness(&self) -> MutexGuard<'_, Freshness> {
        self.freshness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
