//! Records and sets of them.
//!
//! RDATA is kept in wire form with its names uncompressed. A [`RecordSet`] is stored the way it is answered: one record
//! after the other, each with [`OWNER`], a pointer to the question's name, where the owner's name would be. An answer for a
//! name that was asked is then one copy of octets.

mod rtype;

use std::fmt;
use std::net::IpAddr;

pub use rtype::{Rtype, UnknownType};

use crate::name::Name;

/// A pointer to octet 12 of the message, where the question's name is (RFC 1035, 4.1.4).
pub const OWNER: [u8; 2] = [0xc0, 12];
/// The class IN, the only one that is served.
pub const IN: u16 = 1;
/// The octets of a stored record before its RDATA: owner, type, class, TTL, length.
pub const FIXED_LEN: usize = 12;
/// The most octets that the records of one set take: as many as a message has.
pub const MAX_SET_LEN: usize = u16::MAX as usize;
/// The greatest TTL, in seconds (RFC 2181, 8).
pub const MAX_TTL: u32 = i32::MAX as u32;

/// One record of class IN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// Whose it is.
    pub name: Name,
    /// Its type.
    pub rtype: Rtype,
    /// Seconds a cache may keep it, at most [`MAX_TTL`].
    pub ttl: u32,
    /// Its data in wire form, names uncompressed; at most 65,535 octets.
    pub rdata: Box<[u8]>,
}

impl Record {
    /// The A or AAAA record with this address.
    pub fn of_address(name: Name, ttl: u32, address: IpAddr) -> Self {
        let (rtype, rdata) = address_data(address);
        Self { name, rtype, ttl, rdata }
    }
}

/// The type and the data of the record with this address (RFC 1035, 3.4.1; RFC 3596, 2).
pub fn address_data(address: IpAddr) -> (Rtype, Box<[u8]>) {
    match address {
        IpAddr::V4(v4) => (Rtype::A, v4.octets().into()),
        IpAddr::V6(v6) => (Rtype::AAAA, v6.octets().into()),
    }
}

/// All records of one name and type: one TTL, no data twice (RFC 2181, 5), ready to be answered.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordSet {
    rtype: Rtype,
    ttl: u32,
    count: u16,
    records: Box<[u8]>,
}

impl RecordSet {
    /// The set of these RDATA, in canonical order (RFC 4034, 6.3), each once. Nothing when there is none, or when they
    /// are more than a message can carry.
    pub fn new(rtype: Rtype, ttl: u32, rdata: &[&[u8]]) -> Option<Self> {
        let mut sorted = rdata.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let count = u16::try_from(sorted.len()).ok().filter(|count| *count > 0)?;
        let len: usize = sorted.iter().map(|rdata| FIXED_LEN + rdata.len()).sum();
        if len > MAX_SET_LEN {
            return None;
        }
        let mut records = Vec::with_capacity(len);
        for rdata in sorted {
            records.extend_from_slice(&OWNER);
            records.extend_from_slice(&rtype.0.to_be_bytes());
            records.extend_from_slice(&IN.to_be_bytes());
            records.extend_from_slice(&ttl.to_be_bytes());
            records.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
            records.extend_from_slice(rdata);
        }
        Some(Self { rtype, ttl, count, records: records.into() })
    }

    /// The type of all of them.
    pub fn rtype(&self) -> Rtype {
        self.rtype
    }

    /// The TTL of all of them, in seconds.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// How many there are; at least one.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The records as they are answered: `count` times owner pointer, type, class, TTL, length, RDATA.
    pub fn answer(&self) -> &[u8] {
        &self.records
    }

    /// The RDATA of each, in canonical order.
    pub fn rdata(&self) -> RdataIter<'_> {
        RdataIter(&self.records)
    }

    /// The first RDATA: all there is for types that have one only.
    pub fn first(&self) -> &[u8] {
        self.rdata().next().unwrap_or_default()
    }

    /// Whether the set has this RDATA.
    pub fn contains(&self, rdata: &[u8]) -> bool {
        self.rdata().any(|mine| mine == rdata)
    }

    /// The same with `ttl`.
    pub fn with_ttl(&self, ttl: u32) -> Self {
        let mut changed = Self { ttl, ..self.clone() };
        let mut at = 0;
        while at < changed.records.len() {
            changed.records[at + 6..at + 10].copy_from_slice(&ttl.to_be_bytes());
            at += FIXED_LEN + usize::from(u16::from_be_bytes([changed.records[at + 10], changed.records[at + 11]]));
        }
        changed
    }

    /// The records, each with `owner`.
    pub fn records<'a>(&'a self, owner: &'a Name) -> impl Iterator<Item = Record> + 'a {
        self.rdata().map(move |rdata| Record {
            name: owner.clone(),
            rtype: self.rtype,
            ttl: self.ttl,
            rdata: rdata.into(),
        })
    }
}

impl fmt::Debug for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.ttl, self.rtype)?;
        f.debug_list().entries(self.rdata()).finish()
    }
}

/// The RDATA of a stored set.
#[derive(Clone, Debug)]
pub struct RdataIter<'a>(&'a [u8]);

impl<'a> Iterator for RdataIter<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (fixed, rest) = self.0.split_first_chunk::<FIXED_LEN>()?;
        let (rdata, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([fixed[10], fixed[11]])))?;
        self.0 = rest;
        Some(rdata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_sorted_and_has_each_once() {
        let set = RecordSet::new(Rtype::A, 60, &[&[10, 0, 0, 2], &[10, 0, 0, 1], &[10, 0, 0, 2]]).expect("two records");
        assert_eq!(set.count(), 2);
        assert_eq!(set.rdata().collect::<Vec<_>>(), [[10, 0, 0, 1], [10, 0, 0, 2]]);
        assert_eq!(set.answer()[..16], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
        let other = set.with_ttl(5);
        assert_eq!(other.ttl(), 5);
        assert_eq!(other.answer()[16..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 2]);
    }

    #[test]
    fn a_set_has_records_and_fits_a_message() {
        assert_eq!(RecordSet::new(Rtype::A, 60, &[]), None);
        let large = vec![0; 40_000];
        assert!(RecordSet::new(Rtype::TXT, 60, &[&large]).is_some());
        assert_eq!(RecordSet::new(Rtype::TXT, 60, &[&large, &large[1..]]), None);
    }
}
