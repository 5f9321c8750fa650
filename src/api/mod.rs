//! The one door for people and scripts.

pub mod model;

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc, oneshot, watch};

use model::{Counters, Event, Refusal, Status};

/// What the daemon publishes and takes: everything the API needs of it.
#[derive(Clone, Debug)]
pub struct Door {
    /// The newest status; always there.
    pub status: watch::Receiver<Arc<Status>>,
    /// The newest counts.
    pub counters: watch::Receiver<Counters>,
    /// Events as they happen; a slow reader is told how many it missed.
    pub events: broadcast::Sender<Event>,
    /// The last events, oldest first.
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
