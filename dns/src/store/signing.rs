//! Zones that the server signs: their keys are a note in the journal, so that keys and signatures change together.

use std::collections::BTreeSet;

use crate::dnssec::{self, Effect, Facts, Input, KeySet, Signer, ZoneKey};
use crate::journal::{Item, State};
use crate::settings::Dnssec;
use crate::wire::Rcode;
use crate::zone::{Edit, Zone};

use super::Plan;

/// The note that the keys are kept under.
const KEYS: &str = "dnssec.keys";
/// Sets of records whose signatures are renewed by one plan: others wait no longer than these take, some milliseconds.
const RENEWED_AT_ONCE: usize = 500;

/// The signer of a zone, kept from one change to the next: making one from its keys takes longer than signing.
#[derive(Debug, Default)]
pub(super) struct Signing(Option<(Dnssec, Box<[u8]>, Signer)>);

impl Signing {
    /// Signs what an edit changed, with the keys that `items` bring or else those that the zone has. A zone without keys is
    /// left as it is: the first ones come with [`maintain`].
    pub(super) fn sign(
        &mut self,
        settings: Option<&Dnssec>,
        state: &State,
        (edit, items): (&mut Edit, &[Item]),
        now_secs: u64,
    ) -> Result<(), Rcode> {
        let brought = items.iter().find_map(|item| match item {
            Item::Note { key, value } if key == KEYS => Some(value.as_deref()),
            _ => None,
        });
        let note = brought.unwrap_or_else(|| state.notes.get(KEYS).map(AsRef::as_ref));
        let (Some(settings), Some(note)) = (settings, note) else { return Ok(()) };
        let is_known = self.0.as_ref().is_some_and(|(known, text, _)| known == settings && **text == *note);
        if !is_known {
            self.0 =
                Some((settings.clone(), note.into(), Signer::new(settings, read_keys(settings, note, edit.base())?)));
        }
        let Some((.., signer)) = &self.0 else { return Ok(()) };
        signer.sign(edit, now_secs).map_err(|error| failed(edit.base(), &error))
    }
}

/// What has to be done about keys and signatures, with `input` taken first: new keys, the next stage of old ones, signatures
/// renewed, everything taken away in a zone that is to be unsigned.
pub(super) fn maintain(
    state: &State,
    settings: Option<&Dnssec>,
    input: Option<Input>,
    now_secs: u64,
) -> Result<Plan, Rcode> {
    let zone = &state.zone;
    let note = state.notes.get(KEYS).map(AsRef::as_ref);
    let Some(settings) = settings else { return unsign(zone, note) };
    let mut keys = match note {
        Some(note) => read_keys(settings, note, zone)?,
        None => KeySet::new(settings, Vec::new()),
    };
    let has_changed = advance(&mut keys, input.unwrap_or_else(|| Input::Tick(facts(zone))), now_secs)
        .map_err(|error| failed(zone, &error))?;
    let items = if has_changed { vec![note_of(&keys, zone)?] } else { Vec::new() };
    let signer = Signer::new(settings, keys);
    let mut edit = zone.edit();
    if !has_changed {
        // What is not signed as the settings want it is signed as a whole by the same call.
        signer.sign(&mut edit, now_secs).map_err(|error| failed(zone, &error))?;
        if !edit.is_changed() {
            match signer.renew(zone, now_secs, RENEWED_AT_ONCE).map_err(|error| failed(zone, &error))? {
                Some(renewed) => edit = renewed,
                None => return Ok(Plan::Nothing),
            }
        }
    }
    edit.advance().map_err(|error| failed(zone, &error))?;
    Ok(Plan::Change { edit: Some(edit), items })
}

/// The keys that a zone is signed with.
pub(super) fn keys(state: &State, settings: &Dnssec) -> Result<Vec<ZoneKey>, Rcode> {
    let note = state.notes.get(KEYS);
    note.map_or(Ok(Vec::new()), |note| read_keys(settings, note, &state.zone).map(KeySet::into_keys))
}

fn unsign(zone: &Zone, note: Option<&[u8]>) -> Result<Plan, Rcode> {
    if note.is_none() {
        return Ok(Plan::Nothing);
    }
    let mut edit = zone.edit();
    dnssec::unsign(&mut edit);
    edit.advance().map_err(|error| failed(zone, &error))?;
    Ok(Plan::Change { edit: Some(edit), items: vec![Item::Note { key: KEYS.to_owned(), value: None }] })
}

/// Takes a step, and makes the keys that are asked for; whether the keys are others now.
fn advance(keys: &mut KeySet, input: Input, now_secs: u64) -> Result<bool, dnssec::KeyError> {
    let mut effects = Vec::new();
    let mut has_changed = false;
    keys.step(now_secs, input, &mut effects)?;
    while let Some(effect) = effects.pop() {
        match effect {
            Effect::Make(role) => {
                let secret = ZoneKey::generate(keys.algorithm())?;
                keys.step(now_secs, Input::Made(role, secret), &mut effects)?;
            }
            Effect::Changed => has_changed = true,
        }
    }
    Ok(has_changed)
}

fn facts(zone: &Zone) -> Facts {
    let (mut max_ttl, mut signed_by) = (0, BTreeSet::new());
    for entry in zone.all_nodes().flat_map(|node| node.entries()) {
        max_ttl = entry.set.ttl().max(max_ttl);
        signed_by.extend(entry.signatures.iter().flat_map(|set| set.rdata()).filter_map(dnssec::signed_by));
    }
    Facts { max_ttl, signed_by }
}

fn read_keys(settings: &Dnssec, note: &[u8], zone: &Zone) -> Result<KeySet, Rcode> {
    KeySet::from_text(settings, &String::from_utf8_lossy(note)).map_err(|error| failed(zone, &error))
}

fn note_of(keys: &KeySet, zone: &Zone) -> Result<Item, Rcode> {
    let text = keys.to_text().map_err(|error| failed(zone, &error))?;
    Ok(Item::Note { key: KEYS.to_owned(), value: Some(text.as_bytes().into()) })
}

fn failed(zone: &Zone, error: &dyn std::error::Error) -> Rcode {
    tracing::error!(zone = %zone.apex(), %error, "the zone cannot be signed");
    Rcode::SERVFAIL
}
