//! How much work may be spent on strangers' packets.

use std::time::Duration;

use crate::units::Time;

/// So many tokens a second, and how many may be saved up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) per_second: u32,
    pub(super) burst: u32,
}

/// A token bucket; full at first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// The moment at which the bucket would be full if nothing more were taken.
    full_at: Time,
}

impl Bucket {
    pub(super) const fn new(rate: Rate) -> Bucket {
        Bucket { rate, full_at: Time::ZERO }
    }

    /// Takes a token, if one is there.
    pub(super) fn spend(&mut self, now: Time) -> bool {
        let full_at = self.full_at.max(now) + self.price();
        let affordable = full_at.since(now) <= self.price() * self.rate.burst;
        if affordable {
            self.full_at = full_at;
        }
        affordable
    }

    /// The time in which one token comes back.
    fn price(&self) -> Duration {
        Duration::from_secs(1) / self.rate.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_goes_first_then_the_rate() {
        let mut bucket = Bucket::new(Rate { per_second: 100, burst: 5 });
        let mut spent = |from: u64, to: u64| {
            let mut count = 0;
            for milli in from..to {
                let now = Time::from_millis(milli);
                while bucket.spend(now) {
                    count += 1;
                }
            }
            count
        };
        assert_eq!(spent(1_000, 1_001), 5);
        assert_eq!(spent(1_001, 2_001), 100);
        assert_eq!(spent(5_000, 5_001), 5, "idle time saves up no more than the burst");
    }
}
