//! The DNS of a daemon: the server, the registration, and what is shown and told of them.
//!
//! Other settings are taken over by a task that [`Dns::turn`] polls, since reading zones takes as long as the disk.
//! **Invariants:** nothing here holds up the site, its watchdog or its end; settings that cannot be served change nothing.

mod background;
mod serving;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dns::name::Name;
use dns::server::Server;
use dns::zone::Serial;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::history::Told;
use crate::api::dns::model::DnsStatus;
use crate::api::dns::{DnsDoor, plain};
use crate::cloud::register::Holder;
use crate::cloud::{Plan, Registration};
use crate::config::{self, Register};
use serving::Serving;

/// Changes of zones are told together after this time.
const TOGETHER: Duration = Duration::from_secs(2);
/// How often expired zones are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// A change that is under way at the end has so long; zones that are being read then have nothing to lose.
const LAST_CHANGE: Duration = Duration::from_millis(300);
/// An end that takes longer leaves the rest to the kernel: what was acknowledged is on the disk. With the site's own time
/// it stays below what service managers wait.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// What DNS may need to know of the site and the machine.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The LAN interface, if there is a site.
    pub interface: Option<String>,
    /// The DMZ addresses.
    pub dmz: BTreeSet<IpAddr>,
    /// The state folder.
    pub state: PathBuf,
    /// The configuration file.
    pub config: PathBuf,
}

/// What [`Dns::turn`] waited for.
pub(super) enum News {
    /// Something that people may want to know.
    Told(Told),
    /// The settings of [`Dns::begin`] are in force, or cannot be; then everything is as before.
    Changed(anyhow::Result<()>),
}

/// The moving parts; each may be missing.
pub(super) struct Dns {
    facts: Facts,
    /// Those in force.
    settings: Option<config::Dns>,
    /// Those of [`Self::begin`].
    wanted: Option<config::Dns>,
    work: Work,
    /// The server that answers now, also while other settings are on their way.
    server: Option<Arc<Server>>,
    changes: Option<broadcast::Receiver<(Name, Serial)>>,
    changed: BTreeMap<Name, Serial>,
    tell_at: Option<Instant>,
    expired: BTreeSet<Name>,
    look_at: Instant,
    registration: Option<(Plan, Registration)>,
    /// A registration that takes its names back.
    leaving: Option<JoinHandle<()>>,
    holder: watch::Sender<Holder>,
    warnings: Vec<String>,
    status: watch::Sender<Arc<DnsStatus>>,
    door: watch::Sender<Option<DnsDoor>>,
}

enum Work {
    Resting(Serving),
    Changing(JoinHandle<(Serving, anyhow::Result<()>)>),
}

impl Dns {
    /// Nothing yet; [`Self::begin`] begins.
    pub(super) fn new(facts: Facts, holder: Holder) -> Dns {
        Dns {
            facts,
            settings: None,
            wanted: None,
            work: Work::default(),
            server: None,
            changes: None,
            changed: BTreeMap::new(),
            tell_at: None,
            expired: BTreeSet::new(),
            look_at: Instant::now(),
            registration: None,
            leaving: None,
            holder: watch::channel(holder).0,
            warnings: Vec::new(),
            status: watch::channel(Arc::default()).0,
            door: watch::channel(None).0,
        }
    }

    /// What the API reads.
    pub(super) fn door(&self) -> watch::Receiver<Option<DnsDoor>> {
        self.door.subscribe()
    }

    /// Who holds now.
    pub(super) fn holds(&self, holder: Holder) {
        self.holder.send_if_modified(|known| std::mem::replace(known, holder) != holder);
    }

    /// Begins to serve and register what these settings say; [`Self::turn`] says what became of it. No query is lost to a
    /// change. A registration depends on no zone: the first one begins at once.
    pub(super) fn begin(&mut self, wanted: Option<config::Dns>, facts: Facts) {
        self.facts = facts;
        if !wanted.as_ref().is_some_and(config::Dns::serves) {
            self.let_go();
        }
        if self.settings.is_none() && self.leaving.is_none() {
            self.register(wanted.as_ref().and_then(|wanted| wanted.register.clone()));
        }
        let (before, leaving, settings) = (std::mem::take(&mut self.work), self.leaving.take(), wanted.clone());
        let task = tokio::spawn(async move {
            let mut serving = before.end().await;
            if let Some(leaving) = leaving {
                let _ = leaving.await;
            }
            let done = serving.change(settings.as_ref()).await;
            (serving, done)
        });
        (self.work, self.wanted) = (Work::Changing(task), wanted);
        self.show();
    }

    /// What people should know while zones are being read.
    pub(super) fn is_reading(&self) -> Option<&'static str> {
        let Work::Changing(_) = &self.work else { return None };
        let now = match self.server {
            Some(_) => "zones are being read; until that is done DNS goes on as before",
            None => "zones are being read; until that is done DNS is not served",
        };
        self.wanted.as_ref().filter(|wanted| wanted.serves()).map(|_| now)
    }

    /// Shows these warnings, and only these.
    pub(super) fn warn(&mut self, warnings: &[String]) {
        if self.warnings != warnings {
            self.warnings = warnings.to_vec();
            self.show();
        }
    }

    /// What is served, in one line; none where there is no `[dns]`.
    pub(super) fn line(&self) -> Option<String> {
        self.settings.as_ref().map(shown::line)
    }

    /// Waits for something to tell. Cancel-safe: what was taken from a channel is kept.
    pub(super) async fn turn(&mut self) -> News {
        loop {
            tokio::select! {
                (serving, done) = self.work.changed() => {
                    self.finish(serving, done.is_ok());
                    return News::Changed(done);
                }
                changed = next_change(self.changes.as_mut()) => {
                    self.changed.extend(changed);
                    self.tell_at.get_or_insert_with(|| Instant::now() + TOGETHER);
                }
                () = until(self.tell_at) => {
                    self.tell_at = None;
                    let changed = std::mem::take(&mut self.changed);
                    return News::Told(Told::good(shown::changes(&changed)));
                }
                news = next_news(self.registration.as_mut()) => {
                    self.show();
                    if let Some(told) = news {
                        return News::Told(told);
                    }
                }
                () = sleep_until(self.look_at) => {
                    self.look_at = Instant::now() + LOOK;
                    if let Some(told) = self.look_for_expired() {
                        return News::Told(told);
                    }
                }
            }
        }
    }

    /// Ends in good order: the names that were registered are taken back, then the server stops.
    pub(super) async fn stop(&mut self) {
        self.let_go();
        let (registration, leaving) = (self.registration.take(), self.leaving.take());
        let work = std::mem::take(&mut self.work);
        let all = async {
            if let Some((_, registration)) = registration {
                registration.stop().await;
            }
            if let Some(leaving) = leaving {
                let _ = leaving.await;
            }
            match work {
                Work::Resting(mut serving) => serving.stop().await,
                Work::Changing(mut task) => match timeout(LAST_CHANGE, &mut task).await {
                    Ok(Ok((mut serving, _))) => serving.stop().await,
                    _ => {
                        task.abort();
                        tracing::info!("zones were being read; DNS ends without waiting for them");
                    }
                },
            }
        };
        if timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!(
                "DNS did not end within {STOP_WITHIN:?}, and is cut off; what was acknowledged is on the disk"
            );
        }
    }

    fn finish(&mut self, serving: Serving, is_done: bool) {
        if self.server.is_none() {
            self.changes = serving.server.as_ref().map(|server| server.store().changes());
        }
        self.server = serving.server.clone();
        self.work = Work::Resting(serving);
        if is_done {
            self.settings = self.wanted.clone();
        }
        // The facts are new in any case.
        if is_done || self.settings.is_some() {
            self.register(self.settings.as_ref().and_then(|settings| settings.register.clone()));
        }
        self.show();
    }

    /// Nobody is shown the server any more, so that it can end.
    fn let_go(&mut self) {
        (self.server, self.changes) = (None, None);
        self.show();
    }

    /// Makes the registration what the settings say; one that goes on with another plan does not take its names back.
    fn register(&mut self, register: Option<Register>) {
        let Facts { interface, dmz, state, .. } = self.facts.clone();
        let plan = register.map(|register| Plan { register, interface, dmz, state });
        match (plan, self.registration.take()) {
            (Some(plan), Some((old, registration))) if plan == old => self.registration = Some((old, registration)),
            (Some(plan), _) => {
                let registration = Registration::start(plan.clone(), self.holder.subscribe());
                self.registration = Some((plan, registration));
            }
            (None, Some((_, registration))) => self.leaving = Some(tokio::spawn(registration.stop())),
            (None, None) => {}
        }
    }

    fn show(&mut self) {
        // Until anything is in force there are wishes only, and warnings that say why.
        let Some(settings) = self.settings.as_ref().or(self.wanted.as_ref()) else {
            self.door.send_replace(None);
            return;
        };
        let registration = self.registration.as_ref();
        let served = Some(&settings.server).filter(|_| self.server.is_some());
        let status = DnsStatus {
            listen: served.map(shown::listen).unwrap_or_default(),
            config: self.facts.config.display().to_string(),
            keys: shown::keys(&settings.server),
            register: registration.map(|(_, registration)| shown::register(&registration.progress.borrow())),
            warnings: self.warnings.clone(),
            ..DnsStatus::default()
        };
        self.status.send_replace(Arc::new(status));
        let known = self.door.borrow().as_ref().is_some_and(|door| door.server.is_some() == self.server.is_some());
        if !known {
            self.door.send_replace(Some(DnsDoor { status: self.status.subscribe(), server: self.server.clone() }));
        }
    }

    fn look_for_expired(&mut self) -> Option<Told> {
        let zones = self.server.as_ref()?.status();
        let expired: BTreeSet<Name> = zones.into_iter().filter(|zone| zone.is_expired).map(|zone| zone.apex).collect();
        let list = |names: Vec<&Name>| names.into_iter().map(plain).collect::<Vec<_>>().join(", ");
        let (new, old) =
            (list(expired.difference(&self.expired).collect()), list(self.expired.difference(&expired).collect()));
        self.expired = expired;
        if !new.is_empty() {
            return Some(Told::bad(format!("{new}: not answered from, because no primary confirms it")));
        }
        (!old.is_empty()).then(|| Told::good(format!("{old}: answered from again")))
    }
}

impl Default for Work {
    fn default() -> Work {
        Work::Resting(Serving::default())
    }
}

impl Work {
    /// What answers after the change under way, and whether that was made; never, where there is none. Cancel-safe.
    async fn changed(&mut self) -> (Serving, anyhow::Result<()>) {
        match self {
            Work::Resting(_) => std::future::pending().await,
            Work::Changing(task) => task
                .await
                .unwrap_or_else(|error| (Serving::default(), Err(error).context("the change of DNS was broken off"))),
        }
    }

    /// What answers when no change is under way any more.
    async fn end(mut self) -> Serving {
        match &mut self {
            Work::Resting(serving) => std::mem::take(serving),
            Work::Changing(_) => self.changed().await.0,
        }
    }
}

/// What the DNS needs to know of a member.
pub(super) fn facts(settings: &config::Settings, config: &Path) -> Facts {
    let v4 = settings.dmz.v4.map(|(address, _)| IpAddr::V4(address));
    let v6 = settings.dmz.v6.map(|(address, _)| IpAddr::V6(address));
    Facts {
        interface: Some(settings.lan.interface.clone()),
        dmz: v4.into_iter().chain(v6).collect(),
        state: settings.state.clone(),
        config: config.to_owned(),
    }
}

/// The next zones that changed; never, where nothing is served.
async fn next_change(changes: Option<&mut broadcast::Receiver<(Name, Serial)>>) -> Option<(Name, Serial)> {
    let Some(changes) = changes else { return std::future::pending().await };
    match changes.recv().await {
        Ok(change) => Some(change),
        // Too many for the queue: those that follow will say enough.
        Err(broadcast::error::RecvError::Lagged(_)) => None,
        Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
    }
}

/// What a registration has to say, or nothing but that it went on; never, where nothing is registered.
async fn next_news(registration: Option<&mut (Plan, Registration)>) -> Option<Told> {
    let Some((_, registration)) = registration else { return std::future::pending().await };
    tokio::select! {
        Some((text, bad)) = registration.notes.recv() => Some(Told { text, bad }),
        Ok(()) = registration.progress.changed() => None,
        else => std::future::pending().await,
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
