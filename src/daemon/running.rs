//! A running member: its site, its checks, and what it shows of them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::dns::{self, Dns, Told};
use super::face::{self, Beside};
use super::history::History;
use crate::api::{
    Command, Door,
    model::{CheckStatus, Refusal, Status},
};
use crate::clock;
use crate::cloud::register::Holder;
use crate::config::{KeySource, Lan, Settings};
use crate::lan::health::{self, Checks, HealthReport};
use crate::lan::{self, Identity, Noted, Order, Plan, Snapshot, StateLock};
use crate::notify::{self, Notice, notify};
use crate::units::{Health, NodeId, Term, Time};
use crate::wire::SiteKey;

/// The beacon thread publishes far more often than this while it lives.
const ALIVE_WITHIN: Duration = Duration::from_secs(5);
/// How often the service manager is told that the daemon lives.
const PULSE: Duration = Duration::from_secs(1);

/// A stop that takes longer leaves the rest to the kernel: the lease and the address's lifetime.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The moving parts, and the channels that the API reads.
pub(super) struct Running {
    settings: Settings,
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
    next_pulse: Time,
    status: watch::Sender<Arc<Status>>,
    history: History,
    dns: Dns,
    door: Door,
    _lock: StateLock,
}

impl Running {
    pub(super) async fn start(
        settings: Settings,
        config: &Path,
        commands: mpsc::Sender<Command>,
    ) -> anyhow::Result<Running> {
        let (health, health_seen) = watch::channel(Health::FULL);
        let checks = health::spawn(settings.checks.clone(), settings.lan.interface.clone());
        let lock = StateLock::take(&settings.state)?;
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
        let dns = Dns::new(dns::facts(&settings, config), Holder::Nobody);
        let door = Door { status: Some(status_seen), dns: dns.door(), history: history.seen(), commands };
        Ok(Running {
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

    /// Begins what may take as long as the disk, when the site is already at work. What fails is shown, and the site goes on.
    pub(super) async fn serve_dns(&mut self, config: &Path) -> Result<(), Refusal> {
        let facts = dns::facts(&self.settings, config);
        let applied = self.dns.apply(self.settings.dns.as_ref(), facts).await;
        self.beside.warnings.retain(|warning| !warning.starts_with(NOT_SERVED));
        let Err(error) = applied else { return Ok(()) };
        let message = format!("{NOT_SERVED}: {error:#}");
        tracing::error!("{message}");
        self.beside.warnings.push(message.clone());
        self.log("dns", message.clone());
        self.show();
        Err(Refusal { error: "failed".into(), message })
    }

    fn say(&mut self, told: Told) {
        let Told { text, bad } = told;
        if bad {
            tracing::warn!("{text}");
        } else {
            tracing::info!("{text}");
        }
        self.log("dns", text);
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

    /// Waits for something to show and shows it. False: the site has ended. Cancel-safe: it waits on channels only,
    /// and shows what it took from them without waiting again.
    pub(super) async fn turn(&mut self) -> bool {
        tokio::select! {
            Err(_) = self.site.ended.changed() => return false,
            Some(noted) = self.site.notes.recv() => self.note(&noted),
            Ok(()) = self.site.snapshot.changed() => {}
            Ok(()) = self.checks.0.changed() => self.judge(),
            told = self.dns.turn() => self.say(told),
            () = tokio::time::sleep(PULSE) => {}
        }
        self.show();
        true
    }

    pub(super) async fn give_up(&mut self, reply: oneshot::Sender<Result<(), Refusal>>) {
        let (answer, answered) = oneshot::channel();
        let _ = self.site.orders.send(Order::GiveUp(answer)).await;
        // Answered by a task of its own: the handover is shown here meanwhile.
        tokio::spawn(async move {
            let done = match answered.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(refused)) => {
                    let error = match refused {
                        lan::Refused::NotHolding => "not-holder",
                        lan::Refused::Nobody => "nobody-to-take-it",
                    };
                    Err(Refusal { error: error.into(), message: refused.to_string() })
                }
                Err(_) => Err(Refusal { error: "stopping".into(), message: "the daemon is stopping".into() }),
            };
            let _ = reply.send(done);
        });
    }

    /// Says why a new configuration is not used: in the log, to those who follow the events, and in the status until a
    /// good one is read.
    pub(super) fn refuse(&mut self, error: &str, why: impl std::fmt::Display) -> Refusal {
        let message = format!("{NOT_USED}, the old one goes on: {why}");
        tracing::error!("{message}");
        self.beside.warnings.retain(|warning| !warning.starts_with(NOT_USED));
        self.beside.warnings.push(message.clone());
        self.log("config", message.clone());
        self.show();
        Refusal { error: error.into(), message }
    }

    /// Goes on with new settings; the address stays where it is unless it, or how members meet, changed. What cannot
    /// be used changes nothing; DNS that cannot be served as it says stays as it was.
    pub(super) async fn reload(&mut self, settings: Settings, config: &Path) -> Result<(), Refusal> {
        let fixed =
            [("state", settings.state == self.settings.state), ("control", settings.control == self.settings.control)];
        if let Some((key, _)) = fixed.iter().find(|(_, same)| !same) {
            let why = format!("`{key}` cannot change while the daemon runs: restart it");
            return Err(self.refuse("restart-needed", why));
        }
        let plan = match plan(&settings) {
            Ok(plan) => plan,
            Err(error) => return Err(self.refuse("failed", format!("{error:#}"))),
        };
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
        self.beside.warnings.retain(|warning| !warning.starts_with(NOT_USED));
        self.serve_dns(config).await?;
        self.log("config", "the new configuration is in force".into());
        self.show();
        Ok(())
    }

    /// Ends the site and starts another; if that cannot start, the old one is started again.
    async fn move_to(&mut self, plan: Plan) -> Result<(), Refusal> {
        if !self.stop().await {
            return Err(self.refuse("failed", format!("the beacon thread did not end within {STOP_WITHIN:?}")));
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
            Ok(site) => self.site = site,
            // The daemon ends with its site, and the service manager starts it anew.
            Err(error) => tracing::error!("the old configuration cannot go on: {:#}", anyhow::Error::from(error)),
        }
        Err(self.refuse("failed", format!("{error:#}")))
    }

    /// Hands the address over, if it is here, and waits until everything is undone. False: it takes longer than
    /// [`STOP_WITHIN`].
    pub(super) async fn stop(&mut self) -> bool {
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
                let text = format!("check {} {verb}: {}", check.name, check.detail);
                tracing::info!("{text}");
                self.log("health", text);
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
        self.pulse(&snapshot);
        self.status.send_replace(Arc::new(face::status(&self.settings, &snapshot, &self.beside)));
    }

    /// Tells the service manager that the daemon lives, as long as the beacon thread does.
    fn pulse(&mut self, snapshot: &Snapshot) {
        let now = clock::now();
        let Some(interval) = notify::watchdog() else { return };
        if now >= self.next_pulse && now.since(snapshot.at) < ALIVE_WITHIN {
            self.next_pulse = now + interval / 2;
            notify(Notice::Alive);
            notify(Notice::Status(&self.line()));
        }
    }

    fn log(&mut self, kind: &str, text: String) {
        let term = self.status.borrow().term;
        self.history.log(kind, text, term);
    }
}

/// How a warning about a DNS server that did not start begins.
const NOT_SERVED: &str = "DNS is not served as configured";

/// How a warning about a refused configuration begins.
const NOT_USED: &str = "the new configuration is not used";

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
