//! What may be kept waiting: looks at the devices, and renewals of the addresses, on a thread of their own.
//!
//! The kernel changes and shows devices and addresses under one lock for the whole machine. Whoever holds it (another
//! program's interfaces come or go, a container ends) may do so for longer than a short lease lasts; a thread that has
//! beacons to send must not stand in that queue. This thread's priority must be below the one that beacons are sent
//! with, for the kernel lets waiters spin; it is its maker's at the start.
//!
//! **Invariant:** an address that was taken off is not put back by a renewal that was under way: both happen under the
//! lock of [`Kept`]. **Invariant:** at most one look and one renewal wait; a further renewal is not needed, for the one
//! before it has not begun. **Invariant:** that the thread has ended is told, whatever is asked of it: nobody else renews
//! the address.

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
    /// None once the end was told.
    answers: Option<mpsc::Receiver<Answer>>,
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
    /// The thread has ended, and with it whatever it had to do.
    Ended,
}

/// The thread has ended; another one is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended;

enum Job {
    Look { changes: u64, wanted: Box<Wanted> },
    Renew,
}

impl Keeper {
    /// Starts the thread, for no addresses or for those that an earlier one kept.
    pub(super) fn start(kept: Kept) -> io::Result<Keeper> {
        let route = Route::open()?;
        let port = route.port();
        let (jobs, todo) = sync_channel(MAX_JOBS);
        let (answer, answers) = mpsc::channel(MAX_JOBS);
        let renewal = Arc::new(AtomicBool::new(false));
        let worker = Worker { route, kept: kept.clone(), renewal: Arc::clone(&renewal) };
        std::thread::Builder::new().name("keeper".into()).spawn(move || worker.work(&todo, &answer))?;
        Ok(Keeper { jobs, answers: Some(answers), kept, renewal, port })
    }

    /// Asks for a look at the devices; the one before must have been answered.
    ///
    /// # Errors
    /// When the thread has ended.
    pub(super) fn look(&self, changes: u64, wanted: &Wanted) -> Result<(), Ended> {
        self.jobs.try_send(Job::Look { changes, wanted: Box::new(wanted.clone()) }).map_err(|_| Ended)
    }

    /// Asks for new lifetimes for all addresses that are on.
    ///
    /// # Errors
    /// When the thread has ended.
    pub(super) fn renew(&self) -> Result<(), Ended> {
        if self.renewal.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.jobs.try_send(Job::Renew).map_err(|_| Ended)
    }

    /// The next answer. Cancel-safe.
    pub(super) async fn answer(&mut self) -> Answer {
        let Some(answers) = &mut self.answers else { return std::future::pending().await };
        if let Some(answer) = answers.recv().await {
            return answer;
        }
        self.answers = None;
        Answer::Ended
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;
    use crate::plan::Place;

    /// A keeper whose thread ends, for want of anybody who could ask it for more.
    fn ended() -> Keeper {
        let mut keeper = Keeper::start(Kept::default()).unwrap();
        (keeper.jobs, _) = sync_channel(MAX_JOBS);
        keeper
    }

    #[tokio::test]
    async fn a_thread_that_has_ended_is_told_of_once_and_owes_nothing() {
        let mut keeper = ended();
        assert_eq!(keeper.look(1, &fake::wanted()), Err(Ended));
        assert_eq!(keeper.renew(), Err(Ended));
        assert!(matches!(keeper.answer().await, Answer::Ended));
        let silence = tokio::time::timeout(std::time::Duration::from_millis(1), keeper.answer()).await;
        assert!(silence.is_err(), "the end is no news a second time");
    }

    #[tokio::test]
    async fn another_thread_takes_over_what_was_kept() {
        let kept = ended().kept;
        kept.lock().insert((7, Address { on: Place::Nic, ip: [127, 0, 0, 9].into(), prefix: 8, routed: false }));
        let mut keeper = Keeper::start(kept).unwrap();
        assert_eq!(keeper.kept.lock().len(), 1);
        assert_eq!(keeper.look(3, &fake::wanted()), Ok(()));
        assert!(matches!(keeper.answer().await, Answer::Looked { changes: 3, .. }));
    }
}
