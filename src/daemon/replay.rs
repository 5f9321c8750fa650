//! `gatehouse replay`: what a record says, for people and for scripts.

use std::fmt::Write as _;
use std::path::Path;

use super::face::{because, word};
use crate::cli::Replay;
use crate::election::Note;
use crate::lan::{self, Replayed};
use crate::units::Time;

/// Steps where this version decides otherwise are shown up to this many.
const MAX_SHOWN: usize = 20;

/// Replays the record at `path` through this version's election.
///
/// # Errors
/// When it cannot be read or is no record.
pub fn replay(path: &Path) -> anyhow::Result<Replay> {
    let replayed = lan::replay(path)?;
    Ok(Replay { text: text(&replayed), json: serde_json::to_value(&replayed)?, same: replayed.differences.is_empty() })
}

fn text(replayed: &Replayed) -> String {
    let end = replayed.end.map_or_else(|| "nothing".to_owned(), word);
    let mut text = format!("{} steps, the member ends as {end}\n", replayed.steps);
    let start = replayed.notes.first().map_or(Time::ZERO, |(at, _)| *at);
    for (at, note) in &replayed.notes {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {:>10.4} s  {}", at.since(start).as_secs_f64(), sentence(note));
    }
    if !replayed.differences.is_empty() {
        let _ = writeln!(text, "this version decides otherwise at {} steps:", replayed.differences.len());
    }
    for (line, recorded, ours) in replayed.differences.iter().take(MAX_SHOWN) {
        let _ = writeln!(text, "  line {line}\n    recorded {recorded:?}\n    now      {ours:?}");
    }
    text
}

/// A note in the words of the events; members are ids, because a record has no list of names.
fn sentence(note: &Note) -> String {
    match note {
        Note::Role { from, to, reason } => format!("{} -> {}: {}", word(*from), word(*to), because(*reason)),
        Note::Holder { node: Some(node), term } => format!("{node} holds in term {term}"),
        Note::Holder { node: None, term } => format!("nobody is known to hold in term {term}"),
        Note::Joined { node, name } => format!("{name} ({node}) is there"),
        Note::Left { node, name, announced: true } => format!("{name} ({node}) said goodbye"),
        Note::Left { node, name, announced: false } => format!("{name} ({node}) is no longer heard"),
        Note::Stranger { mac, .. } => format!("a machine that is no member uses the address: {mac}"),
        Note::Takeover { silence: Some(silence), reason } => {
            format!("this member holds now, {silence:?} after the last holder was heard: {}", because(*reason))
        }
        Note::Takeover { silence: None, reason } => format!("this member holds now: {}", because(*reason)),
        Note::LateBeacon { shut_micros } => format!("the gate was shut for at least {shut_micros} µs"),
        Note::GiveUpRefused => "no other healthy member is there to take the address".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::election::{Reason, State};

    #[test]
    fn a_record_is_told_from_its_beginning() {
        let role = Note::Role { from: State::Probing, to: State::Holding, reason: Reason::AddressFree };
        let replayed = Replayed {
            steps: 3,
            notes: vec![(Time::from_millis(5_000), role), (Time::from_millis(5_250), Note::GiveUpRefused)],
            differences: vec![(7, Vec::new(), Vec::new())],
            end: Some(State::Holding),
        };
        let expected = "\
3 steps, the member ends as holding
      0.0000 s  probing -> holding: nobody answers for the address
      0.2500 s  no other healthy member is there to take the address
this version decides otherwise at 1 steps:
  line 7
    recorded []
    now      []
";
        assert_eq!(text(&replayed), expected);
    }
}
