//! What the API says: the shapes that scripts rely on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// This member's name.
    pub name: String,
    /// Its id, hexadecimal.
    pub node: String,
    /// What it does.
    pub role: RoleName,
    /// The finer state behind the role, e.g. `suspecting` or `handing-over`.
    pub state: String,
    /// The holder's name, if one is known.
    pub holder: Option<String>,
    /// The holder's id, if one is known.
    pub holder_node: Option<String>,
    /// Milliseconds since this member saw the holder become it, if one is known.
    pub held_ms: Option<u64>,
    /// The site's term.
    pub term: u64,
    /// The DMZ addresses.
    pub dmz: Vec<String>,
    /// The LAN interface.
    pub interface: String,
    /// Every member known, this one included, ordered by name.
    pub members: Vec<Member>,
    /// This member's health, 0 to 100.
    pub health: u8,
    /// Its checks.
    pub checks: Vec<CheckStatus>,
    /// What people should know: a missing permission, two members with one name, an invalid new configuration …
    pub warnings: Vec<String>,
    /// What happened since the daemon started.
    pub counters: Counters,
    /// Milliseconds since the daemon started.
    pub uptime_ms: u64,
}

/// What a member does, in the words that scripts rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// Answers for the DMZ address.
    Holder,
    /// Ready to take over.
    Standby,
    /// Never holds.
    Observer,
    /// Finding out whether the address is taken, or waiting for the link.
    Probing,
    /// A stranger uses the address.
    Conflict,
}

/// One member of the site, as this one sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its id, hexadecimal.
    pub node: String,
    /// What it does.
    pub role: RoleName,
    /// The address its datagrams come from; empty for this member before it has one.
    pub address: String,
    /// Milliseconds since it was heard; 0 for this member.
    pub last_seen_ms: u64,
    /// Whether all its checks pass.
    pub healthy: bool,
    /// Its health, 0 to 100.
    pub health: u8,
    /// Its priority.
    pub priority: u8,
    /// Its place among the successors, from 1; none if it is not one.
    pub successor: Option<u8>,
    /// Whether it is this member.
    pub me: bool,
}

/// One check of this member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CheckStatus {
    /// Its name.
    pub name: String,
    /// Whether it passes.
    pub passing: bool,
    /// What the last try said.
    pub detail: String,
    /// How long the last try took, milliseconds.
    pub took_ms: u64,
}

/// `GET /v1/events`: one line each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Counts events since the daemon started, from 1.
    pub id: u64,
    /// When, milliseconds since 1970.
    pub at_ms: u64,
    /// What kind: `role`, `takeover`, `holder`, `joined`, `left`, `stranger`, `late-beacon`, `health`, `config`, `dns`; and
    /// `missed` in place of events that this reader was too slow for, with the id of the last one missed.
    pub kind: String,
    /// One sentence for people.
    pub text: String,
    /// The term it happened in.
    pub term: u64,
    /// For a takeover by this member: the silence before it, milliseconds.
    pub gap_ms: Option<f64>,
}

/// Counts of what happened since the daemon started; `GET /metrics` shows them, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counters {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that the kernel refused to send.
    pub send_failed: u64,
    /// Datagrams accepted.
    pub received: u64,
    /// Datagrams that were not ours: no magic, wrong version, malformed, too long.
    pub malformed: u64,
    /// Datagrams signed with another key.
    pub foreign_key: u64,
    /// Datagrams of another site with the same key.
    pub other_site: u64,
    /// Datagrams whose signature did not verify.
    pub forged: u64,
    /// Datagrams replayed or older than the sender's last.
    pub replayed: u64,
    /// Datagrams dropped unread because too many came.
    pub overload: u64,
    /// Beacons that left after the lease had run out.
    pub late_beacons: u64,
    /// Times this member took the address over.
    pub takeovers: u64,
    /// Times it handed it over.
    pub handovers: u64,
    /// Times the fence had to be put back.
    pub fence_restored: u64,
    /// Times the address or its device had to be put back.
    pub address_restored: u64,
    /// Recorded inputs dropped because the disk was too slow or full.
    pub record_dropped: u64,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// A short code that scripts can rely on: `not-holder`, `nobody-to-take-it`, `invalid-configuration`,
    /// `restart-needed`, `failed` from the daemon; `unavailable`, `timeout`, `stopping` when it cannot answer;
    /// `no-site`, `no-dns` and `no-zone` for what is not here; `bad-query`, `not-found`, `wrong-method`, `too-long`, `too-many-readers` for the request itself.
    pub error: String,
    /// One sentence for people, with what to do.
    pub message: String,
}
