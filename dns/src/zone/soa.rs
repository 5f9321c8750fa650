//! The start of authority and the arithmetic of serials.

use std::cmp::Ordering;
use std::fmt;

use crate::name::{Name, NameError, NameRef};

/// A zone's version, compared on a circle (RFC 1982).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Serial(pub u32);

impl Serial {
    /// The next one. Zero is left out, which some secondaries take for "unknown".
    pub fn next(self) -> Self {
        Self(self.0.wrapping_add(1).max(1))
    }

    /// Whether `self` is newer than `other`. Of two that are half the circle apart neither is.
    pub fn is_newer_than(self, other: Self) -> bool {
        self.partial_cmp(&other) == Some(Ordering::Greater)
    }
}

impl PartialOrd for Serial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.0.wrapping_sub(other.0) {
            0 => Some(Ordering::Equal),
            1..=0x7fff_ffff => Some(Ordering::Greater),
            0x8000_0000 => None,
            _ => Some(Ordering::Less),
        }
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The data of an SOA record (RFC 1035, 3.3.13); times in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soa {
    /// The zone's main server.
    pub primary: Name,
    /// Who answers for the zone, as a name.
    pub mailbox: Name,
    /// The version.
    pub serial: Serial,
    /// How often a secondary asks.
    pub refresh: u32,
    /// How soon it asks again when nobody answered.
    pub retry: u32,
    /// How long it serves the zone without an answer.
    pub expire: u32,
    /// How long "no such name" may be kept, at most the SOA record's TTL (RFC 2308, 4).
    pub minimum: u32,
}

/// The octets are not the data of an SOA record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoaError {
    /// One of the two names.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The five numbers are not twenty octets.
    #[error("the numbers are cut off, or something follows them")]
    Numbers,
}

impl Soa {
    /// Reads RDATA.
    ///
    /// # Errors
    /// When it is not exactly two names and five numbers.
    pub fn read(rdata: &[u8]) -> Result<Self, SoaError> {
        let (primary, rest) = NameRef::read(rdata)?;
        let (mailbox, rest) = NameRef::read(rest)?;
        let numbers = <&[u8; 20]>::try_from(rest).map_err(|_| SoaError::Numbers)?;
        let number = |i: usize| u32::from_be_bytes([numbers[i], numbers[i + 1], numbers[i + 2], numbers[i + 3]]);
        Ok(Self {
            primary: primary.to_owned(),
            mailbox: mailbox.to_owned(),
            serial: Serial(number(0)),
            refresh: number(4),
            retry: number(8),
            expire: number(12),
            minimum: number(16),
        })
    }

    /// Writes RDATA.
    pub fn write(&self) -> Box<[u8]> {
        let mut rdata = [self.primary.as_ref().wire(), self.mailbox.as_ref().wire()].concat();
        for number in [self.serial.0, self.refresh, self.retry, self.expire, self.minimum] {
            rdata.extend_from_slice(&number.to_be_bytes());
        }
        rdata.into()
    }
}

impl Default for Soa {
    fn default() -> Self {
        Self {
            primary: Name::root(),
            mailbox: Name::root(),
            serial: Serial(0),
            refresh: 0,
            retry: 0,
            expire: 0,
            minimum: 0,
        }
    }
}
