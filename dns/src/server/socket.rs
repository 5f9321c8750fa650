//! What all listening sockets have in common.

use std::io;
use std::net::SocketAddr;

use socket2::Socket;

/// Lets a socket be bound to an address that is not there yet, again at once after a restart, and to IPv6 alone where the
/// address is one.
pub(super) fn prepare(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.set_reuse_address(true)?;
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true),
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)
        }
    }
}
