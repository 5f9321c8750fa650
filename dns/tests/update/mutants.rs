//! Deliberate mistakes around the crate, after defects that servers have had: the comparison must catch each of them, or it
//! proves nothing.

use dns::name::Name;
use dns::record::Rtype;
use dns::update::{Operation, Outcome, Prerequisite, Update};
use dns::zone::Zone;

use super::random::Sequence;

/// A mistake.
#[derive(Clone, Copy, Debug)]
pub enum Mutant {
    /// Takes a set that has the wanted records for one that is equal.
    Contains,
    /// Does no prerequisite.
    Unconditional,
    /// Deletes NS records with everything else at the apex.
    KillsApex,
    /// Does not advance the serial.
    OldSerial,
    /// Leaves the TTL of a record that is there already.
    KeepsTtl,
    /// Lets any known key do anything.
    Trusting,
    /// Grants leases and forgets them.
    Forgetful,
}

/// Sequences within which a mutant must be caught.
const SEEDS: u64 = 2_000;

impl Mutant {
    /// What it does to an update before it is judged.
    pub fn before(self, zone: &Zone, update: &mut Update, signer: &mut Option<Name>) {
        match self {
            Self::Contains => {
                for prerequisite in &mut update.prerequisites {
                    let Prerequisite::SetEquals(name, rtype, wanted) = prerequisite else { continue };
                    if let Some(set) = zone.set(name.as_ref(), *rtype)
                        && wanted.iter().all(|rdata| set.contains(rdata))
                    {
                        *wanted = set.rdata().map(Box::from).collect();
                    }
                }
            }
            Self::Unconditional => update.prerequisites.clear(),
            Self::KeepsTtl => {
                let has = |operation: &Operation| match operation {
                    Operation::Add(record) => {
                        zone.set(record.name.as_ref(), record.rtype).is_some_and(|set| set.contains(&record.rdata))
                    }
                    _ => false,
                };
                update.operations.retain(|operation| !has(operation));
            }
            Self::Trusting if signer.as_ref().is_some_and(|signer| signer.to_string() != "nobody.") => {
                *signer = Some("all.".parse().unwrap());
            }
            _ => {}
        }
    }

    /// What it does to the outcome.
    pub fn after(self, update: &Update, outcome: &mut Outcome) {
        let apex = outcome.edit.base().apex().clone();
        match self {
            Self::KillsApex
                if update.operations.contains(&Operation::DeleteName(apex.clone())) && outcome.is_changed =>
            {
                outcome.edit.remove_set(apex.as_ref(), Rtype::NS);
            }
            Self::OldSerial if outcome.is_changed => {
                let mut soa = outcome.edit.soa().unwrap();
                soa.serial = outcome.edit.base().serial();
                outcome.edit.set_soa(&soa, 60).unwrap();
            }
            Self::Forgetful => outcome.leases.clear(),
            _ => {}
        }
    }
}

#[test]
fn every_mutant_is_caught() {
    let all = [
        Mutant::Contains,
        Mutant::Unconditional,
        Mutant::KillsApex,
        Mutant::OldSerial,
        Mutant::KeepsTtl,
        Mutant::Trusting,
        Mutant::Forgetful,
    ];
    for mutant in all {
        // A mutant may also break what the driver itself makes sure of.
        let bites = |seed| {
            let sequence = Sequence::random(seed);
            std::panic::catch_unwind(|| super::run(&sequence, Some(mutant))).map_or(true, |result| result.is_err())
        };
        assert!((0..SEEDS).any(bites), "{mutant:?} was not caught");
    }
}
