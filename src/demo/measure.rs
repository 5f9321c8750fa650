//! From what was seen to figures: gaps, losses, and how long two answered at once.
//!
//! Pure: works on records only. The words:
//! - *gap*: the longest time between two answers that arrived one after the other. With a probe every millisecond
//!   a busy machine shows gaps without any fault; the *base gap* of a calm stretch before the fault says how large. The
//!   two compare only where both stretches are of one length: the longer one watches, the longer the longest gap.
//! - *change gap*: the gap that the new holder's first answer ended. The longest gap of the whole window also shows
//!   whatever else the machine did in that second.
//! - *takeover*: from the fault to the first answer by somebody other than the old holder.
//! - *dual*: rounds in which two members said yes, times the period of the rounds. A member in a blackhole says yes to
//!   the witness, whose questions reach it by another way, but to nobody else; so it is also counted apart.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::member::{Member, MemberSet};
use crate::units::Time;

/// The span before a fault that the base gap is taken from where acts follow one another.
pub const BASE: Duration = Duration::from_secs(1);

/// One question and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// When it left.
    pub sent: Time,
    /// Its answer, if one came.
    pub answer: Option<Answer>,
}

/// An answer as the client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When it arrived.
    pub at: Time,
    /// Who gave it.
    pub by: Member,
}

/// One round of a witness's questions to all members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// When the questions left.
    pub at: Time,
    /// Who said yes.
    pub yes: MemberSet,
}

/// Everything that was seen in a stretch of time, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What the client asked and heard.
    pub probes: Vec<Probe>,
    /// Who answered ARP.
    pub arp: Vec<Round>,
    /// The time between two of these rounds.
    pub arp_period: Duration,
    /// Who had the address.
    pub address: Vec<Round>,
    /// The time between two of these rounds.
    pub address_period: Duration,
    /// Who could not be reached by the others, although its own link looked fine.
    pub silences: Vec<Silence>,
}

/// A member whose frames were dropped on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Who.
    pub member: Member,
    /// Since when.
    pub from: Time,
    /// Until when; none if it still is.
    pub to: Option<Time>,
}

impl Silence {
    /// Whether a member was silent at a moment.
    fn covers(&self, member: Member, at: Time) -> bool {
        self.member == member && at >= self.from && self.to.is_none_or(|to| at < to)
    }
}

/// A stretch of time in which something was done to the site.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The moment of the fault.
    pub fault: Time,
    /// The end of watching.
    pub end: Time,
    /// Who held before the fault, if anybody did.
    pub holder: Option<Member>,
    /// Some time before, when nothing happened.
    pub calm: Stretch,
}

/// From one moment to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The beginning.
    pub from: Time,
    /// The end.
    pub to: Time,
}

impl Stretch {
    /// So much time that ends at a moment.
    pub fn before(to: Time, span: Duration) -> Stretch {
        Stretch { from: to - span, to }
    }
}

/// What a fault did to the client and on the LAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The longest gap in the calm stretch before, milliseconds.
    pub base_gap_ms: f64,
    /// The longest gap from the fault to the end, milliseconds.
    pub gap_ms: f64,
    /// From the fault to the first answer by somebody else, milliseconds; none if nobody else answered.
    pub takeover_ms: Option<f64>,
    /// The gap that somebody else's first answer ended, milliseconds; none if nobody else answered.
    pub change_gap_ms: Option<f64>,
    /// Probes sent from the fault to the end that nobody answered.
    pub lost: usize,
    /// Of these, how many were sent after somebody else's first answer.
    pub lost_after_takeover: usize,
    /// Answers by the old holder that arrived after somebody else's first answer.
    pub old_answers: usize,
    /// How long two members answered ARP at once that could both be reached by others, milliseconds.
    pub dual_arp_ms: f64,
    /// The same, counting also members that nobody could reach, milliseconds.
    pub dual_arp_apart_ms: f64,
    /// How long two members had the address at once, milliseconds.
    pub dual_address_ms: f64,
    /// Who gave the last answer.
    pub holder_after: Option<Member>,
}

impl Record {
    /// The figures of a window.
    pub fn figures(&self, window: Window) -> Figures {
        let Window { fault, end, holder, calm } = window;
        let mut answers: Vec<(Time, Member)> =
            self.probes.iter().filter_map(|probe| probe.answer).map(|answer| (answer.at, answer.by)).collect();
        answers.sort_unstable_by_key(|(at, _)| *at);
        let within = |at: &Time| *at >= fault && *at < end;
        let takeover = answers
            .iter()
            .find(|(at, by)| within(at) && Some(*by) != holder)
            .map(|(at, _)| *at)
            .filter(|_| holder.is_some());
        let lost =
            |from: Time| self.probes.iter().filter(|p| p.sent >= from && p.sent < end && p.answer.is_none()).count();
        let old_answers =
            |from: Time| answers.iter().filter(|(at, by)| *at > from && within(at) && Some(*by) == holder).count();
        let dual = |rounds: &[Round], period: Duration, count: &dyn Fn(&Round) -> usize| {
            let twice = rounds.iter().filter(|round| within(&round.at) && count(round) > 1).count();
            millis(period * u32::try_from(twice).unwrap_or(u32::MAX))
        };
        let times: Vec<Time> = answers.iter().map(|(at, _)| *at).collect();
        Figures {
            base_gap_ms: millis(longest_gap(&times, calm.from, calm.to)),
            gap_ms: millis(longest_gap(&times, fault, end)),
            takeover_ms: takeover.map(|at| millis(at.since(fault))),
            change_gap_ms: takeover.and_then(|at| {
                let before = times.partition_point(|time| *time < at).checked_sub(1)?;
                Some(millis(at.since(*times.get(before)?)))
            }),
            lost: lost(fault),
            lost_after_takeover: takeover.map_or(0, lost),
            old_answers: takeover.map_or(0, old_answers),
            dual_arp_ms: dual(&self.arp, self.arp_period, &|round| self.reachable(round)),
            dual_arp_apart_ms: dual(&self.arp, self.arp_period, &|round| round.yes.len()),
            dual_address_ms: dual(&self.address, self.address_period, &|round| round.yes.len()),
            holder_after: answers.iter().rev().find(|(at, _)| *at < end).map(|(_, by)| *by),
        }
    }

    /// How many members said yes that others could reach.
    fn reachable(&self, round: &Round) -> usize {
        let silent = |member| self.silences.iter().any(|silence| silence.covers(member, round.at));
        round.yes.iter().filter(|member| !silent(*member)).count()
    }
}

/// The middle and the largest of some values; nothing of none.
pub fn median_and_max(values: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (middle, largest) = (sorted.len() / 2, *sorted.last()?);
    let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
    Some((median, largest))
}

/// A span in milliseconds with its fraction.
pub fn millis(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e6).round() / 1e3
}

/// The longest span without an answer that reaches into `from..to`; its beginning may lie before, its end is cut.
fn longest_gap(answers: &[Time], from: Time, to: Time) -> Duration {
    let first_after = answers.partition_point(|at| *at < from);
    let before = first_after.checked_sub(1).and_then(|index| answers.get(index)).copied().unwrap_or(from);
    let inside = answers.get(first_after..).unwrap_or_default().iter().copied().take_while(|at| *at < to);
    let mut last = before;
    let mut longest = Duration::ZERO;
    for at in inside.chain([to]) {
        longest = longest.max(at.since(last));
        last = at;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(index: usize) -> Member {
        Member::new(index).unwrap()
    }

    /// A probe each millisecond; `who` says who answers the one sent at that millisecond, half a millisecond later.
    fn record(span: u64, who: impl Fn(u64) -> Option<usize>) -> Record {
        let probe = |at| {
            let sent = Time::from_millis(at);
            let answer = who(at).map(|index| Answer { at: sent + Duration::from_micros(500), by: member(index) });
            Probe { sent, answer }
        };
        Record { probes: (0..span).map(probe).collect(), ..Record::default() }
    }

    fn window(fault: u64, end: u64) -> Window {
        let (fault, end) = (Time::from_millis(fault), Time::from_millis(end));
        Window { fault, end, holder: Some(member(0)), calm: Stretch::before(fault, BASE) }
    }

    #[test]
    fn a_takeover_is_one_gap() {
        let seen = record(3000, |at| if at < 2000 { Some(0) } else { (at >= 2150).then_some(1) });
        let figures = seen.figures(window(2000, 3000));
        assert_eq!(figures.base_gap_ms, 1.0);
        assert_eq!(figures.gap_ms, 151.0);
        assert_eq!((figures.takeover_ms, figures.change_gap_ms), (Some(150.5), Some(151.0)));
        assert_eq!((figures.lost, figures.lost_after_takeover, figures.old_answers), (150, 0, 0));
        assert_eq!(figures.holder_after, Some(member(1)));
    }

    #[test]
    fn the_base_is_what_the_calm_stretch_shows() {
        let seen = record(3000, |at| (!(500..520).contains(&at) && !(1500..1540).contains(&at)).then_some(0));
        let base = |to, span| {
            let calm = Stretch::before(Time::from_millis(to), Duration::from_millis(span));
            seen.figures(Window { calm, ..window(2500, 3000) }).base_gap_ms
        };
        assert_eq!((base(1000, 400), base(1000, 1000), base(2000, 1000), base(2500, 900)), (1.0, 21.0, 41.0, 1.0));
    }

    #[test]
    fn no_answer_until_the_end_is_a_gap_to_the_end() {
        let seen = record(3000, |at| (at < 2000).then_some(0));
        let figures = seen.figures(window(2000, 3000));
        assert_eq!((figures.gap_ms, figures.takeover_ms, figures.lost), (1000.5, None, 1000));
    }

    #[test]
    fn the_old_holder_answering_on_is_counted() {
        let seen = record(3000, |at| Some(usize::from(at >= 2100 && at % 2 == 0)));
        let figures = seen.figures(window(2000, 3000));
        assert_eq!((figures.takeover_ms, figures.old_answers, figures.lost), (Some(100.5), 450, 0));
    }

    #[test]
    fn two_in_a_round_are_dual() {
        let round = |at, count| Round { at: Time::from_millis(at), yes: Member::first(count).collect::<MemberSet>() };
        let arp = vec![round(0, 2), round(5, 1), round(10, 2), round(15, 3), round(20, 0)];
        let seen = Record { arp, arp_period: Duration::from_millis(5), ..Record::default() };
        assert_eq!(seen.figures(window(5, 30)).dual_arp_ms, 10.0);
    }

    #[test]
    fn one_that_nobody_reaches_is_counted_apart() {
        let both = |at| Round { at: Time::from_millis(at), yes: Member::first(2).collect::<MemberSet>() };
        let silences = vec![Silence { member: member(1), from: Time::from_millis(5), to: Some(Time::from_millis(10)) }];
        let arp = vec![both(0), both(5), both(10)];
        let seen = Record { arp, arp_period: Duration::from_millis(5), silences, ..Record::default() };
        let figures = seen.figures(window(0, 30));
        assert_eq!((figures.dual_arp_ms, figures.dual_arp_apart_ms), (10.0, 15.0));
    }

    #[test]
    fn a_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(median_and_max(&[4.0, 1.0, 3.0, 2.0]), Some((2.5, 4.0)));
        assert_eq!(median_and_max(&[]), None);
    }
}
