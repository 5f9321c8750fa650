//! DNS over UDP: threads that answer, each with a socket of its own.
//!
//! The kernel spreads the clients over the sockets of an address (`SO_REUSEPORT`), so the threads share nothing but what
//! [`Front`] publishes. A thread takes the datagrams that have come, answers them and sends the answers; what takes time
//! goes into a bounded queue, and is lost (and counted) when that is full: a client asks again.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::mpsc;

use super::batch::{BATCH, Batch, Local, Slot, send, send_one, tell_local};
use super::counters::{Count, Counters, Totals};
use super::socket::prepare;
use super::{Asked, Client, Front, Now, Taken};
use crate::clock;
use crate::guard::{Limiter, share};

/// A query that takes time.
#[derive(Debug)]
pub struct Job {
    /// As it came.
    pub octets: Vec<u8>,
    /// The way back.
    pub back: ReturnPath,
}

/// Where the answer to a datagram goes, and where from.
#[derive(Clone, Debug)]
pub struct ReturnPath {
    socket: Arc<Socket>,
    peer: SocketAddr,
    local: Local,
}

/// The threads that answer over UDP. They end when this is dropped, but only [`Udp::stop`] waits for that.
#[derive(Debug)]
pub struct Udp {
    workers: Vec<Worker>,
}

/// Why UDP is not served.
#[derive(Debug, thiserror::Error)]
pub enum UdpError {
    /// Another program has the address, or this one may not have it.
    #[error("cannot listen on {0} over UDP")]
    Bind(SocketAddr, #[source] io::Error),
    /// The system gives us no more threads.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

#[derive(Debug)]
struct Worker {
    address: SocketAddr,
    socket: Arc<Socket>,
    is_stopping: Arc<AtomicBool>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

impl ReturnPath {
    /// Who asked.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Sends the answer.
    ///
    /// # Errors
    /// When the system refuses: the client or our address is gone.
    pub fn send(&self, answer: &[u8]) -> io::Result<()> {
        send_one(self.socket.as_fd(), answer, self.peer, self.local)
    }
}

impl Udp {
    /// Listens on all of these addresses, with so many threads for each, and hands what takes time to `slow`.
    ///
    /// An address need not be there yet. All threads that answer the same port number zero get the same port.
    ///
    /// # Errors
    /// When one cannot be listened on; then none is.
    pub fn start(
        addresses: &[SocketAddr],
        threads: usize,
        front: &Arc<Front>,
        slow: &mpsc::Sender<Job>,
    ) -> Result<Self, UdpError> {
        let mut udp = Self { workers: Vec::new() };
        for address in addresses {
            let mut address = *address;
            for _ in 0..threads.max(1) {
                let worker = Worker::start(address, threads, Arc::clone(front), slow.clone())?;
                address = worker.address;
                udp.workers.push(worker);
            }
        }
        Ok(udp)
    }

    /// The addresses, each once, with their true ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<_> = self.workers.iter().map(|worker| worker.address).collect();
        addresses.dedup();
        addresses
    }

    /// What has been counted so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        self.workers.iter().for_each(|worker| totals.add(&worker.counters));
        totals
    }

    /// Ends when the queries that have come are answered.
    pub fn stop(mut self) {
        self.workers.iter().for_each(Worker::shut);
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Udp {
    fn drop(&mut self) {
        self.workers.iter().for_each(Worker::shut);
    }
}

impl Worker {
    fn start(
        address: SocketAddr,
        threads: usize,
        front: Arc<Front>,
        slow: mpsc::Sender<Job>,
    ) -> Result<Self, UdpError> {
        let socket = open(address).map_err(|error| UdpError::Bind(address, error))?;
        let bound = socket.local_addr().ok().and_then(|bound| bound.as_socket()).unwrap_or(address);
        let (socket, is_stopping) = (Arc::new(socket), Arc::new(AtomicBool::new(false)));
        let counters = Arc::new(Counters::default());
        let thread = Thread {
            socket: Arc::clone(&socket),
            is_stopping: Arc::clone(&is_stopping),
            counters: Arc::clone(&counters),
            front,
            slow,
            threads,
            limiter: None,
        };
        let builder = std::thread::Builder::new().name(format!("dns udp {}", bound.port())).stack_size(STACK);
        let thread = builder.spawn(move || thread.run()).map_err(UdpError::Thread)?;
        Ok(Self { address: bound, socket, is_stopping, counters, thread: Some(thread) })
    }

    /// Lets the thread end: a socket that is shut gives out what has come, and then nothing at once.
    fn shut(&self) {
        self.is_stopping.store(true, Ordering::Release);
        // An unconnected socket says that it is not connected, and is shut all the same.
        let _ = self.socket.shutdown(std::net::Shutdown::Read);
    }
}

/// What a thread works with.
struct Thread {
    socket: Arc<Socket>,
    is_stopping: Arc<AtomicBool>,
    counters: Arc<Counters>,
    front: Arc<Front>,
    slow: mpsc::Sender<Job>,
    /// Those that share the address, and its rate.
    threads: usize,
    limiter: Option<(u32, Limiter)>,
}

impl Thread {
    fn run(mut self) {
        let mut batch = Batch::new();
        let socket = Arc::clone(&self.socket);
        let mut last = LAST_BATCHES;
        while last > 0 {
            if self.is_stopping.load(Ordering::Acquire) {
                last -= 1;
            }
            match batch.receive(socket.as_fd()) {
                Ok(slots) => {
                    if !self.answer(slots) && self.is_stopping.load(Ordering::Acquire) {
                        return;
                    }
                    self.counters.add_many(Count::Unsent, send(socket.as_fd(), slots) as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if self.is_stopping.load(Ordering::Acquire) => return,
                // Memory is short, most likely: the queue of the socket waits.
                Err(error) => {
                    tracing::warn!(%error, "cannot receive queries over UDP");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    /// Answers what has come; whether anything has.
    fn answer(&mut self, slots: &mut [Slot]) -> bool {
        let (zones, policy) = (self.front.zones(), self.front.policy.load());
        let now = Now { wall_secs: clock::wall_secs(), millis: clock::millis() };
        set_rate(&mut self.limiter, policy.rate.map(|rate| share(rate, self.threads)));
        let mut has_any = false;
        for slot in slots {
            let (Some(peer), local) = (slot.peer(), slot.local()) else { continue };
            has_any = true;
            self.counters.add(Count::Queries);
            // Nobody asks from port zero; somebody may want us to answer there.
            if peer.port() == 0 {
                self.counters.add(Count::Dropped);
                continue;
            }
            let (octets, answer) = slot.query();
            let asked = Asked { octets, client: Client { address: peer, is_datagram: true }, now };
            let limiter = self.limiter.as_mut().map(|(_, limiter)| limiter);
            let taken = policy.take(&zones, asked, limiter, answer);
            self.counters.note(taken, answer);
            self.front.log(asked, answer, taken);
            if taken == Taken::Slow {
                let back = ReturnPath { socket: Arc::clone(&self.socket), peer, local };
                if self.slow.try_send(Job { octets: octets.to_vec(), back }).is_err() {
                    self.counters.add(Count::SlowLost);
                }
            }
        }
        has_any
    }
}

/// Keeps a limiter for the rate that is wanted now; its key is drawn when it is made.
pub(super) fn set_rate(limiter: &mut Option<(u32, Limiter)>, rate: Option<u32>) {
    if limiter.as_ref().map(|(rate, _)| *rate) == rate {
        return;
    }
    *limiter = rate.map(|rate| (rate, Limiter::new(rate, clock::seed())));
}

/// A socket for an address, which may come and go.
fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    prepare(&socket, address)?;
    socket.set_reuse_port(true)?;
    // Larger than the system's default; what the system allows is what we get.
    let _ = socket.set_recv_buffer_size(QUEUE);
    // Path MTUs that anybody may forge are not believed; our answers fit everywhere (RFC 9715).
    match address {
        SocketAddr::V4(_) => sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::OMIT)?,
        SocketAddr::V6(_) => sockopt::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::OMIT)?,
    }
    if address.ip().is_unspecified() {
        tell_local(socket.as_fd(), address.is_ipv6())?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

/// The octets of stack of a thread; the deepest way down is one frame for each label of a name.
const STACK: usize = 256 * 1024;
/// The octets of queries that may wait in a socket.
const QUEUE: usize = 1 << 20;
/// What the kernel counts for a datagram at least, in octets; it allows twice of what it is asked for.
const LEAST_DATAGRAM: usize = 512;
/// Batches that are answered after the end has come: more than what had come can be. A socket that is shut goes on
/// receiving, and a flood would never end.
const LAST_BATCHES: usize = 2 * QUEUE / LEAST_DATAGRAM / BATCH;
/// How long a thread leaves a socket alone that gives errors.
const PAUSE: Duration = Duration::from_millis(100);
