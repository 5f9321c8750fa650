//! Somebody else holds: following its beacons, noticing its silence, asking it, taking over.

use std::time::Duration;

use super::claim::{Claim, Fitness};
use super::effect::{Effect, Reason};
use super::phase::{Deadline, Following, Phase, Prepared, Sightings, Suspecting, Why};
use super::{Machine, RECENTLY, Sender};
use crate::units::{NodeId, Term, Time};
use crate::wire::{Beacon, Message, Nonce};

/// The silent holder is asked this often before a takeover.
const QUESTIONS: u32 = 3;
/// The first beacon of a successor gets at least this long to arrive before the next one acts.
const SHORTEST_STAGGER: Duration = Duration::from_millis(8);
/// A stranger is believed after this many answers from a hardware address that is not the holder's.
const BELIEVED: u32 = 4;
/// A dead holder's kernel answers no longer than this: its address expires by itself.
const KERNEL_EXPIRES: Duration = Duration::from_secs(4);
/// A prepared successor waits this long for the word before it takes the address off again.
const PREPARED_FOR: Duration = Duration::from_millis(500);

/// The listed successors.
const QUEUE: u32 = crate::wire::MAX_SUCCESSORS as u32;

impl Machine {
    pub(super) fn beacon_heard(&mut self, now: Time, sender: &Sender, beacon: &Beacon, out: &mut Vec<Effect>) {
        let claim = Claim { term: sender.term, priority: beacon.member.priority, node: sender.node };
        let heard = Following {
            node: sender.node,
            address: sender.address,
            claim,
            mac: beacon.mac,
            interval: beacon.interval,
            lease: beacon.lease,
            successors: beacon.successors.clone(),
            turn: self.turn(sender.node, &beacon.successors),
            heard: now,
        };
        match &self.phase {
            Phase::Down | Phase::Stopped(_) => {}
            Phase::Observer(following) => {
                if self.should_follow(now, following.as_ref(), &heard) {
                    self.enter(Phase::Observer(Some(heard)), Reason::HolderHeard, out);
                }
            }
            Phase::Probing(_) | Phase::Asking(_) | Phase::Conflict(_) => self.follow(now, heard, out),
            Phase::Standby(following) => {
                if self.should_follow(now, Some(following), &heard) {
                    self.follow(now, heard, out);
                }
            }
            Phase::Suspecting(suspecting) => {
                if self.should_follow(now, Some(&suspecting.following), &heard) {
                    self.follow(now, heard, out);
                }
            }
            Phase::Prepared(prepared) if prepared.following.node == heard.node => {
                let (ready, until, go) = (prepared.ready, prepared.until, prepared.go);
                self.phase = Phase::Prepared(Prepared { following: heard, ready, until, go });
            }
            Phase::Prepared(prepared) => {
                if self.should_follow(now, Some(&prepared.following), &heard) {
                    self.follow(now, heard, out);
                }
            }
            Phase::Holding(_) | Phase::HandingOver(_) => self.rival_heard(now, heard, out),
        }
    }

    /// Becomes the standby of `holder`; whatever is still configured is taken off.
    pub(super) fn follow(&mut self, now: Time, holder: Following, out: &mut Vec<Effect>) {
        self.drop_address(now, out);
        if self.may_have_held(now, holder.claim.term) && self.overdue_release.is_none() {
            out.push(self.to_group(Message::Released { leaving: false }));
        }
        if !matches!(self.phase, Phase::Standby(_) | Phase::Suspecting(_)) {
            self.pace.soon(now);
        }
        self.enter(Phase::Standby(holder), Reason::HolderHeard, out);
    }

    /// Whether this member may have held, before a freeze or a restart, without the holder knowing of it: then some
    /// cache may still send packets here, and the holder had better announce again.
    fn may_have_held(&self, now: Time, term: Term) -> bool {
        match &self.phase {
            Phase::Probing(probing) => probing.known >= term,
            Phase::Asking(_) => self.held_until.is_some_and(|until| now.since(until) < RECENTLY),
            _ => false,
        }
    }

    pub(super) fn tick_following(&mut self, now: Time, out: &mut Vec<Effect>) {
        let forget = match &self.phase {
            Phase::Standby(following) if now >= self.suspect_at(following) => {
                self.suspect(now, following.clone(), Reason::HolderSilent, out);
                false
            }
            Phase::Observer(Some(following)) => now >= following.heard + following.lease * 4,
            _ => false,
        };
        if forget {
            self.enter(Phase::Observer(None), Reason::HolderSilent, out);
        }
    }

    pub(super) fn tick_suspicion(&mut self, now: Time, out: &mut Vec<Effect>) {
        match &mut self.phase {
            Phase::Prepared(Prepared { following, ready, go: Some(_), .. })
                if now.since(*ready) <= following.interval =>
            {
                self.claim(now, now, Reason::HandedOver, out);
            }
            Phase::Prepared(prepared) if now >= prepared.until => {
                let following = prepared.following.clone();
                self.follow(now, following, out);
            }
            Phase::Prepared(prepared) => {
                prepared.go = None;
                let following = prepared.following.clone();
                if now >= self.suspect_at(&following) {
                    self.suspect(now, following, Reason::HolderSilent, out);
                }
            }
            Phase::Suspecting(suspecting) if suspecting.asked >= QUESTIONS && now >= suspecting.claim_at => {
                self.take_over(now, out);
            }
            Phase::Suspecting(suspecting) if suspecting.asked < QUESTIONS && now >= suspecting.next_question => {
                self.ask(now, out);
            }
            _ => {}
        }
    }

    pub(super) fn follow_deadline(&self) -> Option<Deadline> {
        match &self.phase {
            Phase::Standby(following) => Some(Deadline { at: self.suspect_at(following), why: Why::Suspect }),
            Phase::Observer(Some(following)) => {
                Some(Deadline { at: following.heard + following.lease * 4, why: Why::Suspect })
            }
            Phase::Suspecting(suspecting) if suspecting.asked < QUESTIONS => {
                Some(Deadline { at: suspecting.next_question, why: Why::Question })
            }
            Phase::Suspecting(suspecting) => Some(Deadline { at: suspecting.claim_at, why: Why::Claim }),
            Phase::Prepared(prepared) => {
                let at = match prepared.go {
                    Some(_) => prepared.ready,
                    None => prepared.until.min(self.suspect_at(&prepared.following)),
                };
                Some(Deadline { at, why: Why::Handover })
            }
            _ => None,
        }
    }

    /// A question about holding. Only who holds, or held just now and does not want to again, has anything to say.
    pub(super) fn asked(&mut self, now: Time, sender: &Sender, nonce: Nonce, out: &mut Vec<Effect>) {
        let holding = self.holder() == Some(self.settings.node);
        let held = self.held_until.is_some_and(|until| now.since(until) < RECENTLY);
        if holding || (held && !matches!(self.phase, Phase::Asking(_))) {
            out.push(self.to_member(sender.address, Message::Answer { nonce, holding }));
        }
        match self.followed(sender.node) {
            // The holder itself asks: it was frozen, is back, and will hold again unless it hears of another.
            Some(following) => self.still_there(now, following, out),
            None => self.make_way(now, sender.node),
        }
    }

    pub(super) fn answered(&mut self, now: Time, sender: &Sender, holding: bool, out: &mut Vec<Effect>) {
        self.roster.heard(now, sender.node, sender.address);
        match &mut self.phase {
            Phase::Suspecting(suspecting) if suspecting.following.node == sender.node => {
                let following = suspecting.following.clone();
                if holding {
                    self.still_there(now, following, out);
                } else {
                    self.holder_gone(now, &following, out);
                }
            }
            Phase::Asking(asking) if holding => {
                let patience = self.settings.timing.takeover;
                asking.claim_at = asking.claim_at.max(now + patience);
            }
            _ => {}
        }
    }

    /// The holder prepares this member: the address goes on, the gate stays shut.
    pub(super) fn prepare(&mut self, now: Time, sender: &Sender, nonce: Nonce, out: &mut Vec<Effect>) {
        let following = match &self.phase {
            Phase::Standby(following) => following,
            Phase::Suspecting(suspecting) => &suspecting.following,
            Phase::Prepared(prepared) => &prepared.following,
            _ => return,
        };
        if following.node != sender.node {
            return;
        }
        let mut following = following.clone();
        following.heard = now;
        if !self.configured {
            self.configured = true;
            out.push(Effect::Configure);
        }
        out.push(self.to_member(sender.address, Message::Ready(nonce)));
        let prepared = Prepared { following, ready: now, until: now + PREPARED_FOR, go: None };
        self.enter(Phase::Prepared(prepared), Reason::HandedOver, out);
    }

    /// The holder has shut its gate and names who shall hold.
    pub(super) fn go(&mut self, now: Time, sender: &Sender, to: NodeId, term: Term, out: &mut Vec<Effect>) {
        self.roster.released(sender.node);
        let named = to == self.settings.node;
        match &mut self.phase {
            // The claim follows with the tick that is due now, after whatever else has arrived: a member that stood
            // still may find the word and the beacon of whoever acted in its place side by side.
            Phase::Prepared(prepared) if named && prepared.following.node == sender.node => prepared.go = Some(term),
            // The word was said again because the first beacon was not heard.
            Phase::Holding(_) if named => {
                self.beacon(now, out);
                self.beacon_to(now, sender.address, out);
            }
            // Whoever is named has one beacon interval from its "ready"; suspicion starts later than that.
            _ if !named => {
                if let Some(following) = self.followed(sender.node) {
                    self.still_there(now, following, out);
                }
            }
            _ => {}
        }
    }

    /// A member no longer answers for the address.
    pub(super) fn released(&mut self, now: Time, sender: &Sender, leaving: bool, out: &mut Vec<Effect>) {
        self.roster.released(sender.node);
        if leaving && let Some(member) = self.roster.remove(sender.node) {
            let (node, name) = (member.node, member.name);
            out.push(Effect::Note(super::Note::Left { node, name, announced: true }));
        }
        if matches!(self.phase, Phase::Holding(_)) {
            self.heal(now, out);
        } else if let Some(following) = self.followed(sender.node) {
            self.holder_gone(now, &following, out);
        } else if matches!(&self.phase, Phase::Observer(Some(following)) if following.node == sender.node) {
            self.enter(Phase::Observer(None), Reason::HolderReleased, out);
        }
    }

    /// The time between the n-th and the next successor's takeover.
    pub(super) fn stagger(&self) -> Duration {
        (self.settings.timing.question * 2).max(SHORTEST_STAGGER)
    }

    fn followed(&self, node: NodeId) -> Option<Following> {
        match &self.phase {
            Phase::Standby(_) | Phase::Suspecting(_) | Phase::Prepared(_) => {
                self.following().filter(|following| following.node == node).cloned()
            }
            _ => None,
        }
    }

    /// The holder said itself that it holds no longer: nobody need wait, only the order be kept.
    fn holder_gone(&mut self, now: Time, following: &Following, out: &mut Vec<Effect>) {
        let wait = self.place_in_line(following);
        self.start_asking(now, wait, Reason::HolderReleased, out);
    }

    /// The holder was heard, if not by a beacon: its silence starts anew.
    fn still_there(&mut self, now: Time, mut following: Following, out: &mut Vec<Effect>) {
        following.heard = now;
        match &mut self.phase {
            Phase::Prepared(prepared) => prepared.following.heard = now,
            _ => self.enter(Phase::Standby(following), Reason::HolderAnswered, out),
        }
    }

    fn suspect(&mut self, now: Time, following: Following, reason: Reason, out: &mut Vec<Effect>) {
        let question = self.settings.timing.question;
        let claim_at = (following.heard + self.takeover_after(&following)).max(now + question * QUESTIONS);
        let suspecting =
            Suspecting { following, asked: 0, next_question: now, claim_at, seen: Sightings::default(), reason };
        self.enter(Phase::Suspecting(suspecting), reason, out);
        self.ask(now, out);
    }

    fn ask(&mut self, now: Time, out: &mut Vec<Effect>) {
        let nonce = self.nonce();
        let question = self.settings.timing.question;
        if let Phase::Suspecting(suspecting) = &mut self.phase {
            suspecting.asked += 1;
            suspecting.next_question = now + question;
            suspecting.claim_at = suspecting.claim_at.max(now + question);
            let address = suspecting.following.address;
            out.push(self.to_member(address, Message::Query(nonce)));
            out.push(Effect::Probe);
        }
    }

    /// Nobody answered the questions. The first successor just acts, everyone else asks everyone before.
    fn take_over(&mut self, now: Time, out: &mut Vec<Effect>) {
        let question = self.settings.timing.question;
        let Phase::Suspecting(suspecting) = &self.phase else { return };
        let reason = suspecting.reason;
        // Late means that this member stood still when its turn came, and others may be acting.
        let is_late = now.since(suspecting.claim_at) > self.stagger() / 2;
        let is_first = suspecting.following.successors.first() == Some(&self.settings.node) && !self.is_unfit();
        match suspecting.seen.last {
            // The address is still answered for, so claiming it could only make two: wait until that ends.
            Some((mac, at)) if now.since(at) < question * 2 => {
                let foreign = mac != suspecting.following.mac;
                let too_long = now.since(suspecting.following.heard) > KERNEL_EXPIRES;
                if (foreign && suspecting.seen.count >= BELIEVED) || too_long {
                    self.start_conflict(now, mac, out);
                } else {
                    self.ask(now, out);
                }
            }
            _ if is_first && !is_late => {
                let due = suspecting.claim_at;
                self.claim(now, due, reason, out);
            }
            _ => self.start_asking(now, Duration::ZERO, reason, out),
        }
    }

    fn should_follow(&self, now: Time, current: Option<&Following>, heard: &Following) -> bool {
        current.is_none_or(|current| {
            current.node == heard.node || heard.claim > current.claim || now >= self.suspect_at(current)
        })
    }

    fn suspect_at(&self, following: &Following) -> Time {
        let own = self.settings.timing;
        let silence = own.suspect.max(following.interval * 3 / 2);
        following.heard + silence + self.place_in_line(following)
    }

    /// T, for the holder's lease as well as for our own timing, and for our turn.
    fn takeover_after(&self, following: &Following) -> Duration {
        let own = self.settings.timing;
        let margin = own.takeover.saturating_sub(own.lease);
        own.takeover.max(following.lease + margin) + self.place_in_line(following)
    }

    /// How long this member lets others act first. Whoever must not be chosen comes after everyone who may.
    fn place_in_line(&self, following: &Following) -> Duration {
        let unfit = u32::from(self.is_unfit()) * QUEUE;
        self.stagger() * following.turn.saturating_add(unfit)
    }

    /// How many members act before this one: the successors first, in the holder's order; then everyone else. While
    /// the order stays the same, so does this member's place in it.
    fn turn(&self, holder: NodeId, successors: &[NodeId]) -> u32 {
        let known = self.following().filter(|following| following.node == holder && following.successors == successors);
        if let Some(following) = known {
            return following.turn;
        }
        let listed = successors.iter().position(|node| *node == self.settings.node);
        let turn = listed.unwrap_or_else(|| {
            let mine = Fitness { health: self.health, priority: self.settings.priority, node: self.settings.node };
            let fitter = self.roster.iter().filter(|other| other.may_claim() && other.fitness() > mine);
            successors.len() + fitter.filter(|other| !successors.contains(&other.node)).count()
        });
        u32::try_from(turn).unwrap_or(u32::MAX)
    }
}
