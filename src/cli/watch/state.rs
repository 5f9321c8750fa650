//! What the live screen knows and does about it. Pure.

use std::collections::VecDeque;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::api::model::{Event, Status};

/// Events kept for the screen; no terminal is higher.
const MAX_EVENTS: usize = 500;

/// Something the screen is told.
#[derive(Debug)]
pub enum Input {
    /// The newest status.
    Status(Box<Status>),
    /// The stream of events has begun, with what the daemon still remembers.
    Connected,
    /// The next event of the stream.
    Event(Event),
    /// The daemon does not answer; why.
    Lost(String),
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// The daemon's answer to [`Action::GiveUp`]: a refusal's reason.
    GaveUp(Result<(), String>),
}

/// Something the screen wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask the daemon to hand the address over.
    GiveUp,
    /// Leave.
    Quit,
}

/// What lies over the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Nothing.
    None,
    /// What the screen means.
    Help,
    /// "Really hand the address over?"
    Confirm,
}

/// Everything the screen shows.
#[derive(Debug)]
pub struct State {
    /// The newest status, from before the daemon was lost if it is.
    pub status: Option<Box<Status>>,
    /// The last events, oldest first.
    pub events: VecDeque<Event>,
    /// Why the daemon does not answer, if it does not.
    pub lost: Option<String>,
    /// What became of the last command.
    pub said: Option<String>,
    /// What lies over the screen.
    pub overlay: Overlay,
    /// The next event is the first of a stream.
    first: bool,
}

impl State {
    /// Before anything is known.
    pub fn new() -> State {
        let (status, events, lost, said) = (None, VecDeque::new(), None, None);
        State { status, events, lost, said, overlay: Overlay::None, first: true }
    }

    /// Takes one input in; what it wants done, if anything.
    pub fn step(&mut self, input: Input) -> Option<Action> {
        match input {
            Input::Status(status) => {
                self.status = Some(status);
                self.lost = None;
            }
            Input::Connected => self.first = true,
            Input::Event(event) => self.remember(event),
            Input::Lost(why) => self.lost = Some(why),
            Input::Resized => {}
            Input::GaveUp(Ok(())) => self.said = Some("handed over".to_owned()),
            Input::GaveUp(Err(why)) => self.said = Some(format!("not handed over: {why}")),
            Input::Key(key) if key.kind != KeyEventKind::Release => return self.key(key),
            Input::Key(_) => {}
        }
        None
    }

    /// The changes of holder, newest first, one for each term: the event that knows the gap, else the first.
    pub fn takeovers(&self) -> Vec<&Event> {
        let mut takeovers: Vec<&Event> = Vec::new();
        let changes = |event: &&Event| matches!(event.kind.as_str(), "holder" | "takeover") || event.gap_ms.is_some();
        for event in self.events.iter().filter(changes) {
            match takeovers.iter_mut().find(|other| other.term == event.term) {
                Some(other) if other.gap_ms.is_none() && event.gap_ms.is_some() => *other = event,
                Some(_) => {}
                None => takeovers.push(event),
            }
        }
        takeovers.reverse();
        takeovers
    }

    fn remember(&mut self, event: Event) {
        if self.first {
            // A stream tells again what is remembered already; after a restart of the daemon it tells what is new.
            self.events.retain(|old| old.at_ms < event.at_ms);
            self.first = false;
        }
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn key(&mut self, key: KeyEvent) -> Option<Action> {
        let interrupted = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
        match (self.overlay, key.code) {
            _ if interrupted => return Some(Action::Quit),
            (Overlay::Confirm, KeyCode::Char('y')) => {
                self.overlay = Overlay::None;
                self.said = Some("handing over …".to_owned());
                return Some(Action::GiveUp);
            }
            (Overlay::Confirm | Overlay::Help, _) => self.overlay = Overlay::None,
            (Overlay::None, KeyCode::Char('q') | KeyCode::Esc) => return Some(Action::Quit),
            (Overlay::None, KeyCode::Char('g')) => self.overlay = Overlay::Confirm,
            (Overlay::None, KeyCode::Char('?' | 'h')) => self.overlay = Overlay::Help,
            (Overlay::None, _) => {}
        }
        None
    }
}
