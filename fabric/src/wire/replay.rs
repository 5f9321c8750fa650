//! A management request is done once.
//!
//! A request is good for a short time only, by its sender's clock, which the receiver knows from the link. All that were
//! good are remembered for that time, so that none is taken twice; what was signed before the receiver started, and so
//! may have been taken before it forgot, is refused.
//!
//! **Invariant:** memory is bounded for each sender and for all, and a full memory refuses what is new: it never forgets
//! what could still be repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::envelope::Nonce;
use crate::units::{NodeId, Time, WallTime};

/// How long a request may be good for.
pub const MAX_LIFE: Duration = Duration::from_secs(5 * 60);
/// How wrong the receiver's idea of the sender's clock may be: measured over a link, it is better than a second.
pub const TOLERANCE: Duration = Duration::from_secs(10);
/// Requests of one sender that are remembered at a time; a person's script sends a few.
pub const MAX_OF_ONE: usize = 512;
/// Requests that are remembered at a time; together less than half a megabyte.
pub const MAX_REMEMBERED: usize = 4_096;

/// Why a request is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is good no more.
    #[error("the request has expired")]
    Expired,
    /// It is good for longer than requests may be, or was signed in the future.
    #[error("the request is dated wrongly; are the clocks right?")]
    Dated,
    /// It was signed before this node started.
    #[error("the request is older than this node's start; send it again")]
    BeforeStart,
    /// It has come before.
    #[error("the request was done before")]
    Repeated,
    /// There is no room to remember it.
    #[error("too many requests; try again in a while")]
    Full,
}

/// What tells one request from another, and when it is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated {
    /// Who has signed it.
    pub sender: NodeId,
    /// Makes it unique.
    pub nonce: Nonce,
    /// When it was signed.
    pub issued: WallTime,
    /// Until when it is good.
    pub expires: WallTime,
}

/// The requests that cannot be forgotten yet.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    started: Time,
    known: BTreeSet<(NodeId, Nonce)>,
    /// When each can be forgotten.
    ends: BTreeSet<(Time, NodeId, Nonce)>,
    counts: BTreeMap<NodeId, usize>,
}

impl ReplayWindow {
    /// Remembers nothing, and since when.
    pub fn new(started: Time) -> ReplayWindow {
        ReplayWindow { started, known: BTreeSet::new(), ends: BTreeSet::new(), counts: BTreeMap::new() }
    }

    /// Takes a request whose signature was verified; `theirs` is what the sender's clock says now.
    ///
    /// # Errors
    /// When it must not be done.
    pub fn admit(&mut self, now: Time, theirs: WallTime, request: Dated) -> Result<(), Refusal> {
        self.forget(now);
        let Dated { sender, nonce, issued, expires } = request;
        if expires + TOLERANCE < theirs {
            return Err(Refusal::Expired);
        }
        if issued > theirs + TOLERANCE || expires < issued || expires.since(issued) > MAX_LIFE {
            return Err(Refusal::Dated);
        }
        // To the second, as dates are.
        let start = theirs - now.since(self.started) - TOLERANCE;
        if issued < start {
            return Err(Refusal::BeforeStart);
        }
        if self.known.contains(&(sender, nonce)) {
            return Err(Refusal::Repeated);
        }
        let count = self.counts.get(&sender).copied().unwrap_or(0);
        if count >= MAX_OF_ONE || self.known.len() >= MAX_REMEMBERED {
            return Err(Refusal::Full);
        }
        self.known.insert((sender, nonce));
        self.counts.insert(sender, count + 1);
        self.ends.insert((now + expires.since(theirs) + 3 * TOLERANCE, sender, nonce));
        Ok(())
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn forget(&mut self, now: Time) {
        while let Some(&(end, sender, nonce)) = self.ends.first()
            && end <= now
        {
            self.ends.pop_first();
            self.known.remove(&(sender, nonce));
            match self.counts.get_mut(&sender) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.counts.remove(&sender)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_millis(1_000_000);
    const CLOCK: WallTime = WallTime::from_secs(1_750_000_000);
    const SECOND: Duration = Duration::from_secs(1);

    fn request(sender: u8, number: u64, issued: WallTime) -> Dated {
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        Dated { sender: NodeId([sender; 16]), nonce: Nonce(nonce), issued, expires: issued + MAX_LIFE }
    }

    /// The window, and what its node's and the sender's clocks say after a while.
    fn after(span: Duration) -> (Time, WallTime) {
        (START + span, CLOCK + span)
    }

    #[test]
    fn a_request_is_done_once_as_long_as_it_could_be_repeated() {
        let mut window = ReplayWindow::new(START);
        let one = request(1, 1, CLOCK);
        assert_eq!(window.admit(START, CLOCK, one), Ok(()));
        for seconds in 0..=(MAX_LIFE + TOLERANCE).as_secs() {
            let (now, theirs) = after(Duration::from_secs(seconds));
            // The sender's clock as it looks from here wanders.
            for theirs in [theirs, theirs - TOLERANCE / 2, theirs + TOLERANCE / 2] {
                let again = window.admit(now, theirs, one).unwrap_err();
                assert!(matches!(again, Refusal::Repeated | Refusal::Expired), "{again} after {seconds} s");
            }
        }
        let (now, theirs) = after(MAX_LIFE + 4 * TOLERANCE);
        assert_eq!(window.admit(now, theirs, one), Err(Refusal::Expired));
        assert!(window.is_empty(), "forgotten when it cannot be repeated");
        assert_eq!(window.admit(now, theirs, request(1, 2, theirs)), Ok(()));
    }

    #[test]
    fn wrong_dates_are_refused() {
        let mut window = ReplayWindow::new(START);
        let (now, theirs) = after(3_600 * SECOND);
        let mut good = request(1, 1, theirs);
        let cases = [
            (Dated { issued: theirs + TOLERANCE + SECOND, expires: theirs + MAX_LIFE, ..good }, Refusal::Dated),
            (Dated { expires: theirs + MAX_LIFE + SECOND, ..good }, Refusal::Dated),
            (Dated { expires: theirs - SECOND, ..good }, Refusal::Dated),
            (request(1, 1, theirs - MAX_LIFE - TOLERANCE - SECOND), Refusal::Expired),
        ];
        for (wrong, refusal) in cases {
            assert_eq!(window.admit(now, theirs, wrong), Err(refusal), "{wrong:?}");
        }
        good.issued = theirs + TOLERANCE;
        good.expires = good.issued + SECOND;
        assert_eq!(window.admit(now, theirs, good), Ok(()));
    }

    #[test]
    fn a_restart_takes_nothing_again() {
        let one = request(1, 1, CLOCK);
        let (now, theirs) = after(60 * SECOND);
        let mut restarted = ReplayWindow::new(now);
        assert_eq!(restarted.admit(now, theirs, one), Err(Refusal::BeforeStart));
        assert_eq!(restarted.admit(now, theirs, request(1, 2, theirs)), Ok(()));
    }

    #[test]
    fn hours_between_the_clocks_do_not_matter() {
        let mut window = ReplayWindow::new(START);
        let ahead = CLOCK + 5 * 3_600 * SECOND;
        assert_eq!(window.admit(START, ahead, request(1, 1, ahead)), Ok(()));
        assert_eq!(window.admit(START, CLOCK, request(2, 1, CLOCK)), Ok(()));
    }

    #[test]
    fn a_flood_of_one_leaves_room_for_others_and_no_memory_is_unbounded() {
        let mut window = ReplayWindow::new(START);
        for number in 0..MAX_OF_ONE as u64 {
            assert_eq!(window.admit(START, CLOCK, request(1, number, CLOCK)), Ok(()));
        }
        assert_eq!(window.admit(START, CLOCK, request(1, u64::MAX, CLOCK)), Err(Refusal::Full));
        assert_eq!(window.admit(START, CLOCK, request(1, 0, CLOCK)), Err(Refusal::Repeated), "none is forgotten");
        for number in 0..MAX_REMEMBERED as u64 {
            let _ = window.admit(START, CLOCK, request(2 + (number % 20) as u8, number, CLOCK));
        }
        assert_eq!(window.len(), MAX_REMEMBERED);
        let (now, theirs) = after(MAX_LIFE + 4 * TOLERANCE);
        assert_eq!(window.admit(now, theirs, request(1, 7, theirs)), Ok(()));
        assert_eq!((window.len(), window.ends.len(), window.counts.len()), (1, 1, 1));
    }
}
