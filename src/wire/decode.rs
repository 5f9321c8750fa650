//! Bytes to values: total and strict.
//!
//! What is not exactly as the encoder writes it is an error with a name, never a guess. **Invariant:** of all byte
//! strings, exactly one decodes to a given value, so a signature over bytes is a signature over the value.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::time::Duration;

use super::layout::{
    DMZ_V4, DMZ_V6, EPOCH, FLAGS, HEADER, KEY_ID, KIND, MAGIC, MAGIC_VALUE, NODE, SEQUENCE, SIGNATURE, SITE, TERM,
    VERSION, VERSION_VALUE, kind, stance,
};
use super::{
    Beacon, Datagram, DmzAddresses, MAX_DATAGRAM, MAX_LEASE, MAX_NAME, MAX_NEXT_WITHIN, MAX_SUCCESSORS, MemberInfo,
    Message, Nonce, Presence, Stance,
};
use crate::units::{BootEpoch, Health, KeyId, Mac, NodeId, Priority, Sequence, SiteTag, Term};

/// Why bytes are not a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Shorter than a header and a signature.
    #[error("too short for a datagram")]
    TooShort,
    /// Longer than [`MAX_DATAGRAM`].
    #[error("longer than {MAX_DATAGRAM} bytes")]
    TooLong,
    /// Something else's packet.
    #[error("not a gatehouse datagram")]
    Magic,
    /// A version this program does not read.
    #[error("version {0} of the layout is unknown")]
    Version(u8),
    /// A kind this version does not have.
    #[error("message kind {0} is unknown")]
    Kind(u8),
    /// Flags this version does not have.
    #[error("flags {0:#06x} are unknown")]
    Flags(u16),
    /// The DMZ address stands where only a holder's beacon may have it.
    #[error("a DMZ address in a datagram that is no beacon")]
    AddressOutsideBeacon,
    /// A beacon for no address.
    #[error("a beacon without a DMZ address")]
    NoAddress,
    /// The body ends within a field.
    #[error("the body ends too early")]
    Truncated,
    /// The body goes on after its last field.
    #[error("bytes left over after the body")]
    Trailing,
    /// A name that is too long, not UTF-8, or has control characters.
    #[error("a name that is too long or not plain text")]
    Name,
    /// Health above 100.
    #[error("health {0} is above 100")]
    Health(u8),
    /// A duration of zero or beyond its limit.
    #[error("a duration of zero or beyond its limit")]
    Duration,
    /// More than [`MAX_SUCCESSORS`].
    #[error("{0} successors are more than {MAX_SUCCESSORS}")]
    Successors(u8),
    /// A stance this version does not have.
    #[error("stance {0} is unknown")]
    Stance(u8),
    /// A yes or no that is neither.
    #[error("a yes or no that is {0}")]
    Bool(u8),
}

/// What every datagram starts with; nothing of it is to be believed before the signature has verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The key that signs.
    pub key: KeyId,
    /// The site it speaks of.
    pub site: SiteTag,
    /// The sender.
    pub node: NodeId,
    /// The sender's start count.
    pub epoch: BootEpoch,
    /// The sender's datagram count since then.
    pub sequence: Sequence,
    /// The highest term the sender knows.
    pub term: Term,
    kind: u8,
    dmz: DmzAddresses,
}

impl Header {
    /// Whether only the newest of such messages counts; the others are one half of a dialogue and carry what they
    /// belong to.
    pub fn describes_state(&self) -> bool {
        matches!(self.kind, kind::BEACON | kind::PRESENCE | kind::RELEASED)
    }
}

/// A datagram's bytes, cut at the fixed places.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The header's values.
    pub header: Header,
    /// What the signature is over.
    pub signed: &'a [u8],
    /// The signature.
    pub signature: &'a [u8; SIGNATURE],
    body: &'a [u8],
}

/// Reads the header: what can be known for the price of a few comparisons.
///
/// # Errors
/// The first thing that is wrong; nothing is allocated.
pub fn parts(bytes: &[u8]) -> Result<Parts<'_>, DecodeError> {
    if bytes.len() > MAX_DATAGRAM {
        return Err(DecodeError::TooLong);
    }
    let (signed, signature) = bytes.split_last_chunk::<SIGNATURE>().ok_or(DecodeError::TooShort)?;
    let (header, body) = signed.split_first_chunk::<HEADER>().ok_or(DecodeError::TooShort)?;
    Ok(Parts { header: read_header(header)?, signed, signature, body })
}

impl Parts<'_> {
    /// Reads the body.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn datagram(&self) -> Result<Datagram, DecodeError> {
        let Header { site, node, epoch, sequence, term, kind, dmz, key: _ } = self.header;
        let mut reader = Reader { rest: self.body };
        let message = read_message(&mut reader, kind, dmz)?;
        if !reader.rest.is_empty() {
            return Err(DecodeError::Trailing);
        }
        Ok(Datagram { site, node, epoch, sequence, term, message })
    }
}

fn read_header(header: &[u8; HEADER]) -> Result<Header, DecodeError> {
    if field(header, MAGIC) != MAGIC_VALUE {
        return Err(DecodeError::Magic);
    }
    let [version] = field(header, VERSION);
    if version != VERSION_VALUE {
        return Err(DecodeError::Version(version));
    }
    let flags = u16::from_be_bytes(field(header, FLAGS));
    if flags != 0 {
        return Err(DecodeError::Flags(flags));
    }
    let [kind] = field(header, KIND);
    if !(kind::BEACON..=kind::STALE).contains(&kind) {
        return Err(DecodeError::Kind(kind));
    }
    let dmz = DmzAddresses {
        v4: Some(Ipv4Addr::from(field::<4>(header, DMZ_V4))).filter(|address| !address.is_unspecified()),
        v6: Some(Ipv6Addr::from(field::<16>(header, DMZ_V6))).filter(|address| !address.is_unspecified()),
    };
    match (kind == kind::BEACON, dmz == DmzAddresses::default()) {
        (true, true) => Err(DecodeError::NoAddress),
        (false, false) => Err(DecodeError::AddressOutsideBeacon),
        (true, false) | (false, true) => Ok(Header {
            key: KeyId(field(header, KEY_ID)),
            site: SiteTag(field(header, SITE)),
            node: NodeId(field(header, NODE)),
            epoch: BootEpoch(u64::from_be_bytes(field(header, EPOCH))),
            sequence: Sequence(u64::from_be_bytes(field(header, SEQUENCE))),
            term: Term(u64::from_be_bytes(field(header, TERM))),
            kind,
            dmz,
        }),
    }
}

fn read_message(reader: &mut Reader<'_>, kind: u8, dmz: DmzAddresses) -> Result<Message, DecodeError> {
    Ok(match kind {
        kind::BEACON => Message::Beacon(read_beacon(reader, dmz)?),
        kind::PRESENCE => Message::Presence(read_presence(reader)?),
        kind::QUERY => Message::Query(Nonce(reader.u64()?)),
        kind::ANSWER => Message::Answer { nonce: Nonce(reader.u64()?), holding: reader.yes_or_no()? },
        kind::PREPARE => Message::Prepare(Nonce(reader.u64()?)),
        kind::READY => Message::Ready(Nonce(reader.u64()?)),
        kind::GO => Message::Go { to: NodeId(reader.take()?), term: Term(reader.u64()?) },
        kind::RELEASED => Message::Released { leaving: reader.yes_or_no()? },
        kind::STALE => Message::Stale { about: NodeId(reader.take()?), epoch: BootEpoch(reader.u64()?) },
        unknown => return Err(DecodeError::Kind(unknown)),
    })
}

fn read_beacon(reader: &mut Reader<'_>, dmz: DmzAddresses) -> Result<Beacon, DecodeError> {
    let mac = Mac(reader.take()?);
    let interval = reader.span(Duration::from_micros, MAX_LEASE)?;
    let lease = reader.span(Duration::from_micros, MAX_LEASE)?;
    let members = u16::from_be_bytes(reader.take()?);
    let member = read_member(reader)?;
    let count = reader.u8()?;
    if usize::from(count) > MAX_SUCCESSORS {
        return Err(DecodeError::Successors(count));
    }
    let successors = (0..count).map(|_| reader.take().map(NodeId)).collect::<Result<_, _>>()?;
    Ok(Beacon { dmz, member, mac, interval, lease, members, successors })
}

fn read_presence(reader: &mut Reader<'_>) -> Result<Presence, DecodeError> {
    let stance = match reader.u8()? {
        stance::OBSERVER => Stance::Observer,
        stance::PROBING => Stance::Probing,
        stance::STANDBY => Stance::Standby,
        stance::CONFLICT => Stance::Conflict,
        unknown => return Err(DecodeError::Stance(unknown)),
    };
    let next_within = reader.span(Duration::from_millis, MAX_NEXT_WITHIN)?;
    Ok(Presence { member: read_member(reader)?, stance, next_within })
}

fn read_member(reader: &mut Reader<'_>) -> Result<MemberInfo, DecodeError> {
    let priority = Priority(reader.u8()?);
    let health = Health(reader.u8()?);
    if health > Health::FULL {
        return Err(DecodeError::Health(health.0));
    }
    Ok(MemberInfo { name: reader.name()?, priority, health })
}

/// A fixed place of the header; `at` is one of [`super::layout`]'s constants and `N` its length.
fn field<const N: usize>(header: &[u8; HEADER], at: Range<usize>) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at]);
    bytes
}

/// Takes fields off the front of a body.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.take().map(u8::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_be_bytes)
    }

    fn yes_or_no(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::Bool(other)),
        }
    }

    fn span(&mut self, unit: fn(u64) -> Duration, limit: Duration) -> Result<Duration, DecodeError> {
        let span = unit(u64::from(u32::from_be_bytes(self.take()?)));
        if span.is_zero() || span > limit { Err(DecodeError::Duration) } else { Ok(span) }
    }

    fn name(&mut self) -> Result<String, DecodeError> {
        let length = usize::from(self.u8()?);
        if length > MAX_NAME {
            return Err(DecodeError::Name);
        }
        let name = std::str::from_utf8(self.slice(length)?).map_err(|_| DecodeError::Name)?;
        if name.chars().any(char::is_control) { Err(DecodeError::Name) } else { Ok(name.to_owned()) }
    }
}
