//! Brings a machine's addresses, devices and packet gates to the wanted state, over netlink.
//!
//! [`plan`] and [`frame`] are pure: they decide what to do and what bytes mean. [`Host`] is the shell that sees the
//! kernel, asks the plan and performs its steps; [`Watch`] only looks at the LAN interface. This crate knows nothing of
//! elections: it is told what is wanted.
//!
//! **Invariant:** the DMZ address is never on this machine without its fence ([`nft`]); every plan puts the fence first
//! and takes it away last.

pub mod fake;
pub mod frame;
pub mod host;
mod netlink;
pub mod nft;
mod packet;
pub mod plan;
mod ready;
mod resolve;
mod route;
mod seen;
mod sysctl;
mod undo;
mod watch;

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

pub use host::{ApplyError, Event, Host, OpenError, undo_left_over};
pub use nft::NftError;
pub use plan::{Place, Seen, Step};
pub use resolve::{arp_resolve, default_gateway};
pub use watch::Watch;

/// An Ethernet hardware address.
pub type MacBytes = [u8; 6];

/// What one machine should look like for one DMZ address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// The LAN interface's name.
    pub interface: String,
    /// What carries the address.
    pub carrier: Carrier,
    /// The IPv4 address and prefix length.
    pub v4: Option<(Ipv4Addr, u8)>,
    /// The IPv6 address and prefix length.
    pub v6: Option<(Ipv6Addr, u8)>,
    /// Whether the addresses are configured on this machine now.
    pub configured: bool,
    /// The fence's parameters.
    pub fence: Fence,
}

/// What carries the DMZ address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Carrier {
    /// A macvlan of this name with this hardware address.
    Macvlan {
        /// The device's name, at most 15 bytes.
        name: String,
        /// Its hardware address.
        mac: MacBytes,
    },
    /// The LAN interface itself.
    Nic,
}

/// The kernel-enforced lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The UDP port of beacons.
    pub port: u16,
    /// The socket mark that a beacon must carry to renew the lease (`SO_MARK` needs CAP_NET_ADMIN, so no
    /// unprivileged program on this machine can keep the gate open).
    pub mark: u32,
    /// How long the gate stays open after a beacon left.
    pub lease: Duration,
}
