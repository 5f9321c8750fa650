//! New timing, and with it another lease.
//!
//! The others count by the lease that beacons name. So the kernel grants a shorter one before the beacons name it, and
//! a longer one only after [`ANNOUNCED`] beacons have: whoever still counted by the shorter one would take over while
//! the gate here is open.

use std::time::Duration;

use super::Machine;
use super::effect::Effect;
use super::settings::Timing;
use crate::units::Time;

/// A longer lease is in this many beacons before the kernel grants it; all of them would have to be lost.
const ANNOUNCED: u32 = 4;

/// New timing whose longer lease the beacons name already; until it is granted, the timing of before is in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announcing {
    timing: Timing,
    beacons: u32,
}

impl Machine {
    /// The settings have new timing.
    pub(super) fn retime(&mut self, now: Time, timing: Timing, out: &mut Vec<Effect>) {
        self.announcing = None;
        if self.holding().is_some() && timing.lease > self.settings.timing.lease {
            self.announcing = Some(Announcing { timing, beacons: 0 });
        } else if timing != self.settings.timing {
            self.adopt(now, timing, out);
        }
    }

    /// The lease that beacons name.
    pub(super) fn named_lease(&self) -> Duration {
        self.announcing.map_or(self.settings.timing, |announcing| announcing.timing).lease
    }

    /// A beacon that names the new lease is on its way, or did not leave after all.
    pub(super) fn count_announcement(&mut self, left: bool) {
        if let Some(Announcing { beacons, .. }) = &mut self.announcing {
            *beacons = if left { *beacons + 1 } else { beacons.saturating_sub(1) };
        }
    }

    /// Goes on in the new timing if its lease was in enough beacons; the beacon that is due is said in it then.
    pub(super) fn announced_for_long_enough(&mut self, now: Time, out: &mut Vec<Effect>) -> bool {
        let Some(Announcing { timing, .. }) = self.announcing.filter(|it| it.beacons >= ANNOUNCED) else {
            return false;
        };
        self.adopt(now, timing, out);
        true
    }

    /// Whoever no longer holds has nobody to warn.
    pub(super) fn end_announcing(&mut self, out: &mut Vec<Effect>) {
        if self.holding().is_none()
            && let Some(Announcing { timing, .. }) = self.announcing.take()
        {
            self.take_up(timing, out);
        }
    }

    /// Says again which lease the kernel shall grant: the effects after one that failed were not performed.
    pub(super) fn grant_again(&mut self, out: &mut Vec<Effect>) {
        self.granting = true;
        out.push(Effect::SetLease(self.settings.timing.lease));
    }

    fn adopt(&mut self, now: Time, timing: Timing, out: &mut Vec<Effect>) {
        self.announcing = None;
        let before = self.settings.timing.lease;
        self.take_up(timing, out);
        self.change_rhythm(now, before, out);
    }

    fn take_up(&mut self, timing: Timing, out: &mut Vec<Effect>) {
        let before = std::mem::replace(&mut self.settings.timing, timing);
        self.longest_lease = self.longest_lease.max(timing.lease);
        if before.lease != timing.lease {
            self.grant_again(out);
        }
    }
}
