//! One machine on the LAN: its clock, its kernel, what its disk remembers, and its daemon while that runs.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use gatehouse::election::{Effect, Input, Machine, Role, Settings, State};
use gatehouse::units::{BootEpoch, Mac, NodeId, Sequence, SiteTag, Term, Time};
use gatehouse::wire::DmzAddresses;

use super::clock::Clock;
use super::kernel::Kernel;
use super::mutants::Subject;
use super::rng::Rng;
use super::world::Setup;

/// The site's address.
pub const DMZ: DmzAddresses = DmzAddresses { v4: Some(Ipv4Addr::new(192, 168, 1, 11)), v6: None };
const PORT: u16 = 7172;

/// One machine.
#[derive(Debug)]
pub struct Node {
    /// What its daemon is configured with.
    pub settings: Settings,
    /// Its role when nothing ails.
    pub role: Role,
    /// Where its datagrams come from.
    pub address: SocketAddr,
    /// Its own time.
    pub clock: Clock,
    /// What works without the daemon.
    pub kernel: Kernel,
    /// The process, if there is one.
    pub daemon: Option<Daemon>,
    /// The process is stopped or not scheduled.
    pub frozen: bool,
    /// Its daemon is started again when it has ended.
    pub returns: bool,
    /// It will be frozen just before its next beacon leaves.
    pub freezes_at_beacon: bool,
    /// Packets that come while it is paused are lost.
    pub deaf: bool,
    /// The highest term its disk knows.
    pub disk: Term,
    /// How often its daemon was started.
    pub epoch: BootEpoch,
    /// When its daemon last began or ended standing still.
    pub stalled: Time,
    /// A beacon renewed the lease but left into a dead cable.
    pub void_beacon: bool,
    /// The newest wake-up; earlier ones are outdated.
    pub turn: u64,
    /// When that is.
    pub wake_at: Option<Time>,
}

/// One run of the daemon: the loop around the machine.
#[derive(Debug)]
pub struct Daemon {
    /// The election.
    pub machine: Subject,
    /// Effects not yet performed, in order.
    pub todo: VecDeque<Effect>,
    /// Inputs not yet taken: what a socket buffer holds.
    pub inbox: VecDeque<Input>,
    /// Inputs taken since it last ticked or waited.
    pub taken: u32,
    /// It performs an effect until then.
    pub busy_until: Time,
    /// The list of effects at hand was begun then.
    pub began: Time,
    /// Datagrams sent.
    pub sequence: Sequence,
    /// The newest datagram of every sender: older ones are replays.
    pub newest: Vec<(BootEpoch, Sequence)>,
    /// Ticks taken at one moment without any other input; more than a few are a busy loop.
    pub ticks: (Time, u32),
}

impl Node {
    /// The machine of this index, switched on, its daemon not started.
    pub fn new(index: usize, setup: &Setup, rng: &mut Rng) -> Node {
        let number = u32::try_from(index).unwrap();
        let member = setup.members[index];
        let mac = if setup.shared_mac { [2, 0x47, 0x48, 0, 0, 1] } else { mac_bytes(index) };
        // Ids in another order than indices, or chance would favour the first.
        let mut id = [0; 16];
        id[..8].copy_from_slice(&rng.bits().to_be_bytes());
        id[12..].copy_from_slice(&number.to_be_bytes());
        let ppm = i64::try_from(rng.below(101)).unwrap() - 50;
        Node {
            settings: Settings {
                node: NodeId(id),
                name: format!("n{index}"),
                site: SiteTag([1, 2, 3, 4]),
                dmz: DMZ,
                mac: Mac(mac),
                role: member.role,
                priority: member.priority,
                prefer: member.prefer,
                timing: setup.timing,
            },
            role: member.role,
            address: SocketAddr::new(Ipv4Addr::from(0x0a00_0001 + number).into(), PORT),
            clock: Clock::new(Time::ZERO + rng.span(Duration::from_secs(1), Duration::from_secs(1_000_000)), ppm),
            kernel: Kernel::new(setup.timing.lease),
            daemon: None,
            frozen: false,
            returns: false,
            freezes_at_beacon: false,
            deaf: false,
            disk: Term(0),
            epoch: BootEpoch(0),
            stalled: Time::ZERO,
            void_beacon: false,
            turn: 0,
            wake_at: None,
        }
    }

    /// Its daemon runs, and time passes for it.
    pub fn is_running(&self) -> bool {
        self.daemon.is_some() && !self.frozen && !self.kernel.is_paused()
    }

    /// Its daemon's state, if it runs at all.
    pub fn state(&self) -> Option<State> {
        self.daemon.as_ref().map(|daemon| daemon.machine.state())
    }

    /// Its daemon's machine, if it runs at all.
    pub fn machine(&self) -> Option<&Machine> {
        self.daemon.as_ref().map(|daemon| &daemon.machine.machine)
    }
}

impl Daemon {
    /// A daemon around this machine that has done nothing yet.
    pub fn new(machine: Subject) -> Daemon {
        Daemon {
            machine,
            todo: VecDeque::new(),
            inbox: VecDeque::new(),
            taken: 0,
            busy_until: Time::ZERO,
            began: Time::ZERO,
            sequence: Sequence(0),
            newest: Vec::new(),
            ticks: (Time::ZERO, 0),
        }
    }
}

/// The hardware address of the machine of this index.
pub fn mac_bytes(index: usize) -> [u8; 6] {
    let [.., high, low] = u32::try_from(index).unwrap().to_be_bytes();
    [2, 0, 0, 0, high, low]
}
