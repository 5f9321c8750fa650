//! Two witnesses that ask every member the same question in rounds: does its kernel answer ARP for the DMZ address,
//! and is the address configured on it?
//!
//! The ARP question goes out of the member's own switch port, behind the fault rules: it reaches the member also when
//! the port is silent, and tells what *that* kernel does. Each question carries its round in the asker's hardware
//! address, so an answer belongs to exactly one round, however late it is read.
//! **Invariant:** a record holds at most [`MAX_ROUNDS`]; the oldest go first.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use socket2::Socket;

use super::client::sleep_until;
use super::measure::Round;
use super::member::{Member, MemberSet};
use super::net::{DMZ, Lan, Machine, enter_namespace, open_namespace};
use super::packet::{FRAME, answer_for, arp_socket, who_has};
use super::worker::{Stop, Worker};
use crate::clock;
use crate::units::{Mac, Time};

/// Rounds that are kept: ten minutes at 5 ms.
pub const MAX_ROUNDS: usize = 120_000;

/// A running witness.
#[derive(Debug)]
pub struct Witness {
    rounds: Shared,
    /// The time between two rounds.
    pub period: Duration,
    _worker: Worker,
}

impl Witness {
    /// Asks every member by ARP who has the DMZ address.
    ///
    /// # Errors
    /// When raw sockets cannot be had.
    pub fn arp(lan: &Lan, period: Duration) -> Result<Witness> {
        let members = lan.members().to_vec();
        let prepare = move || members.into_iter().map(Port::open).collect::<Result<Vec<_>>>();
        Witness::start(Machine::Switch, period, prepare, ask_by_arp)
    }

    /// Asks every member's kernel whether it has the DMZ address.
    ///
    /// # Errors
    /// When a member's namespace cannot be opened.
    pub fn address(lan: &Lan, period: Duration) -> Result<Witness> {
        let members = lan.members().to_vec();
        let prepare = move || {
            let open = |member| Ok((member, open_namespace(Machine::Member(member))?));
            members.into_iter().map(open).collect::<Result<Vec<_>>>()
        };
        Witness::start(Machine::Switch, period, prepare, ask_by_bind)
    }

    /// The rounds since `from`, oldest first.
    pub fn since(&self, from: Time) -> Vec<Round> {
        let record = self.rounds.lock();
        let start = record.rounds.partition_point(|round| round.at < from);
        record.rounds.range(start..).copied().collect()
    }

    /// Who said yes in the last complete round.
    pub fn latest(&self) -> MemberSet {
        let record = self.rounds.lock();
        record.rounds.iter().rev().nth(1).map_or_else(MemberSet::default, |round| round.yes)
    }

    fn start<S: 'static>(
        machine: Machine,
        period: Duration,
        prepare: impl FnOnce() -> Result<Vec<S>> + Send + 'static,
        mut ask: impl FnMut(&mut [S], &Shared, Time) + Send + 'static,
    ) -> Result<Witness> {
        let rounds = Shared::default();
        let record = rounds.clone();
        let work = move |mut state: Vec<S>, stop: &Stop| {
            let mut next = clock::now();
            while !stop.requested() {
                sleep_until(next);
                // Rounds that were slept through are gone; asking them all at once would tell nothing.
                next = (next + period).max(clock::now());
                ask(&mut state, &record, next);
            }
        };
        Ok(Witness { rounds, period, _worker: Worker::start(machine, prepare, work)? })
    }
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Record>>);

#[derive(Debug, Default)]
struct Record {
    /// The number of the first round kept.
    first: u64,
    rounds: VecDeque<Round>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Begins a round; its number.
    fn begin(&mut self, round: Round) -> u64 {
        if self.rounds.len() == MAX_ROUNDS {
            self.rounds.pop_front();
            self.first += 1;
        }
        self.rounds.push_back(round);
        self.first + self.rounds.len() as u64 - 1
    }

    /// Notes a yes in the newest round whose number ends in these 24 bits.
    fn yes(&mut self, low_bits: u64, member: Member) {
        let newest = self.first + self.rounds.len() as u64;
        let age = (newest.wrapping_sub(low_bits)) & ROUND_MASK;
        let index = newest.checked_sub(age).and_then(|number| number.checked_sub(self.first));
        if let Some(round) = index.and_then(|index| self.rounds.get_mut(usize::try_from(index).ok()?)) {
            round.yes.insert(member);
        }
    }
}

const ROUND_MASK: u64 = 0xff_ffff;
const ASKER: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 250);

struct Port {
    member: Member,
    socket: Socket,
}

impl Port {
    fn open(member: Member) -> Result<Port> {
        let socket = arp_socket(&member.to_string(), DMZ).with_context(|| format!("the port of {member}"))?;
        Ok(Port { member, socket })
    }
}

fn ask_by_arp(ports: &mut [Port], record: &Shared, until: Time) {
    let number = record.lock().begin(Round { at: clock::now(), yes: MemberSet::default() });
    let [.., a, b, c] = number.to_be_bytes();
    let question = who_has(DMZ, (Mac([0x02, 0x47, 0x48, a, b, c]), ASKER));
    for port in ports.iter() {
        // A cut port refuses; its member did not answer.
        let _ = port.socket.send(&question);
    }
    loop {
        for port in ports.iter_mut() {
            hear(port, record);
        }
        let left = until.since(clock::now());
        if left.is_zero() {
            return;
        }
        let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
        let mut ready: Vec<PollFd<'_>> = ports.iter().map(|port| PollFd::new(&port.socket, PollFlags::IN)).collect();
        let _ = poll(&mut ready, Some(&patience));
    }
}

fn hear(port: &mut Port, record: &Shared) {
    let mut frame = [0; FRAME];
    loop {
        match port.socket.read(&mut frame) {
            Ok(length) => {
                if let Some(Mac([0x02, 0x47, 0x48, a, b, c])) = answer_for(DMZ, &frame[..length]) {
                    record.lock().yes(u64::from_be_bytes([0, 0, 0, 0, 0, a, b, c]), port.member);
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            // A cut port reports once that it is down.
            Err(_) => {}
        }
    }
}

/// A kernel lets a socket bind to exactly the addresses it has.
fn ask_by_bind(members: &mut [(Member, File)], record: &Shared, _until: Time) {
    let at = clock::now();
    let has = |namespace: &File| enter_namespace(namespace).is_ok() && UdpSocket::bind((DMZ, 0)).is_ok();
    let yes = members.iter().filter(|(_, namespace)| has(namespace)).map(|(member, _)| *member).collect();
    record.lock().begin(Round { at, yes });
}
