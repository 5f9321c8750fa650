//! Draws the screen. Pure: a view to a frame.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as TextLine, Span};
use ratatui::widgets::{Block, BorderType, Paragraph};

use super::strip::{Did, Heard};
use crate::demo::deed::Deed;
use crate::demo::measure::Figures;
use crate::demo::member::Member;

/// Columns that are not part of a strip: the border, the names and what is said of a member.
pub const LABELS: usize = 42;

/// Everything on the screen.
pub struct View {
    /// The heading.
    pub title: String,
    /// The highest term any member knows.
    pub term: Option<u64>,
    /// Who answers the client.
    pub answers: Option<Member>,
    /// The longest gap of the last second, milliseconds.
    pub gap: f64,
    /// What the client heard.
    pub client: Vec<Heard>,
    /// The members.
    pub rows: Vec<Row>,
    /// What was done, oldest first.
    pub lines: Vec<Line>,
}

/// One member.
pub struct Row {
    /// Which.
    pub member: Member,
    /// Whether keys are about it.
    pub selected: bool,
    /// What its daemon does, or what happened to it.
    pub state: String,
    /// Whether its daemon runs.
    pub well: bool,
    /// What is wrong with its cable; nothing if nothing is.
    pub cable: &'static str,
    /// What it did.
    pub cells: Vec<Did>,
}

/// One thing done and what came of it.
pub struct Line {
    /// When, since the beginning.
    pub at: Duration,
    /// What.
    pub deed: Deed,
    /// To whom.
    pub member: Option<Member>,
    /// What was seen.
    pub figures: Figures,
    /// Why it could not be done.
    pub error: Option<String>,
}

/// Draws a view.
pub fn draw(view: &View, frame: &mut Frame<'_>) {
    let site_height = u16::try_from(view.rows.len()).unwrap_or(u16::MAX).saturating_add(5);
    let areas = Layout::vertical([Constraint::Length(site_height), Constraint::Min(4), Constraint::Length(1)]);
    let [site, acts, keys] = areas.areas(frame.area());
    let room = usize::from(acts.height.saturating_sub(3));
    frame.render_widget(Paragraph::new(site_lines(view)).block(block(&format!(" {} ", view.title))), site);
    frame.render_widget(
        Paragraph::new(act_lines(&view.lines, room)).block(block(" what was done, and what the client noticed ")),
        acts,
    );
    frame.render_widget(Paragraph::new(key_line()), keys);
}

const DIM: Style = Style::new().fg(Color::DarkGray);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const BAD: Style = Style::new().fg(Color::Red);
const COLOURS: [Color; 6] = [Color::Cyan, Color::Yellow, Color::Green, Color::Magenta, Color::Blue, Color::LightRed];

fn block(title: &str) -> Block<'_> {
    Block::bordered().border_type(BorderType::Rounded).border_style(DIM).title(Span::styled(title, BOLD))
}

fn site_lines(view: &View) -> Vec<TextLine<'_>> {
    let mut lines = vec![client_line(view), TextLine::default()];
    lines.extend(view.rows.iter().map(member_line));
    let term = view.term.map_or_else(String::new, |term| format!("term {term}   "));
    lines.push(TextLine::styled(
        format!("  {term}█ answers for the address   ░ has it, but does not answer   one cell: 50 ms"),
        DIM,
    ));
    lines
}

fn client_line(view: &View) -> TextLine<'_> {
    let who = match view.answers {
        Some(member) => Span::styled(format!("{:<10}", format!("{member} answers")), Style::new().fg(colour(member))),
        None => Span::styled("nobody    ", BAD),
    };
    let gap = Span::styled(format!(" gap {:>6.1} ms ", view.gap), if view.gap > 50.0 { BAD } else { Style::new() });
    let mut spans = vec![Span::styled("  client       ", BOLD), who, gap, Span::raw(" ")];
    spans.extend(view.client.iter().map(|cell| match (cell.by, cell.asked) {
        (_, 0) => Span::raw(" "),
        (None, _) => Span::styled("▁", BAD),
        (Some(member), asked) => {
            let glyph = if cell.answered * 5 >= asked * 4 { "█" } else { "▄" };
            Span::styled(glyph, Style::new().fg(colour(member)))
        }
    }));
    TextLine::from(spans)
}

fn member_line(row: &Row) -> TextLine<'_> {
    let own = Style::new().fg(colour(row.member));
    let name = format!("{} {:<4}", if row.selected { "▶" } else { " " }, row.member.to_string());
    let state = if row.well { Style::new() } else { BAD };
    let mut spans = vec![
        Span::raw(" "),
        Span::styled(name, if row.selected { own.add_modifier(Modifier::BOLD) } else { own }),
        Span::styled(format!("{:<20}", row.state), state),
        Span::styled(format!("{:<11} ", row.cable), BAD),
    ];
    spans.extend(row.cells.iter().map(|cell| match (cell.answers, cell.has_address) {
        (true, _) => Span::styled("█", own),
        (false, true) => Span::styled("░", own),
        (false, false) => Span::styled("·", DIM),
    }));
    TextLine::from(spans)
}

fn act_lines(lines: &[Line], room: usize) -> Vec<TextLine<'_>> {
    if lines.is_empty() {
        return vec![TextLine::styled(
            "  Select a member and press a key: c cuts its cable, k kills its daemon …",
            DIM,
        )];
    }
    let head = format!(
        "  {:>8}  {:<14} {:>11} {:>6} {:>12} {:>13}   {}",
        "at", "", "gap", "lost", "takeover", "two answered", "then answers"
    );
    let mut text = vec![TextLine::styled(head, DIM)];
    text.extend(lines.iter().rev().take(room).map(act_line));
    text
}

fn act_line(line: &Line) -> TextLine<'_> {
    let figures = &line.figures;
    let who = line.member.map_or_else(String::new, |member| member.to_string());
    let takeover = figures.takeover_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
    let two = Span::styled(
        format!("{:>10.0} ms   ", figures.dual_arp_ms),
        if figures.dual_arp_ms > 0.0 { BAD } else { Style::new() },
    );
    let after = match (&line.error, figures.holder_after) {
        (Some(error), _) => Span::styled(error.lines().next().unwrap_or_default().to_owned(), BAD),
        (None, Some(member)) => Span::styled(member.to_string(), Style::new().fg(colour(member))),
        (None, None) => Span::styled("nobody", BAD),
    };
    TextLine::from(vec![
        Span::styled(format!("  {:>6.1} s  ", line.at.as_secs_f64()), DIM),
        Span::styled(format!("{:<14}", format!("{} {who}", line.deed.name())), BOLD),
        Span::raw(format!(" {:>8.1} ms {:>6} {:>12} ", figures.gap_ms, figures.lost, takeover)),
        two,
        after,
    ])
}

fn key_line() -> TextLine<'static> {
    let keys = [
        ("↑↓", "select"),
        ("c", "cut"),
        ("b", "blackhole"),
        ("h", "heal"),
        ("k", "kill"),
        ("f", "freeze"),
        ("s", "stop"),
        ("r", "restart"),
        ("g", "give up"),
        ("q", "quit"),
    ];
    let mut spans = vec![Span::raw(" ")];
    for (key, does) in keys {
        spans.push(Span::styled(key, BOLD));
        spans.push(Span::styled(format!(" {does}  "), DIM));
    }
    TextLine::from(spans)
}

fn colour(member: Member) -> Color {
    COLOURS[member.index() % COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn shown(view: &View) -> String {
        let mut terminal = Terminal::new(TestBackend::new(110, 20)).unwrap();
        terminal.draw(|frame| draw(view, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y| (0..110).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..20).map(|y| row(y) + "\n").collect()
    }

    #[test]
    fn the_screen_shows_members_strips_and_acts() {
        let member = Member::new(1).unwrap();
        let heard = |answered| Heard { by: (answered > 0).then_some(member), asked: 50, answered };
        let did = |answers, has_address| Did { answers, has_address };
        let row = Row {
            member,
            selected: true,
            state: "holding".into(),
            well: true,
            cable: "cable cut",
            cells: vec![did(false, false), did(false, true), did(true, true)],
        };
        let figures = Figures { gap_ms: 151.2, lost: 150, takeover_ms: Some(152.0), ..Figures::default() };
        let line =
            Line { at: Duration::from_millis(1500), deed: Deed::Cut, member: Some(member), figures, error: None };
        let view = View {
            title: "a title".into(),
            term: Some(7),
            answers: Some(member),
            gap: 1.5,
            client: vec![heard(0), heard(10), heard(50)],
            rows: vec![row],
            lines: vec![line],
        };
        let text = shown(&view);
        for expected in [
            "a title",
            "m2 answers",
            "▁▄█",
            "▶ m2",
            "holding",
            "cable cut",
            "·░█",
            "term 7",
            "cut m2",
            "151.2 ms",
            "nobody",
        ] {
            assert!(text.contains(expected), "{expected} is missing in\n{text}");
        }
    }
}
