//! Aliases: names that answer with the addresses of another name, at the apex of a zone as well.
//!
//! [`Targets`] decides when the addresses of a target are asked for and what is lent to its aliases; [`run`] asks a
//! resolver and hands the loans on. The store puts them into the zone as records, so that transfers, signatures and the
//! fast path know nothing of aliases. **Invariants:** what was good once stays lent while the target cannot be asked;
//! a target is asked by one question of each family at a time.

mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub use resolve::{Loans, ResolverError, ask, resolver, run};

use crate::name::Name;
use crate::record::Rtype;

/// The least and the greatest time between two questions that were answered, in seconds, whatever the TTL.
const WAIT: (u64, u64) = (2, 3600);
/// The first and the greatest time between two questions that failed, in seconds; it doubles in between.
const RETRY: (u64, u64) = (2, 120);
/// How long the addresses of a target that is gone stay lent, in seconds: time for somebody to notice.
const KEEP: u64 = 86_400;
/// Addresses of one family that are lent at most; a target with more lends the first.
const MAX_ADDRESSES: usize = 32;

/// The targets of all aliases, each with both families of addresses.
#[derive(Debug, Default)]
pub struct Targets(BTreeMap<(Name, Family), Target>);

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

/// What a resolver says about the addresses of one family of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These, for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// The name exists and has none, for so many seconds.
    Empty(u32),
    /// There is no such name.
    Gone,
    /// Nobody answered, or nothing that makes sense.
    Failed,
}

/// What has to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask for the addresses, and answer with [`Targets::answered`].
    Ask(Name, Family),
    /// The aliases of the target have these addresses from now on.
    Lend(Loan),
    /// The target is gone or cannot be asked: what is lent stays for now. Said once.
    Warn(Name, Family),
}

/// Addresses of a target, for its aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loan {
    /// Whose they are.
    pub target: Name,
    /// Of which family.
    pub family: Family,
    /// None when the target has none.
    pub addresses: Vec<IpAddr>,
    /// Seconds since 1970 up to which they are fresh.
    pub until: u64,
}

#[derive(Clone, Debug, Default)]
struct Target {
    /// What is lent, in order, once anything was answered.
    lent: Option<(Vec<IpAddr>, u64)>,
    is_asked: bool,
    failures: u32,
    gone_since: Option<u64>,
    /// When to ask again, in seconds since 1970.
    next: u64,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The type of its records.
    pub fn rtype(self) -> Rtype {
        match self {
            Self::V4 => Rtype::A,
            Self::V6 => Rtype::AAAA,
        }
    }
}

impl Targets {
    /// Has exactly these targets from now on. What is known of those that stay is kept and lent again: there may be new
    /// aliases of them, and they are not asked for before their time.
    pub fn set(&mut self, targets: impl IntoIterator<Item = Name>, out: &mut Vec<Effect>) {
        let mut old = std::mem::take(&mut self.0);
        let keys = targets.into_iter().flat_map(|target| Family::ALL.map(|family| (target.clone(), family)));
        self.0 = keys.map(|key| (key.clone(), old.remove(&key).unwrap_or_default())).collect();
        let known = self.0.iter().filter_map(|((target, family), state)| {
            let (addresses, until) = state.lent.clone()?;
            Some(Effect::Lend(Loan { target: target.clone(), family: *family, addresses, until }))
        });
        out.extend(known);
    }

    /// Appends the questions that are due.
    pub fn tick(&mut self, now_secs: u64, out: &mut Vec<Effect>) {
        for ((name, family), target) in &mut self.0 {
            if !target.is_asked && now_secs >= target.next {
                target.is_asked = true;
                out.push(Effect::Ask(name.clone(), *family));
            }
        }
    }

    /// Takes an answer, and appends what follows from it.
    pub fn answered(&mut self, now_secs: u64, name: &Name, family: Family, answer: Answer, out: &mut Vec<Effect>) {
        let key = (name.clone(), family);
        let Some(target) = self.0.get_mut(&key) else { return };
        target.is_asked = false;
        match answer {
            Answer::Addresses(mut addresses, ttl) => {
                addresses.sort_unstable();
                addresses.dedup();
                addresses.truncate(MAX_ADDRESSES);
                out.push(target.lend(now_secs, key, addresses, ttl));
            }
            Answer::Empty(ttl) => out.push(target.lend(now_secs, key, Vec::new(), ttl)),
            Answer::Gone => {
                let since = *target.gone_since.get_or_insert(now_secs);
                if now_secs >= since + KEEP && target.lent.as_ref().is_some_and(|(lent, _)| !lent.is_empty()) {
                    let since = target.gone_since;
                    out.push(target.lend(now_secs, key, Vec::new(), 0));
                    target.gone_since = since;
                }
                target.fail(now_secs, name, family, out);
            }
            Answer::Failed => target.fail(now_secs, name, family, out),
        }
    }

    /// When to call [`Targets::tick`] next, in seconds since 1970.
    pub fn deadline(&self) -> Option<u64> {
        self.0.values().filter(|target| !target.is_asked).map(|target| target.next).min()
    }
}

impl Target {
    fn lend(&mut self, now: u64, key: (Name, Family), addresses: Vec<IpAddr>, ttl: u32) -> Effect {
        let until = now + u64::from(ttl);
        *self = Self { next: now + u64::from(ttl).clamp(WAIT.0, WAIT.1), ..Self::default() };
        self.lent = Some((addresses.clone(), until));
        let (target, family) = key;
        Effect::Lend(Loan { target, family, addresses, until })
    }

    fn fail(&mut self, now: u64, name: &Name, family: Family, out: &mut Vec<Effect>) {
        self.next = now + (RETRY.0 << self.failures.min(10)).min(RETRY.1);
        self.failures += 1;
        if self.failures == 1 {
            out.push(Effect::Warn(name.clone(), family));
        }
    }
}
