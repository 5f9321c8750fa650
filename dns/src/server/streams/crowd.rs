//! Everybody who is connected: how many there may be, and how long they may be silent.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::guard::network;

/// The places of a server; copies share them.
#[derive(Clone, Debug)]
pub(super) struct Crowd(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    per_network: usize,
    idle: Duration,
    /// Changes only while `networks` is locked; reading it waits for nobody.
    taken: AtomicUsize,
    networks: Mutex<HashMap<[u8; 8], usize>>,
}

/// A place that is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    network: [u8; 8],
}

impl Crowd {
    pub(super) fn new(limit: usize, per_network: usize, idle: Duration) -> Self {
        Self(Arc::new(Inner { limit, per_network, idle, taken: AtomicUsize::default(), networks: Mutex::default() }))
    }

    /// How many are connected.
    pub(super) fn len(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Whether it is so full that whoever comes should prove that he is where he says.
    pub(super) fn is_crowded(&self) -> bool {
        self.len() > self.0.limit / 2
    }

    /// A place for a client, if there is one.
    pub(super) fn enter(&self, client: IpAddr) -> Option<Place> {
        let network = network(client);
        let is_in = self.with(|networks| {
            let mine = networks.get(&network).copied().unwrap_or(0);
            let is_in = self.len() < self.0.limit && mine < self.0.per_network;
            if is_in {
                self.0.taken.fetch_add(1, Ordering::Relaxed);
                networks.insert(network, mine + 1);
            }
            is_in
        });
        is_in.then(|| Place { crowd: self.clone(), network })
    }

    /// How long a client may be silent now.
    pub(super) fn patience(&self) -> Duration {
        patience(self.len(), self.0.limit, self.0.idle)
    }

    fn with<T>(&self, change: impl FnOnce(&mut HashMap<[u8; 8], usize>) -> T) -> T {
        change(&mut self.0.networks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.with(|networks| {
            self.crowd.0.taken.fetch_sub(1, Ordering::Relaxed);
            let mine = networks.get(&self.network).map_or(0, |mine| mine - 1);
            match mine {
                0 => networks.remove(&self.network),
                _ => networks.insert(self.network, mine),
            };
        });
    }
}

/// All of `idle` while at most half of the places are taken; then less and less, down to a fiftieth when all are.
fn patience(taken: usize, limit: usize, idle: Duration) -> Duration {
    let half = (limit / 2).max(1);
    let left = limit.saturating_sub(taken).min(half);
    (idle * left as u32 / half as u32).max(idle / 50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_so_many_for_a_network() {
        let crowd = Crowd::new(3, 2, Duration::from_secs(30));
        let enter = |last: u8, net: u8| crowd.enter(IpAddr::from([192, 0, net, last]));
        let (one, two) = (enter(1, 2), enter(2, 2));
        assert!(one.is_some() && two.is_some() && enter(3, 2).is_none(), "the network has two");
        let other = enter(1, 3);
        assert!(other.is_some() && enter(1, 4).is_none(), "there are three");
        assert!(crowd.is_crowded());
        drop(one);
        assert!(enter(9, 2).is_some());
        drop((two, other));
        assert_eq!((crowd.len(), crowd.with(|networks| networks.len())), (0, 0));
    }

    #[test]
    fn the_fuller_the_less_patient() {
        let idle = Duration::from_secs(30);
        for (taken, secs) in [(0, 30.0), (500, 30.0), (750, 15.0), (900, 6.0), (1_000, 0.6), (2_000, 0.6)] {
            assert_eq!(patience(taken, 1_000, idle).as_secs_f64(), secs, "{taken}");
        }
        assert_eq!(patience(0, 1, idle), idle);
    }
}
