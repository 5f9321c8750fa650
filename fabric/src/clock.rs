//! The only reader of the clock and the only source of seeds.
//!
//! Everything else is handed a [`Time`] or a seed by its caller (see `.clippy.toml`).

use rustix::time::{ClockId, clock_gettime};

use crate::units::{Time, WallTime};

/// Now, on `CLOCK_BOOTTIME`.
pub fn now() -> Time {
    let spec = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(spec.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(spec.tv_nsec).unwrap_or(0);
    Time::from_nanos(seconds * 1_000_000_000 + nanos)
}

/// Milliseconds since 1970 by the wall clock, for people and for boot epochs; it may jump.
pub fn wall_millis() -> u64 {
    let spec = clock_gettime(ClockId::Realtime);
    u64::try_from(spec.tv_sec).unwrap_or(0) * 1_000 + u64::try_from(spec.tv_nsec).unwrap_or(0) / 1_000_000
}

/// Now by the wall clock, for what has a date; it may jump.
pub fn wall() -> WallTime {
    WallTime::from_secs(wall_millis() / 1_000)
}

/// Unpredictable bytes from the kernel, for identities.
///
/// # Errors
/// When the kernel has no entropy yet and would block.
pub fn random_bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::NONBLOCK)?;
    if got == N { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

/// A seed for decisions that only need to differ between machines (jitter, staggering).
pub fn seed() -> u64 {
    random_bytes().map_or_else(|_| now().as_nanos(), u64::from_le_bytes)
}
