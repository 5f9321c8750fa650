//! The live screen: the members, who answers, every gap, and keys to make trouble.
//!
//! Here are the terminal and the keys; `view` draws, `strip` turns what was seen into cells, both pure.
//! **Invariant:** the terminal is as it was when this ends, also when the outer process is killed.

mod strip;
mod view;

use std::time::Duration;

use anyhow::{Context, Result};
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use ratatui::DefaultTerminal;

use super::daemon::Life;
use super::deed::Deed;
use super::inside::orphaned;
use super::measure::Figures;
use super::member::Member;
use super::site::{Cable, Site};
use super::stage::Book;
use super::status::Statuses;
use super::story::{Act, Target};
use crate::clock;
use view::{Line, Row, View, draw};

/// Shows the site until somebody quits; what was done meanwhile.
///
/// # Errors
/// When the terminal cannot be used.
pub fn run(site: &mut Site, title: &str) -> Result<Book> {
    let members = site.lan().members().to_vec();
    let controls = members.iter().map(|member| Ok(site.seat(*member)?.file("control.sock"))).collect::<Result<_>>()?;
    let statuses = Statuses::watch(controls)?;
    let mut terminal = ratatui::try_init().context("cannot use the terminal")?;
    let selected = site.holder().map_or(0, Member::index);
    let screen = Screen { site, title, members, statuses, book: Book::open(), figures: Vec::new(), selected };
    let done = screen.show(&mut terminal);
    ratatui::try_restore().context("cannot give the terminal back")?;
    done
}

/// The screen is drawn this often.
const FRAME: Duration = Duration::from_millis(50);
/// What came of an act is watched this long, or until the next act.
const WATCH: Duration = Duration::from_secs(6);
/// The screen keeps book of this many acts; more do not fit one sitting.
const MAX_ACTS: usize = 10_000;

struct Screen<'a> {
    site: &'a mut Site,
    title: &'a str,
    members: Vec<Member>,
    statuses: Statuses,
    book: Book,
    /// What came of each act, so far.
    figures: Vec<Figures>,
    selected: usize,
}

impl Screen<'_> {
    fn show(mut self, terminal: &mut DefaultTerminal) -> Result<Book> {
        loop {
            self.measure();
            let view = self.view(terminal.size().map_or(80, |size| usize::from(size.width)));
            terminal.draw(|frame| draw(&view, frame)).context("drawing")?;
            if orphaned() {
                return Ok(self.book);
            }
            if poll(FRAME).context("waiting for a key")?
                && let Event::Key(key) = read().context("reading a key")?
                && key.kind == KeyEventKind::Press
                && !self.press(key)
            {
                return Ok(self.book);
            }
        }
    }

    /// Takes a key; false when it is the one to quit with.
    fn press(&mut self, key: KeyEvent) -> bool {
        let selected = self.members.get(self.selected).copied();
        let frozen = selected.is_some_and(|member| self.site.life(member) == Some(Life::Frozen));
        let deed = match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
            KeyCode::Up | KeyCode::BackTab => {
                self.selected = self.selected.checked_sub(1).unwrap_or(self.members.len() - 1);
                None
            }
            KeyCode::Down | KeyCode::Tab => {
                self.selected = (self.selected + 1) % self.members.len();
                None
            }
            KeyCode::Char(digit @ '1'..='9') => {
                let index = digit.to_digit(10).map_or(0, |digit| digit as usize - 1);
                self.selected = index.min(self.members.len() - 1);
                None
            }
            KeyCode::Char('k') => Some(Deed::Kill),
            KeyCode::Char('f') => Some(Deed::Freeze),
            KeyCode::Char('c') => Some(Deed::Cut),
            KeyCode::Char('b') => Some(Deed::Blackhole),
            KeyCode::Char('h') => Some(if frozen { Deed::Thaw } else { Deed::Heal }),
            KeyCode::Char('s') => Some(Deed::Stop),
            KeyCode::Char('r') => Some(Deed::Restart),
            KeyCode::Char('g') => Some(Deed::GiveUp),
            _ => None,
        };
        if let (Some(deed), Some(member)) = (deed, selected)
            && self.book.done().len() < MAX_ACTS
        {
            self.measure();
            let act = Act { say: String::new(), deed, to: Target::Member(member), watch: Duration::ZERO };
            self.book.act(self.site, &act, |_, _| ());
        }
        true
    }

    /// Brings the figures of the newest act up to date.
    fn measure(&mut self) {
        let now = clock::now();
        self.figures.resize(self.book.done().len(), Figures::default());
        if let (Some(done), Some(figures)) = (self.book.done().last(), self.figures.last_mut())
            && now.since(done.at) < WATCH
        {
            let end = (now - strip::ON_ITS_WAY).max(done.at);
            *figures = done.figures(&self.site.record(done.at - super::measure::BASE), end);
        }
    }

    fn view(&mut self, width: usize) -> View {
        let now = clock::now();
        let cells = width.saturating_sub(view::LABELS).clamp(1, strip::MAX_CELLS);
        let record = self.site.record(strip::begin(now, cells));
        let statuses = self.statuses.latest();
        let mut rows = Vec::new();
        for (index, member) in self.members.clone().into_iter().enumerate() {
            let status = statuses.get(index).and_then(Option::as_ref);
            let life = self.site.life(member);
            rows.push(Row {
                member,
                selected: index == self.selected,
                state: match life {
                    Some(Life::Frozen) => "frozen".to_owned(),
                    Some(Life::Killed(_)) => "killed".to_owned(),
                    Some(Life::Ended(0)) | None => "stopped".to_owned(),
                    Some(Life::Ended(code)) => format!("failed ({code})"),
                    Some(Life::Running) => status.map_or_else(|| "starting".to_owned(), |status| status.state.clone()),
                },
                well: life == Some(Life::Running),
                cable: match self.site.cable(member) {
                    Cable::Whole => "",
                    Cable::Cut => "cable cut",
                    Cable::Silent => "blackhole",
                },
                cells: strip::member(&record, member, (now, cells)),
            });
        }
        let lines = self.book.done().iter().zip(&self.figures).map(|(done, figures)| Line {
            at: done.at.since(self.book.begin),
            deed: done.act.deed,
            member: done.member,
            figures: *figures,
            error: done.error.clone(),
        });
        View {
            title: self.title.to_owned(),
            term: statuses.iter().flatten().map(|status| status.term).max(),
            answers: self.site.holder(),
            gap: strip::worst_gap(&record, now),
            client: strip::client(&record, (now, cells)),
            rows,
            lines: lines.collect(),
        }
    }
}
