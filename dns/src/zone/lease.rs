//! Records that leave by themselves: until when each may stay (RFC 9664).
//!
//! A lease belongs to one record, not to its set: two machines that keep an address each under one name keep it each for
//! itself. **Invariant:** both orders hold the same leases; a record without a lease stays for good.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Change;
use crate::name::Name;
use crate::record::{Record, Rtype};

/// Until when a record stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose record it is.
    pub name: Name,
    /// The record's type.
    pub rtype: Rtype,
    /// The record's data, as it is in the zone.
    pub rdata: Box<[u8]>,
    /// Seconds since 1970; none for good.
    pub expires: Option<u64>,
}

/// All leases of a zone.
#[derive(Clone, Debug, Default)]
pub struct Leases {
    by_record: BTreeMap<Arc<Key>, u64>,
    by_time: BTreeSet<(u64, Arc<Key>)>,
}

/// What tells one record from another.
type Key = (Name, Rtype, Box<[u8]>);

impl Leases {
    /// Notes what a lease says: from now on the record stays until then, or for good. Gives back until when it stayed.
    pub fn set(&mut self, lease: Lease) -> Option<u64> {
        let Lease { name, rtype, rdata, expires } = lease;
        let key = Arc::new((name, rtype, rdata));
        let before = self.drop_key(&key);
        if let Some(expires) = expires {
            self.by_time.insert((expires, key.clone()));
            self.by_record.insert(key, expires);
        }
        before
    }

    /// Drops the leases of the records that a change has removed, and gives them back; a record that came back with
    /// another TTL keeps its lease.
    pub fn follow(&mut self, change: &Change) -> Vec<Lease> {
        if self.by_record.is_empty() {
            return Vec::new();
        }
        let key = |record: &Record| (record.name.clone(), record.rtype, record.rdata.clone());
        let added: BTreeSet<Key> = change.added.iter().map(key).collect();
        let gone = change.removed.iter().map(key).filter(|key| !added.contains(key)).filter_map(|key| {
            let expires = Some(self.drop_key(&key)?);
            let (name, rtype, rdata) = key;
            Some(Lease { name, rtype, rdata, expires })
        });
        gone.collect()
    }

    /// When a record's lease ends, in seconds since 1970; nothing when it has none.
    pub fn of(&self, name: &Name, rtype: Rtype, rdata: &[u8]) -> Option<u64> {
        if self.by_record.is_empty() {
            return None;
        }
        self.by_record.get(&(name.clone(), rtype, rdata.into())).copied()
    }

    /// When the first lease ends, in seconds since 1970.
    pub fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(expires, _)| *expires)
    }

    /// The leases that have ended, the oldest first.
    pub fn ended(&self, now_secs: u64) -> impl Iterator<Item = Lease> + '_ {
        self.by_time.iter().take_while(move |(expires, _)| *expires <= now_secs).map(lease)
    }

    /// All of them, the one that ends first first.
    pub fn iter(&self) -> impl Iterator<Item = Lease> + '_ {
        self.by_time.iter().map(lease)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_record.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_record.is_empty()
    }

    fn drop_key(&mut self, key: &Key) -> Option<u64> {
        let (key, expires) = self.by_record.remove_entry(key)?;
        self.by_time.remove(&(expires, key));
        Some(expires)
    }
}

fn lease((expires, key): &(u64, Arc<Key>)) -> Lease {
    let (name, rtype, rdata) = &**key;
    Lease { name: name.clone(), rtype: *rtype, rdata: rdata.clone(), expires: Some(*expires) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(last: u8, ttl: u32) -> Record {
        Record { name: "x.test".parse().expect("a name"), rtype: Rtype::A, ttl, rdata: Box::from([10, 0, 0, last]) }
    }

    fn until(last: u8, expires: Option<u64>) -> Lease {
        let Record { name, rtype, rdata, .. } = record(last, 0);
        Lease { name, rtype, rdata, expires }
    }

    #[test]
    fn the_last_word_counts_and_the_first_to_end_is_first() {
        let mut leases = Leases::default();
        for (last, expires) in [(1, 30), (2, 10), (3, 20), (2, 40)] {
            leases.set(until(last, Some(expires)));
        }
        assert_eq!((leases.next(), leases.len()), (Some(20), 3));
        assert_eq!(leases.ended(30).collect::<Vec<_>>(), [until(3, Some(20)), until(1, Some(30))]);
        assert_eq!(leases.ended(19).count(), 0);
        leases.set(until(3, None));
        let of = |last| leases.of(&record(last, 5).name, Rtype::A, &[10, 0, 0, last]);
        assert_eq!((leases.next(), of(3), of(1)), (Some(30), None, Some(30)));
        assert_eq!(leases.iter().count(), 2);
    }

    #[test]
    fn a_lease_goes_with_its_record() {
        let mut leases = Leases::default();
        leases.set(until(1, Some(10)));
        leases.set(until(2, Some(10)));
        leases.follow(&Change { removed: vec![record(1, 60), record(2, 60)], added: vec![record(2, 5)] });
        assert_eq!(leases.iter().collect::<Vec<_>>(), [until(2, Some(10))]);
    }
}
