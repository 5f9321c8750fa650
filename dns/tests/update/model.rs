//! RFC 2136 as simply as it can be said: a map of names, of types, of data, and the steps of its section 3 in a row.
//!
//! It knows nothing of the crate. Where the crate has made a choice that the RFC leaves open, a comment says so.

use std::collections::BTreeMap;

use super::encode::wire;
use super::random::{ALIAS, ANY, APEX, IN, NONE, Rr, Sequence, Step, Update};

const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const WKS: u16 = 11;
const KEY: u16 = 25;
const DNAME: u16 = 39;
const TYPE_ANY: u16 = 255;

/// A zone, and the seconds that have passed.
pub struct Model {
    data: BTreeMap<String, BTreeMap<u16, Set>>,
    leases: BTreeMap<Key, u64>,
    is_signed: bool,
    now: u64,
}

/// What an update is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    pub rcode: u16,
    pub lease: Option<(u32, Option<u32>)>,
}

/// Name in lower case, type, data.
pub type Key = (String, u16, Vec<u8>);

#[derive(Clone, Debug, PartialEq)]
struct Set {
    ttl: u32,
    data: Vec<Vec<u8>>,
}

impl Model {
    /// A zone with the records of a sequence.
    pub fn new(sequence: &Sequence) -> Self {
        let mut model = Self { data: BTreeMap::new(), leases: BTreeMap::new(), is_signed: sequence.is_signed, now: 0 };
        for rr in start(sequence.serial).iter().chain(&sequence.records) {
            model.put(&rr.name.to_ascii_lowercase(), rr.rtype, rr.ttl, wire(rr.data.as_ref().unwrap()));
        }
        model
    }

    /// Every record: name in lower case, type, TTL, data; sorted.
    pub fn records(&self) -> Vec<(String, u16, u32, Vec<u8>)> {
        let mut all = Vec::new();
        for (name, sets) in &self.data {
            for (rtype, set) in sets {
                all.extend(set.data.iter().map(|data| (name.clone(), *rtype, set.ttl, data.clone())));
            }
        }
        all.sort();
        all
    }

    /// Every lease, sorted by record.
    pub fn leases(&self) -> impl Iterator<Item = (&Key, u64)> {
        self.leases.iter().map(|(key, expires)| (key, *expires))
    }

    pub fn step(&mut self, step: &Step) -> Reply {
        match step {
            Step::Update(update) => {
                let rcode = self.update(update);
                let clamp = |seconds: u32| seconds.clamp(1, 31 * 86_400);
                let granted = update.lease.map(|(lease, key)| (clamp(lease), key.map(clamp)));
                Reply { rcode, lease: granted.filter(|_| rcode == 0) }
            }
            Step::Wait(seconds) => {
                self.now += seconds;
                self.expire();
                Reply { rcode: 0, lease: None }
            }
        }
    }

    fn update(&mut self, update: &Update) -> u16 {
        // 3.1.1; all that is wrong in form comes first.
        let (zone, rtype, class) = update.zone;
        if rtype != SOA {
            return 1;
        }
        if class != IN {
            return 9;
        }
        if !update.prerequisites.iter().all(prerequisite_is_formed) || !update.updates.iter().all(update_is_formed) {
            return 1;
        }
        // 3.1.2
        if zone.to_ascii_lowercase() != APEX {
            return 9;
        }
        // Who may do nothing at all is told nothing.
        let Some(signer) = update.signer.filter(|signer| ["all.", "part.", "acme."].contains(signer)) else { return 5 };
        // 3.2.5
        if let Err(rcode) = self.prerequisites(&update.prerequisites) {
            return rcode;
        }
        // 3.4.1.3, then 3.3
        if !update.updates.iter().all(|rr| is_inside(rr.name)) {
            return 10;
        }
        if !update.updates.iter().all(|rr| self.may(signer, rr)) {
            return 5;
        }
        // 3.4.2.7
        let before = self.data.clone();
        for rr in &update.updates {
            self.apply(rr);
        }
        self.finish(before);
        for rr in update.updates.iter().filter(|rr| rr.class == IN && rr.rtype != SOA) {
            self.lease(rr, update.lease);
        }
        0
    }

    fn prerequisites(&self, prerequisites: &[Rr]) -> Result<(), u16> {
        let mut sets: BTreeMap<(String, u16), Vec<Vec<u8>>> = BTreeMap::new();
        for rr in prerequisites {
            let name = rr.name.to_ascii_lowercase();
            if rr.class == IN {
                let data = wire(rr.data.as_ref().unwrap());
                sets.entry((name, rr.rtype)).or_default().push(fold(rr.rtype, &data));
                continue;
            }
            if !is_inside(rr.name) {
                return Err(10);
            }
            let is_used = self.data.contains_key(&name);
            let has_set = self.set(&name, rr.rtype).is_some();
            match (rr.class, rr.rtype) {
                (ANY, TYPE_ANY) if !is_used => return Err(3),
                (NONE, TYPE_ANY) if is_used => return Err(6),
                (ANY, rtype) if rtype != TYPE_ANY && !has_set => return Err(8),
                (NONE, rtype) if rtype != TYPE_ANY && has_set => return Err(7),
                _ => {}
            }
        }
        // Sets are compared after all else; the RFC's zone check comes with each.
        let order = |(name, _): &(String, u16)| name.split('.').rev().map(str::to_owned).collect::<Vec<_>>();
        let mut sets: Vec<_> = sets.into_iter().collect();
        sets.sort_by_key(|(key, _)| (order(key), key.1));
        for ((name, rtype), mut wanted) in sets {
            if !is_inside(&name) {
                return Err(10);
            }
            let found = self.set(&name, rtype).map(|set| set.data.clone()).unwrap_or_default();
            let mut found: Vec<_> = found.iter().map(|data| fold(rtype, data)).collect();
            found.sort();
            wanted.sort();
            wanted.dedup();
            if found != wanted {
                return Err(8);
            }
        }
        Ok(())
    }

    fn may(&self, signer: &str, rr: &Rr) -> bool {
        let name = rr.name.to_ascii_lowercase();
        let name_is_mine = match signer {
            "acme." => name == "_acme-challenge.t.",
            "part." => name == "a.t." || name.ends_with(".a.t."),
            _ => true,
        };
        let type_is_mine = |rtype: u16| match signer {
            "acme." => rtype == 16,
            "part." => [1, 5, 16].contains(&rtype),
            _ => true,
        };
        if rr.class == ANY && rr.rtype == TYPE_ANY {
            let types: Vec<u16> = self.data.get(&name).into_iter().flat_map(|sets| sets.keys().copied()).collect();
            let mut going = types.into_iter().filter(|rtype| !self.stays(&name, *rtype));
            return name_is_mine && going.all(type_is_mine);
        }
        name_is_mine && type_is_mine(rr.rtype) && !self.is_kept(&name, rr.rtype)
    }

    /// What the server makes itself.
    fn is_kept(&self, name: &str, rtype: u16) -> bool {
        let is_key = [48, 59, 60].contains(&rtype) && self.is_signed && name == APEX;
        [46, 47, 50, 51].contains(&rtype) || is_key || name == ALIAS && [1, 28, CNAME].contains(&rtype)
    }

    /// What a deletion of all leaves.
    fn stays(&self, name: &str, rtype: u16) -> bool {
        name == APEX && (rtype == SOA || rtype == NS) || self.is_kept(name, rtype)
    }

    fn apply(&mut self, rr: &Rr) {
        let name = rr.name.to_ascii_lowercase();
        let data = rr.data.as_ref().map(wire).unwrap_or_default();
        match (rr.class, rr.rtype) {
            (IN, rtype) => self.add(&name, rtype, if rr.ttl > i32::MAX as u32 { 0 } else { rr.ttl }, data),
            (ANY, TYPE_ANY) => {
                let types: Vec<u16> = self.data.get(&name).into_iter().flat_map(|sets| sets.keys().copied()).collect();
                for rtype in types {
                    if !self.stays(&name, rtype) {
                        self.remove_set(&name, rtype);
                    }
                }
            }
            (ANY, SOA | NS) if name == APEX => {}
            (ANY, rtype) => self.remove_set(&name, rtype),
            (_, rtype) => self.delete(&name, rtype, &data),
        }
    }

    fn add(&mut self, name: &str, rtype: u16, ttl: u32, data: Vec<u8>) {
        let types: Vec<u16> = self.data.get(name).into_iter().flat_map(|sets| sets.keys().copied()).collect();
        let is_beside = |rtype: &u16| [CNAME, KEY].contains(rtype);
        if rtype == CNAME && !types.iter().all(is_beside) || !is_beside(&rtype) && types.contains(&CNAME) {
            return;
        }
        if rtype == SOA {
            let is_newer = (1..1 << 31).contains(&serial(&data).wrapping_sub(self.serial()));
            if name != APEX || !is_newer {
                return;
            }
        }
        if [CNAME, DNAME, SOA].contains(&rtype) {
            self.remove_set(name, rtype);
        }
        if rtype == WKS {
            let known = self.set(name, rtype).map(|set| set.data.clone()).unwrap_or_default();
            for other in known.iter().filter(|other| other[..5] == data[..5]) {
                self.remove(name, rtype, other);
            }
        }
        self.put(name, rtype, ttl, data);
    }

    fn delete(&mut self, name: &str, rtype: u16, data: &[u8]) {
        let is_last = self.set(name, rtype).is_some_and(|set| set.data.len() == 1);
        if name == APEX && (rtype == SOA || rtype == NS && is_last) {
            return;
        }
        self.remove(name, rtype, data);
    }

    /// 3.6, and the end of leases of records that are gone.
    fn finish(&mut self, before: BTreeMap<String, BTreeMap<u16, Set>>) {
        if self.data != before && self.serial() == soa_serial(&before) {
            let set = self.data.get_mut(APEX).unwrap().get_mut(&SOA).unwrap();
            let at = set.data[0].len() - 20;
            // Zero is left out.
            let next = serial(&set.data[0]).wrapping_add(1).max(1);
            set.data[0][at..at + 4].copy_from_slice(&next.to_be_bytes());
        }
        let data = &self.data;
        self.leases.retain(|(name, rtype, rdata), _| {
            data.get(name).and_then(|sets| sets.get(rtype)).is_some_and(|set| set.data.contains(rdata))
        });
    }

    fn lease(&mut self, rr: &Rr, times: Option<(u32, Option<u32>)>) {
        let (name, data) = (rr.name.to_ascii_lowercase(), wire(rr.data.as_ref().unwrap()));
        let same = |mine: &&Vec<u8>| fold(rr.rtype, mine) == fold(rr.rtype, &data);
        let Some(stored) = self.set(&name, rr.rtype).and_then(|set| set.data.iter().find(same)) else { return };
        let key = (name, rr.rtype, stored.clone());
        match times {
            None => drop(self.leases.remove(&key)),
            Some((lease, key_lease)) => {
                let seconds = key_lease.filter(|_| rr.rtype == KEY).unwrap_or(lease);
                self.leases.insert(key, self.now + u64::from(seconds.clamp(1, 31 * 86_400)));
            }
        }
    }

    fn expire(&mut self) {
        let before = self.data.clone();
        let mut ended: Vec<(u64, Key)> =
            self.leases.iter().filter(|(_, at)| **at <= self.now).map(|(key, at)| (*at, key.clone())).collect();
        ended.sort();
        for (_, key) in ended {
            self.leases.remove(&key);
            self.delete(&key.0, key.1, &key.2);
        }
        self.finish(before);
    }

    fn set(&self, name: &str, rtype: u16) -> Option<&Set> {
        self.data.get(name)?.get(&rtype)
    }

    fn put(&mut self, name: &str, rtype: u16, ttl: u32, data: Vec<u8>) {
        let sets = self.data.entry(name.to_owned()).or_default();
        let set = sets.entry(rtype).or_insert(Set { ttl, data: Vec::new() });
        set.ttl = ttl;
        if !set.data.iter().any(|mine| fold(rtype, mine) == fold(rtype, &data)) {
            set.data.push(data);
        }
        set.data.sort();
    }

    fn remove(&mut self, name: &str, rtype: u16, data: &[u8]) {
        if let Some(set) = self.data.get_mut(name).and_then(|sets| sets.get_mut(&rtype)) {
            set.data.retain(|mine| fold(rtype, mine) != fold(rtype, data));
            if set.data.is_empty() {
                self.remove_set(name, rtype);
            }
        }
    }

    fn remove_set(&mut self, name: &str, rtype: u16) {
        if let Some(sets) = self.data.get_mut(name) {
            sets.remove(&rtype);
            if sets.is_empty() {
                self.data.remove(name);
            }
        }
    }

    fn serial(&self) -> u32 {
        soa_serial(&self.data)
    }
}

/// What every zone begins with.
pub fn start(serial: u32) -> [Rr; 3] {
    use super::random::Data;
    let rr = |name, rtype, data| Rr { name, class: IN, ttl: 60, rtype, data: Some(data) };
    [rr(APEX, SOA, Data::Soa(serial)), rr(APEX, NS, Data::Name("n1.t.")), rr(ALIAS, 1, Data::Address(9))]
}

/// 2.4 and 3.2.4.
fn prerequisite_is_formed(rr: &Rr) -> bool {
    rr.ttl == 0
        && match rr.class {
            ANY | NONE => rr.data.is_none(),
            IN => rr.data.is_some(),
            _ => false,
        }
}

/// 2.5 and 3.4.1.
fn update_is_formed(rr: &Rr) -> bool {
    match rr.class {
        IN => rr.rtype != 252 && rr.data.is_some(),
        ANY => rr.ttl == 0 && rr.data.is_none() && rr.rtype != 252,
        // Data of an unknown type may be empty.
        NONE => rr.ttl == 0 && (rr.data.is_some() || rr.rtype == 65_400) && rr.rtype != 252,
        _ => false,
    }
}

fn is_inside(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == APEX || name.ends_with(".t.")
}

fn soa_serial(data: &BTreeMap<String, BTreeMap<u16, Set>>) -> u32 {
    serial(&data[APEX][&SOA].data[0])
}

fn serial(soa: &[u8]) -> u32 {
    let at = soa.len() - 20;
    u32::from_be_bytes(soa[at..at + 4].try_into().unwrap())
}

/// Data with its names in lower case, which tells the same from other data.
fn fold(rtype: u16, data: &[u8]) -> Vec<u8> {
    match rtype {
        NS | CNAME | DNAME | 15 => data.to_ascii_lowercase(),
        _ => data.to_vec(),
    }
}
