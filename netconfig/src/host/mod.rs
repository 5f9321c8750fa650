//! One DMZ address on one LAN interface: sees the kernel, asks the plan, performs its steps.
//!
//! What changes the machine is done inside the call, without a task or a queue: the functions are `async` for their
//! callers' loop, not because they wait. What need not be done at once, [`Host::renew`] and [`Host::compare`], is done
//! by a thread of its own (`keeper`), and only [`Host::event`] waits.
//!
//! **Invariant:** while a DMZ address is configured the fence is there. If it is removed and cannot be put back, the
//! address goes too.

mod error;
mod keeper;
mod surprise;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{ApplyError, OpenError};

use keeper::{Ended, Keeper, Kept};

use crate::netlink::Notifications;
use crate::nft::{self, Nft, NftError, Protection};
use crate::packet::{self, Tap};
use crate::plan::{self, Address, Place, Seen, SeenFence, Step};
use crate::route::{self, Route};
use crate::seen::see;
use crate::undo::Undo;
use crate::{MacBytes, Wanted, frame, sysctl};

/// One DMZ address on one LAN interface of this machine's network namespace.
pub struct Host {
    wanted: Wanted,
    seen: Seen,
    route: Route,
    nft: Nft,
    route_events: Notifications,
    nft_events: Notifications,
    tap: Option<Tap>,
    undo: Undo,
    pending: VecDeque<Event>,
    keeper: Keeper,
    /// How often the machine was changed from here: a look that began before the last change shows nothing.
    changes: u64,
    /// A look that was asked for and has not been answered.
    looking: Option<Purpose>,
    /// One more look when that one is answered.
    look_again: Option<Purpose>,
}

/// What a look is for; the greater one includes the lesser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    /// To tell whether all is as wanted.
    Compare,
    /// To repair what a notification told of.
    Repair,
}

/// Something that happened without being asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The LAN interface can (not) carry packets. When it can, everything but the address has been set up on it.
    Link {
        /// Whether it can.
        up: bool,
    },
    /// A DMZ address or its carrier was removed by somebody else; [`Host::resync`] puts it back.
    AddressLost,
    /// The fence was removed or changed by somebody else. It has been put back; the gate is shut.
    FenceLost,
    /// A frame claimed a DMZ address: an ARP packet, a neighbour advertisement, an echo reply. This machine did not
    /// send it, but its hardware address may be this machine's own: all holders share the virtual one.
    AddressSeen {
        /// The hardware address it names.
        mac: MacBytes,
    },
    /// The LAN interface's own addresses changed: multicast groups have to be joined again.
    AddressesChanged,
    /// The answer to [`Host::compare`].
    Compared {
        /// Whether the machine is as wanted; if not, [`Host::resync`] makes it so.
        as_wanted: bool,
    },
}

impl Host {
    /// Opens the sockets, undoes what a crashed run left, and sets up everything but the address. An interface that
    /// does not exist yet is waited for by [`Host::event`]. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// Without permission, or when the kernel refuses; what was done is taken back.
    pub async fn open(wanted: Wanted, undo: PathBuf) -> Result<Host, OpenError> {
        Host::open_with(wanted, undo, Protection::Owned).await
    }

    /// [`Host::open`] with a choice of how the fence is protected from other programs.
    ///
    /// # Errors
    /// As [`Host::open`].
    pub async fn open_with(wanted: Wanted, undo: PathBuf, protection: Protection) -> Result<Host, OpenError> {
        let wanted = Wanted { configured: false, ..wanted };
        Tap::permitted().map_err(OpenError::raw_socket)?;
        let mut nft = Nft::open(&wanted.interface, protection).map_err(OpenError::fence)?;
        let mut route = Route::open().map_err(OpenError::Socket)?;
        // Before the first look: what changes after it is heard.
        let route_events = Notifications::open(route::FAMILY, route::GROUPS).map_err(OpenError::Socket)?;
        let nft_events = Notifications::open(nft::FAMILY, nft::GROUP).map_err(OpenError::Socket)?;
        nft.see().map_err(OpenError::fence)?;
        take_back(&mut route, &undo, protection)?;
        let seen = see(&mut route, &mut nft, &wanted)?;
        let undo = Undo::begin(undo, &wanted);
        let mut host = Host {
            wanted,
            seen,
            route,
            nft,
            route_events,
            nft_events,
            tap: None,
            undo,
            pending: VecDeque::new(),
            keeper: Keeper::start(Kept::default()).map_err(OpenError::Socket)?,
            changes: 0,
            looking: None,
            look_again: None,
        };
        match host.set_up() {
            Ok(()) => Ok(host),
            Err(error) => {
                if let Err(error) = host.remove().await {
                    tracing::warn!(%error, "cannot take back what was set up in part; the next start does");
                }
                Err(error.into())
            }
        }
    }

    /// Puts the addresses on this machine. The gate stays as it is.
    ///
    /// # Errors
    /// Nothing is configured then.
    pub async fn configure(&mut self) -> Result<(), ApplyError> {
        self.wanted.configured = true;
        if self.seen.nic.as_ref().is_none_or(|nic| !nic.up) {
            self.wanted.configured = false;
            return Err(ApplyError::NoInterface);
        }
        let result = match self.configure_as_last_seen() {
            Err(error) => {
                tracing::debug!(%error, "looking again before configuring");
                self.resync().await.map(|_| ())
            }
            done => done,
        };
        if result.is_err()
            && let Err(error) = self.deconfigure().await
        {
            tracing::warn!(%error, "cannot take back what was configured in part");
        }
        result
    }

    /// Takes the addresses off this machine.
    ///
    /// # Errors
    /// When the kernel refuses; the addresses go by themselves within two seconds then.
    pub async fn deconfigure(&mut self) -> Result<(), ApplyError> {
        self.wanted.configured = false;
        // Also those that were not there when this machine was last looked at.
        let mut there: BTreeSet<Address> = plan::dmz_addresses(&self.seen, &self.wanted).into_iter().collect();
        there.extend(self.seen.addresses.iter().filter(|address| plan::is_dmz(&self.wanted, address.ip)));
        let steps: Vec<Step> = there.into_iter().map(Step::DeleteAddress).collect();
        self.perform_all(&steps)
    }

    /// Has the lifetime of two seconds renewed of all addresses that are on, in the background. Where that fails,
    /// [`Event::AddressLost`] follows.
    pub fn renew(&mut self) {
        if self.keeper.renew() == Err(Ended) {
            self.replace_keeper();
        }
    }

    /// Has the machine compared with what is wanted, in the background; [`Event::Compared`] follows, unless a change
    /// by somebody else is noticed meanwhile, and repaired.
    pub fn compare(&mut self) {
        self.look(Purpose::Compare);
    }

    /// Ends the lease: when this returns, the kernel no longer answers.
    ///
    /// # Errors
    /// When the kernel refuses, or the fence is not there.
    pub fn shut_gate(&mut self) -> Result<(), NftError> {
        self.nft.shut()
    }

    /// Looks at the machine and makes it as wanted; answers with what had to be done.
    ///
    /// # Errors
    /// When the kernel refuses a step; the steps after it were not tried.
    pub async fn resync(&mut self) -> Result<Vec<Step>, ApplyError> {
        self.seen = see(&mut self.route, &mut self.nft, &self.wanted)?;
        self.open_tap().map_err(ApplyError::Tap)?;
        let steps = plan::plan(&self.seen, &self.wanted);
        self.perform_all(&steps)?;
        Ok(steps)
    }

    /// Changes how long the gate stays open after a beacon, from the next one on; the fence stands all the while, and
    /// the gate stays as it is.
    ///
    /// # Errors
    /// When the kernel refuses; the old fence stands until the next [`Host::resync`].
    pub async fn set_lease(&mut self, lease: Duration) -> Result<(), ApplyError> {
        self.wanted.fence.lease = lease;
        // Also the one that was wanted before may have been refused.
        if self.index().is_some_and(|nic| fence_stands(self.seen.fence, &self.wanted, nic)) {
            return Ok(());
        }
        self.resync().await.map(|_| ())
    }

    /// Tells the LAN that this machine's carrier answers: a gratuitous ARP request and a reply (RFC 5227), an
    /// unsolicited neighbour advertisement (RFC 4861 7.2.6).
    ///
    /// # Errors
    /// Without interface, or when a frame could not be sent: ENOBUFS while the gate is shut, for the fence drops it.
    pub fn announce(&self) -> io::Result<()> {
        let tap = self.tap.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let carrier = self.carrier().ok_or(io::ErrorKind::NotFound)?;
        let mac = carrier.mac.ok_or(io::ErrorKind::Unsupported)?;
        if let Some((address, _)) = self.wanted.v4 {
            tap.send(carrier.index, &frame::arp_announcement(mac, address))?;
            tap.send(carrier.index, &frame::arp_reply_announcement(mac, address))?;
        }
        if let Some((address, _)) = self.wanted.v6 {
            tap.send(carrier.index, &frame::neighbor_announcement(mac, address))?;
        }
        Ok(())
    }

    /// Asks the LAN who answers for the address, from the LAN interface: an ARP probe (RFC 5227 2.1.1), a neighbour
    /// solicitation (RFC 4862 5.4.2), and a ping where this machine has an address of its own. Answers come as
    /// [`Event::AddressSeen`].
    ///
    /// # Errors
    /// Without interface, or when a probe could not be sent. A ping that finds no way is no error.
    pub fn probe(&self) -> io::Result<()> {
        let tap = self.tap.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let nic = self.seen.nic.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mac = nic.mac.ok_or(io::ErrorKind::Unsupported)?;
        if let Some((address, _)) = self.wanted.v4 {
            tap.send(nic.index, &frame::arp_probe(mac, address))?;
            self.ping(address.into());
        }
        if let Some((address, _)) = self.wanted.v6 {
            tap.send(nic.index, &frame::neighbor_probe(mac, address))?;
            self.ping(address.into());
        }
        Ok(())
    }

    /// Whether the LAN interface can carry packets.
    pub fn link_up(&self) -> bool {
        self.seen.nic.as_ref().is_some_and(|nic| nic.running)
    }

    /// The LAN interface's hardware address.
    pub fn nic_mac(&self) -> Option<MacBytes> {
        self.seen.nic.as_ref()?.mac
    }

    /// The hardware address that answers for the DMZ address.
    pub fn carrier_mac(&self) -> Option<MacBytes> {
        self.carrier()?.mac
    }

    /// The LAN interface's index.
    pub fn index(&self) -> Option<u32> {
        self.seen.nic.as_ref().map(|nic| nic.index)
    }

    /// Takes everything away: addresses, carrier, changed settings, the fence, the undo file.
    ///
    /// # Errors
    /// When the kernel refuses; the undo file stays then.
    pub async fn remove(mut self) -> Result<(), ApplyError> {
        self.deconfigure().await?;
        self.seen = see(&mut self.route, &mut self.nft, &self.wanted)?;
        for step in plan::removal(&self.seen, &self.wanted, self.undo.sysctls()) {
            self.perform(&step)?;
        }
        self.undo.finish();
        Ok(())
    }

    /// Only the fence is looked at again: an address must not get ahead of the news that its fence is gone.
    fn configure_as_last_seen(&mut self) -> Result<(), ApplyError> {
        self.seen.fence = self.nft.see()?;
        let steps = plan::plan(&self.seen, &self.wanted);
        self.perform_all(&steps)
    }

    fn set_up(&mut self) -> Result<(), ApplyError> {
        self.open_tap().map_err(ApplyError::Tap)?;
        let steps = plan::plan(&self.seen, &self.wanted);
        self.perform_all(&steps)
    }

    fn carrier(&self) -> Option<&plan::Link> {
        match plan::carrier_name(&self.wanted) {
            Some(_) => self.seen.carrier.as_ref(),
            None => self.seen.nic.as_ref(),
        }
    }

    /// An address of ours would answer itself; without an own address there is nothing to ask from.
    fn ping(&self, target: IpAddr) {
        let own = |address: &&Address| {
            address.on == Place::Nic
                && address.ip.is_ipv4() == target.is_ipv4()
                && !plan::is_dmz(&self.wanted, address.ip)
        };
        let configured = self.seen.addresses.iter().any(|address| address.ip == target);
        if !configured
            && self.seen.addresses.iter().any(|address| own(&address))
            && let Err(error) = packet::ping(&self.wanted.interface, target)
        {
            tracing::debug!(%target, %error, "cannot ping");
        }
    }

    /// Makes the tap listen on the LAN interface as it is now.
    fn open_tap(&mut self) -> io::Result<()> {
        let index = self.index();
        if self.tap.as_ref().map(Tap::index) != index {
            let v4 = self.wanted.v4.map(|(address, _)| address);
            let v6 = self.wanted.v6.map(|(address, _)| address);
            self.tap = index.map(|index| Tap::open(index, v4, v6)).transpose()?;
        }
        Ok(())
    }

    /// Without a fence there must be no address.
    fn take_off_unfenced(&mut self) {
        let ours = self.seen.addresses.iter().filter(|address| plan::is_dmz(&self.wanted, address.ip));
        for address in ours.copied().collect::<Vec<_>>() {
            tracing::error!(ip = %address.ip, "cannot put up the fence: taking the address off");
            if let Err(error) = self.perform(&Step::DeleteAddress(address)) {
                tracing::error!(%error, "cannot take the address off");
            }
        }
    }

    fn perform_all(&mut self, steps: &[Step]) -> Result<(), ApplyError> {
        steps.iter().try_for_each(|step| self.perform(step))
    }

    fn perform(&mut self, step: &Step) -> Result<(), ApplyError> {
        if let Step::SetSysctl { key, .. } = step
            && let Some(Some(now)) = self.seen.sysctls.get(key)
            && key.concerns(&self.wanted.interface)
        {
            self.undo.note(key, now);
        }
        self.changes += 1;
        let done = self.change(step);
        if done.is_err() && matches!(step, Step::PutFence(_)) {
            self.take_off_unfenced();
        }
        done?;
        plan::apply(&mut self.seen, &self.wanted, step);
        if let (Step::CreateCarrier { .. } | Step::CarrierUp, Some(name)) = (step, plan::carrier_name(&self.wanted)) {
            self.seen.carrier = self.route.link(name).map_err(|error| ApplyError::step(step, error))?;
        }
        Ok(())
    }

    /// Addresses under the lock of those that are renewed.
    fn change(&mut self, step: &Step) -> Result<(), ApplyError> {
        let (Step::AddAddress(address) | Step::DeleteAddress(address)) = step else {
            return perform(&mut self.route, &mut self.nft, &self.seen, &self.wanted, step);
        };
        let mut kept = self.keeper.kept.lock();
        // Its device may be another one than before.
        kept.retain(|(_, known)| known.ip != address.ip);
        perform(&mut self.route, &mut self.nft, &self.seen, &self.wanted, step)?;
        if let (Step::AddAddress(_), Some(index)) = (step, place(&self.seen, address.on)) {
            kept.insert((index, *address));
        }
        Ok(())
    }
}

/// Undoes what a crashed [`Host`] left behind, for a run that needs none itself; nothing to do is no error.
///
/// # Errors
/// Without permission, or when the kernel refuses; the undo file stays then.
pub fn undo_left_over(undo: &Path) -> Result<(), OpenError> {
    let mut route = Route::open().map_err(OpenError::Socket)?;
    if take_back(&mut route, undo, Protection::Owned)? {
        Undo::forget(undo);
    }
    Ok(())
}

/// Undoes what an earlier run left, which may have had another interface. Returns whether there was anything.
fn take_back(route: &mut Route, undo: &Path, protection: Protection) -> Result<bool, OpenError> {
    let Some(journal) = Undo::left_over(undo) else { return Ok(false) };
    tracing::info!(interface = journal.wanted.interface, "undoing what an earlier run left behind");
    let mut nft = Nft::open(&journal.wanted.interface, protection).map_err(OpenError::fence)?;
    let seen = see(route, &mut nft, &journal.wanted)?;
    for step in plan::removal(&seen, &journal.wanted, &journal.sysctls) {
        perform(route, &mut nft, &seen, &journal.wanted, &step)?;
    }
    Ok(true)
}

fn perform(route: &mut Route, nft: &mut Nft, seen: &Seen, wanted: &Wanted, step: &Step) -> Result<(), ApplyError> {
    tracing::debug!(?step, "changing the machine");
    let carrier = || plan::carrier_name(wanted).ok_or(io::Error::from(io::ErrorKind::NotFound));
    let result = match step {
        Step::PutFence(spec) => return Ok(nft.put(spec)?),
        Step::ChangeFence(spec) => return Ok(nft.change(spec)?),
        Step::RemoveFence => return Ok(nft.remove()?),
        Step::CreateCarrier { parent, name, mac } => route.create_macvlan(*parent, name, *mac),
        Step::DeleteCarrier => carrier().and_then(|name| route.delete_link(name)),
        Step::CarrierUp => carrier().and_then(|name| route.set_up(name)),
        Step::SetSysctl { key, value } => sysctl::write(key, value),
        Step::AddAddress(address) => match place(seen, address.on) {
            Some(index) => route.put_address(index, address),
            None => Err(io::ErrorKind::NotFound.into()),
        },
        Step::DeleteAddress(address) => match place(seen, address.on) {
            Some(index) => route.delete_address(index, address),
            None => Ok(()),
        },
    };
    result.map_err(|error| ApplyError::step(step, error))
}

/// The index of the device that an address is on.
fn place(seen: &Seen, on: Place) -> Option<u32> {
    match on {
        Place::Nic => seen.nic.as_ref().map(|link| link.index),
        Place::Carrier => seen.carrier.as_ref().map(|link| link.index),
    }
}

/// Whether the fence is whole and as wanted.
fn fence_stands(seen: SeenFence, wanted: &Wanted, nic: u32) -> bool {
    let spec = plan::fence_spec(wanted, nic);
    seen == SeenFence::Intact { index: nic, tag: spec.tag() }
}
