//! A picture of a story: who answered when, one lane for the client and one per member.
//!
//! Pure: records to SVG. The overview shows the whole story; below it each act that somebody noticed is shown close
//! up, from shortly before it, because a takeover is short.

use std::fmt::Write as _;
use std::time::Duration;

use super::deed::Deed;
use super::measure::{Record, Round, millis};
use super::member::Member;
use crate::units::Time;

/// Something that happened to a member.
#[derive(Clone, Debug)]
pub struct Mark {
    /// When.
    pub at: Time,
    /// What.
    pub deed: Deed,
    /// To whom.
    pub member: Option<Member>,
    /// The gap that followed, milliseconds.
    pub gap_ms: f64,
    /// How long two answered at once after it, milliseconds.
    pub dual_ms: f64,
}

/// What a picture is drawn of.
#[derive(Clone, Copy, Debug)]
pub struct Timeline<'a> {
    /// Its heading.
    pub title: &'a str,
    /// The members, one lane each.
    pub members: &'a [Member],
    /// What was seen.
    pub record: &'a Record,
    /// What happened.
    pub marks: &'a [Mark],
    /// Where the picture begins.
    pub begin: Time,
    /// Where it ends.
    pub end: Time,
}

/// Draws it as an SVG document.
pub fn draw(timeline: &Timeline<'_>) -> String {
    let lanes = Lanes::of(timeline);
    let overview = Frame {
        x: MARGIN + LABELS,
        y: 128.0,
        width: WIDTH - 2.0 * MARGIN - LABELS,
        from: timeline.begin,
        to: timeline.end,
    };
    let mut body = String::new();
    lane_labels(&mut body, timeline.members, overview.y);
    time_axis(&mut body, &overview, lanes.height(), Duration::from_secs(1));
    lanes.draw(&mut body, &overview);
    for mark in timeline.marks {
        overview_mark(&mut body, &overview, &lanes, mark);
    }
    let mut y = overview.y + lanes.height() + 92.0;
    let noticed: Vec<&Mark> =
        timeline.marks.iter().filter(|mark| mark.deed.is_fault() || mark.gap_ms > NOTICED).collect();
    if !noticed.is_empty() {
        let _ = writeln!(
            body,
            r#"<text class="h" x="{MARGIN}" y="{}">Close up: {} ms around each act</text>"#,
            y - 44.0,
            CLOSE_UP.as_millis()
        );
    }
    let column = (WIDTH - 2.0 * MARGIN - (COLUMNS - 1.0) * GUTTER) / COLUMNS;
    for (index, mark) in noticed.iter().enumerate() {
        let place = index as f64 % COLUMNS;
        let x = MARGIN + place * (column + GUTTER);
        let from = mark.at - LEAD;
        close_up(&mut body, &Frame { x, y, width: column, from, to: from + CLOSE_UP }, &lanes, mark);
        if place == COLUMNS - 1.0 || index + 1 == noticed.len() {
            y += lanes.height() + 76.0;
        }
    }
    let height = y - 20.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height:.0}\" viewBox=\"0 0 {WIDTH} {height:.0}\">\n\
         {STYLE}\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text class=\"t\" x=\"{MARGIN}\" y=\"40\">{}</text>\n{}{body}</svg>\n",
        escape(timeline.title),
        legend(),
    )
}

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 32.0;
const LABELS: f64 = 76.0;
const COLUMNS: f64 = 3.0;
const GUTTER: f64 = 28.0;
const CLIENT_LANE: f64 = 26.0;
const MEMBER_LANE: f64 = 16.0;
const BETWEEN: f64 = 8.0;
/// Acts after which the client waited no longer than this are not shown close up, unless they are faults.
const NOTICED: f64 = 25.0;
const CLOSE_UP: Duration = Duration::from_millis(500);
const LEAD: Duration = Duration::from_millis(100);
/// Answers further apart than this are drawn as a gap.
const TOGETHER: Duration = Duration::from_millis(8);

/// One colour per member, told apart also by the colour-blind; more members begin again.
const COLOURS: [&str; 8] = ["#0f766e", "#d97706", "#4338ca", "#be185d", "#4d7c0f", "#0369a1", "#a16207", "#7e22ce"];

const STYLE: &str = "<style>
text { font: 12px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #334155 }
.t { font-size: 20px; font-weight: 650; fill: #0f172a }
.h { font-size: 14px; font-weight: 600; fill: #0f172a }
.b { font-weight: 600; fill: #0f172a }
.s { font-size: 11px; fill: #64748b; font-variant-numeric: tabular-nums }
.e { text-anchor: end } .m { text-anchor: middle }
.g { stroke: #e2e8f0 } .f { stroke: #b91c1c; stroke-width: 1.2 } .r { stroke: #64748b; stroke-dasharray: 3 3 }
.bad { fill: #b91c1c }
</style>";

/// A stretch of time on paper.
struct Frame {
    x: f64,
    y: f64,
    width: f64,
    from: Time,
    to: Time,
}

impl Frame {
    fn x_of(&self, at: Time) -> f64 {
        let whole = self.to.since(self.from).as_secs_f64().max(1e-9);
        self.x + (at.since(self.from).as_secs_f64() / whole).min(1.0) * self.width
    }
}

/// A member doing something from one moment to another.
struct Span {
    member: Member,
    from: Time,
    to: Time,
}

/// Everything that is drawn along the time axis.
struct Lanes<'a> {
    members: &'a [Member],
    answers: Vec<Span>,
    arp: Vec<Span>,
    address: Vec<Span>,
}

impl<'a> Lanes<'a> {
    fn of(timeline: &Timeline<'a>) -> Lanes<'a> {
        let record = timeline.record;
        Lanes {
            members: timeline.members,
            answers: answer_spans(record),
            arp: round_spans(&record.arp, record.arp_period),
            address: round_spans(&record.address, record.address_period),
        }
    }

    fn height(&self) -> f64 {
        CLIENT_LANE + self.members.len() as f64 * (MEMBER_LANE + BETWEEN)
    }

    fn lane(&self, member: Member) -> Option<f64> {
        let index = self.members.iter().position(|known| *known == member)?;
        Some(CLIENT_LANE + BETWEEN + index as f64 * (MEMBER_LANE + BETWEEN))
    }

    fn draw(&self, body: &mut String, frame: &Frame) {
        rectangle(body, (frame.x, frame.y, frame.width, CLIENT_LANE), "#fee2e2", 1.0);
        for &member in self.members {
            let y = frame.y + self.lane(member).unwrap_or_default();
            rectangle(body, (frame.x, y, frame.width, MEMBER_LANE), "#f1f5f9", 1.0);
        }
        self.spans(body, frame, &self.answers, |_| Some((0.0, CLIENT_LANE, 1.0)));
        self.spans(body, frame, &self.address, |member| Some((self.lane(member)?, MEMBER_LANE, 0.28)));
        self.spans(body, frame, &self.arp, |member| Some((self.lane(member)? + 4.0, MEMBER_LANE - 8.0, 1.0)));
    }

    fn spans(
        &self,
        body: &mut String,
        frame: &Frame,
        spans: &[Span],
        place: impl Fn(Member) -> Option<(f64, f64, f64)>,
    ) {
        for span in spans.iter().filter(|span| span.to > frame.from && span.from < frame.to) {
            let Some((y, height, opacity)) = place(span.member) else { continue };
            let (from, to) = (frame.x_of(span.from.max(frame.from)), frame.x_of(span.to.min(frame.to)));
            rectangle(body, (from, frame.y + y, (to - from).max(0.6), height), colour(span.member), opacity);
        }
    }
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

fn close_up(body: &mut String, frame: &Frame, lanes: &Lanes<'_>, mark: &Mark) {
    let who = mark.member.map_or_else(String::new, |member| format!(" {member}"));
    let gap =
        if mark.gap_ms < 1000.0 { format!("{:.1} ms", mark.gap_ms) } else { format!("{:.2} s", mark.gap_ms / 1e3) };
    let (x, top) = (frame.x, frame.y - 14.0);
    let _ = writeln!(body, r#"<text class="b" x="{x:.1}" y="{top:.1}">{}{who}</text>"#, mark.deed.name());
    let right = frame.x + frame.width;
    let two = if mark.dual_ms > 0.0 { format!(", two answered {:.0} ms", mark.dual_ms) } else { String::new() };
    let class = if mark.dual_ms > 0.0 { "s e bad" } else { "s e" };
    let _ = writeln!(body, r#"<text class="{class}" x="{right:.1}" y="{top:.1}">gap {gap}{two}</text>"#);
    time_axis(body, frame, lanes.height(), Duration::from_millis(100));
    lanes.draw(body, frame);
    mark_line(body, frame, lanes.height(), mark);
}

fn overview_mark(body: &mut String, frame: &Frame, lanes: &Lanes<'_>, mark: &Mark) {
    mark_line(body, frame, lanes.height(), mark);
    let x = frame.x_of(mark.at);
    let who = mark.member.map_or_else(String::new, |member| format!(" {member}"));
    let _ = writeln!(
        body,
        r#"<text class="s" x="{:.1}" y="{:.1}">{}{who}</text>"#,
        x + 3.0,
        frame.y - 8.0,
        mark.deed.name()
    );
    // A dot on the lane of the member it happened to.
    if let Some(lane) = mark.member.and_then(|member| lanes.lane(member)) {
        let fill = if mark.deed.is_fault() { "#b91c1c" } else { "#64748b" };
        let y = frame.y + lane + MEMBER_LANE / 2.0;
        let _ = writeln!(body, r##"<circle cx="{x:.1}" cy="{y:.1}" r="3.6" fill="{fill}" stroke="#fff"/>"##);
    }
}

fn mark_line(body: &mut String, frame: &Frame, height: f64, mark: &Mark) {
    let (x, class) = (frame.x_of(mark.at), if mark.deed.is_fault() { "f" } else { "r" });
    let (top, bottom) = (frame.y - 4.0, frame.y + height);
    let _ = writeln!(body, r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="{top:.1}" y2="{bottom:.1}"/>"#);
}

fn lane_labels(body: &mut String, members: &[Member], y: f64) {
    let x = MARGIN + LABELS - 12.0;
    let _ = writeln!(body, r#"<text class="b e" x="{x}" y="{:.1}">client</text>"#, y + 17.0);
    for (index, member) in members.iter().enumerate() {
        let y = y + CLIENT_LANE + BETWEEN + index as f64 * (MEMBER_LANE + BETWEEN) + 12.0;
        let _ =
            writeln!(body, r#"<text class="e" x="{x}" y="{y:.1}" style="fill:{}">{member}</text>"#, colour(*member));
    }
}

fn time_axis(body: &mut String, frame: &Frame, height: f64, step: Duration) {
    let count = frame.to.since(frame.from).as_millis() / step.as_millis().max(1);
    // A long story gets fewer labels, not smaller ones.
    let stride = usize::try_from(count / 24 + 1).unwrap_or(1);
    let lead = if step >= Duration::from_secs(1) { Duration::ZERO } else { LEAD };
    for index in (0..=u32::try_from(count).unwrap_or(0)).step_by(stride) {
        let offset = step * index;
        let (x, bottom) = (frame.x_of(frame.from + offset), frame.y + height + 5.0);
        let _ = writeln!(body, r#"<line class="g" x1="{x:.1}" x2="{x:.1}" y1="{:.1}" y2="{bottom:.1}"/>"#, frame.y);
        let label = if lead.is_zero() {
            format!("{} s", offset.as_secs())
        } else {
            format!("{:.0}", millis(offset) - millis(lead))
        };
        let _ = writeln!(body, r#"<text class="s m" x="{x:.1}" y="{:.1}">{label}</text>"#, bottom + 12.0);
    }
}

fn legend() -> String {
    let entries: [(&str, f64, &str); 3] = [
        ("answers the client, and answers ARP on its lane", 1.0, "#0f766e"),
        ("has the address", 0.28, "#0f766e"),
        ("the client hears nobody", 1.0, "#fee2e2"),
    ];
    let (mut text, mut x) = (String::new(), MARGIN);
    for (label, opacity, fill) in entries {
        rectangle(&mut text, (x, 58.0, 18.0, 10.0), fill, opacity);
        let _ = writeln!(text, r#"<text x="{:.0}" y="67">{label}</text>"#, x + 25.0);
        x += 62.0 + 6.2 * label.len() as f64;
    }
    let _ = writeln!(
        text,
        r#"<line class="f" x1="{x:.0}" x2="{x:.0}" y1="56" y2="70"/><text x="{:.0}" y="67">fault</text>"#,
        x + 8.0
    );
    let _ = writeln!(
        text,
        r#"<line class="r" x1="{:.0}" x2="{:.0}" y1="56" y2="70"/><text x="{:.0}" y="67">put right</text>"#,
        x + 62.0,
        x + 62.0,
        x + 70.0
    );
    text
}

fn rectangle(body: &mut String, (x, y, width, height): (f64, f64, f64, f64), fill: &str, opacity: f64) {
    let opacity = if opacity < 1.0 { format!(r#" opacity="{opacity}""#) } else { String::new() };
    let _ = writeln!(
        body,
        r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{fill}"{opacity}/>"#
    );
}

fn colour(member: Member) -> &'static str {
    COLOURS[member.index() % COLOURS.len()]
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::measure::{Answer, Probe};
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

    #[test]
    fn a_picture_shows_each_member_and_each_fault() {
        let members: Vec<Member> = Member::first(3).collect();
        let mark =
            Mark { at: Time::from_millis(1000), deed: Deed::Cut, member: Some(member(1)), gap_ms: 151.0, dual_ms: 0.0 };
        let timeline = Timeline {
            title: "a < b",
            members: &members,
            record: &Record::default(),
            marks: &[mark],
            begin: Time::ZERO,
            end: Time::from_millis(3000),
        };
        let svg = draw(&timeline);
        for expected in ["a &lt; b", ">m1<", ">m3<", "cut m2", "gap 151.0 ms", "</svg>"] {
            assert!(svg.contains(expected), "{expected} is missing");
        }
    }
}
