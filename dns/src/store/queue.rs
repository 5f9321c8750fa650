//! What waits for a zone's keeper: bounded, and handed out in batches.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::plan::Task;
use crate::journal::{Item, Ready};
use crate::wire::Rcode;
use crate::zone::Zone;

/// Plans that may wait; more are refused. At the rate of a slow disk these are a second's worth.
const MAX_WAITING: usize = 1_000;
/// Steps of one batch: a bound for what one write holds, and for how long the first of them waits for the last.
const MAX_BATCH: usize = 128;

/// One thing to do. There is always room for those that are not plans: a reload brings one seed, and one snapshot is
/// written at a time.
pub(super) enum Step {
    Plan(Task),
    /// The zone's file was read again, and what notes it.
    Seed(Zone, Vec<Item>),
    /// A snapshot is written that is to take the journal's place; nothing when that failed.
    Written(Option<Ready>),
}

/// What waits.
#[derive(Default)]
pub(super) struct Queue(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    steps: VecDeque<Step>,
    /// Whether the zone is to be given anew to those who answer, though its records are the same.
    wants_serving: bool,
    /// Whether somebody works on it, and will see what comes.
    is_worked_on: bool,
    is_closed: bool,
}

/// A batch of steps in their order.
pub(super) struct Taken {
    pub(super) steps: Vec<Step>,
    pub(super) wants_serving: bool,
}

/// Whether somebody has to begin to work.
#[must_use]
pub(super) struct IsIdle(pub(super) bool);

impl Queue {
    /// Adds a step.
    ///
    /// # Errors
    /// SERVFAIL when too many plans wait, or the queue is closed.
    pub(super) fn push(&self, step: Step) -> Result<IsIdle, Rcode> {
        let mut inner = self.lock();
        let is_full = inner.steps.len() >= MAX_WAITING && matches!(step, Step::Plan(_));
        if inner.is_closed || is_full {
            return Err(Rcode::SERVFAIL);
        }
        inner.steps.push_back(step);
        Ok(inner.begin())
    }

    /// Wants the zone to be given anew to those who answer; once is enough for all who want it.
    pub(super) fn want_serving(&self) -> IsIdle {
        let mut inner = self.lock();
        if inner.is_closed {
            return IsIdle(false);
        }
        inner.wants_serving = true;
        inner.begin()
    }

    /// The next batch; nothing when none waits, and then nobody works on it any more.
    pub(super) fn take(&self) -> Option<Taken> {
        let mut inner = self.lock();
        let len = inner.steps.len().min(MAX_BATCH);
        let taken = Taken {
            steps: inner.steps.drain(..len).collect(),
            wants_serving: std::mem::take(&mut inner.wants_serving),
        };
        inner.is_worked_on = !taken.steps.is_empty() || taken.wants_serving;
        inner.is_worked_on.then_some(taken)
    }

    /// Takes nothing more.
    pub(super) fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        // Who is closed has nothing to show any more.
        inner.wants_serving = false;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn begin(&mut self) -> IsIdle {
        IsIdle(!std::mem::replace(&mut self.is_worked_on, true))
    }
}
