//! What arrives from the LAN: taken in, counted, handed to the election.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::Warning;
use super::driver::Driver;
use super::sockets::{Buffer, plain_address};
use crate::clock;
use crate::election::Input;
use crate::units::{BootEpoch, NodeId};
use crate::wire::{Drop as Dropped, MAX_DATAGRAM, Message};

/// Packets taken in one turn before timers are looked at again.
const PACKETS_A_TURN: usize = 64;
/// Of what came while this thread stood still so many packets are taken in, the newest: they hold the newest of every
/// member that speaks often, and the rest would cost a signature check each, at a time when others want the machine.
const NEWEST: usize = 32;
/// No socket's buffer holds more packets.
const SKIPPED_AT_ONCE: usize = 8_192;
/// A member that spoke with an old epoch is told so at most this often.
const STALE_SPACING: Duration = Duration::from_millis(200);

impl Driver {
    /// Takes in what lies in the sockets, up to a limit, so that timers are never kept waiting for long.
    pub(super) async fn take_packets(&mut self) {
        let mut buffer: Buffer = [0; MAX_DATAGRAM + 1];
        for _ in 0..PACKETS_A_TURN {
            let Some(sockets) = &self.means.sockets else { return };
            let Some((length, from)) = sockets.try_receive(&mut buffer) else { return };
            self.take_packet(from, buffer.get(..length).unwrap_or_default()).await;
        }
    }

    /// This thread stood still: takes in the newest of what came meanwhile, and counts the rest as overload.
    pub(super) async fn catch_up(&mut self) {
        let mut buffer: Buffer = [0; MAX_DATAGRAM + 1];
        let mut newest: VecDeque<(Vec<u8>, SocketAddr)> = VecDeque::with_capacity(NEWEST);
        for _ in 0..SKIPPED_AT_ONCE {
            let Some(sockets) = &self.means.sockets else { return };
            let Some((length, from)) = sockets.try_receive(&mut buffer) else { break };
            let mut packet = Vec::new();
            if newest.len() == NEWEST
                && let Some((oldest, _)) = newest.pop_front()
            {
                // A flood of thousands costs no allocation for each.
                packet = oldest;
                self.means.counts.overload += 1;
            }
            packet.clear();
            packet.extend_from_slice(buffer.get(..length).unwrap_or_default());
            newest.push_back((packet, from));
        }
        // The newest first: what is older of a member's state then needs no signature check.
        for (packet, from) in newest.into_iter().rev() {
            self.take_packet(from, &packet).await;
        }
    }

    async fn take_packet(&mut self, from: SocketAddr, packet: &[u8]) {
        let Some(site) = &mut self.site else { return };
        match site.intake.take(clock::now(), from.ip(), packet) {
            Ok(datagram) => {
                self.means.counts.received += 1;
                if let Message::Stale { about, epoch } = datagram.message {
                    self.speak_up(about, epoch);
                } else {
                    self.step(Input::Received { from, datagram }).await;
                }
            }
            Err(dropped) => self.count_drop(from, dropped),
        }
    }

    fn count_drop(&mut self, from: SocketAddr, dropped: Dropped) {
        let address = plain_address(from);
        let counts = &mut self.means.counts;
        let warning = match dropped {
            Dropped::Malformed(_) => return counts.malformed += 1,
            Dropped::Forged => return counts.forged += 1,
            Dropped::Replayed => return counts.replayed += 1,
            Dropped::Overload => return counts.overload += 1,
            Dropped::Echo | Dropped::Copy => return,
            Dropped::ForeignKey => {
                counts.foreign_key += 1;
                Warning::ForeignKey(address)
            }
            Dropped::OtherSite => {
                counts.other_site += 1;
                Warning::OtherSite(address)
            }
            Dropped::Clone { .. } => Warning::Clone(address),
            Dropped::OldEpoch { node, newest } => {
                counts.replayed += 1;
                return self.tell_stale(from, node, newest);
            }
        };
        self.means.warnings.heard(clock::now(), warning);
    }

    /// Tells a member that lost its state folder, and its clock, what to count from.
    fn tell_stale(&mut self, to: SocketAddr, about: NodeId, epoch: BootEpoch) {
        let now = clock::now();
        let Some(site) = &self.site else { return };
        if now < self.stale_at {
            return;
        }
        self.stale_at = now + STALE_SPACING;
        let bytes = self.means.outbox.seal(site.machine.term(), &Message::Stale { about, epoch });
        if let Some(sockets) = &self.means.sockets {
            let _ = sockets.send_to(&bytes, to);
        }
    }

    fn speak_up(&mut self, about: NodeId, newest: BootEpoch) {
        let Some(site) = &mut self.site else { return };
        if about == site.machine.settings().node && newest >= self.means.outbox.epoch() {
            let epoch = BootEpoch(newest.0.saturating_add(1));
            self.means.outbox.raise_epoch(epoch);
            site.intake.raise_epoch(epoch);
        }
    }
}
