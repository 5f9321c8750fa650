//! What must never happen, checked before and after every event.
//!
//! **S1, two never answer.** Nodes *i* and *j* overlap while both kernels answer for the address and packets pass
//! between them both ways. B, L, T as in `Timing`, of the slowest member; D is the LAN's slowest latency; `slack` is what a running daemon
//! needs to take an input and perform its effects. An *excuse* is anything that kept them from hearing each other:
//! a datagram lost, dropped or later than D, a partition, a paused machine, a gate that could not be shut.
//!
//! - *Without an excuse there is no overlap at all.* A beacon sent at `s` opens the sender's gate until `s + L`, and it
//!   or a later one reaches a follower at `r <= s + D`. The follower claims at `r + T` at the earliest, `r >= s`, and
//!   T > L, so the gate is shut by then: unless a later beacon, sent at `s' <= s + L`, is still under way at `r + T`,
//!   for which D > T - L would be needed; the simulated LAN keeps D below that. A handover opens the second gate by a
//!   datagram that is sent after the first gate has been shut. Claims at a start are staggered by more than D + slack.
//! - *After an excuse an overlap ends within B + D + slack*: either holder's next beacon leaves within B, reaches the
//!   other within D, and the lesser claim shuts its gate within `slack`. If one of the two daemons stood still
//!   meanwhile, L takes the place of B: that gate shuts by itself.
//! - The first rule holds again [`Checker::calm`] after the site's last excuse.
//!
//! The other rules: **S2** a term never goes back, and one term has one holder; **S3** a release is said only when it
//! is true; **S4** only the holder announces; **S5** only a configured node beacons; **S6** the effects
//! of one step are bounded; **S7** no busy loop; **S8** the kernel grants no longer lease than a beacon names.

use std::time::Duration;

use gatehouse::election::{Effect, Note, Timing};
use gatehouse::units::{Term, Time};
use gatehouse::wire::Message;

use super::network::Network;
use super::node::{Daemon, Node};

/// Effects of one step that are not notes.
const MAX_EFFECTS: usize = 12;
/// Ticks that one moment may take.
const MAX_TICKS: u32 = 4;

/// Holds all rules and what they need to remember.
#[derive(Debug)]
pub struct Checker {
    nodes: usize,
    /// The LAN's slowest latency.
    slowest: Duration,
    bound: Duration,
    bound_stalled: Duration,
    excuses: Vec<Time>,
    site_excuse: Time,
    /// The present overlaps and when they began.
    overlaps: Vec<((usize, usize), Time)>,
    /// Nodes whose gate was ever opened and not seen shut since.
    serving: Vec<usize>,
    terms: Vec<Term>,
    /// First beacon of each holdership: term, node, when.
    holderships: Vec<(Term, usize, Time)>,
    /// When each node's daemon began to hear the others.
    started: Vec<Time>,
    stalled: Vec<Time>,
    violation: Option<String>,
    /// How long nodes overlapped in all.
    pub overlapped: Duration,
    /// Every role change and holder change that a node noted, with its moment.
    pub notes: Vec<(Time, usize, Note)>,
    /// Datagrams sent: beacons, others.
    pub sent: (u64, u64),
}

impl Checker {
    /// A checker that has seen nothing.
    pub fn new(timing: &Timing, slowest: Duration, nodes: usize) -> Checker {
        let slack = slack(timing);
        Checker {
            nodes,
            slowest,
            bound: timing.beacon + slowest + slack,
            bound_stalled: timing.lease + slowest + slack,
            excuses: vec![Time::ZERO; nodes * nodes],
            site_excuse: Time::ZERO,
            overlaps: Vec::new(),
            serving: Vec::new(),
            terms: vec![Term(0); nodes],
            holderships: Vec::new(),
            started: vec![Time::ZERO; nodes],
            stalled: vec![Time::ZERO; nodes],
            violation: None,
            overlapped: Duration::ZERO,
            notes: Vec::new(),
            sent: (0, 0),
        }
    }

    /// The first violation, if there was one.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    /// How many nodes there are.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Nodes whose kernel may be answering.
    pub fn serving(&self) -> Vec<usize> {
        self.serving.clone()
    }

    /// Some member keeps this timing from now on; the bounds are those of the slowest that ever was.
    pub fn allow(&mut self, timing: &Timing) {
        let slack = slack(timing);
        self.bound = self.bound.max(timing.beacon + self.slowest + slack);
        self.bound_stalled = self.bound_stalled.max(timing.lease + self.slowest + slack);
    }

    /// After an excuse this long ago, nothing of it is left.
    fn calm(&self) -> Duration {
        (self.bound + self.bound_stalled) * 2
    }

    /// `from` and `to` could not hear each other just now.
    pub fn excuse(&mut self, now: Time, (from, to): (usize, usize), _why: &str) {
        for cell in [from * self.nodes + to, to * self.nodes + from] {
            self.excuses[cell] = self.excuses[cell].max(now);
        }
        self.site_excuse = self.site_excuse.max(now);
    }

    /// Everyone's hearing was disturbed until `until`.
    pub fn excuse_site(&mut self, until: Time, _why: &str) {
        self.excuses.iter_mut().for_each(|cell| *cell = (*cell).max(until));
        self.site_excuse = self.site_excuse.max(until);
    }

    /// A node's daemon began or ended standing still.
    pub fn stalled(&mut self, index: usize, now: Time) {
        self.stalled[index] = now;
    }

    /// A node was cut off until now: it may have missed a whole holdership.
    pub fn rejoined(&mut self, index: usize, now: Time) {
        self.started[index] = now;
    }

    /// A node's daemon was started.
    pub fn started(&mut self, index: usize, now: Time) {
        self.started[index] = now;
        self.terms[index] = Term(0);
    }

    /// S1 for the span in which nothing happened but leases running out.
    pub fn overlap(&mut self, nodes: &[Node], net: &Network, (from, to): (Time, Time)) {
        if net.is_parted() {
            self.site_excuse = self.site_excuse.max(to);
        }
        self.serving.retain(|index| nodes[*index].kernel.answers(from) || nodes[*index].kernel.is_paused());
        let mut seen = Vec::new();
        for (place, &i) in self.serving.iter().enumerate() {
            for &j in &self.serving[place + 1..] {
                let both = nodes[i].kernel.answers(from) && nodes[j].kernel.answers(from);
                if both && net.passes(i, j) && net.passes(j, i) {
                    seen.push((i.min(j), i.max(j)));
                }
            }
        }
        self.overlaps.retain(|(pair, _)| seen.contains(pair));
        for pair in seen {
            self.judge_overlap(nodes, pair, (from, to));
        }
    }

    fn judge_overlap(&mut self, nodes: &[Node], (i, j): (usize, usize), (from, to): (Time, Time)) {
        let until = to.min(nodes[i].kernel.answers_until()).min(nodes[j].kernel.answers_until());
        let began = match self.overlaps.iter().find(|(pair, _)| *pair == (i, j)) {
            Some((_, began)) => *began,
            None => {
                self.overlaps.push(((i, j), from));
                from
            }
        };
        self.overlapped += until.since(from);
        if began > self.site_excuse + self.calm() && until > from {
            return self.violate(format!("S1: n{i} and n{j} both answer, and nothing excuses it"));
        }
        let since = began.max(self.excuses[i * self.nodes + j]);
        let stood = [i, j].iter().any(|node| !nodes[*node].is_running() || self.stalled[*node] >= since);
        let bound = if stood { self.bound_stalled } else { self.bound };
        if until > since + bound {
            self.violate(format!("S1: n{i} and n{j} both answer for longer than {bound:?}"));
        }
    }

    /// S2, S6 and S7, after a step.
    pub fn after_step(&mut self, index: usize, now: Time, (daemon, out): (&Daemon, &[Effect])) {
        let term = daemon.machine.term();
        if term < self.terms[index] {
            self.violate(format!("S2: n{index} went back from term {} to {term}", self.terms[index]));
        }
        self.terms[index] = term;
        let deeds = out.iter().filter(|effect| !matches!(effect, Effect::Note(_))).count();
        if deeds > MAX_EFFECTS {
            self.violate(format!("S6: n{index} wants {deeds} effects at once"));
        }
        if daemon.ticks.0 == now && daemon.ticks.1 > MAX_TICKS {
            let deadline = daemon.machine.deadline();
            self.violate(format!("S7: n{index} wants tick after tick at one moment: {deadline:?}"));
        }
    }

    /// S2, S3, S5: what a datagram says must be so.
    pub fn sent(&mut self, index: usize, now: Time, (node, term, message): (&Node, Term, &Message)) {
        match message {
            Message::Beacon(beacon) => {
                self.sent.0 += 1;
                let granted = node.kernel.lease;
                if beacon.lease < granted {
                    self.violate(format!("S8: n{index} names a lease of {:?}, and has {granted:?}", beacon.lease));
                }
                if !node.kernel.configured(now) {
                    self.violate(format!("S5: n{index} beacons without the address"));
                }
                if !self.serving.contains(&index) {
                    self.serving.push(index);
                }
                self.holds_in(index, now, term);
            }
            Message::Released { .. } => {
                self.sent.1 += 1;
                if node.kernel.gate_open(now) || node.kernel.configured(now) {
                    self.violate(format!("S3: n{index} says it released and did not"));
                }
            }
            Message::Go { .. } => {
                self.sent.1 += 1;
                if node.kernel.gate_open(now) {
                    self.violate(format!("S3: n{index} says go with its gate open"));
                }
            }
            _ => self.sent.1 += 1,
        }
    }

    fn holds_in(&mut self, index: usize, now: Time, term: Term) {
        if self.holderships.iter().rev().find(|(_, node, _)| *node == index).is_some_and(|(held, ..)| *held == term) {
            return;
        }
        for &(held, other, since) in &self.holderships {
            let apart = self.excuses[index * self.nodes + other].max(self.started[index]);
            let calm = since > apart && since > self.site_excuse + self.calm();
            if other != index && held >= term && calm {
                self.violation.get_or_insert(format!("S2: n{index} holds in term {term}, but n{other} held in {held}"));
            }
        }
        self.holderships.push((term, index, now));
    }

    /// S4: only who answers tells the LAN so.
    pub fn announced(&mut self, index: usize, now: Time, node: &Node) {
        let began = node.daemon.as_ref().map_or(now, |daemon| daemon.began);
        if !node.kernel.answers(now) && node.kernel.link && self.stalled[index] < began {
            self.violate(format!("S4: n{index} announces an address that it does not answer for"));
        }
    }

    /// A daemon that ends leaves nothing behind.
    pub fn finished(&mut self, index: usize, now: Time, node: &Node) {
        if node.kernel.configured(now) || node.kernel.gate_open(now) {
            self.violate(format!("S3: n{index} finishes and leaves the address behind"));
        }
    }

    /// Remembers what operators are told.
    pub fn noted(&mut self, index: usize, now: Time, note: &Note) {
        if matches!(note, Note::Role { .. } | Note::Holder { .. } | Note::Takeover { .. }) {
            self.notes.push((now, index, note.clone()));
        }
    }

    fn violate(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }
}

/// What a running daemon needs to take an input and perform its effects.
fn slack(timing: &Timing) -> Duration {
    timing.question / 2 + Duration::from_millis(1)
}
