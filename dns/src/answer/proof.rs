//! Proofs that something does not exist (RFC 4035, 3.1.3; RFC 5155, 7.2).

use super::Served;
use crate::name::NameRef;
use crate::record::Rtype;
use crate::wire::NameBuffer;
use crate::zone::{Entry, Node};

/// Nodes that one answer proves with at most: three for each of the zones that a chain of aliases leads through, as long
/// as the chain is sensible.
const MAX_NODES: usize = 12;

/// The nodes whose NSEC or NSEC3 records an answer carries, each once.
#[derive(Debug, Default)]
pub(super) struct Proofs<'z> {
    nodes: [Option<&'z Node>; MAX_NODES],
    count: usize,
}

impl<'z> Proofs<'z> {
    /// The name exists and has no such records. Below an opt-out the name has no hash, and it is proven that it has none.
    pub(super) fn of_no_data(&mut self, served: &'z Served, name: NameRef<'_>) {
        if served.hashing.is_none() {
            return self.add(served.zone.nsec_at_or_before(name));
        }
        if !self.add_matching(served, name)
            && let Some(above) = name.parent()
        {
            self.add_encloser(served, name, above);
        }
    }

    /// The name does not exist, and neither does a wildcard for it; or it has no such records.
    pub(super) fn of_no_name(&mut self, served: &'z Served, name: NameRef<'_>, encloser: NameRef<'_>) {
        let mut buffer = NameBuffer::new();
        if served.hashing.is_none() {
            let wildcard = buffer.join(b"\x01*", encloser);
            self.add(served.zone.nsec_at_or_before(name));
            return self.add(wildcard.and_then(|wildcard| served.zone.nsec_at_or_before(wildcard)));
        }
        let encloser = self.add_encloser(served, name, encloser);
        if let Some(wildcard) = encloser.and_then(|encloser| buffer.join(b"\x01*", encloser)) {
            self.add_covering(served, wildcard);
        }
    }

    /// The name does not exist, so that a wildcard could answer for it.
    pub(super) fn of_wildcard(&mut self, served: &'z Served, name: NameRef<'_>, encloser: NameRef<'_>) {
        match served.hashing {
            None => self.add(served.zone.nsec_at_or_before(name)),
            Some(_) => self.add_covering(served, next_closer(name, encloser)),
        }
    }

    /// The records, with their owners.
    pub(super) fn entries(&self) -> impl Iterator<Item = (NameRef<'z>, &'z Entry)> {
        self.nodes[..self.count].iter().flatten().filter_map(|node| {
            let entry = node.entry(Rtype::NSEC3).or_else(|| node.entry(Rtype::NSEC))?;
            Some((node.name(), entry))
        })
    }

    /// Proves the closest encloser: the closest name with a hash from `encloser` up, which gives it back, and that the next
    /// closer one has none. Names that lead to delegations below an opt-out only have no hash (RFC 5155, 7.1 and 7.2.1).
    fn add_encloser<'n>(
        &mut self,
        served: &'z Served,
        name: NameRef<'_>,
        encloser: NameRef<'n>,
    ) -> Option<NameRef<'n>> {
        let mut each = Some(encloser);
        let provable = loop {
            let encloser = each.filter(|each| each.is_at_or_below(served.zone.apex().as_ref()))?;
            if self.add_matching(served, encloser) {
                break encloser;
            }
            each = encloser.parent();
        };
        self.add_covering(served, next_closer(name, provable));
        Some(provable)
    }

    fn add_matching(&mut self, served: &'z Served, name: NameRef<'_>) -> bool {
        let hash = served.hashing.as_ref().and_then(|hashing| hashing.owner(name, served.zone.apex().as_ref()).ok());
        let node = hash.and_then(|hash| served.zone.nsec3_node(hash.as_ref()));
        self.add(node);
        node.is_some()
    }

    /// The hash that is or covers the name's.
    fn add_covering(&mut self, served: &'z Served, name: NameRef<'_>) {
        let hash = served.hashing.as_ref().and_then(|hashing| hashing.owner(name, served.zone.apex().as_ref()).ok());
        self.add(hash.and_then(|hash| served.zone.nsec3_at_or_before(hash.as_ref())));
    }

    fn add(&mut self, node: Option<&'z Node>) {
        let Some(node) = node else { return };
        let is_known = self.nodes[..self.count].iter().flatten().any(|known| std::ptr::eq(*known, node));
        if let Some(place) = self.nodes.get_mut(self.count).filter(|_| !is_known) {
            *place = Some(node);
            self.count += 1;
        }
    }
}

/// The name one label longer than `encloser` on the way to `name` (RFC 5155, 1.3).
fn next_closer<'n>(name: NameRef<'n>, encloser: NameRef<'_>) -> NameRef<'n> {
    let mut closer = name;
    while let Some(above) = closer.parent().filter(|above| above.wire().len() > encloser.wire().len()) {
        closer = above;
    }
    closer
}
