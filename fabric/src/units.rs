//! The words of time and identity.
//!
//! Every quantity with a unit and every identity is a type of its own, so that no bare integer
//! crosses a function boundary. Nothing here reads a clock or draws a random number.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};

/// A moment on this machine's `CLOCK_BOOTTIME`, in nanoseconds; it counts while the machine sleeps.
///
/// Times of two machines cannot be compared, and never travel in a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(u64);

impl Time {
    /// The moment the machine booted.
    pub const ZERO: Time = Time(0);

    /// The moment `nanos` nanoseconds after boot.
    pub const fn from_nanos(nanos: u64) -> Time {
        Time(nanos)
    }

    /// The moment `millis` milliseconds after boot.
    pub const fn from_millis(millis: u64) -> Time {
        Time(millis * 1_000_000)
    }

    /// Nanoseconds since boot.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, span: Duration) -> Time {
        Time(self.0.saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Time {
    type Output = Time;
    fn sub(self, span: Duration) -> Time {
        Time(self.0.saturating_sub(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// A moment by the wall clock, in whole seconds since 1970: what machines agree on by date, such as the end of a
/// certificate. It may jump, and the clocks of two machines may differ by hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WallTime(u64);

impl WallTime {
    /// The moment `seconds` seconds after the beginning of 1970.
    pub const fn from_secs(seconds: u64) -> WallTime {
        WallTime(seconds)
    }

    /// Seconds since the beginning of 1970.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: WallTime) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for WallTime {
    type Output = WallTime;
    fn add(self, span: Duration) -> WallTime {
        WallTime(self.0.saturating_add(span.as_secs()))
    }
}

impl Sub<Duration> for WallTime {
    type Output = WallTime;
    fn sub(self, span: Duration) -> WallTime {
        WallTime(self.0.saturating_sub(span.as_secs()))
    }
}

/// Names a node: one member of a site, one identity in a fabric; 16 bytes, written as 32 hexadecimal digits.
///
/// In a fabric it is the beginning of the SHA-256 of the node's public key, so that nobody else can claim it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeId(pub [u8; 16]);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_write(&self.0, f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<NodeId, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(NodeId).ok_or_else(|| serde::de::Error::custom("a node id is 32 hexadecimal digits"))
    }
}

/// The fingerprint of a public key: the first 8 bytes of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub [u8; 8]);

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::Error;

    use super::*;

    #[test]
    fn a_node_id_is_32_hexadecimal_digits() {
        let read = |text: &str| NodeId::deserialize(text.into_deserializer()).map_err(|error: Error| error.to_string());
        let node = NodeId([0xA5; 16]);
        assert_eq!((read(&node.to_string()), read(&node.to_string().to_uppercase())), (Ok(node), Ok(node)));
        for wrong in ["", "a5", &"a5".repeat(15), &"a5".repeat(17), &"+5".repeat(16), &"ag".repeat(16), &"ä".repeat(16)]
        {
            assert_eq!(read(wrong), Err("a node id is 32 hexadecimal digits".to_owned()), "{wrong}");
        }
    }
}
