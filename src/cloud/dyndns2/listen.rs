//! The sockets of the endpoint, plain or with TLS, within limits.
//!
//! A connection carries one request; their number, the time for a handshake, a head and a request, and a head's length are
//! bounded, so that a client that dawdles costs a place and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use dns::server::streams::{CertificateError, TlsAcceptor, acceptor, listener};
use dns::settings::Tls;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{Names, router};
use crate::config::Dyndns;

/// Connections at once on all sockets; more wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 64;
/// A TLS handshake is done within this time.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A request's head has come within this time.
const HEAD: Duration = Duration::from_secs(5);
/// A connection ends after this, whatever it waits for.
const WHOLE: Duration = Duration::from_secs(30);
/// A request's head is at most this long; hyper answers 431 to a longer one.
const MAX_HEAD: usize = 16 * 1024;
/// The pause after a failed accept: descriptors are short, and asking again at once would only burn the CPU.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The endpoint: its sockets, and what they answer with; dropping it ends it.
pub struct Endpoint {
    /// By what they were told to listen on.
    listeners: BTreeMap<SocketAddr, Listener>,
    places: Arc<Semaphore>,
}

struct Listener {
    /// With the true port.
    bound: SocketAddr,
    service: watch::Sender<Service>,
    task: JoinSet<()>,
}

/// What a connection is answered with.
#[derive(Clone)]
struct Service {
    tls: Option<TlsAcceptor>,
    router: Router,
}

/// What [`Endpoint::prepare`] has opened. Dropped, it is closed again.
pub struct Prepared {
    wanted: BTreeSet<SocketAddr>,
    new: BTreeMap<SocketAddr, TcpListener>,
    tls: Option<TlsAcceptor>,
}

/// Why the endpoint cannot be what the settings say. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket cannot be made.
    #[error("cannot listen on {0} for dyndns2")]
    Listen(SocketAddr, #[source] io::Error),
    /// The certificate.
    #[error("cannot use the certificate for dyndns2")]
    Certificate(#[from] CertificateError),
}

impl Default for Endpoint {
    /// It listens nowhere.
    fn default() -> Self {
        Self { listeners: BTreeMap::new(), places: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }
}

impl Endpoint {
    /// Opens what is wanted and not open, and reads the certificate of encrypted DNS, if it is to be used here too.
    ///
    /// # Errors
    /// When a socket or the certificate cannot be used.
    pub fn prepare(&self, settings: &Dyndns, tls: Option<&Tls>) -> Result<Prepared, StartError> {
        let tls = tls.filter(|_| settings.tls).map(acceptor).transpose()?;
        let wanted: BTreeSet<_> = settings.listen.iter().copied().collect();
        let mut new = BTreeMap::new();
        for &address in wanted.iter().filter(|address| !self.listeners.contains_key(address)) {
            let listener = listener(address).and_then(TcpListener::from_std);
            new.insert(address, listener.map_err(|error| StartError::Listen(address, error))?);
        }
        Ok(Prepared { wanted, new, tls })
    }

    /// Goes on with what was prepared, and answers from `names`. Sockets that stay lose no connection; requests at those
    /// that go are cut off.
    pub async fn apply(&mut self, Prepared { wanted, new, tls }: Prepared, names: Names) {
        let gone: Vec<_> = self.listeners.keys().filter(|address| !wanted.contains(address)).copied().collect();
        for mut listener in gone.into_iter().filter_map(|address| self.listeners.remove(&address)) {
            listener.task.shutdown().await;
        }
        let service = Service { tls, router: router(names) };
        for listener in self.listeners.values() {
            listener.service.send_replace(service.clone());
        }
        for (address, listener) in new {
            let bound = listener.local_addr().unwrap_or(address);
            let (sender, shown) = watch::channel(service.clone());
            let mut task = JoinSet::new();
            task.spawn(accept(listener, shown, self.places.clone()));
            self.listeners.insert(address, Listener { bound, service: sender, task });
        }
    }

    /// Listens nowhere; when this is done another can have the sockets. Requests under way are cut off.
    pub async fn close(&mut self) {
        for mut listener in std::mem::take(&mut self.listeners).into_values() {
            listener.task.shutdown().await;
        }
    }

    /// Where it listens, with the true ports.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.listeners.values().map(|listener| listener.bound)
    }
}

/// Takes connections for ever; its own end ends theirs.
async fn accept(listener: TcpListener, service: watch::Receiver<Service>, places: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, client)) => {
                let Service { tls, router } = service.borrow().clone();
                let router = router.layer(Extension(client));
                connections.spawn(async move {
                    if timeout(WHOLE, connection(stream, tls, router)).await.is_err() {
                        tracing::debug!(%client, "a dyndns2 client took too long");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the dyndns2 endpoint cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, router: Router) {
    match tls {
        None => request(stream, router).await,
        Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => request(stream, router).await,
            Ok(Err(error)) => tracing::debug!(%error, "a dyndns2 client did not finish its handshake"),
            Err(_) => tracing::debug!("a dyndns2 client took too long for its handshake"),
        },
    }
}

async fn request(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a dyndns2 client went away");
    }
}
