//! New timing, and with it another lease.
//!
//! The others count by the lease that beacons name. So the kernel grants a shorter one before the beacons name it, and
//! a longer one only after [`ANNOUNCED`] beacons have: whoever still counted by the shorter one would take over while
//! the gate here is open. Until the kernel has granted the new lease, the timing of before is in force.
//!
//! **Invariant:** [`Effect::SetLease`] is the last one of its list, so that a refusal keeps nothing else from being
//! done. **Invariant:** no beacon names a lease shorter than one that the kernel may grant.

use std::time::Duration;

use super::Machine;
use super::effect::{Effect, Failure, Input};
use super::phase::{Deadline, Phase, Why};
use super::settings::Timing;
use crate::units::Time;

/// A longer lease is in this many beacons before the kernel grants it; all of them would have to be lost.
const ANNOUNCED: u32 = 4;
/// A lease that the kernel refused is asked for again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// New timing that is not in force yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retiming {
    timing: Timing,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// So many beacons have named the longer lease; of the last one it is not yet known whether it left.
    Announcing(u32),
    /// The kernel is to be asked for the lease then.
    Asking(Time),
    /// It was asked by the last list of effects; the next input tells whether it refused.
    Asked(Time),
    /// It grants the lease; the next tick takes the timing up.
    Granted(Time),
}

impl Machine {
    /// The settings have new timing.
    pub(super) fn retime(&mut self, now: Time, timing: Timing) {
        // What was asked for before may be granted late, whatever the kernel said.
        let unsettled = self.retiming.take().is_some();
        if unsettled || timing != self.settings.timing {
            let longer = self.holding().is_some() && timing.lease > self.settings.timing.lease;
            let stage = if longer { Stage::Announcing(0) } else { Stage::Asking(now) };
            self.retiming = Some(Retiming { timing, stage });
        }
    }

    /// The lease that beacons name.
    pub(super) fn named_lease(&self) -> Duration {
        let announced = match self.retiming {
            Some(Retiming { timing, stage: Stage::Announcing(_) }) => timing.lease,
            _ => Duration::ZERO,
        };
        self.granted.max(announced)
    }

    /// A beacon that names the new lease is on its way, or did not leave after all.
    pub(super) fn count_announcement(&mut self, left: bool) {
        if let Some(Retiming { stage: Stage::Announcing(beacons), .. }) = &mut self.retiming {
            *beacons = if left { *beacons + 1 } else { beacons.saturating_sub(1) };
        }
    }

    /// Before anything else of a step: what the kernel made of the lease that it was asked for.
    pub(super) fn settle_lease(&mut self, now: Time, input: &Input) {
        let Some(Retiming { stage, .. }) = &mut self.retiming else { return };
        let Stage::Asked(at) = *stage else { return };
        *stage = match input {
            Input::Failed(Failure::SetLease) => Stage::Asking(now + ASK_AGAIN),
            // It was not asked after all: an effect before it failed.
            Input::Failed(_) => Stage::Asking(now),
            _ => Stage::Granted(at),
        };
    }

    /// Goes on in the new timing, once the kernel grants its lease; a beacon says so at once.
    pub(super) fn take_up_timing(&mut self, now: Time, out: &mut Vec<Effect>) {
        if let Some(Retiming { timing, stage: Stage::Granted(_) }) = self.retiming {
            self.retiming = None;
            self.granted = timing.lease;
            let before = std::mem::replace(&mut self.settings.timing, timing);
            self.change_rhythm(now, before.lease, out);
        }
    }

    /// After everything else of a step: asks for the lease, if it is time to.
    pub(super) fn ask_for_lease(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Some(Retiming { timing, stage }) = self.retiming else { return };
        let due = match stage {
            // Whoever no longer holds has nobody to warn.
            Stage::Announcing(beacons) => beacons > ANNOUNCED || self.holding().is_none(),
            Stage::Asking(at) => now >= at,
            Stage::Asked(_) | Stage::Granted(_) => false,
        };
        if due && !matches!(self.phase, Phase::Stopped(_)) {
            self.granted = self.granted.max(timing.lease);
            self.longest_lease = self.longest_lease.max(timing.lease);
            self.retiming = Some(Retiming { timing, stage: Stage::Asked(now) });
            out.push(Effect::SetLease(timing.lease));
        }
    }

    pub(super) fn lease_deadline(&self) -> Option<Deadline> {
        match self.retiming?.stage {
            Stage::Announcing(_) => None,
            Stage::Asking(at) | Stage::Asked(at) | Stage::Granted(at) => Some(Deadline { at, why: Why::Lease }),
        }
    }
}
