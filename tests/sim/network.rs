//! The LAN between the nodes: latency, loss, duplication, reordering, and partitions that may be one-way.

use std::time::Duration;

use gatehouse::units::Time;

use super::rng::Rng;

/// The LAN and its present ailments.
#[derive(Clone, Debug)]
pub struct Network {
    nodes: usize,
    /// A packet takes from `fastest` to `slowest` when nothing ails.
    pub fastest: Duration,
    /// See `fastest`.
    pub slowest: Duration,
    /// Packets lost, per thousand and receiver.
    pub loss: u32,
    /// Beacons alone are lost.
    pub deaf_to_beacons: bool,
    /// Nothing that asks for the address gets an answer.
    pub deaf_to_answers: bool,
    /// Packets that come twice, per thousand and receiver.
    pub duplicate: u32,
    /// Packets of one sender may overtake each other.
    pub reorder: bool,
    /// What packets take longer than `slowest`, at most.
    pub delay: Duration,
    blocked: Vec<bool>,
    blocks: usize,
    /// The last delivery per pair: without `reorder` none comes before it.
    last: Vec<Time>,
}

/// What becomes of one packet on its way to one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It never arrives.
    Lost,
    /// It arrives once.
    Once(Time),
    /// It arrives twice.
    Twice(Time, Time),
}

impl Network {
    /// A LAN on which nothing ails.
    pub fn new(nodes: usize, fastest: Duration, slowest: Duration) -> Network {
        Network {
            nodes,
            fastest,
            slowest,
            loss: 0,
            deaf_to_beacons: false,
            deaf_to_answers: false,
            duplicate: 0,
            reorder: false,
            delay: Duration::ZERO,
            blocked: vec![false; nodes * nodes],
            blocks: 0,
            last: vec![Time::ZERO; nodes * nodes],
        }
    }

    /// Stops, or lets pass, what `from` sends to `to`.
    pub fn block(&mut self, from: usize, to: usize, blocked: bool) {
        let cell = &mut self.blocked[from * self.nodes + to];
        if *cell != blocked {
            *cell = blocked;
            self.blocks = if blocked { self.blocks + 1 } else { self.blocks - 1 };
        }
    }

    /// What `from` sends can reach `to`.
    pub fn passes(&self, from: usize, to: usize) -> bool {
        !self.blocked[from * self.nodes + to]
    }

    /// Some pair cannot hear each other.
    pub fn is_parted(&self) -> bool {
        self.blocks > 0
    }

    /// Decides what becomes of a packet sent now.
    pub fn fate(&mut self, rng: &mut Rng, now: Time, (from, to): (usize, usize)) -> Fate {
        if !self.passes(from, to) || rng.chance(self.loss) {
            return Fate::Lost;
        }
        let mut first = now + rng.span(self.fastest, self.slowest) + self.extra(rng);
        let last = &mut self.last[from * self.nodes + to];
        if !self.reorder {
            first = first.max(*last);
        }
        *last = first.max(*last);
        if rng.chance(self.duplicate) {
            return Fate::Twice(first, first + rng.span(self.fastest, self.slowest));
        }
        Fate::Once(first)
    }

    fn extra(&self, rng: &mut Rng) -> Duration {
        if self.delay.is_zero() { Duration::ZERO } else { rng.span(Duration::ZERO, self.delay) }
    }
}
