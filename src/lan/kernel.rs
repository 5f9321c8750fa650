//! What a member needs of its machine: a candidate the whole ([`Host`]: fence, carrier, address), an observer only a
//! look at the LAN interface ([`Watch`]), for which it needs no privilege.

use std::time::Duration;

use netconfig::{ApplyError, Event, Host, MacBytes, OpenError, Step, Watch};

use super::site::{Plan, wanted_of_kernel};
use crate::causes::with_causes;
use crate::clock;
use crate::election::Role;

/// The machine, as far as this member's role goes.
pub(super) enum Kernel {
    Candidate {
        host: Box<Host>,
        /// What a beacon's socket is marked with; another one at each start, so that it cannot be known before.
        mark: u32,
    },
    Observer(Watch),
}

impl Kernel {
    /// Prepares the machine for this plan, after undoing what a crashed run left.
    pub(super) async fn open(plan: &Plan) -> Result<Kernel, OpenError> {
        let undo = plan.state.join("undo.json");
        match plan.lan.role {
            Role::Candidate => {
                let mark = u32::from_le_bytes(clock::random_bytes().unwrap_or([0x47, 0x48, 0x01, 0x02])) | 1;
                let host = Box::new(Host::open(wanted_of_kernel(plan, mark), undo).await?);
                Ok(Kernel::Candidate { host, mark })
            }
            Role::Observer => {
                if let Err(error) = netconfig::undo_left_over(&undo) {
                    tracing::warn!(
                        error = with_causes(&error),
                        "what a candidate left on this machine stays until one starts again"
                    );
                }
                Watch::open(plan.lan.interface.clone()).map(Kernel::Observer)
            }
        }
    }

    /// What changes the machine; an observer has none.
    pub(super) fn host(&mut self) -> Option<&mut Host> {
        match self {
            Kernel::Candidate { host, .. } => Some(host),
            Kernel::Observer(_) => None,
        }
    }

    /// The mark of the sockets that beacons leave by.
    pub(super) fn mark(&self) -> Option<u32> {
        match self {
            Kernel::Candidate { mark, .. } => Some(*mark),
            Kernel::Observer(_) => None,
        }
    }

    /// Waits for the next thing that happens. Cancel-safe, as the two it waits for are.
    pub(super) async fn event(&mut self) -> Event {
        match self {
            Kernel::Candidate { host, .. } => host.event().await,
            Kernel::Observer(watch) => watch.event().await,
        }
    }

    /// Looks again, and makes the machine as wanted; answers with what had to be done.
    pub(super) async fn resync(&mut self) -> Result<Vec<Step>, ApplyError> {
        match self {
            Kernel::Candidate { host, .. } => host.resync().await,
            Kernel::Observer(watch) => watch.look().map(|()| Vec::new()),
        }
    }

    /// Gives the fence another lease.
    pub(super) async fn set_lease(&mut self, lease: Duration) -> Result<(), ApplyError> {
        match self {
            Kernel::Candidate { host, .. } => host.set_lease(lease).await,
            Kernel::Observer(_) => Ok(()),
        }
    }

    /// Whether the LAN interface can carry packets.
    pub(super) fn link_up(&self) -> bool {
        match self {
            Kernel::Candidate { host, .. } => host.link_up(),
            Kernel::Observer(watch) => watch.link_up(),
        }
    }

    /// The LAN interface's hardware address.
    pub(super) fn nic_mac(&self) -> Option<MacBytes> {
        match self {
            Kernel::Candidate { host, .. } => host.nic_mac(),
            Kernel::Observer(watch) => watch.nic_mac(),
        }
    }

    /// The LAN interface's index.
    pub(super) fn index(&self) -> Option<u32> {
        match self {
            Kernel::Candidate { host, .. } => host.index(),
            Kernel::Observer(watch) => watch.index(),
        }
    }

    /// Takes everything away that was put on the machine.
    pub(super) async fn remove(self) -> Result<(), ApplyError> {
        match self {
            Kernel::Candidate { host, .. } => host.remove().await,
            Kernel::Observer(_) => Ok(()),
        }
    }
}
