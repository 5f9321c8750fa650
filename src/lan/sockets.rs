//! The site's UDP sockets: one per IP family in use, bound to the LAN interface.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

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
    pub mark: u32,
}

/// Sends to the group, to peers and to single members, and receives from all of them.
#[derive(Debug)]
pub(super) struct Sockets {
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
    group: Vec<SocketAddr>,
    own: Option<IpAddr>,
}

/// One byte more than any datagram has, so that a longer packet is seen to be one.
pub(super) type Buffer = [u8; MAX_DATAGRAM + 1];

impl Sockets {
    pub(super) fn open(wanted: &Wanted) -> io::Result<Sockets> {
        let v4 = match wanted.group_v4 {
            Some(group) => {
                let socket = plain(Domain::IPV4, wanted)?;
                socket.set_multicast_ttl_v4(1)?;
                socket.set_multicast_loop_v4(false)?;
                socket.set_tos_v4(TRAFFIC_CLASS)?;
                socket.set_broadcast(wanted.broadcast.is_some())?;
                socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, group.port())).into())?;
                socket.join_multicast_v4_n(group.ip(), &InterfaceIndexOrAddress::Index(wanted.index))?;
                Some(UdpSocket::from_std(socket.into())?)
            }
            None => None,
        };
        let v6 = match wanted.group_v6 {
            Some(group) => {
                let socket = plain(Domain::IPV6, wanted)?;
                socket.set_only_v6(true)?;
                socket.set_multicast_hops_v6(1)?;
                socket.set_multicast_loop_v6(false)?;
                socket.set_tclass_v6(TRAFFIC_CLASS)?;
                socket.set_multicast_if_v6(wanted.index)?;
                socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, group.port())).into())?;
                socket.join_multicast_v6(group.ip(), wanted.index)?;
                Some(UdpSocket::from_std(socket.into())?)
            }
            None => None,
        };
        let scoped = wanted.group_v6.map(|group| SocketAddrV6::new(*group.ip(), group.port(), 0, wanted.index));
        let mut group: Vec<SocketAddr> = Vec::new();
        group.extend(wanted.group_v4.map(SocketAddr::from));
        group.extend(scoped.map(SocketAddr::from));
        group.extend(wanted.broadcast.map(SocketAddr::from));
        group.extend(&wanted.peers);
        let own = group.first().and_then(|to| source_towards(*to, wanted).ok());
        Ok(Sockets { v4, v6, group, own })
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
        match (&self.v4, &self.v6) {
            (Some(v4), Some(v6)) => tokio::select! {
                ready = v4.readable() => ready,
                ready = v6.readable() => ready,
            },
            (Some(socket), None) | (None, Some(socket)) => socket.readable().await,
            (None, None) => std::future::pending().await,
        }
    }

    /// The next packet, if there is one.
    pub(super) fn try_receive(&self, buffer: &mut Buffer) -> Option<(usize, SocketAddr)> {
        let receive = |socket: &Option<UdpSocket>, buffer: &mut Buffer| {
            socket.as_ref().and_then(|socket| socket.try_recv_from(buffer).ok())
        };
        receive(&self.v4, buffer).or_else(|| receive(&self.v6, buffer))
    }
}

fn plain(domain: Domain, wanted: &Wanted) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    // An observer and a candidate may share a machine.
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(wanted.interface.as_bytes()))?;
    socket.set_mark(wanted.mark)?;
    // Less is not an error: the kernel grants what its limits allow.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    Ok(socket)
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
