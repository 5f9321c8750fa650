//! Checked settings: what a configuration means, in types that cannot be wrong.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::path::PathBuf;
use std::time::Duration;

use super::dns::Dns;
use crate::election::{Prefer, Role, Timing};
use crate::reach::is_public;
use crate::units::Priority;
use crate::wire::DmzAddresses;

/// One member's whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// This member's name, for people.
    pub name: String,
    /// The folder for what must survive a restart.
    pub state: PathBuf,
    /// The API's Unix socket.
    pub control: PathBuf,
    /// The site's LAN.
    pub lan: Lan,
    /// The address the gateway forwards to.
    pub dmz: Dmz,
    /// What decides this member's health.
    pub checks: Vec<Check>,
    /// Where inputs are recorded, if they are.
    pub record: Option<PathBuf>,
    /// What is served and registered in the DNS, if anything is.
    pub dns: Option<Dns>,
}

/// How members find each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lan {
    /// The LAN interface's name.
    pub interface: String,
    /// The IPv4 group, if one is used.
    pub group_v4: Option<SocketAddrV4>,
    /// The IPv6 group, if one is used.
    pub group_v6: Option<SocketAddrV6>,
    /// Unicast addresses of members that multicast does not reach; the group's port unless another is given.
    pub peers: Vec<SocketAddr>,
    /// Whether datagrams also go to the subnet's broadcast address, where multicast is filtered.
    pub broadcast: bool,
    /// The beacon interval and what follows from it.
    pub timing: Timing,
    /// Whether this member may hold.
    pub role: Role,
    /// How much it wants to.
    pub priority: Priority,
    /// When a holder makes room.
    pub prefer: Prefer,
    /// Where the site key comes from.
    pub key: KeySource,
}

/// Where the key that signs datagrams comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Derived from a passphrase that all members share.
    Passphrase(String),
    /// A file that all members share a copy of; its whole content is the passphrase, surrounding space removed.
    File(PathBuf),
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeySource::Passphrase(_) => f.write_str("Passphrase(..)"),
            KeySource::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// The DMZ address and how it is carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dmz {
    /// The IPv4 address and prefix length.
    pub v4: Option<(Ipv4Addr, u8)>,
    /// The IPv6 address and prefix length.
    pub v6: Option<(Ipv6Addr, u8)>,
    /// Which hardware address answers.
    pub mac: MacMode,
}

impl Dmz {
    /// The addresses without their prefix lengths.
    pub fn addresses(&self) -> DmzAddresses {
        DmzAddresses { v4: self.v4.map(|(address, _)| address), v6: self.v6.map(|(address, _)| address) }
    }

    /// Whether the internet can reach one of the addresses as it is.
    pub fn is_public(&self) -> bool {
        let DmzAddresses { v4, v6 } = self.addresses();
        v4.map(IpAddr::V4).into_iter().chain(v6.map(IpAddr::V6)).any(is_public)
    }
}

/// Which hardware address answers for the DMZ address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacMode {
    /// A virtual one that moves with the address.
    Virtual,
    /// The LAN interface's own.
    Nic,
}

/// One health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, for people; unique.
    pub name: String,
    /// What is tried.
    pub probe: CheckProbe,
    /// The time between two tries.
    pub interval: Duration,
    /// A try that takes longer has failed.
    pub timeout: Duration,
    /// Successes in a row that make a failing check pass.
    pub rise: u32,
    /// Failures in a row that make a passing check fail.
    pub fall: u32,
    /// What a failure costs.
    pub cost: Cost,
}

/// What a check tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckProbe {
    /// The gateway answers ARP; `None` is the default route's gateway.
    Gateway(Option<IpAddr>),
    /// A TCP connection opens.
    Tcp(SocketAddr),
    /// An HTTP GET answers with an expected status.
    Http {
        /// Where to connect.
        address: SocketAddr,
        /// The Host header.
        host: String,
        /// The path with its query.
        path: String,
        /// The statuses that are good.
        expect: Vec<u16>,
    },
    /// A DNS server answers a question with NOERROR.
    Dns {
        /// The server.
        server: SocketAddr,
        /// The name asked for (type A).
        name: String,
    },
    /// A command ends with exit code 0.
    Command(Vec<String>),
}

/// What a failing check costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cost {
    /// This much of the health of 100.
    Weight(u8),
    /// All of it.
    Veto,
}
