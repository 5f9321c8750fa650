//! Datagrams, received and sent several at a time.
//!
//! One system call takes what is waiting and one sends the answers. On a socket that is bound to no address in particular
//! each datagram comes with the address that it was sent to, and its answer leaves from there. The only file of the crate
//! that is `unsafe`: the system calls take pointers to buffers that live as long as the [`Batch`].

#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Datagrams taken in one go: enough to save most system calls under load, and what one thread answers in a tenth of a
/// millisecond.
pub(super) const BATCH: usize = 16;
/// The octets that a datagram can have at most. Memory that no datagram has filled yet is none: the system gives it when it
/// is written to.
const MAX_DATAGRAM: usize = u16::MAX as usize;

/// Room for some datagrams and their answers.
pub(super) struct Batch {
    slots: Box<[Slot]>,
}

/// The place of one datagram.
pub(super) struct Slot {
    peer: libc::sockaddr_storage,
    peer_len: libc::socklen_t,
    control: Control,
    control_len: usize,
    octets: Box<[u8]>,
    len: usize,
    /// The answer; nothing is sent while it is empty.
    pub(super) answer: Vec<u8>,
}

/// Which of our addresses a datagram was sent to, and leaves from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Local {
    /// The one that the socket is bound to.
    Bound,
    /// This one.
    V4(Ipv4Addr),
    /// This one, on the interface with this index where the address is link-local.
    V6(Ipv6Addr, u32),
}

/// Room for the control message of either family, aligned as the kernel wants it.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; 64]);

impl Batch {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { slots: (0..BATCH).map(|_| Slot::new()).collect() }
    }

    /// Waits for a datagram and takes what has come until then; the slots that were filled.
    #[allow(clippy::unnecessary_cast, reason = "the length has other types with other C libraries")]
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<&mut [Slot]> {
        // SAFETY: all bytes of these may be zero: no pointers, no lengths.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        for ((header, vector), slot) in headers.iter_mut().zip(&mut vectors).zip(&mut self.slots) {
            vector.iov_base = slot.octets.as_mut_ptr().cast();
            vector.iov_len = slot.octets.len();
            header.msg_hdr.msg_name = ptr::from_mut(&mut slot.peer).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = slot.control.0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = slot.control.0.len() as _;
        }
        // SAFETY: the headers point into the slots and the vectors, which outlive the call, with their true lengths.
        let received = unsafe {
            let count = BATCH as libc::c_uint;
            libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, libc::MSG_WAITFORONE as _, ptr::null_mut())
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (header, slot) in headers[..received].iter().zip(&mut self.slots) {
            slot.len = (header.msg_len as usize).min(slot.octets.len());
            slot.peer_len = header.msg_hdr.msg_namelen;
            slot.control_len = (header.msg_hdr.msg_controllen as usize).min(slot.control.0.len());
            slot.answer.clear();
        }
        Ok(&mut self.slots[..received])
    }
}

impl Slot {
    fn new() -> Self {
        Self {
            // SAFETY: all bytes of a socket address may be zero: of no family.
            peer: unsafe { zeroed() },
            peer_len: 0,
            control: Control([0; 64]),
            control_len: 0,
            octets: vec![0; MAX_DATAGRAM].into(),
            len: 0,
            answer: Vec::new(),
        }
    }

    /// The datagram, and the place of its answer.
    pub(super) fn query(&mut self) -> (&[u8], &mut Vec<u8>) {
        (&self.octets[..self.len], &mut self.answer)
    }

    /// Who sent it. Nothing when there was no datagram: the socket is shut.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        let from = ptr::from_ref(&self.peer);
        match i32::from(self.peer.ss_family) {
            _ if self.peer_len == 0 => None,
            libc::AF_INET => {
                // SAFETY: the storage is as large as any address and aligned for all; the kernel wrote one of this family.
                let address = unsafe { &*from.cast::<libc::sockaddr_in>() };
                let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
                Some(SocketAddr::new(ip.into(), u16::from_be(address.sin_port)))
            }
            libc::AF_INET6 => {
                // SAFETY: as above.
                let address = unsafe { &*from.cast::<libc::sockaddr_in6>() };
                let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
                let port = u16::from_be(address.sin6_port);
                Some(SocketAddrV6::new(ip, port, 0, address.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    /// The address that it was sent to.
    pub(super) fn local(&self) -> Local {
        let header = size_of::<libc::cmsghdr>();
        let Some(data) = self.control.0.get(header..self.control_len) else { return Local::Bound };
        // SAFETY: the control buffer is aligned for a header, which fits into it, and any bytes are one.
        let kind = unsafe { &*self.control.0.as_ptr().cast::<libc::cmsghdr>() };
        match (kind.cmsg_level, kind.cmsg_type) {
            // `in_pktinfo`: the interface, the local address, the address in the header.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => match data {
                [_, _, _, _, a, b, c, d, ..] => Local::V4(Ipv4Addr::new(*a, *b, *c, *d)),
                _ => Local::Bound,
            },
            // `in6_pktinfo`: the address, the interface.
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => match data.first_chunk::<20>() {
                Some(data) => {
                    let (address, index) = data.split_at(16);
                    let address: [u8; 16] = address.try_into().unwrap_or_default();
                    let index = u32::from_ne_bytes(index.try_into().unwrap_or_default());
                    Local::V6(address.into(), index)
                }
                None => Local::Bound,
            },
            _ => Local::Bound,
        }
    }
}

/// Sends the answers that are there; how many could not be sent.
pub(super) fn send(socket: BorrowedFd<'_>, slots: &mut [Slot]) -> usize {
    // SAFETY: all bytes of these may be zero: no pointers, no lengths.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
    // SAFETY: as above.
    let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
    let mut count = 0;
    for slot in slots.iter_mut().filter(|slot| !slot.answer.is_empty()).take(BATCH) {
        slot.control_len = write_control(slot.local(), &mut slot.control);
        let (header, vector) = (&mut headers[count].msg_hdr, &mut vectors[count]);
        vector.iov_base = slot.answer.as_mut_ptr().cast();
        vector.iov_len = slot.answer.len();
        header.msg_name = ptr::from_mut(&mut slot.peer).cast();
        header.msg_namelen = slot.peer_len;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        if slot.control_len > 0 {
            header.msg_control = slot.control.0.as_mut_ptr().cast();
            header.msg_controllen = slot.control_len as _;
        }
        count += 1;
    }
    let (mut sent, mut failed) = (0, 0);
    while sent < count {
        let rest = &mut headers[sent..count];
        // SAFETY: the headers point into the slots and the vectors, which outlive the call, with their true lengths.
        let result = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as libc::c_uint, 0) };
        match usize::try_from(result) {
            Ok(more) if more > 0 => sent += more,
            _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            // The first of the rest could not be sent: its client is gone, or our address is.
            _ => (sent, failed) = (sent + 1, failed + 1),
        }
    }
    failed
}

/// Sends one datagram.
pub(super) fn send_one(socket: BorrowedFd<'_>, octets: &[u8], peer: SocketAddr, local: Local) -> io::Result<()> {
    let peer = socket2::SockAddr::from(peer);
    let mut control = Control([0; 64]);
    let control_len = write_control(local, &mut control);
    // SAFETY: all bytes of a header may be zero: no pointers, no lengths.
    let mut header: libc::msghdr = unsafe { zeroed() };
    let mut vector = libc::iovec { iov_base: octets.as_ptr().cast_mut().cast(), iov_len: octets.len() };
    header.msg_name = peer.as_ptr().cast_mut().cast();
    header.msg_namelen = peer.len();
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    if control_len > 0 {
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = control_len as _;
    }
    // SAFETY: the header points to values that outlive the call, with their true lengths; the call writes to none of them.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const header, 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Asks the system to say of each datagram which address it was sent to.
pub(super) fn tell_local(socket: BorrowedFd<'_>, is_v6: bool) -> io::Result<()> {
    let (level, option) =
        if is_v6 { (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO) } else { (libc::IPPROTO_IP, libc::IP_PKTINFO) };
    let on: libc::c_int = 1;
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value outlives the call, with its true length.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(&on).cast(), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Writes the control message that makes a datagram leave from `local`; its length, zero for none.
fn write_control(local: Local, control: &mut Control) -> usize {
    let (level, kind, data, len) = match local {
        Local::Bound => return 0,
        Local::V4(address) => {
            let mut data = [0; 20];
            data[4..8].copy_from_slice(&address.octets());
            (libc::IPPROTO_IP, libc::IP_PKTINFO, data, size_of::<libc::in_pktinfo>())
        }
        Local::V6(address, index) => {
            let mut data = [0; 20];
            data[..16].copy_from_slice(&address.octets());
            // The route chooses the interface, except where the address says nothing without one.
            let index = if address.is_unicast_link_local() { index } else { 0 };
            data[16..].copy_from_slice(&index.to_ne_bytes());
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, data, size_of::<libc::in6_pktinfo>())
        }
    };
    let front = size_of::<libc::cmsghdr>();
    // SAFETY: all bytes of a header may be zero.
    let mut header: libc::cmsghdr = unsafe { zeroed() };
    (header.cmsg_len, header.cmsg_level, header.cmsg_type) = ((front + len) as _, level, kind);
    // SAFETY: the control buffer is aligned for a header, which fits into it.
    unsafe { control.0.as_mut_ptr().cast::<libc::cmsghdr>().write(header) };
    control.0[front..front + len].copy_from_slice(&data[..len]);
    (front + len).next_multiple_of(size_of::<usize>())
}
