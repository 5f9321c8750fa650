//! The zones while they live: what changes them, one writer each, and what makes the changes last.
//!
//! Whoever wants to change a zone hands in a [`Plan`] to be made on the zone as it is then; a zone's keeper makes the plans
//! that wait one after the other, writes what came out into the journal as one batch, publishes the new zone and only
//! then tells those who wait. Plans run one at a time for each zone, and never on a thread that answers. **Invariants:**
//! nothing is published or acknowledged that is not in the journal; a plan that fails changes nothing; a zone's journal is
//! used by one keeper, and the state folder by one store.

mod batch;
mod first;
mod keeper;
mod lending;
mod opening;
mod plan;
mod publisher;
mod queue;
mod signing;
#[cfg(test)]
mod tests;
mod upkeep;

pub use opening::StoreError;
pub use plan::Plan;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};

use crate::alias::Loan;
use crate::answer::Zones;
use crate::clock;
use crate::dnssec::{Input, ZoneKey};
use crate::journal::{Disk, Files, State};
use crate::name::{Name, NameRef};
use crate::settings::{Settings, ZoneSettings};
use crate::update::{Ground, LeaseTimes, Policy, Update, decide};
use crate::wire::Rcode;
use crate::zone::{Change, Lease, Serial, Zone};
use keeper::Keeper;
use opening::Lock;
use publisher::Publisher;

/// All zones of a server.
pub struct Store {
    files: Arc<dyn Files>,
    runtime: Handle,
    publisher: Arc<Publisher>,
    keepers: ArcSwap<Keepers>,
    /// Held while settings change.
    reloading: Mutex<()>,
    /// Settings have changed: signatures and aliases are to be looked at.
    reloaded: Arc<Notify>,
    /// Given to every keeper, so that it is held as long as anybody uses the state folder. Gone when the store is closed.
    lock: Mutex<Option<Lock>>,
}

type Keepers = BTreeMap<Name, Arc<Keeper>>;

/// What a zone is like at the moment.
#[derive(Clone, Debug)]
pub struct ZoneStatus {
    /// Its apex.
    pub apex: Name,
    /// Whether it comes from another server.
    pub is_secondary: bool,
    /// Whether nobody is answered from it, since its data is missing or too old.
    pub is_expired: bool,
    /// Its version.
    pub serial: Serial,
    /// How many names it has.
    pub names: usize,
    /// How many of its records have a lease.
    pub leases: usize,
    /// How large its journal is, in octets; nothing while it has none.
    pub journal: Option<u64>,
}

impl Store {
    /// Opens all zones, and gives them to `publish` now and after each change. Blocks for as long as reading takes.
    ///
    /// # Errors
    /// When another server uses the state folder, or a zone cannot be read.
    pub fn open(
        settings: &Settings,
        runtime: &Handle,
        publish: impl Fn(Zones) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, StoreError> {
        Self::open_on(Arc::new(Disk), settings, runtime, publish)
    }

    pub(crate) fn open_on(
        files: Arc<dyn Files>,
        settings: &Settings,
        runtime: &Handle,
        publish: impl Fn(Zones) + Send + Sync + 'static,
    ) -> Result<Arc<Self>, StoreError> {
        let lock = opening::lock(files.as_ref(), &settings.state)?;
        let store = Arc::new(Self {
            files,
            runtime: runtime.clone(),
            publisher: Arc::new(Publisher::new(publish)),
            keepers: ArcSwap::default(),
            reloading: Mutex::default(),
            reloaded: Arc::default(),
            lock: Mutex::new(Some(lock)),
        });
        store.reload(settings)?;
        runtime.spawn(upkeep::end_leases(Arc::downgrade(&store)));
        runtime.spawn(upkeep::keep_signed(Arc::downgrade(&store)));
        Ok(store)
    }

    /// Serves what these settings say from now on. Zones that are new are opened first; what stays is not interrupted.
    /// The seed of a zone without a journal is read again if its file has changed. Blocks for as long as reading takes.
    ///
    /// # Errors
    /// When a zone cannot be read, or the store is closed; then nothing has changed.
    pub fn reload(&self, settings: &Settings) -> Result<(), StoreError> {
        let _only = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.keepers.load_full();
        let (mut keepers, mut opened, mut seeds) = (Keepers::new(), Vec::new(), Vec::new());
        for zone in &settings.zones {
            let keeper = match before.get(&zone.apex) {
                Some(keeper) => {
                    seeds.extend(keeper.new_seed(zone)?.map(|seed| (keeper.clone(), seed)));
                    keeper.clone()
                }
                None => {
                    opened.push(self.keeper(settings, zone)?);
                    opened[opened.len() - 1].clone()
                }
            };
            keepers.insert(zone.apex.clone(), keeper);
        }
        // From here on nothing fails.
        for zone in &settings.zones {
            if let Some(keeper) = before.get(&zone.apex) {
                keeper.change_settings(zone);
            }
        }
        let keepers = Arc::new(keepers);
        self.keepers.store(keepers.clone());
        for (apex, keeper) in before.iter().filter(|(apex, _)| !keepers.contains_key(apex)) {
            keeper.close();
            self.publisher.remove(apex.as_ref());
        }
        opened.iter().for_each(|keeper| keeper.publish());
        seeds.into_iter().for_each(|(keeper, seed)| keeper.reseed(seed));
        self.reloaded.notify_one();
        Ok(())
    }

    fn keeper(&self, settings: &Settings, zone: &ZoneSettings) -> Result<Arc<Keeper>, StoreError> {
        let lock = self.lock().clone().ok_or(StoreError::Closed)?;
        let opened = opening::open(&self.files, &settings.state, zone, lock)?;
        Ok(Keeper::new(opened, zone, self.publisher.clone(), self.runtime.clone()))
    }

    /// Does an update for the owner of the key `signer`, whose signature has been verified. When this ends the change is
    /// on the disk and served; gives back what the answer says about leases.
    ///
    /// # Errors
    /// The result code of the answer; nothing has changed then.
    pub async fn update(&self, update: Update, signer: Option<Name>) -> Result<Option<LeaseTimes>, Rcode> {
        let keeper = self.find(update.zone.as_ref()).ok_or(Rcode::NOTAUTH)?;
        let now = keeper.clone();
        let plan = move |state: &State| {
            // Those of this moment: who may no more may no more, also with an update that has waited.
            let settings = now.settings.load();
            if now.is_secondary() {
                return Err(Rcode::REFUSED);
            }
            let ground = Ground { zone: &state.zone, leases: &state.leases, policy: Policy::of(&settings) };
            let outcome = decide(&update, signer.as_ref().map(Name::as_ref), clock::wall_secs(), &ground)?;
            let granted = outcome.granted;
            Ok((Plan::from(outcome), granted))
        };
        keeper.plan(plan).await
    }

    /// Makes a plan on a zone as it is when all plans before are done. When this ends its result is on the disk and
    /// served. `plan` runs while the zone's other changes wait.
    ///
    /// # Errors
    /// NOTAUTH when there is no such zone, SERVFAIL when the disk refuses or too many plans wait, or what `plan` says; then
    /// nothing has changed.
    pub async fn plan<R: Send + 'static>(
        &self,
        apex: NameRef<'_>,
        plan: impl FnOnce(&State) -> Result<(Plan, R), Rcode> + Send + 'static,
    ) -> Result<R, Rcode> {
        self.find(apex).ok_or(Rcode::NOTAUTH)?.plan(plan).await
    }

    /// A zone, and the changes that lead to it from the version `from`; nothing for these when they are not known any more.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub async fn since(&self, apex: NameRef<'_>, from: Serial) -> Result<(Zone, Option<Vec<Arc<Change>>>), Rcode> {
        let read = move |state: &State| {
            let is_latest = state.zone.serial() == from;
            let changes = if is_latest { Some(Vec::new()) } else { state.history.since(from) };
            Ok((Plan::Nothing, (state.zone.clone(), changes)))
        };
        self.plan(apex, read).await
    }

    /// Says of which zone there is a new version, and which. Who lags behind is told so, and must look at all zones.
    pub fn changes(&self) -> broadcast::Receiver<(Name, Serial)> {
        self.publisher.subscribe()
    }

    /// Gives the aliases of a target its addresses, in every zone. What cannot be written is said in the log; the next loan
    /// tries again.
    pub async fn lend(&self, loan: Loan) {
        for keeper in self.all() {
            if let Err(rcode) = keeper.lend(loan.clone()).await {
                tracing::warn!(zone = %keeper.apex, target = %loan.target, %rcode, "the addresses of an alias stay as they were");
            }
        }
    }

    /// The keys that a zone is signed with; none in a zone that is not.
    ///
    /// # Errors
    /// As [`Self::plan`].
    pub async fn keys(&self, apex: NameRef<'_>) -> Result<Vec<ZoneKey>, Rcode> {
        let keeper = self.find(apex).ok_or(Rcode::NOTAUTH)?;
        let now = keeper.clone();
        let keys = move |state: &State| {
            let settings = now.settings.load();
            let keys = settings.dnssec.as_ref().map(|dnssec| signing::keys(state, dnssec)).transpose()?;
            Ok((Plan::Nothing, keys.unwrap_or_default()))
        };
        keeper.plan(keys).await
    }

    /// Tells the keys of a zone what happened: somebody wants a new one, or the parent zone has the digest of the next one.
    ///
    /// # Errors
    /// As [`Self::plan`]; REFUSED when the zone is not signed here.
    pub async fn tell_keys(&self, apex: NameRef<'_>, input: Input) -> Result<(), Rcode> {
        let keeper = self.find(apex).ok_or(Rcode::NOTAUTH)?;
        let now = keeper.clone();
        let tell = move |state: &State| {
            let settings = now.settings.load();
            let dnssec = settings.dnssec.as_ref().ok_or(Rcode::REFUSED)?;
            Ok((signing::maintain(state, Some(dnssec), Some(input), clock::wall_secs())?, ()))
        };
        keeper.plan(tell).await
    }

    /// Whether nobody is to be answered from a zone, as its primaries have been silent for too long.
    pub fn set_expired(&self, apex: NameRef<'_>, is_expired: bool) {
        if let Some(keeper) = self.find(apex) {
            keeper.set_expired(is_expired);
        }
    }

    /// The settings of a zone.
    pub fn settings(&self, apex: NameRef<'_>) -> Option<Arc<ZoneSettings>> {
        self.find(apex).map(|keeper| keeper.settings.load_full())
    }

    /// All zones, sorted by apex.
    pub fn status(&self) -> Vec<ZoneStatus> {
        self.all().iter().map(|keeper| keeper.status()).collect()
    }

    /// Ends when the plans that wait are done, and lets go of the state folder; later plans are refused. The zones stay
    /// published. Blocks.
    pub fn close(&self) {
        let _only = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        self.all().iter().for_each(|keeper| keeper.close());
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Lock>> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, apex: NameRef<'_>) -> Option<Arc<Keeper>> {
        self.keepers.load().get(&apex.to_owned()).cloned()
    }

    fn all(&self) -> Vec<Arc<Keeper>> {
        self.keepers.load().values().cloned().collect()
    }
}

/// A lease as the journal keeps it.
fn items_of(leases: Vec<Lease>) -> Vec<crate::journal::Item> {
    leases.into_iter().map(crate::journal::Item::Lease).collect()
}
