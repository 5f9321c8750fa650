//! A raw Ethernet socket on one interface, for the witnesses' ARP questions.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::net::Ipv4Addr;

use socket2::{Domain, Protocol, SockAddr, SockFilter, Socket, Type};

use crate::units::Mac;

/// A question's or answer's whole frame.
pub const FRAME: usize = 42;

/// Opens a socket that sends frames out of an interface and gets the ARP answers for `target` that come in by it,
/// before a bridge takes them.
///
/// # Errors
/// When the interface does not exist or raw sockets are not allowed.
pub fn arp_socket(interface: &str, target: Ipv4Addr) -> io::Result<Socket> {
    // Only a socket for all protocols sees frames of a bridge's port; the filter keeps it from seeing too many.
    let all = u16::try_from(libc::ETH_P_ALL).map_err(io::Error::other)?.to_be();
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(0)))?;
    socket.attach_filter(&answers_for(target))?;
    let index = rustix::net::netdevice::name_to_index(&socket, interface)?;
    // SAFETY: `sockaddr_ll` is smaller than `sockaddr_storage`, properly aligned in it, valid when zeroed (which the
    // storage is), and the length given is its own.
    let ((), address) = unsafe {
        SockAddr::try_init(|storage, length| {
            let link = &mut *storage.cast::<libc::sockaddr_ll>();
            link.sll_family = u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
            link.sll_protocol = all;
            link.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
            *length = u32::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
            Ok(())
        })
    }?;
    socket.bind(&address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The frame that asks who has `target`, in the name of `asker` (RFC 826).
pub fn who_has(target: Ipv4Addr, asker: (Mac, Ipv4Addr)) -> [u8; FRAME] {
    let (mac, address) = asker;
    let mut frame = [0; FRAME];
    frame[0..6].fill(0xff);
    frame[6..12].copy_from_slice(&mac.0);
    frame[12..22].copy_from_slice(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&mac.0);
    frame[28..32].copy_from_slice(&address.octets());
    frame[38..42].copy_from_slice(&target.octets());
    frame
}

/// The asker's hardware address, if this frame answers a question for `target`.
pub fn answer_for(target: Ipv4Addr, frame: &[u8]) -> Option<Mac> {
    let is_reply = frame.get(12..22)? == [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 2];
    let about_target = *frame.get(28..32)? == target.octets();
    let asker = frame.get(32..38)?.try_into().ok()?;
    (is_reply && about_target).then_some(Mac(asker))
}

/// The classic BPF program that lets through ARP replies whose sender address is `target`.
fn answers_for(target: Ipv4Addr) -> [SockFilter; 8] {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    let load = |code, offset| SockFilter::new(code, 0, 0, offset);
    let unless = |value, skip| SockFilter::new(JUMP_IF_EQUAL, 0, skip, value);
    let give = |bytes| SockFilter::new(RETURN, 0, 0, bytes);
    [
        load(LOAD_HALF, 12),
        unless(0x0806, 5),
        load(LOAD_HALF, 20),
        unless(2, 3),
        load(LOAD_WORD, 28),
        unless(target.to_bits(), 1),
        give(u32::MAX),
        give(0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const ASKER: (Mac, Ipv4Addr) = (Mac([2, 0, 0, 0, 0, 9]), Ipv4Addr::new(10, 0, 0, 9));

    fn reply() -> [u8; FRAME] {
        let mut frame = who_has(TARGET, ASKER);
        frame[21] = 2;
        frame[28..32].copy_from_slice(&TARGET.octets());
        frame[32..38].copy_from_slice(&ASKER.0.0);
        frame
    }

    #[test]
    fn an_answer_names_the_asker() {
        assert_eq!(answer_for(TARGET, &reply()), Some(ASKER.0));
    }

    #[test]
    fn questions_other_targets_and_short_frames_are_no_answers() {
        assert_eq!(answer_for(TARGET, &who_has(TARGET, ASKER)), None);
        assert_eq!(answer_for(Ipv4Addr::new(10, 0, 0, 2), &reply()), None);
        assert_eq!(answer_for(TARGET, &reply()[..37]), None);
    }
}
