//! What the store does to its zones by itself, from time to time: leases end, signatures are renewed.
//!
//! Zones are looked after beside each other: the disk of one that hangs does not keep the others waiting.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, FuturesUnordered};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::keeper::Keeper;
use super::{Plan, Store, lending, signing};
use crate::clock;
use crate::journal::State;
use crate::name::Name;
use crate::update::expire;
use crate::wire::Rcode;

/// How often ended leases are looked for: a record outlives its lease by no more.
const EXPIRY: Duration = Duration::from_secs(1);

/// How often keys and signatures are looked at. Signatures are renewed days before they end.
const UPKEEP: Duration = Duration::from_secs(600);

/// Plans that one round of upkeep makes for a zone at most: enough to renew every signature of a million names.
const MAX_UPKEEP: usize = 10_000;

/// Zones whose signatures are looked at at the same time: making them takes the time of a core.
const SIGNED_AT_ONCE: usize = 4;

/// Takes records out of the zones when their leases have ended, as long as there is a store. A secondary's records end
/// where they began.
pub(super) async fn end_leases(store: Weak<Store>) {
    let mut ticks = interval(EXPIRY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ending, mut at_work) = (FuturesUnordered::new(), BTreeSet::<Name>::new());
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let Some(store) = store.upgrade() else { return };
                let now = clock::wall_secs();
                let due = store.all().into_iter().filter(|keeper| keeper.next_end() <= now && !keeper.is_secondary());
                for keeper in due {
                    if at_work.insert(keeper.apex.clone()) {
                        ending.push(end_leases_of(keeper, now));
                    }
                }
            }
            Some(apex) = ending.next() => drop(at_work.remove(&apex)),
        }
    }
}

pub(super) async fn end_leases_of(keeper: Arc<Keeper>, now_secs: u64) -> Name {
    let now = keeper.clone();
    let plan = move |state: &State| {
        if now.is_secondary() {
            return Ok((Plan::Nothing, ()));
        }
        let ended = expire(&state.zone, &state.leases, now_secs)?;
        Ok((ended.map_or(Plan::Nothing, Plan::from), ()))
    };
    if let Err(rcode) = keeper.plan(plan).await {
        tracing::warn!(zone = %keeper.apex, %rcode, "ended leases stay for now");
    }
    keeper.apex.clone()
}

/// Keeps keys, signatures and the names of aliases as the settings and the time want them, as long as there is a store.
pub(super) async fn keep_signed(store: Weak<Store>) {
    loop {
        let Some(strong) = store.upgrade() else { return };
        let (keepers, reloaded) = (strong.all(), strong.reloaded.clone());
        drop(strong);
        stream::iter(keepers).for_each_concurrent(SIGNED_AT_ONCE, keep_zone_signed).await;
        // Whichever is first; a notice that comes meanwhile is kept for the next round.
        let _ = timeout(UPKEEP, reloaded.notified()).await;
    }
}

async fn keep_zone_signed(keeper: Arc<Keeper>) {
    let now = keeper.clone();
    let take_back = move |state: &State| match now.is_secondary() {
        true => Ok((Plan::Nothing, ())),
        false => Ok((lending::take_back(state, &now.settings.load().aliases)?, ())),
    };
    let mut done = keeper.plan(take_back).await.map(|()| true);
    for _ in 0..MAX_UPKEEP {
        if done != Ok(true) {
            break;
        }
        done = keeper.plan(sign(keeper.clone())).await;
    }
    if let Err(rcode) = done {
        tracing::warn!(zone = %keeper.apex, %rcode, "keys, signatures or aliases stay as they are for now");
    }
}

/// The next step of a zone's upkeep, and whether there may be another.
fn sign(keeper: Arc<Keeper>) -> impl FnOnce(&State) -> Result<(Plan, bool), Rcode> {
    move |state| {
        if keeper.is_secondary() {
            return Ok((Plan::Nothing, false));
        }
        let plan = signing::maintain(state, keeper.settings.load().dnssec.as_ref(), None, clock::wall_secs())?;
        let goes_on = !matches!(plan, Plan::Nothing);
        Ok((plan, goes_on))
    }
}
