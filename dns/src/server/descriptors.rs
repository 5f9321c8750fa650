//! The descriptors that this process may have open: as many as its connections need, where the system allows it.
//!
//! A process begins with a thousand, for the sake of old programs. Without a descriptor nobody can connect, and nothing can
//! be written: so connections get no more than what is left when everything else has its own.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors for all but connections and the sockets of zones' own: journals that are being written, questions to
/// others, the program itself.
const OTHERS: u64 = 1_024;
/// A journal, and its next one while it is made shorter.
const PER_ZONE: u64 = 2;

/// What descriptors are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) connections: usize,
    pub(super) zones: usize,
    /// Sockets that listen.
    pub(super) sockets: usize,
}

/// Lets this process have as many descriptors as it needs, or as many as it may; how many connections these are enough for.
pub(super) fn make_room(need: Need) -> usize {
    let before = getrlimit(Resource::Nofile);
    let (limit, connections) = plan(need, before);
    let (limit, connections) = match limit == before || setrlimit(Resource::Nofile, limit).is_ok() {
        true => (limit, connections),
        false => plan(need, Rlimit { maximum: before.current, ..before }),
    };
    if connections < need.connections {
        tracing::warn!(
            wanted = need.total(),
            allowed = limit.current.unwrap_or(u64::MAX),
            connections,
            "too few open files are allowed (LimitNOFILE=, ulimit -Hn): fewer clients can be connected"
        );
    }
    connections
}

impl Need {
    fn besides(self) -> u64 {
        OTHERS + PER_ZONE * self.zones as u64 + self.sockets as u64
    }

    fn total(self) -> u64 {
        self.besides() + self.connections as u64
    }
}

/// The limits to set, and the connections there is room for then. The soft limit only grows; nothing stands for no limit.
fn plan(need: Need, before: Rlimit) -> (Rlimit, usize) {
    let wanted = need.total();
    let most = before.maximum.unwrap_or(u64::MAX);
    let current = before.current.map(|current| current.max(wanted.min(most)));
    let left = current.unwrap_or(u64::MAX).saturating_sub(need.besides());
    // Too few for anything is still a few: whoever runs such a system wants to see that it answers.
    let least = need.connections.min(LEAST);
    let connections = usize::try_from(left).unwrap_or(usize::MAX).clamp(least, need.connections);
    (Rlimit { current, maximum: before.maximum }, connections)
}

/// Connections that are taken in any case.
const LEAST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const NEED: Need = Need { connections: 12_000, zones: 10, sockets: 6 };

    fn planned(current: Option<u64>, maximum: Option<u64>) -> (Option<u64>, usize) {
        let (limit, connections) = plan(NEED, Rlimit { current, maximum });
        assert_eq!(limit.maximum, maximum);
        (limit.current, connections)
    }

    #[test]
    fn the_soft_limit_grows_to_what_is_needed_and_allowed() {
        let all = 12_000 + OTHERS + 20 + 6;
        assert_eq!(planned(Some(1_024), Some(524_288)), (Some(all), 12_000));
        assert_eq!(planned(Some(1_024), None), (Some(all), 12_000));
        assert_eq!(planned(Some(524_288), Some(524_288)), (Some(524_288), 12_000), "it does not shrink");
        assert_eq!(planned(None, None), (None, 12_000));
    }

    #[test]
    fn connections_leave_the_rest_its_own() {
        assert_eq!(planned(Some(1_024), Some(4_096)), (Some(4_096), 4_096 - 1_050));
        assert_eq!(planned(Some(256), Some(1_024)), (Some(1_024), LEAST));
    }
}
