//! This member holds: beacons, announcements, rivals, strangers.

use std::net::SocketAddr;
use std::time::Duration;

use super::Machine;
use super::claim::Claim;
use super::effect::{Dest, Effect, Note, Reason};
use super::phase::{Deadline, Following, Holding, Phase, Why};
use super::settings::JIFFY;
use crate::units::{Mac, Term, Time};
use crate::wire::{Beacon, Message};

/// After a takeover the address is announced at these distances, then every [`REFRESH`]: a lost announcement would
/// leave a switch or a router with the old holder.
const ANNOUNCE_AFTER: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(40),
    Duration::from_millis(200),
    Duration::from_millis(750),
    Duration::from_secs(2),
];
/// Switches forget a hardware address that they have not seen for five minutes; well below that.
const REFRESH: Duration = Duration::from_secs(30);
/// A stranger's use of the address is answered and reported this often at most (RFC 5227, section 2.4).
const DEFENCE: Duration = Duration::from_secs(10);
/// A beacon that could not be sent is tried again this soon.
const RETRY: Duration = Duration::from_millis(2);

impl Machine {
    /// Takes the address in a new term: on the machine first, then the gate, then the announcement. The claim was due
    /// at `due`; others may act one stagger later, so a first beacon held up until then must not leave.
    pub(super) fn claim(&mut self, now: Time, due: Time, reason: Reason, out: &mut Vec<Effect>) {
        let silence = self.following().map(|following| now.since(following.heard));
        // A higher term may have been heard since one was handed over.
        let named = match &self.phase {
            Phase::Prepared(prepared) => prepared.go,
            _ => None,
        };
        let term = self.term.next().max(named.unwrap_or_default());
        self.term = term;
        if !self.configured {
            self.configured = true;
            out.push(Effect::Configure);
        }
        let holding = Holding {
            term,
            last_beacon: now,
            previous_beacon: Time::ZERO,
            next_beacon: now + self.settings.timing.beacon,
            announced: 0,
            next_announce: now + ANNOUNCE_AFTER[0],
            preferred: None,
            next_offer: now,
            next_defence: now,
        };
        let not_after = due + self.stagger() * 3 / 4;
        self.push_beacon(now, not_after, term, out);
        // Before the copy for the successor: a switch sends everything to the old holder until it hears this.
        let copy = out.len() - usize::from(matches!(out.last(), Some(Effect::Send { to: Dest::Unicast(_), .. })));
        out.insert(copy, Effect::Announce);
        self.enter(Phase::Holding(holding), reason, out);
        out.push(Effect::Note(Note::Takeover { silence, reason }));
    }

    pub(super) fn tick_holding(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.keep_beaconing(now, out);
        if let Phase::Holding(holding) = &mut self.phase
            && now >= holding.next_announce
        {
            holding.announced += 1;
            holding.next_announce = now + ANNOUNCE_AFTER.get(holding.announced).copied().unwrap_or(REFRESH);
            out.push(Effect::Announce);
        }
        self.offer_if_better(now, out);
    }

    pub(super) fn hold_deadline(&self) -> Option<Deadline> {
        let holding = self.holding()?;
        if holding.next_announce < holding.next_beacon && matches!(self.phase, Phase::Holding(_)) {
            return Some(Deadline { at: holding.next_announce, why: Why::Announce });
        }
        Some(Deadline { at: holding.next_beacon, why: Why::Beacon })
    }

    /// Whoever was frozen for longer than its lease lets go and asks, before it believes or does anything else.
    pub(super) fn notice_freeze(&mut self, now: Time, out: &mut Vec<Effect>) {
        let lease = self.settings.timing.lease;
        let Some(age) = self.holding().map(|holding| now.since(holding.last_beacon)) else { return };
        if age < lease {
            return;
        }
        let shut_micros = u64::try_from((age - lease).as_micros()).unwrap_or(u64::MAX);
        out.push(Effect::Note(Note::LateBeacon { shut_micros }));
        if self.stopping {
            self.drop_address(now, out);
            self.leave(out);
        } else {
            self.start_asking(now, Duration::ZERO, Reason::Frozen, out);
        }
    }

    /// Sends the beacon if it is due.
    pub(super) fn keep_beaconing(&mut self, now: Time, out: &mut Vec<Effect>) {
        let timing = self.settings.timing;
        let Some(holding) = self.holding() else { return };
        if now < holding.next_beacon {
            return;
        }
        let (age, surely_open) = (now.since(holding.last_beacon), timing.lease.saturating_sub(2 * JIFFY));
        if age > surely_open {
            let shut_micros = u64::try_from((age - surely_open).as_micros()).unwrap_or(u64::MAX);
            out.push(Effect::Note(Note::LateBeacon { shut_micros }));
        }
        self.beacon(now, out);
    }

    /// Sends a beacon now; the next one follows an interval later.
    pub(super) fn beacon(&mut self, now: Time, out: &mut Vec<Effect>) {
        let timing = self.settings.timing;
        let Some(holding) = self.holding_mut() else { return };
        let not_after = holding.last_beacon + timing.lease;
        holding.previous_beacon = holding.last_beacon;
        holding.last_beacon = now;
        // Keeps the rhythm when a tick is a little late, and starts a new one when it is very late.
        holding.next_beacon = (holding.next_beacon + timing.beacon).max(now + timing.beacon / 2);
        if now + timing.beacon < holding.next_beacon {
            holding.next_beacon = now + timing.beacon;
        }
        let term = holding.term;
        self.push_beacon(now, not_after, term, out);
        self.count_announcement(true);
    }

    /// The timing is new, and its lease counts from a beacon that says so: the last one, sent under `old_lease`, may
    /// be older already than the new lease lasts.
    pub(super) fn change_rhythm(&mut self, now: Time, old_lease: Duration, out: &mut Vec<Effect>) {
        let interval = self.settings.timing.beacon;
        let Some(holding) = self.holding_mut() else { return };
        let (term, not_after) = (holding.term, holding.last_beacon + old_lease);
        holding.previous_beacon = holding.last_beacon;
        holding.last_beacon = now;
        holding.next_beacon = now + interval;
        self.push_beacon(now, not_after, term, out);
    }

    pub(super) fn beacon_to(&mut self, now: Time, address: SocketAddr, out: &mut Vec<Effect>) {
        if let Some(holding) = self.holding() {
            let (term, not_after) = (holding.term, holding.last_beacon + self.settings.timing.lease);
            let message = Message::Beacon(self.describe(now));
            out.push(Effect::Send { to: Dest::Unicast(address), term, message, not_after: Some(not_after) });
        }
    }

    /// A beacon did not leave.
    pub(super) fn beacon_failed(&mut self, now: Time, out: &mut Vec<Effect>) {
        let lease = self.settings.timing.lease;
        let Some(holding) = self.holding_mut() else { return };
        holding.last_beacon = holding.previous_beacon;
        holding.next_beacon = now + RETRY;
        let too_old = now.since(holding.last_beacon) >= lease;
        self.count_announcement(false);
        if too_old {
            self.start_asking(now, Duration::ZERO, Reason::Frozen, out);
        }
    }

    /// The fence was gone and is back, with the gate shut: a beacon opens it.
    pub(super) fn fence_restored(&mut self, now: Time, out: &mut Vec<Effect>) {
        if let Phase::Holding(holding) = &mut self.phase {
            holding.next_beacon = now;
            self.tick_holding(now, out);
        }
    }

    /// Another holder: the greater claim stays, the other lets go first and says so.
    pub(super) fn rival_heard(&mut self, now: Time, rival: Following, out: &mut Vec<Effect>) {
        if let Phase::HandingOver(handover) = &self.phase
            && !handover.still_holding()
        {
            return self.successor_heard(now, rival, out);
        }
        let Some(holding) = self.holding() else { return };
        let mine = Claim { term: holding.term, priority: self.priority(now), node: self.settings.node };
        if rival.claim < mine {
            self.heal(now, out);
        } else if self.stopping {
            self.drop_address(now, out);
            self.leave(out);
        } else {
            self.drop_address(now, out);
            out.push(self.to_group(Message::Released { leaving: false }));
            self.pace.soon(now);
            self.enter(Phase::Standby(rival), Reason::OutrankedByHolder, out);
        }
    }

    /// Somebody held in a newer term and was not heard doing so: it may have told others that it answers.
    pub(super) fn overtaken(&mut self, now: Time, message: &Message, out: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Holding(_)) && !matches!(message, Message::Beacon(_) | Message::Released { .. })
        {
            self.heal(now, out);
        }
    }

    /// Somebody else answered for the address until now: every cache is told again who does.
    pub(super) fn heal(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.keep_beaconing(now, out);
        if self.holding().is_some_and(|holding| holding.last_beacon < now) {
            self.beacon(now, out);
        }
        out.push(Effect::Announce);
        if let Some(holding) = self.holding_mut() {
            holding.announced = 0;
            holding.next_announce = now + ANNOUNCE_AFTER[0];
        }
    }

    /// A machine that is no holder uses the address.
    pub(super) fn defend(&mut self, now: Time, mac: Mac, out: &mut Vec<Effect>) {
        if self.is_mine(mac) {
            return;
        }
        if let Phase::Holding(holding) = &mut self.phase
            && now >= holding.next_defence
        {
            holding.next_defence = now + DEFENCE;
            out.push(Effect::Note(Note::Stranger { mac, dmz: self.settings.dmz }));
            out.push(Effect::Announce);
        }
    }

    /// The address could not be put on this machine: somebody else shall try.
    pub(super) fn cannot_configure(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.drop_address(now, out);
        match &self.phase {
            Phase::Prepared(prepared) => {
                let following = prepared.following.clone();
                self.enter(Phase::Standby(following), Reason::CannotConfigure, out);
            }
            Phase::Holding(_) => {
                out.push(self.to_group(Message::Released { leaving: false }));
                self.start_probing(now, Reason::CannotConfigure, out);
            }
            _ => {}
        }
    }

    pub(super) fn holding(&self) -> Option<&Holding> {
        match &self.phase {
            Phase::Holding(holding) => Some(holding),
            Phase::HandingOver(handover) if handover.still_holding() => Some(&handover.holding),
            _ => None,
        }
    }

    fn holding_mut(&mut self) -> Option<&mut Holding> {
        match &mut self.phase {
            Phase::Holding(holding) => Some(holding),
            Phase::HandingOver(handover) if handover.still_holding() => Some(&mut handover.holding),
            _ => None,
        }
    }

    /// To the group, and once more to the first successor: Wi-Fi delays multicast.
    fn push_beacon(&mut self, now: Time, not_after: Time, term: Term, out: &mut Vec<Effect>) {
        let beacon = self.describe(now);
        let first = beacon.successors.first().and_then(|node| self.roster.get(*node)).map(|member| member.address);
        let message = Message::Beacon(beacon);
        for to in std::iter::once(Dest::Group).chain(first.map(Dest::Unicast)) {
            out.push(Effect::Send { to, term, message: message.clone(), not_after: Some(not_after) });
        }
    }

    fn describe(&self, now: Time) -> Beacon {
        let timing = self.settings.timing;
        Beacon {
            dmz: self.settings.dmz,
            member: self.info(now),
            mac: self.settings.mac,
            interval: timing.beacon,
            lease: self.named_lease(),
            members: u16::try_from(self.roster.len() + 1).unwrap_or(u16::MAX),
            successors: self.roster.successors(),
        }
    }
}
