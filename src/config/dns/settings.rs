//! What `[dns]` means, in types that cannot be wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::dns::name::Name;
use ::dns::settings::{Key, Settings, Upstream};

/// A DNS server without a site: what `gatehouse dns serve` needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsSettings {
    /// This machine's name, for people.
    pub name: String,
    /// The folder for what must survive a restart.
    pub state: PathBuf,
    /// The API's Unix socket.
    pub control: PathBuf,
    /// `[dns]`
    pub dns: Dns,
}

/// `[dns]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// What is served, if anything is.
    pub server: Settings,
    /// The HTTP endpoint for routers that speak nothing else.
    pub dyndns2: Option<Dyndns>,
    /// What the main server is told.
    pub register: Option<Register>,
}

impl Dns {
    /// Whether names are served here, and not only registered elsewhere.
    pub fn serves(&self) -> bool {
        !self.server.zones.is_empty() || self.server.forward.is_some()
    }
}

/// `[dns.dyndns2]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dyndns {
    /// Where it listens; at least one.
    pub listen: Vec<SocketAddr>,
    /// Whether with the certificate of `[dns.tls]`.
    pub tls: bool,
    /// The TTL of the records it makes, in seconds.
    pub ttl: u32,
}

/// `[dns.register]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Register {
    /// The main server.
    pub server: SocketAddr,
    /// The zone that the names are in.
    pub zone: Name,
    /// What the updates are signed with.
    pub key: Key,
    /// The name that has this member's own addresses, if one has.
    pub member: Option<Name>,
    /// The interface whose addresses these are; the LAN's where none is given.
    pub interface: Option<String>,
    /// The names that have the site's public address, told by the holder.
    pub site: Vec<Name>,
    /// Where that address is learnt; none if nothing says so: then it is not told, and this is shown.
    pub public: Option<PublicSource>,
    /// Who is asked for the address behind a DYNA name; without any, the system's resolvers.
    pub resolvers: Vec<Upstream>,
    /// PEM of authorities, besides the public ones, that the certificates of these may come from.
    pub authorities: Option<PathBuf>,
    /// How long the main server keeps what is not refreshed.
    pub lease: Duration,
    /// The TTL of the records, in seconds.
    pub ttl: u32,
}

/// Where a site's public address is learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicSource {
    /// From the configuration: those of the DMZ addresses that the internet can reach are it.
    Dmz,
    /// The gateway keeps this name true with a service of its own.
    Dyna(Name),
    /// This interface has it.
    Interface(String),
    /// This command prints it, one address a line.
    Command(Vec<String>),
    /// This resolver answers a question for this name with the address that it came from.
    Echo {
        /// The resolver.
        resolver: SocketAddr,
        /// The name.
        name: Name,
    },
}
