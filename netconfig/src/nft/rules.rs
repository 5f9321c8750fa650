//! The fence's rules as nftables expressions.
//!
//! Pure. Written in `nft` syntax, for the addresses A (IPv4) and B (IPv6) and the virtual hardware address M:
//!
//! ```text
//! egress:  meta mark … udp dport … @th,64,32 A update @lease4 { @th,64,32 timeout L }    (a beacon leaves)
//!          meta mark … udp dport … @th,96,128 B update @lease6 { @th,96,128 timeout L }
//!          ether saddr M and the address not in its lease: drop
//!          arp saddr ip A, ip saddr A not in @lease4: drop
//!          ip6 saddr B, neighbour advertisement for B, not in @lease6: drop
//! ingress: arp daddr ip A and not arp saddr ip A, ip daddr A not in @lease4: drop
//!          ip6 daddr B, neighbour solicitation for B, not in @lease6: drop
//! ```
//!
//! What stays open while the gate is shut: this machine's own probes (their sender is 0 or another address), the
//! answers to them, and other members' announcements (sender and target are both A).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::netlink::Writer;
use crate::plan::FenceSpec;

/// The set that holds A while the gate is open.
pub(super) const LEASE4: &str = "lease4";
/// The set that holds B while the gate is open.
pub(super) const LEASE6: &str = "lease6";

/// Which of the fence's two chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// Frames that leave the LAN interface.
    Egress,
    /// Frames that come in.
    Ingress,
}

impl Chain {
    /// Its name in the table.
    pub(super) fn name(self) -> &'static str {
        match self {
            Chain::Egress => "egress",
            Chain::Ingress => "ingress",
        }
    }
}

/// One rule: its chain and its expressions.
pub(super) struct Rule {
    /// Where it goes.
    pub(super) chain: Chain,
    expressions: Vec<Expression>,
}

/// All rules, in order.
pub(super) fn rules(spec: &FenceSpec) -> Vec<Rule> {
    use Chain::{Egress, Ingress};
    let mut rules = Vec::new();
    let mut add = |chain, expressions| rules.push(Rule { chain, expressions });
    if let Some(a) = spec.v4 {
        add(Egress, [beacon(spec), vec![BEACON_V4.load(), equal(&a.octets()), renew(LEASE4, spec)]].concat());
    }
    if let Some(b) = spec.v6 {
        add(Egress, [beacon(spec), vec![BEACON_V6.load(), equal(&b.octets()), renew(LEASE6, spec)]].concat());
    }
    if let Some(mac) = spec.mac {
        let from_mac = [ETHER_SADDR.load(), equal(&mac)];
        // A beacon names all addresses, so one of the two leases stands for both.
        match (spec.v4, spec.v6) {
            (Some(a), _) => add(Egress, [&from_mac[..], &[value(&a.octets())], &drop_without(LEASE4)].concat()),
            (None, Some(b)) => add(Egress, [&from_mac[..], &[value(&b.octets())], &drop_without(LEASE6)].concat()),
            (None, None) => {}
        }
    }
    if let Some(a) = spec.v4 {
        add(Egress, guard_v4(ETH_P_ARP, &[], ARP_SENDER, a));
        add(Egress, guard_v4(ETH_P_IP, &[], IP_SADDR, a));
        let not_announced = [ARP_SENDER.load(), Expression::Compare { equal: false, with: a.octets().to_vec() }];
        add(Ingress, guard_v4(ETH_P_ARP, &not_announced, ARP_TARGET, a));
        add(Ingress, guard_v4(ETH_P_IP, &[], IP_DADDR, a));
    }
    if let Some(b) = spec.v6 {
        add(Egress, guard_v6(&[], IP6_SADDR, b));
        add(Egress, guard_v6(&icmpv6(ND_ADVERT), ND_TARGET, b));
        add(Ingress, guard_v6(&[], IP6_DADDR, b));
        add(Ingress, guard_v6(&icmpv6(ND_SOLICIT), ND_TARGET, b));
    }
    rules
}

impl Rule {
    /// Writes the list of expressions.
    pub(super) fn write(&self, w: &mut Writer) {
        for expression in &self.expressions {
            w.nest(LIST_ELEM, |w| expression.write(w));
        }
    }
}

fn beacon(spec: &FenceSpec) -> Vec<Expression> {
    let mark = spec.fence.mark.to_ne_bytes();
    let port = spec.fence.port.to_be_bytes();
    vec![
        Expression::Meta(META_MARK),
        equal(&mark),
        Expression::Meta(META_L4PROTO),
        equal(&[UDP]),
        UDP_DPORT.load(),
        equal(&port),
    ]
}

fn renew(set: &'static str, spec: &FenceSpec) -> Expression {
    Expression::Renew { set, timeout: spec.fence.lease }
}

fn guard_v4(ethertype: u16, also: &[Expression], field: Field, a: Ipv4Addr) -> Vec<Expression> {
    let family = [Expression::Meta(META_PROTOCOL), equal(&ethertype.to_be_bytes())];
    [&family[..], also, &[field.load(), equal(&a.octets())], &drop_without(LEASE4)].concat()
}

fn guard_v6(also: &[Expression], field: Field, b: Ipv6Addr) -> Vec<Expression> {
    let family = [Expression::Meta(META_PROTOCOL), equal(&ETH_P_IPV6.to_be_bytes())];
    [&family[..], also, &[field.load(), equal(&b.octets())], &drop_without(LEASE6)].concat()
}

fn icmpv6(kind: u8) -> [Expression; 4] {
    [Expression::Meta(META_L4PROTO), equal(&[ICMPV6]), ICMPV6_TYPE.load(), equal(&[kind])]
}

/// Drops unless the address in the register is in the set.
fn drop_without(set: &'static str) -> [Expression; 2] {
    [Expression::NotIn(set), Expression::Drop]
}

fn equal(with: &[u8]) -> Expression {
    Expression::Compare { equal: true, with: with.to_vec() }
}

fn value(bytes: &[u8]) -> Expression {
    Expression::Value(bytes.to_vec())
}

/// Every expression works on the one 16-byte register 1.
#[derive(Clone)]
enum Expression {
    Meta(u32),
    Load(Field),
    Value(Vec<u8>),
    Compare { equal: bool, with: Vec<u8> },
    NotIn(&'static str),
    Renew { set: &'static str, timeout: Duration },
    Drop,
}

/// A place in a packet, in bytes.
#[derive(Clone, Copy)]
struct Field {
    base: u32,
    offset: u32,
    length: u32,
}

impl Field {
    fn load(self) -> Expression {
        Expression::Load(self)
    }
}

impl Expression {
    fn write(&self, w: &mut Writer) {
        match self {
            Expression::Meta(key) => expression(w, "meta", |w| {
                w.number(META_DREG, REGISTER);
                w.number(META_KEY, *key);
            }),
            Expression::Load(field) => expression(w, "payload", |w| {
                w.number(PAYLOAD_DREG, REGISTER);
                w.number(PAYLOAD_BASE, field.base);
                w.number(PAYLOAD_OFFSET, field.offset);
                w.number(PAYLOAD_LEN, field.length);
            }),
            Expression::Value(bytes) => expression(w, "immediate", |w| {
                w.number(IMMEDIATE_DREG, REGISTER);
                w.nest(IMMEDIATE_DATA, |w| w.attribute(DATA_VALUE, bytes));
            }),
            Expression::Compare { equal, with } => expression(w, "cmp", |w| {
                w.number(CMP_SREG, REGISTER);
                w.number(CMP_OP, if *equal { CMP_EQ } else { CMP_NEQ });
                w.nest(CMP_DATA, |w| w.attribute(DATA_VALUE, with));
            }),
            Expression::NotIn(set) => expression(w, "lookup", |w| {
                w.text(LOOKUP_SET, set);
                w.number(LOOKUP_SREG, REGISTER);
                w.number(LOOKUP_FLAGS, LOOKUP_F_INV);
            }),
            Expression::Renew { set, timeout } => expression(w, "dynset", |w| {
                let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                w.text(DYNSET_SET_NAME, set);
                w.number(DYNSET_OP, DYNSET_UPDATE);
                w.number(DYNSET_SREG_KEY, REGISTER);
                w.attribute(DYNSET_TIMEOUT, &millis.to_be_bytes());
            }),
            Expression::Drop => expression(w, "immediate", |w| {
                w.number(IMMEDIATE_DREG, REGISTER_VERDICT);
                w.nest(IMMEDIATE_DATA, |w| w.nest(DATA_VERDICT, |w| w.number(VERDICT_CODE, NF_DROP)));
            }),
        }
    }
}

fn expression(w: &mut Writer, name: &str, body: impl FnOnce(&mut Writer)) {
    w.text(EXPR_NAME, name);
    w.nest(EXPR_DATA, body);
}

const ETHER_SADDR: Field = Field { base: LINK, offset: 6, length: 6 };
const ARP_SENDER: Field = Field { base: NETWORK, offset: 14, length: 4 };
const ARP_TARGET: Field = Field { base: NETWORK, offset: 24, length: 4 };
const IP_SADDR: Field = Field { base: NETWORK, offset: 12, length: 4 };
const IP_DADDR: Field = Field { base: NETWORK, offset: 16, length: 4 };
const IP6_SADDR: Field = Field { base: NETWORK, offset: 8, length: 16 };
const IP6_DADDR: Field = Field { base: NETWORK, offset: 24, length: 16 };
const UDP_DPORT: Field = Field { base: TRANSPORT, offset: 2, length: 2 };
const BEACON_V4: Field = Field { base: TRANSPORT, offset: 8, length: 4 };
const BEACON_V6: Field = Field { base: TRANSPORT, offset: 12, length: 16 };
const ICMPV6_TYPE: Field = Field { base: TRANSPORT, offset: 0, length: 1 };
const ND_TARGET: Field = Field { base: TRANSPORT, offset: 8, length: 16 };

const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const ND_SOLICIT: u8 = 135;
const ND_ADVERT: u8 = 136;

// linux/netfilter/nf_tables.h
const LIST_ELEM: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const NF_DROP: u32 = 0;
const REGISTER_VERDICT: u32 = 0;
const REGISTER: u32 = 1;
const LINK: u32 = 0;
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;
const META_DREG: u16 = 1;
const META_KEY: u16 = 2;
const META_PROTOCOL: u32 = 1;
const META_MARK: u32 = 3;
const META_L4PROTO: u32 = 16;
const PAYLOAD_DREG: u16 = 1;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LEN: u16 = 4;
const IMMEDIATE_DREG: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;
const CMP_SREG: u16 = 1;
const CMP_OP: u16 = 2;
const CMP_DATA: u16 = 3;
const CMP_EQ: u32 = 0;
const CMP_NEQ: u32 = 1;
const LOOKUP_SET: u16 = 1;
const LOOKUP_SREG: u16 = 2;
const LOOKUP_FLAGS: u16 = 5;
const LOOKUP_F_INV: u32 = 1;
const DYNSET_SET_NAME: u16 = 1;
const DYNSET_OP: u16 = 3;
const DYNSET_UPDATE: u32 = 1;
const DYNSET_SREG_KEY: u16 = 4;
const DYNSET_TIMEOUT: u16 = 6;
