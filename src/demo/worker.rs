//! A thread inside a machine: started with its sockets ready, stopped and joined when dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use rustix::time::Timespec;

use super::net::{Machine, move_into};

/// How long a worker may wait before it looks at its [`Stop`] again.
pub const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Tells a worker that it is over.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether it is over.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A running thread; dropping it stops and joins it.
#[derive(Debug)]
pub struct Worker {
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Moves a new thread into a machine, lets it `prepare` there, and then `work` until it is told to stop.
    ///
    /// # Errors
    /// When the machine cannot be entered, or what `prepare` says.
    pub fn start<S: 'static>(
        machine: Machine,
        prepare: impl FnOnce() -> Result<S> + Send + 'static,
        work: impl FnOnce(S, &Stop) + Send + 'static,
    ) -> Result<Worker> {
        let stop = Stop::default();
        let (report, prepared) = sync_channel(1);
        let body = {
            let stop = stop.clone();
            move || match move_into(machine).and_then(|()| prepare()) {
                Ok(state) => {
                    let _ = report.send(Ok(()));
                    work(state, &stop);
                }
                Err(error) => {
                    let _ = report.send(Err(error));
                }
            }
        };
        let thread = std::thread::Builder::new().name(machine.name()).spawn(body).context("a thread")?;
        let worker = Worker { stop, thread: Some(thread) };
        prepared.recv().context("a thread that did not report")??;
        Ok(worker)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
