//! What happened, as the API keeps it: the last events, numbered.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::watch;

use crate::api::model::Event;
use crate::clock;

/// Events that are kept for readers that come later.
const KEPT: usize = 512;

/// Something that people may want to know.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub text: String,
    pub bad: bool,
}

impl Told {
    pub(super) fn good(text: impl Into<String>) -> Told {
        Told { text: text.into(), bad: false }
    }

    pub(super) fn bad(text: impl Into<String>) -> Told {
        Told { text: text.into(), bad: true }
    }
}

/// The last events.
pub(super) struct History {
    next: u64,
    events: VecDeque<Event>,
    published: watch::Sender<Arc<Vec<Event>>>,
}

impl History {
    /// Nothing has happened yet.
    pub(super) fn new() -> History {
        History { next: 1, events: VecDeque::new(), published: watch::channel(Arc::default()).0 }
    }

    /// For readers.
    pub(super) fn seen(&self) -> watch::Receiver<Arc<Vec<Event>>> {
        self.published.subscribe()
    }

    /// Logs what happened just now, and keeps it.
    pub(super) fn tell(&mut self, kind: &str, Told { text, bad }: Told, term: u64) {
        if bad {
            tracing::warn!("{text}");
        } else {
            tracing::info!("{text}");
        }
        self.keep(Event { id: 0, at_ms: clock::wall_millis(), kind: kind.into(), text, term, gap_ms: None });
    }

    /// Keeps an event under the next number.
    pub(super) fn keep(&mut self, mut event: Event) {
        event.id = self.next;
        self.next += 1;
        self.events.push_back(event);
        if self.events.len() > KEPT {
            self.events.pop_front();
        }
        self.published.send_replace(Arc::new(self.events.iter().cloned().collect()));
    }
}
