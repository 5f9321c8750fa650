//! The only writer of one zone.
//!
//! Plans wait in a bounded queue. Where there are any, one blocking task of the runtime takes what waits, makes the plans,
//! appends what came out to the journal with one sync, publishes and answers, until nothing waits any more. So while one
//! batch is on its way to the disk the next one gathers, and a zone at rest has no thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::batch::{Batch, Work};
use super::lending::Freshness;
use super::opening::{self, OpenedZone, StoreError};
use super::plan::{Done, Task};
use super::signing::Signing;
use super::{Plan, Publisher, ZoneStatus, lending};
use crate::alias::Loan;
use crate::answer::Served;
use crate::clock;
use crate::journal::{Item, Journal, Ready, State};
use crate::name::Name;
use crate::settings::{Source, ZoneSettings};
use crate::wire::Rcode;
use crate::zone::Zone;

/// Plans that may wait; more are refused. At the rate of a slow disk these are a second's worth.
const MAX_WAITING: usize = 1_000;
/// Plans of one batch: a bound for what one write holds, and for how long the first of them waits for the last.
const MAX_BATCH: usize = 128;

/// One zone and its journal.
pub(super) struct Keeper {
    pub(super) apex: Name,
    pub(super) settings: ArcSwap<ZoneSettings>,
    publisher: Arc<Publisher>,
    runtime: Handle,
    queue: Mutex<Queue>,
    work: Mutex<Work>,
    /// Held by a compaction while it writes.
    compacting: Mutex<()>,
    /// When the first lease ends, in seconds since 1970; the greatest number when none does.
    next_end: AtomicU64,
    /// The journal's size in octets, zero without one.
    size: AtomicU64,
    leases: AtomicU64,
    is_expired: AtomicBool,
    freshness: Mutex<Freshness>,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Step>,
    is_running: bool,
    is_closed: bool,
}

enum Step {
    Plan(Task),
    /// A compaction has ended; nothing when it failed.
    Compacted(Option<Ready>),
}

impl Keeper {
    pub(super) fn new(
        opened: OpenedZone,
        settings: &ZoneSettings,
        publisher: Arc<Publisher>,
        runtime: Handle,
    ) -> Arc<Self> {
        let OpenedZone { files, folder, state, journal, seed, is_empty } = opened;
        let keeper = Self {
            apex: settings.apex.clone(),
            settings: ArcSwap::from_pointee(settings.clone()),
            publisher,
            runtime,
            queue: Mutex::default(),
            work: Mutex::new(Work {
                files,
                folder,
                state,
                signing: Signing::default(),
                is_journaled: journal.is_some(),
                journal,
                seed,
                is_compacting: false,
                retry_at: 0,
            }),
            compacting: Mutex::new(()),
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
        let mut queue = self.queue();
        let is_full = queue.tasks.len() >= MAX_WAITING && matches!(step, Step::Plan(_));
        if queue.is_closed || is_full {
            return Err(Rcode::SERVFAIL);
        }
        queue.tasks.push_back(step);
        if !queue.is_running {
            queue.is_running = true;
            let keeper = self.clone();
            self.runtime.spawn_blocking(move || keeper.run());
        }
        Ok(())
    }

    /// Works until nothing waits.
    fn run(self: Arc<Self>) {
        loop {
            // First the work, then the queue: who closes the keeper waits for the work to be let go of.
            let mut work = self.work();
            let steps: Vec<Step> = {
                let mut queue = self.queue();
                let len = queue.tasks.len().min(MAX_BATCH);
                if len == 0 {
                    queue.is_running = false;
                    return;
                }
                queue.tasks.drain(..len).collect()
            };
            self.work_on(&mut work, steps);
        }
    }

    fn work_on(self: &Arc<Self>, work: &mut Work, steps: Vec<Step>) {
        let mut batch = Batch::new(work);
        for step in steps {
            match step {
                Step::Compacted(ready) => work.replace_journal(ready, &self.apex),
                Step::Plan(task) => {
                    let (plan, done) = task(&work.state);
                    let result = match plan {
                        Plan::Nothing => Ok(()),
                        Plan::Change { edit, items } => batch.take(work, &self.settings.load(), edit, items),
                        Plan::Replace { zone, items } => {
                            self.conclude(work, batch);
                            batch = Batch::new(work);
                            self.replace(work, zone, &items)
                        }
                        Plan::Seed(zone) => {
                            work.seed(zone);
                            self.serve(work);
                            Ok(())
                        }
                    };
                    batch.waiting.push((done, result));
                }
            }
        }
        self.conclude(work, batch);
        self.compact(work);
    }

    /// Makes a batch last, publishes it, and answers.
    fn conclude(&self, work: &mut Work, batch: Batch) {
        let Batch { before, items, undo, waiting } = batch;
        let mut lasting = Ok(());
        if !items.is_empty() {
            match work.write(&self.apex, &items) {
                Ok(()) => self.serve(work),
                Err(error) => {
                    tracing::error!(zone = %self.apex, %error, "cannot write the journal; updates are refused");
                    work.state.zone = before;
                    undo.iter().rev().for_each(|item| work.state.note(item, &mut Vec::new()));
                    lasting = Err(Rcode::SERVFAIL);
                }
            }
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

    /// Begins a compaction where one pays.
    fn compact(self: &Arc<Self>, work: &mut Work) {
        let Some(journal) = &work.journal else { return };
        if work.is_compacting || !journal.is_long() || journal.size() < work.retry_at {
            return;
        }
        let compaction = journal.compaction(&work.state);
        work.is_compacting = true;
        let keeper = self.clone();
        self.runtime.spawn_blocking(move || {
            let _writing = keeper.compacting.lock().unwrap_or_else(PoisonError::into_inner);
            if keeper.queue().is_closed {
                return;
            }
            let ready = compaction.run();
            if let Err(error) = &ready {
                tracing::warn!(zone = %keeper.apex, %error, "cannot compact the journal; the long one is kept");
            }
            // A keeper that was closed meanwhile needs it no more.
            let _ = keeper.push(Step::Compacted(ready.ok()));
        });
    }

    /// The zone's file, if it has changed and there is no journal that counts instead.
    pub(super) fn new_seed(&self, zone: &ZoneSettings) -> Result<Option<(Zone, opening::Stamp)>, StoreError> {
        let Source::Primary { file: Some(path) } = &zone.source else { return Ok(None) };
        let work = self.work();
        if work.is_journaled || work.seed == Some(opening::stamp(path)?) {
            return Ok(None);
        }
        drop(work);
        opening::read_seed(path, &zone.apex).map(Some)
    }

    /// Serves what is in the zone's file now, unless a journal has begun meanwhile.
    pub(super) fn reseed(self: &Arc<Self>, (zone, stamp): (Zone, opening::Stamp)) {
        self.work().seed = Some(stamp);
        let _ = self.push(Step::Plan(Box::new(move |_| (Plan::Seed(zone), Box::new(|_| {})))));
    }

    /// Goes on under these settings. A zone that becomes a primary's has all it will get.
    pub(super) fn change_settings(&self, zone: &ZoneSettings) {
        self.settings.store(Arc::new(zone.clone()));
        if matches!(zone.source, Source::Primary { .. }) {
            self.set_expired(false);
        }
    }

    pub(super) fn publish(&self) {
        self.serve(&self.work());
    }

    /// Gives the aliases of the loan's target its addresses.
    pub(super) async fn lend(self: &Arc<Self>, loan: Loan) -> Result<(), Rcode> {
        let settings = self.settings.load_full();
        if settings.aliases.iter().all(|alias| alias.target != loan.target) {
            return Ok(());
        }
        self.freshness().note(&settings.aliases, &loan);
        self.plan(move |state| Ok((lending::lend(state, &settings.aliases, &loan)?, ()))).await?;
        // Answers show how fresh they are, also when the addresses are the same as before.
        self.publish();
        Ok(())
    }

    pub(super) fn set_expired(&self, is_expired: bool) {
        let work = self.work();
        if self.is_expired.swap(is_expired, Ordering::Relaxed) != is_expired {
            self.serve(&work);
        }
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
            is_secondary: matches!(self.settings.load().source, Source::Secondary { .. }),
            is_expired: self.is_expired.load(Ordering::Relaxed),
            serial: zone.as_ref().map(|served| served.zone.serial()).unwrap_or_default(),
            names: zone.map_or(0, |served| served.zone.name_count()),
            leases: self.leases.load(Ordering::Relaxed) as usize,
            journal: Some(self.size.load(Ordering::Relaxed)).filter(|size| *size > 0),
        }
    }

    /// Ends when what waits is done, and lets go of the journal.
    pub(super) fn close(self: &Arc<Self>) {
        self.queue().is_closed = true;
        let mut work = self.work();
        let steps = self.queue().tasks.drain(..).collect();
        self.work_on(&mut work, steps);
        work.journal = None;
        drop(work);
        // What still writes beside the journal must not do so when it is opened again.
        drop(self.compacting.lock());
    }

    fn freshness(&self) -> MutexGuard<'_, Freshness> {
        self.freshness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
