//! The site's shell: sockets, clock and kernel around the election.
//!
//! One thread of its own runs the driver loop (wait, record, step, perform in order, publish), at real-time priority
//! where that is allowed. **Invariant:** that thread waits for nothing but the kernel: what it has to say to disks,
//! logs and the API goes through bounded queues whose overflow is counted, never waited for.

mod driver;
pub mod health;
mod identity;
mod kernel;
mod link;
mod packets;
mod perform;
mod realtime;
mod record;
mod site;
mod sockets;
mod timer;
mod warnings;

pub use identity::{Identity, IdentityError, StateLock};
pub use record::{ReplayError, Replayed, replay};
pub use site::{Handle, Order, Plan, Refused, StartError, spawn};

use std::fmt;

use crate::election::{Member, Note, State};
use crate::units::{Health, NodeId, Term, Time};

/// What the site looks like from here; published after every change, and some times a second.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Time,
    /// This member; none while the LAN interface is missing, since its hardware address is part of the id.
    pub node: Option<NodeId>,
    /// Where the election is.
    pub state: State,
    /// The highest term known.
    pub term: Term,
    /// Who holds.
    pub holder: Option<NodeId>,
    /// This member's fitness.
    pub health: Health,
    /// Every other member.
    pub members: Vec<Member>,
    /// Who takes over, first one first.
    pub successors: Vec<NodeId>,
    /// This machine's own address on the LAN, as the others see it.
    pub address: Option<std::net::IpAddr>,
    /// What happened so far.
    pub counts: Counts,
    /// What people should know, while it is so.
    pub warnings: Vec<Warning>,
}

impl Snapshot {
    /// Before anything is known.
    pub fn empty() -> Snapshot {
        Snapshot {
            at: Time::ZERO,
            node: None,
            state: State::Down,
            term: Term(0),
            holder: None,
            health: Health::FULL,
            members: Vec::new(),
            successors: Vec::new(),
            address: None,
            counts: Counts::default(),
            warnings: Vec::new(),
        }
    }
}

/// A change, with the moment and the term it happened in.
#[derive(Clone, Debug)]
pub struct Noted {
    /// Milliseconds since 1970.
    pub at_millis: u64,
    /// The term.
    pub term: Term,
    /// What happened.
    pub note: Note,
}

/// Counts since the start of the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that the kernel refused to send.
    pub send_failed: u64,
    /// Datagrams accepted.
    pub received: u64,
    /// Packets that were not ours or not as we write them.
    pub malformed: u64,
    /// Datagrams signed with a key that is not ours.
    pub foreign_key: u64,
    /// Datagrams of another site with the same key.
    pub other_site: u64,
    /// Datagrams with a wrong signature.
    pub forged: u64,
    /// Datagrams heard before.
    pub replayed: u64,
    /// Datagrams dropped unread because too many came.
    pub overload: u64,
    /// Beacons that left after the gate had shut.
    pub late_beacons: u64,
    /// Times this member began to hold.
    pub takeovers: u64,
    /// Times it handed over.
    pub handovers: u64,
    /// Times the fence had to be put back.
    pub fence_restored: u64,
    /// Times an address or a device had to be put back.
    pub address_restored: u64,
    /// Inputs that were not recorded because the disk was full or too slow.
    pub record_dropped: u64,
}

/// Something that people should know, while it is so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// The LAN interface does not exist.
    InterfaceMissing(String),
    /// The LAN interface is down or has no cable.
    LinkDown(String),
    /// The LAN interface is no Ethernet device.
    NoHardwareAddress(String),
    /// The beacon thread runs at ordinary priority.
    NoRealtime(String),
    /// The daemon's memory may be swapped out.
    NoMemoryLock(String),
    /// Somebody signs with another key on the same group.
    ForeignKey(std::net::IpAddr),
    /// Somebody has the same key but other DMZ addresses.
    OtherSite(std::net::IpAddr),
    /// Another machine has this member's identity: its disk was copied.
    Clone(std::net::IpAddr),
    /// The kernel could not be brought to the wanted state.
    Kernel(String),
    /// Multicast could not be joined or sent.
    Network(String),
    /// Inputs are not recorded.
    Record(String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::InterfaceMissing(name) => {
                write!(f, "the LAN interface {name} does not exist; waiting for it to appear")
            }
            Warning::LinkDown(name) => write!(
                f,
                "the LAN interface {name} has no link; plug the cable in, or `ip link set {name} up` if it is switched off"
            ),
            Warning::NoHardwareAddress(name) => write!(
                f,
                "the LAN interface {name} has no hardware address; set [lan] interface to an Ethernet or Wi-Fi device"
            ),
            Warning::NoRealtime(why) => write!(
                f,
                "beacons are sent at ordinary priority ({why}); a busy machine may lose the address: \
                 give the daemon CAP_SYS_NICE or an RLIMIT_RTPRIO of 40"
            ),
            Warning::NoMemoryLock(why) => write!(
                f,
                "memory is not locked ({why}); a swapping machine may lose the address: \
                 give the daemon CAP_IPC_LOCK or an unlimited RLIMIT_MEMLOCK"
            ),
            Warning::ForeignKey(from) => {
                write!(
                    f,
                    "{from} speaks on our group with another key: if it is a member of this site, give it the same [lan] key"
                )
            }
            Warning::OtherSite(from) => {
                write!(f, "{from} has our key but other DMZ addresses: compare [dmz] address on both machines")
            }
            Warning::Clone(from) => write!(
                f,
                "{from} has this member's identity: its disk was copied; remove node.json from its state folder \
                 and restart it"
            ),
            Warning::Kernel(what) | Warning::Network(what) => f.write_str(what),
            Warning::Record(why) => write!(f, "inputs are not recorded: {why}"),
        }
    }
}
