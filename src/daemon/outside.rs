//! What reaches a daemon from outside: signals, and requests at the control socket.

use std::io;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::api::{self, Door};

/// What is being answered when the daemon ends may take this long.
const LAST_ANSWERS: Duration = Duration::from_millis(200);

/// The signals that mean something.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGTERM, or Ctrl-C.
    End,
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// From now on none of them ends the daemon half-way.
    pub(super) fn catch() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::End,
            _ = self.interrupt.recv() => Wish::End,
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }
}

/// The API while it is served, by a task of its own.
pub(super) struct Served {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Served {
    pub(super) fn start(listener: UnixListener, door: Door) -> Served {
        let (end, ended) = oneshot::channel::<()>();
        let task = tokio::spawn(api::serve(listener, door, async {
            let _ = ended.await;
        }));
        Served { end, task }
    }

    /// Takes no more requests, and removes the socket.
    pub(super) async fn end(self) {
        let _ = self.end.send(());
        let _ = tokio::time::timeout(LAST_ANSWERS, self.task).await;
    }
}
