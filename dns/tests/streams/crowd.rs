//! Many connections.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use dns::server::streams::{Limits, Transport};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

use crate::kit::{Server, answered, ask, query, receive};

/// What one idle connection may cost, in octets of this process; what the kernel keeps comes on top.
const IDLE_COST: u64 = 8 * 1024;

#[tokio::test]
async fn one_network_cannot_take_all_places() {
    let server = Server::start(Limits { connections: 3, per_network: 2, ..Limits::default() });
    let mut first = connect(&server, [127, 0, 1, 1]);
    let mut second = connect(&server, [127, 0, 1, 2]);
    server.until(|totals| totals.open == 2).await;
    assert_eq!(receive(&mut connect(&server, [127, 0, 1, 3])).await, None);
    let mut other = connect(&server, [127, 0, 2, 1]);
    for stream in [&mut first, &mut second, &mut other] {
        assert_eq!(answered(&ask(stream, &query(1)).await.expect("an answer")), 1);
    }
    assert_eq!(receive(&mut connect(&server, [127, 0, 3, 1])).await, None);
    assert_eq!(server.streams.totals().refused, 2);
    drop(first);
    server.until(|totals| totals.open == 2).await;
    assert!(ask(&mut connect(&server, [127, 0, 3, 1]), &query(1)).await.is_some());
}

#[tokio::test]
async fn ten_thousand_idle_connections_cost_little() {
    const COUNT: u64 = 10_000;
    let server = Server::start(Limits::default());
    let before = resident();
    let (mut shelf, mut idle, mut talking) = (Shelf::new(), Vec::new(), Vec::new());
    for number in 0..COUNT {
        let stream = connect(&server, [127, 1, (number / 400) as u8, 1]);
        match number % 1_000 {
            0 => talking.push(stream),
            _ => idle.push(stream),
        }
        if idle.len() == Shelf::ROOM || number == COUNT - 1 {
            shelf.put(&std::mem::take(&mut idle));
            server.until(|totals| totals.open == number + 1).await;
        }
    }
    for stream in &mut talking {
        assert_eq!(answered(&ask(stream, &query(7)).await.expect("an answer")), 7);
    }
    let cost = resident().saturating_sub(before) / COUNT;
    assert!(cost < IDLE_COST, "an idle connection costs {cost} octets");
    assert_eq!((server.streams.totals().open, server.streams.totals().refused), (COUNT, 0));
}

/// Keeps the clients' sockets open outside of the table of descriptors, which has no room for both sides of so many
/// connections: they lie in messages that nobody receives.
struct Shelf {
    to: UnixStream,
    _from: UnixStream,
}

impl Shelf {
    /// Descriptors that fit into one message.
    const ROOM: usize = 250;

    fn new() -> Self {
        let (to, from) = UnixStream::pair().expect("two ends");
        to.set_nonblocking(true).expect("set");
        Self { to, _from: from }
    }

    fn put(&mut self, streams: &[TcpStream]) {
        let descriptors: Vec<_> = streams.iter().map(AsFd::as_fd).collect();
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(Self::ROOM))];
        let mut buffer = SendAncillaryBuffer::new(&mut space);
        assert!(buffer.push(SendAncillaryMessage::ScmRights(&descriptors)));
        sendmsg(&self.to, &[IoSlice::new(b"x")], &mut buffer, SendFlags::empty()).expect("room for all");
    }
}

fn connect(server: &Server, from: [u8; 4]) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("an address of loopback");
    socket.connect(&server.address(Transport::Tcp).into()).expect("connected");
    socket.set_nonblocking(true).expect("set");
    TcpStream::from_std(socket.into()).expect("a stream")
}

/// What this process has in memory, in octets; the clients' side counts as well.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
