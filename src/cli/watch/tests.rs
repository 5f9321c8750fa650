//! What somebody sees and what keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::state::{Action, Input, Overlay, State};
use super::view::{Look, view};
use crate::api::model::{CheckStatus, Event, Status};
use crate::cli::fixture::standby;

fn status() -> Status {
    let mut status = standby();
    status.members.retain(|member| member.healthy);
    status.checks = vec![CheckStatus { name: "web".into(), passing: false, detail: "refused".into(), took_ms: 2 }];
    status.warnings = vec!["no real-time priority".into()];
    status
}

fn event(id: u64, kind: &str, gap_ms: Option<f64>) -> Event {
    let (at_ms, text) = (1_709_251_199_000 + id, format!("{kind} {id}"));
    Event { id, at_ms, kind: kind.into(), text, term: id / 2, gap_ms }
}

fn shown() -> State {
    let mut state = State::new();
    state.step(Input::Status(Box::new(status())));
    state.step(Input::Connected);
    for happened in [event(22, "joined", None), event(24, "takeover", Some(187.52)), event(25, "holder", None)] {
        state.step(Input::Event(happened));
    }
    state
}

fn press(state: &mut State, code: KeyCode) -> Option<Action> {
    state.step(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

/// The screen as text, spaces at the ends of lines removed.
fn screen(state: &State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    terminal.draw(|frame| view(state, Look { colours: false }, frame)).expect("drawn");
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(usize::from(width));
    let line = |row: &[ratatui::buffer::Cell]| row.iter().map(|cell| cell.symbol()).collect::<String>();
    rows.map(|row| line(row).trim_end().to_owned() + "\n").collect()
}

#[test]
fn the_screen_of_a_site_with_small_troubles() {
    let expected = "\
garage holds 192.168.1.11 (since 2 h 5 min ago, term 12)
this machine is attic: standby on eth0, health 100, up 1 min 30 s
this machine takes over if the holder fails

┌Needs a look────────────────────────────────────────────────────────────────────────────┐
│no real-time priority                                                                   │
│check web fails: refused                                                                │
└────────────────────────────────────────────────────────────────────────────────────────┘
┌Members (2)─────────────────────────────────────────────────────────────────────────────┐
│   NAME             ROLE      ADDRESS               HEARD           HEALTH       IN LINE│
│*  attic            standby   192.168.1.25          this one        100          1      │
│   garage           holder    192.168.1.26          42 ms ago       100                 │
└────────────────────────────────────────────────────────────────────────────────────────┘
┌Last takeovers──────────────────────────────────────────────────────────────────────────┐
│23:59:59.024Z  takeover 24  term 12                                                     │
│                                                                                        │
│                                                                                        │
│                                                                                        │
│                                                                                        │
└────────────────────────────────────────────────────────────────────────────────────────┘
┌Events, newest first────────────────────────────────────────────────────────────────────┐
│23:59:59.025Z  holder 25  term 12                                                       │
│23:59:59.024Z  takeover 24  term 12                                                     │
│23:59:59.022Z  joined 22  term 11                                                       │
│                                                                                        │
│                                                                                        │
└────────────────────────────────────────────────────────────────────────────────────────┘
q quit   g give up   ? help
";
    assert_eq!(screen(&shown(), 90, 28), expected);
}

#[test]
fn a_lost_daemon_is_said_and_the_last_picture_stays() {
    let mut state = shown();
    state.step(Input::Lost("no gatehouse daemon answers".into()));
    let lost = screen(&state, 90, 28);
    assert!(lost.starts_with("LOST THE DAEMON, still trying: no gatehouse daemon answers\ngarage holds"), "{lost}");
    state.step(Input::Status(Box::new(status())));
    assert_eq!(screen(&state, 90, 28), screen(&shown(), 90, 28));
}

#[test]
fn giving_up_asks_first() {
    let mut state = shown();
    assert_eq!(press(&mut state, KeyCode::Char('g')), None);
    assert!(screen(&state, 90, 28).contains("Hand the address to another machine?"));
    assert_eq!(press(&mut state, KeyCode::Char('n')), None);
    assert_eq!(state.overlay, Overlay::None);
    assert_eq!(press(&mut state, KeyCode::Char('y')), None, "only an answer to the question counts");
    press(&mut state, KeyCode::Char('g'));
    assert_eq!(press(&mut state, KeyCode::Char('y')), Some(Action::GiveUp));
    state.step(Input::GaveUp(Err("this machine does not hold".into())));
    assert!(screen(&state, 90, 28).ends_with("not handed over: this machine does not hold\n"));
}

#[test]
fn keys_quit_and_explain() {
    let mut state = shown();
    assert_eq!(press(&mut state, KeyCode::Char('?')), None);
    assert!(screen(&state, 90, 28).contains("Last takeovers: each change"));
    assert_eq!(press(&mut state, KeyCode::Char('q')), None, "any key leads back from the help");
    assert_eq!(press(&mut state, KeyCode::Char('q')), Some(Action::Quit));
    let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(shown().step(Input::Key(interrupt)), Some(Action::Quit));
}

#[test]
fn a_takeover_is_listed_once_with_its_gap() {
    let listed = |state: &State| state.takeovers().iter().map(|event| event.id).collect::<Vec<_>>();
    let mut state = shown();
    assert_eq!(listed(&state), [24]);
    state.step(Input::Event(event(26, "holder", None)));
    state.step(Input::Event(event(27, "holder", None)));
    assert_eq!(listed(&state), [26, 24], "that the holder of a term is lost later is no takeover");
}

#[test]
fn a_stream_that_begins_again_repeats_nothing() {
    let mut state = shown();
    let before = screen(&state, 90, 28);
    state.step(Input::Connected);
    for happened in [event(22, "joined", None), event(24, "takeover", Some(187.52)), event(25, "holder", None)] {
        state.step(Input::Event(happened));
    }
    assert_eq!(screen(&state, 90, 28), before);
    state.step(Input::Connected);
    state.step(Input::Event(Event { id: 1, ..event(40, "role", None) }));
    assert_eq!(state.events.len(), 4, "a restarted daemon counts from 1; what it told before stays");
}

#[test]
fn no_terminal_is_too_small() {
    for (width, height) in [(1, 1), (10, 3), (40, 9), (300, 100)] {
        let mut state = shown();
        press(&mut state, KeyCode::Char('?'));
        screen(&state, width, height);
    }
}
