//! What is wanted, what is there, and the steps between them.
//!
//! Pure: [`plan`] compares [`Seen`] with [`Wanted`] and answers with ordered [`Step`]s; [`apply`] says what the machine
//! looks like after one. A plan that was performed is followed by an empty one.
//!
//! **Invariant:** a crash between any two steps leaves no DMZ address without its fence: [`plan`] puts the fence
//! before everything else, [`removal`] takes it away after everything else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::{Carrier, Fence, MacBytes, Wanted};

#[cfg(test)]
mod tests;

/// What one machine looks like, as far as one DMZ address is concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The LAN interface, if it exists.
    pub nic: Option<Link>,
    /// The device that has the carrier's name; always `None` when the LAN interface itself is the carrier.
    pub carrier: Option<Link>,
    /// Every address on the two devices.
    pub addresses: BTreeSet<Address>,
    /// The fence.
    pub fence: SeenFence,
    /// The settings that [`settings`] names, on devices that exist; `None` when this kernel has no such setting.
    pub sysctls: BTreeMap<Sysctl, Option<String>>,
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it; a device that is deleted and made again gets a new one.
    pub index: u32,
    /// Its hardware address, if it is six bytes long.
    pub mac: Option<MacBytes>,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether it can carry packets.
    pub running: bool,
    /// The LAN interface it rides on, if it is a macvlan in private mode.
    pub private_on: Option<u32>,
}

/// Which of the two devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The LAN interface.
    Nic,
    /// The macvlan on top of it.
    Carrier,
}

/// An address on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The device.
    pub on: Place,
    /// The address.
    pub ip: IpAddr,
    /// Its prefix length.
    pub prefix: u8,
    /// Whether the kernel made a route to the prefix for it.
    pub routed: bool,
}

/// The fence as it was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeenFence {
    /// There is none.
    #[default]
    Absent,
    /// A table of its name is there, but it is not whole or not known.
    Broken,
    /// Whole, as made from a [`FenceSpec`].
    Intact {
        /// The LAN interface's index that it was made for.
        index: u32,
        /// [`FenceSpec::tag`].
        tag: u64,
    },
}

/// Everything the fence is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceSpec {
    /// The LAN interface's name.
    pub interface: String,
    /// The LAN interface's index.
    pub index: u32,
    /// The guarded IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// The guarded IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// A virtual hardware address that no frame may come from while the gate is shut.
    pub mac: Option<MacBytes>,
    /// The lease's parameters.
    pub fence: Fence,
}

impl FenceSpec {
    /// The name of the nftables table for `interface`.
    pub fn table(interface: &str) -> String {
        format!("gatehouse-{interface}")
    }

    /// A fingerprint of all parameters (FNV-1a), kept in the kernel beside the rules to recognise them by.
    pub fn tag(&self) -> u64 {
        let text = format!("{self:?}");
        text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}

/// A kernel setting, by its path below `/proc/sys/net`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sysctl(pub String);

impl Sysctl {
    /// Whether it is a setting of this device.
    pub fn concerns(&self, device: &str) -> bool {
        self.0.split('/').nth(2) == Some(device)
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One change to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Put a new fence in the place of whatever has its name, in one transaction; the gate is shut afterwards.
    PutFence(FenceSpec),
    /// Change the rules of an intact fence in one transaction; the gate stays as it is.
    ChangeFence(FenceSpec),
    /// Take the fence away.
    RemoveFence,
    /// Make the macvlan, down and without addresses.
    CreateCarrier {
        /// The LAN interface's index.
        parent: u32,
        /// The new device's name.
        name: String,
        /// Its hardware address.
        mac: MacBytes,
    },
    /// Delete the device that has the carrier's name.
    DeleteCarrier,
    /// Set the carrier up.
    CarrierUp,
    /// Change a kernel setting.
    SetSysctl {
        /// Which one.
        key: Sysctl,
        /// Its new value.
        value: String,
    },
    /// Put an address on a device, for a limited time.
    AddAddress(Address),
    /// Take an address off a device.
    DeleteAddress(Address),
}

/// The steps that make a machine look as wanted; empty when it does.
///
/// While the LAN interface does not exist nothing can be done, and nothing is asked for.
pub fn plan(seen: &Seen, wanted: &Wanted) -> Vec<Step> {
    let Some(nic) = &seen.nic else { return Vec::new() };
    let mut steps = Vec::new();
    let spec = fence_spec(wanted, nic.index);
    match seen.fence {
        SeenFence::Intact { index, tag } if index == spec.index && tag == spec.tag() => {}
        SeenFence::Intact { index, .. } if index == spec.index => steps.push(Step::ChangeFence(spec)),
        SeenFence::Intact { .. } | SeenFence::Absent | SeenFence::Broken => steps.push(Step::PutFence(spec)),
    }
    let fresh = plan_carrier(seen, wanted, nic, &mut steps);
    for (key, value) in settings(wanted) {
        let on_fresh_device = fresh && carrier_name(wanted).is_some_and(|name| key.concerns(name));
        match seen.sysctls.get(&key) {
            Some(None) if !on_fresh_device => {}
            Some(Some(now)) if now == value && !on_fresh_device => {}
            _ => steps.push(Step::SetSysctl { key, value: value.to_owned() }),
        }
    }
    let carrier_up = !fresh && seen.carrier.as_ref().is_some_and(|link| link.up);
    if matches!(wanted.carrier, Carrier::Macvlan { .. }) && nic.up && !carrier_up {
        steps.push(Step::CarrierUp);
    }
    plan_addresses(seen, wanted, fresh, &mut steps);
    steps
}

/// The steps that take everything away again: addresses, then the carrier, then settings back to `restore`, then the
/// fence.
pub fn removal(seen: &Seen, wanted: &Wanted, restore: &BTreeMap<Sysctl, String>) -> Vec<Step> {
    let mut steps: Vec<Step> =
        seen.addresses.iter().filter(|a| is_dmz(wanted, a.ip)).map(|a| Step::DeleteAddress(*a)).collect();
    if seen.carrier.as_ref().is_some_and(|link| link.private_on.is_some()) {
        steps.push(Step::DeleteCarrier);
    }
    for (key, value) in restore {
        let on_carrier = carrier_name(wanted).is_some_and(|name| key.concerns(name));
        if !on_carrier && seen.sysctls.get(key).is_some_and(|now| now.as_ref().is_some_and(|now| now != value)) {
            steps.push(Step::SetSysctl { key: key.clone(), value: value.clone() });
        }
    }
    if seen.fence != SeenFence::Absent {
        steps.push(Step::RemoveFence);
    }
    steps
}

/// What the machine looks like after a step.
pub fn apply(seen: &mut Seen, wanted: &Wanted, step: &Step) {
    match step {
        Step::PutFence(spec) | Step::ChangeFence(spec) => {
            seen.fence = SeenFence::Intact { index: spec.index, tag: spec.tag() };
        }
        Step::RemoveFence => seen.fence = SeenFence::Absent,
        Step::CreateCarrier { parent, mac, .. } => {
            let index = parent.saturating_add(1);
            let link = Link { index, mac: Some(*mac), up: false, running: false, private_on: Some(*parent) };
            seen.carrier = Some(link);
        }
        Step::DeleteCarrier => {
            seen.carrier = None;
            seen.addresses.retain(|address| address.on != Place::Carrier);
            if let Some(name) = carrier_name(wanted) {
                seen.sysctls.retain(|key, _| !key.concerns(name));
            }
        }
        Step::CarrierUp => {
            let running = seen.nic.as_ref().is_some_and(|nic| nic.running);
            if let Some(link) = &mut seen.carrier {
                link.up = true;
                link.running = running;
            }
        }
        Step::SetSysctl { key, value } => {
            seen.sysctls.insert(key.clone(), Some(value.clone()));
        }
        Step::AddAddress(address) => {
            seen.addresses.insert(*address);
        }
        Step::DeleteAddress(address) => {
            seen.addresses.remove(address);
        }
    }
}

/// The kernel settings that must hold while the DMZ address may be here, with the reason beside each.
pub fn settings(wanted: &Wanted) -> Vec<(Sysctl, &'static str)> {
    let nic = wanted.interface.as_str();
    let v4 = |device: &str, name: &str| Sysctl(format!("ipv4/conf/{device}/{name}"));
    let v6 = |device: &str, name: &str| Sysctl(format!("ipv6/conf/{device}/{name}"));
    match &wanted.carrier {
        // Were the DMZ address the interface's first one, the kernel would remove the machine's own with it.
        Carrier::Nic => vec![(v4(nic, "promote_secondaries"), "1")],
        Carrier::Macvlan { name, .. } => vec![
            // Each device answers ARP for its own addresses only, else the router learns the wrong hardware address.
            (v4(nic, "arp_ignore"), "1"),
            (v4(name, "arp_ignore"), "1"),
            // Replies leave by the LAN interface: its questions must not name the DMZ address as their sender.
            (v4(nic, "arp_announce"), "2"),
            (v4(name, "arp_announce"), "2"),
            // The route back to a client leads through the LAN interface; 2 (loose) also overrules `all` = 1.
            (v4(name, "rp_filter"), "2"),
            // Nothing may leave from the virtual hardware address by itself.
            (v6(name, "addr_gen_mode"), "1"),
            (v6(name, "accept_ra"), "0"),
            (v6(name, "autoconf"), "0"),
            (v6(name, "disable_ipv6"), if wanted.v6.is_some() { "0" } else { "1" }),
        ],
    }
}

/// The fence for `wanted` on the LAN interface of this index.
pub fn fence_spec(wanted: &Wanted, index: u32) -> FenceSpec {
    FenceSpec {
        interface: wanted.interface.clone(),
        index,
        v4: wanted.v4.map(|(address, _)| address),
        v6: wanted.v6.map(|(address, _)| address),
        mac: match wanted.carrier {
            Carrier::Macvlan { mac, .. } => Some(mac),
            Carrier::Nic => None,
        },
        fence: wanted.fence.clone(),
    }
}

/// The DMZ addresses as they have to be configured.
pub fn dmz_addresses(seen: &Seen, wanted: &Wanted) -> Vec<Address> {
    let on = if wanted.carrier == Carrier::Nic { Place::Nic } else { Place::Carrier };
    let v4 = wanted.v4.map(|(ip, prefix)| (IpAddr::V4(ip), prefix));
    let v6 = wanted.v6.map(|(ip, prefix)| (IpAddr::V6(ip), prefix));
    v4.into_iter()
        .chain(v6)
        .map(|(ip, prefix)| {
            let covered = seen.addresses.iter().any(|own| {
                own.on == Place::Nic
                    && !is_dmz(wanted, own.ip)
                    && own.prefix <= prefix
                    && same_net(own.ip, ip, own.prefix)
            });
            Address { on, ip, prefix, routed: !covered }
        })
        .collect()
}

/// The macvlan's name, if there is to be one.
pub fn carrier_name(wanted: &Wanted) -> Option<&str> {
    match &wanted.carrier {
        Carrier::Macvlan { name, .. } => Some(name),
        Carrier::Nic => None,
    }
}

/// Whether `ip` is one of the DMZ addresses.
pub fn is_dmz(wanted: &Wanted, ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => wanted.v4.is_some_and(|(dmz, _)| dmz == ip),
        IpAddr::V6(ip) => wanted.v6.is_some_and(|(dmz, _)| dmz == ip),
    }
}

/// Returns whether the carrier is made anew, without addresses.
fn plan_carrier(seen: &Seen, wanted: &Wanted, nic: &Link, steps: &mut Vec<Step>) -> bool {
    let Carrier::Macvlan { name, mac } = &wanted.carrier else { return false };
    if let Some(link) = &seen.carrier {
        if link.private_on == Some(nic.index) && link.mac == Some(*mac) {
            return false;
        }
        if link.private_on.is_some() {
            steps.push(Step::DeleteCarrier);
        }
    }
    steps.push(Step::CreateCarrier { parent: nic.index, name: name.clone(), mac: *mac });
    true
}

fn plan_addresses(seen: &Seen, wanted: &Wanted, fresh: bool, steps: &mut Vec<Step>) {
    let possible = wanted.configured && seen.nic.as_ref().is_some_and(|nic| nic.up);
    let right = if possible { dmz_addresses(seen, wanted) } else { Vec::new() };
    for address in seen.addresses.iter().filter(|address| is_dmz(wanted, address.ip)) {
        let went_with_the_carrier = fresh && address.on == Place::Carrier;
        if !right.contains(address) && !went_with_the_carrier {
            steps.push(Step::DeleteAddress(*address));
        }
    }
    for address in right {
        if fresh || !seen.addresses.contains(&address) {
            steps.push(Step::AddAddress(address));
        }
    }
}

fn same_net(a: IpAddr, b: IpAddr, prefix: u8) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => {
            let shift = 32_u32.saturating_sub(prefix.into());
            (u32::from(a) ^ u32::from(b)).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            let shift = 128_u32.saturating_sub(prefix.into());
            (u128::from(a) ^ u128::from(b)).checked_shr(shift).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
