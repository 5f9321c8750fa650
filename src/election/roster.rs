//! The other members: who is there, how fit they are, and who comes first.
//!
//! **Invariant:** bounded in size ([`MAX_MEMBERS`]) and in age (each member says within which time it will be heard
//! again).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::claim::Fitness;
use crate::units::{Health, NodeId, Priority, Time};
use crate::wire::{MAX_SUCCESSORS, MemberInfo, Stance};

/// More members than any LAN has; at the limit the one not heard for longest is forgotten.
pub const MAX_MEMBERS: usize = 1_280;

/// Nobody may promise to be silent for longer than this.
const MAX_SILENCE: Duration = Duration::from_secs(15 * 60);

/// Another member of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Its name, for people; not unique.
    pub name: String,
    /// How much it wants to hold.
    pub priority: Priority,
    /// How fit it is.
    pub health: Health,
    /// What it does.
    pub doing: Doing,
    /// Where its datagrams come from.
    pub address: SocketAddr,
    /// When it was last heard.
    pub heard: Time,
    /// It is forgotten if it is not heard before.
    pub expires: Time,
}

/// What another member does, as it said last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It holds.
    Holding,
    /// It does not.
    Waiting(Stance),
}

impl From<Stance> for Doing {
    fn from(stance: Stance) -> Doing {
        Doing::Waiting(stance)
    }
}

impl Member {
    pub(super) fn fitness(&self) -> Fitness {
        Fitness { health: self.health, priority: self.priority, node: self.node }
    }

    fn may_take_over(&self) -> bool {
        self.health > Health::NONE && self.doing == Doing::Waiting(Stance::Standby)
    }

    /// Whether it might claim the address when nobody holds it.
    pub(super) fn may_claim(&self) -> bool {
        matches!(self.doing, Doing::Waiting(Stance::Standby | Stance::Probing))
    }
}

/// Every other member known.
#[derive(Debug, Default)]
pub struct Roster {
    members: BTreeMap<NodeId, Member>,
}

impl Roster {
    /// The members, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody else is known.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// One member.
    pub fn get(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    /// Who may take over, fittest first, at most [`MAX_SUCCESSORS`].
    pub fn successors(&self) -> Vec<NodeId> {
        let mut fit: Vec<&Member> = self.iter().filter(|member| member.may_take_over()).collect();
        fit.sort_unstable_by_key(|member| std::cmp::Reverse(member.fitness()));
        fit.iter().take(MAX_SUCCESSORS).map(|member| member.node).collect()
    }

    /// The fittest who may take over.
    pub(super) fn first_successor(&self) -> Option<&Member> {
        self.iter().filter(|member| member.may_take_over()).max_by_key(|member| member.fitness())
    }

    /// Enters a sign of life; true if the member was not known.
    pub(super) fn enter(&mut self, now: Time, entry: Entry<'_>) -> bool {
        let new = !self.members.contains_key(&entry.node);
        if new && self.members.len() >= MAX_MEMBERS {
            let oldest = self.iter().min_by_key(|member| member.heard).map(|member| member.node);
            oldest.and_then(|node| self.members.remove(&node));
        }
        let member = Member {
            node: entry.node,
            name: entry.info.name.clone(),
            priority: entry.info.priority,
            health: entry.info.health,
            doing: entry.doing,
            address: entry.address,
            heard: now,
            expires: now + entry.silent_for.min(MAX_SILENCE),
        };
        self.members.insert(entry.node, member);
        new
    }

    /// A member that answers is there, even if it says nothing of itself.
    pub(super) fn heard(&mut self, now: Time, node: NodeId, address: SocketAddr) {
        if let Some(member) = self.members.get_mut(&node) {
            let promise = member.expires.since(member.heard);
            member.heard = now;
            member.expires = now + promise;
            member.address = address;
        }
    }

    /// A member that no longer holds.
    pub(super) fn released(&mut self, node: NodeId) {
        if let Some(member) = self.members.get_mut(&node)
            && member.doing == Doing::Holding
        {
            member.doing = Doing::Waiting(Stance::Probing);
        }
    }

    pub(super) fn remove(&mut self, node: NodeId) -> Option<Member> {
        self.members.remove(&node)
    }

    /// Removes and returns the members that broke their promise to be heard.
    pub(super) fn forget_silent(&mut self, now: Time) -> Vec<Member> {
        let silent: Vec<NodeId> =
            self.iter().filter(|member| member.expires <= now).map(|member| member.node).collect();
        silent.into_iter().filter_map(|node| self.members.remove(&node)).collect()
    }
}

/// A sign of life, to be entered.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub node: NodeId,
    pub address: SocketAddr,
    pub info: &'a MemberInfo,
    pub doing: Doing,
    pub silent_for: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(roster: &mut Roster, number: u32, now: Time) {
        let mut id = [0; 16];
        id[12..].copy_from_slice(&number.to_be_bytes());
        let info = MemberInfo { name: format!("n{number}"), priority: Priority(100), health: Health::FULL };
        let address = SocketAddr::from(([10, 0, 0, 1], 7172));
        let (doing, silent_for) = (Doing::Waiting(Stance::Standby), Duration::from_secs(3));
        roster.enter(now, Entry { node: NodeId(id), address, info: &info, doing, silent_for });
    }

    #[test]
    fn the_roster_is_bounded_and_forgets_whom_it_has_not_heard_for_longest() {
        let mut roster = Roster::default();
        for number in 0..u32::try_from(MAX_MEMBERS).unwrap() + 10 {
            enter(&mut roster, number, Time::from_millis(u64::from(number)));
        }
        assert_eq!(roster.len(), MAX_MEMBERS);
        assert_eq!(roster.iter().next().map(|member| member.name.as_str()), Some("n10"));
    }

    #[test]
    fn a_member_that_breaks_its_promise_is_forgotten() {
        let mut roster = Roster::default();
        enter(&mut roster, 1, Time::ZERO);
        enter(&mut roster, 2, Time::from_millis(1_000));
        assert!(roster.forget_silent(Time::from_millis(2_999)).is_empty());
        let forgotten = roster.forget_silent(Time::from_millis(3_000));
        assert_eq!(forgotten.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["n1"]);
    }
}
