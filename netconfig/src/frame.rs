//! Ethernet frames that ask for, announce and answer for an address: ARP (RFC 826, RFC 5227), neighbour discovery
//! (RFC 4861), echo (RFC 792, RFC 4443).
//!
//! Pure: bytes in, values out, and back. **Invariant:** [`claim`] is total; no frame can make it panic or allocate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pnet::packet::Packet;
use pnet::packet::arp::{ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket};
use pnet::packet::ethernet::{EtherType, EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::icmp::{self, IcmpPacket, IcmpTypes, MutableIcmpPacket};
use pnet::packet::icmpv6::ndp::{
    MutableNeighborAdvertPacket, MutableNeighborSolicitPacket, NdpOption, NdpOptionTypes, NeighborAdvertFlags,
    NeighborAdvertPacket,
};
use pnet::packet::icmpv6::{self, Icmpv6Packet, Icmpv6Types, MutableIcmpv6Packet};
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv4::Ipv4Packet;
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use pnet::util::MacAddr;

use crate::MacBytes;

/// Somebody says: this address is at this hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The address.
    pub ip: IpAddr,
    /// Who answers for it.
    pub mac: MacBytes,
}

/// What a frame claims, if anything: the sender of an ARP packet, the target of a neighbour advertisement, the sender
/// of an echo reply.
pub fn claim(frame: &[u8]) -> Option<Claim> {
    let ethernet = EthernetPacket::new(frame)?;
    match ethernet.get_ethertype() {
        EtherTypes::Arp => arp_claim(ethernet.payload()),
        EtherTypes::Ipv4 => echo_claim_v4(&ethernet),
        EtherTypes::Ipv6 => claim_v6(&ethernet),
        _ => None,
    }
}

/// Asks who has `target` without saying who asks (RFC 5227 2.1.1): no cache learns anything from it.
pub fn arp_probe(from: MacBytes, target: Ipv4Addr) -> Vec<u8> {
    arp(Arp { operation: ArpOperations::Request, from, sender: Ipv4Addr::UNSPECIFIED, to: [0; 6], target })
}

/// Announces `address` as a request (RFC 5227 2.3): what most caches listen to.
pub fn arp_announcement(from: MacBytes, address: Ipv4Addr) -> Vec<u8> {
    arp(Arp { operation: ArpOperations::Request, from, sender: address, to: [0; 6], target: address })
}

/// Announces `address` as a reply (RFC 5227 3): for the caches that do not listen to requests.
pub fn arp_reply_announcement(from: MacBytes, address: Ipv4Addr) -> Vec<u8> {
    arp(Arp { operation: ArpOperations::Reply, from, sender: address, to: from, target: address })
}

/// Asks who has `target` from the unspecified address, as duplicate address detection does (RFC 4862 5.4.2).
pub fn neighbor_probe(from: MacBytes, target: Ipv6Addr) -> Vec<u8> {
    let group = solicited_node(target);
    let mut body = [0; 24];
    if let Some(mut packet) = MutableNeighborSolicitPacket::new(&mut body) {
        packet.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
        packet.set_target_addr(target);
    }
    icmpv6_frame(from, Ipv6Addr::UNSPECIFIED, group, &mut body)
}

/// Announces `address` to all nodes, overriding what they knew (RFC 4861 7.2.6).
pub fn neighbor_announcement(from: MacBytes, address: Ipv6Addr) -> Vec<u8> {
    let mut body = [0; 32];
    if let Some(mut packet) = MutableNeighborAdvertPacket::new(&mut body) {
        packet.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
        packet.set_flags(NeighborAdvertFlags::Override);
        packet.set_target_addr(address);
        let option = NdpOption { option_type: NdpOptionTypes::TargetLLAddr, length: 1, data: from.to_vec() };
        packet.set_options(&[option]);
    }
    icmpv6_frame(from, address, ALL_NODES, &mut body)
}

/// The body of an echo request: without an IP header, its IPv6 checksum left to the kernel.
pub fn echo_request(version: IpVersion) -> [u8; 16] {
    let mut body = [0; 16];
    match version {
        IpVersion::V4 => {
            if let Some(mut packet) = MutableIcmpPacket::new(&mut body) {
                packet.set_icmp_type(IcmpTypes::EchoRequest);
                let checksum = icmp::checksum(&packet.to_immutable());
                packet.set_checksum(checksum);
            }
        }
        IpVersion::V6 => {
            if let Some(mut packet) = MutableIcmpv6Packet::new(&mut body) {
                packet.set_icmpv6_type(Icmpv6Types::EchoRequest);
            }
        }
    }
    body
}

/// The group that everybody with an address that ends like `target` hears (RFC 4291 2.7.1).
pub fn solicited_node(target: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = target.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

struct Arp {
    operation: ArpOperation,
    from: MacBytes,
    sender: Ipv4Addr,
    to: MacBytes,
    target: Ipv4Addr,
}

fn arp(content: Arp) -> Vec<u8> {
    let mut body = [0; 28];
    if let Some(mut packet) = MutableArpPacket::new(&mut body) {
        packet.set_hardware_type(ArpHardwareTypes::Ethernet);
        packet.set_protocol_type(EtherTypes::Ipv4);
        packet.set_hw_addr_len(6);
        packet.set_proto_addr_len(4);
        packet.set_operation(content.operation);
        packet.set_sender_hw_addr(mac_addr(content.from));
        packet.set_sender_proto_addr(content.sender);
        packet.set_target_hw_addr(mac_addr(content.to));
        packet.set_target_proto_addr(content.target);
    }
    ethernet(content.from, MacAddr::broadcast(), EtherTypes::Arp, &body)
}

fn icmpv6_frame(from: MacBytes, source: Ipv6Addr, group: Ipv6Addr, body: &mut [u8]) -> Vec<u8> {
    if let Some(mut packet) = MutableIcmpv6Packet::new(body) {
        let checksum = icmpv6::checksum(&packet.to_immutable(), &source, &group);
        packet.set_checksum(checksum);
    }
    let mut datagram = vec![0; IPV6_HEADER + body.len()];
    if let Some(mut packet) = MutableIpv6Packet::new(&mut datagram) {
        packet.set_version(6);
        packet.set_payload_length(u16::try_from(body.len()).unwrap_or(0));
        packet.set_next_header(IpNextHeaderProtocols::Icmpv6);
        packet.set_hop_limit(ND_HOP_LIMIT);
        packet.set_source(source);
        packet.set_destination(group);
        packet.set_payload(body);
    }
    let [.., a, b, c, d] = group.octets();
    ethernet(from, MacAddr::new(0x33, 0x33, a, b, c, d), EtherTypes::Ipv6, &datagram)
}

fn ethernet(from: MacBytes, to: MacAddr, kind: EtherType, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; EthernetPacket::minimum_packet_size() + payload.len()];
    if let Some(mut packet) = MutableEthernetPacket::new(&mut frame) {
        packet.set_source(mac_addr(from));
        packet.set_destination(to);
        packet.set_ethertype(kind);
        packet.set_payload(payload);
    }
    frame
}

fn arp_claim(payload: &[u8]) -> Option<Claim> {
    let arp = ArpPacket::new(payload)?;
    let ethernet_and_ip = arp.get_hardware_type() == ArpHardwareTypes::Ethernet
        && arp.get_protocol_type() == EtherTypes::Ipv4
        && arp.get_hw_addr_len() == 6
        && arp.get_proto_addr_len() == 4;
    let ip = arp.get_sender_proto_addr();
    (ethernet_and_ip && !ip.is_unspecified()).then(|| Claim { ip: ip.into(), mac: arp.get_sender_hw_addr().octets() })
}

fn echo_claim_v4(ethernet: &EthernetPacket<'_>) -> Option<Claim> {
    let ip = Ipv4Packet::new(ethernet.payload())?;
    // Only a header of five words or more is one; a fragment's payload is not an ICMP header.
    if ip.get_header_length() < 5 || ip.get_fragment_offset() != 0 {
        return None;
    }
    if ip.get_next_level_protocol() != IpNextHeaderProtocols::Icmp {
        return None;
    }
    let header = usize::from(ip.get_header_length()) * 4;
    let icmp = IcmpPacket::new(ip.packet().get(header..)?)?;
    (icmp.get_icmp_type() == IcmpTypes::EchoReply)
        .then(|| Claim { ip: ip.get_source().into(), mac: ethernet.get_source().octets() })
}

fn claim_v6(ethernet: &EthernetPacket<'_>) -> Option<Claim> {
    let ip = Ipv6Packet::new(ethernet.payload())?;
    if ip.get_next_header() != IpNextHeaderProtocols::Icmpv6 {
        return None;
    }
    let body = ip.packet().get(IPV6_HEADER..)?;
    let icmp = Icmpv6Packet::new(body)?;
    match icmp.get_icmpv6_type() {
        Icmpv6Types::EchoReply => Some(Claim { ip: ip.get_source().into(), mac: ethernet.get_source().octets() }),
        Icmpv6Types::NeighborAdvert if ip.get_hop_limit() == ND_HOP_LIMIT => {
            let advert = NeighborAdvertPacket::new(body)?;
            let mac = target_mac(body.get(24..).unwrap_or_default()).unwrap_or(ethernet.get_source().octets());
            Some(Claim { ip: advert.get_target_addr().into(), mac })
        }
        _ => None,
    }
}

/// The target link-layer address option (RFC 4861 4.6.1). Read by hand: the library trusts the option's length.
fn target_mac(mut options: &[u8]) -> Option<MacBytes> {
    loop {
        let [kind, length, rest @ ..] = options else { return None };
        let length = usize::from(*length) * 8;
        if length == 0 {
            return None;
        }
        if *kind == NdpOptionTypes::TargetLLAddr.0 {
            return rest.first_chunk().copied();
        }
        options = options.get(length..)?;
    }
}

fn mac_addr(bytes: MacBytes) -> MacAddr {
    MacAddr::from(bytes)
}

const IPV6_HEADER: usize = 40;
/// A packet with a smaller hop limit was forwarded by a router and is no neighbour's (RFC 4861 7.1.2).
const ND_HOP_LIMIT: u8 = 255;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: MacBytes = [2, 0, 0x5e, 1, 2, 3];
    const V4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 11);
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x11);

    #[test]
    fn announcements_claim_the_address() {
        let v4 = Some(Claim { ip: V4.into(), mac: MAC });
        assert_eq!(claim(&arp_announcement(MAC, V4)), v4);
        assert_eq!(claim(&arp_reply_announcement(MAC, V4)), v4);
        assert_eq!(claim(&neighbor_announcement(MAC, V6)), Some(Claim { ip: V6.into(), mac: MAC }));
    }

    #[test]
    fn probes_claim_nothing() {
        assert_eq!(claim(&arp_probe(MAC, V4)), None);
        assert_eq!(claim(&neighbor_probe(MAC, V6)), None);
    }

    #[test]
    fn an_arp_probe_is_laid_out_as_rfc_826_says() {
        let frame = arp_probe(MAC, V4);
        let expected =
            [&[0xff; 6][..], &MAC, &[8, 6], &[0, 1, 8, 0, 6, 4, 0, 1], &MAC, &[0; 4], &[0; 6], &[192, 168, 1, 11]];
        assert_eq!(frame, expected.concat());
    }

    #[test]
    fn a_neighbor_probe_goes_to_the_solicited_node_group() {
        let frame = neighbor_probe(MAC, V6);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0, 0, 0x11]);
        assert_eq!(frame[20], 58, "next header");
        assert_eq!(frame[21], 255, "hop limit");
        assert_eq!(frame[54], 135);
        let ip = Ipv6Packet::new(&frame[14..]).unwrap();
        let icmp = Icmpv6Packet::new(&frame[54..]).unwrap();
        assert_eq!(icmpv6::checksum(&icmp, &ip.get_source(), &ip.get_destination()), icmp.get_checksum());
    }

    #[test]
    fn an_echo_reply_claims_its_sender_and_a_fragment_does_not() {
        let mut frame = echo_reply_v4();
        assert_eq!(claim(&frame), Some(Claim { ip: V4.into(), mac: MAC }));
        frame[21] = 1;
        assert_eq!(claim(&frame), None, "a fragment that is not the first");
    }

    #[test]
    fn a_forwarded_advertisement_is_no_neighbours() {
        let mut frame = neighbor_announcement(MAC, V6);
        frame[21] = 254;
        assert_eq!(claim(&frame), None);
    }

    #[test]
    fn no_cut_or_changed_frame_breaks_the_decoder() {
        let frames =
            [arp_announcement(MAC, V4), neighbor_announcement(MAC, V6), neighbor_probe(MAC, V6), echo_reply_v4()];
        for frame in frames {
            for length in 0..frame.len() {
                claim(&frame[..length]);
            }
            for position in 0..frame.len() {
                for value in [0, 1, 0x0f, 0x4f, 0x7f, 0xff] {
                    let mut changed = frame.clone();
                    changed[position] = value;
                    claim(&changed);
                }
            }
        }
    }

    fn echo_reply_v4() -> Vec<u8> {
        let mut frame = vec![0; 14 + 20 + 8];
        frame[6..12].copy_from_slice(&MAC);
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14] = 0x45;
        frame[16..18].copy_from_slice(&[0, 28]);
        frame[23] = 1;
        frame[26..30].copy_from_slice(&V4.octets());
        frame
    }
}
