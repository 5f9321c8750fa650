//! The chain of names that proves what does not exist: NSEC (RFC 4034, 4) or NSEC3 (RFC 5155).

use std::collections::BTreeSet;

use super::{SignError, Standing, standing};
use crate::name::{Name, NameRef};
use crate::record::{Record, RecordSet, Rtype};
use crate::zone::nsec3::{Nsec3Params, hash_of_owner};
use crate::zone::{Edit, Zone};

/// How the names of a zone are linked.
pub(super) struct Link {
    /// By their hashes, if so.
    pub(super) hashed: Option<Nsec3Params>,
    /// Seconds a cache may keep a link.
    pub(super) ttl: u32,
}

/// Who owns a link that was looked at: these have to be signed.
#[derive(Default)]
pub(super) struct Owners {
    pub(super) names: BTreeSet<Name>,
    pub(super) hashes: BTreeSet<Name>,
}

/// A link is kept no longer than "no such name" (RFC 9077).
pub(super) fn ttl(zone: &Zone) -> u32 {
    let soa = zone.set(zone.apex().as_ref(), Rtype::SOA);
    soa.map_or(0, |set| set.ttl().min(zone.soa().minimum))
}

impl Link {
    /// Whether a zone is linked this way already.
    pub(super) fn fits(&self, zone: &Zone) -> bool {
        let apex = zone.apex().as_ref();
        let node = match &self.hashed {
            None => zone.node(apex),
            Some(params) => params.owner(apex, apex).ok().and_then(|owner| zone.nsec3_node(owner.as_ref())),
        };
        node.and_then(|node| node.set(self.rtype())).is_some_and(|set| set.ttl() == self.ttl)
    }

    /// Puts the links of `names` right, and those of the names before them; `after` is the zone as the edit has left it.
    pub(super) fn update(&self, edit: &mut Edit, after: &Zone, names: &BTreeSet<Name>) -> Result<Owners, SignError> {
        let apex = after.apex().as_ref();
        // First who is in the chain: newcomers get a link to nowhere.
        let mut places = Vec::with_capacity(names.len());
        for name in names {
            let owner = self.owner(name, apex)?;
            let is_linked = edit.set(owner.as_ref(), self.rtype()).is_some();
            match (self.wants(after, name.as_ref()), is_linked) {
                (true, false) => self.put(edit, &owner, Box::default())?,
                (false, true) => self.remove(edit, &owner),
                _ => {}
            }
            places.push((owner, name));
        }
        // Then what each link says, which depends on the others.
        let linked = edit.preview()?;
        let mut owners = Owners::default();
        for (owner, name) in places {
            if let Some(before) = self.before(&linked, owner.as_ref()) {
                self.point(edit, &linked, before, None)?;
                self.side(&mut owners).insert(before.to_owned());
            }
            if self.wants(after, name.as_ref()) {
                let types = self.types(after, name.as_ref());
                self.point(edit, &linked, owner.as_ref(), Some(&types))?;
                self.side(&mut owners).insert(owner);
            }
        }
        Ok(owners)
    }

    fn side<'a>(&self, owners: &'a mut Owners) -> &'a mut BTreeSet<Name> {
        if self.hashed.is_some() { &mut owners.hashes } else { &mut owners.names }
    }

    fn rtype(&self) -> Rtype {
        if self.hashed.is_some() { Rtype::NSEC3 } else { Rtype::NSEC }
    }

    fn owner(&self, name: &Name, apex: NameRef<'_>) -> Result<Name, SignError> {
        match &self.hashed {
            None => Ok(name.clone()),
            Some(params) => Ok(params.owner(name.as_ref(), apex)?),
        }
    }

    fn before<'z>(&self, zone: &'z Zone, owner: NameRef<'_>) -> Option<NameRef<'z>> {
        if self.hashed.is_some() { zone.nsec3_before(owner) } else { zone.nsec_before(owner) }
    }

    fn after<'z>(&self, zone: &'z Zone, owner: NameRef<'_>) -> Option<NameRef<'z>> {
        if self.hashed.is_some() { zone.nsec3_after(owner) } else { zone.nsec_after(owner) }
    }

    /// Whether a name has a place in the chain: the empty ones between have one only when names are hashed
    /// (RFC 5155, 7.1).
    fn wants(&self, zone: &Zone, name: NameRef<'_>) -> bool {
        match standing(zone, name) {
            Standing::Cut => true,
            Standing::Inside => self.hashed.is_some() || zone.node(name).is_some_and(|node| has_data(node.entries())),
            Standing::Absent | Standing::Below => false,
        }
    }

    /// The types that a link shows.
    fn types(&self, zone: &Zone, name: NameRef<'_>) -> BTreeSet<Rtype> {
        let is_cut = standing(zone, name) == Standing::Cut;
        let shown = |rtype: &Rtype| match *rtype {
            Rtype::NSEC => false,
            rtype => !is_cut || matches!(rtype, Rtype::NS | Rtype::DS),
        };
        let entries = zone.node(name).map(|node| node.entries()).unwrap_or_default();
        let mut types: BTreeSet<Rtype> = entries.iter().map(|entry| entry.set.rtype()).filter(shown).collect();
        if self.hashed.is_none() {
            types.extend([Rtype::NSEC, Rtype::RRSIG]);
        } else if types.contains(&Rtype::DS) || (!is_cut && !types.is_empty()) {
            types.insert(Rtype::RRSIG);
        }
        types
    }

    /// Makes a link point to the next one; it keeps its types when none are given.
    fn point(
        &self,
        edit: &mut Edit,
        linked: &Zone,
        owner: NameRef<'_>,
        types: Option<&BTreeSet<Rtype>>,
    ) -> Result<(), SignError> {
        let current = edit.set(owner, self.rtype());
        let Some(next) = self.after(linked, owner) else { return Ok(()) };
        let current_types = || current.as_ref().map(|set| self.bitmap_in(set.first())).unwrap_or_default();
        let types = types.map_or_else(current_types, bitmap);
        let rdata = match &self.hashed {
            None => [next.wire(), &types].concat(),
            Some(params) => {
                let hash = hash_of_owner(next).unwrap_or_default();
                [params.write().as_slice(), &[hash.len() as u8], &hash, &types].concat()
            }
        };
        let wanted = RecordSet::new(self.rtype(), self.ttl, &[&rdata]);
        if current == wanted {
            return Ok(());
        }
        edit.remove_set(owner, self.rtype());
        self.put(edit, &owner.to_owned(), rdata.into())
    }

    /// The bitmap at the end of a link's data.
    fn bitmap_in(&self, rdata: &[u8]) -> Vec<u8> {
        let rest = match &self.hashed {
            None => NameRef::read(rdata).map(|(_, rest)| rest).unwrap_or_default(),
            Some(params) => {
                let hash = rdata.get(params.write().len()..).and_then(|rest| rest.split_first());
                hash.and_then(|(len, rest)| rest.get(usize::from(*len)..)).unwrap_or_default()
            }
        };
        rest.to_vec()
    }

    fn put(&self, edit: &mut Edit, owner: &Name, rdata: Box<[u8]>) -> Result<(), SignError> {
        edit.add(Record { name: owner.clone(), rtype: self.rtype(), ttl: self.ttl, rdata })?;
        Ok(())
    }

    fn remove(&self, edit: &mut Edit, owner: &Name) {
        edit.remove_signatures(owner.as_ref(), self.rtype());
        edit.remove_set(owner.as_ref(), self.rtype());
    }
}

/// Whether there is anything that does not come from signing itself.
fn has_data(entries: &[crate::zone::Entry]) -> bool {
    entries.iter().any(|entry| entry.set.rtype() != Rtype::NSEC)
}

/// The types as a bitmap of windows (RFC 4034, 4.1.2).
fn bitmap(types: &BTreeSet<Rtype>) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut types = types.iter().copied().peekable();
    while let Some(&Rtype(first)) = types.peek() {
        let (window, mut bits, mut len) = ((first >> 8) as u8, [0u8; 32], 0);
        while let Some(Rtype(number)) = types.next_if(|Rtype(number)| (number >> 8) as u8 == window) {
            let low = usize::from(number & 0xff);
            bits[low / 8] |= 0x80 >> (low % 8);
            len = low / 8 + 1;
        }
        octets.extend([window, len as u8]);
        octets.extend_from_slice(&bits[..len]);
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_has_windows() {
        // The example of RFC 4034, 4.3.
        let types = [Rtype::A, Rtype::MX, Rtype::RRSIG, Rtype::NSEC, Rtype(1234)].into();
        let mut expected = vec![0, 6, 0x40, 0x01, 0, 0, 0, 0x03, 4, 27];
        expected.extend([0; 26]);
        expected.push(0x20);
        assert_eq!(bitmap(&types), expected);
    }
}
