//! A site as the daemon sees it: what it is made from, what can be asked of it, and its start.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use netconfig::{Carrier, Fence};
use tokio::sync::{mpsc, oneshot, watch};

use super::driver::{Driver, Outlets};
use super::identity::Identity;
use super::{Noted, Snapshot};
use crate::config::{Dmz, Lan, MacMode};
use crate::election::Settings;
use crate::units::{Health, Mac, NodeId, SiteTag};
use crate::wire::SiteKey;

/// Changes that may wait for their reader; more are dropped, since the snapshot holds what counts.
const NOTES: usize = 1_024;

/// What a site is made from.
#[derive(Clone, Debug)]
pub struct Plan {
    /// This member's name.
    pub name: String,
    /// The LAN.
    pub lan: Lan,
    /// The DMZ address.
    pub dmz: Dmz,
    /// The site's key.
    pub key: SiteKey,
    /// Who this member is.
    pub identity: Identity,
    /// The folder for what must survive a crash.
    pub state: PathBuf,
    /// Where inputs are recorded.
    pub record: Option<PathBuf>,
}

/// Something the daemon asks of the site.
#[derive(Debug)]
pub enum Order {
    /// Hand the address over and stay; answered when that is done or refused.
    GiveUp(oneshot::Sender<Result<(), Refused>>),
    /// Go on with this name, priority, preference and timing; everything else must be as before.
    Reload(Box<Plan>),
    /// Hand the address over, clean up and end.
    Stop,
}

/// Why the address was not given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing to give.
    #[error("this machine does not hold the DMZ address")]
    NotHolding,
    /// The address would be nowhere.
    #[error("no other healthy member is there to take the address; it stays here")]
    Nobody,
}

/// Why a site could not start; nothing was left behind.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The thread or its runtime could not be made.
    #[error("the beacon thread could not be started")]
    Thread(#[source] io::Error),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] netconfig::OpenError),
    /// The thread ended before it said anything.
    #[error("the beacon thread ended unexpectedly")]
    Ended,
}

/// A running site.
#[derive(Debug)]
pub struct Handle {
    /// The newest snapshot.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Changes, in order.
    pub notes: mpsc::Receiver<Noted>,
    /// What is asked of it.
    pub orders: mpsc::Sender<Order>,
    /// Its sender is dropped when the site has ended and everything is undone.
    pub ended: watch::Receiver<()>,
}

/// Starts the beacon thread and waits until the kernel is prepared.
///
/// # Errors
/// When this machine cannot carry the site; nothing was left behind.
pub async fn spawn(plan: Plan, health: watch::Receiver<Health>) -> Result<Handle, StartError> {
    let (publish, snapshot) = watch::channel(Arc::new(Snapshot::empty()));
    let (note, notes) = mpsc::channel(NOTES);
    let (orders, incoming) = mpsc::channel(16);
    let (end, ended) = watch::channel(());
    let (ready, started) = oneshot::channel();
    let body = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(ready.send(Err(StartError::Thread(error)))),
        };
        runtime.block_on(async move {
            let opened = Driver::open(plan, Outlets { publish, note }, incoming, health).await;
            match opened {
                Ok(driver) => {
                    let _ = ready.send(Ok(()));
                    driver.run().await;
                }
                Err(error) => drop(ready.send(Err(error))),
            }
        });
        drop(end);
    };
    std::thread::Builder::new().name("beacon".into()).spawn(body).map_err(StartError::Thread)?;
    started.await.map_err(|_| StartError::Ended)??;
    Ok(Handle { snapshot, notes, orders, ended })
}

/// What the election is told, once the member's id is known.
pub(super) fn election_settings(plan: &Plan, node: NodeId, nic: Mac) -> Settings {
    let dmz = plan.dmz.addresses();
    Settings {
        node,
        name: plan.name.clone(),
        site: dmz.site_tag(),
        dmz,
        mac: match plan.dmz.mac {
            MacMode::Virtual => virtual_mac(dmz.site_tag()),
            MacMode::Nic => nic,
        },
        role: plan.lan.role,
        priority: plan.lan.priority,
        prefer: plan.lan.prefer,
        timing: plan.lan.timing,
    }
}

/// What the kernel shall look like while the address is not here.
pub(super) fn wanted_of_kernel(plan: &Plan, mark: u32) -> netconfig::Wanted {
    let carrier = match plan.dmz.mac {
        MacMode::Virtual => Carrier::Macvlan {
            name: format!("dmz-{}", plan.lan.interface).chars().take(15).collect(),
            mac: virtual_mac(plan.dmz.addresses().site_tag()).0,
        },
        MacMode::Nic => Carrier::Nic,
    };
    let port = plan.lan.group_v4.map(|group| group.port()).or(plan.lan.group_v6.map(|group| group.port()));
    netconfig::Wanted {
        interface: plan.lan.interface.clone(),
        carrier,
        v4: plan.dmz.v4,
        v6: plan.dmz.v6,
        configured: false,
        fence: Fence { port: port.unwrap_or(0), mark, lease: plan.lan.timing.lease },
    }
}

/// The site's own hardware address: locally administered (IEEE 802, the 02 bit), the same on every member.
fn virtual_mac(site: SiteTag) -> Mac {
    let [a, b, c, d] = site.0;
    Mac([0x02, 0x47, a, b, c, d])
}
