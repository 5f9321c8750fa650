//! What a server is told to do: checked values only, whoever made them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::name::{Name, NameRef};
use crate::record::Rtype;

/// Everything a server serves, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where plain DNS is answered, over UDP and TCP.
    pub listen: Vec<SocketAddr>,
    /// The encrypted listeners.
    pub tls: Option<Tls>,
    /// Where journals, keys of signed zones and transferred zones are kept.
    pub state: PathBuf,
    /// The keys that zones name.
    pub keys: Vec<Key>,
    /// The zones, no apex twice.
    pub zones: Vec<ZoneSettings>,
    /// Questions for other names, if they are answered at all.
    pub forward: Option<Forward>,
    /// Who asks for the addresses of alias targets; without any, the system's resolvers are asked.
    pub resolvers: Vec<Upstream>,
    /// PEM of authorities, besides the public ones, that the certificates of resolvers may come from.
    pub authorities: Option<PathBuf>,
    /// The same answer so many times a second to one network over UDP, and five times as many in all, before they are
    /// thinned out; none for no limit.
    pub rate: Option<u32>,
    /// Whom no rate limits.
    pub rate_exempt: Vec<Network>,
    /// What this server calls itself when it is asked (RFC 5001, RFC 4892), in printable ASCII; nothing where it says
    /// nothing.
    pub identity: Option<String>,
}

/// Certificate and listeners of DNS over TLS, HTTPS and QUIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM, the server's certificate first.
    pub certificate: PathBuf,
    /// PEM, PKCS#8, SEC1 or PKCS#1.
    pub key: PathBuf,
    /// RFC 7858.
    pub dot: Vec<SocketAddr>,
    /// RFC 8484, at `/dns-query`.
    pub doh: Vec<SocketAddr>,
    /// RFC 9250.
    pub doq: Vec<SocketAddr>,
}

/// A secret that client and server share (RFC 8945), or a public key (RFC 2931).
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// What both sides call it.
    pub name: Name,
    /// How messages are signed with it.
    pub algorithm: Algorithm,
    /// The secret's octets; for a public key, its KEY record's data.
    pub secret: Box<[u8]>,
}

/// How messages are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `hmac-sha256`
    HmacSha256,
    /// `hmac-sha384`
    HmacSha384,
    /// `hmac-sha512`
    HmacSha512,
    /// SIG(0) by a public key; the algorithm is in the key.
    Sig0,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::HmacSha256, Self::HmacSha384, Self::HmacSha512, Self::Sig0];

    /// What it is called (RFC 8945, 6), without the dot at the end.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HmacSha256 => "hmac-sha256",
            Self::HmacSha384 => "hmac-sha384",
            Self::HmacSha512 => "hmac-sha512",
            Self::Sig0 => "sig0",
        }
    }
}

/// One zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneSettings {
    /// Where it begins.
    pub apex: Name,
    /// Where its records come from.
    pub source: Source,
    /// Who may have all of it.
    pub transfer: Access,
    /// Who is told about changes (RFC 1996).
    pub notify: Vec<Peer>,
    /// Who may change what; anything else is refused.
    pub update: Vec<Rule>,
    /// Names that answer with another name's addresses.
    pub aliases: Vec<Alias>,
    /// How it is signed, if the server signs it.
    pub dnssec: Option<Dnssec>,
}

/// Where a zone's records come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here: the file is the seed, read while the zone has no journal yet. Without a file the zone begins with an SOA and
    /// an NS record only.
    Primary {
        /// In master-file form (RFC 1035, 5).
        file: Option<PathBuf>,
    },
    /// From one of these servers, asked in this order.
    Secondary {
        /// At least one.
        primaries: Vec<Peer>,
    },
}

/// Another server, and the key that messages to it and from it are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it listens.
    pub address: SocketAddr,
    /// One of [`Settings::keys`].
    pub key: Option<Name>,
}

/// Who may: any of the keys or any of the networks is enough; neither is nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Names of keys.
    pub keys: Vec<Name>,
    /// Networks of addresses.
    pub networks: Vec<Network>,
}

/// The addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many bits count.
    pub prefix: u8,
}

/// A key may change these names, these types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// One of [`Settings::keys`].
    pub key: Name,
    /// Any of them.
    pub names: Vec<Pattern>,
    /// Nothing for any type that an update may touch.
    pub types: Option<Vec<Rtype>>,
}

/// Names: one, or all below one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// This one.
    Exactly(Name),
    /// Every name below this one, at any depth, and not itself: written `*.name`.
    Below(Name),
}

/// A name that answers with the addresses of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// Where, the apex included.
    pub name: Name,
    /// Whose A and AAAA records.
    pub target: Name,
    /// The longest TTL of an answer, in seconds.
    pub ttl: u32,
}

/// How a zone is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dnssec {
    /// The algorithm of its keys.
    pub algorithm: SigningAlgorithm,
    /// Hashed names (RFC 5155, with no salt and no further iterations: RFC 9276) instead of plain ones.
    pub nsec3: bool,
    /// How old a zone-signing key gets before the next takes over; none for ever.
    pub roll_after: Option<Duration>,
}

/// What zones are signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigningAlgorithm {
    /// ECDSAP256SHA256, number 13 (RFC 6605).
    EcdsaP256,
    /// ED25519, number 15 (RFC 8080).
    Ed25519,
}

impl SigningAlgorithm {
    /// What it is called in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::Ed25519 => "ed25519",
        }
    }
}

/// Questions for other names, on behalf of some networks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Who may ask.
    pub networks: Vec<Network>,
    /// Who is asked in turn.
    pub upstreams: Vec<Upstream>,
    /// Answers kept at most.
    pub cache: usize,
}

/// A resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub transport: Transport,
}

/// How a resolver is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// UDP, and TCP for long answers.
    Plain,
    /// TLS; the name is on its certificate.
    Tls(String),
    /// HTTPS; the name is on its certificate.
    Https(String),
}

impl Settings {
    /// The key of this name.
    pub fn key(&self, name: NameRef<'_>) -> Option<&Key> {
        self.keys.iter().find(|key| key.name.as_ref() == name)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.algorithm, self.name)
    }
}

impl Access {
    /// Whether a message signed with `key` (if it was) from `address` is let in.
    pub fn allows(&self, key: Option<NameRef<'_>>, address: IpAddr) -> bool {
        key.is_some_and(|key| self.keys.iter().any(|mine| mine.as_ref() == key))
            || self.networks.iter().any(|network| network.contains(address))
    }
}

impl Network {
    /// Whether the address is in the network; an IPv4 address mapped into IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        let same = |mine: &[u8], theirs: &[u8]| {
            let (whole, bits) = (usize::from(self.prefix / 8), self.prefix % 8);
            let mask = !(0xffu16 >> bits) as u8;
            mine[..whole] == theirs[..whole] && (bits == 0 || mine[whole] & mask == theirs[whole] & mask)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(mine), IpAddr::V4(theirs)) if self.prefix <= 32 => same(&mine.octets(), &theirs.octets()),
            (IpAddr::V6(mine), IpAddr::V6(theirs)) if self.prefix <= 128 => same(&mine.octets(), &theirs.octets()),
            _ => false,
        }
    }
}

impl Pattern {
    /// Whether `name` is one of them.
    pub fn matches(&self, name: NameRef<'_>) -> bool {
        match self {
            Self::Exactly(mine) => mine.as_ref() == name,
            Self::Below(mine) => name.is_below(mine.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, prefix: u8) -> Network {
        Network { address: address.parse().expect("an address"), prefix }
    }

    #[test]
    fn networks_are_their_first_bits() {
        for (network, address, within) in [
            (network("192.168.0.0", 23), "192.168.1.255", true),
            (network("192.168.0.0", 23), "192.168.2.0", false),
            (network("0.0.0.0", 0), "8.8.8.8", true),
            (network("10.1.2.3", 32), "10.1.2.3", true),
            (network("10.1.2.3", 32), "10.1.2.2", false),
            (network("10.0.0.0", 8), "::ffff:10.9.9.9", true),
            (network("2001:db8::", 33), "2001:db8:7fff::1", true),
            (network("2001:db8::", 33), "2001:db8:8000::1", false),
            (network("0.0.0.0", 0), "::1", false),
        ] {
            assert_eq!(network.contains(address.parse().expect("an address")), within, "{network:?} {address}");
        }
    }

    #[test]
    fn either_key_or_network_lets_in() {
        let key: Name = "k1".parse().expect("a name");
        let access = Access { keys: vec![key.clone()], networks: vec![network("127.0.0.0", 8)] };
        let (near, far) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([10, 0, 0, 1]));
        assert!(access.allows(None, near) && access.allows(Some(key.as_ref()), far));
        assert!(!access.allows(None, far) && !Access::default().allows(Some(key.as_ref()), near));
    }

    #[test]
    fn a_star_is_everything_below() {
        let name = |text: &str| text.parse::<Name>().expect("a name");
        let below = Pattern::Below(name("dyn.test"));
        assert!(below.matches(name("a.b.DYN.test").as_ref()) && !below.matches(name("dyn.test").as_ref()));
        assert!(Pattern::Exactly(name("dyn.test")).matches(name("dyn.test").as_ref()));
    }
}
