//! One LAN interface, only looked at: whether it can carry packets, and when its addresses change.
//!
//! What a member needs that never puts the DMZ address on its machine. It changes nothing, leaves nothing behind, and
//! takes no capability; a [`Host`](crate::Host) beside it on the same interface does not notice it.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use crate::netlink::Notifications;
use crate::plan::{Address, Link, Place};
use crate::route::{self, Route};
use crate::seen::SeeError;
use crate::{ApplyError, Event, MacBytes, OpenError};

/// A watched LAN interface of this machine's network namespace.
pub struct Watch {
    interface: String,
    route: Route,
    notifications: Notifications,
    seen: View,
    pending: VecDeque<Event>,
}

/// What there is to see.
#[derive(Clone, Debug, Default)]
struct View {
    nic: Option<Link>,
    addresses: BTreeSet<Address>,
}

impl Watch {
    /// Looks at an interface, which need not exist yet. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn open(interface: String) -> Result<Watch, OpenError> {
        let mut route = Route::open().map_err(OpenError::Socket)?;
        // Before the first look: what changes after it is heard.
        let notifications = Notifications::open(route::FAMILY, route::GROUPS).map_err(OpenError::Socket)?;
        let seen = view(&mut route, &interface)?;
        Ok(Watch { interface, route, notifications, seen, pending: VecDeque::new() })
    }

    /// Waits until the link ([`Event::Link`]) or the interface's addresses ([`Event::AddressesChanged`]) changed.
    ///
    /// Cancel-safe: nothing is taken from the socket before all waiting is over, and what was found is kept.
    pub async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return event;
            }
            if let Err(error) = self.notifications.readable().await {
                tracing::error!(%error, "cannot wait for notifications");
                std::future::pending::<()>().await;
            }
            let batch = self.notifications.take();
            let index = self.index();
            let ours = |it: u32, name: Option<&str>| Some(it) == index || name == Some(&self.interface);
            if (batch.lost || batch.messages.iter().any(|message| route::concerns(message, ours)))
                && let Err(error) = self.look()
            {
                tracing::warn!(%error, "cannot look at the LAN interface after a change");
            }
        }
    }

    /// Looks again; what changed comes as events.
    ///
    /// # Errors
    /// When the kernel cannot be asked; what was seen before stands.
    pub fn look(&mut self) -> Result<(), ApplyError> {
        let now = view(&mut self.route, &self.interface)?;
        let before = std::mem::replace(&mut self.seen, now);
        self.pending.extend(link_events(before.nic.as_ref(), self.seen.nic.as_ref()));
        if before.addresses != self.seen.addresses {
            self.pending.push_back(Event::AddressesChanged);
        }
        Ok(())
    }

    /// Whether the interface can carry packets.
    pub fn link_up(&self) -> bool {
        self.seen.nic.as_ref().is_some_and(|nic| nic.running)
    }

    /// The interface's hardware address.
    pub fn nic_mac(&self) -> Option<MacBytes> {
        self.seen.nic.as_ref()?.mac
    }

    /// The interface's addresses.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.seen.addresses.iter().map(|address| address.ip)
    }

    /// The interface's index.
    pub fn index(&self) -> Option<u32> {
        self.seen.nic.as_ref().map(|nic| nic.index)
    }
}

/// What happened to a link between two looks. One that was replaced went down and came up; that one without carrier
/// comes or goes is told as well, for people ask why there is no link.
pub(crate) fn link_events(before: Option<&Link>, now: Option<&Link>) -> Vec<Event> {
    let running = |link: Option<&Link>| link.filter(|link| link.running).map(|link| link.index);
    match (running(before), running(now)) {
        (Some(old), Some(new)) if old != new => vec![Event::Link { up: false }, Event::Link { up: true }],
        (None, Some(_)) => vec![Event::Link { up: true }],
        (Some(_), None) => vec![Event::Link { up: false }],
        (None, None) if before.is_some() != now.is_some() => vec![Event::Link { up: false }],
        (Some(_), Some(_)) | (None, None) => Vec::new(),
    }
}

fn view(route: &mut Route, interface: &str) -> Result<View, SeeError> {
    let nic = route.link(interface).map_err(SeeError::Route)?;
    let addresses = match &nic {
        Some(nic) => route.addresses(nic.index, Place::Nic).map_err(SeeError::Route)?.into_iter().collect(),
        None => BTreeSet::new(),
    };
    Ok(View { nic, addresses })
}
