//! A node's own clock: another origin and another rate than everybody else's.

use gatehouse::units::Time;

/// Translates between the world's time and one node's.
#[derive(Clone, Debug)]
pub struct Clock {
    /// A moment of the world …
    anchor: Time,
    /// … and what the clock showed then.
    shown: Time,
    /// How much faster than the world it runs, in millionths.
    ppm: i64,
    /// A hypervisor may stop a guest's clock together with the guest.
    stopped: bool,
}

impl Clock {
    /// A clock that shows `shown` when the world begins.
    pub fn new(shown: Time, ppm: i64) -> Clock {
        Clock { anchor: Time::ZERO, shown, ppm, stopped: false }
    }

    /// What the clock shows at a moment of the world.
    pub fn local(&self, world: Time) -> Time {
        if self.stopped {
            return self.shown;
        }
        let passed = world.as_nanos() - self.anchor.as_nanos();
        let drift = i64::try_from(passed).unwrap() / 1_000_000 * self.ppm;
        Time::from_nanos(self.shown.as_nanos() + passed.checked_add_signed(drift).unwrap())
    }

    /// A moment of the world at which the clock surely shows `local` or a little more.
    pub fn world(&self, local: Time) -> Time {
        let ahead = local.as_nanos().saturating_sub(self.shown.as_nanos());
        let drift = i64::try_from(ahead).unwrap_or(i64::MAX) / 1_000_000 * self.ppm;
        let margin = 1_000 + ahead / 1_000_000 / 1_000;
        Time::from_nanos(self.anchor.as_nanos() + ahead.saturating_add_signed(-drift) + margin)
    }

    /// The clock stands still from here.
    pub fn stop(&mut self, world: Time) {
        self.shown = self.local(world);
        self.stopped = true;
    }

    /// The clock runs on from where it stood.
    pub fn start(&mut self, world: Time) {
        if self.stopped {
            self.anchor = world;
            self.stopped = false;
        }
    }
}
