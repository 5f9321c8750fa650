//! Secondaries are told about new versions: one task for all zones.
//!
//! Whom and how often is decided by [`Notifier`]; the task hears from the store what has changed and sends.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Front;
use crate::client::Server;
use crate::clock;
use crate::name::Name;
use crate::settings::{Peer, Settings};
use crate::store::Store;
use crate::transfer::{Notifier, NotifyEffect, NotifyInput};
use crate::zone::Serial;

/// Who is told about which zone.
pub(super) type Audience = BTreeMap<Name, Vec<Server>>;

/// Whom these settings want to be told.
pub(super) fn audience(settings: &Settings) -> Audience {
    let told = settings.zones.iter().filter(|zone| !zone.notify.is_empty());
    let servers = |peers: &[Peer]| peers.iter().map(|peer| Server::of(peer, &settings.keys)).collect();
    told.map(|zone| (zone.apex.clone(), servers(&zone.notify))).collect()
}

/// Tells them, until nobody hands in settings any more.
pub(super) async fn run(front: Arc<Front>, store: Arc<Store>, mut settings: watch::Receiver<Audience>) {
    let mut changes = store.changes();
    drop(store);
    let mut task = Task { front, zones: BTreeMap::new(), sending: JoinSet::new() };
    task.begin(&settings.borrow_and_update());
    loop {
        let wait = task.zones.values().filter_map(|zone| zone.machine.deadline()).min();
        let wait = wait.map(|at| at.saturating_sub(clock::millis()));
        // Each of these can be given up without losing anything.
        tokio::select! {
            changed = changes.recv() => match changed {
                Ok((apex, serial)) => task.step(&apex, NotifyInput::Changed(serial)),
                Err(RecvError::Lagged(_)) => task.look(),
                Err(RecvError::Closed) => return,
            },
            changed = settings.changed() => match changed {
                Ok(()) => task.begin(&settings.borrow_and_update()),
                Err(_) => return,
            },
            Some(Ok((apex, input))) = task.sending.join_next(), if !task.sending.is_empty() => task.step(&apex, input),
            () = sleep(Duration::from_millis(wait.unwrap_or_default())), if wait.is_some() => task.tick(),
        }
    }
}

struct Task {
    front: Arc<Front>,
    zones: BTreeMap<Name, Told>,
    sending: JoinSet<(Name, NotifyInput)>,
}

/// A zone and who is told about it.
struct Told {
    machine: Notifier,
    servers: Vec<Server>,
}

impl Task {
    /// Begins anew under these settings: who knows the version already says so, and is left in peace.
    fn begin(&mut self, audience: &Audience) {
        self.sending = JoinSet::new();
        let told = |servers: &Vec<Server>| Told { machine: Notifier::new(servers.len()), servers: servers.clone() };
        self.zones = audience.iter().map(|(apex, servers)| (apex.clone(), told(servers))).collect();
        self.look();
    }

    /// Looks at all zones, as any may have changed.
    fn look(&mut self) {
        let served = self.front.zones();
        let served = |apex: &Name| served.at(apex.as_ref()).map(|served| served.zone.serial());
        let all: Vec<Name> = self.zones.keys().cloned().collect();
        let newest: Vec<_> = all.into_iter().filter_map(|apex| Some((served(&apex)?, apex))).collect();
        newest.iter().for_each(|(serial, apex)| self.step(apex, NotifyInput::Changed(*serial)));
    }

    fn tick(&mut self) {
        let all: Vec<Name> = self.zones.keys().cloned().collect();
        all.iter().for_each(|apex| self.step(apex, NotifyInput::Tick));
    }

    fn step(&mut self, apex: &Name, input: NotifyInput) {
        let Some(zone) = self.zones.get_mut(apex) else { return };
        let served = self.front.zones();
        // A zone that is not there yet, or too old, is nothing to tell of.
        let Some(served) = served.at(apex.as_ref()).filter(|served| !served.expired) else { return };
        let mut effects = Vec::new();
        zone.machine.step(clock::millis(), input, &mut effects);
        for effect in effects {
            match effect {
                NotifyEffect::Send(peer, serial) => {
                    let (server, apex, zone) = (zone.servers[peer].clone(), apex.clone(), served.zone.clone());
                    self.sending.spawn(async move {
                        let input = tell(&server, &apex, &zone, peer, serial).await;
                        (apex, input)
                    });
                }
                NotifyEffect::GaveUp(peer) => {
                    let secondary = zone.servers[peer].address;
                    tracing::warn!(zone = %apex, %secondary, "a secondary does not answer NOTIFY messages");
                }
            }
        }
    }
}

async fn tell(server: &Server, apex: &Name, zone: &crate::zone::Zone, peer: usize, serial: Serial) -> NotifyInput {
    match server.notify(zone).await {
        Ok(()) => NotifyInput::Heard(peer, serial),
        Err(error) => {
            tracing::debug!(zone = %apex, secondary = %server.address, %error, "a NOTIFY message was in vain");
            NotifyInput::Unheard(peer)
        }
    }
}
