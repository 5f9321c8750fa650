//! A daemon's loop as the simulator performs it: take an input or the due tick, step, perform the effects in order.
//!
//! Effects take time, so a daemon can be frozen in the middle of a list, and an input can wait behind it, as with
//! the real loop in `lan/`.

use std::rc::Rc;
use std::time::Duration;

use gatehouse::election::{Dest, Effect, Failure, Input};
use gatehouse::units::{BootEpoch, Sequence, Term, Time};
use gatehouse::wire::{Datagram, Message};

use super::faults::Fault;
use super::mutants::Subject;
use super::node::Daemon;
use super::world::{What, World};
use super::{told, transcript};

/// What a socket buffer holds at most while a daemon is frozen.
const INBOX: usize = 200;
/// Inputs taken before a due tick is.
const INPUTS_A_TURN: u32 = 64;

impl World {
    /// Starts a daemon; what an earlier one left behind is removed first.
    pub fn start(&mut self, index: usize, mutant: Option<super::mutants::Mutant>) {
        let seed = self.rng.bits();
        let node = &mut self.nodes[index];
        node.kernel.shut(self.now);
        node.kernel.deconfigure();
        node.kernel.lease = node.settings.timing.lease;
        node.epoch = BootEpoch(node.epoch.0 + 1);
        node.frozen = false;
        node.stalled = self.now;
        let machine = Subject::new(node.settings.clone(), node.disk, (seed, mutant));
        node.daemon = Some(Daemon::new(machine));
        let up = node.kernel.link;
        self.check.started(index, self.now);
        self.note(|| format!("n{index} starts"));
        if up {
            self.hand(index, Input::Link { up });
        }
    }

    /// Puts an input before a daemon.
    pub fn hand(&mut self, index: usize, input: Input) {
        if let Some(daemon) = &mut self.nodes[index].daemon {
            daemon.inbox.push_back(input);
            self.run(index);
        }
    }

    /// A datagram reaches a socket; replays and what is older than the newest are dropped there.
    pub fn datagram_arrives(&mut self, (from, to): (usize, usize), datagram: &Rc<Datagram>, late: bool) {
        let address = self.nodes[from].address;
        if late {
            self.check.excuse(self.now, (from, to), "a datagram came late");
        }
        let deaf = self.nodes[to].deaf;
        let Some(daemon) = &mut self.nodes[to].daemon else { return };
        let fresh = (datagram.epoch, datagram.sequence);
        daemon.newest.resize(self.check.nodes(), (BootEpoch(0), Sequence(0)));
        let newest = &mut daemon.newest[from];
        let room = daemon.inbox.len() < INBOX && !deaf;
        if !room || fresh <= *newest {
            if fresh != *newest {
                self.check.excuse(self.now, (from, to), "a datagram was dropped");
            }
            return;
        }
        *newest = fresh;
        self.hand(to, Input::Received { from: address, datagram: (**datagram).clone() });
    }

    /// An answer for the address reaches a node.
    pub fn address_seen(&mut self, to: usize, mac: gatehouse::units::Mac) {
        if self.nodes[to].kernel.link {
            self.hand(to, Input::AddressSeen { mac });
        }
    }

    /// The daemon hears of its link.
    pub fn link_news(&mut self, index: usize) {
        let up = self.nodes[index].kernel.link;
        self.hand(index, Input::Link { up });
    }

    /// Runs a daemon until it waits.
    pub fn run(&mut self, index: usize) {
        while self.nodes[index].is_running() {
            let node = &mut self.nodes[index];
            let Some(daemon) = &mut node.daemon else { return };
            if self.now < daemon.busy_until {
                let until = daemon.busy_until;
                return self.wake(index, until);
            }
            if let Some(effect) = daemon.todo.pop_front() {
                self.perform(index, effect);
                continue;
            }
            let deadline = daemon.machine.deadline();
            let due = deadline.filter(|deadline| deadline.at <= node.clock.local(self.now));
            // What has arrived is handed over before a tick is, a bounded number at a time, as `lan/` does it.
            let starved = due.is_some() && daemon.taken >= INPUTS_A_TURN;
            let arrived = if starved { None } else { daemon.inbox.pop_front() };
            daemon.taken = if arrived.is_some() { daemon.taken + 1 } else { 0 };
            let input = match (arrived, due) {
                (Some(input), _) => input,
                (None, Some(_)) => Input::Tick,
                (None, None) => {
                    if let Some(deadline) = deadline {
                        let at = node.clock.world(deadline.at).max(self.now);
                        if node.wake_at.is_none_or(|wake| wake < at || wake > at + LATEST) {
                            let late = self.rng.span(Duration::ZERO, (self.timing.question / 16).min(LATEST));
                            self.wake(index, at + late);
                        }
                    }
                    return;
                }
            };
            self.step(index, input);
        }
    }

    fn wake(&mut self, index: usize, at: Time) {
        let node = &mut self.nodes[index];
        node.turn += 1;
        node.wake_at = Some(at);
        let turn = node.turn;
        self.at(at, What::Wake { node: index, turn });
    }

    fn step(&mut self, index: usize, input: Input) {
        self.steps += 1;
        let node = &mut self.nodes[index];
        let local = node.clock.local(self.now);
        let Some(daemon) = &mut node.daemon else { return };
        daemon.began = self.now;
        let again = daemon.ticks.0 == self.now && matches!(input, Input::Tick);
        daemon.ticks = (self.now, if again { daemon.ticks.1 + 1 } else { 0 });
        let told = self.log.is_some().then(|| told::input(&input));
        let mut out = Vec::new();
        daemon.machine.step(local, input, &mut out);
        self.check.after_step(index, self.now, (daemon, &out));
        node.disk = node.disk.max(daemon.machine.term());
        if let Some(told) = told {
            let state = format!("{:?}", daemon.machine.state());
            let said: Vec<String> = out.iter().map(transcript::effect).collect();
            if told != "tick" || !said.is_empty() {
                self.note(|| format!("n{index} {state:<11} {told} -> [{}]", said.join(", ")));
            }
        }
        if let Some(daemon) = &mut self.nodes[index].daemon {
            daemon.todo.extend(out);
        }
    }

    fn perform(&mut self, index: usize, effect: Effect) {
        let node = &mut self.nodes[index];
        if node.freezes_at_beacon && matches!(&effect, Effect::Send { message: Message::Beacon(_), .. }) {
            node.freezes_at_beacon = false;
            if let Some(daemon) = &mut node.daemon {
                daemon.todo.push_front(effect);
            }
            return self.apply(Fault::Freeze(index));
        }
        let failure = match &effect {
            Effect::Configure => Some(Failure::Configure),
            Effect::Deconfigure => Some(Failure::Deconfigure),
            Effect::ShutGate => Some(Failure::ShutGate),
            Effect::SetLease(_) => Some(Failure::SetLease),
            _ => None,
        };
        if let Some(failure) = failure
            && self.rng.chance(self.failing)
        {
            return self.fail(index, failure);
        }
        let quarter = self.timing.question / 4;
        let node = &mut self.nodes[index];
        let mut takes = Duration::from_micros(20);
        match effect {
            Effect::Configure => {
                node.kernel.configure();
                takes = self.rng.span(quarter / 16, quarter.min(Duration::from_millis(2)));
            }
            Effect::Deconfigure => {
                node.kernel.deconfigure();
                takes = self.rng.span(quarter / 16, quarter.min(Duration::from_millis(2)));
            }
            Effect::ShutGate => node.kernel.shut(self.now),
            Effect::SetLease(lease) => node.kernel.lease = lease,
            Effect::Send { to, term, message, not_after } => return self.send(index, (to, not_after), (term, message)),
            Effect::Announce => {
                self.check.announced(index, self.now, node);
                self.announce(index);
            }
            Effect::Probe => {
                if node.kernel.link {
                    let at = self.now + self.rng.span(self.net.fastest, self.net.slowest);
                    self.at(at, What::Probe { from: index });
                }
            }
            Effect::Note(note) => {
                self.check.noted(index, self.now, &note);
                takes = Duration::ZERO;
            }
            Effect::Finished => {
                self.check.finished(index, self.now, node);
                node.daemon = None;
                if std::mem::take(&mut node.returns) {
                    let mutant = self.mutant;
                    self.start(index, mutant);
                }
                return;
            }
        }
        if let Some(daemon) = &mut self.nodes[index].daemon {
            daemon.busy_until = self.now + takes;
        }
    }

    fn send(&mut self, index: usize, (to, not_after): (Dest, Option<Time>), (term, message): (Term, Message)) {
        let is_beacon = matches!(message, Message::Beacon(_));
        let to_group = matches!(to, Dest::Group);
        let node = &mut self.nodes[index];
        let too_late = not_after.is_some_and(|latest| node.clock.local(self.now) > latest);
        let dead = !node.kernel.link && self.rng.chance(500);
        if is_beacon && (too_late || dead || self.rng.chance(self.failing)) {
            return if to_group {
                self.fail(index, Failure::Beacon)
            };
        }
        self.check.sent(index, self.now, (node, term, &message));
        if is_beacon {
            node.kernel.renew(self.now);
            node.void_beacon |= !node.kernel.link;
        }
        let Some(daemon) = &mut node.daemon else { return };
        daemon.sequence = Sequence(daemon.sequence.0 + 1);
        daemon.busy_until = self.now + Duration::from_micros(20);
        let (site, id, epoch) = (node.settings.site, node.settings.node, node.epoch);
        let datagram = Rc::new(Datagram { site, node: id, epoch, sequence: daemon.sequence, term, message });
        for receiver in 0..self.nodes.len() {
            let meant = match to {
                Dest::Group => receiver != index,
                Dest::Unicast(address) => self.nodes[receiver].address == address,
            };
            if meant && self.nodes[receiver].daemon.is_some() {
                self.carry(index, receiver, &datagram);
            }
        }
    }

    /// An effect failed: the rest of its list is not performed, and the machine hears of it next.
    fn fail(&mut self, index: usize, failure: Failure) {
        if matches!(failure, Failure::ShutGate | Failure::Deconfigure) {
            self.check.excuse_site(self.now + self.longest_lease(), "a gate could not be shut");
        }
        if let Some(daemon) = &mut self.nodes[index].daemon {
            daemon.todo.clear();
        }
        self.step(index, Input::Failed(failure));
    }
}

/// No daemon that runs is later than this.
const LATEST: Duration = Duration::from_millis(1);
