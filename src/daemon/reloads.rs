//! Wishes that the configuration be read again, and who waits to hear what became of them.
//!
//! One is carried out at a time: read, on a thread that may wait for the disk, then taken over by the daemon, which says
//! when that is done. All that come meanwhile are one more, so what is in force in the end is the newest file. The start
//! counts as the first.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::api::model::Refusal;
use crate::notify::{Notice, notify};

/// Who asked through the API hears it here.
pub(super) type Reply = oneshot::Sender<Result<(), Refusal>>;

/// Reloads of a configuration that is read as a `T`.
pub(super) struct Reloads<T> {
    read: Arc<dyn Fn() -> Result<T, Refusal> + Send + Sync>,
    stage: Stage<T>,
    /// Who waits for the one under way.
    now: Askers,
    /// Who came later.
    next: Askers,
}

enum Stage<T> {
    Starting,
    Resting,
    Reading(JoinHandle<Result<T, Refusal>>),
    TakingOver,
}

#[derive(Default)]
struct Askers {
    /// Bounded by the connections of the API: who has left is forgotten.
    replies: Vec<Reply>,
    /// Whether the service manager asked, by a signal.
    manager: bool,
}

impl<T: Send + 'static> Reloads<T> {
    /// The daemon starts. `read` may take as long as the disk.
    pub(super) fn new(read: impl Fn() -> Result<T, Refusal> + Send + Sync + 'static) -> Reloads<T> {
        let (now, next) = (Askers::default(), Askers::default());
        Reloads { read: Arc::new(read), stage: Stage::Starting, now, next }
    }

    /// Somebody at the control socket asks.
    pub(super) fn ask(&mut self, reply: Reply) {
        self.next.replies.retain(|reply| !reply.is_closed());
        self.next.replies.push(reply);
        self.begin();
    }

    /// The service manager asks.
    pub(super) fn ask_by_signal(&mut self) {
        notify(Notice::Reloading);
        self.next.manager = true;
        self.begin();
    }

    /// What was read; then [`Self::finish`] is due. Cancel-safe.
    pub(super) async fn read(&mut self) -> Result<T, Refusal> {
        let Stage::Reading(task) = &mut self.stage else { return std::future::pending().await };
        let read = task.await.unwrap_or_else(|error| Err(not_used("failed", error)));
        self.stage = Stage::TakingOver;
        read
    }

    /// Whether the first configuration is still being taken over.
    pub(super) fn is_start(&self) -> bool {
        matches!(self.stage, Stage::Starting)
    }

    /// Says what became of the one under way, with the daemon in one line, and begins the next one.
    pub(super) fn finish(&mut self, done: Result<(), Refusal>, line: &str) {
        let Askers { replies, manager } = std::mem::take(&mut self.now);
        for reply in replies {
            let _ = reply.send(done.clone());
        }
        if manager {
            notify(Notice::Ready(line));
        }
        self.stage = Stage::Resting;
        self.begin();
    }

    /// The daemon ends: nobody waits in vain.
    pub(super) fn give_up(&mut self) {
        (self.now, self.next) = Default::default();
    }

    fn begin(&mut self) {
        let is_wanted = self.next.manager || !self.next.replies.is_empty();
        if is_wanted && matches!(self.stage, Stage::Resting) {
            self.now = std::mem::take(&mut self.next);
            let read = Arc::clone(&self.read);
            self.stage = Stage::Reading(tokio::task::spawn_blocking(move || read()));
        }
    }
}

/// What cannot change while a daemon runs.
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    pub state: PathBuf,
    pub control: PathBuf,
}

impl Fixed {
    /// # Errors
    /// When a new configuration has it otherwise.
    pub(super) fn check(&self, state: &Path, control: &Path) -> Result<(), Refusal> {
        let both = [("state", self.state == state), ("control", self.control == control)];
        let changed = both.iter().find(|(_, is_same)| !is_same);
        changed.map_or(Ok(()), |(key, _)| {
            Err(not_used("restart-needed", format!("`{key}` cannot change while the daemon runs: restart it")))
        })
    }
}

/// The refusal of a configuration that changed nothing.
pub(super) fn not_used(error: &str, why: impl Display) -> Refusal {
    Refusal { error: error.into(), message: format!("the new configuration is not used, the old one goes on: {why}") }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn refusal() -> Refusal {
        not_used("failed", "no")
    }

    #[tokio::test]
    async fn those_that_come_while_one_is_under_way_are_one_more() {
        let (tick, ticks) = mpsc::channel();
        let mut reloads = Reloads::new(move || {
            tick.send(()).unwrap();
            Ok(())
        });
        let ask = |reloads: &mut Reloads<()>| {
            let (reply, answer) = oneshot::channel();
            reloads.ask(reply);
            answer
        };
        let (first, second) = (ask(&mut reloads), ask(&mut reloads));
        assert!(reloads.is_start() && ticks.try_recv().is_err(), "nothing is read during the start");
        reloads.finish(Ok(()), "");
        reloads.read().await.unwrap();
        let third = ask(&mut reloads);
        reloads.finish(Err(refusal()), "");
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Err(refusal()), Err(refusal())));
        reloads.read().await.unwrap();
        reloads.finish(Ok(()), "");
        assert_eq!(third.await.unwrap(), Ok(()));
        assert_eq!(ticks.try_iter().count(), 2);
    }

    #[tokio::test]
    async fn nobody_waits_for_a_daemon_that_ends() {
        let mut reloads = Reloads::new(|| Ok(()));
        let (reply, answer) = oneshot::channel();
        reloads.ask(reply);
        reloads.give_up();
        assert!(answer.await.is_err());
    }

    #[test]
    fn what_is_fixed_needs_a_restart() {
        let fixed = Fixed { state: "/a".into(), control: "/b".into() };
        assert!(fixed.check(Path::new("/a"), Path::new("/b")).is_ok());
        let refused = fixed.check(Path::new("/a"), Path::new("/c")).unwrap_err();
        assert!(refused.error == "restart-needed" && refused.message.contains("`control`"), "{refused:?}");
    }
}
