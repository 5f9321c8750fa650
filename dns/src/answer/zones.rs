//! All zones that are served.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::name::{MAX_LEN, Name, NameRef};
use crate::record::{RecordSet, Rtype};
use crate::zone::nsec3::Nsec3Params;
use crate::zone::{Soa, Zone};

/// The zones by apex. Immutable in use: a change is made on a copy, which shares what did not change.
#[derive(Clone, Default)]
pub struct Zones {
    by_apex: HashTable<Arc<Served>>,
    hasher: RandomState,
    /// The most labels that an apex has: longer names are not even looked for.
    deepest: usize,
}

/// A zone, and what is worked out once for all its answers.
#[derive(Debug)]
pub struct Served {
    /// The zone.
    pub zone: Zone,
    /// Whether it is a secondary's that nobody has confirmed for too long: it is not answered from (RFC 1035, 4.3.5).
    pub expired: bool,
    fading: Vec<Fading>,
    pub(super) negative: Option<Negative>,
    pub(super) has_dname_at_apex: bool,
    pub(super) hashing: Option<Nsec3Params>,
}

/// A name whose addresses are only lent: those of an alias's target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fading {
    /// The name.
    pub name: Name,
    /// Seconds since 1970 when the addresses were to be asked for again.
    pub until: u64,
}

/// The SOA record as it is in negative answers, where its TTL says how long they may be kept (RFC 2308, 3), and its
/// signatures.
#[derive(Debug)]
pub(super) struct Negative {
    pub(super) set: RecordSet,
    pub(super) signatures: Option<RecordSet>,
}

/// The TTL of addresses that should have been renewed by now and could not be (RFC 8767, 4), in seconds.
const STALE_TTL: u32 = 30;

impl Zones {
    /// The closest zone that the name is in.
    pub fn get(&self, name: NameRef<'_>) -> Option<&Arc<Served>> {
        let mut left = name.label_count();
        let mut name = name;
        loop {
            if left <= self.deepest
                && let Some(served) = self.at(name)
            {
                return Some(served);
            }
            name = name.parent()?;
            left = left.saturating_sub(1);
        }
    }

    /// The zone that answers a question: for DS records of an apex that is the zone above it, if it is here
    /// (RFC 4035, 3.1.4.1).
    pub fn for_question(&self, name: NameRef<'_>, rtype: Rtype) -> Option<&Arc<Served>> {
        let closest = self.get(name)?;
        if rtype != Rtype::DS || closest.zone.apex().as_ref() != name {
            return Some(closest);
        }
        name.parent().and_then(|above| self.get(above)).or(Some(closest))
    }

    /// The zone with this apex.
    pub fn at(&self, apex: NameRef<'_>) -> Option<&Arc<Served>> {
        self.by_apex.find(self.hash(apex), |served| served.zone.apex().as_ref() == apex)
    }

    /// The zones, sorted by apex.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Served>> {
        let mut all: Vec<_> = self.by_apex.iter().collect();
        all.sort_unstable_by(|a, b| a.zone.apex().cmp(b.zone.apex()));
        all.into_iter()
    }

    /// Puts a zone in the place of the one with its apex, if any.
    pub fn put(&mut self, served: Served) {
        let hash = self.hash(served.zone.apex().as_ref());
        self.deepest = self.deepest.max(served.zone.apex().as_ref().label_count());
        let served = Arc::new(served);
        let Self { by_apex, hasher, .. } = self;
        match by_apex.find_mut(hash, |other| other.zone.apex() == served.zone.apex()) {
            Some(place) => *place = served,
            None => {
                by_apex.insert_unique(hash, served, |served| hash_of(hasher, served.zone.apex().as_ref()));
            }
        }
    }

    /// Takes the zone with this apex out.
    pub fn remove(&mut self, apex: NameRef<'_>) {
        let hash = self.hash(apex);
        if let Ok(entry) = self.by_apex.find_entry(hash, |served| served.zone.apex().as_ref() == apex) {
            entry.remove();
        }
    }

    fn hash(&self, name: NameRef<'_>) -> u64 {
        hash_of(&self.hasher, name)
    }
}

impl FromIterator<Served> for Zones {
    fn from_iter<I: IntoIterator<Item = Served>>(all: I) -> Self {
        let mut zones = Self::default();
        all.into_iter().for_each(|served| zones.put(served));
        zones
    }
}

impl std::fmt::Debug for Zones {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|served| &served.zone)).finish()
    }
}

impl Served {
    /// A zone that is answered from.
    pub fn new(zone: Zone) -> Self {
        let top = zone.top();
        let negative = top.and_then(|top| top.entry(Rtype::SOA)).map(|entry| {
            let ttl = Soa::read(entry.set.first()).map_or(0, |soa| soa.minimum).min(entry.set.ttl());
            let signatures = entry.signatures.as_ref().map(|signatures| signatures.with_ttl(ttl));
            Negative { set: entry.set.with_ttl(ttl), signatures }
        });
        let has_dname_at_apex = top.is_some_and(|top| top.set(Rtype::DNAME).is_some());
        let hashing = top.and_then(|top| top.set(Rtype::NSEC3PARAM));
        let hashing = hashing.and_then(|set| set.rdata().find_map(Nsec3Params::read));
        Self { zone, expired: false, fading: Vec::new(), negative, has_dname_at_apex, hashing }
    }

    /// The same, with names whose addresses are lent; no name twice.
    #[must_use]
    pub fn with_fading(mut self, mut fading: Vec<Fading>) -> Self {
        fading.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.fading = fading;
        self
    }

    /// The TTL that records of `name` are answered with at most, if theirs fades.
    pub(super) fn fades(&self, name: NameRef<'_>, rtype: Rtype, now: u64) -> Option<u32> {
        if self.fading.is_empty() || !matches!(rtype, Rtype::A | Rtype::AAAA) {
            return None;
        }
        let at = self.fading.binary_search_by(|fading| fading.name.as_ref().cmp(&name)).ok()?;
        let left = self.fading[at].until.saturating_sub(now);
        Some(if left == 0 { STALE_TTL } else { u32::try_from(left).unwrap_or(u32::MAX) })
    }
}

fn hash_of(hasher: &RandomState, name: NameRef<'_>) -> u64 {
    hasher.hash_one(name.lowered(&mut [0; MAX_LEN]))
}
