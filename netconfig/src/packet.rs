//! Frames from and to one interface: an `AF_PACKET` socket that hears who answers for the watched addresses, and raw
//! sockets that ping.
//!
//! The tap sits before the fence, so it also hears what the shut gate drops. Its filter runs in the kernel: a busy
//! LAN does not wake the daemon. Frames that this machine sent are not heard; a stranger with the same hardware
//! address is.

#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;

use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

use crate::frame::{self, Claim, IpVersion};
use crate::ready::Readable;

/// Frames read in one go before the caller gets to act.
const MAX_READS: usize = 64;
/// No frame that claims an address is longer where it matters.
const FRAME: usize = 256;

/// Hears who claims the watched addresses on one interface, and sends frames.
pub(crate) struct Tap {
    sender: Socket,
    receiver: Readable,
    /// Kept for its membership.
    _group: Option<Socket>,
    index: u32,
    v4: Option<Ipv4Addr>,
    v6: Option<Ipv6Addr>,
}

impl Tap {
    /// Whether this process may have a tap (CAP_NET_RAW).
    pub(crate) fn permitted() -> io::Result<()> {
        Socket::new(Domain::PACKET, Type::RAW, None).map(|_| ())
    }

    /// Listens on the interface of this index. Must run inside a tokio runtime.
    pub(crate) fn open(index: u32, v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> io::Result<Tap> {
        // Without a protocol it hears nothing; the filter is there before the first frame.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.attach_filter(&filter(v4, v6))?;
        socket.set_nonblocking(true)?;
        socket.bind(&link_address(index, ETH_P_ALL)?)?;
        let group = v6.and_then(|v6| {
            let joined = join(index, frame::solicited_node(v6));
            joined.inspect_err(|error| tracing::debug!(%error, "cannot join the solicited-node group")).ok()
        });
        Ok(Tap { receiver: Readable::new(socket.try_clone()?)?, sender: socket, _group: group, index, v4, v6 })
    }

    /// The interface it listens on.
    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    /// Sends a frame on the interface of this index.
    pub(crate) fn send(&self, index: u32, frame: &[u8]) -> io::Result<()> {
        self.sender.send_to(frame, &link_address(index, 0)?).map(|_| ())
    }

    /// Waits until something came. Cancel-safe: nothing is read here.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.receiver.wait().await
    }

    /// Takes what has come, without waiting; each claim once.
    pub(crate) fn take(&self) -> Vec<Claim> {
        let mut claims = Vec::new();
        let mut buffer = [0; FRAME];
        for _ in 0..MAX_READS {
            match self.receiver.read(&mut buffer) {
                Ok(length) => {
                    let claim = buffer.get(..length).and_then(frame::claim);
                    claims.extend(claim.filter(|claim| self.watches(claim.ip) && !claims.contains(claim)));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The interface went down or away: the link watch says so.
                Err(_) => {}
            }
        }
        claims
    }

    fn watches(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.v4 == Some(ip),
            IpAddr::V6(ip) => self.v6 == Some(ip),
        }
    }
}

/// Pings an address through one interface; the kernel finds the hardware address, a [`Tap`] hears the answer.
pub(crate) fn ping(interface: &str, target: IpAddr) -> io::Result<()> {
    let (domain, protocol, version) = match target {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, IpVersion::V4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, IpVersion::V6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(Some(interface.as_bytes()))?;
    socket.send_to(&frame::echo_request(version), &SocketAddr::new(target, 0).into()).map(|_| ())
}

/// Joins a group on the interface: a switch that snoops on memberships then passes solicitations to every candidate,
/// before it holds, and no member has to say so from the shared hardware address.
fn join(index: u32, group: Ipv6Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
    socket.join_multicast_v6(&group, index)?;
    Ok(socket)
}

fn link_address(index: u32, protocol: u16) -> io::Result<SockAddr> {
    // SAFETY: all bytes of `sockaddr_ll` may be zero.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = i32::try_from(index).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the storage that `try_init` hands over is larger than any socket address, and its length is set to what
    // was written.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            ptr::write_unaligned(storage.cast::<libc::sockaddr_ll>(), address);
            *length = LINK_ADDRESS_LENGTH;
            Ok(())
        })?
    };
    Ok(address)
}

/// A classic BPF program: passes what [`frame::claim`] may take for a claim to a watched address.
fn filter(v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) -> Vec<SockFilter> {
    let mut program = vec![
        instruction(LOAD_BYTE, PACKET_TYPE),
        SockFilter::new(JUMP_EQUAL, 0, 1, PACKET_OUTGOING),
        instruction(RETURN, 0),
        // A frame of another VLAN on the same wire is none of ours; tag 0 only carries a priority.
        instruction(LOAD_WORD, VLAN_TAG),
        instruction(AND, 0xfff),
        SockFilter::new(JUMP_EQUAL, 1, 0, 0),
        instruction(RETURN, 0),
    ];
    if let Some(v4) = v4 {
        let v4 = u32::from(v4);
        pass_if(&mut program, &[(LOAD_HALF, 12, 0x0806), (LOAD_WORD, 28, v4)]);
        pass_if(&mut program, &[(LOAD_HALF, 12, 0x0800), (LOAD_BYTE, 23, 1), (LOAD_WORD, 26, v4)]);
    }
    if let Some(v6) = v6 {
        let [.., a, b, c, d] = v6.octets();
        let tail = u32::from_be_bytes([a, b, c, d]);
        let icmpv6 = [(LOAD_HALF, 12, 0x86dd), (LOAD_BYTE, 20, 58)];
        pass_if(&mut program, &[&icmpv6[..], &[(LOAD_BYTE, 54, 136), (LOAD_WORD, 74, tail)]].concat());
        pass_if(&mut program, &[&icmpv6[..], &[(LOAD_BYTE, 54, 129), (LOAD_WORD, 34, tail)]].concat());
    }
    program.push(instruction(RETURN, 0));
    program
}

/// Passes a frame in which every (load, offset, value) agrees; goes on behind this block otherwise.
fn pass_if(program: &mut Vec<SockFilter>, conditions: &[(u16, u32, u32)]) {
    for (number, (load, offset, value)) in conditions.iter().enumerate() {
        let rest = (conditions.len() - number - 1) * 2 + 1;
        program.push(instruction(*load, *offset));
        program.push(SockFilter::new(JUMP_EQUAL, 0, u8::try_from(rest).unwrap_or(u8::MAX), *value));
    }
    program.push(instruction(RETURN, u32::MAX));
}

fn instruction(code: u16, operand: u32) -> SockFilter {
    SockFilter::new(code, 0, 0, operand)
}

const ETH_P_ALL: u16 = 3;
const LINK_ADDRESS_LENGTH: libc::socklen_t = 20;

// linux/bpf_common.h, linux/filter.h, linux/if_packet.h
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const AND: u16 = 0x54;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const PACKET_TYPE: u32 = 0xffff_f000 + 4;
const VLAN_TAG: u32 = 0xffff_f000 + 44;
const PACKET_OUTGOING: u32 = 4;
