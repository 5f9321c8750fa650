//! Who can reach an address: this machine only, its LAN, or the internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether others can use the address at all: not only on this machine or this link.
pub fn is_usable(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

/// Whether the internet can reach the address (the registries of RFC 6890). Addresses for documentation count as public:
/// examples and labs live on them.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_usable(address) && !NOT_PUBLIC.iter().any(|(first, prefix)| begins(v4, *first, *prefix)),
        // 2000::/3 is what is given out.
        IpAddr::V6(v6) => v6.to_bits() >> 125 == Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0).to_bits() >> 125,
    }
}

/// This network; private use; a provider's own; benchmarks; multicast and what is above it.
const NOT_PUBLIC: [(Ipv4Addr, u32); 7] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

fn begins(address: Ipv4Addr, first: Ipv4Addr, prefix: u32) -> bool {
    (address.to_bits() ^ first.to_bits()) >> (32 - prefix) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_not_public() {
        for (address, usable, public) in [
            ("192.168.1.11", true, false),
            ("172.31.0.1", true, false),
            ("172.32.0.1", true, true),
            ("10.0.0.1", true, false),
            ("100.64.1.1", true, false),
            ("100.128.1.1", true, true),
            ("198.19.0.1", true, false),
            ("203.0.113.1", true, true),
            ("239.1.2.3", true, false),
            ("255.255.255.255", true, false),
            ("0.1.2.3", true, false),
            ("169.254.1.1", false, false),
            ("fd00::1", true, false),
            ("fe80::1", false, false),
            ("2001:db8::1", true, true),
            ("::ffff:192.168.1.1", true, false),
            ("::1", false, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!((is_usable(address), is_public(address)), (usable, public), "{address}");
        }
    }
}
