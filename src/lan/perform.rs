//! Carrying out the election's effects, in order, without deciding anything.

use std::time::Duration;

use super::kernel::Kernel;
use super::sockets::Sockets;
use super::warnings::Warnings;
use super::{Counts, Warning};
use crate::causes::with_causes;
use crate::clock;
use crate::election::{Dest, Effect, Failure, Note};
use crate::units::{Term, Time};
use crate::wire::{Message, Outbox};

/// The kernel-side lifetime of the address is renewed this often while it is on.
const REFRESH: Duration = Duration::from_millis(500);

/// What effects act on.
pub(super) struct Means {
    pub kernel: Kernel,
    pub sockets: Option<Sockets>,
    pub outbox: Outbox,
    pub counts: Counts,
    pub warnings: Warnings,
    /// The last datagram of the list that is performed. Said to somebody else, it is the same datagram: one signature
    /// made, and one checked by who hears both.
    pub said: Option<(Term, Message, Vec<u8>)>,
    /// When the address's lifetime is renewed next; none while it is off.
    pub refresh_at: Option<Time>,
}

/// What came of a list of effects.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub notes: Vec<Note>,
    /// The effect that failed; those after it were not performed.
    pub failed: Option<Failure>,
    pub finished: bool,
}

impl Means {
    pub(super) async fn perform(&mut self, effects: Vec<Effect>) -> Outcome {
        let mut outcome = Outcome::default();
        self.said = None;
        for effect in effects {
            if let Err(failure) = self.perform_one(effect, &mut outcome).await {
                outcome.failed = Some(failure);
                break;
            }
        }
        outcome
    }

    async fn perform_one(&mut self, effect: Effect, outcome: &mut Outcome) -> Result<(), Failure> {
        match effect {
            // Without a host, as at an observer, nothing is ever put on the machine.
            Effect::Configure => {
                let Some(host) = self.kernel.host() else { return Err(Failure::Configure) };
                let done = host.configure().await;
                self.refresh_at = Some(clock::now() + REFRESH);
                self.report(done).map_err(|()| Failure::Configure)
            }
            Effect::Deconfigure => {
                self.refresh_at = None;
                let Some(host) = self.kernel.host() else { return Ok(()) };
                let done = host.deconfigure().await;
                self.report(done).map_err(|()| Failure::Deconfigure)
            }
            Effect::ShutGate => {
                let Some(host) = self.kernel.host() else { return Ok(()) };
                let done = host.shut_gate();
                self.report(done).map_err(|()| Failure::ShutGate)
            }
            Effect::SetLease(lease) => self.set_lease(lease).await.map_err(|()| Failure::SetLease),
            Effect::Send { to, term, message, not_after } => self.send(to, term, message, not_after),
            Effect::Announce => {
                self.announce();
                Ok(())
            }
            Effect::Probe => {
                let Some(host) = self.kernel.host() else { return Ok(()) };
                let done = host.probe();
                let _ = self.report(done);
                Ok(())
            }
            Effect::Note(note) => {
                self.count(&note);
                outcome.notes.push(note);
                Ok(())
            }
            Effect::Finished => {
                outcome.finished = true;
                Ok(())
            }
        }
    }

    fn send(&mut self, to: Dest, term: Term, message: Message, not_after: Option<Time>) -> Result<(), Failure> {
        let said = self.said.take().filter(|(before, last, _)| *before == term && *last == message);
        let bytes = said.map_or_else(|| self.outbox.seal(term, &message), |(_, _, bytes)| bytes);
        // Looked at as late as possible: this thread may have been stopped at any point before.
        if not_after.is_some_and(|limit| clock::now() > limit) {
            // The group's beacon is the one that counts; a copy for one member is not worth a failure.
            return if to == Dest::Group { Err(Failure::Beacon) } else { Ok(()) };
        }
        let sent = match (&self.sockets, to) {
            (Some(sockets), Dest::Group) => sockets.send_to_group(&bytes),
            (Some(sockets), Dest::Unicast(address)) => sockets.send_to(&bytes, address),
            (None, _) => Err(std::io::ErrorKind::NotConnected.into()),
        };
        self.said = Some((term, message, bytes));
        match sent {
            Ok(()) => self.counts.sent += 1,
            Err(error) => {
                self.counts.send_failed += 1;
                if to == Dest::Group {
                    // Stands until the sockets have been opened anew, which is tried every few seconds meanwhile.
                    let text = format!("the group cannot be reached: {error}; trying again");
                    if self.sockets.is_some() && !self.warnings.any(|warning| matches!(warning, Warning::Network(_))) {
                        self.warnings.raise(Warning::Network(text));
                    }
                    if not_after.is_some() {
                        return Err(Failure::Beacon);
                    }
                }
            }
        }
        Ok(())
    }

    /// Has the lifetime of the address that is on renewed, in the background.
    pub(super) fn renew(&mut self, now: Time) {
        self.refresh_at = Some(now + REFRESH);
        if let Some(host) = self.kernel.host() {
            host.renew();
        }
    }

    /// Gives the fence another lease; if it does not take it, the next resync tries again, too.
    pub(super) async fn set_lease(&mut self, lease: Duration) -> Result<(), ()> {
        let done = self.kernel.set_lease(lease).await;
        self.report(done)
    }

    /// Tells the LAN who answers. A lost announcement is repeated soon, so that a failed one is only shown.
    pub(super) fn announce(&mut self) {
        let Some(host) = self.kernel.host() else { return };
        let done = host.announce();
        let _ = self.report(done);
    }

    /// Shows a kernel error for as long as it lasts.
    pub(super) fn report<T, E: std::error::Error>(&mut self, done: Result<T, E>) -> Result<T, ()> {
        let text = done.as_ref().err().map(|error| with_causes(error));
        let over = |warning: &Warning| matches!(warning, Warning::Kernel(what) if Some(what) != text.as_ref());
        self.warnings.clear(over);
        done.map_err(|_| self.warnings.raise(Warning::Kernel(text.unwrap_or_default())))
    }

    fn count(&mut self, note: &Note) {
        use crate::election::State;
        match note {
            Note::LateBeacon { .. } => self.counts.late_beacons += 1,
            Note::Takeover { .. } => self.counts.takeovers += 1,
            Note::Role { from: State::HandingOver, to: State::Standby | State::Stopped | State::Observer, .. } => {
                self.counts.handovers += 1;
            }
            _ => {}
        }
    }
}
