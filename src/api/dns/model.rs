//! What the API says of DNS: the shapes that scripts rely on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/dns`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DnsStatus {
    /// Where plain DNS is answered.
    pub listen: Vec<String>,
    /// The configuration file, where the keys are.
    pub config: String,
    /// Whether each query is logged now.
    pub query_log: bool,
    /// The zones, by name.
    pub zones: Vec<ZoneStatus>,
    /// The keys, without their secrets.
    pub keys: Vec<KeyStatus>,
    /// What people should know, while it is so: why the configuration is not in force, for example.
    pub warnings: Vec<String>,
    /// What the main server is told, if it is told anything.
    pub register: Option<RegisterStatus>,
    /// What was counted since the start: queries, answers, result codes …
    pub counters: BTreeMap<String, u64>,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ZoneStatus {
    /// Its name, without the dot at the end.
    pub name: String,
    /// Whether its records are kept here or transferred from elsewhere.
    pub role: ZoneRole,
    /// Its version; none of a secondary that has never been transferred.
    pub serial: Option<u32>,
    /// How many names it has.
    pub names: u64,
    /// How many of its records leave by themselves unless they are refreshed (RFC 9664).
    pub leases: u64,
    /// Whether it is signed (DNSSEC).
    pub signed: bool,
    /// A secondary that nobody has confirmed for too long; it is not answered from.
    pub expired: bool,
    /// How it follows its primaries, if it is a secondary.
    pub secondary: Option<SecondaryStatus>,
}

/// How a secondary zone follows its primaries. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecondaryStatus {
    /// Where it comes from, in the order they are asked.
    pub primaries: Vec<String>,
    /// The one that was asked last.
    pub asked: Option<String>,
    /// When one last confirmed that there is nothing newer; none before the first time.
    pub confirmed_at_ms: Option<u64>,
    /// When they are asked next; none while one is.
    pub refresh_at_ms: Option<u64>,
    /// When the zone is not answered from any more, unless one confirms it; none while there is nothing to answer from.
    pub expires_at_ms: Option<u64>,
    /// Why the last attempt was of no use; none when it was.
    pub error: Option<String>,
}

/// Where a zone's records come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneRole {
    /// They are kept here.
    Primary,
    /// They are transferred from a primary.
    Secondary,
}

/// A key that messages are signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyStatus {
    /// Its name, without the dot at the end.
    pub name: String,
    /// `hmac-sha256`, `hmac-sha384`, `hmac-sha512` or `sig0`.
    pub algorithm: String,
    /// The zones that it may change something in.
    pub updates: Vec<String>,
    /// The zones that it may have all of.
    pub transfers: Vec<String>,
}

/// `GET /v1/dns/zones/{zone}/dnssec`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DnssecStatus {
    /// The zone's name, without the dot at the end.
    pub zone: String,
    /// The keys in the zone, in the order they were made; none in a zone that is not signed here.
    pub keys: Vec<DnssecKey>,
    /// When a key goes a step on by itself, in milliseconds since 1970; none while none does.
    pub next_at_ms: Option<u64>,
}

/// A key that a zone is signed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DnssecKey {
    /// What signatures name it by; two keys of a zone hardly ever have the same.
    pub tag: u16,
    /// What it signs.
    pub role: DnssecRole,
    /// `ecdsa-p256` or `ed25519`.
    pub algorithm: String,
    /// How far it has come.
    pub stage: DnssecStage,
    /// Since when, in milliseconds since 1970.
    pub since_at_ms: u64,
    /// The data of its DS record, of a key-signing key.
    pub ds: Option<String>,
    /// Whether the parent zone is to have this DS record.
    pub announced: bool,
}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnssecRole {
    /// The keys; the parent zone has its digest.
    KeySigning,
    /// Everything else.
    ZoneSigning,
}

/// How far a key has come (RFC 7583, 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DnssecStage {
    /// In the zone, so that caches get to know it.
    Published,
    /// A key-signing key that every cache knows: the parent zone can have its DS record.
    Ready,
    /// Signing.
    Active,
    /// Still in the zone, for what caches have.
    Retired,
}

/// What the main server is told of this member and its site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegisterStatus {
    /// The main server's address.
    pub server: String,
    /// The zone there.
    pub zone: String,
    /// What shall be there.
    pub wanted: Vec<Registered>,
    /// What the server has confirmed.
    pub told: Vec<Registered>,
    /// Whether both are the same and nothing fails.
    pub good: bool,
    /// Why the server cannot be told now, if so.
    pub failing: Option<String>,
    /// Why the site's public address is not known now, if so.
    pub public_failing: Option<String>,
}

/// A name and an address that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registered {
    /// The name, without the dot at the end.
    pub name: String,
    /// The address.
    pub address: String,
}

/// One line of `GET /v1/dns/zones/{zone}/records`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownRecord {
    /// Its name, without the dot at the end.
    pub name: String,
    /// Seconds a cache may keep it.
    pub ttl: u32,
    /// Its type.
    pub r#type: String,
    /// Its data, as in a zone file.
    pub data: String,
}

/// `PUT /v1/dns/query-log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueryLog {
    /// Whether each query is logged.
    pub on: bool,
}
