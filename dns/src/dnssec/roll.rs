//! Which keys a zone has, and when the next takes over (RFC 6781, 4.1; RFC 7583).
//!
//! ```text
//! zone-signing:  Published --caches know it, the old one is old--> Active --next one active--> Retired --> gone
//! key-signing:   Published --caches know it--> Ready --the parent has its digest--> Active --next one active--> Retired --> gone
//! ```
//! The first key of each role is active at once: nobody has cached the zone without it. A zone-signing key is
//! published before it signs; a key-signing key signs the keys in every stage, so that the digest of any of them proves
//! them, and the next one waits in Ready until somebody says that the parent zone has it.

use std::collections::BTreeSet;

use super::{KEY_TTL, KeyError, Role, Stage, ZoneKey};
use crate::record::Rtype;
use crate::settings::{Dnssec, SigningAlgorithm};

/// How long a change of the zone may take to reach every secondary, in seconds.
pub const PROPAGATION_SECS: u64 = 3600;
/// How long a key is in the zone before every cache knows it, in seconds.
const PUBLISHED: u64 = KEY_TTL as u64 + PROPAGATION_SECS;
/// How long caches may keep the parent's digest of a retired key, in seconds: the usual TTL there is a day at most.
const PARENT_TTL: u64 = 86_400;

/// How often the stage of a retired key is written down again while there are signatures by it, in seconds: much less than
/// [`PROPAGATION_SECS`], and seldom enough for signatures to be renewed in between.
const NOTE_EVERY: u64 = 300;

/// The keys of a zone, in the order they were made.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<ZoneKey>,
    algorithm: SigningAlgorithm,
    roll_after: Option<u64>,
}

/// What happens to a set of keys.
#[derive(Debug)]
pub enum Input {
    /// Time has passed.
    Tick(Facts),
    /// The secret of a key that was asked for, as PKCS#8.
    Made(Role, Vec<u8>),
    /// The parent zone has the digest of the key with this tag.
    DsSeen(u16),
    /// Somebody wants a new key-signing key.
    RollKeySigning,
}

/// What the zone says about its signatures.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The longest TTL in the zone, in seconds.
    pub max_ttl: u32,
    /// The tags of keys that any signature in the zone is by.
    pub signed_by: BTreeSet<u16>,
}

/// What has to be done for a set of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make a secret, and answer with [`Input::Made`].
    Make(Role),
    /// Keep the keys as they are now, then sign the zone with them.
    Changed,
}

impl KeySet {
    /// The keys that were kept, none for a zone that was never signed. Keys of another algorithm than the settings' stay
    /// in use: to change the algorithm, a zone goes unsigned in between.
    pub fn new(settings: &Dnssec, keys: Vec<ZoneKey>) -> Self {
        let algorithm = keys.first().map_or(settings.algorithm, ZoneKey::algorithm);
        Self { keys, algorithm, roll_after: settings.roll_after.map(|age| age.as_secs()) }
    }

    /// The algorithm of all keys.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// Every key in the zone.
    pub fn iter(&self) -> impl Iterator<Item = &ZoneKey> {
        self.keys.iter()
    }

    /// The keys by themselves.
    pub fn into_keys(self) -> Vec<ZoneKey> {
        self.keys
    }

    /// The keys that sign records of this type now.
    pub fn signing(&self, rtype: Rtype) -> impl Iterator<Item = &ZoneKey> {
        let of_keys = matches!(rtype, Rtype::DNSKEY | Rtype::CDS | Rtype::CDNSKEY);
        self.keys.iter().filter(move |key| match (of_keys, key.role()) {
            (true, Role::KeySigning) => true,
            (false, Role::ZoneSigning) => matches!(key.stage(), Stage::Active(_)),
            _ => false,
        })
    }

    /// The key-signing keys that the parent zone should have the digest of (RFC 7344).
    pub fn announced(&self) -> Vec<&ZoneKey> {
        let of = |wanted: fn(Stage) -> bool| {
            let keys = self.keys.iter().filter(move |key| key.role() == Role::KeySigning && wanted(key.stage()));
            keys.collect::<Vec<_>>()
        };
        let ready = of(|stage| matches!(stage, Stage::Ready(_)));
        if ready.is_empty() { of(|stage| matches!(stage, Stage::Active(_))) } else { ready }
    }

    /// Takes what happened, and appends what has to be done, in order.
    ///
    /// # Errors
    /// When a secret that was made is no key; nothing has changed then.
    pub fn step(&mut self, now_secs: u64, input: Input, out: &mut Vec<Effect>) -> Result<(), KeyError> {
        match input {
            Input::Tick(facts) => self.tick(now_secs, &facts, out),
            Input::Made(role, secret) => {
                let is_first = !self.keys.iter().any(|key| key.role() == role);
                let stage = if is_first { Stage::Active(now_secs) } else { Stage::Published(now_secs) };
                let key = ZoneKey::new(role, self.algorithm, secret, stage)?;
                // Signatures and the parent name keys by their tags, which must tell ours apart.
                let is_taken = self.keys.iter().any(|other| other.tag() == key.tag());
                out.push(if is_taken { Effect::Make(role) } else { Effect::Changed });
                self.keys.extend(Some(key).filter(|_| !is_taken));
            }
            Input::DsSeen(tag) => {
                let seen = |key: &ZoneKey| key.tag() == tag && matches!(key.stage(), Stage::Ready(_));
                if let Some(next) = self.keys.iter().position(seen) {
                    self.take_over(next, now_secs);
                    out.push(Effect::Changed);
                }
            }
            Input::RollKeySigning => {
                let waits = |key: &ZoneKey| matches!(key.stage(), Stage::Published(_) | Stage::Ready(_));
                if !self.keys.iter().any(|key| key.role() == Role::KeySigning && waits(key)) {
                    out.push(Effect::Make(Role::KeySigning));
                }
            }
        }
        Ok(())
    }

    /// When a key goes on by time alone, in seconds since 1970, at the earliest: a retired one waits longer while there are
    /// signatures by it. Nothing when no key does.
    pub fn deadline(&self) -> Option<u64> {
        let due = self.keys.iter().filter_map(|key| match (key.role(), key.stage()) {
            (Role::KeySigning, Stage::Published(since)) => Some(since + PUBLISHED),
            (Role::ZoneSigning, Stage::Published(since)) => self.rolls_at().map(|at| at.max(since + PUBLISHED)),
            (Role::ZoneSigning, Stage::Active(_)) => self.next_wanted_at(),
            (Role::KeySigning, Stage::Retired(since)) => Some(since + PARENT_TTL + PROPAGATION_SECS),
            (Role::ZoneSigning, Stage::Retired(since)) => Some(since + PROPAGATION_SECS),
            (Role::KeySigning, Stage::Active(_)) | (_, Stage::Ready(_)) => None,
        });
        due.min()
    }

    fn tick(&mut self, now: u64, facts: &Facts, out: &mut Vec<Effect>) {
        for role in [Role::KeySigning, Role::ZoneSigning] {
            if !self.keys.iter().any(|key| key.role() == role) {
                out.push(Effect::Make(role));
            }
        }
        let is_due = |at: Option<u64>| at.is_some_and(|at| now >= at);
        let mut changed = false;
        for at in 0..self.keys.len() {
            let key = &self.keys[at];
            match (key.role(), key.stage()) {
                (Role::KeySigning, Stage::Published(since)) if now >= since + PUBLISHED => {
                    self.keys[at].set_stage(Stage::Ready(now));
                    changed = true;
                }
                (Role::ZoneSigning, Stage::Published(since)) if now >= since + PUBLISHED && is_due(self.rolls_at()) => {
                    self.take_over(at, now);
                    changed = true;
                }
                // Caches may have what it signed until now for as long as if it had retired now.
                (Role::ZoneSigning, Stage::Retired(since))
                    if now >= since + NOTE_EVERY && facts.signed_by.contains(&key.tag()) =>
                {
                    self.keys[at].set_stage(Stage::Retired(now));
                    changed = true;
                }
                (Role::ZoneSigning, Stage::Active(_)) if is_due(self.next_wanted_at()) => {
                    out.push(Effect::Make(Role::ZoneSigning));
                }
                _ => {}
            }
        }
        let before = self.keys.len();
        self.keys.retain(|key| !is_done(key, now, facts));
        if changed || self.keys.len() != before {
            out.push(Effect::Changed);
        }
    }

    /// When the active zone-signing key has signed long enough.
    fn rolls_at(&self) -> Option<u64> {
        let since = self.keys.iter().find_map(|key| match (key.role(), key.stage()) {
            (Role::ZoneSigning, Stage::Active(since)) => Some(since),
            _ => None,
        })?;
        Some(since.saturating_add(self.roll_after?))
    }

    /// When the zone-signing key after it is to be made, so that every cache knows it in time; nothing when there is one.
    fn next_wanted_at(&self) -> Option<u64> {
        let is_next = |key: &ZoneKey| key.role() == Role::ZoneSigning && matches!(key.stage(), Stage::Published(_));
        if self.keys.iter().any(is_next) {
            return None;
        }
        self.rolls_at().map(|at| at.saturating_sub(PUBLISHED))
    }

    /// The key at `next` becomes active, the active one of its role retires.
    fn take_over(&mut self, next: usize, now: u64) {
        let role = self.keys[next].role();
        for key in &mut self.keys {
            if key.role() == role && matches!(key.stage(), Stage::Active(_)) {
                key.set_stage(Stage::Retired(now));
            }
        }
        self.keys[next].set_stage(Stage::Active(now));
    }
}

/// Whether nobody can need a retired key any more.
fn is_done(key: &ZoneKey, now: u64, facts: &Facts) -> bool {
    let Stage::Retired(since) = key.stage() else { return false };
    match key.role() {
        Role::KeySigning => now >= since + PARENT_TTL + PROPAGATION_SECS,
        Role::ZoneSigning => {
            now >= since + u64::from(facts.max_ttl) + PROPAGATION_SECS && !facts.signed_by.contains(&key.tag())
        }
    }
}
