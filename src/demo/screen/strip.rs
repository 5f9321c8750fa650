//! The last seconds as a strip of cells, newest at the right. Pure.
//!
//! Cells begin at whole multiples of [`CELL`], so that they move to the left without changing.

use std::time::Duration;

use crate::demo::measure::{Probe, Record, Round, millis};
use crate::demo::member::Member;
use crate::units::Time;

/// The time that one cell stands for.
pub const CELL: Duration = Duration::from_millis(50);
/// No strip is longer.
pub const MAX_CELLS: usize = 200;

/// What the client heard in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Who answered last.
    pub by: Option<Member>,
    /// Probes asked.
    pub asked: u16,
    /// Probes answered.
    pub answered: u16,
}

/// What a member did in one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Did {
    /// Its kernel answered ARP for the address.
    pub answers: bool,
    /// It had the address.
    pub has_address: bool,
}

/// Where a strip of that many cells begins.
pub fn begin(now: Time, cells: usize) -> Time {
    let span = CELL * u32::try_from(cells).unwrap_or(u32::MAX);
    let end = (now.as_nanos() / CELL.as_nanos() as u64) * CELL.as_nanos() as u64;
    Time::from_nanos(end) - span
}

/// What the client heard, cell by cell. The newest probes, whose answers may be on their way, are left out.
pub fn client(record: &Record, (now, cells): (Time, usize)) -> Vec<Heard> {
    let mut strip = vec![Heard::default(); cells];
    let begin = begin(now, cells);
    let old_enough = |probe: &&Probe| probe.answer.is_some() || now.since(probe.sent) > ON_ITS_WAY;
    for probe in record.probes.iter().filter(old_enough) {
        let Some(cell) = cell_of(probe.sent, begin).and_then(|index| strip.get_mut(index)) else { continue };
        cell.asked = cell.asked.saturating_add(1);
        if let Some(answer) = probe.answer {
            cell.answered = cell.answered.saturating_add(1);
            cell.by = Some(answer.by);
        }
    }
    strip
}

/// What a member did, cell by cell.
pub fn member(record: &Record, member: Member, (now, cells): (Time, usize)) -> Vec<Did> {
    let mut strip = vec![Did::default(); cells];
    let begin = begin(now, cells);
    let mut note = |rounds: &[Round], what: fn(&mut Did)| {
        for round in rounds.iter().filter(|round| round.yes.contains(member)) {
            if let Some(cell) = cell_of(round.at, begin).and_then(|index| strip.get_mut(index)) {
                what(cell);
            }
        }
    };
    note(&record.arp, |cell| cell.answers = true);
    note(&record.address, |cell| cell.has_address = true);
    strip
}

/// The longest gap of the last second, milliseconds.
pub fn worst_gap(record: &Record, now: Time) -> f64 {
    let mut answers: Vec<Time> =
        record.probes.iter().filter_map(|probe| probe.answer.map(|answer| answer.at)).collect();
    answers.sort_unstable();
    let recent = answers.partition_point(|at| now.since(*at) > Duration::from_secs(1));
    let answers = answers.get(recent..).unwrap_or_default();
    let still = answers.last().map_or(Duration::from_secs(1), |last| now.since(*last));
    let pairs = answers.windows(2).map(|pair| pair[1].since(pair[0]));
    millis(pairs.chain([still]).max().unwrap_or_default())
}

/// Answers take no longer than this when all is well; younger probes may still be answered.
pub const ON_ITS_WAY: Duration = Duration::from_millis(30);

fn cell_of(at: Time, begin: Time) -> Option<usize> {
    (at >= begin).then(|| usize::try_from(at.since(begin).as_nanos() / CELL.as_nanos()).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::measure::Answer;

    #[test]
    fn cells_count_what_was_asked_and_answered() {
        let by = Member::new(1).unwrap();
        let probe = |at, answered: bool| {
            let sent = Time::from_millis(at);
            Probe { sent, answer: answered.then_some(Answer { at: sent, by }) }
        };
        let probes = vec![probe(890, true), probe(901, true), probe(949, false), probe(999, false), probe(1000, true)];
        let strip = client(&Record { probes, ..Record::default() }, (Time::from_millis(1004), 2));
        let first = Heard { by: Some(by), asked: 2, answered: 1 };
        assert_eq!(strip, [first, Heard::default()], "the probe at 999 may still be answered, 890 is too old");
    }

    #[test]
    fn silence_until_now_is_a_gap() {
        let by = Member::new(0).unwrap();
        let probe = |at| Probe { sent: Time::from_millis(at), answer: Some(Answer { at: Time::from_millis(at), by }) };
        let record = Record { probes: vec![probe(2000), probe(2010), probe(2012)], ..Record::default() };
        assert_eq!(worst_gap(&record, Time::from_millis(2100)), 88.0);
        assert_eq!(worst_gap(&record, Time::from_millis(2015)), 10.0);
        assert_eq!(worst_gap(&record, Time::from_millis(9000)), 1000.0);
    }
}
