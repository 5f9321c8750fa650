//! The DNS of a daemon: the server, the registration, and what is shown and told of them.
//!
//! Nothing here holds up the site: opening zones takes as long as the disk, and happens on threads of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dns::name::Name;
use dns::server::Server;
use dns::settings::Settings;
use dns::zone::Serial;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::dns::model::{DnsStatus, KeyStatus, RegisterStatus, Registered};
use crate::api::dns::{DnsDoor, plain};
use crate::cloud::dyndns2::{self, Endpoint, Names};
use crate::cloud::register::Holder;
use crate::cloud::{Plan, Progress, Registration};
use crate::config;

/// Changes of zones are told together after this time.
const TOGETHER: Duration = Duration::from_secs(2);
/// More zones that changed together are counted, not named.
const MAX_NAMED: usize = 20;
/// How often expired zones are looked for.
const LOOK: Duration = Duration::from_secs(1);
/// A request that is being answered keeps the server a moment longer.
const LAST_READERS: Duration = Duration::from_millis(20);
const MAX_WAITS: usize = 25;

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

/// Something that people may want to know.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub text: String,
    pub bad: bool,
}

/// The moving parts; each may be missing.
pub(super) struct Dns {
    facts: Facts,
    settings: Option<config::Dns>,
    server: Option<Arc<Server>>,
    changes: Option<broadcast::Receiver<(Name, Serial)>>,
    changed: BTreeMap<Name, Serial>,
    tell_at: Option<Instant>,
    expired: BTreeSet<Name>,
    look_at: Instant,
    dyndns2: Option<Endpoint>,
    registration: Option<(Plan, Registration)>,
    holder: watch::Sender<Holder>,
    status: watch::Sender<Arc<DnsStatus>>,
    door: watch::Sender<Option<DnsDoor>>,
}

impl Dns {
    /// Nothing yet; [`Self::apply`] begins.
    pub(super) fn new(facts: Facts, holder: Holder) -> Dns {
        Dns {
            facts,
            settings: None,
            server: None,
            changes: None,
            changed: BTreeMap::new(),
            tell_at: None,
            expired: BTreeSet::new(),
            look_at: Instant::now(),
            dyndns2: None,
            registration: None,
            holder: watch::channel(holder).0,
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

    /// Serves and registers what these settings say. No query is lost to a change.
    ///
    /// # Errors
    /// When the server cannot do so; it goes on with what it had.
    pub(super) async fn apply(&mut self, settings: Option<&config::Dns>, facts: Facts) -> anyhow::Result<()> {
        self.facts = facts;
        let wanted = settings.filter(|settings| settings.serves()).map(|settings| settings.server.clone());
        match (wanted, self.server.clone()) {
            (Some(wanted), Some(server)) => {
                let reloaded = tokio::task::spawn_blocking(move || server.reload(&wanted)).await;
                reloaded.context("the reload of the zones was broken off")??;
            }
            (Some(wanted), None) => self.start(wanted).await?,
            (None, _) => self.stop_server().await,
        }
        self.settings = settings.cloned();
        self.open_dyndns2().await?;
        self.register().await;
        self.show();
        Ok(())
    }

    /// Waits for something to tell. Cancel-safe: what was taken from a channel is kept.
    pub(super) async fn turn(&mut self) -> Told {
        loop {
            tokio::select! {
                changed = next_change(self.changes.as_mut()) => {
                    self.changed.extend(changed);
                    self.tell_at.get_or_insert_with(|| Instant::now() + TOGETHER);
                }
                () = until(self.tell_at) => {
                    self.tell_at = None;
                    return Told { text: tell_of(&std::mem::take(&mut self.changed)), bad: false };
                }
                news = next_news(self.registration.as_mut()) => {
                    self.show();
                    if let Some(told) = news {
                        return told;
                    }
                }
                () = sleep_until(self.look_at) => {
                    self.look_at = Instant::now() + LOOK;
                    if let Some(told) = self.look_for_expired() {
                        return told;
                    }
                }
            }
        }
    }

    /// Ends in good order: the names that were registered are taken back, then the server stops.
    pub(super) async fn stop(&mut self) {
        if let Some((_, registration)) = self.registration.take() {
            registration.stop().await;
        }
        self.stop_server().await;
    }

    async fn start(&mut self, settings: Settings) -> anyhow::Result<()> {
        let runtime = Handle::current();
        let started = tokio::task::spawn_blocking(move || Server::start(settings, &runtime)).await;
        let server = Arc::new(started.context("the start of the DNS server was broken off")??);
        self.changes = Some(server.store().changes());
        self.server = Some(server);
        Ok(())
    }

    /// Opens the dyndns2 endpoint anew, with the keys, the zones and the certificate of now.
    async fn open_dyndns2(&mut self) -> anyhow::Result<()> {
        if let Some(before) = self.dyndns2.take() {
            before.stop().await;
        }
        let (Some(settings), Some(server)) = (&self.settings, &self.server) else { return Ok(()) };
        if let Some(wanted) = &settings.dyndns2 {
            let submit = dyndns2::submit_to(server.store().clone());
            let names = Names { settings: Arc::new(settings.server.clone()), submit, ttl: wanted.ttl };
            self.dyndns2 = Some(Endpoint::start(wanted, settings.server.tls.as_ref(), names)?);
        }
        Ok(())
    }

    async fn stop_server(&mut self) {
        if let Some(endpoint) = self.dyndns2.take() {
            endpoint.stop().await;
        }
        self.door.send_replace(None);
        self.changes = None;
        let Some(mut server) = self.server.take() else { return };
        for _ in 0..MAX_WAITS {
            match Arc::try_unwrap(server) {
                Ok(last) => return last.stop().await,
                Err(shared) => server = shared,
            }
            sleep(LAST_READERS).await;
        }
        tracing::warn!("the DNS server is still being read from, and ends without waiting");
    }

    /// Makes the registration what the settings say; one that goes on with another plan does not take its names back.
    async fn register(&mut self) {
        let Facts { interface, dmz, state, .. } = self.facts.clone();
        let register = self.settings.as_ref().and_then(|settings| settings.register.clone());
        let plan = register.map(|register| Plan { register, interface, dmz, state });
        match (plan, self.registration.take()) {
            (Some(plan), Some((old, registration))) if plan == old => self.registration = Some((old, registration)),
            (Some(plan), _) => {
                let registration = Registration::start(plan.clone(), self.holder.subscribe());
                self.registration = Some((plan, registration));
            }
            (None, Some((_, registration))) => registration.stop().await,
            (None, None) => {}
        }
    }

    fn show(&mut self) {
        let Some(settings) = &self.settings else {
            self.door.send_replace(None);
            return;
        };
        let registration = self.registration.as_ref();
        let status = DnsStatus {
            listen: settings.server.listen.iter().map(ToString::to_string).collect(),
            config: self.facts.config.display().to_string(),
            keys: keys(&settings.server),
            register: registration.map(|(_, registration)| register(&registration.progress.borrow())),
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
            return Some(Told { text: format!("{new}: not answered from, because no primary confirms it"), bad: true });
        }
        (!old.is_empty()).then(|| Told { text: format!("{old}: answered from again"), bad: false })
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

fn tell_of(changed: &BTreeMap<Name, Serial>) -> String {
    let named: Vec<String> = changed
        .iter()
        .take(MAX_NAMED)
        .map(|(apex, serial)| format!("{} is at serial {}", plain(apex), serial.0))
        .collect();
    match changed.len().saturating_sub(MAX_NAMED) {
        0 => named.join(", "),
        more => format!("{}, and {more} more zones changed", named.join(", ")),
    }
}

fn keys(settings: &Settings) -> Vec<KeyStatus> {
    let status = |key: &dns::settings::Key| {
        let updates = settings.zones.iter().filter(|zone| zone.update.iter().any(|rule| rule.key == key.name));
        let transfers = settings.zones.iter().filter(|zone| zone.transfer.keys.contains(&key.name));
        KeyStatus {
            name: plain(&key.name),
            algorithm: key.algorithm.name().to_owned(),
            updates: updates.map(|zone| plain(&zone.apex)).collect(),
            transfers: transfers.map(|zone| plain(&zone.apex)).collect(),
        }
    };
    settings.keys.iter().map(status).collect()
}

fn register(progress: &Progress) -> RegisterStatus {
    let entries = |entries: &BTreeSet<(Name, IpAddr)>| {
        let shown = |(name, address): &(Name, IpAddr)| Registered { name: plain(name), address: address.to_string() };
        entries.iter().map(shown).collect()
    };
    RegisterStatus {
        server: progress.server.to_string(),
        zone: plain(&progress.zone),
        wanted: entries(&progress.wanted),
        told: entries(&progress.told),
        good: progress.is_good(),
        failing: progress.failing.clone(),
        public_failing: progress.public_failing.clone(),
    }
}
