//! The one door for people and scripts: HTTP on a Unix socket.
//!
//! The daemon publishes into a [`Door`] and takes [`Command`]s from it; [`router()`] answers from it, [`bind`] and
//! [`serve`] put that on a socket. The command line and every other face come in here, so whatever they can do, a
//! script can do. `openapi.json` beside this file describes it; a test holds the two together.
//!
//! **Invariant:** nothing here waits for the daemon except a command that asks for an answer, and the daemon never
//! waits for anything here: a reader that is too slow misses events and is told how many.

pub mod dns;
mod events;
mod metrics;
pub mod model;
mod openapi;
mod router;
mod server;
mod socket;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use self::dns::DnsDoor;
use model::{Event, Refusal, Status};
pub use router::router;
pub use server::serve;
pub use socket::{BindError, bind};

/// What the daemon publishes and takes: everything the API needs of it.
#[derive(Clone)]
pub struct Door {
    /// The newest status of the site; none where DNS is served without one.
    pub status: Option<watch::Receiver<Arc<Status>>>,
    /// The DNS server, while the configuration has one.
    pub dns: watch::Receiver<Option<DnsDoor>>,
    /// The last events, oldest first, with ids that follow each other. Also how readers hear of new ones: the ids
    /// tell a slow one how many it missed.
    pub history: watch::Receiver<Arc<Vec<Event>>>,
    /// Requests to the daemon.
    pub commands: mpsc::Sender<Command>,
}

/// A request to the daemon.
#[derive(Debug)]
pub enum Command {
    /// Hand the address over and stay; answered when it is done or refused.
    GiveUp(oneshot::Sender<Result<(), Refusal>>),
    /// Read the configuration again.
    Reload(oneshot::Sender<Result<(), Refusal>>),
}
