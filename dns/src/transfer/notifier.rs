//! Whom a change is told to, and how often until they say that they heard (RFC 1996, 3.6).
//!
//! Each secondary has at most one message under way. A newer version takes the place of the one that is told, and versions
//! that come faster than [`GAP`] are told together.

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
    /// The secondary has answered a message about this version.
    Heard(usize, Serial),
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
    /// The last version it confirmed to have heard of.
    heard: Option<Serial>,
    /// When it was last told anything.
    told: Option<u64>,
    /// How often the current version was told.
    tries: u32,
    /// When it is told next.
    next: Option<u64>,
}

impl Notifier {
    /// For so many secondaries. They are told the version there is at the start as well: they may have missed it.
    pub fn new(peers: usize) -> Self {
        Self { serial: None, peers: vec![Peer { heard: None, told: None, tries: 0, next: None }; peers] }
    }

    /// Goes one step on and says what to do.
    pub fn step(&mut self, now: u64, input: NotifyInput, effects: &mut Vec<NotifyEffect>) {
        match input {
            NotifyInput::Tick => {}
            NotifyInput::Changed(serial) => {
                if self.serial == Some(serial) {
                    return;
                }
                self.serial = Some(serial);
                for peer in &mut self.peers {
                    peer.tries = 0;
                    peer.next = Some(peer.told.map_or(now, |told| (told + GAP).max(now)));
                }
            }
            NotifyInput::Heard(index, serial) => {
                if let Some(peer) = self.peers.get_mut(index) {
                    peer.heard = Some(serial);
                    if self.serial == Some(serial) {
                        peer.next = None;
                    }
                }
            }
        }
        let Some(serial) = self.serial else { return };
        for (index, peer) in self.peers.iter_mut().enumerate() {
            if peer.next.is_none_or(|next| now < next) {
                continue;
            }
            if peer.tries >= TRIES {
                peer.next = None;
                effects.push(NotifyEffect::GaveUp(index));
                continue;
            }
            peer.next = Some(now + (FIRST_WAIT << peer.tries));
            peer.tries += 1;
            peer.told = Some(now);
            effects.push(NotifyEffect::Send(index, serial));
        }
    }

    /// When [`NotifyInput::Tick`] is due next.
    pub fn deadline(&self) -> Option<u64> {
        self.peers.iter().filter_map(|peer| peer.next).min()
    }

    /// The last version that a secondary confirmed to have heard of.
    pub fn heard(&self, peer: usize) -> Option<Serial> {
        self.peers.get(peer)?.heard
    }
}

/// Milliseconds between two messages to one secondary about different versions: a storm of updates is told ten times a
/// second, and a single one at once.
const GAP: u64 = 100;
/// Milliseconds until a message is sent again; each time twice as long.
const FIRST_WAIT: u64 = 2_000;
/// Messages about one version: over about two minutes (RFC 1996, 3.6).
const TRIES: u32 = 6;

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
        assert_eq!(machine.heard(1), Some(Serial(1)));
    }

    #[test]
    fn who_does_not_hear_is_told_again_and_then_given_up() {
        let mut machine = Notifier::new(1);
        step(&mut machine, NOW, NotifyInput::Changed(Serial(1)));
        let mut told = Vec::new();
        while let Some(at) = machine.deadline() {
            told.push((at - NOW, step(&mut machine, at, NotifyInput::Tick)));
        }
        let send = || vec![NotifyEffect::Send(0, Serial(1))];
        let mut expected: Vec<_> = [2, 6, 14, 30, 62].map(|secs| (secs * 1000, send())).into();
        expected.push((126_000, vec![NotifyEffect::GaveUp(0)]));
        assert_eq!(told, expected);
        assert_eq!(step(&mut machine, NOW + 200_000, NotifyInput::Changed(Serial(2))).len(), 1);
    }

    #[test]
    fn a_storm_is_told_together() {
        let mut machine = Notifier::new(1);
        let mut told = 0;
        for serial in 1..=1000u32 {
            let now = NOW + u64::from(serial);
            told += step(&mut machine, now, NotifyInput::Changed(Serial(serial))).len();
            // The answer is about an older version than the newest.
            told += step(&mut machine, now, NotifyInput::Heard(0, Serial(serial - 1))).len();
        }
        assert!((9..=11).contains(&told), "{told}");
        let at = machine.deadline().expect("the last is told");
        assert_eq!(step(&mut machine, at, NotifyInput::Tick), [NotifyEffect::Send(0, Serial(1000))]);
    }

    #[test]
    fn an_answer_from_nobody_does_no_harm() {
        let mut machine = Notifier::new(1);
        assert_eq!(step(&mut machine, NOW, NotifyInput::Heard(7, Serial(1))), []);
    }
}
