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
        let wait = task.deadline().map(|at| at.saturating_sub(clock::millis()));
        // Each of these can be given up without losing anything.
        tokio::select! {
            changed = changes.recv() => match changed {
                Ok((apex, _)) => task.changed(&apex),
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
        let all: Vec<Name> = self.zones.keys().cloned().collect();
        all.iter().for_each(|apex| self.changed(apex));
    }

    /// Looks at a zone. One that is not there yet, or too old, is nothing to tell of.
    fn changed(&mut self, apex: &Name) {
        let served = self.front.zones().at(apex.as_ref()).filter(|served| !served.expired).cloned();
        let input = served.map_or(NotifyInput::Gone, |served| NotifyInput::Changed(served.zone.serial()));
        self.step(apex, input);
    }

    /// When [`Self::tick`] is due next, in milliseconds.
    fn deadline(&self) -> Option<u64> {
        self.zones.values().filter_map(|zone| zone.machine.deadline()).min()
    }

    fn tick(&mut self) {
        let all: Vec<Name> = self.zones.keys().cloned().collect();
        all.iter().for_each(|apex| self.step(apex, NotifyInput::Tick));
    }

    fn step(&mut self, apex: &Name, input: NotifyInput) {
        let Some(zone) = self.zones.get_mut(apex) else { return };
        let mut effects = Vec::new();
        zone.machine.step(clock::millis(), input, &mut effects);
        for effect in effects {
            match effect {
                NotifyEffect::Send(peer, serial) => {
                    // What is newer than the machine knows is told already, and once more when it knows. Of a zone that has
                    // gone since nothing is told.
                    let served = self.front.zones().at(apex.as_ref()).cloned();
                    let (server, apex) = (zone.servers[peer].clone(), apex.clone());
                    self.sending.spawn(async move {
                        let input = match served {
                            Some(served) => tell(&server, &apex, &served.zone, peer, serial).await,
                            None => NotifyInput::Unheard(peer),
                        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Served;
    use crate::client::Credentials;
    use crate::guard::{Cookies, Secret};
    use crate::record::{Record, Rtype};
    use crate::server::Policy;
    use crate::zone::{Soa, Zone};

    fn publish(front: &Front, apex: &Name, expired: bool) {
        let soa = Soa { serial: Serial(1), ..Soa::default() };
        let soa = Record { name: apex.clone(), rtype: Rtype::SOA, ttl: 60, rdata: soa.write() };
        let mut served = Served::new(Zone::new(apex.clone(), [soa]).expect("a zone"));
        served.expired = expired;
        front.publish([served].into_iter().collect());
    }

    #[tokio::test]
    async fn a_zone_that_expires_leaves_nothing_due_and_is_told_of_when_it_is_back() {
        let secondary = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let apex: Name = "dyn.test".parse().expect("a name");
        let front = Arc::new(Front::new(Policy::new(Cookies::new(Secret([7; 16])))));
        let address = secondary.local_addr().expect("an address");
        let audience = [(apex.clone(), vec![Server { address, credentials: Credentials::None }])].into();
        let mut task = Task { front: front.clone(), zones: BTreeMap::new(), sending: JoinSet::new() };
        task.begin(&audience);
        assert_eq!((task.deadline(), task.sending.len()), (None, 0), "there is no zone yet");
        publish(&front, &apex, false);
        task.changed(&apex);
        secondary.recv_from(&mut [0; 512]).await.expect("told");
        task.step(&apex, NotifyInput::Unheard(0));
        assert!(task.deadline().is_some());
        publish(&front, &apex, true);
        task.changed(&apex);
        assert_eq!(task.deadline(), None);
        task.tick();
        publish(&front, &apex, false);
        task.changed(&apex);
        let back = task.deadline().map(|at| at.saturating_sub(clock::millis()));
        assert!(task.sending.len() == 2 || back.is_some(), "told again, at once or soon");
    }
}
