//! Text to the shapes of `file`: syntax, unknown keys, wrong types.
//!
//! Whatever is found is reported and taken out, and reading goes on with the rest, so that one look at the picture
//! shows everything there is to repair.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::file::{File, Section, sections};
use super::problem::{Findings, Problem};

type Key<'i> = Spanned<DeString<'i>>;

/// The file's shape without the parts that could not be read; none if nothing could.
pub(super) fn read(text: &str, findings: &mut Findings) -> Option<File> {
    let (mut table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        findings.add(Problem::new(error.span().unwrap_or(0..0), error.message().to_owned(), "here"));
    }
    if !errors.is_empty() {
        return None;
    }
    take_out_unknown_keys(table.get_mut(), "", findings);
    loop {
        let error = match File::deserialize(toml::Deserializer::from(table.clone())) {
            Ok(file) => return Some(file),
            Err(error) => error,
        };
        let span = error.span().unwrap_or(0..0);
        findings.add(Problem::new(span.clone(), in_our_words(error.message()), "not what belongs here"));
        // Each round takes at least one entry out, so the loop ends.
        if !take_out(table.get_mut(), &span, "", findings) {
            return None;
        }
    }
}

/// A deserializer's message without its value, which may be a secret, and in the words of the file's format.
fn in_our_words(message: &str) -> String {
    let parts = message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "));
    let Some((found, expected)) = parts else { return message.to_owned() };
    let expected = match expected {
        "a string" => "a text",
        "i64" => "a whole number",
        "sequence" | "a sequence" => "a list",
        "a boolean" => "true or false",
        other => other,
    };
    let found = match found.split([' ', ',']).next() {
        Some("string") => "a text",
        Some("integer") => "a whole number",
        Some("floating") => "a fraction",
        Some("boolean") => "true or false",
        Some("sequence") => "a list",
        Some("map") => "a table",
        _ => "something else",
    };
    format!("expected {expected}, found {found}")
}

fn take_out_unknown_keys(table: &mut DeTable<'_>, path: &str, findings: &mut Findings) {
    let sections = sections();
    let Some(section) = sections.iter().find(|section| section.path == path) else { return };
    let is_known = |key: &Key<'_>| section.keys.contains(&key.get_ref().as_ref());
    let unknown: Vec<Key<'_>> = table.keys().filter(|key| !is_known(key)).cloned().collect();
    for key in unknown {
        findings.spoil(path);
        findings.add(unknown_key(&key, section, &sections));
        table.remove(&key);
    }
    for (key, value) in table.iter_mut() {
        let inner = join(path, key.get_ref());
        match value.get_mut() {
            DeValue::Table(table) => take_out_unknown_keys(table, &inner, findings),
            DeValue::Array(array) => {
                for element in array.iter_mut() {
                    if let DeValue::Table(table) = element.get_mut() {
                        take_out_unknown_keys(table, &inner, findings);
                    }
                }
            }
            _ => {}
        }
    }
}

fn unknown_key(key: &Key<'_>, section: &Section, sections: &[Section]) -> Problem {
    let name = key.get_ref();
    let help = if let Some(near) = nearest(name, section.keys) {
        format!("did you mean `{near}`?")
    } else if let Some(home) = sections.iter().find(|other| other.keys.contains(&name.as_ref())) {
        format!("`{name}` belongs to {}", home.title)
    } else {
        format!("{} knows {}", section.title, section.keys.join(", "))
    };
    Problem::new(key.span(), format!("unknown key `{name}`"), "not known here").help(help)
}

/// The one of `known` that `word` is most likely a misspelling of, if any is near enough.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let near_enough = word.chars().count().div_ceil(3);
    let (distance, best) = known.iter().map(|candidate| (edits(word, candidate), *candidate)).min()?;
    (distance <= near_enough).then_some(best)
}

/// The Levenshtein distance: how many characters to insert, remove or change.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (j, to) in b.chars().enumerate() {
            let Some(above) = row.get(j + 1).copied() else { break };
            let cost = (diagonal + usize::from(from != to)).min(above + 1).min(left + 1);
            diagonal = above;
            if let Some(cell) = row.get_mut(j) {
                *cell = left;
            }
            left = cost;
        }
        if let Some(cell) = row.last_mut() {
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Removes the innermost entry whose value covers `span`; whether there was one.
fn take_out(table: &mut DeTable<'_>, span: &Range<usize>, path: &str, findings: &mut Findings) -> bool {
    for (key, value) in table.iter_mut() {
        let inner = join(path, key.get_ref());
        let found = match value.get_mut() {
            DeValue::Table(table) => take_out(table, span, &inner, findings),
            DeValue::Array(array) => array.iter_mut().any(|element| match element.get_mut() {
                DeValue::Table(table) => take_out(table, span, &inner, findings),
                _ => false,
            }),
            _ => false,
        };
        if found {
            return true;
        }
    }
    let guilty = table
        .iter()
        .find(|(_, value)| value.span().start <= span.start && span.end <= value.span().end)
        .map(|(key, _)| key.clone());
    guilty.is_some_and(|key| {
        findings.spoil(path);
        table.remove(&key).is_some()
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
