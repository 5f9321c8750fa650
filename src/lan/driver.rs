//! The driver loop: wait, record, step, perform in order, publish.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use netconfig::Event;
use tokio::sync::{mpsc, oneshot, watch};

use super::kernel::Kernel;
use super::perform::Means;
use super::record::Recorder;
use super::site::{Order, Plan, Refused, StartError, election_settings};
use super::sockets::Sockets;
use super::timer::Timer;
use super::warnings::Warnings;
use super::{Noted, Snapshot, Warning, realtime};
use crate::causes::with_causes;
use crate::clock;
use crate::election::{Effect, Failure, Input, Machine, Note, Role, State};
use crate::units::{BootEpoch, Health, Mac, NodeId, SiteTag, Time};
use crate::wire::{Intake, Outbox};

/// The snapshot is published this often without a change, so that "last seen" stays true.
const PUBLISH: Duration = Duration::from_millis(250);
/// The kernel is compared with what is wanted this often, beside after every surprise.
const RESYNC: Duration = Duration::from_secs(5);
/// What need not be punctual waits so long for a turn that comes anyway: each wake-up costs more than what is done in it.
const SLACK: Duration = Duration::from_millis(100);
/// Changes at other members are told so much later: when the address moves, all members of a site hear of it at once,
/// and some of them may share a machine with those who serve.
const TELL_AFTER: Duration = Duration::from_millis(10);
/// Changes that wait to be told; more are told at once.
const MAX_UNTOLD: usize = 64;
/// A missing interface is looked for this often.
const LOOK_FOR_INTERFACE: Duration = Duration::from_millis(250);
/// Effects that fail one after the other end here; the next tick goes on.
const FAILURES_IN_A_ROW: u32 = 8;

/// Where the driver tells what happens.
#[derive(Debug)]
pub(super) struct Outlets {
    pub publish: watch::Sender<Arc<Snapshot>>,
    pub note: mpsc::Sender<Noted>,
}

/// The loop and everything it owns.
pub(super) struct Driver {
    pub(super) plan: Plan,
    pub(super) means: Means,
    /// None until the interface is there.
    pub(super) site: Option<Site>,
    outlets: Outlets,
    orders: mpsc::Receiver<Order>,
    pub(super) health: watch::Receiver<Health>,
    timer: Timer,
    publish_at: Time,
    /// What was not told yet, and when that is done.
    untold: Vec<Noted>,
    tell_at: Option<Time>,
    resync_at: Time,
    pub(super) stale_at: Time,
    giving_up: Option<oneshot::Sender<Result<(), Refused>>>,
    /// No order is taken after the one to stop.
    stopping: bool,
    finished: bool,
}

/// What exists once the interface, and with it the member's id, is known.
#[derive(Debug)]
pub(super) struct Site {
    pub machine: Machine,
    pub intake: Intake,
    pub recorder: Recorder,
}

/// What woke the loop.
enum Woken {
    Timer,
    Packets,
    Kernel(Event),
    Order(Order),
    Health,
}

impl Driver {
    pub(super) async fn open(
        plan: Plan,
        outlets: Outlets,
        orders: mpsc::Receiver<Order>,
        health: watch::Receiver<Health>,
    ) -> Result<Driver, StartError> {
        let mut warnings = Warnings::default();
        let kernel = Kernel::open(&plan).await?;
        // Nobody waits for an observer, nor for the setup: real-time threads that stand in the kernel's queues together
        // keep everybody else from the machine.
        if plan.lan.role == Role::Candidate {
            if let Err(error) = realtime::prioritise() {
                warnings.raise(Warning::NoRealtime(error.to_string()));
            }
            if let Err(error) = realtime::lock_memory() {
                warnings.raise(Warning::NoMemoryLock(error.to_string()));
            }
        }
        // Replaced as soon as the interface, and with it the id, is known.
        let outbox = Outbox::new(plan.key.clone(), SiteTag([0; 4]), NodeId::default(), BootEpoch(0));
        let (counts, said) = Default::default();
        let means = Means { kernel, sockets: None, outbox, counts, warnings, said, refresh_at: None };
        let timer = Timer::new().map_err(StartError::Thread)?;
        let now = clock::now();
        Ok(Driver {
            means,
            site: None,
            outlets,
            orders,
            health,
            timer,
            publish_at: now,
            untold: Vec::new(),
            tell_at: None,
            resync_at: now + RESYNC,
            stale_at: now,
            plan,
            giving_up: None,
            stopping: false,
            finished: false,
        })
    }

    pub(super) async fn run(mut self) {
        self.link_changed(self.means.kernel.link_up()).await;
        while !self.finished {
            let due = self.next_deadline();
            let woken = self.wait(due).await;
            if clock::now().since(due) >= self.plan.lan.timing.lease {
                self.catch_up().await;
            }
            // Packets first: what others said while this thread stood still outweighs a deadline that passed.
            self.take_packets().await;
            match woken {
                Woken::Timer | Woken::Packets => {}
                Woken::Kernel(event) => self.kernel_event(event).await,
                Woken::Order(order) => self.order(order).await,
                Woken::Health => {
                    let health = *self.health.borrow_and_update();
                    self.step(Input::Health(health)).await;
                }
            }
            self.tick().await;
        }
        self.tell_now();
        // Nobody waits for what is left to do.
        let _ = realtime::relax();
        let Driver { means, .. } = self;
        if let Err(error) = means.kernel.remove().await {
            tracing::warn!(error = with_causes(&error), "not everything could be undone");
        }
    }

    /// Cancel-safe: the timer and the sockets are only waited for; a cancelled receive leaves the order in its queue;
    /// the kernel's events stay in their sockets, or with the host, until they are answered with.
    ///
    /// The rare comes first: deadlines and packets are looked at in every turn, whatever woke the loop, so that a flood
    /// of one kind holds up no other.
    async fn wait(&mut self, due: Time) -> Woken {
        let sockets = self.means.sockets.as_ref();
        let packets = async {
            match sockets {
                Some(sockets) => sockets.readable().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            order = self.orders.recv(), if !self.stopping => Woken::Order(order.unwrap_or(Order::Stop)),
            Ok(()) = self.health.changed() => Woken::Health,
            event = self.means.kernel.event() => Woken::Kernel(event),
            _ = packets => Woken::Packets,
            _ = self.timer.until(due) => Woken::Timer,
        }
    }

    fn next_deadline(&self) -> Time {
        let machine = self.site.as_ref().and_then(|site| site.machine.deadline()).map(|deadline| deadline.at);
        let look = self.site.is_none().then(|| clock::now() + LOOK_FOR_INTERFACE);
        let patient = [self.means.refresh_at, Some(self.publish_at)].map(|at| at.map(|at| at + SLACK));
        let punctual = [machine, look, self.tell_at, Some(self.resync_at)];
        punctual.into_iter().chain(patient).flatten().min().unwrap_or(self.publish_at)
    }

    /// Whatever is due.
    async fn tick(&mut self) {
        let now = clock::now();
        if self.site.as_ref().and_then(|site| site.machine.deadline()).is_some_and(|deadline| deadline.at <= now) {
            self.step(Input::Tick).await;
        }
        if self.means.refresh_at.is_some_and(|at| at <= now) {
            self.means.renew(now);
        }
        if self.resync_at <= now {
            self.resync_at = now + RESYNC;
            match self.means.kernel.host() {
                Some(host) => host.compare(),
                None => drop(self.resync().await),
            }
            if self.means.warnings.any(|warning| matches!(warning, Warning::Network(_))) {
                self.open_sockets();
            }
        }
        if self.site.is_none() {
            self.link_changed(self.means.kernel.link_up()).await;
        }
        if self.tell_at.is_some_and(|at| at <= now) {
            self.tell_now();
        }
        if self.publish_at <= now {
            self.publish();
        }
    }

    async fn kernel_event(&mut self, event: Event) {
        match event {
            Event::Link { up } => self.link_changed(up).await,
            Event::AddressLost => self.put_back().await,
            Event::FenceLost => {
                self.means.counts.fence_restored += 1;
                self.step(Input::FenceRestored).await;
            }
            Event::AddressSeen { mac } => self.step(Input::AddressSeen { mac: Mac(mac) }).await,
            Event::AddressesChanged => self.open_sockets(),
            Event::Compared { as_wanted: true } => {
                // What could not be done before has been done since.
                let _ = self.means.report(Ok::<(), std::io::Error>(()));
            }
            Event::Compared { as_wanted: false } => {
                let _ = self.resync().await;
            }
        }
    }

    /// The address is gone. A machine that cannot have it back must not keep it from the others.
    async fn put_back(&mut self) {
        if self.resync().await.is_err() && self.holds() {
            self.step(Input::Failed(Failure::Configure)).await;
        }
    }

    async fn resync(&mut self) -> Result<(), ()> {
        self.resync_at = clock::now() + RESYNC;
        let done = self.means.kernel.resync().await;
        let steps = self.means.report(done)?;
        if !steps.is_empty() {
            self.means.counts.address_restored += 1;
            tracing::warn!(?steps, "put back what another program had changed");
            // Caches may have noticed the absence.
            if self.holds() {
                self.step(Input::FenceRestored).await;
                self.means.announce();
            }
        }
        Ok(())
    }

    fn holds(&self) -> bool {
        self.site.as_ref().is_some_and(|site| site.machine.state() == State::Holding)
    }

    async fn order(&mut self, order: Order) {
        match order {
            Order::GiveUp(reply) => {
                if self.holds() && self.giving_up.is_none() {
                    self.giving_up = Some(reply);
                    self.step(Input::GiveUp).await;
                } else {
                    let _ = reply.send(Err(Refused::NotHolding));
                }
            }
            Order::Reload(plan) => self.reload(*plan).await,
            Order::Stop => {
                self.stopping = true;
                self.finished |= self.site.is_none();
                self.step(Input::Stop).await;
            }
        }
    }

    /// New settings; what they change at the kernel is the election's to say, if there is one yet.
    async fn reload(&mut self, plan: Plan) {
        self.plan = plan;
        match self.site.as_ref().map(|site| site.machine.settings()) {
            Some(now) => {
                let settings = election_settings(&self.plan, now.node, now.mac);
                self.step(Input::Reload(Box::new(settings))).await;
            }
            None => drop(self.means.set_lease(self.plan.lan.timing.lease).await),
        }
        self.open_sockets();
        self.publish();
    }

    /// One input: step, perform, and whatever follows from a failure.
    pub(super) async fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        let mut failures = 0;
        while let Some(input) = inputs.pop_front() {
            let Some(site) = &mut self.site else { return };
            let now = clock::now();
            let mut effects: Vec<Effect> = Vec::new();
            site.machine.step(now, input.clone(), &mut effects);
            if site.recorder.is_on() && !site.recorder.step(now, &input, &effects) {
                self.means.counts.record_dropped += 1;
                if !site.recorder.is_on() {
                    let why = "the file cannot be written; the log says why".to_owned();
                    self.means.warnings.raise(Warning::Record(why));
                }
            }
            if effects.is_empty() {
                continue;
            }
            let outcome = self.means.perform(effects).await;
            self.finished |= outcome.finished;
            if let Some(failure) = outcome.failed
                && failures < FAILURES_IN_A_ROW
            {
                failures += 1;
                inputs.push_back(Input::Failed(failure));
            }
            if !outcome.notes.is_empty() {
                self.tell(outcome.notes);
            }
        }
    }

    fn tell(&mut self, notes: Vec<Note>) {
        let Some(site) = &self.site else { return };
        let refused = notes.contains(&Note::GiveUpRefused);
        let settled = !matches!(site.machine.state(), State::HandingOver);
        if settled && let Some(reply) = self.giving_up.take() {
            let stayed = refused || site.machine.state() == State::Holding;
            let _ = reply.send(if stayed { Err(Refused::Nobody) } else { Ok(()) });
        }
        let (at_millis, term) = (clock::wall_millis(), site.machine.term());
        let elsewhere = |note: &Note| matches!(note, Note::Holder { .. } | Note::Joined { .. } | Note::Left { .. });
        let patient = notes.iter().all(elsewhere) && self.untold.len() < MAX_UNTOLD;
        self.untold.extend(notes.into_iter().map(|note| Noted { at_millis, term, note }));
        if patient {
            self.tell_at.get_or_insert(clock::now() + TELL_AFTER);
        } else {
            self.tell_now();
        }
    }

    fn tell_now(&mut self) {
        self.tell_at = None;
        let told = self.untold.drain(..).map(|noted| self.outlets.note.try_send(noted));
        let lost = told.filter(Result::is_err).count();
        if lost > 0 {
            tracing::warn!(lost, "changes came faster than they could be shown; the status has what counts");
        }
        self.publish();
    }

    fn publish(&mut self) {
        let now = clock::now();
        let mut snapshot = Snapshot {
            at: now,
            counts: self.means.counts,
            warnings: self.means.warnings.list(now),
            address: self.means.sockets.as_ref().and_then(Sockets::own_address),
            ..Snapshot::empty()
        };
        if let Some(Site { machine, .. }) = &self.site {
            snapshot.node = Some(machine.settings().node);
            snapshot.state = machine.state();
            snapshot.term = machine.term();
            snapshot.holder = machine.holder();
            snapshot.health = machine.health();
            snapshot.members = machine.members().cloned().collect();
            snapshot.successors = machine.successors();
        }
        // A large site is published less often, so that it costs the beacon thread no more.
        let size = u32::try_from(snapshot.members.len()).unwrap_or(u32::MAX);
        self.publish_at = now + PUBLISH * (1 + size / 100);
        self.outlets.publish.send_replace(Arc::new(snapshot));
    }
}
