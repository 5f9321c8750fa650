//! Who can reach an address: this machine only, its LAN, or the internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dns::settings::Network;

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
        IpAddr::V4(_) => is_usable(address) && !NOT_PUBLIC.iter().any(|network| network.contains(address)),
        IpAddr::V6(_) => PUBLIC_V6.contains(address),
    }
}

/// This network; private use; a provider's own; benchmarks; multicast and what is above it.
const NOT_PUBLIC: [Network; 7] = [
    v4([0, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([100, 64, 0, 0], 10),
    v4([198, 18, 0, 0], 15),
    v4([224, 0, 0, 0], 3),
];

/// What is given out.
const PUBLIC_V6: Network = Network { address: IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0)), prefix: 3 };

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Network {
    Network { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
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
