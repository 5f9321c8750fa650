//! Carries the router over the control socket, within limits.
//!
//! One request a connection, a bounded number of connections, a bounded time for the request's head: a client that
//! dawdles or never closes costs a place, and never the daemon.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use super::socket::SocketFile;
use super::{Door, router};

/// Connections served at once; more wait in the kernel's backlog. Each costs a task and a 16 KiB buffer.
pub(super) const MAX_CONNECTIONS: usize = 64;
/// A request's head must have come within this time.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A request's head is at most this long; hyper answers 431 to a longer one.
const MAX_HEAD: usize = 16 * 1024;
/// What is under way when the daemon stops may take this long to end.
const GRACE: Duration = Duration::from_millis(500);
/// The pause after a failed accept: descriptors are short, and asking again at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How soon it is noticed that the socket's file, or its folder, was removed.
const LOOK: Duration = Duration::from_secs(1);

/// Answers on `listener` until `shutdown` is ready, lets requests under way end, and removes the socket's file. If
/// that is removed by somebody else, it is made again.
pub async fn serve(mut listener: UnixListener, door: Door, shutdown: impl Future<Output = ()>) {
    let mut file = SocketFile::of(&listener);
    let mut look = interval(LOOK);
    let service = TowerToHyperService::new(router(door));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        // Cancel-safe: a permit not yet used returns to the semaphore, and `accept` loses no connection.
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            _ = look.tick() => {
                if let Some(file) = &mut file && let Some(fresh) = file.restore().await {
                    listener = fresh;
                }
                continue;
            }
            accepted = accept(&listener, &places) => accepted,
        };
        if let Some((stream, place)) = accepted {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MAX_HEAD)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service.clone());
            connections.spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, "a client of the control socket went away");
                }
                drop(place);
            });
        }
    }
    // The file goes before the listener, else it could be the next daemon's by then.
    if let Some(file) = file {
        file.remove();
    }
    drop(listener);
    let _ = timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(listener: &UnixListener, places: &Arc<Semaphore>) -> Option<(UnixStream, Place)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "the control socket cannot accept a connection");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}
