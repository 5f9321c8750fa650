//! Who wants what: equal filters are kept and judged once, however many want them, and gone with the last.

use std::collections::{BTreeMap, BTreeSet};

use super::{Filter, FilterHash, Subject};

/// Different filters of one publisher at most: each is judged for each event.
pub const MAX_FILTERS: usize = 1_024;
/// Subscribers of one publisher at most.
pub const MAX_SUBSCRIBERS: usize = 16_384;

/// There are as many filters or subscribers as there may be; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many subscriptions")]
pub struct Full;

/// The filters of one publisher, and who has them.
#[derive(Clone, Debug)]
pub struct FilterSet<S> {
    filters: BTreeMap<FilterHash, (Filter, BTreeSet<S>)>,
    of: BTreeMap<S, FilterHash>,
}

impl<S> Default for FilterSet<S> {
    fn default() -> FilterSet<S> {
        FilterSet { filters: BTreeMap::new(), of: BTreeMap::new() }
    }
}

impl<S: Copy + Ord> FilterSet<S> {
    /// Somebody wants this, instead of what it wanted before.
    ///
    /// # Errors
    /// When there are too many.
    pub fn insert(&mut self, subscriber: S, filter: Filter) -> Result<(), Full> {
        let hash = filter.hash();
        let old = self.of.get(&subscriber).copied();
        let leaves = old.and_then(|old| self.filters.get(&old)).is_some_and(|(_, who)| who.len() == 1);
        let filters = self.filters.len() - usize::from(leaves && old != Some(hash));
        if (old.is_none() && self.of.len() >= MAX_SUBSCRIBERS)
            || (!self.filters.contains_key(&hash) && filters >= MAX_FILTERS)
        {
            return Err(Full);
        }
        self.remove(subscriber);
        self.filters.entry(hash).or_insert_with(|| (filter, BTreeSet::new())).1.insert(subscriber);
        self.of.insert(subscriber, hash);
        Ok(())
    }

    /// Somebody wants nothing any more; whether it wanted something.
    pub fn remove(&mut self, subscriber: S) -> bool {
        let Some(hash) = self.of.remove(&subscriber) else { return false };
        if let Some((_, who)) = self.filters.get_mut(&hash) {
            who.remove(&subscriber);
            if who.is_empty() {
                self.filters.remove(&hash);
            }
        }
        true
    }

    /// Calls `wanted` for each who wants this event.
    pub fn judge(&self, subject: &Subject, mut wanted: impl FnMut(S)) {
        let passing = self.filters.values().filter(|(filter, _)| filter.passes(subject));
        passing.flat_map(|(_, who)| who).for_each(|subscriber| wanted(*subscriber));
    }

    /// What somebody wants.
    pub fn filter(&self, subscriber: S) -> Option<&Filter> {
        self.of.get(&subscriber).and_then(|hash| self.filters.get(hash)).map(|(filter, _)| filter)
    }

    /// How many want a filter.
    pub fn count(&self, hash: FilterHash) -> usize {
        self.filters.get(&hash).map_or(0, |(_, who)| who.len())
    }

    /// Different filters, and subscribers.
    pub fn len(&self) -> (usize, usize) {
        (self.filters.len(), self.of.len())
    }

    /// Whether nobody wants anything.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }
}
