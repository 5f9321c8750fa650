//! DNS over everything but plain datagrams: TCP (RFC 7766), TLS (RFC 7858), HTTPS (RFC 8484) and QUIC (RFC 9250).
//!
//! All four answer from the same [`Front`] as UDP does, on the spot; what takes time goes out as a [`StreamJob`], whose
//! [`Reply`] leads back to the connection, for as many messages as a transfer needs. A job waits for its place in the
//! queue, and its connection with it: nothing is lost and nothing piles up. **Invariants:** every connection has a place in
//! the crowd, which is bounded in all and for each network; whoever is slow, silent or wrong is cut off in bounded time, the
//! sooner the fuller it is.

mod certificate;
mod connection;
mod crowd;
mod extras;
mod frames;
mod https;
mod listen;
mod quic;
mod reply;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::sign::CertifiedKey;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use certificate::{CertificateError, acceptor};
pub use listen::tcp as listener;
pub use reply::{Gone, Reply, StreamJob};
pub use tokio_rustls::TlsAcceptor;

use super::{Asked, Client, Front, Now, Taken};
use crate::clock;
use crate::settings::Tls;
use certificate::Certificate;
use crowd::Crowd;
use extras::Extras;

/// What a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Plain TCP.
    Tcp,
    /// DNS over TLS.
    Tls,
    /// DNS over HTTPS: one message answers a request, so there are no transfers.
    Https,
    /// DNS over QUIC.
    Quic,
}

/// Bounds of time and number.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once. One that is idle costs about three kilobytes here and as much in the kernel; with TLS ten times
    /// that.
    pub connections: usize,
    /// Connections at once of one network: what [`crate::guard::network`] takes for one client.
    pub per_network: usize,
    /// How long a connection may be idle while there is room for many more.
    pub idle: Duration,
    /// How long a message may take to come once its first octet has, and a handshake.
    pub arrive: Duration,
    /// How long the client may take to take 64 KiB.
    pub leave: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 12_000,
            per_network: 500,
            idle: Duration::from_secs(30),
            arrive: Duration::from_secs(10),
            leave: Duration::from_secs(10),
        }
    }
}

/// What was counted over all connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamTotals {
    /// Connections that are open now.
    pub open: u64,
    /// Connections that were let in.
    pub accepted: u64,
    /// Connections that found no place.
    pub refused: u64,
    /// Connections that were cut off: too slow, a message that is none, a handshake that failed.
    pub cut: u64,
    /// Requests.
    pub queries: u64,
    /// Requests that were handed over as jobs.
    pub slow: u64,
}

/// Why a transport cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Another program has the address, or this one may not have it.
    #[error("cannot listen on {0} ({1:?})")]
    Bind(SocketAddr, Transport, #[source] io::Error),
    /// The certificate or its key.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The listeners and their connections. They end when this is dropped.
#[derive(Debug)]
pub struct Streams {
    shared: Arc<Shared>,
    /// By what they were told to listen on.
    listeners: BTreeMap<(Transport, SocketAddr), Listener>,
    /// Listeners that are ending.
    ending: JoinSet<()>,
    certificate: Option<Arc<Certificate>>,
}

#[derive(Debug)]
struct Listener {
    /// With the true port.
    bound: SocketAddr,
    stop: watch::Sender<bool>,
    /// Ends when its connections have.
    task: JoinSet<()>,
}

/// What [`Streams::prepare`] has opened. Dropped, it is closed again.
#[derive(Debug)]
pub struct Prepared {
    wanted: BTreeSet<(Transport, SocketAddr)>,
    new: BTreeMap<(Transport, SocketAddr), Listener>,
    certificate: Option<Arc<Certificate>>,
    shown: Option<Arc<CertifiedKey>>,
}

/// What every connection has in common.
#[derive(Debug)]
struct Shared {
    front: Arc<Front>,
    slow: mpsc::Sender<StreamJob>,
    limits: Limits,
    crowd: Crowd,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    cut: AtomicU64,
    queries: AtomicU64,
    slow: AtomicU64,
}

impl StreamTotals {
    /// All of them, with names for a program.
    pub fn named(self) -> impl Iterator<Item = (String, u64)> {
        let Self { open, accepted, refused, cut, queries, slow } = self;
        let all = [
            ("stream_connections_open", open),
            ("stream_connections", accepted),
            ("stream_connections_refused", refused),
            ("stream_connections_cut", cut),
            ("stream_queries", queries),
            ("stream_slow", slow),
        ];
        all.map(|(name, count)| (name.to_owned(), count)).into_iter()
    }
}

impl Streams {
    /// Listens for TCP on `plain`, and as `tls` says, within a Tokio runtime; hands what takes time to `slow`.
    ///
    /// # Errors
    /// When an address cannot be listened on or the certificate cannot be used; then nothing is listened on.
    pub fn start(
        plain: &[SocketAddr],
        tls: Option<&Tls>,
        front: &Arc<Front>,
        slow: &mpsc::Sender<StreamJob>,
        limits: Limits,
    ) -> Result<Self, StreamError> {
        let crowd = Crowd::new(limits.connections, limits.per_network, limits.idle);
        let (front, slow, counts) = (Arc::clone(front), slow.clone(), Counts::default());
        let shared = Arc::new(Shared { front, slow, limits, crowd, counts });
        let mut streams = Self { shared, listeners: BTreeMap::new(), ending: JoinSet::new(), certificate: None };
        streams.change(plain, tls)?;
        Ok(streams)
    }

    /// Listens on these addresses from now on: [`Self::prepare`] and [`Self::apply`].
    ///
    /// # Errors
    /// As [`Self::start`]; then nothing has changed.
    pub fn change(&mut self, plain: &[SocketAddr], tls: Option<&Tls>) -> Result<(), StreamError> {
        self.prepare(plain, tls).map(|prepared| self.apply(prepared))
    }

    /// Opens what is wanted and not open, and reads the certificate and its key again.
    ///
    /// # Errors
    /// As [`Self::start`]; then nothing was opened.
    pub fn prepare(&self, plain: &[SocketAddr], tls: Option<&Tls>) -> Result<Prepared, StreamError> {
        let mut wanted: BTreeSet<_> = plain.iter().map(|address| (Transport::Tcp, *address)).collect();
        let mut shown = None;
        if let Some(tls) = tls {
            let kinds = [(&tls.dot, Transport::Tls), (&tls.doh, Transport::Https), (&tls.doq, Transport::Quic)];
            wanted.extend(kinds.iter().flat_map(|(all, transport)| all.iter().map(|address| (*transport, *address))));
            shown = Some(certificate::read(&tls.certificate, &tls.key)?);
        }
        // The one that is in use changes when nothing can fail any more.
        let certificate = match (&self.certificate, &shown) {
            (Some(certificate), _) => Some(Arc::clone(certificate)),
            (None, Some(shown)) => Some(Arc::new(Certificate::new(Arc::clone(shown)))),
            (None, None) => None,
        };
        let mut new = BTreeMap::new();
        for place in wanted.iter().filter(|place| !self.listeners.contains_key(place)) {
            new.insert(*place, self.listen(*place, certificate.as_ref())?);
        }
        Ok(Prepared { wanted, new, certificate, shown })
    }

    /// Goes on with what was prepared. Listeners and connections that stay are not disturbed; those that go answer what
    /// they were asked.
    pub fn apply(&mut self, prepared: Prepared) {
        let Prepared { wanted, mut new, certificate, shown } = prepared;
        let gone: Vec<_> = self.listeners.keys().filter(|place| !wanted.contains(place)).copied().collect();
        for mut listener in gone.into_iter().filter_map(|place| self.listeners.remove(&place)) {
            listener.stop.send_replace(true);
            self.ending.spawn(async move { while listener.task.join_next().await.is_some() {} });
        }
        self.listeners.append(&mut new);
        if let (Some(certificate), Some(shown)) = (&certificate, shown) {
            certificate.show(shown);
        }
        self.certificate = certificate;
    }

    /// What is listened on, with the true ports.
    pub fn addresses(&self) -> impl Iterator<Item = (Transport, SocketAddr)> + '_ {
        self.listeners.iter().map(|((transport, _), listener)| (*transport, listener.bound))
    }

    /// What has been counted so far.
    pub fn totals(&self) -> StreamTotals {
        let counts = &self.shared.counts;
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        StreamTotals {
            open: self.shared.crowd.len() as u64,
            accepted: get(&counts.accepted),
            refused: get(&counts.refused),
            cut: get(&counts.cut),
            queries: get(&counts.queries),
            slow: get(&counts.slow),
        }
    }

    /// Takes no more connections and requests, and ends when what was asked is answered, or after `patience`.
    pub async fn stop(mut self, patience: Duration) {
        for listener in self.listeners.values() {
            listener.stop.send_replace(true);
        }
        let all = async {
            for listener in self.listeners.values_mut() {
                while listener.task.join_next().await.is_some() {}
            }
            while self.ending.join_next().await.is_some() {}
        };
        let _ = tokio::time::timeout(patience, all).await;
    }

    fn listen(
        &self,
        (transport, address): (Transport, SocketAddr),
        certificate: Option<&Arc<Certificate>>,
    ) -> Result<Listener, StreamError> {
        let wrong = |error| StreamError::Bind(address, transport, error);
        let (shared, (stop, stopping)) = (Arc::clone(&self.shared), watch::channel(false));
        let mut task = JoinSet::new();
        let bound = match (transport, certificate) {
            (Transport::Quic, Some(certificate)) => {
                let endpoint = quic::open(address, certificate, &shared.limits).map_err(wrong)?;
                let bound = endpoint.local_addr().map_err(wrong)?;
                task.spawn(quic::serve(endpoint, shared, stopping));
                bound
            }
            _ => {
                let listener = listen::tcp(address).map_err(wrong)?;
                let bound = listener.local_addr().map_err(wrong)?;
                let encrypted = certificate.filter(|_| transport != Transport::Tcp);
                let acceptor = encrypted.map(|certificate| certificate.acceptor(transport)).transpose();
                let acceptor = acceptor.map_err(|error| wrong(io::Error::other(error)))?;
                task.spawn(listen::serve(listener, transport, acceptor, shared, stopping));
                bound
            }
        };
        Ok(Listener { bound, stop, task })
    }
}

impl Shared {
    /// Answers a request at the end of `out`, if that can be done on the spot.
    fn take(&self, octets: &[u8], peer: SocketAddr, extras: Extras, out: &mut Vec<u8>) -> Taken {
        self.counts.queries.fetch_add(1, Ordering::Relaxed);
        let (zones, policy) = (self.front.zones(), self.front.policy.load());
        let now = Now { wall_secs: clock::wall_secs(), millis: clock::millis() };
        let asked = Asked { octets, client: Client { address: peer, is_datagram: false }, now };
        let begin = out.len();
        let taken = policy.take(&zones, asked, None, out);
        self.front.log(asked, &out[begin..], taken);
        extras.add(out, begin);
        taken
    }

    /// Hands a request over to somebody with time, when there is room for it.
    async fn hand_over(&self, job: StreamJob) {
        self.counts.slow.fetch_add(1, Ordering::Relaxed);
        // Nobody takes jobs at the end of the server only: the client sees the connection end.
        let _ = self.slow.send(job).await;
    }

    fn count_cut(&self) {
        self.counts.cut.fetch_add(1, Ordering::Relaxed);
    }
}
