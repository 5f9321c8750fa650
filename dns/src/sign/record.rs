//! The TSIG record (RFC 8945, 4.2).

use crate::name::{MAX_LEN, Name, NameRef};
use crate::record::Rtype;
use crate::settings::{Algorithm, Key};
use crate::wire::{CLASS_ANY, HEADER_LEN, RawRecord, Rcode};

/// A TSIG record that was received.
#[derive(Debug)]
pub(super) struct Tsig<'a> {
    /// The name of the key.
    pub name: Name,
    /// The name of the algorithm.
    pub algorithm: NameRef<'a>,
    pub timers: Timers,
    pub mac: &'a [u8],
    /// The id that the message was signed with; a forwarder may have given it another.
    pub original_id: u16,
    pub error: Rcode,
    pub other: &'a [u8],
    /// Where the record starts.
    pub start: usize,
}

/// When a message was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timers {
    /// Seconds since 1970, 48 bits.
    pub time: u64,
    /// Seconds that the receiver's clock may be off.
    pub fudge: u16,
}

/// What of a TSIG record is signed.
pub(super) struct Variables<'a> {
    pub name: NameRef<'a>,
    pub algorithm: NameRef<'a>,
    pub timers: Timers,
    pub error: Rcode,
    pub other: &'a [u8],
}

impl<'a> Tsig<'a> {
    /// Nothing when the record is malformed.
    pub fn read(record: &RawRecord<'a>) -> Option<Self> {
        if record.rtype != Rtype::TSIG || record.class != CLASS_ANY || record.ttl != 0 {
            return None;
        }
        let name = record.name().ok()?;
        let (algorithm, rest) = NameRef::read(record.raw_rdata()).ok()?;
        let (&[t0, t1, t2, t3, t4, t5, f0, f1], rest) = rest.split_first_chunk::<8>()?;
        let timers =
            Timers { time: u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5]), fudge: u16::from_be_bytes([f0, f1]) };
        let (mac, rest) = counted(rest)?;
        let (&[i0, i1, e0, e1], rest) = rest.split_first_chunk::<4>()?;
        let (other, rest) = counted(rest)?;
        let (original_id, error) = (u16::from_be_bytes([i0, i1]), Rcode(u16::from_be_bytes([e0, e1])));
        rest.is_empty().then_some(Self {
            name,
            algorithm,
            timers,
            mac,
            original_id,
            error,
            other,
            start: record.start(),
        })
    }

    /// The algorithm, when it is one that we know.
    pub fn known_algorithm(&self) -> Option<Algorithm> {
        Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm_name(*algorithm).is_some_and(|name| name == self.algorithm))
    }

    pub fn is_of(&self, key: &Key) -> bool {
        self.name == key.name && self.known_algorithm() == Some(key.algorithm)
    }

    pub fn variables(&self) -> Variables<'_> {
        Variables {
            name: self.name.as_ref(),
            algorithm: self.algorithm,
            timers: self.timers,
            error: self.error,
            other: self.other,
        }
    }
}

impl Timers {
    pub fn octets(self) -> [u8; 8] {
        let [_, _, t0, t1, t2, t3, t4, t5] = self.time.to_be_bytes();
        let [f0, f1] = self.fudge.to_be_bytes();
        [t0, t1, t2, t3, t4, t5, f0, f1]
    }

    /// Whether a clock that shows `now` may have been read (RFC 8945, 5.2.3).
    pub fn allow(self, now: u64) -> bool {
        self.time.abs_diff(now) <= u64::from(self.fudge)
    }
}

impl Variables<'_> {
    /// Gives out the octets that are signed, in their order: names are in lower case (RFC 8945, 4.3.3).
    pub fn each(&self, mut take: impl FnMut(&[u8])) {
        let mut buffer = [0; MAX_LEN];
        take(self.name.lowered(&mut buffer));
        take(&CLASS_ANY.to_be_bytes());
        take(&0u32.to_be_bytes());
        take(self.algorithm.lowered(&mut buffer));
        take(&self.timers.octets());
        take(&self.error.0.to_be_bytes());
        take(&(self.other.len() as u16).to_be_bytes());
        take(self.other);
    }

    /// Appends the record to a message and counts it.
    pub fn append(&self, message: &mut Vec<u8>, original_id: u16, mac: &[u8]) {
        let data = self.algorithm.wire().len() + DATA_LEN + mac.len() + self.other.len();
        message.extend_from_slice(self.name.wire());
        message.extend_from_slice(&Rtype::TSIG.0.to_be_bytes());
        message.extend_from_slice(&CLASS_ANY.to_be_bytes());
        message.extend_from_slice(&0u32.to_be_bytes());
        message.extend_from_slice(&(data as u16).to_be_bytes());
        message.extend_from_slice(self.algorithm.wire());
        message.extend_from_slice(&self.timers.octets());
        message.extend_from_slice(&(mac.len() as u16).to_be_bytes());
        message.extend_from_slice(mac);
        message.extend_from_slice(&original_id.to_be_bytes());
        message.extend_from_slice(&self.error.0.to_be_bytes());
        message.extend_from_slice(&(self.other.len() as u16).to_be_bytes());
        message.extend_from_slice(self.other);
        count_one_more(message);
    }

    /// The octets that [`Self::append`] appends with a MAC of this length.
    pub fn len(&self, mac: usize) -> usize {
        self.name.wire().len() + 10 + self.algorithm.wire().len() + DATA_LEN + mac + self.other.len()
    }
}

/// The name of an algorithm (RFC 8945, 6); nothing for one that makes no MACs.
pub(super) fn algorithm_name(algorithm: Algorithm) -> Option<NameRef<'static>> {
    let wire: &[u8] = match algorithm {
        Algorithm::HmacSha256 => b"\x0bhmac-sha256\0",
        Algorithm::HmacSha384 => b"\x0bhmac-sha384\0",
        Algorithm::HmacSha512 => b"\x0bhmac-sha512\0",
        Algorithm::Sig0 => return None,
    };
    NameRef::read(wire).ok().map(|(name, _)| name)
}

/// Adds one to the number of additional records.
pub(super) fn count_one_more(message: &mut [u8]) {
    if let Some([high, low]) = message.get_mut(HEADER_LEN - 2..HEADER_LEN) {
        let count = u16::from_be_bytes([*high, *low]).wrapping_add(1);
        [*high, *low] = count.to_be_bytes();
    }
}

/// The octets of RDATA besides the algorithm's name, the MAC and the other data.
const DATA_LEN: usize = 16;

/// Octets with their number in front, and what follows.
fn counted(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&[high, low], rest) = octets.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))
}
