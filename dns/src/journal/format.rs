//! The octets of a journal: a header, then frames, each a checked list of items. Pure; decoding is total.
//!
//! A frame is `marker | checksum | length | sequence | payload`. The checksum is XXH3 over what follows it, keyed with the
//! file's own random salt: octets that were meant to look like a frame (in a TXT record, or from an older file on the
//! same blocks) are none. Numbers are big-endian.

use std::sync::Arc;

use twox_hash::xxhash3_64::Hasher;

use super::{Damage, Item, MAX_NOTE};
use crate::name::{Name, NameRef};
use crate::record::{Record, Rtype};
use crate::zone::{Change, Lease, Serial};

/// The octets of a frame before its payload.
pub(super) const FRAME_HEAD: usize = 24;
/// The payload of a frame at most: what recovery holds in memory at once.
pub(super) const MAX_PAYLOAD: usize = 64 << 20;
/// The longest header: the fixed part and the longest name.
pub(super) const MAX_HEADER: usize = HEADER_FIXED + crate::name::MAX_LEN + 8;

/// Has a line end that a transfer as text would change.
const MAGIC: &[u8; 8] = b"GHZONE\r\n";
const VERSION: u16 = 1;
/// Magic, version, salt.
const HEADER_FIXED: usize = 8 + 2 + 8;
const MARKER: [u8; 4] = [0xf5, b'G', b'H', 0xa7];

/// An item as it is in a file; a snapshot is made of the first three kinds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stored {
    /// A change that led to the snapshot: history.
    Past(Arc<Change>),
    /// A record of the snapshot.
    Record(Record),
    /// The snapshot ends here: its serial and how many records it has.
    Base(Serial, u64),
    /// What happened, and in a snapshot the leases and notes there are.
    Item(Item),
}

/// XXH3, 64 bits.
pub(super) fn hash(seed: u64, octets: &[u8]) -> u64 {
    Hasher::oneshot_with_seed(seed, octets)
}

/// The header of a new file.
pub(super) fn header(apex: NameRef<'_>, salt: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(MAX_HEADER);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&salt.to_be_bytes());
    out.extend_from_slice(apex.wire());
    let checksum = hash(0, &out);
    out.extend_from_slice(&checksum.to_be_bytes());
    out
}

/// Reads a header: the salt, and how long the header is.
///
/// # Errors
/// When it is none of this version for this zone.
pub(super) fn read_header(octets: &[u8], apex: NameRef<'_>) -> Result<(u64, usize), Damage> {
    let mut rest = Reader(octets);
    if rest.array::<8>().ok_or(Damage::NoJournal)? != *MAGIC {
        return Err(Damage::NoJournal);
    }
    let version = rest.u16().ok_or(Damage::NoJournal)?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let salt = rest.u64().ok_or(Damage::NoJournal)?;
    let name = rest.name().ok_or(Damage::NoJournal)?;
    let len = octets.len() - rest.0.len();
    if rest.u64() != Some(hash(0, &octets[..len])) {
        return Err(Damage::NoJournal);
    }
    if name.as_ref() != apex {
        return Err(Damage::OtherZone(name));
    }
    Ok((salt, len + 8))
}

/// A frame being written.
#[derive(Debug)]
pub(super) struct Frame(Vec<u8>);

impl Frame {
    pub(super) fn new() -> Self {
        Self(vec![0; FRAME_HEAD])
    }

    /// The octets so far.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn item(&mut self, item: &Item) {
        let out = &mut self.0;
        match item {
            Item::Change(change) => write_change(out, KIND_CHANGE, change),
            Item::Lease(Lease { name, rtype, rdata, expires }) => {
                out.push(KIND_LEASE);
                out.extend_from_slice(name.as_ref().wire());
                out.extend_from_slice(&rtype.0.to_be_bytes());
                out.extend_from_slice(&(rdata.len() as u16).to_be_bytes());
                out.extend_from_slice(rdata);
                // No lease ends in the first second of 1970.
                out.extend_from_slice(&expires.unwrap_or(0).to_be_bytes());
            }
            Item::Note { key, value } => {
                out.push(KIND_NOTE);
                let key = &key.as_bytes()[..key.len().min(255)];
                out.push(key.len() as u8);
                out.extend_from_slice(key);
                let len = value.as_ref().map_or(u32::MAX, |value| value.len() as u32);
                out.extend_from_slice(&len.to_be_bytes());
                out.extend_from_slice(value.as_deref().unwrap_or_default());
            }
        }
    }

    pub(super) fn past(&mut self, change: &Change) {
        write_change(&mut self.0, KIND_PAST, change);
    }

    pub(super) fn record(&mut self, record: &Record) {
        self.0.push(KIND_RECORD);
        write_record(&mut self.0, record);
    }

    pub(super) fn base(&mut self, serial: Serial, records: u64) {
        self.0.push(KIND_BASE);
        self.0.extend_from_slice(&serial.0.to_be_bytes());
        self.0.extend_from_slice(&records.to_be_bytes());
    }

    /// The payload of another frame.
    pub(super) fn payload(&mut self, payload: &[u8]) {
        self.0.extend_from_slice(payload);
    }

    /// The finished frame.
    pub(super) fn seal(mut self, salt: u64, sequence: u64) -> Vec<u8> {
        let len = (self.0.len() - FRAME_HEAD) as u32;
        self.0[..4].copy_from_slice(&MARKER);
        self.0[12..16].copy_from_slice(&len.to_be_bytes());
        self.0[16..24].copy_from_slice(&sequence.to_be_bytes());
        let checksum = hash(salt, &self.0[12..]);
        self.0[4..12].copy_from_slice(&checksum.to_be_bytes());
        self.0
    }
}

/// How long the payload of the frame that begins with `head` says it is; nothing when it is no frame.
pub(super) fn payload_len(head: &[u8; FRAME_HEAD]) -> Option<usize> {
    let len = u32::from_be_bytes([head[12], head[13], head[14], head[15]]) as usize;
    (head[..4] == MARKER && len <= MAX_PAYLOAD).then_some(len)
}

/// The sequence number of a whole frame; nothing when the checksum is wrong.
pub(super) fn check(frame: &[u8], salt: u64) -> Option<u64> {
    let (head, payload) = frame.split_first_chunk::<FRAME_HEAD>()?;
    if payload_len(head)? != payload.len() {
        return None;
    }
    let mut rest = Reader(&head[4..12]);
    if rest.u64()? != hash(salt, &frame[12..]) {
        return None;
    }
    Reader(&head[16..]).u64()
}

/// Where the next marker in `octets` is.
pub(super) fn find_marker(octets: &[u8]) -> Option<usize> {
    octets.windows(MARKER.len()).position(|window| window == MARKER)
}

/// The items of a payload; nothing when it cannot be read to its end.
pub(super) fn read_payload(payload: &[u8]) -> Option<Vec<Stored>> {
    let mut rest = Reader(payload);
    let mut items = Vec::new();
    while let Some(kind) = rest.u8() {
        items.push(match kind {
            KIND_CHANGE => Stored::Item(Item::Change(Arc::new(rest.change()?))),
            KIND_PAST => Stored::Past(Arc::new(rest.change()?)),
            KIND_RECORD => Stored::Record(rest.record()?),
            KIND_BASE => Stored::Base(Serial(rest.u32()?), rest.u64()?),
            KIND_LEASE => {
                let (name, rtype, len) = (rest.name()?, Rtype(rest.u16()?), rest.u16()?);
                let rdata = rest.take(usize::from(len))?.into();
                let expires = Some(rest.u64()?).filter(|expires| *expires != 0);
                Stored::Item(Item::Lease(Lease { name, rtype, rdata, expires }))
            }
            KIND_NOTE => {
                let len = rest.u8()?;
                let key = String::from_utf8(rest.take(usize::from(len))?.to_vec()).ok()?;
                let value = match rest.u32()? {
                    u32::MAX => None,
                    len if len as usize <= MAX_NOTE => Some(rest.take(len as usize)?.into()),
                    _ => return None,
                };
                Stored::Item(Item::Note { key, value })
            }
            _ => return None,
        });
    }
    Some(items)
}

/// About the octets that a change takes in a file.
pub(super) fn size_of(change: &Change) -> usize {
    let each = |record: &Record| record.name.as_ref().wire().len() + 8 + record.rdata.len();
    9 + change.removed.iter().chain(&change.added).map(each).sum::<usize>()
}

const KIND_CHANGE: u8 = 1;
const KIND_LEASE: u8 = 2;
const KIND_NOTE: u8 = 3;
const KIND_PAST: u8 = 16;
const KIND_RECORD: u8 = 17;
const KIND_BASE: u8 = 18;

fn write_change(out: &mut Vec<u8>, kind: u8, change: &Change) {
    out.push(kind);
    for records in [&change.removed, &change.added] {
        out.extend_from_slice(&(records.len() as u32).to_be_bytes());
        for record in records {
            write_record(out, record);
        }
    }
}

fn write_record(out: &mut Vec<u8>, record: &Record) {
    out.extend_from_slice(record.name.as_ref().wire());
    out.extend_from_slice(&record.rtype.0.to_be_bytes());
    out.extend_from_slice(&record.ttl.to_be_bytes());
    out.extend_from_slice(&(record.rdata.len() as u16).to_be_bytes());
    out.extend_from_slice(&record.rdata);
}

/// Octets that are read from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn name(&mut self) -> Option<Name> {
        let (name, rest) = NameRef::read(self.0).ok()?;
        self.0 = rest;
        Some(name.to_owned())
    }

    fn record(&mut self) -> Option<Record> {
        let (name, rtype, ttl, len) = (self.name()?, Rtype(self.u16()?), self.u32()?, self.u16()?);
        Some(Record { name, rtype, ttl, rdata: self.take(usize::from(len))?.into() })
    }

    fn change(&mut self) -> Option<Change> {
        Some(Change { removed: self.records()?, added: self.records()? })
    }

    fn records(&mut self) -> Option<Vec<Record>> {
        // Grows with what is really there: the count is not believed.
        (0..self.u32()?).map(|_| self.record()).collect()
    }
}
