//! What a node's kernel does without its daemon: it carries the address, and answers for it while the lease lasts.

use std::time::Duration;

use gatehouse::units::Time;

/// How long the address stays on a machine whose daemon no longer refreshes it.
pub const VALID_LIFETIME: Duration = Duration::from_secs(2);

/// One node's kernel. Its moments are the world's, because its timers need no clock of the node.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The DMZ address is on this machine until then; `None` while it is not there.
    address_until: Option<Time>,
    /// The gate is open before this moment.
    gate_until: Time,
    /// Since when the whole machine stands still, its timers included.
    paused: Option<Time>,
    /// How long the gate stays open after a beacon.
    pub lease: Duration,
    /// Whether the LAN interface has carrier.
    pub link: bool,
}

/// The address stays for as long as the daemon refreshes it.
const KEPT: Time = Time::from_nanos(u64::MAX);

impl Kernel {
    /// A kernel that carries nothing.
    pub fn new(lease: Duration) -> Kernel {
        Kernel { address_until: None, gate_until: Time::ZERO, paused: None, lease, link: true }
    }

    /// The address is there at this moment.
    pub fn configured(&self, now: Time) -> bool {
        self.address_until.is_some_and(|until| self.stands_at(now) < until)
    }

    /// The lease has not run out at this moment.
    pub fn gate_open(&self, now: Time) -> bool {
        self.stands_at(now) < self.gate_until
    }

    /// Anybody who asks the LAN for the address at this moment hears this machine.
    pub fn answers(&self, now: Time) -> bool {
        self.paused.is_none() && self.link && self.configured(now) && self.gate_open(now)
    }

    /// When it stops answering if nothing happens.
    pub fn answers_until(&self) -> Time {
        self.gate_until.min(self.address_until.unwrap_or(Time::ZERO))
    }

    /// Puts the address on the machine.
    pub fn configure(&mut self) {
        self.address_until = Some(KEPT);
    }

    /// Takes it off.
    pub fn deconfigure(&mut self) {
        self.address_until = None;
    }

    /// A beacon left: the lease is renewed.
    pub fn renew(&mut self, now: Time) {
        self.gate_until = now + self.lease;
    }

    /// Ends the lease.
    pub fn shut(&mut self, now: Time) {
        self.gate_until = self.gate_until.min(now);
    }

    /// The daemon is gone: nobody refreshes the address.
    pub fn orphan(&mut self, now: Time) {
        if self.configured(now) {
            self.address_until = Some(now + VALID_LIFETIME);
        }
    }

    /// The hypervisor stops the machine.
    pub fn pause(&mut self, now: Time) {
        self.paused = Some(now);
    }

    /// The hypervisor lets it run on: its timers have what was left of them.
    pub fn resume(&mut self, now: Time) {
        let Some(since) = self.paused.take() else { return };
        let still = now.since(since);
        if self.gate_until > since {
            self.gate_until = self.gate_until + still;
        }
        if let Some(until) = self.address_until.filter(|until| *until != KEPT) {
            self.address_until = Some(until + still);
        }
    }

    /// Whether the machine stands still.
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    fn stands_at(&self, now: Time) -> Time {
        self.paused.unwrap_or(now)
    }
}
