//! How often a member that does not hold is heard.
//!
//! The group shares [`GROUP_RATE`] signs of life a second, so the LAN's traffic does not grow with it; only the first
//! [`CLOSE_SUCCESSORS`] successors are heard every second, since the holder must know that they live.

use std::time::Duration;

use super::effect::{Effect, Note};
use super::phase::Phase;
use super::roster::{Doing, Entry};
use super::{Machine, Sender};
use crate::units::Time;
use crate::wire::{MemberInfo, Message, Presence, Stance};

/// Signs of life a second for the whole group.
const GROUP_RATE: u32 = 10;
/// How many successors are heard every second.
const CLOSE_SUCCESSORS: usize = 3;
/// Nobody is heard more often than this without a reason.
const SHORTEST: Duration = Duration::from_secs(1);
/// A change is told at once, but not more often than this.
const SPACING: Duration = Duration::from_millis(100);
/// A member is forgotten after missing this many signs of life.
const MISSED: u32 = 3;

/// When the next sign of life is due.
#[derive(Debug, Default)]
pub(super) struct Pace {
    next: Option<Time>,
    last: Option<Time>,
    /// The next one is not of the regular ones.
    hastened: bool,
}

impl Pace {
    pub(super) fn due(&self) -> Option<Time> {
        self.next
    }

    /// Something changed that the others should know.
    pub(super) fn soon(&mut self, now: Time) {
        self.by(self.last.map_or(now, |last| now.max(last + SPACING)));
    }

    fn by(&mut self, at: Time) {
        if self.next.is_none_or(|next| at < next) {
            (self.next, self.hastened) = (Some(at), true);
        }
    }
}

impl Machine {
    pub(super) fn tick_presence(&mut self, now: Time, out: &mut Vec<Effect>) {
        if self.pace.next.is_none_or(|at| now < at) {
            return;
        }
        let Some(stance) = self.stance() else {
            self.pace.next = None;
            return;
        };
        let interval = self.presence_interval();
        // What made this member speak up early made others, too; from here they spread over the whole interval.
        let wait = match std::mem::take(&mut self.pace.hastened) {
            true => SHORTEST / 2 + self.random.below(interval),
            false => interval - interval / 10 + self.random.below(interval / 5),
        };
        (self.pace.last, self.pace.next) = (Some(now), Some(now + wait));
        let presence = Presence { member: self.info(now), stance, next_within: interval * MISSED };
        out.push(self.to_group(Message::Presence(presence)));
    }

    /// Enters whoever was heard; a newcomer soon hears this member in turn.
    pub(super) fn meet(
        &mut self,
        now: Time,
        sender: &Sender,
        info: &MemberInfo,
        doing: Doing,
        silent_for: Duration,
        out: &mut Vec<Effect>,
    ) {
        // A holder's beacons follow each other so closely that a few lost ones would look like a departure.
        let silent_for = silent_for.max(SHORTEST * MISSED);
        let entry = Entry { node: sender.node, address: sender.address, info, doing, silent_for };
        if self.roster.enter(now, entry) {
            out.push(Effect::Note(Note::Joined { node: sender.node, name: info.name.clone() }));
            let at = now + self.random.below(self.presence_interval() / 2);
            self.pace.by(self.pace.last.map_or(at, |last| at.max(last + SHORTEST)));
        }
    }

    fn stance(&self) -> Option<Stance> {
        match &self.phase {
            Phase::Down | Phase::Stopped(_) | Phase::Holding(_) => None,
            Phase::HandingOver(handover) if handover.still_holding() => None,
            Phase::Observer(_) => Some(Stance::Observer),
            Phase::Probing(_) | Phase::Asking(_) | Phase::HandingOver(_) => Some(Stance::Probing),
            Phase::Standby(_) | Phase::Suspecting(_) | Phase::Prepared(_) => Some(Stance::Standby),
            Phase::Conflict(_) => Some(Stance::Conflict),
        }
    }

    fn presence_interval(&self) -> Duration {
        let known = u32::try_from(self.roster.len() + 1).unwrap_or(u32::MAX);
        let close = self.following().is_some_and(|following| {
            following.successors.iter().take(CLOSE_SUCCESSORS).any(|node| *node == self.settings.node)
        });
        if close { SHORTEST } else { (Duration::from_secs(1) * known / GROUP_RATE).max(SHORTEST) }
    }
}
