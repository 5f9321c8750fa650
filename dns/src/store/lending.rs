//! Aliases in a zone: the addresses of their targets as records of its own.
//!
//! A note lists the names that have such records, so that they go when an alias is taken out of the settings.

use std::collections::BTreeMap;

use super::Plan;
use crate::alias::Loan;
use crate::answer::Fading;
use crate::journal::{Item, State};
use crate::name::Name;
use crate::record::{Record, Rtype};
use crate::settings::Alias;
use crate::wire::Rcode;
use crate::zone::Edit;

/// The note that the names are kept under, one a line.
const NAMES: &str = "alias.names";

/// How long what the aliases of a zone were lent is fresh: by alias and type, seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Freshness(BTreeMap<(Name, Rtype), u64>);

impl Freshness {
    /// Takes note of a loan to these aliases.
    pub(super) fn note(&mut self, aliases: &[Alias], loan: &Loan) {
        for alias in aliases.iter().filter(|alias| alias.target == loan.target) {
            let key = (alias.name.clone(), loan.family.rtype());
            match loan.addresses.is_empty() {
                true => self.0.remove(&key),
                false => self.0.insert(key, loan.until),
            };
        }
    }

    /// What is answered with a TTL that fades: every alias, those without a fresh loan as stale.
    pub(super) fn fading(&self, aliases: &[Alias]) -> Vec<Fading> {
        let until = |name: &Name| {
            let known = [Rtype::A, Rtype::AAAA].into_iter().filter_map(|rtype| self.0.get(&(name.clone(), rtype)));
            known.min().copied().unwrap_or_default()
        };
        aliases.iter().map(|alias| Fading { name: alias.name.clone(), until: until(&alias.name) }).collect()
    }
}

/// Gives the aliases of the loan's target its addresses.
pub(super) fn lend(state: &State, aliases: &[Alias], loan: &Loan) -> Result<Plan, Rcode> {
    let mut edit = state.zone.edit();
    for alias in aliases.iter().filter(|alias| alias.target == loan.target) {
        edit.remove_set(alias.name.as_ref(), loan.family.rtype());
        for address in &loan.addresses {
            edit.add(Record::of_address(alias.name.clone(), alias.ttl, *address)).map_err(|error| {
                tracing::warn!(alias = %alias.name, %error, "an alias cannot be in its zone");
                Rcode::SERVFAIL
            })?;
        }
    }
    finish(state, edit, aliases)
}

/// Takes the addresses from names that are no aliases any more.
pub(super) fn take_back(state: &State, aliases: &[Alias]) -> Result<Plan, Rcode> {
    let mut edit = state.zone.edit();
    for name in lent(state).filter(|name| aliases.iter().all(|alias| alias.name != *name)) {
        edit.remove_types(name.as_ref(), |rtype| matches!(rtype, Rtype::A | Rtype::AAAA));
    }
    finish(state, edit, aliases)
}

fn finish(state: &State, mut edit: Edit, aliases: &[Alias]) -> Result<Plan, Rcode> {
    let names =
        (!aliases.is_empty()).then(|| aliases.iter().map(|alias| format!("{}\n", alias.name)).collect::<String>());
    let value = names.map(|names| names.into_bytes().into_boxed_slice());
    let is_noted = state.notes.get(NAMES) == value.as_ref();
    let items = if is_noted { Vec::new() } else { vec![Item::Note { key: NAMES.to_owned(), value }] };
    let is_changed = edit.is_changed();
    if is_changed {
        edit.advance().map_err(|_| Rcode::SERVFAIL)?;
    } else if items.is_empty() {
        return Ok(Plan::Nothing);
    }
    Ok(Plan::Change { edit: is_changed.then_some(edit), items })
}

fn lent(state: &State) -> impl Iterator<Item = Name> + '_ {
    let text = state.notes.get(NAMES).map(|note| String::from_utf8_lossy(note).into_owned()).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>().into_iter()
}
