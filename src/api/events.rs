//! The event stream: what is kept, then what happens, one JSON object a line.
//!
//! Readers are driven by the kept events alone: each remembers the last id it was given, and what it was too slow
//! for shows as a hole in the ids. **Invariant:** a reader that misses events is told so, and how many.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::IntoParams;

use super::model::Event;
use crate::clock;

/// What a reader wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Only events after this id. An id that has not been given yet is of an earlier run of the daemon: everything
    /// kept is sent.
    since: Option<u64>,
    /// At most this many of the events kept.
    last: Option<u64>,
    /// Stay, and send events as they happen.
    #[serde(default)]
    #[param(required = false)]
    follow: bool,
}

impl EventsQuery {
    /// Whether the reader stays.
    pub(super) fn follow(self) -> bool {
        self.follow
    }

    /// The id after which this reader starts, given what is kept.
    fn start(self, kept: &[Event]) -> u64 {
        let oldest = kept.first().map_or(0, |event| event.id.saturating_sub(1));
        let newest = kept.last().map_or(0, |event| event.id);
        let since = self.since.filter(|id| *id <= newest).unwrap_or(oldest);
        since.max(self.last.map_or(0, |count| newest.saturating_sub(count)))
    }
}

/// The stream for one reader. A follower's `place` is held until it leaves.
pub(super) fn body(
    mut history: watch::Receiver<Arc<Vec<Event>>>,
    query: EventsQuery,
    place: Option<OwnedSemaphorePermit>,
) -> Body {
    let kept = Arc::clone(&history.borrow_and_update());
    let last = query.start(&kept);
    let reader = Reader { history, last, ready: VecDeque::new(), follow: query.follow, _place: place };
    let reader = Reader { ready: after(&kept, last, clock::wall_millis()).into(), ..reader };
    Body::from_stream(stream::unfold(reader, |mut reader| async {
        let line = reader.next().await?;
        Some((Ok::<_, Infallible>(line), reader))
    }))
}

struct Reader {
    history: watch::Receiver<Arc<Vec<Event>>>,
    last: u64,
    ready: VecDeque<Event>,
    follow: bool,
    _place: Option<OwnedSemaphorePermit>,
}

impl Reader {
    /// The next line; none when there is nothing more to come.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last = event.id;
                let mut line = serde_json::to_vec(&event).ok()?;
                line.push(b'\n');
                return Some(line.into());
            }
            if !self.follow || self.history.changed().await.is_err() {
                return None;
            }
            let kept = Arc::clone(&self.history.borrow_and_update());
            self.ready = after(&kept, self.last, clock::wall_millis()).into();
        }
    }
}

/// The events after id `last`, headed by a `missed` event if some of them are no longer kept.
fn after(kept: &[Event], last: u64, now_ms: u64) -> Vec<Event> {
    let newer = kept.iter().filter(|event| event.id > last);
    let hole = newer.clone().next().and_then(|first| {
        let missed = first.id - last - 1;
        (missed > 0).then(|| Event {
            id: first.id - 1,
            at_ms: now_ms,
            kind: "missed".to_owned(),
            text: format!("{missed} events were missed: they came faster than they were read, or long ago"),
            term: first.term,
            gap_ms: None,
        })
    });
    hole.into_iter().chain(newer.cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ids: std::ops::RangeInclusive<u64>) -> Vec<Event> {
        let event = |id| Event { id, at_ms: 0, kind: "role".into(), text: String::new(), term: 1, gap_ms: None };
        ids.map(event).collect()
    }

    fn ids(events: &[Event]) -> Vec<u64> {
        events.iter().map(|event| event.id).collect()
    }

    #[test]
    fn a_reader_gets_everything_once() {
        assert_eq!(ids(&after(&kept(1..=4), 0, 9)), [1, 2, 3, 4]);
        assert_eq!(ids(&after(&kept(1..=4), 3, 9)), [4]);
        assert!(after(&kept(1..=4), 4, 9).is_empty());
        assert!(after(&[], 0, 9).is_empty());
    }

    #[test]
    fn a_reader_that_missed_events_is_told_how_many() {
        let events = after(&kept(8..=9), 2, 9);
        assert_eq!(ids(&events), [7, 8, 9], "the place of the hole lets `since` go on after it");
        assert_eq!((events[0].kind.as_str(), events[0].at_ms), ("missed", 9));
        assert!(events[0].text.starts_with("5 events"), "{}", events[0].text);
    }

    #[test]
    fn a_reader_starts_where_it_asked() {
        let query = |since, last| EventsQuery { since, last, follow: false };
        let kept = kept(5..=9);
        assert_eq!(query(None, None).start(&kept), 4, "everything kept, and nothing called missed");
        assert_eq!(query(Some(7), None).start(&kept), 7);
        assert_eq!(query(Some(1), None).start(&kept), 1);
        assert_eq!(query(Some(70), None).start(&kept), 4, "an id of an earlier run");
        assert_eq!(query(None, Some(2)).start(&kept), 7);
        assert_eq!(query(None, Some(0)).start(&kept), 9);
        assert_eq!(query(Some(8), Some(4)).start(&kept), 8);
        assert_eq!(query(None, None).start(&[]), 0);
    }
}
