//! Coming and going: the link, a stop, new settings, and effects that failed.
//!
//! **Invariant:** the gate is shut before the address is taken off, and both before a release is said.

use super::Machine;
use super::effect::{Effect, Failure, Reason};
use super::phase::{After, Phase};
use super::settings::{Role, Settings};
use crate::units::{Health, NodeId, Time};
use crate::wire::Message;

impl Machine {
    pub(super) fn link(&mut self, now: Time, up: bool, out: &mut Vec<Effect>) {
        match (up, &self.phase) {
            (true, Phase::Down) if self.settings.role == Role::Observer => {
                self.pace.soon(now);
                self.enter(Phase::Observer(None), Reason::Start, out);
            }
            (true, Phase::Down) => self.start_probing(now, Reason::Start, out),
            (false, Phase::Down | Phase::Stopped(_)) | (true, _) => {}
            (false, _) => {
                self.drop_address(now, out);
                self.enter(Phase::Down, Reason::LinkDown, out);
                if self.stopping {
                    self.finish(out);
                }
            }
        }
    }

    pub(super) fn health_changed(&mut self, now: Time, health: Health, out: &mut Vec<Effect>) {
        if self.health != health {
            self.health = health;
            self.pace.soon(now);
            self.offer_if_better(now, out);
        }
    }

    pub(super) fn stop(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.stopping = true;
        match &self.phase {
            Phase::Stopped(_) => {}
            Phase::Holding(_) => self.start_handover(now, After::Leave, Reason::Stop, out),
            Phase::HandingOver(_) => {}
            Phase::Down
            | Phase::Observer(_)
            | Phase::Probing(_)
            | Phase::Standby(_)
            | Phase::Suspecting(_)
            | Phase::Prepared(_)
            | Phase::Asking(_)
            | Phase::Conflict(_) => {
                self.drop_address(now, out);
                self.leave(out);
            }
        }
    }

    pub(super) fn reload(&mut self, now: Time, mut settings: Settings) {
        let timing = std::mem::replace(&mut settings.timing, self.settings.timing);
        self.settings = settings;
        self.pace.soon(now);
        self.retime(now, timing);
    }

    /// Takes the address off, if it is on; the gate first.
    pub(super) fn drop_address(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.configured {
            self.configured = false;
            self.held_until = Some(now);
            out.extend([Effect::ShutGate, Effect::Deconfigure]);
        }
    }

    /// Says goodbye for good, now or when what failed before has been made good.
    pub(super) fn leave(&mut self, out: &mut Vec<Effect>) {
        if self.overdue_release.is_some() {
            return self.enter(Phase::Stopped(self.who_goes_on()), Reason::Stop, out);
        }
        out.push(self.to_group(Message::Released { leaving: true }));
        self.finish(out);
    }

    fn finish(&mut self, out: &mut Vec<Effect>) {
        self.enter(Phase::Stopped(self.who_goes_on()), Reason::Stop, out);
        out.push(Effect::Finished);
    }

    /// Who holds when this member is gone: whoever was told to take over, or who holds already.
    fn who_goes_on(&self) -> Option<NodeId> {
        match &self.phase {
            Phase::HandingOver(handover) if !handover.still_holding() => Some(handover.to.node),
            _ => self.holder().filter(|holder| *holder != self.settings.node),
        }
    }

    pub(super) fn failed(&mut self, now: Time, failure: Failure, out: &mut Vec<Effect>) {
        match failure {
            Failure::Configure => self.cannot_configure(now, out),
            Failure::Beacon => self.beacon_failed(now, out),
            // Asked for again in time; what is named meanwhile is true.
            Failure::SetLease => {}
            // Beacons have ended, so the gate shuts by itself within a lease.
            Failure::ShutGate | Failure::Deconfigure => {
                let shut = now + self.longest_lease;
                self.overdue_release = Some(shut);
                self.postpone_go(shut);
            }
        }
    }

    pub(super) fn say_released(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.overdue_release = None;
        if self.configured {
            return;
        }
        out.push(Effect::Deconfigure);
        let handing_over = matches!(&self.phase, Phase::HandingOver(handover) if !handover.still_holding());
        match &self.phase {
            Phase::HandingOver(_) if handing_over && self.stopping => self.leave(out),
            _ => out.push(self.to_group(Message::Released { leaving: self.stopping })),
        }
        match &self.phase {
            Phase::HandingOver(_) if handing_over => self.after_handover(now, None, out),
            Phase::Stopped(_) if !handing_over => out.push(Effect::Finished),
            _ => {}
        }
    }
}
