//! Draws the live screen. Pure: the same state gives the same picture.

use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, Wrap};

use super::state::{Overlay, State};
use crate::api::model::{Event, Member, RoleName, Status};
use crate::cli::paint::{clean, moment};
use crate::cli::show;

/// Takeovers shown; more are among the events.
const TAKEOVERS: u16 = 5;
/// Troubles shown; `gatehouse status` has them all.
const TROUBLES: u16 = 6;

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Whether the terminal shows colours.
    pub colours: bool,
}

impl Look {
    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn good(self) -> Style {
        self.colour(Color::Green)
    }

    fn warn(self) -> Style {
        self.colour(Color::Yellow)
    }

    fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }
}

/// Draws `state`.
pub fn view(state: &State, look: Look, frame: &mut Frame<'_>) {
    let troubles = state.status.as_deref().map_or_else(Vec::new, troubles);
    let members = state.status.as_deref().map_or(&[][..], |status| &status.members);
    let framed = |lines: usize, most: u16| match u16::try_from(lines).unwrap_or(u16::MAX).min(most) {
        0 => 0,
        lines => lines + 2,
    };
    let [top, trouble, roster, takeovers, events, bottom] = Layout::vertical([
        Constraint::Length(4),
        Constraint::Length(framed(troubles.len(), TROUBLES)),
        Constraint::Length(framed(members.len() + 1, frame.area().height / 3)),
        Constraint::Length(TAKEOVERS + 2),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(summary(state, look), top);
    frame.render_widget(
        boxed("Needs a look", troubles.into_iter().map(|text| Line::styled(text, look.warn()))),
        trouble,
    );
    frame.render_widget(roster_table(members, look), roster);
    let happened: Vec<_> = state.takeovers().into_iter().map(|event| event_line(event, look)).collect();
    frame.render_widget(boxed("Last takeovers", happened), takeovers);
    let newest: Vec<_> = state.events.iter().rev().map(|event| event_line(event, look)).collect();
    frame.render_widget(boxed("Events, newest first", newest), events);
    frame.render_widget(keys(state), bottom);
    overlay(state, frame);
}

/// Who holds, and how this machine is.
fn summary(state: &State, look: Look) -> Paragraph<'static> {
    let mut lines = Vec::new();
    if let Some(why) = &state.lost {
        lines.push(Line::styled(format!("LOST THE DAEMON, still trying: {}", clean(why)), look.bad()));
    }
    match state.status.as_deref() {
        None => lines.push(Line::raw("waiting for the daemon …")),
        Some(status) => {
            let well = status.holder.is_some() && status.role != RoleName::Conflict;
            let style = if well { look.good().add_modifier(Modifier::BOLD) } else { look.bad() };
            lines.push(Line::styled(show::headline(status), style));
            lines.push(Line::raw(show::this_machine(status)));
            let outlook = show::outlook(status);
            lines.push(Line::styled(outlook.text, if outlook.well { Style::new() } else { look.warn() }));
        }
    }
    Paragraph::new(lines)
}

fn troubles(status: &Status) -> Vec<String> {
    let failing = status.checks.iter().filter(|check| !check.passing);
    let failing = failing.map(|check| format!("check {} fails: {}", clean(&check.name), clean(&check.detail)));
    status.warnings.iter().map(|text| clean(text)).chain(failing).collect()
}

fn roster_table(members: &[Member], look: Look) -> Table<'static> {
    let title = Row::new(show::MEMBER_COLUMNS).style(Style::new().add_modifier(Modifier::DIM));
    let rows = members.iter().map(|member| {
        let style = match member.role {
            _ if !member.healthy => look.warn(),
            RoleName::Holder => look.good(),
            RoleName::Conflict => look.bad(),
            RoleName::Standby | RoleName::Observer | RoleName::Probing => Style::new(),
        };
        Row::new(show::member_cells(member).map(Cell::from)).style(style)
    });
    let widths = [
        Constraint::Length(1),
        Constraint::Fill(3),
        Constraint::Length(8),
        Constraint::Fill(4),
        Constraint::Length(14),
        Constraint::Length(11),
        Constraint::Length(7),
    ];
    let block = Block::bordered().title(format!("Members ({})", members.len()));
    Table::new(rows, widths).header(title).column_spacing(2).block(block)
}

fn event_line(event: &Event, look: Look) -> Line<'static> {
    let style = match event.kind.as_str() {
        "stranger" | "missed" => look.bad(),
        "late-beacon" | "health" => look.warn(),
        _ => Style::new(),
    };
    let dim = Style::new().add_modifier(Modifier::DIM);
    // The date is of little use on a screen that somebody watches.
    let time = moment(event.at_ms).split_off("2026-11-22 ".len());
    Line::from(vec![
        Span::styled(time, dim),
        Span::styled(format!("  {}", clean(&event.text)), style),
        Span::styled(format!("  term {}", event.term), dim),
    ])
}

fn boxed<'a>(title: &'static str, lines: impl IntoIterator<Item = Line<'a>>) -> Paragraph<'a> {
    Paragraph::new(lines.into_iter().collect::<Vec<_>>()).block(Block::bordered().title(title))
}

fn keys(state: &State) -> Line<'static> {
    let said = state.said.as_ref().map_or(String::new(), |said| format!("   {}", clean(said)));
    Line::styled(format!("q quit   g give up   ? help{said}"), Style::new().add_modifier(Modifier::DIM))
}

const HELP: &str = "\
The first line says who answers for the DMZ address now.

Members: everyone this machine hears; * is this machine. IN
LINE is the order in which they take over. HEALTH is 100 when
all checks of a member pass.

Last takeovers: each change of the holder. A machine that took
over says how long it had heard nothing of the holder before;
the others only see who holds.

g hands the address to the next machine without losing a
request; this machine must be the holder.
                                             any key: back";

const CONFIRM: &str = "\
Hand the address to another machine?

This machine stays and becomes a standby.

y: hand over               any other key: no";

fn overlay(state: &State, frame: &mut Frame<'_>) {
    let (title, text) = match state.overlay {
        Overlay::None => return,
        Overlay::Help => ("Help", HELP),
        Overlay::Confirm => ("Give up", CONFIRM),
    };
    let longest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    let area = centred(frame.area(), longest(text) + 4, text.lines().count() + 2);
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(title).padding(ratatui::widgets::Padding::horizontal(1));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), area);
}

fn centred(area: Rect, width: usize, height: usize) -> Rect {
    let length = |length: usize| Constraint::Length(u16::try_from(length).unwrap_or(u16::MAX));
    let [row] = Layout::vertical([length(height)]).flex(Flex::Center).areas(area);
    let [middle] = Layout::horizontal([length(width)]).flex(Flex::Center).areas(row);
    middle
}
