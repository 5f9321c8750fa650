//! The sockets of the endpoint, plain or with TLS, within limits.
//!
//! A connection carries one request; their number, the time for a handshake, a head and a request, and a head's length are
//! bounded, so that a client that dawdles costs a place and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use dns::server::streams::{CertificateError, TlsAcceptor, acceptor, listener};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
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

/// The endpoint while it runs; dropping it ends it.
#[derive(Debug)]
pub struct Endpoint {
    addresses: Vec<SocketAddr>,
    tasks: JoinSet<()>,
}

/// Why the endpoint cannot start. Nothing is listening then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket cannot be made.
    #[error("cannot listen on {0} for dyndns2")]
    Listen(SocketAddr, #[source] io::Error),
    /// The certificate.
    #[error("cannot use the certificate for dyndns2")]
    Certificate(#[from] CertificateError),
}

impl Endpoint {
    /// Listens, and answers from `names`. With `tls` the certificate is that of encrypted DNS.
    ///
    /// # Errors
    /// When a socket or the certificate cannot be used.
    pub fn start(settings: &Dyndns, tls: Option<&dns::settings::Tls>, names: Names) -> Result<Self, StartError> {
        let tls = tls.filter(|_| settings.tls).map(acceptor).transpose()?;
        let router = router(names);
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let (mut addresses, mut tasks) = (Vec::new(), JoinSet::new());
        for &wanted in &settings.listen {
            let listen = |error| StartError::Listen(wanted, error);
            let listener = listener(wanted).and_then(TcpListener::from_std).map_err(listen)?;
            addresses.push(listener.local_addr().map_err(listen)?);
            tasks.spawn(accept(listener, tls.clone(), router.clone(), places.clone()));
        }
        Ok(Self { addresses, tasks })
    }

    /// Ends it; when this is done another can have its sockets. Requests under way are cut off.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

/// Takes connections for ever; its own end ends theirs.
async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, router: Router, places: Arc<Semaphore>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, client)) => {
                let (tls, router) = (tls.clone(), router.clone().layer(Extension(client)));
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
