//! Making room: the successor is prepared first, then the gate shuts here, then it opens there.
//!
//! The order break-before-make keeps the promise that two never answer at once; preparing the successor beforehand
//! makes the break as short as one datagram.

use std::time::Duration;

use super::effect::{Dest, Effect, Note, Reason};
use super::phase::{After, Deadline, Following, HandingOver, Phase, Stage, Successor, Why};
use super::settings::Prefer;
use super::{Machine, REST, Sender};
use crate::units::{Health, NodeId, Time};
use crate::wire::{Message, Nonce};

/// Each of this many successors is tried before nobody is found.
const TRIES: usize = 3;
/// A successor has this long to put the address on; the holder goes on serving meanwhile.
const READY_WITHIN: Duration = Duration::from_millis(120);
/// Unanswered words are repeated this often.
const REPEAT: Duration = Duration::from_millis(4);
/// A successor that was told to go has this long to be heard.
const GO_WITHIN: Duration = Duration::from_millis(100);
/// After an offer that nobody took, the next one waits this long.
const OFFER_AGAIN: Duration = Duration::from_secs(5);

impl Machine {
    /// `give-up`: hands over and rests, so that a preference does not bring the address back at once.
    pub(super) fn give_up(&mut self, now: Time, out: &mut Vec<Effect>) {
        match &self.phase {
            Phase::Holding(_) => self.start_handover(now, After::Stay, Reason::GiveUp, out),
            Phase::HandingOver(_) => {}
            _ => out.push(Effect::Note(Note::GiveUpRefused)),
        }
    }

    pub(super) fn start_handover(&mut self, now: Time, after: After, reason: Reason, out: &mut Vec<Effect>) {
        let Phase::Holding(holding) = &self.phase else { return };
        let mut holding = holding.clone();
        let mut rest: Vec<Successor> = self
            .roster
            .successors()
            .into_iter()
            .filter(|node| after == After::Leave || reason == Reason::GiveUp || self.is_better(now, *node, reason))
            .filter_map(|node| self.roster.get(node))
            .map(|member| Successor { node: member.node, address: member.address })
            .take(TRIES)
            .collect();
        if rest.is_empty() {
            return self.nobody_took_it(now, after, out);
        }
        let to = rest.remove(0);
        holding.preferred = None;
        let nonce = self.nonce();
        let stage = Stage::Preparing { nonce, resend: now + REPEAT, until: now + READY_WITHIN };
        let handover = HandingOver { holding, to, rest, stage, after, reason };
        self.enter(Phase::HandingOver(handover), reason, out);
        out.push(self.to_member(to.address, Message::Prepare(nonce)));
    }

    pub(super) fn tick_handover(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.keep_beaconing(now, out);
        let Phase::HandingOver(handover) = &mut self.phase else { return };
        let to = handover.to;
        match &mut handover.stage {
            Stage::Preparing { until, .. } if now >= *until => self.try_next(now, out),
            Stage::Preparing { nonce, resend, .. } if now >= *resend => {
                *resend = now + REPEAT * 4;
                let nonce = *nonce;
                out.push(self.to_member(to.address, Message::Prepare(nonce)));
            }
            Stage::Going { until, .. } if now >= *until => {
                // It was told and is not heard: whoever is next shall act.
                out.push(self.to_group(Message::Released { leaving: self.stopping }));
                self.after_handover(now, None, out);
            }
            Stage::Going { term, resend, told, .. } if now >= *resend => {
                *resend = now + REPEAT;
                let go = Message::Go { to: to.node, term: *term };
                let told = std::mem::replace(told, true);
                out.push(self.to_member(to.address, go.clone()));
                if !told {
                    out.push(Effect::Send { to: Dest::Group, term: self.term, message: go, not_after: None });
                }
            }
            Stage::Preparing { .. } | Stage::Going { .. } => {}
        }
    }

    pub(super) fn handover_deadline(&self) -> Option<Deadline> {
        let Phase::HandingOver(handover) = &self.phase else { return None };
        let at = match &handover.stage {
            Stage::Preparing { resend, until, .. } => (*resend).min(*until).min(handover.holding.next_beacon),
            Stage::Going { resend, until, .. } => (*resend).min(*until),
        };
        Some(Deadline { at, why: Why::Handover })
    }

    /// The successor has the address on: shut here, then say the word, then clean up.
    pub(super) fn successor_ready(&mut self, now: Time, sender: &Sender, nonce: Nonce, out: &mut Vec<Effect>) {
        self.roster.heard(now, sender.node, sender.address);
        let Phase::HandingOver(handover) = &mut self.phase else { return };
        let expected = matches!(handover.stage, Stage::Preparing { nonce: asked, .. } if asked == nonce);
        if !expected || handover.to.node != sender.node {
            return;
        }
        let term = handover.holding.term.next().max(self.term.next());
        handover.stage = Stage::Going { term, resend: now + REPEAT, until: now + GO_WITHIN, told: false };
        let to = handover.to;
        self.configured = false;
        self.held_until = Some(now);
        out.push(Effect::ShutGate);
        // To the group only when it is said again: most often the successor's beacon is there first, and all others
        // would have to check two signatures just when the address moves.
        out.push(self.to_member(to.address, Message::Go { to: to.node, term }));
        out.push(Effect::Deconfigure);
        out.push(Effect::Note(Note::Holder { node: None, term: self.term }));
    }

    /// The gate could not be shut: no word until the lease has run out.
    pub(super) fn postpone_go(&mut self, shut: Time) {
        if let Phase::HandingOver(HandingOver { stage: Stage::Going { resend, until, .. }, .. }) = &mut self.phase {
            (*resend, *until) = (shut, shut + GO_WITHIN);
        }
    }

    /// The successor's first beacon: the handover is done.
    pub(super) fn successor_heard(&mut self, now: Time, holder: Following, out: &mut Vec<Effect>) {
        self.after_handover(now, Some(holder), out);
    }

    /// Offers the address to a healthier member at once, to a preferred one after its delay.
    pub(super) fn offer_if_better(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Phase::Holding(holding) = &self.phase else { return };
        let Some(best) = self.roster.first_successor() else { return };
        if now >= holding.next_offer && best.health > self.health {
            return self.start_handover(now, After::Stay, Reason::Health, out);
        }
        let Prefer::Priority { delay } = self.settings.prefer else { return };
        let node = best.node;
        let better = self.is_better(now, node, Reason::Priority);
        let may_offer = now >= holding.next_offer;
        let since = holding.preferred.filter(|(waiting, _)| *waiting == node).map_or(now, |(_, since)| since);
        let due = better && may_offer && now.since(since) >= delay;
        if let Phase::Holding(holding) = &mut self.phase {
            holding.preferred = better.then_some((node, since));
        }
        if due {
            self.start_handover(now, After::Stay, Reason::Priority, out);
        }
    }

    /// Whether `node` is a better holder than this member, for the reason given.
    fn is_better(&self, now: Time, node: NodeId, reason: Reason) -> bool {
        self.roster.get(node).is_some_and(|member| match reason {
            Reason::Health => member.health > self.health,
            Reason::Priority => member.health >= self.health && member.priority > self.priority(now),
            _ => member.health > Health::NONE,
        })
    }

    fn try_next(&mut self, now: Time, out: &mut Vec<Effect>) {
        let nonce = self.nonce();
        let Phase::HandingOver(handover) = &mut self.phase else { return };
        if handover.rest.is_empty() {
            let (after, mut holding) = (handover.after, handover.holding.clone());
            let reason = handover.reason;
            holding.next_offer = now + OFFER_AGAIN;
            self.enter(Phase::Holding(holding), reason, out);
            return self.nobody_took_it(now, after, out);
        }
        let to = handover.rest.remove(0);
        handover.to = to;
        handover.stage = Stage::Preparing { nonce, resend: now + REPEAT, until: now + READY_WITHIN };
        out.push(self.to_member(to.address, Message::Prepare(nonce)));
    }

    fn nobody_took_it(&mut self, now: Time, after: After, out: &mut Vec<Effect>) {
        match after {
            After::Stay => {
                if let Phase::Holding(holding) = &mut self.phase {
                    holding.next_offer = now + OFFER_AGAIN;
                }
                out.push(Effect::Note(Note::GiveUpRefused));
            }
            After::Leave => {
                self.drop_address(now, out);
                self.leave(out);
            }
        }
    }

    pub(super) fn after_handover(&mut self, now: Time, holder: Option<Following>, out: &mut Vec<Effect>) {
        let Phase::HandingOver(handover) = &self.phase else { return };
        if handover.reason == Reason::GiveUp {
            self.resting_until = now + REST;
        }
        let (after, reason) = (handover.after, handover.reason);
        self.pace.soon(now);
        if self.stopping || after == After::Leave {
            return self.leave(out);
        }
        match holder {
            Some(holder) => self.enter(Phase::Standby(holder), reason, out),
            None => self.start_probing(now, reason, out),
        }
    }
}
