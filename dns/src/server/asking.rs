//! Those that the server asks itself: resolvers, for the targets of aliases and for clients that may.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::alias::{self, ResolverError};
use crate::answer::{Room, reject, respond};
use crate::forward::Forwarder;
use crate::name::Name;
use crate::settings::{Forward, Settings, Upstream};
use crate::store::Store;
use crate::upstream::AuthoritiesError;
use crate::wire::{Header, Message, Rcode};

use super::Front;

/// Loans that may wait for their zones.
const MAX_LOANS: usize = 64;

/// What asks, under the settings of the moment.
pub(super) struct Asking {
    store: Arc<Store>,
    runtime: Handle,
    forwarder: ArcSwapOption<Forwarder>,
    aliases: Mutex<Option<Aliases>>,
    /// Who is asked, as far as it is known: what does not change is kept, with what it has learned.
    forward: Mutex<Option<(Forward, Option<PathBuf>)>>,
}

/// The task that asks for targets. It ends when this is dropped.
struct Aliases {
    wanted: watch::Sender<BTreeSet<Name>>,
    asks: (Vec<Upstream>, Option<PathBuf>),
}

/// New ways to ask, that work.
#[derive(Default)]
pub(super) struct Prepared {
    forwarder: Option<Arc<Forwarder>>,
    resolver: Option<hickory_resolver::TokioResolver>,
}

/// Nobody can be asked as the settings want it.
#[derive(Debug, thiserror::Error)]
pub enum AskingError {
    /// For clients.
    #[error("questions cannot be forwarded")]
    Forward(#[source] AuthoritiesError),
    /// For aliases.
    #[error("nobody can be asked for the targets of aliases")]
    Aliases(#[source] ResolverError),
}

impl Asking {
    pub(super) fn new(store: Arc<Store>, runtime: Handle) -> Self {
        let (forwarder, aliases, forward) = (ArcSwapOption::empty(), Mutex::default(), Mutex::default());
        Self { store, runtime, forwarder, aliases, forward }
    }

    /// Makes what the settings want and is not there yet. Nothing changes.
    ///
    /// # Errors
    /// When somebody cannot be asked.
    pub(super) fn prepare(&self, settings: &Settings) -> Result<Prepared, AskingError> {
        let _inside = self.runtime.enter();
        let authorities = settings.authorities.as_deref();
        let mut prepared = Prepared::default();
        let asked = settings.forward.clone().map(|forward| (forward, settings.authorities.clone()));
        if let Some((forward, _)) = asked.as_ref().filter(|_| *lock(&self.forward) != asked) {
            prepared.forwarder = Some(Arc::new(Forwarder::new(forward, authorities).map_err(AskingError::Forward)?));
        }
        let is_asked = lock(&self.aliases).as_ref().is_some_and(|aliases| aliases.asks == asks(settings));
        if !targets(settings).is_empty() && !is_asked {
            prepared.resolver = Some(alias::resolver(&settings.resolvers, authorities).map_err(AskingError::Aliases)?);
        }
        Ok(prepared)
    }

    /// Asks as the settings want it from now on.
    pub(super) fn apply(&self, settings: &Settings, prepared: Prepared) {
        match (&settings.forward, prepared.forwarder) {
            (None, _) => self.forwarder.store(None),
            (Some(_), Some(forwarder)) => self.forwarder.store(Some(forwarder)),
            (Some(_), None) => {}
        }
        *lock(&self.forward) = settings.forward.clone().map(|forward| (forward, settings.authorities.clone()));
        let targets = targets(settings);
        let mut aliases = lock(&self.aliases);
        match (prepared.resolver, &mut *aliases) {
            (Some(resolver), aliases) => {
                let (wanted, shown) = watch::channel(targets);
                let (loans, mut lent) = mpsc::channel(MAX_LOANS);
                self.runtime.spawn(alias::run(resolver, shown, loans));
                let store = self.store.clone();
                self.runtime.spawn(async move {
                    while let Some(loan) = lent.recv().await {
                        store.lend(loan).await;
                    }
                });
                *aliases = Some(Aliases { wanted, asks: asks(settings) });
            }
            (None, aliases) if targets.is_empty() => *aliases = None,
            (None, Some(aliases)) => drop(aliases.wanted.send_replace(targets)),
            (None, None) => {}
        }
    }

    /// Stops asking.
    pub(super) fn stop(&self) {
        *lock(&self.aliases) = None;
        self.forwarder.store(None);
    }

    /// The answer to a query that others know the answer to, or the end of it, if this client may ask for that.
    pub(super) async fn forward(&self, octets: &[u8], front: &Front, room: &Room<'_>) -> Option<Vec<u8>> {
        let query = Message::read(octets).ok()?;
        let forwarder = self.forwarder.load_full().filter(|_| room.recursion);
        let mut local = Vec::new();
        respond(&query, &front.zones(), &Room { recursion: false, ..*room }, &mut local);
        let Some(forwarder) = forwarder else { return Some(local) };
        let is_ours = Header::read(&local).is_some_and(|header| header.flags.rcode() != Rcode::REFUSED);
        let answer = match is_ours {
            true => forwarder.complete(octets, &local, room.options, room.limit).await,
            false => forwarder.answer(octets, room.options, room.limit).await,
        };
        answer.or_else(|| {
            let mut out = Vec::new();
            reject(&query, Rcode::SERVFAIL, room, &mut out);
            Some(out)
        })
    }
}

fn targets(settings: &Settings) -> BTreeSet<Name> {
    let aliases = settings.zones.iter().flat_map(|zone| &zone.aliases);
    aliases.map(|alias| alias.target.clone()).collect()
}

fn asks(settings: &Settings) -> (Vec<Upstream>, Option<PathBuf>) {
    (settings.resolvers.clone(), settings.authorities.clone())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
