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
use super::net::{DMZ, HTTP_PORT, Machine, PROBE_PORT};
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

struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
}

fn listen() -> Result<Sockets> {
    let udp = freebound(Type::DGRAM, PROBE_PORT).context("the probe port")?;
    let tcp = freebound(Type::STREAM, HTTP_PORT).context("the web port")?;
    tcp.listen(16).context("the web port")?;
    Ok(Sockets { udp: udp.into(), tcp: tcp.into() })
}

fn freebound(kind: Type, port: u16) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, kind, None)?;
    socket.set_freebind_v4(true)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((DMZ, port)).into())?;
    Ok(socket)
}

fn serve(member: Member, sockets: &Sockets, stop: &Stop) {
    while !stop.requested() {
        let mut ready = [PollFd::new(&sockets.udp, PollFlags::IN), PollFd::new(&sockets.tcp, PollFlags::IN)];
        if poll(&mut ready, Some(&PATIENCE)).is_err() {
            continue;
        }
        answer_probes(member, &sockets.udp);
        if let Ok((stream, _)) = sockets.tcp.accept() {
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
