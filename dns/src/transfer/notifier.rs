//! Whom a change is told to, and how often until they say that they heard (RFC 1996, 3.6).
//!
//! Each secondary has at most one message under way; how that went is an input. Versions that come meanwhile, or faster
//! than [`GAP`], are told together: only the newest counts.

use crate::zone::Serial;

/// The machine of one zone. Times are milliseconds of a clock that never goes back.
#[derive(Debug)]
pub struct Notifier {
    serial: Option<Serial>,
    peers: Vec<Peer>,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyInput {
    /// [`Notifier::deadline`] has come, or nothing: a tick too many does no harm.
    Tick,
    /// The zone has this version now.
    Changed(Serial),
    /// The zone is not there, or has expired: there is nothing to tell until it changes again.
    Gone,
    /// The secondary has answered the message about this version.
    Heard(usize, Serial),
    /// It has not answered the message that was under way.
    Unheard(usize),
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyEffect {
    /// Send this secondary a NOTIFY message about the version that the zone has now, which is this.
    Send(usize, Serial),
    /// This secondary does not answer; it is told nothing more until the next change.
    GaveUp(usize),
}

#[derive(Clone, Copy, Debug)]
struct Peer {
    state: State,
    /// When it was last told anything.
    told: Option<u64>,
    /// How often the newest version was told in vain.
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It knows the newest version, or does not answer.
    Resting,
    /// It is to be told at this time.
    Due(u64),
    /// It is being told this version.
    Telling(Serial),
}

impl Notifier {
    /// For so many secondaries. They are told the version there is at the start as well: they may have missed it.
    pub fn new(peers: usize) -> Self {
        Self { serial: None, peers: vec![Peer { state: State::Resting, told: None, failures: 0 }; peers] }
    }

    /// Goes one step on and says what to do.
    pub fn step(&mut self, now: u64, input: NotifyInput, effects: &mut Vec<NotifyEffect>) {
        match input {
            NotifyInput::Tick => {}
            NotifyInput::Gone => self.serial = None,
            NotifyInput::Changed(serial) => {
                if self.serial.replace(serial) != Some(serial) {
                    self.peers.iter_mut().for_each(|peer| peer.owe(now));
                }
            }
            NotifyInput::Heard(index, serial) => {
                let newest = self.serial;
                if let Some(peer) = self.peers.get_mut(index) {
                    peer.heard(now, newest == Some(serial));
                }
            }
            NotifyInput::Unheard(index) => {
                let newest = self.serial;
                let peer = self.peers.get_mut(index).filter(|peer| matches!(peer.state, State::Telling(_)));
                if peer.is_some_and(|peer| peer.unheard(now, newest)) {
                    effects.push(NotifyEffect::GaveUp(index));
                }
            }
        }
        let Some(serial) = self.serial else { return };
        for (index, peer) in self.peers.iter_mut().enumerate() {
            if matches!(peer.state, State::Due(at) if now >= at) {
                (peer.state, peer.told) = (State::Telling(serial), Some(now));
                effects.push(NotifyEffect::Send(index, serial));
            }
        }
    }

    /// When [`NotifyInput::Tick`] is due next.
    pub fn deadline(&self) -> Option<u64> {
        self.serial?;
        let due = |peer: &Peer| if let State::Due(at) = peer.state { Some(at) } else { None };
        self.peers.iter().filter_map(due).min()
    }
}

impl Peer {
    /// There is something new to tell.
    fn owe(&mut self, now: u64) {
        self.failures = 0;
        if !matches!(self.state, State::Telling(_)) {
            self.state = State::Due(self.told.map_or(now, |told| (told + GAP).max(now)));
        }
    }

    fn heard(&mut self, now: u64, is_newest: bool) {
        if !matches!(self.state, State::Telling(_)) {
            return;
        }
        self.state = State::Resting;
        if !is_newest {
            self.owe(now);
        }
    }

    /// Whether it is given up.
    fn unheard(&mut self, now: u64, newest: Option<Serial>) -> bool {
        if self.state != newest.map_or(State::Resting, State::Telling) {
            self.state = State::Due(now + FIRST_WAIT);
            return false;
        }
        self.failures += 1;
        let is_over = self.failures >= TRIES;
        self.state = if is_over { State::Resting } else { State::Due(now + (FIRST_WAIT << (self.failures - 1))) };
        is_over
    }
}

/// Milliseconds between two messages to one secondary: a storm of updates is told ten times a second, and a single one at
/// once.
const GAP: u64 = 100;
/// Milliseconds until a secondary that did not answer is told again; each time twice as long.
const FIRST_WAIT: u64 = 2_000;
/// How often one version is told in vain: for about half a minute, and as long as the messages take.
const TRIES: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn step(machine: &mut Notifier, now: u64, input: NotifyInput) -> Vec<NotifyEffect> {
        let mut effects = Vec::new();
        machine.step(now, input, &mut effects);
        effects
    }

    #[test]
    fn everybody_is_told_at_once_and_once() {
        let mut machine = Notifier::new(2);
        assert_eq!(machine.deadline(), None);
        let told = step(&mut machine, NOW, NotifyInput::Changed(Serial(1)));
        assert_eq!(told, [NotifyEffect::Send(0, Serial(1)), NotifyEffect::Send(1, Serial(1))]);
        assert_eq!(step(&mut machine, NOW, NotifyInput::Changed(Serial(1))), []);
        assert_eq!(step(&mut machine, NOW + 10, NotifyInput::Heard(0, Serial(1))), []);
        assert_eq!(step(&mut machine, NOW + 10, NotifyInput::Heard(1, Serial(1))), []);
        assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn who_does_not_hear_is_told_again_and_then_given_up() {
        let mut machine = Notifier::new(1);
        let mut effects = step(&mut machine, NOW, NotifyInput::Changed(Serial(1)));
        let (mut now, mut told) = (NOW, Vec::new());
        while effects == [NotifyEffect::Send(0, Serial(1))] {
            told.push((now - NOW) / 1000);
            effects = step(&mut machine, now, NotifyInput::Unheard(0));
            if let Some(at) = machine.deadline() {
                assert_eq!(effects, []);
                now = at;
                effects = step(&mut machine, now, NotifyInput::Tick);
            }
        }
        assert_eq!((told, effects), (vec![0, 2, 6, 14, 30], vec![NotifyEffect::GaveUp(0)]));
        // A new version begins anew.
        let told = step(&mut machine, now + 1000, NotifyInput::Changed(Serial(2)));
        assert_eq!(told, [NotifyEffect::Send(0, Serial(2))]);
    }

    #[test]
    fn a_storm_is_told_together_and_ends_with_the_newest() {
        let mut machine = Notifier::new(1);
        let mut told = Vec::new();
        for serial in 1..=1000u32 {
            let now = NOW + u64::from(serial);
            for effect in step(&mut machine, now, NotifyInput::Changed(Serial(serial))) {
                let NotifyEffect::Send(0, serial) = effect else { panic!("{effect:?}") };
                told.push(serial);
                step(&mut machine, now, NotifyInput::Heard(0, serial));
            }
        }
        assert!((9..=11).contains(&told.len()), "{told:?}");
        let at = machine.deadline().expect("the last is told");
        assert_eq!(step(&mut machine, at, NotifyInput::Tick), [NotifyEffect::Send(0, Serial(1000))]);
    }

    #[test]
    fn one_message_is_under_way_at_a_time() {
        let mut machine = Notifier::new(1);
        step(&mut machine, NOW, NotifyInput::Changed(Serial(1)));
        assert_eq!(step(&mut machine, NOW + 500, NotifyInput::Changed(Serial(2))), []);
        assert_eq!(machine.deadline(), None);
        let told = step(&mut machine, NOW + 600, NotifyInput::Heard(0, Serial(1)));
        assert_eq!(told, [NotifyEffect::Send(0, Serial(2))]);
        // The failure of an old one does not count against the newest.
        assert_eq!(step(&mut machine, NOW + 700, NotifyInput::Changed(Serial(3))), []);
        assert_eq!(step(&mut machine, NOW + 6000, NotifyInput::Unheard(0)), []);
        assert_eq!(machine.deadline(), Some(NOW + 8000));
    }

    #[test]
    fn a_zone_that_is_gone_is_not_told_of_until_it_is_back() {
        let mut machine = Notifier::new(2);
        step(&mut machine, NOW, NotifyInput::Changed(Serial(1)));
        assert_eq!(step(&mut machine, NOW + 100, NotifyInput::Unheard(0)), []);
        assert!(machine.deadline().is_some());
        assert_eq!(step(&mut machine, NOW + 200, NotifyInput::Gone), []);
        assert_eq!(step(&mut machine, NOW + 300, NotifyInput::Heard(1, Serial(1))), []);
        assert_eq!((machine.deadline(), step(&mut machine, NOW + 9000, NotifyInput::Tick)), (None, vec![]));
        let told = step(&mut machine, NOW + 10_000, NotifyInput::Changed(Serial(1)));
        assert_eq!(told, [NotifyEffect::Send(0, Serial(1)), NotifyEffect::Send(1, Serial(1))]);
    }

    #[test]
    fn an_answer_from_nobody_does_no_harm() {
        let mut machine = Notifier::new(1);
        assert_eq!(step(&mut machine, NOW, NotifyInput::Heard(7, Serial(1))), []);
        assert_eq!(step(&mut machine, NOW, NotifyInput::Unheard(0)), []);
    }
}
