//! A kernel that is not there, for tests of those who use this crate: it holds what is seen, performs steps, and keeps
//! the lease by a clock that the test moves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::plan::{self, Address, Link, Place, Seen, SeenFence, Step};
use crate::{Carrier, Fence, Wanted};

/// One machine with one LAN interface.
#[derive(Clone, Debug)]
pub struct FakeKernel {
    wanted: Wanted,
    seen: Seen,
    open_until: Option<Duration>,
}

impl FakeKernel {
    /// A machine whose LAN interface is up and has nothing of ours on it.
    pub fn new(wanted: Wanted) -> FakeKernel {
        FakeKernel { wanted, seen: seen(), open_until: None }
    }

    /// Brings the machine to the wanted state; answers with the steps.
    pub fn resync(&mut self) -> Vec<Step> {
        let steps = plan::plan(&self.seen, &self.wanted);
        for step in &steps {
            if matches!(step, Step::PutFence(_)) {
                self.open_until = None;
            }
            plan::apply(&mut self.seen, &self.wanted, step);
        }
        steps
    }

    /// Puts the addresses on or takes them off.
    pub fn set_configured(&mut self, configured: bool) -> Vec<Step> {
        self.wanted.configured = configured;
        self.resync()
    }

    /// A marked beacon for the DMZ address left the LAN interface at this moment; without a fence it renews nothing.
    pub fn beacon_left(&mut self, now: Duration) {
        if matches!(self.seen.fence, SeenFence::Intact { .. }) && self.link_up() {
            self.open_until = Some(now + self.wanted.fence.lease);
        }
    }

    /// Ends the lease now.
    pub fn shut_gate(&mut self) {
        self.open_until = None;
    }

    /// Whether this machine answers for the DMZ address at this moment: it is configured, and the gate is open or
    /// there is no gate.
    pub fn answers(&self, now: Duration) -> bool {
        let configured = self.seen.addresses.iter().any(|address| plan::is_dmz(&self.wanted, address.ip));
        let open = match self.seen.fence {
            SeenFence::Intact { .. } => self.open_until.is_some_and(|end| now < end),
            SeenFence::Absent | SeenFence::Broken => true,
        };
        configured && open && self.link_up()
    }

    /// Somebody flushed the ruleset.
    pub fn flush_fence(&mut self) {
        self.seen.fence = SeenFence::Absent;
        self.open_until = None;
    }

    /// Somebody removed the DMZ addresses.
    pub fn delete_addresses(&mut self) {
        let wanted = &self.wanted;
        self.seen.addresses.retain(|address| !plan::is_dmz(wanted, address.ip));
    }

    /// The cable was plugged in or out.
    pub fn set_link(&mut self, up: bool) {
        if let Some(nic) = &mut self.seen.nic {
            nic.running = up;
        }
    }

    /// Whether the LAN interface can carry packets.
    pub fn link_up(&self) -> bool {
        self.seen.nic.as_ref().is_some_and(|nic| nic.running)
    }

    /// What the machine looks like.
    pub fn seen(&self) -> &Seen {
        &self.seen
    }
}

/// Wishes for a test: 192.168.1.11/24 and fd00::11/64 on a macvlan over `eth0`, not configured, with a lease of
/// 180 ms.
pub fn wanted() -> Wanted {
    Wanted {
        interface: "eth0".to_owned(),
        carrier: Carrier::Macvlan { name: "gh-eth0".to_owned(), mac: [2, 0, 0x5e, 0, 0, 0x11] },
        v4: Some(([192, 168, 1, 11].into(), 24)),
        v6: Some(([0xfd00, 0, 0, 0, 0, 0, 0, 0x11].into(), 64)),
        configured: false,
        fence: Fence { port: 7172, mark: 0x4748, lease: Duration::from_millis(180) },
    }
}

/// A machine whose LAN interface has 192.168.1.2/24 and is up, with nothing of ours.
pub fn seen() -> Seen {
    let own = Address { on: Place::Nic, ip: [192, 168, 1, 2].into(), prefix: 24, routed: true };
    let nic = Link { index: 2, mac: Some([2, 0, 0, 0, 0, 2]), up: true, running: true, private_on: None };
    Seen {
        nic: Some(nic),
        carrier: None,
        addresses: BTreeSet::from([own]),
        fence: SeenFence::Absent,
        sysctls: BTreeMap::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_only_while_beacons_leave() {
        let mut kernel = FakeKernel::new(wanted());
        let at = Duration::from_millis;
        kernel.set_configured(true);
        assert!(!kernel.answers(at(0)));
        kernel.beacon_left(at(100));
        assert!(kernel.answers(at(279)));
        assert!(!kernel.answers(at(280)));
        kernel.beacon_left(at(300));
        kernel.shut_gate();
        assert!(!kernel.answers(at(300)));
    }

    #[test]
    fn without_a_fence_it_answers_until_the_fence_is_back() {
        let mut kernel = FakeKernel::new(wanted());
        kernel.set_configured(true);
        kernel.flush_fence();
        assert!(kernel.answers(Duration::ZERO));
        assert!(matches!(kernel.resync().as_slice(), [Step::PutFence(_)]));
        assert!(!kernel.answers(Duration::ZERO));
    }
}
