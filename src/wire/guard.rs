//! The replay guard: each datagram of a sender counts once.
//!
//! A LAN may reorder, so a sequence number may come late by up to [`WINDOW`] and is still taken, once. The verdict
//! says whether it came late, because an old beacon must not overrule a newer goodbye.

use crate::units::{BootEpoch, Sequence};

/// How far behind the newest a sequence number may be; as RFC 4303, section 3.4.3, recommends.
pub const WINDOW: u64 = 64;

/// What to think of a verified datagram's epoch and sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Newer than all before.
    Fresh,
    /// Not seen before, but something newer was.
    Late,
    /// Seen before, or too old to know.
    Replayed,
    /// From an earlier start of the sender's daemon, or from a sender that lost count of its starts.
    OldEpoch {
        /// The newest epoch seen.
        newest: BootEpoch,
    },
}

/// What is remembered of one sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    epoch: BootEpoch,
    newest: Sequence,
    /// Bit n: sequence `newest - n` was seen.
    seen: u64,
}

impl Window {
    /// Starts with the first datagram heard of a sender, which counts as [`Verdict::Fresh`].
    pub fn starting(epoch: BootEpoch, sequence: Sequence) -> Window {
        Window { epoch, newest: sequence, seen: 1 }
    }

    /// What [`Window::admit`] would say; changes nothing.
    pub fn verdict(&self, epoch: BootEpoch, sequence: Sequence) -> Verdict {
        if epoch < self.epoch {
            return Verdict::OldEpoch { newest: self.epoch };
        }
        if epoch > self.epoch || sequence > self.newest {
            return Verdict::Fresh;
        }
        match self.newest.0 - sequence.0 {
            behind if behind < WINDOW && self.seen & (1 << behind) == 0 => Verdict::Late,
            _ => Verdict::Replayed,
        }
    }

    /// The newest datagram admitted.
    pub fn newest(&self) -> (BootEpoch, Sequence) {
        (self.epoch, self.newest)
    }

    /// Takes note of a datagram; only after its signature has verified.
    pub fn admit(&mut self, epoch: BootEpoch, sequence: Sequence) -> Verdict {
        let verdict = self.verdict(epoch, sequence);
        match verdict {
            Verdict::Fresh if epoch > self.epoch => *self = Window::starting(epoch, sequence),
            Verdict::Fresh => {
                let ahead = u32::try_from(sequence.0 - self.newest.0).unwrap_or(u32::MAX);
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.newest = sequence;
            }
            Verdict::Late => self.seen |= 1 << (self.newest.0 - sequence.0),
            Verdict::Replayed | Verdict::OldEpoch { .. } => {}
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: BootEpoch = BootEpoch(5);

    #[test]
    fn in_order_is_fresh_and_twice_is_replayed() {
        let mut window = Window::starting(EPOCH, Sequence(1));
        for number in 2..200 {
            assert_eq!(window.admit(EPOCH, Sequence(number)), Verdict::Fresh);
            assert_eq!(window.admit(EPOCH, Sequence(number)), Verdict::Replayed);
        }
    }

    #[test]
    fn late_is_taken_once_and_only_within_the_window() {
        let mut window = Window::starting(EPOCH, Sequence(100));
        assert_eq!(window.admit(EPOCH, Sequence(99)), Verdict::Late);
        assert_eq!(window.admit(EPOCH, Sequence(99)), Verdict::Replayed);
        assert_eq!(window.admit(EPOCH, Sequence(37)), Verdict::Late);
        assert_eq!(window.admit(EPOCH, Sequence(36)), Verdict::Replayed, "64 behind is too old to know");
        assert_eq!(window.admit(EPOCH, Sequence(0)), Verdict::Replayed);
    }

    #[test]
    fn a_leap_forgets_what_lies_behind_the_window() {
        for leap in [63, 64, 65, u64::from(u32::MAX) + 64, u64::MAX - 1] {
            let mut window = Window::starting(EPOCH, Sequence(1));
            assert_eq!(window.admit(EPOCH, Sequence(1 + leap)), Verdict::Fresh);
            assert_eq!(window.admit(EPOCH, Sequence(1)), Verdict::Replayed, "leap {leap}");
            assert_eq!(window.admit(EPOCH, Sequence(leap)), Verdict::Late, "leap {leap}");
        }
    }

    #[test]
    fn epochs_only_go_up() {
        let mut window = Window::starting(EPOCH, Sequence(50));
        assert_eq!(window.admit(BootEpoch(4), Sequence(51)), Verdict::OldEpoch { newest: EPOCH });
        assert_eq!(window.admit(BootEpoch(6), Sequence(1)), Verdict::Fresh);
        assert_eq!(window.admit(EPOCH, Sequence(52)), Verdict::OldEpoch { newest: BootEpoch(6) });
        assert_eq!(window.admit(BootEpoch(6), Sequence(1)), Verdict::Replayed);
    }
}
