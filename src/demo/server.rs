//! What each member serves at the DMZ address: UDP answers with its number, and a web page with its name.
//!
//! The server is there all the time, bound to the address whether the member has it or not (`IP_FREEBIND`), so that
//! a fault of the daemon is never a fault of the service.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{Domain, Socket, Type};

use super::member::Member;
use super::net::{DMZ, DMZ_V6, HTTP_PORT, Machine, PROBE_PORT};
use super::worker::{PATIENCE, Stop, Worker};

/// The bytes of a probe: its sequence number; an answer repeats them and adds the member's index.
pub const PROBE: usize = 8;

/// Starts a member's server.
///
/// # Errors
/// When its ports cannot be had.
pub fn start(member: Member) -> Result<Worker> {
    Worker::start(Machine::Member(member), listen, move |sockets, stop| serve(member, &sockets, stop))
}

const BACKLOG: i32 = 16;

struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
    tcp_v6: TcpListener,
}

fn listen() -> Result<Sockets> {
    let udp = freebound(Type::DGRAM, (DMZ, PROBE_PORT)).context("the probe port")?;
    let tcp = freebound(Type::STREAM, (DMZ, HTTP_PORT)).context("the web port")?;
    let tcp_v6 = freebound(Type::STREAM, (DMZ_V6, HTTP_PORT)).context("the web port for IPv6")?;
    tcp.listen(BACKLOG).context("the web port")?;
    tcp_v6.listen(BACKLOG).context("the web port for IPv6")?;
    Ok(Sockets { udp: udp.into(), tcp: tcp.into(), tcp_v6: tcp_v6.into() })
}

fn freebound(kind: Type, address: impl Into<SocketAddr>) -> std::io::Result<Socket> {
    let address = address.into();
    let socket = Socket::new(Domain::for_address(address), kind, None)?;
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => socket.set_freebind_v6(true)?,
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn serve(member: Member, sockets: &Sockets, stop: &Stop) {
    while !stop.requested() {
        let mut ready = [
            PollFd::new(&sockets.udp, PollFlags::IN),
            PollFd::new(&sockets.tcp, PollFlags::IN),
            PollFd::new(&sockets.tcp_v6, PollFlags::IN),
        ];
        if poll(&mut ready, Some(&PATIENCE)).is_err() {
            continue;
        }
        answer_probes(member, &sockets.udp);
        for (stream, _) in [&sockets.tcp, &sockets.tcp_v6].into_iter().filter_map(|web| web.accept().ok()) {
            // A visitor who leaves early is no concern of the next one.
            let _ = greet(member, stream);
        }
    }
}

fn answer_probes(member: Member, udp: &UdpSocket) {
    let mut buffer = [0; PROBE + 1];
    while let Ok((PROBE, sender)) = udp.recv_from(&mut buffer) {
        buffer[PROBE] = u8::try_from(member.index()).unwrap_or(u8::MAX);
        // The address may have left between question and answer; the client counts what it misses.
        let _ = udp.send_to(&buffer, sender);
    }
}

fn greet(member: Member, mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
    let _ = stream.read(&mut [0; 1024])?;
    let page = format!("{member}\n");
    write!(stream, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{page}", page.len())
}
