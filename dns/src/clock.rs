//! The crate's only reader of the clocks and source of secrets. Pure parts get both as arguments.

use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};

/// Seconds since 1970, as the machine believes: what signatures, leases and the addresses of aliases are measured by.
pub fn wall_secs() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or_default()
}

/// Milliseconds that the machine has run, also asleep: never goes back.
pub fn millis() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let (secs, nanos) =
        (u64::try_from(time.tv_sec).unwrap_or_default(), u64::try_from(time.tv_nsec).unwrap_or_default());
    secs * 1000 + nanos / 1_000_000
}

/// Octets that nobody can guess.
pub fn seed<const N: usize>() -> [u8; N] {
    let mut octets = [0; N];
    let mut filled = 0;
    while filled < N {
        // Interrupted by a signal, or fewer than asked for: go on.
        filled += getrandom(&mut octets[filled..], GetRandomFlags::empty()).unwrap_or(0);
    }
    octets
}
