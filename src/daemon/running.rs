//! A running member: its site, its checks, and what it shows of them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::dns::{self, Dns, News};
use super::face::{self, Beside};
use super::history::{History, Told};
use super::reloads::{Fixed, Reloads, not_used};
use crate::api::{
    Command, Door,
    model::{CheckStatus, Refusal, Status},
};
use crate::clock;
use crate::cloud::register::Holder;
use crate::config::{self, KeySource, Lan, Settings};
use crate::lan::health::{self, Checks, HealthReport};
use crate::lan::{self, Identity, Noted, Order, Plan, Snapshot, StateLock};
use crate::notify::{self, Notice, notify};
use crate::units::{Health, NodeId, Term, Time};
use crate::wire::SiteKey;

/// The beacon thread publishes far more often than this while it lives.
const ALIVE_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked whether the service manager is to be told that the daemon lives.
const PULSE: Duration = Duration::from_secs(1);

/// A stop that takes longer leaves the rest to the kernel: the lease and the address's lifetime.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The moving parts, and the channels that the API reads.
pub(super) struct Running {
    settings: Settings,
    config: PathBuf,
    pub(super) reloads: Reloads<Read>,
    /// Why the newest configuration is not used, until a good one is read.
    refused: Option<String>,
    /// Why DNS is not as the configuration says, while it is so.
    unserved: Option<String>,
    /// What the site was made from.
    plan: Plan,
    site: lan::Handle,
    /// What the checks say, and the guard that keeps them running.
    checks: (watch::Receiver<HealthReport>, Checks),
    health: watch::Sender<Health>,
    beside: Beside,
    /// Who holds, and since when this member saw it.
    holder: (Option<NodeId>, Time),
    kept_term: Term,
    /// Writes a term down; one at a time, so that the newest is the last.
    keeping: Option<JoinHandle<()>>,
    pulse: Interval,
    next_pulse: Time,
    status: watch::Sender<Arc<Status>>,
    history: History,
    dns: Dns,
    door: Door,
    _lock: StateLock,
}

/// A configuration, and the site it makes.
pub(super) type Read = Box<(Settings, Plan)>;

/// What [`Running::turn`] waited for.
pub(super) enum Turned {
    /// Something that is shown now.
    On,
    /// The configuration was read again: [`Running::reload`] is due.
    Read(Result<Read, Refusal>),
    /// The site has ended.
    Ended,
}

impl Running {
    pub(super) async fn start(
        settings: Settings,
        config: PathBuf,
        commands: mpsc::Sender<Command>,
    ) -> anyhow::Result<Running> {
        let lock = StateLock::take(&settings.state)?;
        let (health, health_seen) = watch::channel(Health::FULL);
        let checks = health::spawn(settings.checks.clone(), settings.lan.interface.clone());
        let plan = plan(&settings)?;
        let identity = plan.identity;
        let site = lan::spawn(plan.clone(), health_seen).await?;
        let mut beside = Beside { started: clock::now(), ..Beside::default() };
        if !identity.kept {
            let state = settings.state.display();
            beside
                .warnings
                .push(format!("{state} cannot be written (is the disk full?): the next start relies on the clock"));
        }
        let snapshot = Arc::clone(&site.snapshot.borrow());
        let first = face::status(&settings, &snapshot, &beside);
        let (status, status_seen) = watch::channel(Arc::new(first));
        let history = History::new();
        let dns = Dns::new(dns::facts(&settings, &config), Holder::Nobody);
        let door = Door { status: Some(status_seen), dns: dns.door(), history: history.seen(), commands };
        let mut pulse = interval(PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Running {
            reloads: reloads(&settings, config.clone()),
            refused: None,
            unserved: None,
            config,
            pulse,
            kept_term: identity.term,
            keeping: None,
            holder: (None, clock::now()),
            next_pulse: Time::ZERO,
            settings,
            plan,
            site,
            checks,
            health,
            beside,
            status,
            history,
            dns,
            door,
            _lock: lock,
        })
    }

    /// Begins to serve and register what the settings say, when the site is already at work.
    pub(super) fn begin_dns(&mut self) {
        self.dns.begin(self.settings.dns.clone(), dns::facts(&self.settings, &self.config));
        self.show();
    }

    pub(super) fn door(&self) -> Door {
        self.door.clone()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The member in one line, for the service manager.
    pub(super) fn line(&self) -> String {
        let status = self.status.borrow();
        let holder = status.holder.as_deref().unwrap_or("nobody");
        format!("{}; {holder} holds {} in term {}", status.state, status.dmz.join(", "), status.term)
    }

    /// Waits for something to show and shows it. Cancel-safe: it waits on channels and a clock only, and shows what it took
    /// from them without waiting again.
    pub(super) async fn turn(&mut self) -> Turned {
        tokio::select! {
            Err(_) = self.site.ended.changed() => return Turned::Ended,
            Some(noted) = self.site.notes.recv() => self.note(&noted),
            Ok(()) = self.site.snapshot.changed() => {}
            Ok(()) = self.checks.0.changed() => self.judge(),
            read = self.reloads.read() => return Turned::Read(read),
            news = self.dns.turn() => match news {
                News::Told(told) => self.tell("dns", told),
                News::Changed(done) => self.conclude_dns(done),
            },
            _ = self.pulse.tick() => {}
        }
        self.show();
        Turned::On
    }

    /// Has the site hand the address over; answered by a task of its own, so that the handover is shown meanwhile.
    pub(super) fn give_up(&mut self, reply: oneshot::Sender<Result<(), Refusal>>) {
        let (answer, answered) = oneshot::channel();
        let refuse = |error: &str, message: String| Err(Refusal { error: error.into(), message });
        if self.site.orders.try_send(Order::GiveUp(answer)).is_err() {
            let message = "the site is busy with other requests or stopping; try again";
            let _ = reply.send(refuse("unavailable", message.into()));
            return;
        }
        tokio::spawn(async move {
            let done = match answered.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(refused @ lan::Refused::NotHolding)) => refuse("not-holder", refused.to_string()),
                Ok(Err(refused @ lan::Refused::Nobody)) => refuse("nobody-to-take-it", refused.to_string()),
                Err(_) => refuse("stopping", "the daemon is stopping".into()),
            };
            let _ = reply.send(done);
        });
    }

    /// Goes on with new settings; the address stays where it is unless it, or how members meet, changed. What cannot
    /// be used changes nothing; DNS follows, and if it cannot be served as they say it stays as it was.
    pub(super) async fn reload(&mut self, read: Result<Read, Refusal>) {
        let taken = match read {
            Ok(read) => self.take_over(*read).await,
            Err(refusal) => Err(refusal),
        };
        self.refused = taken.as_ref().err().map(|refusal| refusal.message.clone());
        match taken {
            Ok(()) => self.begin_dns(),
            Err(refusal) => self.conclude(Err(refusal)),
        }
    }

    async fn take_over(&mut self, (settings, plan): (Settings, Plan)) -> Result<(), Refusal> {
        if same_site(&plan, &self.plan) {
            let _ = self.site.orders.send(Order::Reload(Box::new(plan.clone()))).await;
        } else {
            self.move_to(plan.clone()).await?;
        }
        self.plan = plan;
        if settings.checks != self.settings.checks || settings.lan.interface != self.settings.lan.interface {
            self.checks = health::spawn(settings.checks.clone(), settings.lan.interface.clone());
            self.beside.checks.clear();
            // What the old checks found counts no more.
            self.health.send_replace(Health::FULL);
        }
        self.settings = settings;
        Ok(())
    }

    /// Ends the site and starts another; if that cannot start, the old one is started again.
    async fn move_to(&mut self, plan: Plan) -> Result<(), Refusal> {
        if !self.stop_site().await {
            let why = format!("the beacon thread did not end within {STOP_WITHIN:?}; the daemon ends when it does");
            return Err(Refusal {
                error: "failed".into(),
                message: format!("the new configuration is not used: {why}"),
            });
        }
        let old = Plan { identity: plan.identity, ..self.plan.clone() };
        let error = match lan::spawn(plan, self.health.subscribe()).await {
            Ok(site) => {
                self.site = site;
                return Ok(());
            }
            Err(error) => anyhow::Error::from(error),
        };
        match lan::spawn(old, self.health.subscribe()).await {
            Ok(site) => {
                self.site = site;
                Err(not_used("failed", format!("{error:#}")))
            }
            // The daemon ends with its site, and the service manager starts it anew.
            Err(old) => {
                let old = anyhow::Error::from(old);
                let message =
                    format!("neither the new configuration can start ({error:#}) nor the old one go on: {old:#}");
                Err(Refusal { error: "failed".into(), message })
            }
        }
    }

    /// DNS is as the settings say, or cannot be.
    fn conclude_dns(&mut self, done: anyhow::Result<()>) {
        let refused = |error: anyhow::Error| {
            let message = match self.dns.line() {
                Some(_) => format!("[dns] stays as it was, the rest of the new configuration is in force: {error:#}"),
                None => format!("DNS is not served: {error:#}"),
            };
            Refusal { error: "failed".into(), message }
        };
        let done = done.map_err(refused);
        self.unserved = done.as_ref().err().map(|refusal| refusal.message.clone());
        self.conclude(done);
    }

    /// The start is over, or the new configuration is in force, or it says why not: in the log, to those who follow the
    /// events, and in the status until a good one is read.
    fn conclude(&mut self, done: Result<(), Refusal>) {
        match &done {
            Ok(()) if self.reloads.is_start() => {
                if let Some(line) = self.dns.line() {
                    self.tell("dns", Told::good(line));
                }
            }
            Ok(()) => self.tell("config", Told::good("the new configuration is in force")),
            Err(refusal) => self.tell("config", Told::bad(&refusal.message)),
        }
        // Whoever hears the answer finds it shown.
        self.show();
        let line = self.line();
        self.reloads.finish(done, &line);
    }

    /// Hands the address over, if it is here, and waits until everything is undone. False: it takes longer than
    /// [`STOP_WITHIN`].
    pub(super) async fn stop(&mut self) -> bool {
        self.reloads.give_up();
        self.stop_site().await
    }

    async fn stop_site(&mut self) -> bool {
        let stopped = tokio::time::timeout(STOP_WITHIN, async {
            let _ = self.site.orders.send(Order::Stop).await;
            loop {
                tokio::select! {
                    biased;
                    Some(noted) = self.site.notes.recv() => self.note(&noted),
                    Err(_) = self.site.ended.changed() => break,
                }
            }
        });
        let stopped = stopped.await.is_ok();
        self.show();
        stopped
    }

    /// Takes back what is registered, and stops serving names; after [`Self::stop`], when it is known who holds.
    pub(super) async fn stop_dns(&mut self) {
        self.dns.stop().await;
    }

    fn note(&mut self, noted: &Noted) {
        let snapshot = Arc::clone(&self.site.snapshot.borrow());
        let event = face::event(&self.settings, &snapshot, noted);
        if face::is_alarm(&noted.note) {
            tracing::warn!(term = event.term, "{}", event.text);
        } else {
            tracing::info!(term = event.term, "{}", event.text);
        }
        self.history.keep(event);
    }

    fn judge(&mut self) {
        let HealthReport { health, checks } = self.checks.0.borrow_and_update().clone();
        let checks: Vec<CheckStatus> = checks.iter().map(face::check).collect();
        for check in &checks {
            let before = self.beside.checks.iter().find(|known| known.name == check.name);
            if before.is_none_or(|before| before.passing) != check.passing {
                let verb = if check.passing { "passes" } else { "fails" };
                self.tell("health", Told::good(format!("check {} {verb}: {}", check.name, check.detail)));
            }
        }
        self.beside.checks = checks;
        self.health.send_if_modified(|known| std::mem::replace(known, health) != health);
    }

    fn show(&mut self) {
        let snapshot = Arc::clone(&self.site.snapshot.borrow_and_update());
        if snapshot.holder != self.holder.0 {
            self.holder = (snapshot.holder, snapshot.at);
        }
        self.dns.holds(match snapshot.holder {
            Some(holder) if Some(holder) == snapshot.node => Holder::Me,
            Some(_) => Holder::Other,
            None => Holder::Nobody,
        });
        self.beside.holder_since = self.holder.0.map(|_| self.holder.1);
        if snapshot.term > self.kept_term && self.keeping.as_ref().is_none_or(JoinHandle::is_finished) {
            self.kept_term = snapshot.term;
            let (state, term) = (self.settings.state.clone(), snapshot.term);
            self.keeping = Some(tokio::task::spawn_blocking(move || {
                if let Err(error) = Identity::keep_term(&state, term) {
                    tracing::warn!(%error, "the term could not be written down");
                }
            }));
        }
        let reading = self.dns.is_reading().map(str::to_owned);
        self.beside.problems = [reading, self.unserved.clone(), self.refused.clone()].into_iter().flatten().collect();
        self.dns.warn(&self.beside.problems);
        self.tell_manager(&snapshot);
        self.status.send_replace(Arc::new(face::status(&self.settings, &snapshot, &self.beside)));
    }

    /// Tells the service manager that the daemon lives, as long as the beacon thread does.
    fn tell_manager(&mut self, snapshot: &Snapshot) {
        let now = clock::now();
        let Some(interval) = notify::watchdog() else { return };
        if now >= self.next_pulse && now.since(snapshot.at) < ALIVE_WITHIN {
            self.next_pulse = now + interval / 2;
            notify(Notice::Alive(&self.line()));
        }
    }

    fn tell(&mut self, kind: &str, told: Told) {
        let term = self.status.borrow().term;
        self.history.tell(kind, told, term);
    }
}

/// How this member's configuration is read again.
fn reloads(settings: &Settings, config: PathBuf) -> Reloads<Read> {
    let fixed = Fixed { state: settings.state.clone(), control: settings.control.clone() };
    Reloads::new(move || {
        let settings = config::load(&config).map_err(|error| not_used("invalid-configuration", error))?;
        fixed.check(&settings.state, &settings.control)?;
        let plan = plan(&settings).map_err(|error| not_used("failed", format!("{error:#}")))?;
        Ok(Box::new((settings, plan)))
    })
}

/// Whether the members, the address, the devices and what is done with them are the same, so that the site can go on as
/// it is.
fn same_site(a: &Plan, b: &Plan) -> bool {
    let lan = |plan: &Plan| {
        let Lan { interface, group_v4, group_v6, role, .. } = plan.lan.clone();
        (interface, group_v4, group_v6, role, plan.key.public())
    };
    lan(a) == lan(b) && a.dmz == b.dmz && a.record == b.record
}

/// Reads what the settings only name: the key and this member's identity.
fn plan(settings: &Settings) -> anyhow::Result<Plan> {
    let key = match &settings.lan.key {
        KeySource::Passphrase(passphrase) => SiteKey::derive(passphrase)?,
        KeySource::File(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the key file {}", path.display()))?;
            SiteKey::derive(text.trim())?
        }
    };
    Ok(Plan {
        name: settings.name.clone(),
        lan: settings.lan.clone(),
        dmz: settings.dmz.clone(),
        key,
        identity: Identity::open(&settings.state)?,
        state: settings.state.clone(),
        record: settings.record.clone(),
    })
}
