//! Requests that take time, and the way back of their answers.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::extras::Extras;
use crate::server::Client;

/// Requests of one connection that take time, at once; the next one is read when one of them is answered.
const MAX_JOBS: usize = 64;
/// Messages that wait to be sent by one connection.
const MAX_WAITING: usize = 4;

/// A request that takes time.
#[derive(Debug)]
pub struct StreamJob {
    /// As it came.
    pub octets: Vec<u8>,
    /// Who asks.
    pub client: Client,
    /// The way back.
    pub reply: Reply,
}

/// The way back: for one message, or for one after the other. Dropped, the request is done; without any message it stays
/// unanswered. Sending waits for the client, so it is nothing for whoever takes the jobs of all.
#[derive(Debug)]
pub struct Reply {
    to: mpsc::Sender<Vec<u8>>,
    extras: Extras,
    _permit: OwnedSemaphorePermit,
}

/// The connection has ended: nobody waits for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client is gone")]
pub struct Gone;

impl Reply {
    /// Sends a message, when the client has taken those before.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send(&self, mut message: Vec<u8>) -> Result<(), Gone> {
        self.extras.add(&mut message, 0);
        self.to.send(message).await.map_err(|_| Gone)
    }
}

/// The ways back to one connection, made when the first is needed.
#[derive(Debug)]
pub(super) struct Replies {
    /// Kept as long as there may be more jobs.
    to: Option<mpsc::Sender<Vec<u8>>>,
    from: mpsc::Receiver<Vec<u8>>,
    permits: Arc<Semaphore>,
}

impl Replies {
    pub(super) fn new() -> Self {
        let (to, from) = mpsc::channel(MAX_WAITING);
        Self { to: Some(to), from, permits: Arc::new(Semaphore::new(MAX_JOBS)) }
    }

    /// A way back, when there are not too many; nothing after [`Self::close`].
    pub(super) fn reply(&self, extras: Extras) -> impl Future<Output = Option<Reply>> + use<> {
        let (to, permit) = (self.to.clone(), Arc::clone(&self.permits).acquire_owned());
        async move { Some(Reply { to: to?, extras, _permit: permit.await.ok()? }) }
    }

    /// Whether there is a job that is not done.
    pub(super) fn is_waiting(&self) -> bool {
        self.permits.available_permits() < MAX_JOBS
    }

    /// There will be no more jobs: [`Self::next`] ends when those there are have ended.
    pub(super) fn close(&mut self) {
        self.to = None;
    }

    /// The next message; without [`Self::close`] it is waited for for ever.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        self.from.recv().await
    }

    /// The next message if it is there.
    pub(super) fn try_next(&mut self) -> Option<Vec<u8>> {
        self.from.try_recv().ok()
    }
}
