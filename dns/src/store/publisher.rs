//! What everybody sees of the zones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;

use crate::answer::{Served, Zones};
use crate::name::{Name, NameRef};
use crate::zone::Serial;

/// Collects the zones of all keepers, and hands all of them on when one changes.
pub(super) struct Publisher {
    zones: Mutex<Zones>,
    publish: Box<dyn Fn(Zones) + Send + Sync>,
    changes: broadcast::Sender<(Name, Serial)>,
}

/// Changes that a subscriber may lag behind; beyond it looks at all zones, which costs no more.
const MAX_LAG: usize = 256;

impl Publisher {
    pub(super) fn new(publish: impl Fn(Zones) + Send + Sync + 'static) -> Self {
        let (changes, _) = broadcast::channel(MAX_LAG);
        Self { zones: Mutex::default(), publish: Box::new(publish), changes }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<(Name, Serial)> {
        self.changes.subscribe()
    }

    pub(super) fn put(&self, served: Served) {
        let (apex, serial) = (served.zone.apex().clone(), served.zone.serial());
        let shown = |served: &Served| (served.zone.serial(), served.expired);
        let mut zones = self.lock();
        let is_new = zones.at(apex.as_ref()).is_none_or(|before| shown(before) != shown(&served));
        zones.put(served);
        (self.publish)(zones.clone());
        drop(zones);
        if is_new {
            // Nobody may be listening.
            let _ = self.changes.send((apex, serial));
        }
    }

    pub(super) fn remove(&self, apex: NameRef<'_>) {
        let mut zones = self.lock();
        zones.remove(apex);
        // Under the lock: an older list must not follow a newer one.
        (self.publish)(zones.clone());
    }

    pub(super) fn zone(&self, apex: NameRef<'_>) -> Option<Arc<Served>> {
        self.lock().at(apex).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Zones> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, Rtype};
    use crate::zone::{Soa, Zone};

    #[test]
    fn what_is_seen_is_told() {
        let apex: Name = "dyn.test".parse().expect("a name");
        let served = |serial, expired| {
            let soa = Soa { serial: Serial(serial), ..Soa::default() };
            let soa = Record { name: apex.clone(), rtype: Rtype::SOA, ttl: 60, rdata: soa.write() };
            let mut served = Served::new(Zone::new(apex.clone(), [soa]).expect("a zone"));
            served.expired = expired;
            served
        };
        let publisher = Publisher::new(|_| ());
        let mut changes = publisher.subscribe();
        for (serial, expired, is_told) in
            [(1, false, true), (1, false, false), (1, true, true), (1, true, false), (1, false, true), (2, false, true)]
        {
            publisher.put(served(serial, expired));
            let told = changes.try_recv().ok();
            assert_eq!(told, is_told.then(|| (apex.clone(), Serial(serial))), "{serial} {expired}");
        }
    }
}
