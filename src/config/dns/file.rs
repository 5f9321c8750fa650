//! The shapes of `[dns]`, before anything is checked; see `config::file`.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::config::file::{Section, Text, keys_of};

/// A list of texts, each with its place.
pub(in crate::config) type Texts = Spanned<Vec<Text>>;

/// `[dns]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "the table [dns]")]
pub(in crate::config) struct DnsFile {
    pub listen: Option<Texts>,
    pub resolvers: Option<Spanned<Vec<Spanned<Or<UpstreamFile>>>>>,
    pub authorities: Option<Text>,
    pub rate: Option<Spanned<i64>>,
    pub rate_exempt: Option<Texts>,
    pub identity: Option<Text>,
    pub tls: Option<Spanned<TlsFile>>,
    pub key: Vec<Spanned<KeyFile>>,
    pub zone: Vec<Spanned<ZoneFile>>,
    pub forward: Option<Spanned<ForwardFile>>,
    pub register: Option<Spanned<RegisterFile>>,
    pub dyndns2: Option<Spanned<DyndnsFile>>,
}

/// `[dns.tls]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "the table [dns.tls]")]
pub(in crate::config) struct TlsFile {
    pub certificate: Option<Text>,
    pub key: Option<Text>,
    pub dot: Option<Texts>,
    pub doh: Option<Texts>,
    pub doq: Option<Texts>,
}

/// `[[dns.key]]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "a table [[dns.key]]")]
pub(in crate::config) struct KeyFile {
    pub name: Option<Text>,
    pub algorithm: Option<Text>,
    pub secret: Option<Spanned<SecretFile>>,
}

/// `dns.key.secret`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "{ base64 = \"…\" } or { file = \"…\" }")]
pub(in crate::config) struct SecretFile {
    pub base64: Option<Text>,
    pub file: Option<Text>,
}

/// `[[dns.zone]]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "a table [[dns.zone]]")]
pub(in crate::config) struct ZoneFile {
    pub name: Option<Text>,
    pub file: Option<Text>,
    pub primaries: Option<Spanned<Vec<Spanned<Or<PeerFile>>>>>,
    pub transfer: Option<Spanned<AccessFile>>,
    pub notify: Option<Spanned<Vec<Spanned<Or<PeerFile>>>>>,
    pub update: Vec<Spanned<UpdateFile>>,
    pub alias: Vec<Spanned<AliasFile>>,
    pub dnssec: Option<Spanned<DnssecFile>>,
}

/// Another server: `primaries` and `notify`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(in crate::config) struct PeerFile {
    pub address: Option<Text>,
    pub key: Option<Text>,
}

/// `dns.zone.transfer`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "{ keys = [\"…\"], networks = [\"…\"] }")]
pub(in crate::config) struct AccessFile {
    pub keys: Option<Texts>,
    pub networks: Option<Texts>,
}

/// `[[dns.zone.update]]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "a table [[dns.zone.update]]")]
pub(in crate::config) struct UpdateFile {
    pub key: Option<Text>,
    pub names: Option<Texts>,
    pub types: Option<Texts>,
}

/// `[[dns.zone.alias]]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "a table [[dns.zone.alias]]")]
pub(in crate::config) struct AliasFile {
    pub name: Option<Text>,
    pub target: Option<Text>,
    pub ttl: Option<Text>,
}

/// `[dns.zone.dnssec]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "the table [dns.zone.dnssec]")]
pub(in crate::config) struct DnssecFile {
    pub algorithm: Option<Text>,
    pub denial: Option<Text>,
    pub roll_after: Option<Text>,
}

/// `[dns.forward]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "the table [dns.forward]")]
pub(in crate::config) struct ForwardFile {
    pub networks: Option<Texts>,
    pub upstreams: Option<Spanned<Vec<Spanned<Or<UpstreamFile>>>>>,
    pub cache: Option<Spanned<i64>>,
}

/// A resolver: `resolvers` and `upstreams`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(in crate::config) struct UpstreamFile {
    pub address: Option<Text>,
    pub tls: Option<Text>,
    pub https: Option<Text>,
}

/// `[dns.register]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "the table [dns.register]")]
pub(in crate::config) struct RegisterFile {
    pub server: Option<Text>,
    pub zone: Option<Text>,
    pub key: Option<Text>,
    pub member: Option<Text>,
    pub interface: Option<Text>,
    pub site: Option<Texts>,
    pub public: Option<Spanned<PublicFile>>,
    pub lease: Option<Text>,
    pub ttl: Option<Text>,
}

/// `dns.register.public`
#[derive(Debug, Default, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    rename_all = "kebab-case",
    expecting = "{ dyna = \"…\" }, { interface = \"…\" }, { command = [\"…\"] } or { resolver = \"…\", name = \"…\" }"
)]
pub(in crate::config) struct PublicFile {
    pub dyna: Option<Text>,
    pub interface: Option<Text>,
    pub command: Option<Texts>,
    pub resolver: Option<Text>,
    pub name: Option<Text>,
}

/// `[dns.dyndns2]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case", expecting = "the table [dns.dyndns2]")]
pub(in crate::config) struct DyndnsFile {
    pub listen: Option<Texts>,
    pub tls: Option<Spanned<bool>>,
    pub ttl: Option<Text>,
}

/// The sections of `[dns]`.
pub(in crate::config) fn sections() -> [Section; 17] {
    [
        Section { path: "dns", title: "[dns]", keys: keys_of::<DnsFile>() },
        Section { path: "dns.tls", title: "[dns.tls]", keys: keys_of::<TlsFile>() },
        Section { path: "dns.key", title: "[[dns.key]]", keys: keys_of::<KeyFile>() },
        Section { path: "dns.key.secret", title: "dns.key.secret", keys: keys_of::<SecretFile>() },
        Section { path: "dns.zone", title: "[[dns.zone]]", keys: keys_of::<ZoneFile>() },
        Section { path: "dns.zone.primaries", title: "dns.zone.primaries", keys: keys_of::<PeerFile>() },
        Section { path: "dns.zone.notify", title: "dns.zone.notify", keys: keys_of::<PeerFile>() },
        Section { path: "dns.zone.transfer", title: "dns.zone.transfer", keys: keys_of::<AccessFile>() },
        Section { path: "dns.zone.update", title: "[[dns.zone.update]]", keys: keys_of::<UpdateFile>() },
        Section { path: "dns.zone.alias", title: "[[dns.zone.alias]]", keys: keys_of::<AliasFile>() },
        Section { path: "dns.zone.dnssec", title: "[dns.zone.dnssec]", keys: keys_of::<DnssecFile>() },
        Section { path: "dns.forward", title: "[dns.forward]", keys: keys_of::<ForwardFile>() },
        Section { path: "dns.forward.upstreams", title: "dns.forward.upstreams", keys: keys_of::<UpstreamFile>() },
        Section { path: "dns.resolvers", title: "dns.resolvers", keys: keys_of::<UpstreamFile>() },
        Section { path: "dns.register", title: "[dns.register]", keys: keys_of::<RegisterFile>() },
        Section { path: "dns.register.public", title: "dns.register.public", keys: keys_of::<PublicFile>() },
        Section { path: "dns.dyndns2", title: "[dns.dyndns2]", keys: keys_of::<DyndnsFile>() },
    ]
}

/// A text for the ordinary case, a table where more must be said.
#[derive(Debug)]
pub(in crate::config) enum Or<T> {
    /// `"192.0.2.1:53"`
    Text(String),
    /// `{ address = "192.0.2.1:53", … }`
    Table(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Or<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OrVisitor(std::marker::PhantomData))
    }
}

struct OrVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OrVisitor<T> {
    type Value = Or<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, as a text or in a table")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Or<T>, E> {
        Ok(Or::Text(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Or<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Or::Table)
    }
}
