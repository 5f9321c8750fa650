//! Where the DNS server's slow work runs: updates, transfers, connections.
//!
//! Its threads are apart from the daemon's own, and nicer than those that answer queries over UDP: on a busy core a query
//! then does not wait until an update has had its turn.

use std::io;

use rustix::process::nice;
use tokio::runtime::{Builder, Handle, Runtime};

/// How much nicer. A core that all threads want gives these about a quarter.
const NICER: i32 = 5;
/// Threads for what never waits for the disk.
const WORKERS: usize = 2;
/// Threads for what does: one for each zone that changes at the moment, and its snapshots.
const MAX_BLOCKING: usize = 16;

/// The threads. They end when this is dropped, without being waited for.
pub(super) struct Background {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Background {
    /// Starts them.
    ///
    /// # Errors
    /// When the system gives us no more threads.
    pub(super) fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(WORKERS).max_blocking_threads(MAX_BLOCKING).thread_name("dns work").enable_all();
        // Whoever is refused this is no less right, only less quick.
        let be_nicer = || {
            let _ = nice(NICER);
        };
        let runtime = builder.on_thread_start(be_nicer).build()?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// For handing work in.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn its_threads_are_nicer_than_whoever_starts_them() {
        let background = Background::start().expect("threads");
        let mine = nice(0).expect("a priority");
        let theirs = background.handle().spawn_blocking(|| nice(0)).await.expect("not cancelled");
        assert_eq!(theirs, Ok((mine + NICER).min(19)));
        assert_eq!(background.handle().spawn(async { nice(0) }).await.expect("not cancelled"), theirs);
    }
}
