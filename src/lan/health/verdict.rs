//! How fit the member is, from what its checks said one after the other. Pure.
//!
//! A check passes until it has failed `fall` times in a row, then fails until it has succeeded `rise` times in a row.
//! It starts as passing, so that a start is not delayed by checks and one bad try is never enough.

use crate::config::{Check, Cost};
use crate::units::Health;

/// The checks' standings.
#[derive(Clone, Debug)]
pub struct Verdict {
    standings: Vec<Standing>,
}

#[derive(Clone, Debug)]
struct Standing {
    rise: u32,
    fall: u32,
    cost: Cost,
    passing: bool,
    /// Tries in a row that spoke against `passing`.
    against: u32,
}

impl Verdict {
    /// Every check passing.
    pub fn new(checks: &[Check]) -> Verdict {
        let standing = |check: &Check| Standing {
            rise: check.rise,
            fall: check.fall,
            cost: check.cost,
            passing: true,
            against: 0,
        };
        Verdict { standings: checks.iter().map(standing).collect() }
    }

    /// Takes in the outcome of one try of the check at `index`; whether the check passes now.
    pub fn tell(&mut self, index: usize, succeeded: bool) -> bool {
        let Some(standing) = self.standings.get_mut(index) else { return false };
        standing.against = if succeeded == standing.passing { 0 } else { standing.against.saturating_add(1) };
        let needed = if standing.passing { standing.fall } else { standing.rise };
        if standing.against >= needed {
            standing.passing = succeeded;
            standing.against = 0;
        }
        standing.passing
    }

    /// 100 less the weights of the failing checks; 0 if one of them has a veto.
    pub fn health(&self) -> Health {
        let failing = self.standings.iter().filter(|standing| !standing.passing);
        Health(failing.fold(Health::FULL.0, |health, standing| match standing.cost {
            Cost::Weight(weight) => health.saturating_sub(weight),
            Cost::Veto => Health::NONE.0,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::CheckProbe;

    #[test]
    fn rise_and_fall() {
        // Tries (+ good, - bad) and after each of them whether the check passes (P) or fails (F).
        let cases = [
            (1, 1, "+-+-", "PFPF"),
            (2, 3, "--+---", "PPPPPF"),
            (2, 3, "---+-++-", "PPFFFFPP"),
            (3, 1, "-++-+++", "FFFFFFP"),
            (1, 2, "+++--++", "PPPPFPP"),
        ];
        for (rise, fall, tries, expected) in cases {
            let mut verdict = Verdict::new(&[check(rise, fall, Cost::Veto)]);
            assert_eq!(verdict.health(), Health::FULL, "a start is not delayed");
            let told: String = tries.chars().map(|sign| if verdict.tell(0, sign == '+') { 'P' } else { 'F' }).collect();
            assert_eq!(told, expected, "rise {rise}, fall {fall}, tries {tries}");
        }
    }

    #[test]
    fn what_failures_cost() {
        let checks = [Cost::Weight(30), Cost::Weight(60), Cost::Weight(20), Cost::Veto].map(|cost| check(1, 1, cost));
        let cases: [(&[usize], u8); 7] =
            [(&[], 100), (&[0], 70), (&[1], 40), (&[0, 1], 10), (&[0, 1, 2], 0), (&[3], 0), (&[0, 3], 0)];
        for (failing, health) in cases {
            let mut verdict = Verdict::new(&checks);
            failing.iter().for_each(|index| assert!(!verdict.tell(*index, false)));
            assert_eq!(verdict.health(), Health(health), "{failing:?}");
            failing.iter().for_each(|index| assert!(verdict.tell(*index, true)));
            assert_eq!(verdict.health(), Health::FULL, "{failing:?}");
        }
        assert!(!Verdict::new(&checks).tell(4, true), "there is no fifth check");
    }

    fn check(rise: u32, fall: u32, cost: Cost) -> Check {
        let second = Duration::from_secs(1);
        let probe = CheckProbe::Gateway(None);
        Check { name: String::new(), probe, interval: second, timeout: second / 2, rise, fall, cost }
    }
}
