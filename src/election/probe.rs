//! States without a holder in sight: probing at start, asking after a freeze, waiting for a stranger to leave.

use std::time::Duration;

use super::Machine;
use super::claim::Fitness;
use super::effect::{Effect, Note, Reason};
use super::phase::{Asking, Conflict, Deadline, Phase, Probing, Sightings, Why};
use crate::units::{Health, Mac, NodeId, Time};
use crate::wire::Message;

/// The wire is asked this often while watching at start.
const PROBES: u32 = 3;
/// The shortest time to watch at start: a switch port needs a moment to forward after the link comes up.
const SHORTEST_WATCH: Duration = Duration::from_millis(200);
/// The LAN is watched this much longer after a claim that this machine could not carry out.
const PENALTY: Duration = Duration::from_secs(1);
/// The time between two probes for a stranger.
const STRANGER_PROBE: Duration = Duration::from_millis(500);
/// A stranger that left this many probes unanswered is gone.
const STRANGER_GONE: u32 = 3;
/// Whoever asks everyone and gets an answer on the wire asks this often again before it watches the LAN anew.
const ASK_AGAIN: u32 = 2;
/// A stranger is complained about this often.
const COMPLAINT: Duration = Duration::from_secs(30);

impl Machine {
    pub(super) fn start_probing(&mut self, now: Time, reason: Reason, out: &mut Vec<Effect>) {
        let watch = self.watch();
        let penalty = if reason == Reason::CannotConfigure { PENALTY } else { Duration::ZERO };
        let probing = Probing {
            known: self.term,
            claim_at: now + watch + penalty,
            next_probe: now,
            in_turn: false,
            seen: Sightings::default(),
        };
        self.pace.soon(now);
        self.enter(Phase::Probing(probing), reason, out);
    }

    /// Lets go and, after `wait`, asks everyone: nobody is known to hold, but somebody else may think so too.
    pub(super) fn start_asking(&mut self, now: Time, wait: Duration, reason: Reason, out: &mut Vec<Effect>) {
        self.drop_address(now, out);
        let at = now + wait;
        let asking = Asking { asked: 0, next_question: at, claim_at: at, seen: Sightings::default(), reason, again: 0 };
        self.enter(Phase::Asking(asking), reason, out);
        self.tick_asking(now, out);
    }

    pub(super) fn start_conflict(&mut self, now: Time, mac: Mac, out: &mut Vec<Effect>) {
        self.drop_address(now, out);
        out.push(Effect::Note(Note::Stranger { mac, dmz: self.settings.dmz }));
        let conflict = Conflict { next_probe: now + STRANGER_PROBE, unanswered: 0, next_complaint: now + COMPLAINT };
        self.pace.soon(now);
        self.enter(Phase::Conflict(conflict), Reason::Stranger, out);
    }

    pub(super) fn tick_probe(&mut self, now: Time, out: &mut Vec<Effect>) {
        let watch = self.watch();
        match &mut self.phase {
            Phase::Probing(probing) if now >= probing.claim_at => {
                match probing.seen.last {
                    Some((mac, _)) => self.start_conflict(now, mac, out),
                    None => self.claim_in_turn(now, out),
                };
            }
            Phase::Probing(probing) if now >= probing.next_probe => {
                probing.next_probe = now + watch / PROBES;
                out.push(Effect::Probe);
            }
            Phase::Asking(_) => self.tick_asking(now, out),
            Phase::Conflict(conflict) if now >= conflict.next_probe => {
                conflict.next_probe = now + STRANGER_PROBE;
                conflict.unanswered += 1;
                if conflict.unanswered > STRANGER_GONE {
                    self.start_probing(now, Reason::StrangerGone, out);
                } else {
                    out.push(Effect::Probe);
                }
            }
            _ => {}
        }
    }

    fn tick_asking(&mut self, now: Time, out: &mut Vec<Effect>) {
        let (question, late) = (self.asking_interval(), self.stagger() / 2);
        let Phase::Asking(asking) = &mut self.phase else { return };
        if asking.asked >= PROBES && now >= asking.claim_at {
            let answered = asking.seen.last.is_some();
            // Somebody goes on answering for the address: a holder whose beacons do not come, or a stranger.
            if answered && asking.again >= ASK_AGAIN {
                return self.start_probing(now, Reason::Frozen, out);
            }
            if !answered && now.since(asking.claim_at) <= late {
                let (due, reason) = (asking.claim_at, asking.reason);
                return self.claim(now, due, reason, out);
            }
            // The answer may have been the last one of a gate that has shut since; or this member stood still
            // meanwhile, and the others no longer wait for it.
            asking.again += u32::from(answered);
            (asking.asked, asking.next_question, asking.seen) = (0, now, Sightings::default());
        }
        if asking.asked < PROBES && now >= asking.next_question {
            asking.asked += 1;
            asking.next_question = now + question;
            asking.claim_at = asking.claim_at.max(now + question);
            let nonce = self.nonce();
            out.push(Effect::Probe);
            out.push(self.to_group(Message::Query(nonce)));
        }
    }

    /// A claim that was decided just before the first question came must be heard before the last one is due.
    fn asking_interval(&self) -> Duration {
        self.settings.timing.question.max(self.stagger() / 2)
    }

    /// Somebody asks everyone before it claims. Of two who ask, the greater id goes first; whoever has not asked yet
    /// comes after both.
    pub(super) fn make_way(&mut self, now: Time, asker: NodeId) {
        let until = now + self.asking_interval() * PROBES + self.stagger();
        let first = asker > self.settings.node;
        match &mut self.phase {
            Phase::Asking(asking) if first || asking.asked == 0 => {
                (asking.asked, asking.next_question, asking.claim_at) = (0, until, until);
            }
            Phase::Probing(probing) => probing.claim_at = probing.claim_at.max(until),
            Phase::Suspecting(suspecting) => suspecting.claim_at = suspecting.claim_at.max(until),
            _ => {}
        }
    }

    pub(super) fn probe_deadline(&self) -> Option<Deadline> {
        match &self.phase {
            Phase::Probing(probing) if probing.next_probe < probing.claim_at => {
                Some(Deadline { at: probing.next_probe, why: Why::Question })
            }
            Phase::Probing(probing) => Some(Deadline { at: probing.claim_at, why: Why::Claim }),
            Phase::Asking(asking) if asking.asked < PROBES => {
                Some(Deadline { at: asking.next_question, why: Why::Question })
            }
            Phase::Asking(asking) => Some(Deadline { at: asking.claim_at, why: Why::Claim }),
            Phase::Conflict(conflict) => Some(Deadline { at: conflict.next_probe, why: Why::Question }),
            _ => None,
        }
    }

    /// Somebody answers for the address, or announced it.
    pub(super) fn address_seen(&mut self, now: Time, mac: Mac, out: &mut Vec<Effect>) {
        let question = self.settings.timing.question;
        match &mut self.phase {
            Phase::Probing(probing) => probing.seen.note(mac, now),
            Phase::Asking(asking) => asking.seen.note(mac, now),
            Phase::Suspecting(suspecting) => {
                if mac == suspecting.following.mac {
                    // Its kernel still answers; the answer to a ping may carry another of its hardware addresses.
                    suspecting.seen = Sightings::default();
                }
                suspecting.seen.note(mac, now);
                suspecting.claim_at = suspecting.claim_at.max(now + question);
            }
            Phase::Conflict(conflict) => {
                conflict.unanswered = 0;
                if now >= conflict.next_complaint {
                    conflict.next_complaint = now + COMPLAINT;
                    out.push(Effect::Note(Note::Stranger { mac, dmz: self.settings.dmz }));
                }
            }
            Phase::Holding(_) => self.defend(now, mac, out),
            Phase::Down
            | Phase::Observer(_)
            | Phase::Standby(_)
            | Phase::Prepared(_)
            | Phase::HandingOver(_)
            | Phase::Stopped(_) => {}
        }
    }

    /// How long the LAN is watched before anything is said to be free.
    fn watch(&self) -> Duration {
        self.settings.timing.takeover.max(SHORTEST_WATCH) + self.settings.timing.question
    }

    /// The watch is over: asks, after giving fitter candidates that are probing too the time to ask first.
    fn claim_in_turn(&mut self, now: Time, out: &mut Vec<Effect>) {
        let mine = Fitness { health: self.health, priority: self.priority(now), node: self.settings.node };
        let fitter = self.roster.iter().filter(|other| other.may_claim() && other.fitness() > mine).count();
        let wait = self.stagger() * u32::try_from(fitter).unwrap_or(u32::MAX);
        match &mut self.phase {
            Phase::Probing(probing) if !probing.in_turn && !wait.is_zero() => {
                probing.in_turn = true;
                probing.claim_at = now + wait;
                probing.next_probe = probing.claim_at;
            }
            _ => self.start_asking(now, Duration::ZERO, Reason::AddressFree, out),
        }
    }

    /// Whether this member must not be chosen while anybody else is better.
    pub(super) fn is_unfit(&self) -> bool {
        self.health == Health::NONE
    }
}
