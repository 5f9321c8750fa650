//! What one member's election is told at its start and at a reload.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units::{Mac, NodeId, Priority, SiteTag};
use crate::wire::DmzAddresses;

/// Everything the election needs to know that does not change by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// This member.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// The site.
    pub site: SiteTag,
    /// The addresses in question.
    pub dmz: DmzAddresses,
    /// The hardware address this member answers with when it holds.
    pub mac: Mac,
    /// Whether it may hold.
    pub role: Role,
    /// How much it wants to.
    pub priority: Priority,
    /// When a holder makes room for a better member.
    pub prefer: Prefer,
    /// The beacon interval and all that follows from it.
    pub timing: Timing,
}

/// Whether a member may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// May hold.
    Candidate,
    /// Never holds: host daemons, monitors.
    Observer,
}

/// When a healthy holder hands over although it need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Prefer {
    /// Never.
    Stay,
    /// When a healthy member of higher priority has been there for this long.
    Priority {
        /// The time it must have been seen without a break.
        delay: Duration,
    },
}

/// The beacon interval and all that follows from it; checked against each other, so they cannot be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    /// B: the time between two beacons.
    pub beacon: Duration,
    /// L: how long the kernel answers after a beacon left.
    pub lease: Duration,
    /// S: the silence after which a standby asks.
    pub suspect: Duration,
    /// Q: the time between two direct questions; also the stagger between successors.
    pub question: Duration,
    /// T: the silence after which the first successor takes over; always longer than L.
    pub takeover: Duration,
}

/// One tick of the kernel's packet timers at HZ=250; a lease expires up to two of them early, never late.
pub const JIFFY: Duration = Duration::from_millis(4);

/// Why a set of timings cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimingError {
    /// Beacons would flood the LAN or the CPU.
    #[error("a beacon interval below 5 ms cannot be kept")]
    BeaconTooShort,
    /// A takeover would take longer than anybody waits.
    #[error("a beacon interval above 10 s makes a takeover take longer than anybody waits")]
    BeaconTooLong,
    /// The gate would shut between two beacons.
    #[error("the lease must be at least the beacon interval plus 12 ms, else the gate shuts between two beacons")]
    LeaseTooShort,
    /// Two members could answer at once.
    #[error("the takeover time must be longer than the lease, else two members could answer at once")]
    TakeoverTooShort,
    /// A lost beacon would start questions.
    #[error("suspicion must start after the beacon interval and before the takeover")]
    SuspectOutOfRange,
}

impl Timing {
    /// B = 100 ms: for a home LAN.
    pub const DEFAULT: Timing = Timing {
        beacon: Duration::from_millis(100),
        lease: Duration::from_millis(180),
        suspect: Duration::from_millis(150),
        question: Duration::from_micros(12_500),
        takeover: Duration::from_micros(187_500),
    };
    /// B = 10 ms: for wired LANs and real-time capable machines.
    pub const FAST: Timing = Timing {
        beacon: Duration::from_millis(10),
        lease: Duration::from_millis(22),
        suspect: Duration::from_millis(15),
        question: Duration::from_micros(2_500),
        takeover: Duration::from_micros(23_000),
    };
    /// B = 300 ms: for busy or battery-powered machines.
    pub const QUIET: Timing = Timing {
        beacon: Duration::from_millis(300),
        lease: Duration::from_millis(540),
        suspect: Duration::from_millis(450),
        question: Duration::from_micros(37_500),
        takeover: Duration::from_micros(562_500),
    };

    /// The timing that follows from a beacon interval alone: L = max(1.8 B, B + 3 jiffies), S = 1.5 B, Q = B/8,
    /// T = max(S + 3 Q, L + 1 ms).
    ///
    /// # Errors
    /// When the interval cannot be kept.
    pub fn from_beacon(beacon: Duration) -> Result<Timing, TimingError> {
        let lease = (beacon * 9 / 5).max(beacon + 3 * JIFFY);
        let suspect = beacon * 3 / 2;
        let question = beacon / 8;
        let takeover = (suspect + 3 * question).max(lease + Duration::from_millis(1));
        Timing { beacon, lease, suspect, question, takeover }.checked()
    }

    /// This timing, if its values fit each other.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn checked(self) -> Result<Timing, TimingError> {
        let rules = [
            (self.beacon >= Duration::from_millis(5), TimingError::BeaconTooShort),
            (self.beacon <= Duration::from_secs(10), TimingError::BeaconTooLong),
            (self.lease >= self.beacon + 3 * JIFFY, TimingError::LeaseTooShort),
            (self.takeover > self.lease, TimingError::TakeoverTooShort),
            (self.suspect > self.beacon && self.suspect < self.takeover, TimingError::SuspectOutOfRange),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, error)) => Err(*error),
            None => Ok(self),
        }
    }
}
