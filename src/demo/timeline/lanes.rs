//! What is drawn along the time axis: one lane for the client, one per member.

use std::time::Duration;

use super::Timeline;
use super::paper::{Frame, colour, rectangle};
use crate::demo::measure::{Record, Round, Silence};
use crate::demo::member::Member;
use crate::units::Time;

/// The height of the client's lane.
pub const CLIENT_LANE: f64 = 26.0;
/// The height of a member's lane.
pub const MEMBER_LANE: f64 = 16.0;
/// The space between two lanes.
pub const BETWEEN: f64 = 8.0;
/// Answers further apart than this are drawn as a gap.
const TOGETHER: Duration = Duration::from_millis(8);

/// A member doing something from one moment to another.
struct Span {
    member: Member,
    from: Time,
    to: Time,
}

/// Everything that is drawn along the time axis.
pub struct Lanes<'a> {
    members: &'a [Member],
    answers: Vec<Span>,
    arp: Vec<Span>,
    address: Vec<Span>,
    silent: Vec<Span>,
}

impl<'a> Lanes<'a> {
    /// What is drawn of a timeline.
    pub fn of(timeline: &Timeline<'a>) -> Lanes<'a> {
        let record = timeline.record;
        Lanes {
            members: timeline.members,
            answers: answer_spans(record),
            arp: round_spans(&record.arp, record.arp_period),
            address: round_spans(&record.address, record.address_period),
            silent: silent_spans(&record.silences, timeline.end),
        }
    }

    /// How high all lanes are together.
    pub fn height(&self) -> f64 {
        CLIENT_LANE + self.members.len() as f64 * (MEMBER_LANE + BETWEEN)
    }

    /// Where a member's lane begins.
    pub fn lane(&self, member: Member) -> Option<f64> {
        let index = self.members.iter().position(|known| *known == member)?;
        Some(CLIENT_LANE + BETWEEN + index as f64 * (MEMBER_LANE + BETWEEN))
    }

    /// Draws every lane into a frame.
    pub fn draw(&self, body: &mut String, frame: &Frame) {
        rectangle(body, (frame.x, frame.y, frame.width, CLIENT_LANE), "#fee2e2", 1.0);
        for &member in self.members {
            let y = frame.y + self.lane(member).unwrap_or_default();
            rectangle(body, (frame.x, y, frame.width, MEMBER_LANE), "#f1f5f9", 1.0);
        }
        let plain = |y, height, opacity| Some(Ink { y, height, fill: None, opacity });
        self.spans(body, frame, &self.answers, |_| plain(0.0, CLIENT_LANE, 1.0));
        self.spans(body, frame, &self.address, |member| plain(self.lane(member)?, MEMBER_LANE, 0.28));
        self.spans(body, frame, &self.arp, |member| plain(self.lane(member)? + 4.0, MEMBER_LANE - 8.0, 1.0));
        self.spans(body, frame, &self.silent, |member| {
            Some(Ink { y: self.lane(member)?, height: MEMBER_LANE, fill: Some("url(#apart)"), opacity: 1.0 })
        });
    }

    fn spans(&self, body: &mut String, frame: &Frame, spans: &[Span], ink: impl Fn(Member) -> Option<Ink>) {
        for span in spans.iter().filter(|span| span.to > frame.from && span.from < frame.to) {
            let Some(ink) = ink(span.member) else { continue };
            let (from, to) = (frame.x_of(span.from.max(frame.from)), frame.x_of(span.to.min(frame.to)));
            let place = (from, frame.y + ink.y, (to - from).max(0.6), ink.height);
            rectangle(body, place, ink.fill.unwrap_or(colour(span.member)), ink.opacity);
        }
    }
}

/// How a span is drawn: in its lane's part, in the member's colour unless another is given.
struct Ink {
    y: f64,
    height: f64,
    fill: Option<&'static str>,
    opacity: f64,
}

/// Stretches in which the same member answered the client.
fn answer_spans(record: &Record) -> Vec<Span> {
    let mut answers: Vec<_> = record.probes.iter().filter_map(|probe| probe.answer).collect();
    answers.sort_unstable_by_key(|answer| answer.at);
    let mut spans: Vec<Span> = Vec::new();
    for answer in answers {
        match spans.last_mut() {
            Some(span) if span.member == answer.by && answer.at.since(span.to) <= TOGETHER => span.to = answer.at,
            _ => spans.push(Span { member: answer.by, from: answer.at, to: answer.at }),
        }
    }
    spans
}

/// Stretches of rounds in which a member said yes.
fn round_spans(rounds: &[Round], period: Duration) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut open: Vec<(Member, usize)> = Vec::new();
    for round in rounds {
        let mut still = Vec::new();
        for member in round.yes.iter() {
            let index = match open.iter().find(|(known, _)| *known == member) {
                Some((_, index)) => *index,
                None => {
                    spans.push(Span { member, from: round.at, to: round.at });
                    spans.len() - 1
                }
            };
            if let Some(span) = spans.get_mut(index) {
                span.to = round.at + period;
            }
            still.push((member, index));
        }
        open = still;
    }
    spans
}

/// Stretches in which nobody could reach a member although its link looked fine.
fn silent_spans(silences: &[Silence], end: Time) -> Vec<Span> {
    let span = |silence: &Silence| Span { member: silence.member, from: silence.from, to: silence.to.unwrap_or(end) };
    silences.iter().map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::measure::{Answer, Probe, millis};
    use crate::demo::member::MemberSet;

    fn member(index: usize) -> Member {
        Member::new(index).unwrap()
    }

    #[test]
    fn answers_of_one_member_are_one_span_until_a_gap() {
        let answer = |at, by| Some(Answer { at: Time::from_millis(at), by: member(by) });
        let times = [(1, 0), (2, 0), (30, 0), (31, 1)];
        let probes = times.map(|(at, by)| Probe { sent: Time::from_millis(at), answer: answer(at, by) }).to_vec();
        let spans = answer_spans(&Record { probes, ..Record::default() });
        let seen: Vec<_> = spans.iter().map(|span| (span.member.index(), millis(span.to.since(span.from)))).collect();
        assert_eq!(seen, [(0, 1.0), (0, 0.0), (1, 0.0)]);
    }

    #[test]
    fn rounds_in_a_row_are_one_span() {
        let round = |at, who: &[usize]| Round {
            at: Time::from_millis(at),
            yes: who.iter().map(|index| member(*index)).collect::<MemberSet>(),
        };
        let rounds = [round(0, &[0]), round(5, &[0, 1]), round(10, &[1]), round(15, &[0])];
        let spans = round_spans(&rounds, Duration::from_millis(5));
        let seen: Vec<_> = spans.iter().map(|span| (span.member.index(), millis(span.to.since(span.from)))).collect();
        assert_eq!(seen, [(0, 10.0), (1, 10.0), (0, 5.0)]);
    }
}
