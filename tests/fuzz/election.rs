//! The election among members that hold the key and say whatever comes to their minds.
//!
//! The simulator has honest members and bad luck; here the members lie, and effects fail at any place of their list.
//! What one machine promises for itself must hold all the same.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gatehouse::election::{Effect, Failure, Input, MAX_MEMBERS, Machine, Prefer, Role, Settings, State, Timing};
use gatehouse::units::{BootEpoch, Health, Mac, NodeId, Priority, Sequence, SiteTag, Term, Time};
use gatehouse::wire::{Beacon, Datagram, DmzAddresses, MemberInfo, Message, Nonce, Presence, Stance};

/// More effects than this from one input are a loop.
const MANY_EFFECTS: usize = 64;
/// So many ticks at one moment are a loop.
const MANY_TICKS: usize = 32;

/// Each byte, or two or three, of the input is one thing that happens.
pub fn election_step(input: &[u8]) {
    let mut bytes = Bytes(input);
    let settings = settings(&mut bytes);
    let mut bench = Bench {
        machine: Machine::new(settings.clone(), Term(u64::from(bytes.next())), u64::from(bytes.next())),
        lease: settings.timing.lease,
        settings,
        now: Time::from_millis(1_000),
        term: Term(0),
        configured: false,
        open_until: Time::ZERO,
        asked: Nonce(0),
        stopped: false,
    };
    bench.take(Input::Link { up: true }, None);
    for _ in 0..200 {
        if bytes.0.is_empty() {
            return;
        }
        bench.event(&mut bytes);
    }
}

/// One machine, and the little of a kernel that its promises are about.
struct Bench {
    machine: Machine,
    settings: Settings,
    now: Time,
    term: Term,
    configured: bool,
    /// How long the gate stays open after a beacon.
    lease: Duration,
    /// When the gate shuts, unless another beacon leaves.
    open_until: Time,
    /// The newest question of this member, so that answers can fit.
    asked: Nonce,
    stopped: bool,
}

impl Bench {
    fn event(&mut self, bytes: &mut Bytes<'_>) {
        let what = bytes.next();
        // One event in eight has an effect that fails.
        let fails_at = (what & 0x70 == 0x70).then(|| usize::from(bytes.next() % 8));
        let input = match what % 16 {
            0..4 => return self.wait(),
            4 => {
                self.now = self.now + Duration::from_millis(u64::from(bytes.next()) * 4);
                Input::Tick
            }
            5 => Input::AddressSeen { mac: Mac([bytes.next(); 6]) },
            6 => Input::Link { up: bytes.next().is_multiple_of(2) },
            7 => Input::FenceRestored,
            8 => Input::Health(Health(bytes.next() % 101)),
            9 => Input::GiveUp,
            10 if bytes.next().is_multiple_of(8) => {
                self.stopped = true;
                Input::Stop
            }
            11 if bytes.next().is_multiple_of(4) => {
                let Settings { prefer, timing, .. } = settings(bytes);
                self.settings = Settings { prefer, timing, ..self.settings.clone() };
                Input::Reload(Box::new(self.settings.clone()))
            }
            _ => Input::Received {
                from: SocketAddr::from((Ipv4Addr::new(10, 0, 0, 9), 7172)),
                datagram: datagram(bytes, self.asked),
            },
        };
        self.take(input, fails_at);
    }

    /// Time passes to the next deadline; the tick there must move it.
    fn wait(&mut self) {
        let Some(deadline) = self.machine.deadline() else { return };
        self.now = self.now.max(deadline.at);
        for _ in 0..MANY_TICKS {
            self.take(Input::Tick, None);
            match self.machine.deadline() {
                Some(deadline) if deadline.at <= self.now => {}
                _ => return,
            }
        }
        panic!("the deadline stands still: {:?} in {:?}", self.machine.deadline(), self.machine.state());
    }

    /// Performs what an input leads to, up to the effect that fails.
    fn take(&mut self, input: Input, fails_at: Option<usize>) {
        let mut effects = Vec::new();
        self.machine.step(self.now, input.clone(), &mut effects);
        assert!(effects.len() <= MANY_EFFECTS, "{input:?} leads to {} effects", effects.len());
        assert!(self.machine.term() >= self.term, "the term went back");
        assert!(self.machine.members().count() <= MAX_MEMBERS);
        self.term = self.machine.term();
        for (index, effect) in effects.iter().enumerate() {
            match failure_of(effect) {
                Some(failure) if fails_at.is_some_and(|at| index >= at) => {
                    return self.take(Input::Failed(failure), None);
                }
                _ => self.perform(effect),
            }
        }
        if self.machine.state() == State::Stopped {
            assert!(self.stopped, "stopped without being asked to");
        }
    }

    fn perform(&mut self, effect: &Effect) {
        match effect {
            Effect::Configure => self.configured = true,
            Effect::Deconfigure => {
                assert!(!self.gate_is_open(), "the address is taken away while the gate is open");
                self.configured = false;
            }
            Effect::ShutGate => self.open_until = self.now,
            Effect::SetLease(lease) => self.lease = *lease,
            Effect::Send { message: Message::Beacon(beacon), .. } => {
                assert!(self.configured, "a beacon without the address");
                assert_eq!(beacon.dmz, self.settings.dmz);
                assert!(beacon.lease >= self.lease, "the kernel grants more than a beacon names");
                self.open_until = self.now + self.lease;
            }
            Effect::Send { message: Message::Released { .. } | Message::Go { .. }, .. } => {
                assert!(!self.gate_is_open(), "said to be released while the gate is open");
            }
            Effect::Send { message: Message::Query(nonce) | Message::Prepare(nonce), .. } => self.asked = *nonce,
            Effect::Finished => assert!(self.stopped && !self.configured, "finished too early"),
            Effect::Send { .. } | Effect::Announce | Effect::Probe | Effect::Note(_) => {}
        }
    }

    fn gate_is_open(&self) -> bool {
        self.now < self.open_until
    }
}

fn failure_of(effect: &Effect) -> Option<Failure> {
    match effect {
        Effect::Configure => Some(Failure::Configure),
        Effect::Deconfigure => Some(Failure::Deconfigure),
        Effect::ShutGate => Some(Failure::ShutGate),
        Effect::Send { message: Message::Beacon(_), .. } => Some(Failure::Beacon),
        Effect::SetLease(_) => Some(Failure::SetLease),
        Effect::Send { .. } | Effect::Announce | Effect::Probe | Effect::Note(_) | Effect::Finished => None,
    }
}

/// Takes what an input decides off its front; zeros when it has ended.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }
}

fn settings(bytes: &mut Bytes<'_>) -> Settings {
    let choice = bytes.next();
    Settings {
        node: node(2),
        name: "bench".into(),
        site: SiteTag([0; 4]),
        dmz: dmz(),
        mac: Mac([2; 6]),
        role: if choice % 8 == 7 { Role::Observer } else { Role::Candidate },
        priority: Priority(100),
        prefer: if choice & 0x10 == 0 { Prefer::Stay } else { Prefer::Priority { delay: Duration::from_secs(1) } },
        timing: if choice & 0x20 == 0 { Timing::DEFAULT } else { Timing::QUIET },
    }
}

fn datagram(bytes: &mut Bytes<'_>, asked: Nonce) -> Datagram {
    let (sender, what) = (bytes.next(), bytes.next());
    let term = Term(u64::from(bytes.next() % 8));
    // Never this member's own id: the intake drops those.
    let sender = [0, 1, 3, 4][usize::from(sender % 4)];
    let member = MemberInfo { name: "liar".into(), priority: Priority(bytes.next()), health: Health(what % 101) };
    let nonce = if bytes.next() % 4 == 3 { Nonce(7) } else { asked };
    let message = match what % 9 {
        0 => Message::Beacon(Beacon {
            dmz: dmz(),
            member,
            mac: Mac([sender; 6]),
            interval: Duration::from_millis(100),
            lease: Duration::from_millis(180),
            members: 2,
            successors: (0..bytes.next() % 5).map(|index| node(index + what / 64)).collect(),
        }),
        1 => {
            let stance = [Stance::Observer, Stance::Probing, Stance::Standby, Stance::Conflict][usize::from(what / 64)];
            Message::Presence(Presence { member, stance, next_within: Duration::from_millis(1 + u64::from(what)) })
        }
        2 => Message::Query(nonce),
        3 => Message::Answer { nonce, holding: what > 127 },
        4 => Message::Prepare(nonce),
        5 => Message::Ready(nonce),
        6 => Message::Go { to: node(bytes.next() % 5), term: Term(u64::from(bytes.next() % 8)) },
        7 => Message::Released { leaving: what > 127 },
        _ => Message::Stale { about: node(bytes.next() % 5), epoch: BootEpoch(1) },
    };
    let (epoch, sequence) = (BootEpoch(1), Sequence(1));
    Datagram { site: SiteTag([0; 4]), node: node(sender), epoch, sequence, term, message }
}

fn node(index: u8) -> NodeId {
    NodeId([index; 16])
}

fn dmz() -> DmzAddresses {
    DmzAddresses { v4: Some(Ipv4Addr::new(192, 168, 1, 11)), v6: None }
}
