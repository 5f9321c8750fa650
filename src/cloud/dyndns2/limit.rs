//! How often one key may ask. A client in a loop gets told, and keeps no writer busy.

use std::collections::BTreeMap;
use std::time::Duration;

use dns::name::Name;

use crate::units::Time;

/// Requests of one key in [`WINDOW`]; a router sends a handful when its line comes up.
pub(super) const MAX_REQUESTS: u32 = 60;
/// After this the count begins again.
pub(super) const WINDOW: Duration = Duration::from_secs(60);

/// The requests of each key; only those with the right secret are counted, so there are no more than keys.
#[derive(Debug, Default)]
pub(super) struct Limit(BTreeMap<Name, (Time, u32)>);

impl Limit {
    /// Counts a request; whether it is within the limit.
    pub(super) fn admit(&mut self, key: &Name, now: Time) -> bool {
        let (since, count) = self.0.entry(key.clone()).or_insert((now, 0));
        if now.since(*since) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count = count.saturating_add(1);
        *count <= MAX_REQUESTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_a_loop_has_to_wait() {
        let (mut limit, start) = (Limit::default(), Time::from_nanos(1));
        let [one, two]: [Name; 2] = ["one", "two"].map(|text| text.parse().unwrap());
        assert!((0..MAX_REQUESTS).all(|_| limit.admit(&one, start)));
        assert!(!limit.admit(&one, start) && limit.admit(&two, start));
        assert!(limit.admit(&one, start + WINDOW));
    }
}
