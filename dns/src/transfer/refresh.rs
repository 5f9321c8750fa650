//! When a secondary asks whom for what (RFC 1034, 4.3.5; RFC 1996, 3 and 4).
//!
//! ```text
//!   Resting --- time or NOTIFY ---> Asking(primary) --- newer ---> Fetching(primary)
//!      ^                              |  no answer: the next primary   |  failed: whole, then the next primary
//!      +------ all asked: retry ------+                                |
//!      +------ nothing newer: refresh +------------- has it -----------+
//! ```
//! The zone expires when no primary has confirmed it for the SOA's time; asking goes on. The shell asks and fetches, one
//! thing at a time, and says how it went; it also ends what takes too long.

use crate::zone::{Serial, Soa};

/// The machine of one zone. Times are milliseconds of a clock that never goes back.
#[derive(Debug)]
pub struct Refresh {
    primaries: usize,
    soa: Option<Soa>,
    /// When a primary last said that what is here is the newest.
    confirmed: u64,
    is_expired: bool,
    /// Rounds without success since the last with.
    failures: u32,
    /// A NOTIFY came while something else was being done.
    again: Option<usize>,
    state: State,
    random: u64,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// [`Refresh::deadline`] has come, or nothing: a tick too many does no harm.
    Tick,
    /// A primary says that the zone has changed, perhaps to which version. Who may say so was checked.
    Notified(usize, Option<Serial>),
    /// Somebody wants the zone looked at now.
    Wanted,
    /// The answer to [`Effect::Ask`]: the primary's version.
    Answered(Serial),
    /// No answer to [`Effect::Ask`], or none of use.
    Silent,
    /// [`Effect::Fetch`] has ended well: this is the start of authority now, perhaps the same as before.
    Fetched(Soa),
    /// [`Effect::Fetch`] has ended without use.
    Failed,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask this primary for its version.
    Ask(usize),
    /// Get the zone from this primary; `changes` is whether only what has changed is asked for.
    Fetch {
        /// The index of the primary.
        primary: usize,
        /// By IXFR.
        changes: bool,
    },
    /// The zone is not answered from any more.
    Expire,
    /// It is again, or for the first time.
    Revive,
}

/// The next time that [`Input::Tick`] does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: u64,
    /// Why.
    pub due: Due,
}

/// Why there is a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The primaries are to be asked.
    Refresh,
    /// They are to be asked again, as none was of use.
    Retry,
    /// The zone expires.
    Expiry,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Resting { until: u64, due: Due },
    Asking(Round),
    Fetching(Round, bool),
}

/// One round over the primaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Round {
    primary: usize,
    /// How many were asked before this one.
    asked: usize,
}

impl Refresh {
    /// A secondary of so many primaries, at least one. `soa` is of the zone that was kept from before, which a primary
    /// confirmed `age` milliseconds ago; `seed` spreads the secondaries that start together.
    pub fn new(primaries: usize, soa: Option<Soa>, age: u64, now: u64, seed: u64) -> Self {
        let state = State::Resting { until: now, due: Due::Refresh };
        let confirmed = now.saturating_sub(age);
        let random = seed | 1;
        let primaries = primaries.max(1);
        Self { primaries, soa, confirmed, is_expired: true, failures: 0, again: None, state, random }
    }

    /// Goes one step on and says what to do, in this order.
    pub fn step(&mut self, now: u64, input: Input, effects: &mut Vec<Effect>) {
        match (self.state, input) {
            (State::Resting { until, .. }, Input::Tick) if now >= until => self.ask(Round::from(0), effects),
            (State::Resting { .. }, Input::Wanted) => self.ask(Round::from(0), effects),
            (State::Resting { .. }, Input::Notified(primary, serial)) => {
                if self.is_news(serial) {
                    self.ask(Round::from(primary % self.primaries), effects);
                }
            }
            (State::Asking(_) | State::Fetching(..), Input::Notified(primary, serial)) => {
                if self.is_news(serial) {
                    self.again = Some(primary % self.primaries);
                }
            }
            (State::Asking(round), Input::Answered(serial)) => self.answered(round, serial, now, effects),
            (State::Asking(round), Input::Silent) => self.turn(round, now, effects),
            (State::Fetching(..), Input::Fetched(soa)) => {
                self.soa = Some(soa);
                self.confirm(now, effects);
            }
            (State::Fetching(round, true), Input::Failed) => {
                self.state = State::Fetching(round, false);
                effects.push(Effect::Fetch { primary: round.primary, changes: false });
            }
            (State::Fetching(round, false), Input::Failed) => self.turn(round, now, effects),
            (State::Resting { .. } | State::Asking(_) | State::Fetching(..), Input::Tick)
            | (State::Asking(_) | State::Fetching(..), Input::Wanted)
            | (State::Asking(_), Input::Fetched(_) | Input::Failed)
            | (State::Fetching(..), Input::Answered(_) | Input::Silent)
            | (State::Resting { .. }, Input::Answered(_) | Input::Silent | Input::Fetched(_) | Input::Failed) => {}
        }
        self.age(now, effects);
    }

    /// When [`Input::Tick`] is due next; nothing while the shell is at work on a zone that cannot expire.
    pub fn deadline(&self) -> Option<Deadline> {
        let expiry = self.expiry().filter(|_| !self.is_expired).map(|at| Deadline { at, due: Due::Expiry });
        let next = match self.state {
            State::Resting { until, due } => Some(Deadline { at: until, due }),
            State::Asking(_) | State::Fetching(..) => None,
        };
        expiry.into_iter().chain(next).min_by_key(|deadline| deadline.at)
    }

    /// Whether the zone is not to be answered from.
    pub fn is_expired(&self) -> bool {
        self.is_expired
    }

    /// The version that is here.
    pub fn serial(&self) -> Option<Serial> {
        self.soa.as_ref().map(|soa| soa.serial)
    }

    /// When the primaries are asked next; nothing while one is.
    pub fn next_round(&self) -> Option<u64> {
        match self.state {
            State::Resting { until, .. } => Some(until),
            State::Asking(_) | State::Fetching(..) => None,
        }
    }

    /// When the zone expires or expired, unless a primary confirms it; nothing while there is no zone.
    pub fn expiry(&self) -> Option<u64> {
        Some(self.confirmed + seconds(self.soa.as_ref()?.expire, MIN_EXPIRE))
    }

    fn is_news(&self, serial: Option<Serial>) -> bool {
        match (serial, self.serial()) {
            (Some(theirs), Some(mine)) => theirs.is_newer_than(mine) || self.is_expired,
            _ => true,
        }
    }

    fn answered(&mut self, round: Round, serial: Serial, now: u64, effects: &mut Vec<Effect>) {
        match self.serial() {
            // The others may be further, but to ask them every time would multiply the load for nothing.
            Some(mine) if mine == serial => self.confirm(now, effects),
            Some(mine) if !serial.is_newer_than(mine) => self.turn(round, now, effects),
            mine => {
                let changes = mine.is_some();
                self.state = State::Fetching(round, changes);
                effects.push(Effect::Fetch { primary: round.primary, changes });
            }
        }
    }

    /// On to the next primary, or to rest after the last.
    fn turn(&mut self, round: Round, now: u64, effects: &mut Vec<Effect>) {
        if round.asked + 1 < self.primaries {
            let next = Round { primary: (round.primary + 1) % self.primaries, asked: round.asked + 1 };
            return self.ask(next, effects);
        }
        self.failures = self.failures.saturating_add(1);
        let wait = match &self.soa {
            Some(soa) => seconds(soa.retry, MIN_RETRY),
            None => MIN_RETRY << self.failures.min(FIRST_DOUBLINGS),
        };
        let until = now + self.spread(wait);
        self.rest(until, Due::Retry, effects);
    }

    fn confirm(&mut self, now: u64, effects: &mut Vec<Effect>) {
        (self.confirmed, self.failures) = (now, 0);
        let wait = self.soa.as_ref().map_or(MIN_REFRESH, |soa| seconds(soa.refresh, MIN_REFRESH));
        let until = now + self.spread(wait);
        self.rest(until, Due::Refresh, effects);
    }

    fn rest(&mut self, until: u64, due: Due, effects: &mut Vec<Effect>) {
        self.state = State::Resting { until, due };
        if let Some(primary) = self.again.take() {
            self.ask(Round::from(primary), effects);
        }
    }

    fn ask(&mut self, round: Round, effects: &mut Vec<Effect>) {
        self.state = State::Asking(round);
        effects.push(Effect::Ask(round.primary));
    }

    /// Keeps in step whether the zone has expired.
    fn age(&mut self, now: u64, effects: &mut Vec<Effect>) {
        let is_expired = self.expiry().is_none_or(|expiry| now >= expiry);
        if is_expired != self.is_expired {
            effects.push(if is_expired { Effect::Expire } else { Effect::Revive });
            self.is_expired = is_expired;
        }
    }

    /// A time up to a tenth shorter, so that secondaries that began together do not stay together.
    fn spread(&mut self, wait: u64) -> u64 {
        // Marsaglia's xorshift: good enough to tell secondaries apart.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        wait - self.random % (wait / 10).max(1)
    }
}

impl Round {
    fn from(primary: usize) -> Self {
        Self { primary, asked: 0 }
    }
}

/// Seconds of an SOA record in milliseconds, within sense.
fn seconds(secs: u32, least: u64) -> u64 {
    (u64::from(secs) * 1000).clamp(least, MAX_WAIT)
}

/// The shortest times, in milliseconds: an SOA record with zeros must not make a secondary ask without pause.
const MIN_REFRESH: u64 = 5_000;
const MIN_RETRY: u64 = 2_000;
const MIN_EXPIRE: u64 = 60_000;
/// The longest time: four weeks, which is longer than anybody waits (RFC 1912, 2.2).
const MAX_WAIT: u64 = 28 * 24 * 3_600_000;
/// How often the pause doubles while there is no zone at all: up to about a minute.
const FIRST_DOUBLINGS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn soa(serial: u32) -> Soa {
        Soa { serial: Serial(serial), refresh: 100, retry: 20, expire: 1000, ..Soa::default() }
    }

    fn step(machine: &mut Refresh, now: u64, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        machine.step(now, input, &mut effects);
        effects
    }

    fn fetch(primary: usize, changes: bool) -> Effect {
        Effect::Fetch { primary, changes }
    }

    /// A secondary that has version 5 and has just been told that it is the newest.
    fn resting(primaries: usize) -> Refresh {
        let mut machine = Refresh::new(primaries, Some(soa(5)), 0, NOW, 1);
        assert_eq!(step(&mut machine, NOW, Input::Tick), [Effect::Ask(0), Effect::Revive]);
        assert_eq!(step(&mut machine, NOW, Input::Answered(Serial(5))), []);
        machine
    }

    #[test]
    fn a_new_secondary_gets_the_whole_zone() {
        let mut machine = Refresh::new(1, None, 0, NOW, 1);
        assert!(machine.is_expired());
        assert_eq!(machine.deadline(), Some(Deadline { at: NOW, due: Due::Refresh }));
        assert_eq!((machine.next_round(), machine.expiry()), (Some(NOW), None));
        assert_eq!(step(&mut machine, NOW, Input::Tick), [Effect::Ask(0)]);
        assert_eq!((machine.deadline(), machine.next_round()), (None, None));
        assert_eq!(step(&mut machine, NOW, Input::Answered(Serial(5))), [fetch(0, false)]);
        assert_eq!(step(&mut machine, NOW, Input::Fetched(soa(5))), [Effect::Revive]);
        let Some(Deadline { at, due: Due::Refresh }) = machine.deadline() else { panic!("{machine:?}") };
        assert!((NOW + 90_000..=NOW + 100_000).contains(&at), "{at}");
    }

    #[test]
    fn newer_is_fetched_as_changes_and_else_whole() {
        let mut machine = resting(1);
        assert_eq!(step(&mut machine, NOW + 99_000, Input::Tick), [Effect::Ask(0)]);
        assert_eq!(step(&mut machine, NOW + 99_000, Input::Answered(Serial(6))), [fetch(0, true)]);
        assert_eq!(step(&mut machine, NOW + 99_000, Input::Failed), [fetch(0, false)]);
        assert_eq!(step(&mut machine, NOW + 99_000, Input::Fetched(soa(6))), []);
        assert_eq!(machine.serial(), Some(Serial(6)));
    }

    #[test]
    fn older_is_not_fetched() {
        let mut machine = resting(1);
        step(&mut machine, NOW, Input::Wanted);
        assert_eq!(step(&mut machine, NOW, Input::Answered(Serial(4))), []);
        assert!(matches!(machine.deadline(), Some(Deadline { due: Due::Retry, .. })));
    }

    #[test]
    fn every_primary_is_asked_before_a_pause() {
        let mut machine = resting(3);
        assert_eq!(step(&mut machine, NOW, Input::Notified(1, None)), [Effect::Ask(1)]);
        assert_eq!(step(&mut machine, NOW, Input::Silent), [Effect::Ask(2)]);
        assert_eq!(step(&mut machine, NOW, Input::Answered(Serial(6))), [fetch(2, true)]);
        assert_eq!(step(&mut machine, NOW, Input::Failed), [fetch(2, false)]);
        assert_eq!(step(&mut machine, NOW, Input::Failed), [Effect::Ask(0)]);
        assert_eq!(step(&mut machine, NOW, Input::Silent), []);
        let Some(Deadline { at, due: Due::Retry }) = machine.deadline() else { panic!("{machine:?}") };
        assert!((NOW + 18_000..=NOW + 20_000).contains(&at), "{at}");
    }

    #[test]
    fn a_notify_is_news_or_not() {
        let mut machine = resting(2);
        assert_eq!(step(&mut machine, NOW, Input::Notified(1, Some(Serial(5)))), []);
        assert_eq!(step(&mut machine, NOW, Input::Notified(1, Some(Serial(4)))), []);
        assert_eq!(step(&mut machine, NOW, Input::Notified(1, Some(Serial(6)))), [Effect::Ask(1)]);
        // What comes meanwhile is looked at afterwards, once.
        assert_eq!(step(&mut machine, NOW, Input::Notified(0, Some(Serial(7)))), []);
        assert_eq!(step(&mut machine, NOW, Input::Notified(1, Some(Serial(8)))), []);
        assert_eq!(step(&mut machine, NOW, Input::Answered(Serial(6))), [fetch(1, true)]);
        assert_eq!(step(&mut machine, NOW, Input::Fetched(soa(6))), [Effect::Ask(1)]);
        assert_eq!(step(&mut machine, NOW, Input::Answered(Serial(6))), []);
        assert!(machine.deadline().is_some());
    }

    #[test]
    fn a_zone_that_nobody_confirms_expires_and_comes_back() {
        let mut machine = resting(1);
        let mut now = NOW;
        let mut seen = Vec::new();
        while now < NOW + 1_100_000 {
            let effects = step(&mut machine, now, Input::Tick);
            let is_asked = effects.contains(&Effect::Ask(0));
            seen.extend(effects.into_iter().filter(|effect| *effect == Effect::Expire).map(|_| now));
            if is_asked {
                step(&mut machine, now, Input::Silent);
            }
            now = machine.deadline().expect("it goes on").at.max(now + 1);
        }
        assert_eq!(seen, [NOW + 1_000_000]);
        assert!(machine.is_expired());
        step(&mut machine, now, Input::Wanted);
        // The same version as before is good enough.
        assert_eq!(step(&mut machine, now, Input::Answered(Serial(5))), [Effect::Revive]);
    }

    #[test]
    fn a_zone_kept_too_long_begins_expired() {
        let mut machine = Refresh::new(1, Some(soa(5)), 1_000_000, 2_000_000, 1);
        assert_eq!(step(&mut machine, 2_000_000, Input::Tick), [Effect::Ask(0)]);
        assert!(machine.is_expired());
    }

    #[test]
    fn zeros_in_the_soa_are_no_endless_loop() {
        let zeros = Soa { serial: Serial(5), ..Soa::default() };
        let mut machine = Refresh::new(1, Some(zeros), 0, NOW, 1);
        step(&mut machine, NOW, Input::Tick);
        step(&mut machine, NOW, Input::Silent);
        assert!(machine.deadline().is_some_and(|deadline| deadline.at > NOW + 1000));
        step(&mut machine, NOW, Input::Wanted);
        step(&mut machine, NOW, Input::Answered(Serial(5)));
        assert!(machine.deadline().is_some_and(|deadline| deadline.at > NOW + 4000));
        assert!(!machine.is_expired());
    }

    #[test]
    fn without_a_zone_the_pause_grows_to_a_minute() {
        let mut machine = Refresh::new(1, None, 0, NOW, 1);
        let (mut now, mut pauses) = (NOW, Vec::new());
        for _ in 0..8 {
            step(&mut machine, now, Input::Tick);
            step(&mut machine, now, Input::Silent);
            let next = machine.deadline().expect("it goes on").at;
            pauses.push((next - now).div_ceil(1000));
            now = next;
        }
        assert!(pauses.is_sorted() || pauses.windows(2).all(|pair| pair[1] * 10 >= pair[0] * 9), "{pauses:?}");
        assert!(pauses[0] <= 4 && pauses[7] > 50 && pauses[7] <= 64, "{pauses:?}");
    }
}
