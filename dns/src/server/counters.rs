//! What was asked and answered, counted without any thread waiting for another.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Taken;
use crate::wire::Header;

/// The counters of one thread: it alone writes them, anybody reads them.
#[derive(Debug, Default)]
#[repr(align(128))] // No two threads' counters share a line of the cache, nor a pair of lines that is fetched together.
pub(super) struct Counters {
    values: [AtomicU64; LEN],
}

/// The sums of the counters of some threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    values: [u64; LEN],
}

/// One thing that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Queries,
    Answers,
    Slipped,
    Limited,
    Dropped,
    Slow,
    /// Handed over to nobody: the queue was full.
    SlowLost,
    Truncated,
    /// The answer could not be sent.
    Unsent,
    /// Answers by their result follow, the lower four bits of it.
    Rcode,
}

const LEN: usize = Count::Rcode as usize + 16;

impl Counters {
    /// Counts one.
    pub(super) fn add(&self, count: Count) {
        self.add_at(count as usize, 1);
    }

    /// Counts many.
    pub(super) fn add_many(&self, count: Count, many: u64) {
        self.add_at(count as usize, many);
    }

    /// Counts what became of a query.
    pub(super) fn note(&self, taken: Taken, answer: &[u8]) {
        self.add(match taken {
            Taken::Answered => Count::Answers,
            Taken::Slipped => Count::Slipped,
            Taken::Limited => Count::Limited,
            Taken::Slow => Count::Slow,
            Taken::Dropped => Count::Dropped,
        });
        let Some(header) = Header::read(answer) else { return };
        self.add_at(Count::Rcode as usize + usize::from(header.flags.rcode().0), 1);
        if header.flags.has(crate::wire::Flags::TRUNCATED) {
            self.add(Count::Truncated);
        }
    }

    fn add_at(&self, index: usize, more: u64) {
        // The only writer: a load and a store are enough, and cheaper than an atomic addition.
        let value = &self.values[index];
        value.store(value.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }
}

impl Totals {
    pub(super) fn add(&mut self, counters: &Counters) {
        for (total, value) in self.values.iter_mut().zip(&counters.values) {
            *total = total.wrapping_add(value.load(Ordering::Relaxed));
        }
    }

    pub(super) fn add_all(&mut self, other: &Self) {
        for (total, more) in self.values.iter_mut().zip(&other.values) {
            *total = total.wrapping_add(*more);
        }
    }

    /// What is counted, with names for a program: result codes by their number.
    pub fn named(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        const NAMES: [&str; Count::Rcode as usize] =
            ["queries", "answers", "slipped", "limited", "dropped", "slow", "slow_lost", "truncated", "unsent"];
        let rcode = |index: usize| format!("rcode_{}", index - NAMES.len());
        let name = move |index: usize| NAMES.get(index).map_or_else(|| rcode(index), |name| (*name).to_owned());
        self.values.iter().enumerate().map(move |(index, value)| (name(index), *value))
    }

    /// One of [`Self::named`].
    pub fn get(&self, name: &str) -> Option<u64> {
        self.named().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}
