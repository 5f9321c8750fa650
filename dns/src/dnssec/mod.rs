//! Signing a zone while it changes (RFC 4033 to 4035, RFC 5155).
//!
//! A [`Signer`] looks at the names that an edit touched and makes their signatures and their places in the chain of names
//! right: an update of one name costs its own signatures, the SOA's, and those of two links of the chain. A zone that is
//! not signed the way it should be is signed as a whole by the same code, with every name as touched.
//! **Invariants:** what is below a delegation is not signed; a signature is renewed long before it ends; keys change
//! only in the steps of [`KeySet`], and never so that a resolver with old data is left without a proof.

mod chain;
mod keep;
mod key;
mod roll;
mod signature;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use keep::KeepError;
pub use key::{KeyError, Role, Stage, ZoneKey};
pub use roll::{Effect, Facts, Input, KeySet, PROPAGATION_SECS};

use crate::name::{Name, NameError, NameRef};
use crate::record::{Record, RecordSet, Rtype};
use crate::settings::Dnssec;
use crate::zone::nsec3::Nsec3Params;
use crate::zone::{Edit, EditError, Node, Zone};
use chain::Link;

/// The TTL of the keys, in seconds.
pub const KEY_TTL: u32 = 3600;

/// Signs one zone with its keys.
#[derive(Debug)]
pub struct Signer {
    nsec3: bool,
    keys: KeySet,
}

/// Why a zone could not be signed. The edit is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The zone cannot have what it would need.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// A key does not work.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The apex leaves no room for hashed names.
    #[error("hashed names do not fit below the apex")]
    Hash(#[from] NameError),
}

/// What a name is to signing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// There is no such name.
    Absent,
    /// The zone answers for it.
    Inside,
    /// A delegation: only DS and the place in the chain are signed.
    Cut,
    /// Below a delegation or a DNAME: not part of what the zone answers.
    Below,
}

impl Signer {
    /// A signer as the settings want it, with the keys that the zone has.
    pub fn new(settings: &Dnssec, keys: KeySet) -> Self {
        Self { nsec3: settings.nsec3, keys }
    }

    /// The keys.
    pub fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// The keys, to change them; [`Signer::sign`] an edit afterwards, an empty one as well.
    pub fn keys_mut(&mut self) -> &mut KeySet {
        &mut self.keys
    }

    /// Makes signatures, chain and keys right for what the edit changed: the last thing before its end, after the serial.
    ///
    /// # Errors
    /// When a key does not sign, or the zone cannot have the records.
    pub fn sign(&self, edit: &mut Edit, now_secs: u64) -> Result<(), SignError> {
        self.put_keys(edit)?;
        let after = edit.preview()?;
        let ttl = chain::ttl(&after);
        let link = Link { hashed: self.nsec3.then(Nsec3Params::default), ttl };
        let mut names = match link.fits(edit.base()) {
            true => concerned(edit, &after),
            false => everything(edit.base(), &after),
        };
        if !link.fits(edit.base()) {
            remove_chains(edit);
        }
        let owners = link.update(edit, &after, &names)?;
        names.extend(owners.names);
        for name in &names {
            let standing = standing(&after, name.as_ref());
            for rtype in edit.types(name.as_ref()) {
                self.sign_set(edit, name, rtype, standing, now_secs)?;
            }
        }
        for hash in &owners.hashes {
            self.sign_set(edit, hash, Rtype::NSEC3, Standing::Inside, now_secs)?;
        }
        Ok(())
    }

    /// An edit that renews signatures which will end soon or are by keys that sign no more: at most so many sets, the
    /// serial left to the caller. Nothing when none is due.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn renew(&self, zone: &Zone, now_secs: u64, at_most: usize) -> Result<Option<Edit>, SignError> {
        let mut edit = zone.edit();
        let mut renewed = 0;
        let due = zone.all_nodes().flat_map(|node| node.entries().iter().map(move |entry| (node, entry)));
        for (node, entry) in due {
            let rtype = entry.set.rtype();
            let Some(signatures) = entry.signatures.as_deref() else { continue };
            if self.is_good(&entry.set, signatures, now_secs) {
                continue;
            }
            let name = node.name().to_owned();
            self.put_signatures(&mut edit, &name, rtype, &entry.set, now_secs)?;
            renewed += 1;
            if renewed >= at_most {
                break;
            }
        }
        Ok((renewed > 0).then_some(edit))
    }

    /// The keys and what says so to the parent zone.
    fn put_keys(&self, edit: &mut Edit) -> Result<(), SignError> {
        let apex = edit.base().apex().clone();
        let soa_ttl = edit.set(apex.as_ref(), Rtype::SOA).map_or(KEY_TTL, |soa| soa.ttl());
        let params = self.nsec3.then(|| Nsec3Params::default().write().into_boxed_slice());
        let announced = self.keys.announced();
        let wanted = [
            (Rtype::DNSKEY, KEY_TTL, self.keys.iter().map(|key| key.dnskey().into()).collect::<Vec<Box<[u8]>>>()),
            (Rtype::CDNSKEY, KEY_TTL, announced.iter().map(|key| key.dnskey().into()).collect()),
            (Rtype::CDS, KEY_TTL, announced.iter().map(|key| key.ds(&apex)).collect()),
            (Rtype::NSEC3PARAM, soa_ttl, params.into_iter().collect()),
        ];
        for (rtype, ttl, rdata) in wanted {
            let wanted = RecordSet::new(rtype, ttl, &rdata.iter().map(AsRef::as_ref).collect::<Vec<_>>());
            if edit.set(apex.as_ref(), rtype) == wanted {
                continue;
            }
            edit.remove_set(apex.as_ref(), rtype);
            for rdata in rdata {
                edit.add(Record { name: apex.clone(), rtype, ttl, rdata })?;
            }
        }
        Ok(())
    }

    fn sign_set(
        &self,
        edit: &mut Edit,
        name: &Name,
        rtype: Rtype,
        standing: Standing,
        now_secs: u64,
    ) -> Result<(), SignError> {
        let signs = match standing {
            Standing::Inside => true,
            Standing::Cut => matches!(rtype, Rtype::DS | Rtype::NSEC),
            Standing::Below | Standing::Absent => false,
        };
        let signatures = edit.signatures(name.as_ref(), rtype);
        let Some(set) = edit.set(name.as_ref(), rtype).filter(|_| signs) else {
            if signatures.is_some() {
                edit.remove_signatures(name.as_ref(), rtype);
            }
            return Ok(());
        };
        let base = edit.base();
        let known = match rtype {
            Rtype::NSEC3 => base.nsec3_node(name.as_ref()),
            _ => base.node(name.as_ref()),
        };
        let unchanged = known.and_then(|node| node.set(rtype)) == Some(&set);
        if unchanged && signatures.is_some_and(|signatures| self.is_good(&set, &signatures, now_secs)) {
            return Ok(());
        }
        self.put_signatures(edit, name, rtype, &set, now_secs)
    }

    fn put_signatures(
        &self,
        edit: &mut Edit,
        name: &Name,
        rtype: Rtype,
        set: &RecordSet,
        now_secs: u64,
    ) -> Result<(), SignError> {
        let apex = edit.base().apex().clone();
        edit.remove_signatures(name.as_ref(), rtype);
        for key in self.keys.signing(rtype) {
            let rdata = signature::make(key, name.as_ref(), set, apex.as_ref(), now_secs)?;
            edit.add(Record { name: name.clone(), rtype: Rtype::RRSIG, ttl: set.ttl(), rdata })?;
        }
        Ok(())
    }

    /// Whether the signatures are by the keys that sign now, each one, and will not end soon.
    fn is_good(&self, set: &RecordSet, signatures: &RecordSet, now_secs: u64) -> bool {
        let mut keys = self.keys.signing(set.rtype());
        let good = |rdata: &[u8], key: &ZoneKey| signature::is_good(rdata, key, set.ttl(), now_secs);
        usize::from(signatures.count()) == self.keys.signing(set.rtype()).count()
            && keys.all(|key| signatures.rdata().any(|rdata| good(rdata, key)))
    }
}

/// The tag of the key that a signature is by; nothing when the data is too short for one.
pub fn signed_by(rrsig: &[u8]) -> Option<u16> {
    signature::tag(rrsig)
}

/// Takes everything away that signing made: the zone is not signed any more.
pub fn unsign(edit: &mut Edit) {
    remove_chains(edit);
    let names: Vec<Name> = edit.base().nodes().map(|node| node.name().to_owned()).collect();
    for name in names {
        edit.remove_set(name.as_ref(), Rtype::RRSIG);
    }
    let apex = edit.base().apex().clone();
    for rtype in [Rtype::DNSKEY, Rtype::CDS, Rtype::CDNSKEY, Rtype::NSEC3PARAM] {
        edit.remove_set(apex.as_ref(), rtype);
    }
}

fn remove_chains(edit: &mut Edit) {
    let nodes = edit.base().clone();
    for node in nodes.all_nodes() {
        for rtype in [Rtype::NSEC, Rtype::NSEC3] {
            if node.set(rtype).is_some() {
                edit.remove_set(node.name(), rtype);
                edit.remove_signatures(node.name(), rtype);
            }
        }
    }
}

fn everything(before: &Zone, after: &Zone) -> BTreeSet<Name> {
    before.nodes().chain(after.nodes()).map(|node| node.name().to_owned()).collect()
}

/// The names whose signatures or links may have to change: those touched, those above them, which may have come or gone
/// with them, and those below a delegation that came or went.
fn concerned(edit: &Edit, after: &Zone) -> BTreeSet<Name> {
    let before = edit.base();
    let apex = before.apex().as_ref();
    let mut names = BTreeSet::new();
    let hides = |node: Option<&Node>| {
        node.is_some_and(|node| {
            node.set(Rtype::DNAME).is_some() || (node.name() != apex && node.set(Rtype::NS).is_some())
        })
    };
    let has_children = |zone: &Zone, name| zone.node(name).is_some_and(Node::has_children);
    let mut turned = BTreeSet::new();
    for name in edit.touched() {
        let is_above = has_children(before, name) || has_children(after, name);
        if is_above && hides(before.node(name)) != hides(after.node(name)) {
            turned.insert(name);
        }
        for above in upwards(name, apex) {
            if !names.insert(above.to_owned()) {
                break;
            }
        }
    }
    if !turned.is_empty() {
        // One look at every name, however many delegations came or went.
        let all = before.nodes().chain(after.nodes()).map(Node::name);
        let below = all.filter(|name| upwards(*name, apex).skip(1).any(|above| turned.contains(&above)));
        names.extend(below.map(NameRef::to_owned));
    }
    names
}

/// A name and those above it, up to the apex.
fn upwards<'n>(name: NameRef<'n>, apex: NameRef<'_>) -> impl Iterator<Item = NameRef<'n>> {
    std::iter::successors(Some(name), |name| name.parent()).take_while(move |name| name.is_at_or_below(apex))
}

fn standing(zone: &Zone, name: NameRef<'_>) -> Standing {
    let apex = zone.apex().as_ref();
    let is_cut = |node: &Node| node.name() != apex && node.set(Rtype::NS).is_some();
    let mut above = name;
    while above != apex {
        let Some(parent) = above.parent() else { return Standing::Absent };
        above = parent;
        if zone.node(above).is_some_and(|node| is_cut(node) || node.set(Rtype::DNAME).is_some()) {
            return Standing::Below;
        }
    }
    match zone.node(name) {
        None => Standing::Absent,
        Some(node) if is_cut(node) => Standing::Cut,
        Some(_) => Standing::Inside,
    }
}
