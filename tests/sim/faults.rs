//! What goes wrong, when, and how it ends.

use std::time::Duration;

use gatehouse::election::{Input, Role, Timing};
use gatehouse::units::{Health, Mac, Priority, Term, Time};

use super::world::{What, World};

/// In place of a node: who held when [`Fault::Mark`] came last.
pub const HOLDER: usize = usize::MAX;
/// In place of a node: that holder's first successor.
pub const SUCCESSOR: usize = usize::MAX - 1;

/// One thing that goes wrong or ends going wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// From here [`HOLDER`] and [`SUCCESSOR`] mean those of this moment.
    Mark,
    /// `kill -9`: the kernel lives on.
    Crash(usize),
    /// The daemon is started, if none runs; its disk may have lost the term.
    Start {
        /// Whose.
        node: usize,
        /// Whether the disk lost it.
        forget: bool,
    },
    /// SIGSTOP, or not scheduled.
    Freeze(usize),
    /// The same, between the decision to beacon and the beacon.
    FreezeAtBeacon(usize),
    /// SIGCONT.
    Thaw(usize),
    /// The hypervisor stops the machine; its clock may stand still with it.
    Pause {
        /// Which.
        node: usize,
        /// Whether it does.
        clock_stops: bool,
        /// Whether its network card drops what comes meanwhile; otherwise it comes in one burst.
        deaf: bool,
    },
    /// The hypervisor lets it run on.
    Resume(usize),
    /// The cable is pulled or put back.
    Link {
        /// Whose.
        node: usize,
        /// Whether it has carrier now.
        up: bool,
    },
    /// What one node sends no longer reaches another, or does so again.
    Block {
        /// Who sends.
        from: usize,
        /// Who should receive.
        to: usize,
        /// Whether it is lost.
        blocked: bool,
    },
    /// Two groups that do not hear each other: the nodes whose bit is set, and the others.
    Split(u64),
    /// Everybody hears everybody.
    Join,
    /// Packets lost, per thousand.
    Loss(u32),
    /// Packets that come twice, per thousand.
    Duplicate(u32),
    /// Packets overtake each other, or no longer.
    Reorder(bool),
    /// Packets come late by up to this much.
    Delay(Duration),
    /// Effects that fail, per thousand.
    Failing(u32),
    /// A node's checks say this.
    Health(usize, Health),
    /// An operator's request.
    GiveUp(usize),
    /// SIGTERM.
    Stop(usize),
    /// SIGHUP with another priority.
    Reload(usize, Priority),
    /// SIGHUP with another role: the site is left and joined anew.
    Rerole(usize, Role),
    /// SIGHUP with another rhythm: so many times as slow as the site's was at first.
    Retime(usize, u32),
    /// `nft flush ruleset`, put back at once.
    Flush(usize),
    /// A machine that is no member uses the address, or no longer.
    Stranger {
        /// Its hardware address.
        mac: Mac,
        /// Whether it does.
        there: bool,
    },
    /// Everything that ails ends, and whoever is down is started.
    Heal,
}

/// What goes wrong and when.
pub type Schedule = Vec<(Time, Fault)>;

/// A timing with everything stretched.
pub fn slowed(timing: Timing, times: u32) -> Timing {
    let Timing { beacon, lease, suspect, question, takeover } = timing;
    Timing {
        beacon: beacon * times,
        lease: lease * times,
        suspect: suspect * times,
        question: question * times,
        takeover: takeover * times,
    }
}

impl World {
    /// Puts a schedule into the queue.
    pub fn schedule(&mut self, schedule: &Schedule) {
        for (at, fault) in schedule {
            self.at(*at, What::Fault(fault.clone()));
        }
    }

    /// Lets a fault happen now.
    pub fn apply(&mut self, fault: Fault) {
        let fault = self.aimed(fault);
        self.note(|| format!("*** {fault:?}"));
        match fault {
            Fault::Mark => self.mark(),
            Fault::Crash(node) => self.crash(node),
            Fault::Start { node, forget } => self.start_again(node, forget),
            Fault::Freeze(node) => {
                self.nodes[node].frozen = true;
                self.check.stalled(node, self.now);
            }
            Fault::FreezeAtBeacon(node) => self.nodes[node].freezes_at_beacon = true,
            Fault::Thaw(node) => self.thaw(node),
            Fault::Pause { node, clock_stops, deaf } => {
                self.pause(node, clock_stops);
                self.nodes[node].deaf = deaf;
            }
            Fault::Resume(node) => self.resume(node),
            Fault::Link { node, up } => self.link(node, up),
            Fault::Block { from, to, .. } if from == to => {}
            Fault::Block { from, to, blocked } => {
                self.net.block(from, to, blocked);
                self.check.excuse(self.now, (from, to), "a one-way partition");
            }
            Fault::Split(mask) => self.split(|node| mask >> (node % 64) & 1),
            Fault::Join => self.split(|_| 0),
            Fault::Loss(permille) => self.net.loss = permille,
            Fault::Duplicate(permille) => self.net.duplicate = permille,
            Fault::Reorder(reorder) => self.net.reorder = reorder,
            Fault::Delay(delay) => self.net.delay = delay,
            Fault::Failing(permille) => self.failing = permille,
            Fault::Health(node, health) => self.hand(node, Input::Health(health)),
            Fault::GiveUp(node) => self.hand(node, Input::GiveUp),
            Fault::Stop(node) => self.hand(node, Input::Stop),
            Fault::Reload(node, priority) => {
                self.nodes[node].settings.priority = priority;
                let settings = Box::new(self.nodes[node].settings.clone());
                self.hand(node, Input::Reload(settings));
            }
            Fault::Rerole(node, role) => {
                let node_now = &mut self.nodes[node];
                node_now.returns = node_now.settings.role != role && node_now.daemon.is_some();
                node_now.settings.role = role;
                if node_now.returns {
                    self.hand(node, Input::Stop);
                }
            }
            Fault::Retime(node, slower) => {
                let timing = slowed(self.timing, slower);
                self.check.allow(&timing);
                self.nodes[node].settings.timing = timing;
                let settings = Box::new(self.nodes[node].settings.clone());
                self.hand(node, Input::Reload(settings));
            }
            Fault::Flush(node) => {
                self.nodes[node].kernel.shut(self.now);
                self.hand(node, Input::FenceRestored);
            }
            Fault::Stranger { mac, there } => {
                self.strangers.retain(|other| *other != mac);
                if there {
                    self.strangers.push(mac);
                }
            }
            Fault::Heal => self.heal(),
        }
    }

    fn mark(&mut self) {
        let Some(holder) = (0..self.nodes.len()).find(|node| self.nodes[*node].kernel.answers(self.now)) else {
            return;
        };
        let first = self.nodes[holder].machine().and_then(|machine| machine.successors().into_iter().next());
        let successor = self.nodes.iter().position(|node| Some(node.settings.node) == first);
        self.marked = (holder, successor.unwrap_or(holder));
    }

    fn aimed(&self, mut fault: Fault) -> Fault {
        match &mut fault {
            Fault::Crash(node)
            | Fault::Start { node, .. }
            | Fault::Freeze(node)
            | Fault::FreezeAtBeacon(node)
            | Fault::Thaw(node)
            | Fault::Pause { node, .. }
            | Fault::Resume(node)
            | Fault::Link { node, .. }
            | Fault::Block { from: node, .. }
            | Fault::Health(node, _)
            | Fault::GiveUp(node)
            | Fault::Stop(node)
            | Fault::Reload(node, _)
            | Fault::Rerole(node, _)
            | Fault::Retime(node, _)
            | Fault::Flush(node) => {
                *node = match *node {
                    HOLDER => self.marked.0,
                    SUCCESSOR => self.marked.1,
                    node => node,
                }
            }
            Fault::Mark
            | Fault::Split(_)
            | Fault::Join
            | Fault::Loss(_)
            | Fault::Duplicate(_)
            | Fault::Reorder(_)
            | Fault::Delay(_)
            | Fault::Failing(_)
            | Fault::Stranger { .. }
            | Fault::Heal => {}
        }
        fault
    }

    fn crash(&mut self, node: usize) {
        let now = self.now;
        let node = &mut self.nodes[node];
        if node.daemon.take().is_some() {
            node.kernel.orphan(now);
        }
        node.frozen = false;
        node.returns = false;
    }

    fn start_again(&mut self, node: usize, forget: bool) {
        if self.nodes[node].daemon.is_some() || self.nodes[node].kernel.is_paused() {
            return;
        }
        if forget {
            self.nodes[node].disk = Term(0);
        }
        let mutant = self.mutant;
        self.start(node, mutant);
    }

    fn thaw(&mut self, node: usize) {
        self.nodes[node].freezes_at_beacon = false;
        if self.nodes[node].frozen {
            self.nodes[node].frozen = false;
            self.check.stalled(node, self.now);
            self.run(node);
        }
    }

    fn pause(&mut self, node: usize, clock_stops: bool) {
        if self.nodes[node].kernel.is_paused() {
            return;
        }
        self.nodes[node].kernel.pause(self.now);
        if clock_stops {
            self.nodes[node].clock.stop(self.now);
        }
        self.check.stalled(node, self.now);
    }

    fn resume(&mut self, node: usize) {
        if !self.nodes[node].kernel.is_paused() {
            return;
        }
        self.nodes[node].deaf = false;
        self.nodes[node].kernel.resume(self.now);
        self.nodes[node].clock.start(self.now);
        self.check.stalled(node, self.now);
        self.check.excuse_site(self.now, "a paused machine runs on");
        self.run(node);
    }

    fn link(&mut self, node: usize, up: bool) {
        if self.nodes[node].kernel.link == up {
            return;
        }
        self.nodes[node].kernel.link = up;
        self.check.rejoined(node, self.now);
        if std::mem::take(&mut self.nodes[node].void_beacon) {
            self.check.excuse_site(self.now, "a beacon left into a dead cable");
        }
        let at = self.now + self.rng.span(Duration::ZERO, Duration::from_millis(2));
        self.at(at, What::LinkNews { node });
    }

    fn split(&mut self, side: impl Fn(usize) -> u64) {
        for from in 0..self.nodes.len() {
            for to in 0..self.nodes.len() {
                let blocked = side(from) != side(to);
                if from != to && self.net.passes(from, to) == blocked {
                    self.net.block(from, to, blocked);
                    self.check.excuse(self.now, (from, to), "a partition");
                }
            }
        }
    }

    fn heal(&mut self) {
        for fault in [
            Fault::Join,
            Fault::Loss(0),
            Fault::Duplicate(0),
            Fault::Reorder(false),
            Fault::Delay(Duration::ZERO),
            Fault::Failing(0),
        ] {
            self.apply(fault);
        }
        self.strangers.clear();
        for node in 0..self.nodes.len() {
            self.apply(Fault::Resume(node));
            self.apply(Fault::Thaw(node));
            self.apply(Fault::Link { node, up: true });
            self.apply(Fault::Start { node, forget: false });
            self.hand(node, Input::Health(Health::FULL));
            self.apply(Fault::Retime(node, 1));
            self.apply(Fault::Rerole(node, self.nodes[node].role));
        }
    }
}
