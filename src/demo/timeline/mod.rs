//! A picture of a story: who answered when, one lane for the client and one per member.
//!
//! Pure: records to SVG. The overview shows the whole story; below it each act that somebody noticed is shown close
//! up, from shortly before it, because a takeover is short.

mod lanes;
mod paper;

use std::fmt::Write as _;
use std::time::Duration;

use super::deed::Deed;
use super::measure::Record;
use super::member::Member;
use crate::units::Time;
use lanes::{BETWEEN, CLIENT_LANE, Lanes, MEMBER_LANE};
use paper::{Frame, STYLE, colour, escape, rectangle, time_axis};

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
        y: 116.0,
        width: WIDTH - 2.0 * MARGIN - LABELS,
        from: timeline.begin,
        to: timeline.end,
    };
    let mut body = String::new();
    lane_labels(&mut body, timeline.members, overview.y);
    time_axis(&mut body, &overview, lanes.height(), (Duration::from_secs(1), Duration::ZERO));
    lanes.draw(&mut body, &overview);
    for mark in timeline.marks {
        overview_mark(&mut body, &overview, &lanes, mark);
    }
    let mut y = overview.y + lanes.height() + 92.0;
    let noticed: Vec<&Mark> = timeline
        .marks
        .iter()
        .filter(|mark| mark.deed.is_fault() || mark.gap_ms > NOTICED || mark.dual_ms > 0.0)
        .collect();
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
const GUTTER: f64 = 44.0;
/// Acts that are no faults are shown close up if the client waited longer than this, or two answered at once.
const NOTICED: f64 = 50.0;
const CLOSE_UP: Duration = Duration::from_millis(500);
const LEAD: Duration = Duration::from_millis(100);

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
    time_axis(body, frame, lanes.height(), (Duration::from_millis(100), LEAD));
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

fn legend() -> String {
    let entries = [
        ("answers the client, and answers ARP on its lane", 1.0, "#0f766e"),
        ("has the address", 0.28, "#0f766e"),
        ("blackhole: nobody reaches it", 1.0, "#0f766e"),
        ("the client hears nobody", 1.0, "#fee2e2"),
    ];
    let (mut text, mut x) = (String::new(), MARGIN);
    for (label, opacity, fill) in entries {
        rectangle(&mut text, (x, 58.0, 18.0, 10.0), fill, opacity);
        if label.starts_with("blackhole") {
            rectangle(&mut text, (x, 58.0, 18.0, 10.0), "url(#apart)", 1.0);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn member(index: usize) -> Member {
        Member::new(index).unwrap()
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
