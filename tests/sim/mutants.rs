//! Deliberate mistakes around the machine: the suite must catch each of them, or it proves nothing.

use gatehouse::election::{Deadline, Dest, Effect, Failure, Input, Machine, Settings, State};
use gatehouse::units::{Term, Time};
use gatehouse::wire::Message;

use super::{random, stories};

/// A mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Says that it released without shutting its gate.
    KeepsGate,
    /// Shuts its gate but leaves the address on.
    KeepsAddress,
    /// Lets a beacon leave however late.
    IgnoresNotAfter,
    /// Opens its gate as soon as it is prepared, instead of waiting for the word.
    EagerSuccessor,
    /// Takes every rival's claim for a lesser one.
    Stubborn,
    /// Takes every rival's claim for a greater one.
    Meek,
    /// Takes over without having asked for long enough: its clock runs fast while it suspects.
    Impatient,
    /// The winner of two does not announce again.
    SilentWinner,
    /// Hears no answer while it suspects.
    DeafSuspect,
    /// Holds in the term that it knew, not in a new one.
    OldTerm,
    /// Has a longer lease granted as soon as it is wanted.
    HastyLease,
    /// Does not hear that the kernel refused a lease.
    TakesGranted,
}

/// All of them.
pub const ALL: [Mutant; 12] = [
    Mutant::KeepsGate,
    Mutant::KeepsAddress,
    Mutant::IgnoresNotAfter,
    Mutant::EagerSuccessor,
    Mutant::Stubborn,
    Mutant::Meek,
    Mutant::Impatient,
    Mutant::SilentWinner,
    Mutant::DeafSuspect,
    Mutant::OldTerm,
    Mutant::HastyLease,
    Mutant::TakesGranted,
];

/// Seeds within which a mutant must be caught.
const SEEDS: u64 = 300;

/// The machine under test, with or without a mistake around it.
#[derive(Debug)]
pub struct Subject {
    /// The machine itself.
    pub machine: Machine,
    mutant: Option<Mutant>,
    /// When it began to suspect.
    suspecting: Option<Time>,
}

impl Subject {
    /// A machine that waits for its link.
    pub fn new(settings: Settings, known: Term, (seed, mutant): (u64, Option<Mutant>)) -> Subject {
        Subject { machine: Machine::new(settings, known, seed), mutant, suspecting: None }
    }

    /// See [`Machine::state`].
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// See [`Machine::term`].
    pub fn term(&self) -> Term {
        self.machine.term()
    }

    /// See [`Machine::deadline`].
    pub fn deadline(&self) -> Option<Deadline> {
        let mut deadline = self.machine.deadline()?;
        if let (Some(Mutant::Impatient), Some(since)) = (self.mutant, self.suspecting) {
            deadline.at = since + deadline.at.since(since) / 8;
        }
        Some(deadline)
    }

    /// See [`Machine::step`].
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) {
        let Some(mutant) = self.mutant else { return self.machine.step(now, input, out) };
        let before = self.machine.state();
        let Some(input) = self.mishear(mutant, input) else { return };
        if let (Mutant::HastyLease, Input::Reload(settings)) = (mutant, &input) {
            out.push(Effect::SetLease(settings.timing.lease));
        }
        let was_rival = is_rivalry(&input) && before == State::Holding;
        let fast = match self.suspecting {
            Some(since) if mutant == Mutant::Impatient => since + now.since(since) * 8,
            _ => now,
        };
        self.machine.step(fast, input, out);
        let suspects = self.machine.state() == State::Suspecting;
        self.suspecting = suspects.then_some(self.suspecting.unwrap_or(now));
        self.misdo(mutant, (was_rival, before), out);
    }

    fn mishear(&self, mutant: Mutant, mut input: Input) -> Option<Input> {
        let holds = matches!(self.machine.state(), State::Holding | State::HandingOver);
        let suspects = self.machine.state() == State::Suspecting;
        match (&mut input, mutant) {
            (Input::Received { datagram, .. }, Mutant::Stubborn | Mutant::Meek)
                if holds && matches!(datagram.message, Message::Beacon(_)) =>
            {
                datagram.term = if mutant == Mutant::Meek { self.machine.term().next() } else { Term(0) };
            }
            (Input::Failed(Failure::SetLease), Mutant::TakesGranted) => return Some(Input::Tick),
            (Input::AddressSeen { .. }, Mutant::DeafSuspect) if suspects => return None,
            (Input::Received { datagram, .. }, Mutant::DeafSuspect)
                if suspects && matches!(datagram.message, Message::Answer { .. }) =>
            {
                return None;
            }
            _ => {}
        }
        Some(input)
    }

    fn misdo(&self, mutant: Mutant, (was_rival, before): (bool, State), out: &mut Vec<Effect>) {
        match mutant {
            Mutant::KeepsGate => out.retain(|effect| *effect != Effect::ShutGate),
            Mutant::KeepsAddress => out.retain(|effect| *effect != Effect::Deconfigure),
            Mutant::IgnoresNotAfter => {
                for effect in out.iter_mut() {
                    if let Effect::Send { not_after, .. } = effect {
                        *not_after = None;
                    }
                }
            }
            Mutant::EagerSuccessor if before != State::Prepared && self.machine.state() == State::Prepared => {
                let term = self.machine.term().next();
                let message = Message::Beacon(beacon(self.machine.settings()));
                out.push(Effect::Send { to: Dest::Group, term, message, not_after: None });
            }
            Mutant::SilentWinner if was_rival => out.retain(|effect| *effect != Effect::Announce),
            Mutant::SilentWinner if self.machine.state() == State::Holding && before == State::Holding => {
                out.retain(|effect| *effect != Effect::Announce);
            }
            Mutant::OldTerm => {
                for effect in out.iter_mut() {
                    if let Effect::Send { term, message: Message::Beacon(_), .. } = effect {
                        *term = Term(term.0.saturating_sub(1).max(1));
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_rivalry(input: &Input) -> bool {
    let Input::Received { datagram, .. } = input else { return false };
    matches!(datagram.message, Message::Beacon(_) | Message::Released { .. })
}

fn beacon(settings: &Settings) -> gatehouse::wire::Beacon {
    gatehouse::wire::Beacon {
        dmz: settings.dmz,
        member: gatehouse::wire::MemberInfo {
            name: settings.name.clone(),
            priority: settings.priority,
            health: gatehouse::units::Health::FULL,
        },
        mac: settings.mac,
        interval: settings.timing.beacon,
        lease: settings.timing.lease,
        members: 1,
        successors: Vec::new(),
    }
}

#[test]
fn every_mutant_is_caught() {
    let survivors: Vec<String> = ALL
        .into_iter()
        .filter_map(|mutant| {
            let by_seed = (0..SEEDS).find_map(|seed| Some((seed, random::run(seed, Some(mutant), false).err()?)));
            let by_story = || stories::REVEALING.iter().find_map(|story| stories::tell(*story, Some(mutant)).err());
            let (by, wrong) = match by_seed {
                Some((seed, wrong)) => (format!("seed {seed}"), wrong),
                None => match by_story() {
                    Some(wrong) => ("a story".into(), wrong),
                    None => return Some(format!("{mutant:?}")),
                },
            };
            println!("{mutant:?} is caught by {by}: {}", wrong.lines().last().unwrap_or_default());
            None
        })
        .collect();
    assert!(survivors.is_empty(), "these survive {SEEDS} seeds and all stories: {}", survivors.join(", "));
}
