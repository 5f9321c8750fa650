//! Who holds the DMZ address.
//!
//! A pure machine (sans-IO): it is told the time and what happened, and answers with one ordered list of effects.
//!
//! ```text
//!                  ┌──────────── the stranger is gone ───────┐
//!                  ▼                                         │
//!  Down ──link──▶ Probing ──a stranger answers──▶ Conflict ──┘
//!                  │   │
//!         a beacon │   │ nobody answers         nobody answers
//!        ┌─────────┘   └───────────▶ Asking ───────────────────┐
//!        ▼                            │  ▲                     ▼
//!     Standby ◀────── a beacon ───────┘  └─frozen for L───── Holding
//!      │ │ ▲                                                 ▲ ▲ │
//!      │ │ └─an answer── Suspecting ──three silent questions─┘ │ │ stop, give-up,
//!      │ └─silence─────────▲                                   │ │ a better member
//!      └─"prepare"──▶ Prepared ──"go"──────────────────────────┘ ▼
//!     Standby or Stopped ◀───── the successor's beacon ───── HandingOver
//!
//!  From anywhere: no link ──▶ Down, stop ──▶ Stopped, a beacon with a greater claim ──▶ Standby.
//!  Observer takes the place of all of these in a member that never holds.
//! ```
//!
//! Three ways lead to Holding, and no two members take one at once while they hear each other. *Silence:* T is longer
//! than the lease, and only the first successor that the holder named just acts, if it is on time. *Asking:* everyone
//! else goes from Suspecting to Asking, one stagger after the other; whoever suspects makes way, and of two askers the
//! greater id goes first. *"Go":* one member is named after the gate before is shut, and the others wait for longer than
//! its word is good.
//!
//! **Invariant:** nothing here performs anything, reads a clock or draws a random number; `lan/` performs the effects
//! in the order given. **Invariant:** a beacon is never asked for later than one lease after the last one that left,
//! unless the member has asked the others first. **Invariant:** a release is announced only after the gate is shut.

mod claim;
mod effect;
mod follow;
mod handover;
mod hold;
mod leave;
mod phase;
mod presence;
mod probe;
mod rhythm;
mod roster;
mod settings;

pub use effect::{Dest, Effect, Failure, Input, Note, Reason, State};
pub use phase::{Deadline, Why};
pub use roster::{Doing, MAX_MEMBERS, Member, Roster};
pub use settings::{JIFFY, Prefer, Role, Settings, Timing, TimingError};

use std::net::SocketAddr;
use std::time::Duration;

use crate::random::Random;
use crate::units::{Health, Mac, NodeId, Priority, Term, Time};
use crate::wire::{Datagram, MemberInfo, Message, Nonce};

use phase::{Following, Phase};
use presence::Pace;
use rhythm::Retiming;

/// A member that gave the address up on request does not want it back for this long.
const REST: Duration = Duration::from_secs(60);
/// A member that held within this time answers questions with "no longer", so that nobody waits for it.
const RECENTLY: Duration = Duration::from_secs(10);
/// The roster is looked through for silent members this often.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// One member's view of who holds.
#[derive(Debug)]
pub struct Machine {
    settings: Settings,
    phase: Phase,
    term: Term,
    health: Health,
    roster: Roster,
    pace: Pace,
    random: Random,
    /// New timing that is not in force yet.
    retiming: Option<Retiming>,
    /// The longest lease that the kernel may grant now.
    granted: Duration,
    /// No gate that this member opened stays open for longer after a beacon.
    longest_lease: Duration,
    /// Whether the DMZ addresses were put on this machine and not taken off again.
    configured: bool,
    held_until: Option<Time>,
    resting_until: Time,
    housekeeping: Time,
    /// A release that could not be performed: said once the lease has run out by itself.
    overdue_release: Option<Time>,
    stopping: bool,
}

impl Machine {
    /// A member that knows of no term above `known_term`; it waits for [`Input::Link`]. `seed` only spreads its
    /// datagrams in time.
    pub fn new(settings: Settings, known_term: Term, seed: u64) -> Machine {
        Machine {
            phase: Phase::Down,
            term: known_term,
            health: Health::FULL,
            roster: Roster::default(),
            pace: Pace::default(),
            random: Random::new(seed),
            retiming: None,
            granted: settings.timing.lease,
            longest_lease: settings.timing.lease,
            settings,
            configured: false,
            held_until: None,
            resting_until: Time::ZERO,
            housekeeping: Time::ZERO,
            overdue_release: None,
            stopping: false,
        }
    }

    /// Takes one input at the moment `now` and appends what is to be done, in order, to `out`.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) {
        self.settle_lease(now, &input);
        self.notice_freeze(now, out);
        match input {
            Input::Tick => self.tick(now, out),
            Input::Received { from, datagram } => self.received(now, from, datagram, out),
            Input::AddressSeen { mac } => self.address_seen(now, mac, out),
            Input::Link { up } => self.link(now, up, out),
            Input::FenceRestored => self.fence_restored(now, out),
            Input::Health(health) => self.health_changed(now, health, out),
            Input::GiveUp => self.give_up(now, out),
            Input::Stop => self.stop(now, out),
            Input::Reload(settings) => self.reload(now, *settings),
            Input::Failed(failure) => self.failed(now, failure, out),
        }
        self.ask_for_lease(now, out);
    }

    /// When [`Input::Tick`] is wanted next, and why; an earlier or later tick does no harm.
    pub fn deadline(&self) -> Option<Deadline> {
        let release = self.overdue_release.map(|at| Deadline { at, why: Why::Release });
        if matches!(self.phase, Phase::Stopped(_)) {
            return release;
        }
        let mut first = self.phase_deadline();
        let others = [
            self.pace.due().map(|at| Deadline { at, why: Why::Presence }),
            release,
            self.lease_deadline(),
            (!self.roster.is_empty()).then_some(Deadline { at: self.housekeeping, why: Why::Housekeeping }),
        ];
        for other in others.into_iter().flatten() {
            if first.is_none_or(|deadline| other.at < deadline.at) {
                first = Some(other);
            }
        }
        first
    }

    /// Where the machine is.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// The highest term known.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Who holds as far as this member knows; itself, if it does.
    pub fn holder(&self) -> Option<NodeId> {
        match &self.phase {
            Phase::Holding(_) => Some(self.settings.node),
            Phase::HandingOver(handover) => handover.still_holding().then_some(self.settings.node),
            Phase::Observer(following) => following.as_ref().map(|following| following.node),
            Phase::Standby(following) => Some(following.node),
            Phase::Suspecting(suspecting) => Some(suspecting.following.node),
            Phase::Prepared(prepared) => Some(prepared.following.node),
            Phase::Stopped(holder) => *holder,
            Phase::Down | Phase::Probing(_) | Phase::Asking(_) | Phase::Conflict(_) => None,
        }
    }

    /// Every other member known.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.roster.iter()
    }

    /// Who takes over after the holder, first one first, as this member knows it.
    pub fn successors(&self) -> Vec<NodeId> {
        match &self.phase {
            Phase::Holding(_) | Phase::HandingOver(_) => self.roster.successors(),
            _ => self.following().map(|following| following.successors.clone()).unwrap_or_default(),
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// This member's fitness.
    pub fn health(&self) -> Health {
        self.health
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.take_up_timing(now, out);
        if now >= self.housekeeping {
            self.housekeeping = now + HOUSEKEEPING;
            for member in self.roster.forget_silent(now) {
                out.push(Effect::Note(Note::Left { node: member.node, name: member.name, announced: false }));
            }
        }
        if self.overdue_release.is_some_and(|at| now >= at) {
            self.say_released(now, out);
        }
        match &self.phase {
            Phase::Down | Phase::Observer(_) | Phase::Standby(_) | Phase::Stopped(_) => self.tick_following(now, out),
            Phase::Suspecting(_) | Phase::Prepared(_) => self.tick_suspicion(now, out),
            Phase::Probing(_) | Phase::Asking(_) | Phase::Conflict(_) => self.tick_probe(now, out),
            Phase::Holding(_) => self.tick_holding(now, out),
            Phase::HandingOver(_) => self.tick_handover(now, out),
        }
        self.tick_presence(now, out);
    }

    fn received(&mut self, now: Time, from: SocketAddr, datagram: Datagram, out: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Stopped(_)) || datagram.node == self.settings.node {
            return;
        }
        if datagram.term > self.term {
            self.term = datagram.term;
            self.overtaken(now, &datagram.message, out);
        }
        let sender = Sender { node: datagram.node, address: from, term: datagram.term };
        match datagram.message {
            Message::Beacon(beacon) => {
                self.meet(now, &sender, &beacon.member, roster::Doing::Holding, beacon.lease * 4, out);
                self.beacon_heard(now, &sender, &beacon, out);
            }
            Message::Presence(presence) => {
                let doing = roster::Doing::from(presence.stance);
                self.meet(now, &sender, &presence.member, doing, presence.next_within, out);
                self.offer_if_better(now, out);
            }
            Message::Query(nonce) => self.asked(now, &sender, nonce, out),
            Message::Answer { nonce: _, holding } => self.answered(now, &sender, holding, out),
            Message::Prepare(nonce) => self.prepare(now, &sender, nonce, out),
            Message::Ready(nonce) => self.successor_ready(now, &sender, nonce, out),
            Message::Go { to, term } => self.go(now, &sender, to, term, out),
            Message::Released { leaving } => self.released(now, &sender, leaving, out),
            Message::Stale { .. } => {}
        }
    }

    fn enter(&mut self, phase: Phase, reason: Reason, out: &mut Vec<Effect>) {
        let from = self.phase.state();
        let holder_before = self.holder();
        self.phase = phase;
        let to = self.phase.state();
        if from != to {
            out.push(Effect::Note(Note::Role { from, to, reason }));
        }
        let holder = self.holder();
        if holder != holder_before {
            out.push(Effect::Note(Note::Holder { node: holder, term: self.term }));
        }
    }

    fn phase_deadline(&self) -> Option<Deadline> {
        match &self.phase {
            Phase::Down | Phase::Stopped(_) => None,
            Phase::Observer(_) | Phase::Standby(_) | Phase::Suspecting(_) | Phase::Prepared(_) => {
                self.follow_deadline()
            }
            Phase::Probing(_) | Phase::Asking(_) | Phase::Conflict(_) => self.probe_deadline(),
            Phase::Holding(_) => self.hold_deadline(),
            Phase::HandingOver(_) => self.handover_deadline(),
        }
    }

    fn following(&self) -> Option<&Following> {
        match &self.phase {
            Phase::Observer(following) => following.as_ref(),
            Phase::Standby(following) => Some(following),
            Phase::Suspecting(suspecting) => Some(&suspecting.following),
            Phase::Prepared(prepared) => Some(&prepared.following),
            Phase::Down
            | Phase::Probing(_)
            | Phase::Holding(_)
            | Phase::HandingOver(_)
            | Phase::Asking(_)
            | Phase::Conflict(_)
            | Phase::Stopped(_) => None,
        }
    }

    fn info(&self, now: Time) -> MemberInfo {
        MemberInfo { name: self.settings.name.clone(), priority: self.priority(now), health: self.health }
    }

    fn priority(&self, now: Time) -> Priority {
        if now < self.resting_until { Priority(0) } else { self.settings.priority }
    }

    fn nonce(&mut self) -> Nonce {
        Nonce(self.random.draw())
    }

    fn to_group(&self, message: Message) -> Effect {
        Effect::Send { to: Dest::Group, term: self.term, message, not_after: None }
    }

    fn to_member(&self, address: SocketAddr, message: Message) -> Effect {
        Effect::Send { to: Dest::Unicast(address), term: self.term, message, not_after: None }
    }

    fn is_mine(&self, mac: Mac) -> bool {
        mac == self.settings.mac
    }
}

/// Who sent a datagram, and the term it carried.
#[derive(Clone, Copy, Debug)]
struct Sender {
    node: NodeId,
    address: SocketAddr,
    term: Term,
}
