//! What people should know, while it is so.
//!
//! What this machine finds out about itself stands until it is over. What others say on the LAN is forgotten when it
//! is no longer heard, and is bounded: whoever floods the group from many addresses hides nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Warning;
use crate::units::Time;

/// Warnings about others on the LAN; more are not shown.
const MAX_HEARD: usize = 16;
/// A warning about another machine stays for so long after it was last heard.
const HEARD_FOR: Duration = Duration::from_secs(120);

/// The warnings in force.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    standing: BTreeSet<Warning>,
    heard: BTreeMap<Warning, Time>,
}

impl Warnings {
    /// Stands until it is taken back with [`Warnings::clear`]; logged when it is new.
    pub(super) fn raise(&mut self, warning: Warning) {
        if !self.standing.contains(&warning) {
            tracing::warn!("{warning}");
            self.standing.insert(warning);
        }
    }

    /// Something that a packet showed at `now`; logged when it is new.
    pub(super) fn heard(&mut self, now: Time, warning: Warning) {
        if let Some(at) = self.heard.get_mut(&warning) {
            *at = now;
            return;
        }
        self.heard.retain(|_, at| now.since(*at) < HEARD_FOR);
        if self.heard.len() < MAX_HEARD {
            tracing::warn!("{warning}");
            self.heard.insert(warning, now);
        }
    }

    /// Takes back what is over.
    pub(super) fn clear(&mut self, over: impl Fn(&Warning) -> bool) {
        self.standing.retain(|warning| !over(warning));
    }

    /// Whether such a warning stands.
    pub(super) fn any(&self, such: impl Fn(&Warning) -> bool) -> bool {
        self.standing.iter().any(such)
    }

    /// All of them at `now`, this machine's own first.
    pub(super) fn list(&self, now: Time) -> Vec<Warning> {
        let heard = self.heard.iter().filter(|(_, at)| now.since(**at) < HEARD_FOR).map(|(warning, _)| warning);
        self.standing.iter().chain(heard).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(last: u8) -> Warning {
        Warning::ForeignKey([10, 0, 0, last].into())
    }

    #[test]
    fn what_others_said_is_forgotten() {
        let mut warnings = Warnings::default();
        warnings.heard(Time::from_millis(0), stranger(1));
        warnings.heard(Time::from_millis(100_000), stranger(1));
        assert_eq!(warnings.list(Time::from_millis(200_000)), [stranger(1)]);
        assert_eq!(warnings.list(Time::from_millis(220_000)), []);
    }

    #[test]
    fn a_flood_hides_nothing() {
        let mut warnings = Warnings::default();
        (0..=255).for_each(|last| warnings.heard(Time::ZERO, stranger(last)));
        assert_eq!(warnings.list(Time::ZERO).len(), MAX_HEARD);
        let missing = Warning::InterfaceMissing("eth0".into());
        warnings.raise(missing.clone());
        assert_eq!(warnings.list(Time::ZERO).first(), Some(&missing));
        warnings.clear(|warning| *warning == missing);
        assert!(!warnings.any(|warning| *warning == missing));
    }
}
