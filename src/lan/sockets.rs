//! The site's UDP sockets, bound to the LAN interface.
//!
//! A candidate has one for each IP family in use, at the group's port: it hears the group, and what is sent to its
//! machine. An observer may stand beside a candidate on one machine, whose single datagrams the kernel gives to one
//! socket only: so it hears the group (and broadcasts) at sockets bound to just that, and speaks from a port of its own,
//! at which it is answered. Where members are reached by `peers` alone, an observer is one of them and needs a machine
//! to itself.
//!
//! What is sent to the group comes back to its machine (`IP_MULTICAST_LOOP`), for the member beside it; a candidate's
//! own is dropped by a filter in the kernel and does not wake it.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::task::Poll;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockFilter, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use crate::election::Role;
use crate::wire::MAX_DATAGRAM;

/// A burst of datagrams from a large site waits here instead of being lost.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Network control (RFC 4594): switches and access points send it first.
const TRAFFIC_CLASS: u32 = 0xc0;

/// What the sockets are made from.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub interface: String,
    pub index: u32,
    pub group_v4: Option<SocketAddrV4>,
    pub group_v6: Option<SocketAddrV6>,
    pub peers: Vec<SocketAddr>,
    pub broadcast: Option<SocketAddrV4>,
    /// What lets a beacon renew the lease; none at an observer.
    pub mark: Option<u32>,
    pub role: Role,
}

impl Wanted {
    /// Whether this is an observer that leaves the group's port on its machine to a candidate.
    fn apart(&self) -> bool {
        self.role == Role::Observer && self.peers.is_empty()
    }

    /// The port to speak from, and to be answered at; zero lets the kernel choose.
    fn own_port(&self, group: u16) -> u16 {
        if self.apart() { 0 } else { group }
    }
}

/// Sends to the group, to peers and to single members, and receives from all of them.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    /// Those that only hear.
    ears: Vec<UdpSocket>,
    group: Vec<SocketAddr>,
    own: Option<IpAddr>,
    /// Which socket is read next: each in turn, so that a flood at one holds up no other.
    turn: Cell<usize>,
}

/// One byte more than any datagram has, so that a longer packet is seen to be one.
pub(super) type Buffer = [u8; MAX_DATAGRAM + 1];

impl Sockets {
    pub(super) fn open(wanted: &Wanted) -> io::Result<Sockets> {
        let v4 = wanted.group_v4.map(|group| open_v4(group, wanted)).transpose()?;
        let v6 = wanted.group_v6.map(|group| open_v6(group, wanted)).transpose()?;
        let (v4, ears4) = v4.unzip();
        let (v6, ears6) = v6.unzip();
        let ears = ears4.into_iter().chain(ears6).flatten().map(watched).collect::<io::Result<_>>()?;
        let (v4, v6) = (v4.map(watched).transpose()?, v6.map(watched).transpose()?);
        let mut group: Vec<SocketAddr> = Vec::new();
        group.extend(wanted.group_v4.map(SocketAddr::from));
        group.extend(wanted.group_v6.map(|group| SocketAddr::from(scoped(group, wanted))));
        group.extend(wanted.broadcast.map(SocketAddr::from));
        group.extend(&wanted.peers);
        let own = group.first().and_then(|to| source_towards(*to, wanted).ok());
        Ok(Sockets { v4, v6, ears, group, own, turn: Cell::new(0) })
    }

    /// The address that this machine's datagrams come from.
    pub(super) fn own_address(&self) -> Option<IpAddr> {
        self.own
    }

    /// Sends to everybody; good if it left for anybody.
    pub(super) fn send_to_group(&self, bytes: &[u8]) -> io::Result<()> {
        let mut result = Err(io::ErrorKind::NotConnected.into());
        for to in &self.group {
            let sent = self.send_to(bytes, *to);
            if result.is_err() {
                result = sent;
            }
        }
        result
    }

    /// Sends to one member.
    pub(super) fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        let socket = if to.is_ipv4() { &self.v4 } else { &self.v6 };
        let socket = socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        // Straight to the kernel: tokio's own readiness would hold back the send after an unrelated full buffer.
        SockRef::from(socket).send_to(bytes, &to.into()).map(|_| ())
    }

    /// Waits until a packet is there. Cancel-safe.
    pub(super) async fn readable(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| {
            let ready = self.all().find_map(|socket| match socket.poll_recv_ready(cx) {
                Poll::Ready(ready) => Some(ready),
                Poll::Pending => None,
            });
            ready.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// The next packet, if there is one.
    pub(super) fn try_receive(&self, buffer: &mut Buffer) -> Option<(usize, SocketAddr)> {
        let count = self.all().count();
        let first = self.turn.get();
        for turn in first..first + count {
            let socket = self.all().nth(turn % count)?;
            if let Ok(received) = socket.try_recv_from(buffer) {
                self.turn.set((turn + 1) % count);
                return Some(received);
            }
        }
        None
    }

    fn all(&self) -> impl Iterator<Item = &UdpSocket> {
        self.v4.iter().chain(&self.v6).chain(&self.ears)
    }
}

/// The socket that speaks, and those that only hear.
fn open_v4(group: SocketAddrV4, wanted: &Wanted) -> io::Result<(Socket, Vec<Socket>)> {
    let mouth = plain(Domain::IPV4, wanted)?;
    mouth.set_multicast_ttl_v4(1)?;
    mouth.set_multicast_loop_v4(true)?;
    mouth.set_tos_v4(TRAFFIC_CLASS)?;
    mouth.set_broadcast(wanted.broadcast.is_some())?;
    mouth.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, wanted.own_port(group.port()))).into())?;
    let join = |socket: &Socket| socket.join_multicast_v4_n(group.ip(), &InterfaceIndexOrAddress::Index(wanted.index));
    if !wanted.apart() {
        join(&mouth)?;
        return Ok((mouth, Vec::new()));
    }
    let ear = hearing(group.into(), wanted)?;
    join(&ear)?;
    let broadcasts = wanted.broadcast.map(|all| hearing(all.into(), wanted)).transpose()?;
    Ok((mouth, std::iter::once(ear).chain(broadcasts).collect()))
}

/// As [`open_v4`].
fn open_v6(group: SocketAddrV6, wanted: &Wanted) -> io::Result<(Socket, Vec<Socket>)> {
    let mouth = plain(Domain::IPV6, wanted)?;
    mouth.set_only_v6(true)?;
    mouth.set_multicast_hops_v6(1)?;
    mouth.set_multicast_loop_v6(true)?;
    mouth.set_tclass_v6(TRAFFIC_CLASS)?;
    mouth.set_multicast_if_v6(wanted.index)?;
    mouth.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, wanted.own_port(group.port()))).into())?;
    if !wanted.apart() {
        mouth.join_multicast_v6(group.ip(), wanted.index)?;
        return Ok((mouth, Vec::new()));
    }
    let ear = hearing(scoped(group, wanted).into(), wanted)?;
    ear.join_multicast_v6(group.ip(), wanted.index)?;
    Ok((mouth, vec![ear]))
}

/// A socket that hears what is sent to this address, and nothing else.
fn hearing(address: SocketAddr, wanted: &Wanted) -> io::Result<Socket> {
    let socket = plain(Domain::for_address(address), wanted)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

fn scoped(group: SocketAddrV6, wanted: &Wanted) -> SocketAddrV6 {
    SocketAddrV6::new(*group.ip(), group.port(), 0, wanted.index)
}

fn watched(socket: Socket) -> io::Result<UdpSocket> {
    UdpSocket::from_std(socket.into())
}

fn plain(domain: Domain, wanted: &Wanted) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    // An observer and a candidate may share a machine.
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(wanted.interface.as_bytes()))?;
    if let Some(mark) = wanted.mark {
        socket.set_mark(mark)?;
        socket.attach_filter(&not_marked(mark))?;
    }
    // Less is not an error: the kernel grants what its limits allow.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(socket)
}

/// A classic BPF program: passes what does not bear this mark. A mark never leaves its machine, and no other program
/// knows ours.
fn not_marked(mark: u32) -> [SockFilter; 4] {
    // linux/bpf_common.h, linux/filter.h
    const LOAD_WORD: u16 = 0x20;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const MARK: u32 = 0xffff_f000 + 20;
    [
        SockFilter::new(LOAD_WORD, 0, 0, MARK),
        SockFilter::new(JUMP_EQUAL, 0, 1, mark),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

/// The source address that the kernel chooses; a connected UDP socket knows it, and sends nothing.
fn source_towards(to: SocketAddr, wanted: &Wanted) -> io::Result<IpAddr> {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind_device(Some(wanted.interface.as_bytes()))?;
    socket.connect(&to.into())?;
    let own = socket.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok(own.ip())
}

/// The machine's address in `members` form: without a port, for people.
pub(super) fn plain_address(address: SocketAddr) -> IpAddr {
    address.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_on_one_family_does_not_hold_up_the_other() {
        let v4 = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let v6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
        let flood = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let member = std::net::UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
        for _ in 0..50 {
            flood.send_to(b"noise", v4.local_addr().unwrap()).unwrap();
        }
        member.send_to(b"word", v6.local_addr().unwrap()).unwrap();
        v4.readable().await.unwrap();
        v6.readable().await.unwrap();
        let (group, own, turn) = (Vec::new(), None, Cell::new(0));
        let sockets = Sockets { v4: Some(v4), v6: Some(v6), ears: Vec::new(), group, own, turn };
        let mut buffer: Buffer = [0; MAX_DATAGRAM + 1];
        let mut lengths = std::iter::repeat_with(|| sockets.try_receive(&mut buffer).map(|(length, _)| length));
        assert_eq!(lengths.by_ref().take(3).collect::<Vec<_>>(), [Some(5), Some(4), Some(5)]);
        assert_eq!(lengths.by_ref().take_while(Option::is_some).count(), 48, "nothing is lost");
    }
}
