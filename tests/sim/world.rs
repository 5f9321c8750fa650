//! The world: one virtual clock, one queue of events, and everything that happens in them.
//!
//! Every run is a function of its [`Setup`]. Safety is checked before and after every event; the first violation ends
//! the run. **Invariant:** events at one moment happen in the order in which they were put into the queue.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use gatehouse::election::{Prefer, Role, Timing};
use gatehouse::units::{Mac, Priority, Time};
use gatehouse::wire::{Datagram, Message};

use super::check::Checker;
use super::faults::Fault;
use super::mutants::Mutant;
use super::network::{Fate, Network};
use super::node::Node;
use super::rng::Rng;

/// The last steps that are kept for a failure's report.
const LOG_LINES: usize = 80;

/// What a run begins with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Decides everything that chance decides.
    pub seed: u64,
    /// The profile of all members.
    pub timing: Timing,
    /// The members.
    pub members: Vec<MemberSetup>,
    /// One virtual hardware address moves with the DMZ address; otherwise each member has its own.
    pub shared_mac: bool,
    /// What is wrong with every member's machine, if something is.
    pub mutant: Option<Mutant>,
    /// Whether the last steps are kept.
    pub log: bool,
}

/// What one member begins with.
#[derive(Clone, Copy, Debug)]
pub struct MemberSetup {
    /// Whether it may hold.
    pub role: Role,
    /// How much it wants to.
    pub priority: Priority,
    /// When it makes room.
    pub prefer: Prefer,
}

impl MemberSetup {
    /// A candidate like any other.
    pub const PLAIN: MemberSetup = MemberSetup { role: Role::Candidate, priority: Priority(100), prefer: Prefer::Stay };
}

impl Setup {
    /// So many equal candidates.
    pub fn plain(seed: u64, timing: Timing, members: usize) -> Setup {
        Setup {
            seed,
            timing,
            members: vec![MemberSetup::PLAIN; members],
            shared_mac: seed.is_multiple_of(2),
            mutant: None,
            log: true,
        }
    }
}

/// Something that will happen.
#[derive(Clone, Debug)]
pub enum What {
    /// A daemon wants to look at its clock, if it has not done so since.
    Wake {
        /// Whose.
        node: usize,
        /// Outdated unless it is the node's newest.
        turn: u64,
    },
    /// A datagram reaches a socket.
    Datagram {
        /// Its sender.
        from: usize,
        /// Its receiver.
        to: usize,
        /// Its content, shared by all receivers.
        datagram: Rc<Datagram>,
        /// It took longer than the LAN's slowest latency.
        late: bool,
    },
    /// A question for the address reaches all kernels.
    Probe {
        /// Who asks.
        from: usize,
    },
    /// An answer for the address, or an announcement of it, reaches a node.
    AddressSeen {
        /// Which.
        to: usize,
        /// Who answers.
        mac: Mac,
    },
    /// Carrier changed, and the daemon hears of it.
    LinkNews {
        /// Whose.
        node: usize,
    },
    /// Something goes wrong, or ends going wrong.
    Fault(Fault),
}

#[derive(Debug)]
struct Event {
    at: Time,
    count: u64,
    what: What,
}

/// Nodes, LAN, strangers, and what is to come.
#[derive(Debug)]
pub struct World {
    /// The present.
    pub now: Time,
    queue: BinaryHeap<Reverse<Event>>,
    count: u64,
    /// All chance.
    pub rng: Rng,
    /// The profile of all members.
    pub timing: Timing,
    /// The members, dead ones too.
    pub nodes: Vec<Node>,
    /// Machines that are no members and use the address.
    pub strangers: Vec<Mac>,
    /// Whom the gateway believes to have the address: the last announcement it heard.
    pub gateway: Option<Mac>,
    /// What is wrong with every member's machine, if something is.
    pub mutant: Option<Mutant>,
    /// The holder and its first successor when trouble was aimed last.
    pub marked: (usize, usize),
    /// Effects that fail, per thousand.
    pub failing: u32,
    /// The LAN.
    pub net: Network,
    /// What must never happen.
    pub check: Checker,
    /// The last steps.
    pub log: Option<VecDeque<String>>,
    /// Steps of all machines together.
    pub steps: u64,
}

impl World {
    /// A world whose members are not started yet.
    pub fn new(setup: &Setup) -> World {
        let mut rng = Rng::new(setup.seed);
        let timing = setup.timing;
        let slowest = (timing.takeover - timing.lease).mul_f64(0.8).min(Duration::from_millis(4));
        let nodes: Vec<Node> = (0..setup.members.len()).map(|index| Node::new(index, setup, &mut rng)).collect();
        World {
            now: Time::ZERO,
            queue: BinaryHeap::new(),
            count: 0,
            rng,
            timing,
            net: Network::new(nodes.len(), slowest / 10, slowest),
            check: Checker::new(&timing, slowest, nodes.len()),
            nodes,
            strangers: Vec::new(),
            gateway: None,
            mutant: setup.mutant,
            marked: (0, 0),
            failing: 0,
            log: setup.log.then(VecDeque::new),
            steps: 0,
        }
    }

    /// The longest lease that any kernel grants.
    pub fn longest_lease(&self) -> Duration {
        self.nodes.iter().map(|node| node.kernel.lease).max().unwrap_or(self.timing.lease)
    }

    /// Puts an event into the queue.
    pub fn at(&mut self, at: Time, what: What) {
        self.count += 1;
        self.queue.push(Reverse(Event { at, count: self.count, what }));
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// The first violation of safety, with the last steps.
    pub fn run_for(&mut self, span: Duration) -> Result<(), String> {
        self.run_until(self.now + span, |_| false).map(|_| ())
    }

    /// Lets time pass until something is so, at most `span`; whether it came so.
    ///
    /// # Errors
    /// As [`World::run_for`].
    pub fn run_until_so(&mut self, span: Duration, so: impl Fn(&World) -> bool) -> Result<bool, String> {
        self.run_until(self.now + span, so)
    }

    fn run_until(&mut self, end: Time, so: impl Fn(&World) -> bool) -> Result<bool, String> {
        loop {
            if so(self) {
                return Ok(true);
            }
            let at = match self.queue.peek() {
                Some(Reverse(event)) if event.at <= end => event.at,
                _ => {
                    self.pass_to(end)?;
                    return Ok(false);
                }
            };
            self.pass_to(at)?;
            if let Some(Reverse(event)) = self.queue.pop() {
                self.happen(event.what);
            }
            self.verdict()?;
        }
    }

    /// Nothing happens from now to `at`, except that leases run out.
    fn pass_to(&mut self, at: Time) -> Result<(), String> {
        self.check.overlap(&self.nodes, &self.net, (self.now, at));
        self.now = at;
        self.verdict()
    }

    fn happen(&mut self, what: What) {
        match what {
            What::Wake { node, turn } => {
                if self.nodes[node].turn == turn {
                    self.nodes[node].wake_at = None;
                    self.run(node);
                }
            }
            What::Datagram { from, to, datagram, late } => self.datagram_arrives((from, to), &datagram, late),
            What::Probe { from } => self.probe_arrives(from),
            What::AddressSeen { to, mac } => self.address_seen(to, mac),
            What::LinkNews { node } => self.link_news(node),
            What::Fault(fault) => self.apply(fault),
        }
    }

    fn probe_arrives(&mut self, from: usize) {
        let mut answers = self.strangers.clone();
        for index in self.check.serving() {
            let node = &self.nodes[index];
            let heard = self.net.passes(from, index) && self.net.passes(index, from);
            if index != from && heard && node.kernel.answers(self.now) {
                answers.push(node.settings.mac);
                // To the ping, from the LAN interface itself.
                answers.push(Mac([0x0a, 0, 0, 0, 0, u8::try_from(index).unwrap_or(u8::MAX)]));
            }
        }
        for mac in answers {
            if !self.net.deaf_to_answers && !self.rng.chance(self.net.loss * 2) {
                let at = self.now + self.rng.span(self.net.fastest, self.net.slowest);
                self.at(at, What::AddressSeen { to: from, mac });
            } else {
                self.check.excuse_site(self.now, "a probe was lost");
            }
        }
    }

    /// A gratuitous ARP reaches everyone on the wire, and the gateway.
    pub fn announce(&mut self, from: usize) {
        let mac = self.nodes[from].settings.mac;
        if !self.nodes[from].kernel.link {
            return;
        }
        self.gateway = Some(mac);
        for to in 0..self.nodes.len() {
            if to != from && self.nodes[to].daemon.is_some() && self.net.passes(from, to) {
                let at = self.now + self.rng.span(self.net.fastest, self.net.slowest);
                self.at(at, What::AddressSeen { to, mac });
            }
        }
    }

    /// Sends a datagram on its way to one receiver.
    pub fn carry(&mut self, from: usize, to: usize, datagram: &Rc<Datagram>) {
        let linked = self.nodes[from].kernel.link && self.nodes[to].kernel.link;
        let unheard = self.net.deaf_to_beacons && matches!(datagram.message, Message::Beacon(_));
        let fate = if linked && !unheard { self.net.fate(&mut self.rng, self.now, (from, to)) } else { Fate::Lost };
        let on_time = self.now + self.net.slowest;
        let arrive = |world: &mut World, at: Time| {
            let late = at > on_time;
            world.at(at, What::Datagram { from, to, datagram: Rc::clone(datagram), late });
        };
        match fate {
            Fate::Lost => {
                if linked && self.net.passes(from, to) {
                    self.check.excuse(self.now, (from, to), "a datagram was lost");
                }
            }
            Fate::Once(at) => {
                if at > on_time {
                    self.check.excuse(at, (from, to), "a datagram will come late");
                }
                arrive(self, at);
            }
            Fate::Twice(first, second) => {
                if first > on_time {
                    self.check.excuse(first, (from, to), "a datagram will come late");
                }
                arrive(self, first);
                arrive(self, second);
            }
        }
    }

    /// Notes a line for a failure's report; it is only made if somebody wants it.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            if log.len() == LOG_LINES {
                log.pop_front();
            }
            log.push_back(format!("{:>10.3} ms  {}", self.now.as_nanos() as f64 / 1e6, line()));
        }
    }

    fn verdict(&self) -> Result<(), String> {
        match self.check.violation() {
            None => Ok(()),
            Some(violation) => Err(self.report(violation)),
        }
    }

    /// What is wrong, after the last steps.
    pub fn report(&self, wrong: &str) -> String {
        let mut text = String::new();
        for line in self.log.iter().flatten() {
            text.push_str(line);
            text.push('\n');
        }
        let at = self.now.as_nanos() as f64 / 1e6;
        format!("{text}at {at:.3} ms: {wrong}")
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Event) -> bool {
        (self.at, self.count) == (other.at, other.count)
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Event) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Event) -> std::cmp::Ordering {
        (self.at, self.count).cmp(&(other.at, other.count))
    }
}
