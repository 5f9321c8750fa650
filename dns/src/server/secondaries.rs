//! The zones that come from other servers: one task for each, which asks, fetches and hands over to the store.
//!
//! When and whom is decided by [`Refresh`]; a task does one thing at a time, hears NOTIFY messages meanwhile, and keeps in
//! the zone's journal when a primary last confirmed it, so that a zone does not outlive its time by a restart.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::client::{ClientError, Server};
use crate::clock;
use crate::journal::{Item, State};
use crate::name::{Name, NameRef};
use crate::settings::{Key, Peer, Settings, Source};
use crate::store::{Plan, Store};
use crate::transfer::{Effect, Input, Notify, Received, Refresh};
use crate::wire::Rcode;
use crate::zone::{Serial, Soa};

/// All secondary zones of a server. Their tasks end when this is dropped.
pub(super) struct Secondaries {
    store: Arc<Store>,
    runtime: Handle,
    running: Mutex<BTreeMap<Name, Running>>,
}

/// How a secondary zone is doing. Times are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecondaryStatus {
    /// When a primary last confirmed that the zone is the newest.
    pub confirmed: Option<u64>,
    /// When nobody is answered from the zone any more, unless a primary confirms it; nothing while there is no zone.
    pub expires: Option<u64>,
    /// When the primaries are asked next; nothing while one is.
    pub asks: Option<u64>,
    /// The primary that was asked last.
    pub asked: Option<SocketAddr>,
    /// Why the last attempt was of no use; nothing when it was.
    pub problem: Option<String>,
}

/// The task of a zone, and what it was started with.
struct Running {
    primaries: Vec<Peer>,
    keys: Vec<Key>,
    inbox: mpsc::Sender<Input>,
    status: watch::Receiver<SecondaryStatus>,
    task: JoinHandle<()>,
}

/// NOTIFY messages that wait for a task. It looks at all of them when it next can, and one tells as much as ten.
const MAX_INBOX: usize = 8;
/// The key of the note in the journal: seconds since 1970, eight octets.
const CONFIRMED: &str = "confirmed";
/// How long a store is left alone that has too much to do.
const RECALL_AGAIN: Duration = Duration::from_secs(1);
/// Seconds after which the note is written again: a restart makes a zone look that much older, and each is a write.
const NOTE_EVERY: u64 = 600;

impl Secondaries {
    pub(super) fn new(store: Arc<Store>, runtime: Handle) -> Self {
        Self { store, runtime, running: Mutex::default() }
    }

    /// Runs what these settings say; a zone whose primaries and keys stay the same is not interrupted.
    pub(super) fn apply(&self, settings: &Settings) {
        let mut running = self.running();
        let mut before = std::mem::take(&mut *running);
        for zone in &settings.zones {
            let Source::Secondary { primaries } = &zone.source else { continue };
            let keys: Vec<_> = primaries.iter().filter_map(|peer| settings.key(peer.key.as_ref()?.as_ref())).collect();
            let kept = before.remove(&zone.apex).filter(|old| old.is_for(primaries, &keys));
            running.insert(zone.apex.clone(), kept.unwrap_or_else(|| self.start(&zone.apex, primaries, &keys)));
        }
    }

    /// Takes a NOTIFY message that was signed with `key`, if it was; gives back the result of the answer.
    pub(super) fn notified(&self, notify: &Notify, from: IpAddr, key: Option<NameRef<'_>>) -> Rcode {
        let running = self.running();
        let Some(zone) = running.get(&notify.apex) else { return Rcode::NOTAUTH };
        let is_from = |peer: &Peer| {
            peer.address.ip().to_canonical() == from.to_canonical()
                && peer.key.as_ref().is_none_or(|mine| key == Some(mine.as_ref()))
        };
        let Some(index) = zone.primaries.iter().position(is_from) else {
            tracing::info!(zone = %notify.apex, %from, "a NOTIFY message of somebody else is refused");
            return Rcode::REFUSED;
        };
        // A full inbox will be looked at, and leads to the same question.
        let _ = zone.inbox.try_send(Input::Notified(index, notify.serial));
        Rcode::NOERROR
    }

    /// Has a zone's primaries asked now; whether it is a secondary's.
    pub(super) fn refresh(&self, apex: NameRef<'_>) -> bool {
        let running = self.running();
        let zone = running.get(&apex.to_owned());
        zone.map(|zone| drop(zone.inbox.try_send(Input::Wanted))).is_some()
    }

    /// How a zone is doing; nothing for one that is not a secondary's.
    pub(super) fn status(&self, apex: NameRef<'_>) -> Option<SecondaryStatus> {
        self.running().get(&apex.to_owned()).map(|zone| zone.status.borrow().clone())
    }

    /// Ends all tasks, which then have let go of the store.
    pub(super) async fn stop(&self) {
        let running = std::mem::take(&mut *self.running());
        for mut zone in running.into_values() {
            zone.task.abort();
            let _ = (&mut zone.task).await;
        }
    }

    fn start(&self, apex: &Name, primaries: &[Peer], keys: &[&Key]) -> Running {
        let keys: Vec<Key> = keys.iter().map(|key| (*key).clone()).collect();
        let (inbox, input) = mpsc::channel(MAX_INBOX);
        let (status, watched) = watch::channel(SecondaryStatus::default());
        let servers = primaries.iter().map(|peer| Server::of(peer, &keys)).collect();
        let zone = Secondary { apex: apex.clone(), servers, store: self.store.clone(), status, noted: 0 };
        let task = self.runtime.spawn(zone.run(input));
        Running { primaries: primaries.to_vec(), keys, inbox, status: watched, task }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<Name, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn is_for(&self, primaries: &[Peer], keys: &[&Key]) -> bool {
        let same = |(mine, theirs): (&Key, &&Key)| {
            mine.name == theirs.name && mine.algorithm == theirs.algorithm && mine.secret == theirs.secret
        };
        self.primaries == primaries && self.keys.len() == keys.len() && self.keys.iter().zip(keys).all(same)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a task has.
struct Secondary {
    apex: Name,
    servers: Vec<Server>,
    store: Arc<Store>,
    status: watch::Sender<SecondaryStatus>,
    /// What the note in the journal says.
    noted: u64,
}

/// Something that takes time.
type Work = Pin<Box<dyn Future<Output = Done> + Send>>;
/// How it went, and why not well.
type Done = (Input, Option<String>);

/// Why a transfer did not lead to another zone.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the zone that came is not newer: {0}")]
    Older(Serial),
    #[error("the store refuses it: {0}")]
    Store(Rcode),
}

impl Secondary {
    async fn run(mut self, mut inbox: mpsc::Receiver<Input>) {
        let (soa, age) = loop {
            match self.recall().await {
                Ok(known) => break known,
                Err(rcode) => {
                    let problem = format!("the store does not say what there is: {rcode}");
                    tracing::warn!(zone = %self.apex, %rcode, "cannot look at the zone before its primaries are asked");
                    self.status.send_modify(|status| status.problem = Some(problem));
                    sleep(RECALL_AGAIN).await;
                }
            }
        };
        let seed = u64::from_ne_bytes(clock::seed());
        let mut machine = Refresh::new(self.servers.len(), soa, age, clock::millis(), seed);
        let (mut work, mut input) = (None::<Work>, Input::Tick);
        loop {
            let mut effects = Vec::new();
            let is_confirming = matches!(input, Input::Answered(_) | Input::Fetched(_));
            machine.step(clock::millis(), input, &mut effects);
            if is_confirming && !effects.iter().any(|effect| matches!(effect, Effect::Fetch { .. })) {
                self.confirmed().await;
            }
            for effect in effects {
                match effect {
                    Effect::Ask(primary) => work = Some(self.ask(primary)),
                    Effect::Fetch { primary, changes } => work = Some(self.fetch(primary, changes)),
                    Effect::Expire | Effect::Revive => self.expire(effect == Effect::Expire),
                }
            }
            self.show(&machine);
            let wait = machine.deadline().map(|deadline| deadline.at.saturating_sub(clock::millis()));
            // Each of these can be given up without losing anything: work goes on from where it was.
            input = tokio::select! {
                (input, problem) = finished(&mut work) => {
                    work = None;
                    self.tell(problem);
                    input
                }
                input = inbox.recv() => match input {
                    Some(input) => input,
                    None => return,
                },
                () = sleep(Duration::from_millis(wait.unwrap_or_default())), if wait.is_some() => Input::Tick,
            };
        }
    }

    /// What there is from before, and how many milliseconds ago it was confirmed.
    async fn recall(&mut self) -> Result<(Option<Soa>, u64), Rcode> {
        let read = |state: &State| {
            let noted = state.notes.get(CONFIRMED).and_then(|note| <[u8; 8]>::try_from(&note[..]).ok());
            Ok((Plan::Nothing, (state.zone.soa(), noted.map_or(0, u64::from_be_bytes))))
        };
        let (soa, noted) = self.store.plan(self.apex.as_ref(), read).await?;
        self.noted = noted;
        self.status.send_modify(|status| status.confirmed = Some(noted).filter(|noted| *noted > 0));
        // Zero is the version of the zone that is not there yet.
        let soa = Some(soa).filter(|soa| soa.serial != Serial(0));
        Ok((soa, clock::wall_secs().saturating_sub(noted).saturating_mul(1000)))
    }

    fn ask(&self, primary: usize) -> Work {
        let (server, apex) = (self.servers[primary].clone(), self.apex.clone());
        self.status.send_modify(|status| status.asked = Some(server.address));
        Box::pin(async move {
            match server.serial(apex.as_ref()).await {
                Ok(serial) => (Input::Answered(serial), None),
                Err(error) => (Input::Silent, Some(chain(&error))),
            }
        })
    }

    fn fetch(&self, primary: usize, changes: bool) -> Work {
        let (server, apex, store) = (self.servers[primary].clone(), self.apex.clone(), self.store.clone());
        self.status.send_modify(|status| status.asked = Some(server.address));
        Box::pin(async move {
            match fetch(&server, &apex, &store, changes).await {
                Ok(soa) => {
                    tracing::info!(zone = %apex, serial = %soa.serial, primary = %server.address, "has a newer version");
                    (Input::Fetched(soa), None)
                }
                Err(error) => (Input::Failed, Some(chain(&error))),
            }
        })
    }

    /// Notes that the zone is the newest.
    async fn confirmed(&mut self) {
        let now = clock::wall_secs();
        self.status.send_modify(|status| status.confirmed = Some(now));
        if now.abs_diff(self.noted) < NOTE_EVERY {
            return;
        }
        let note = move |_: &State| Ok((Plan::Change { edit: None, items: vec![note_of(now)] }, ()));
        match self.store.plan(self.apex.as_ref(), note).await {
            Ok(()) => self.noted = now,
            Err(rcode) => tracing::warn!(zone = %self.apex, %rcode, "cannot note that the zone is confirmed"),
        }
    }

    fn expire(&self, is_expired: bool) {
        if is_expired {
            tracing::warn!(zone = %self.apex, "no primary has confirmed the zone for too long: it is not answered from");
        }
        self.store.set_expired(self.apex.as_ref(), is_expired);
    }

    /// Puts the machine's times into the status.
    fn show(&self, machine: &Refresh) {
        let (millis, secs) = (clock::millis(), clock::wall_secs());
        let wall = |at: u64| (secs + at / 1000).saturating_sub(millis / 1000);
        self.status.send_modify(|status| {
            status.expires = machine.expiry().map(wall);
            status.asks = machine.next_round().map(wall);
        });
    }

    fn tell(&self, problem: Option<String>) {
        if let Some(problem) = &problem {
            tracing::warn!(zone = %self.apex, problem, "a primary is of no use");
        }
        self.status.send_modify(|status| status.problem = problem);
    }
}

/// Waits for work to be done; for ever when there is none.
async fn finished(work: &mut Option<Work>) -> Done {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// Gets the zone, or what has changed, and hands it over; gives back the start of authority after it.
async fn fetch(server: &Server, apex: &Name, store: &Store, changes: bool) -> Result<Soa, FetchError> {
    let (have, _) = store.since(apex.as_ref(), Serial(0)).await.map_err(FetchError::Store)?;
    let received = match changes {
        true => server.fetch_since(&have).await?,
        false => server.fetch(apex.as_ref()).await?,
    };
    match received {
        Received::Current(serial) if serial == have.serial() => Ok(have.soa()),
        Received::Current(serial) => Err(FetchError::Older(serial)),
        Received::Changes(all, zone) => {
            let plan = move |_: &State| Ok((Plan::Changes { changes: all, items: Vec::new() }, ()));
            store.plan(apex.as_ref(), plan).await.map_err(FetchError::Store)?;
            Ok(zone.soa())
        }
        Received::Whole(zone) => {
            let (soa, mine) = (zone.soa(), have.serial());
            if mine != Serial(0) && !soa.serial.is_newer_than(mine) {
                return if soa.serial == mine { Ok(have.soa()) } else { Err(FetchError::Older(soa.serial)) };
            }
            let items = vec![note_of(clock::wall_secs())];
            let plan = move |_: &State| Ok((Plan::Replace { zone, items }, ()));
            store.plan(apex.as_ref(), plan).await.map_err(FetchError::Store)?;
            Ok(soa)
        }
    }
}

fn note_of(secs: u64) -> Item {
    Item::Note { key: CONFIRMED.to_owned(), value: Some(Box::from(secs.to_be_bytes())) }
}

/// An error with its reasons, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let reasons = std::iter::successors(error.source(), |reason| reason.source());
    reasons.fold(error.to_string(), |text, reason| format!("{text}: {reason}"))
}
