//! What may be kept waiting: looks at the devices, and renewals of the addresses, on a thread of their own.
//!
//! The kernel changes and shows devices and addresses under one lock for the whole machine. Whoever holds it (another
//! program's interfaces come or go, a container ends) may do so for longer than a short lease lasts; a thread that has
//! beacons to send must not stand in that queue. This thread's priority must be below the one that beacons are sent
//! with, for the kernel lets waiters spin; it is its maker's at the start.
//!
//! **Invariant:** an address that was taken off is not put back by a renewal that was under way: both happen under the
//! lock of [`Kept`]. **Invariant:** at most one look and one renewal wait; a further renewal is not needed, for the one
//! before it has not begun.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::Wanted;
use crate::plan::{Address, Seen};
use crate::route::Route;
use crate::seen::{SeeError, see_devices};

/// A look and a renewal.
const MAX_JOBS: usize = 2;

/// The addresses that are on this machine, with their devices' indices; locked by whoever puts one on or takes one off.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept(Arc<Mutex<BTreeSet<(u32, Address)>>>);

impl Kept {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeSet<(u32, Address)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread, and the way to it; dropping it ends the thread after its last job.
pub(super) struct Keeper {
    jobs: SyncSender<Job>,
    answers: mpsc::Receiver<Answer>,
    pub(super) kept: Kept,
    /// A renewal waits.
    renewal: Arc<AtomicBool>,
    /// The port that its changes are notified with.
    pub(super) port: u32,
}

/// What came of a job.
pub(super) enum Answer {
    /// The devices as they were when the machine had been changed this often.
    Looked { changes: u64, devices: Result<Seen, SeeError> },
    /// An address could not be renewed.
    NotRenewed(io::Error),
}

enum Job {
    Look { changes: u64, wanted: Box<Wanted> },
    Renew,
}

impl Keeper {
    pub(super) fn start() -> io::Result<Keeper> {
        let route = Route::open()?;
        let port = route.port();
        let (jobs, todo) = sync_channel(MAX_JOBS);
        let (answer, answers) = mpsc::channel(MAX_JOBS);
        let kept = Kept::default();
        let renewal = Arc::new(AtomicBool::new(false));
        let worker = Worker { route, kept: kept.clone(), renewal: Arc::clone(&renewal) };
        std::thread::Builder::new().name("keeper".into()).spawn(move || worker.work(&todo, &answer))?;
        Ok(Keeper { jobs, answers, kept, renewal, port })
    }

    /// Asks for a look at the devices; the one before must have been answered.
    pub(super) fn look(&self, changes: u64, wanted: &Wanted) {
        let _ = self.jobs.try_send(Job::Look { changes, wanted: Box::new(wanted.clone()) });
    }

    /// Asks for new lifetimes for all addresses that are on.
    pub(super) fn renew(&self) {
        if !self.renewal.swap(true, Ordering::Relaxed) {
            let _ = self.jobs.try_send(Job::Renew);
        }
    }

    /// The next answer. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

struct Worker {
    route: Route,
    kept: Kept,
    renewal: Arc<AtomicBool>,
}

impl Worker {
    fn work(mut self, todo: &Receiver<Job>, answer: &mpsc::Sender<Answer>) {
        while let Ok(job) = todo.recv() {
            let done = match job {
                Job::Look { changes, wanted } => {
                    Some(Answer::Looked { changes, devices: see_devices(&mut self.route, &wanted) })
                }
                Job::Renew => self.renew().err().map(Answer::NotRenewed),
            };
            if let Some(done) = done
                && answer.blocking_send(done).is_err()
            {
                return;
            }
        }
    }

    fn renew(&mut self) -> io::Result<()> {
        self.renewal.store(false, Ordering::Relaxed);
        let kept = self.kept.lock();
        kept.iter().try_for_each(|(index, address)| self.route.put_address(*index, address))
    }
}
