//! Somebody on the internet who asks the site something every millisecond and writes down who answered when.
//!
//! Probes leave on an absolute schedule from a thread of their own, so that one late probe does not delay the next.
//! **Invariant:** the record holds at most [`MAX_PROBES`]; the oldest go first.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec};

use super::measure::{Answer, Probe};
use super::member::Member;
use super::net::{HTTP_PORT, Lan, Machine, PROBE_PORT, PUBLIC};
use super::server::PROBE;
use super::worker::{Stop, Worker};
use crate::clock;
use crate::units::Time;

/// The time between two probes.
pub const PERIOD: Duration = Duration::from_millis(1);
/// Ten minutes of probes are kept.
pub const MAX_PROBES: usize = 600_000;

/// The running client.
#[derive(Debug)]
pub struct Client {
    record: Shared,
    _sender: Worker,
    _receiver: Worker,
}

impl Client {
    /// Starts probing.
    ///
    /// # Errors
    /// When its socket cannot be had.
    pub fn start(lan: &Lan) -> Result<Client> {
        let socket = lan.within(Machine::Client, connect)??;
        let record = Shared::default();
        let (ears, mouth) = (socket.try_clone().context("the client's socket")?, socket);
        let (heard, told) = (record.clone(), record.clone());
        Ok(Client {
            record,
            _receiver: Worker::start(Machine::Client, || Ok(()), move |(), stop| receive(&ears, &heard, stop))?,
            _sender: Worker::start(Machine::Client, || Ok(()), move |(), stop| send(&mouth, &told, stop))?,
        })
    }

    /// The probes sent since `from`, oldest first.
    pub fn since(&self, from: Time) -> Vec<Probe> {
        let record = self.record.lock();
        let start = record.probes.partition_point(|probe| probe.sent < from);
        record.probes.range(start..).copied().collect()
    }

    /// The last answer, if there was one in the last `span`.
    pub fn last_answer(&self, span: Duration) -> Option<Answer> {
        let record = self.record.lock();
        let recent = usize::try_from(span.as_millis() / PERIOD.as_millis()).unwrap_or(MAX_PROBES);
        record.probes.iter().rev().take(recent).find_map(|probe| probe.answer)
    }
}

/// Asks the site's web page who it is, as seen from the internet: of [`PUBLIC`], or of the DMZ's IPv6 address.
///
/// # Errors
/// When nobody answers within a second, or not with a page.
pub fn fetch(lan: &Lan, from: impl Into<IpAddr>) -> Result<String> {
    let address = SocketAddr::new(from.into(), HTTP_PORT);
    lan.within(Machine::Client, || {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).context("connecting")?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "GET / HTTP/1.0\r\n\r\n").context("asking")?;
        let mut page = String::new();
        stream.take(4096).read_to_string(&mut page).context("reading the answer")?;
        let (_, body) = page.split_once("\r\n\r\n").context("an answer without a body")?;
        Ok(body.trim().to_owned())
    })?
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    /// The sequence number of the first probe kept.
    first: u64,
    probes: VecDeque<Probe>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Notes a probe about to leave; its sequence number.
    fn note(&mut self, sent: Time) -> u64 {
        if self.probes.len() == MAX_PROBES {
            self.probes.pop_front();
            self.first += 1;
        }
        self.probes.push_back(Probe { sent, answer: None });
        self.first + self.probes.len() as u64 - 1
    }

    fn answer(&mut self, sequence: u64, answer: Answer) {
        let index = sequence.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(probe) = index.and_then(|index| self.probes.get_mut(index)) {
            probe.answer.get_or_insert(answer);
        }
    }
}

fn connect() -> Result<UdpSocket> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).context("the client's socket")?;
    socket.connect((PUBLIC, PROBE_PORT)).context("the client's socket")?;
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    Ok(socket)
}

fn send(socket: &UdpSocket, record: &Shared, stop: &Stop) {
    let mut next = clock::now();
    while !stop.requested() {
        sleep_until(next);
        next = next + PERIOD;
        let sequence = record.lock().note(clock::now());
        // "No route" and "refused" are answers of the network, not of the site: the probe stays unanswered.
        let _ = socket.send(&sequence.to_be_bytes());
    }
}

fn receive(socket: &UdpSocket, record: &Shared, stop: &Stop) {
    let mut buffer = [0; PROBE + 1];
    while !stop.requested() {
        let Ok(length) = socket.recv(&mut buffer) else { continue };
        let at = clock::now();
        let [sequence @ .., index] = buffer;
        if let (true, Some(by)) = (length == buffer.len(), Member::new(usize::from(index))) {
            record.lock().answer(u64::from_be_bytes(sequence), Answer { at, by });
        }
    }
}

/// Sleeps until a moment, or not at all if it is past.
pub(super) fn sleep_until(moment: Time) {
    let nanos = moment.as_nanos();
    let spec = Timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % 1_000_000_000).unwrap_or(0),
    };
    while let Err(rustix::io::Errno::INTR) = clock_nanosleep_absolute(ClockId::Boottime, &spec) {}
}
