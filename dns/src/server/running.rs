//! A server that runs: its zones, its sockets, and what joins them.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::asking::{Asking, AskingError};
use super::descriptors::{self, Need};
use super::desk::{Desk, DeskCounts};
use super::notifying::{self, Audience, audience};
use super::secondaries::{Secondaries, SecondaryStatus};
use super::streams::{Limits, Prepared, StreamError, StreamJob, Streams, Transport};
use super::{Client, Front, Job, Policy, Totals, Udp, UdpError};
use crate::clock;
use crate::guard::{Cookies, Secret};
use crate::name::NameRef;
use crate::settings::Settings;
use crate::store::{Store, StoreError, ZoneStatus};
use crate::upstream::MAX_ASKED;

/// A DNS server. It ends with [`Self::stop`]; dropped, it ends without waiting for anybody.
pub struct Server {
    front: Arc<Front>,
    store: Arc<Store>,
    desk: Arc<Desk>,
    runtime: Handle,
    slow: mpsc::Sender<Job>,
    /// Room for what takes time; all of it is free when nothing is under way. A slow stream holds no datagram up.
    room: Arc<Semaphore>,
    stream_room: Arc<Semaphore>,
    /// Hand the messages out; end when their queues have.
    worker: JoinHandle<()>,
    stream_worker: JoinHandle<()>,
    /// Who is told about new versions.
    audience: watch::Sender<Audience>,
    listeners: Mutex<Listeners>,
    /// Held by who changes the settings: two at once would mix theirs.
    reloading: Mutex<()>,
}

/// The sockets by the address that the settings name.
struct Listeners {
    udp: BTreeMap<SocketAddr, Udp>,
    streams: Option<Streams>,
}

/// Why there is no server, or why it did not take other settings; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The zones.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// Resolvers.
    #[error(transparent)]
    Asking(#[from] AskingError),
    /// An address for connections, or the certificate.
    #[error(transparent)]
    Streams(#[from] StreamError),
}

/// Messages that may wait for somebody with time; beyond, those that came by datagrams are lost.
const MAX_QUEUED: usize = 1_024;
/// Messages that are worked on at once.
const MAX_AT_WORK: usize = 512;
/// Questions that others take their time to answer leave half of the places to updates and transfers.
const _: () = assert!(2 * MAX_ASKED <= MAX_AT_WORK);
/// Ports that are tried where any is wanted.
const MAX_PORTS: u32 = 16;
/// Connections and the zones they are sent have so long when the server ends.
const PATIENCE: Duration = Duration::from_secs(5);

impl Server {
    /// Opens the zones, then the sockets. Blocks for as long as reading the zones takes, so it is nothing for a task.
    /// `runtime` runs what takes time.
    ///
    /// # Errors
    /// When a zone cannot be read or an address not be listened on.
    pub fn start(settings: Settings, runtime: &Handle) -> Result<Self, ServerError> {
        let front = Arc::new(Front::new(Policy::of(&settings, Cookies::new(Secret(clock::seed())))));
        let store = {
            let front = front.clone();
            Store::open(&settings, runtime, move |zones| front.publish(zones))?
        };
        let desk = Arc::new(Desk {
            front: front.clone(),
            store: store.clone(),
            secondaries: Secondaries::new(store.clone(), runtime.clone()),
            asking: Asking::new(store.clone(), runtime.clone()),
            keys: ArcSwap::from_pointee(settings.keys.clone()),
            counts: DeskCounts::default(),
            limiter: Mutex::default(),
        });
        let (slow, jobs) = mpsc::channel(MAX_QUEUED);
        let room = Arc::new(Semaphore::new(MAX_AT_WORK));
        let worker = runtime.spawn(work(jobs, desk.clone(), room.clone()));
        let (audience, hears) = watch::channel(audience(&settings));
        runtime.spawn(notifying::run(front.clone(), store.clone(), hears));
        let (stream_slow, stream_jobs) = mpsc::channel(MAX_QUEUED);
        let stream_room = Arc::new(Semaphore::new(MAX_AT_WORK));
        let stream_worker = runtime.spawn(work_streams(stream_jobs, desk.clone(), stream_room.clone()));
        let limits = Limits { connections: descriptors::make_room(need(&settings)), ..Limits::default() };
        let streams = Streams::start(&[], None, &front, &stream_slow, limits)?;
        let listeners = Mutex::new(Listeners { udp: BTreeMap::new(), streams: Some(streams) });
        let runtime = runtime.clone();
        let reloading = Mutex::new(());
        let server = Self {
            front,
            store,
            desk,
            runtime,
            slow,
            room,
            worker,
            stream_room,
            stream_worker,
            audience,
            listeners,
            reloading,
        };
        let prepared = server.desk.asking.prepare(&settings)?;
        let new = server.open_new(&settings)?;
        server.listeners().extend(new, &server.runtime);
        server.desk.secondaries.apply(&settings);
        server.desk.asking.apply(&settings, prepared);
        Ok(server)
    }

    /// Goes on under other settings: no query is lost, and what did not change is not interrupted. Blocks for as long as
    /// reading new zones takes.
    ///
    /// # Errors
    /// When they cannot be used; then nothing has changed.
    pub fn reload(&self, settings: &Settings) -> Result<(), ServerError> {
        let _alone = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let prepared = self.desk.asking.prepare(settings)?;
        let new = self.open_new(settings)?;
        self.store.reload(settings)?;
        self.desk.keys.store(Arc::new(settings.keys.clone()));
        let cookies = self.front.policy.load().cookies.clone();
        self.front.policy.store(Arc::new(Policy::of(settings, cookies)));
        self.desk.secondaries.apply(settings);
        self.desk.asking.apply(settings, prepared);
        self.audience.send_replace(audience(settings));
        let gone = {
            let mut listeners = self.listeners();
            listeners.extend(new, &self.runtime);
            let gone: Vec<_> =
                listeners.udp.keys().filter(|address| !settings.listen.contains(address)).copied().collect();
            gone.into_iter().filter_map(|address| listeners.udp.remove(&address)).collect::<Vec<_>>()
        };
        gone.into_iter().for_each(Udp::stop);
        Ok(())
    }

    /// Takes nothing new, ends what is under way, and lets go of the state folder.
    pub async fn stop(self) {
        let (udp, streams) = {
            let mut listeners = self.listeners();
            (std::mem::take(&mut listeners.udp), listeners.streams.take())
        };
        let _ = self.runtime.spawn_blocking(move || udp.into_values().for_each(Udp::stop)).await;
        if let Some(streams) = streams {
            streams.stop(PATIENCE).await;
        }
        self.desk.asking.stop();
        // The queue ends with its last sender; then what waited has a place, and gives it back when it is done.
        drop(self.slow);
        let _ = tokio::join!(self.worker, self.stream_worker);
        self.desk.secondaries.stop().await;
        for room in [&self.room, &self.stream_room] {
            let _ = room.acquire_many(MAX_AT_WORK as u32).await;
        }
        let store = self.store.clone();
        let _ = self.runtime.spawn_blocking(move || store.close()).await;
    }

    /// The zones, sorted by apex.
    pub fn status(&self) -> Vec<ZoneStatus> {
        self.store.status()
    }

    /// How a zone that comes from another server is doing; nothing for another zone.
    pub fn secondary(&self, apex: NameRef<'_>) -> Option<SecondaryStatus> {
        self.desk.secondaries.status(apex)
    }

    /// Has the primaries of a zone asked now whether there is a newer version; whether it is a secondary's.
    pub fn refresh(&self, apex: NameRef<'_>) -> bool {
        self.desk.secondaries.refresh(apex)
    }

    /// What has been counted so far, with names for a program.
    pub fn counts(&self) -> Vec<(String, u64)> {
        let mut totals = Totals::default();
        let listeners = self.listeners();
        for udp in listeners.udp.values() {
            totals.add_all(&udp.totals());
        }
        let streams = listeners.streams.as_ref().map(Streams::totals).unwrap_or_default();
        totals.named().chain(streams.named()).chain(self.desk.counts.named()).collect()
    }

    /// Where plain DNS is answered, with the true ports.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners().udp.values().flat_map(Udp::addresses).collect()
    }

    /// Where connections are taken, with the true ports.
    pub fn stream_addresses(&self) -> Vec<(Transport, SocketAddr)> {
        self.listeners().streams.iter().flat_map(Streams::addresses).collect()
    }

    /// The zones and what changes them, for whoever is not a client: the site, the command line.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// What answers, for looking at the zones as clients see them, and for logging what they ask.
    pub fn front(&self) -> &Arc<Front> {
        &self.front
    }

    /// Opens the listeners that the settings want and that are not open. Where any port is wanted, it is one that is free for
    /// datagrams and connections.
    fn open_new(&self, settings: &Settings) -> Result<New, ServerError> {
        let any_port = settings.listen.iter().any(|address| address.port() == 0);
        let mut tries = if any_port { MAX_PORTS } else { 1 };
        loop {
            tries -= 1;
            match self.try_open(settings) {
                Err(ServerError::Streams(StreamError::Bind(_, _, error)))
                    if tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
                opened => return opened,
            }
        }
    }

    fn try_open(&self, settings: &Settings) -> Result<New, ServerError> {
        let threads = threads();
        let (mut new, mut plain) = (BTreeMap::new(), Vec::new());
        let listeners = self.listeners();
        for address in &settings.listen {
            let udp = match listeners.udp.get(address) {
                Some(udp) => udp,
                None => new.entry(*address).or_insert(Udp::start(&[*address], threads, &self.front, &self.slow)?),
            };
            // The port that a client tries next, also when any port was wanted.
            plain.extend(udp.addresses());
        }
        let _context = self.runtime.enter();
        let streams = listeners.streams.as_ref().map(|streams| streams.prepare(&plain, settings.tls.as_ref()));
        Ok(New { udp: new, streams: streams.transpose()? })
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What these settings need descriptors for.
fn need(settings: &Settings) -> Need {
    let encrypted = settings.tls.as_ref().map_or(0, |tls| tls.dot.len() + tls.doh.len() + tls.doq.len());
    let sockets = settings.listen.len() * (threads() + 1) + encrypted;
    Need { connections: Limits::default().connections, zones: settings.zones.len(), sockets }
}

/// The threads that answer at one address.
fn threads() -> usize {
    available_parallelism().map_or(1, usize::from)
}

/// Listeners that were opened and are not yet the server's.
struct New {
    udp: BTreeMap<SocketAddr, Udp>,
    streams: Option<Prepared>,
}

impl Listeners {
    fn extend(&mut self, new: New, runtime: &Handle) {
        let _context = runtime.enter();
        self.udp.extend(new.udp);
        if let (Some(streams), Some(prepared)) = (&mut self.streams, new.streams) {
            streams.apply(prepared);
        }
    }
}

/// Works on what takes time, several at once, until nobody hands anything over any more.
async fn work(mut jobs: mpsc::Receiver<Job>, desk: Arc<Desk>, room: Arc<Semaphore>) {
    while let Some(job) = jobs.recv().await {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let desk = desk.clone();
        tokio::spawn(async move {
            let client = Client { address: job.back.peer(), is_datagram: true };
            let send = |answer: Vec<u8>| {
                send(&job, &answer);
                std::future::ready(true)
            };
            desk.answer(&job.octets, client, send).await;
            drop(place);
        });
    }
}

/// The same for what came by a stream.
async fn work_streams(mut jobs: mpsc::Receiver<StreamJob>, desk: Arc<Desk>, room: Arc<Semaphore>) {
    while let Some(job) = jobs.recv().await {
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let desk = desk.clone();
        tokio::spawn(async move {
            let send = |answer: Vec<u8>| async { job.reply.send(answer).await.is_ok() };
            desk.answer(&job.octets, job.client, send).await;
            drop(place);
        });
    }
}

fn send(job: &Job, answer: &[u8]) {
    let sent: io::Result<()> = job.back.send(answer);
    if let Err(error) = sent {
        tracing::debug!(client = %job.back.peer(), %error, "an answer could not be sent");
    }
}
