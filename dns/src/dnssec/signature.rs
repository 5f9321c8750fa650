//! One signature: what is signed, and how long it is good (RFC 4034, 3.1).

use super::{KeyError, ZoneKey};
use crate::name::NameRef;
use crate::rdata;
use crate::record::{IN, RecordSet};

/// How long before now a signature begins, in seconds, for clocks that are late.
const SKEW: u64 = 3600;
/// How long a signature is good at least, in seconds.
const VALID: u64 = 14 * DAY;
/// Signatures end at times spread over this many seconds, so that they are not all renewed at once.
const SPREAD: u64 = 2 * DAY;
/// A signature with fewer seconds left is renewed: more than any TTL and than a weekend with a broken server.
const RENEW: u64 = 6 * DAY;
const DAY: u64 = 86_400;

/// Where the fields are in the data of an RRSIG record.
const ALGORITHM: usize = 2;
const ORIGINAL_TTL: usize = 4;
const EXPIRATION: usize = 8;
const INCEPTION: usize = 12;
const TAG: usize = 16;

/// The data of an RRSIG record for `set` of `owner`.
pub(super) fn make(
    key: &ZoneKey,
    owner: NameRef<'_>,
    set: &RecordSet,
    apex: NameRef<'_>,
    now_secs: u64,
) -> Result<Box<[u8]>, KeyError> {
    let ends = now_secs + VALID + spread(owner);
    let labels = owner.label_count() - usize::from(owner.is_wildcard());
    let mut data = Vec::with_capacity(200);
    data.extend(set.rtype().0.to_be_bytes());
    data.extend([key.algorithm_number(), labels as u8]);
    data.extend(set.ttl().to_be_bytes());
    // Both times are of 32 bits and compared on a circle (RFC 4034, 3.1.5).
    data.extend((ends as u32).to_be_bytes());
    data.extend((now_secs.saturating_sub(SKEW) as u32).to_be_bytes());
    data.extend(key.tag().to_be_bytes());
    data.extend(apex.wire().to_ascii_lowercase());
    let signature = key.sign(&to_be_signed(&data, owner, set))?;
    data.extend(signature);
    Ok(data.into())
}

/// Whether a signature is by this key, for a set with this TTL, is good and will be for a while. One made while the clock
/// was ahead is not good yet.
pub(super) fn is_good(rdata: &[u8], key: &ZoneKey, ttl: u32, now_secs: u64) -> bool {
    let field = |at: usize| rdata.get(at..at + 4).and_then(|octets| octets.try_into().ok()).map(u32::from_be_bytes);
    let until = |at: usize| field(at).map(|time| i64::from(time.wrapping_sub(now_secs as u32).cast_signed()));
    rdata.get(ALGORITHM) == Some(&key.algorithm_number())
        && tag(rdata) == Some(key.tag())
        && field(ORIGINAL_TTL) == Some(ttl)
        && until(INCEPTION).is_some_and(|wait| wait <= 0)
        && until(EXPIRATION).is_some_and(|left| left >= RENEW as i64)
}

/// The tag of the key that a signature is by.
pub(super) fn tag(rdata: &[u8]) -> Option<u16> {
    rdata.get(TAG..TAG + 2).and_then(|octets| octets.try_into().ok()).map(u16::from_be_bytes)
}

/// RFC 4034, 3.1.8.1: the signature's own data, then the records in canonical form and order.
fn to_be_signed(data: &[u8], owner: NameRef<'_>, set: &RecordSet) -> Vec<u8> {
    let mut sorted: Vec<_> = set.rdata().map(|rdata| rdata::canonical(set.rtype(), rdata)).collect();
    sorted.sort_unstable();
    let owner = owner.wire().to_ascii_lowercase();
    let mut octets = data.to_vec();
    for rdata in sorted {
        octets.extend_from_slice(&owner);
        octets.extend(set.rtype().0.to_be_bytes());
        octets.extend(IN.to_be_bytes());
        octets.extend(set.ttl().to_be_bytes());
        octets.extend((rdata.len() as u16).to_be_bytes());
        octets.extend_from_slice(&rdata);
    }
    octets
}

/// The same for one name each time, and different for others.
fn spread(owner: NameRef<'_>) -> u64 {
    let sum = owner.wire().iter().fold(0u64, |sum, octet| sum.wrapping_mul(31).wrapping_add(u64::from(octet | 0x20)));
    sum % SPREAD
}
