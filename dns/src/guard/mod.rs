//! What keeps the server from being used against others: cookies and response rate limiting.
//!
//! A client that shows a valid cookie ([`Cookies`]) owns its address and is never limited; of the others each network gets so
//! many answers of a kind and in all a second over UDP ([`Limiter`]), and no answer over UDP is longer than [`udp_room`]. TCP proves
//! the address by itself. **Invariants:** nothing here allocates for a query, and every table has a fixed size. Time and
//! secrets come in as arguments.

mod cookies;
mod limiter;
mod sip;

pub use cookies::{COOKIE_LEN, Cookies, Secret, Standing};
pub use limiter::{Kind, Limiter, Verdict, network, share};
pub use sip::sip_hash;

use crate::wire::PLAIN_UDP;

/// The longest answer over UDP, in octets: what fits every path that carries IPv6 without fragments, and so the most that
/// a forged query can turn against somebody.
pub const MAX_UDP: usize = 1232;
/// How long an answer over UDP may be for a client that offers this many octets by EDNS, if it speaks it (RFC 6891, 6.2.5).
pub fn udp_room(offered: Option<u16>) -> usize {
    offered.map_or(PLAIN_UDP, |offered| usize::from(offered).clamp(PLAIN_UDP, MAX_UDP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_room_between_two_limits() {
        for (offered, room) in [(None, 512), (Some(0), 512), (Some(600), 600), (Some(4096), 1232), (Some(65_535), 1232)]
        {
            assert_eq!(udp_room(offered), room, "{offered:?}");
        }
    }
}
