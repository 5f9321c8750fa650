//! When a certificate is renewed.
//!
//! At two thirds of its life, or up to a twelfth of it earlier, so that nodes that were made together do not come
//! together; after a failure again and again with growing pauses. A third of its life is left then for a spawner that is
//! off, and for clocks that are wrong.

use std::time::Duration;

use super::certificate::Validity;
use crate::random::Random;
use crate::units::WallTime;

/// The first pause after a failure.
const SHORTEST: Duration = Duration::from_secs(60);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);
/// Within this time everybody comes when the fabric's key was rotated.
const HURRY: Duration = Duration::from_secs(10 * 60);

/// Decides when one certificate is renewed.
#[derive(Clone, Debug)]
pub struct Renewal {
    at: WallTime,
    pause: Duration,
    random: Random,
}

impl Renewal {
    /// The plan for a certificate with this validity; `seed` differs between nodes.
    pub fn new(validity: Validity, seed: u64) -> Renewal {
        let mut random = Random::new(seed);
        let life = validity.until.since(validity.from);
        let at = validity.from + (life * 2 / 3).saturating_sub(random.below(life / 12));
        Renewal { at, pause: SHORTEST, random }
    }

    /// When the next attempt is due.
    pub fn at(&self) -> WallTime {
        self.at
    }

    /// Whether an attempt is due.
    pub fn is_due(&self, now: WallTime) -> bool {
        self.at <= now
    }

    /// An attempt failed; the next one follows after a pause, twice as long as the last and jittered by a half.
    pub fn failed(&mut self, now: WallTime) {
        self.at = now + self.pause / 2 + self.random.below(self.pause);
        self.pause = (self.pause * 2).min(LONGEST);
    }

    /// The fabric's key was rotated, or the spawner's own certificate renewed: an attempt is due soon.
    pub fn hurry(&mut self, now: WallTime) {
        self.at = self.at.min(now + self.random.below(HURRY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn plan(seed: u64) -> Renewal {
        Renewal::new(Validity { from: WallTime::from_secs(0), until: WallTime::from_secs(30 * DAY) }, seed)
    }

    #[test]
    fn a_third_of_its_life_is_left_and_nodes_do_not_come_together() {
        let mut moments: Vec<u64> = (0..200).map(|seed| plan(seed).at().as_secs()).collect();
        assert!(moments.iter().all(|at| (17 * DAY + DAY / 2..=20 * DAY).contains(at)), "{moments:?}");
        moments.sort_unstable();
        moments.dedup();
        assert!(moments.len() > 190, "only {} different moments", moments.len());
    }

    #[test]
    fn failures_are_spaced_out_and_never_given_up() {
        let mut plan = plan(1);
        let mut now = plan.at();
        assert!(plan.is_due(now));
        let mut attempts = 0;
        while now < WallTime::from_secs(30 * DAY) {
            plan.failed(now);
            assert!(!plan.is_due(now));
            let pause = plan.at().since(now);
            assert!(SHORTEST / 2 <= pause && pause <= LONGEST * 3 / 2, "{pause:?}");
            now = plan.at();
            attempts += 1;
        }
        assert!((40..=90).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_rotation_hurries_everybody() {
        let mut plan = plan(3);
        let now = WallTime::from_secs(DAY);
        plan.hurry(now);
        assert!(plan.at() < now + HURRY);
        let soon = plan.at();
        plan.hurry(soon);
        assert_eq!(plan.at(), soon, "what is due stays due");
    }
}
