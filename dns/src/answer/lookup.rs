//! Where a name leads within one zone (RFC 1034, 4.3.2; RFC 4592; RFC 6672).

use super::Served;
use crate::name::NameRef;
use crate::record::{RecordSet, Rtype};
use crate::wire::NameBuffer;
use crate::zone::Node;

/// What a zone has for a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'z, 'n> {
    /// The name itself.
    Node(&'z Node),
    /// The wildcard below the closest name that exists.
    Wildcard(&'z Node, NameRef<'n>),
    /// The name is at or below a cut: another zone has it.
    Cut(&'z Node, NameRef<'n>),
    /// The name is below one whose tree is elsewhere.
    Dname(&'z Node, NameRef<'n>),
    /// Nothing; this is the closest name that exists.
    Nothing(NameRef<'n>),
}

/// Looks up a name that is at or below the apex.
///
/// A name right below the apex costs one look-up, every label more another one; the walk goes down from the apex and ends
/// at the first name that does not exist.
pub(super) fn find<'z, 'n>(served: &'z Served, name: NameRef<'n>, rtype: Rtype) -> Found<'z, 'n> {
    if is_apex(served, name) {
        return served.zone.top().map_or(Found::Nothing(name), Found::Node);
    }
    if let Err(found) = check_above(served, name) {
        return found;
    }
    match served.zone.node(name) {
        // The parent's side of a cut has the DS records (RFC 4035, 3.1.4.1).
        Some(node) if rtype != Rtype::DS && is_cut(node) => Found::Cut(node, name),
        Some(node) => Found::Node(node),
        None => wildcard(served, name.parent().unwrap_or(name)),
    }
}

/// Whether a name is in this zone, and not at or below a cut.
pub(super) fn is_authoritative(served: &Served, name: NameRef<'_>) -> bool {
    name.is_at_or_below(served.zone.apex().as_ref())
        && matches!(find(served, name, Rtype::DS), Found::Node(node) if is_apex(served, name) || !is_cut(node))
}

/// Looks for what ends the way down to `name`, which is not the apex.
fn check_above<'z, 'n>(served: &'z Served, name: NameRef<'n>) -> Result<(), Found<'z, 'n>> {
    let Some(above) = name.parent() else { return Ok(()) };
    if is_apex(served, above) {
        let top = served.zone.top().filter(|_| served.has_dname_at_apex);
        return top.map_or(Ok(()), |top| Err(Found::Dname(top, above)));
    }
    check_above(served, above)?;
    match served.zone.node(above) {
        None => Err(wildcard(served, above.parent().unwrap_or(above))),
        Some(node) if is_cut(node) => Err(Found::Cut(node, above)),
        Some(node) if node.set(Rtype::DNAME).is_some() => Err(Found::Dname(node, above)),
        Some(_) => Ok(()),
    }
}

fn wildcard<'z, 'n>(served: &'z Served, encloser: NameRef<'n>) -> Found<'z, 'n> {
    let mut buffer = NameBuffer::new();
    let node = buffer.join(b"\x01*", encloser).and_then(|name| served.zone.node(name));
    node.map_or(Found::Nothing(encloser), |node| Found::Wildcard(node, encloser))
}

fn is_cut(node: &Node) -> bool {
    node.set(Rtype::NS).is_some()
}

/// `name` is in the zone, so its length tells.
fn is_apex(served: &Served, name: NameRef<'_>) -> bool {
    name.wire().len() == served.zone.apex().as_ref().wire().len()
}

/// The names that the records of a set lead to, whose addresses will be asked for next (RFC 1034, 4.3.2; RFC 2782;
/// RFC 9460, 4.1).
pub(super) fn targets(set: &RecordSet) -> impl Iterator<Item = NameRef<'_>> {
    let leads = matches!(set.rtype(), Rtype::NS | Rtype::MX | Rtype::SRV | Rtype::SVCB | Rtype::HTTPS);
    names_in(set).take(if leads { MAX_TARGETS } else { 0 })
}

/// The first name in the data of each record of a set.
pub(super) fn names_in(set: &RecordSet) -> impl Iterator<Item = NameRef<'_>> {
    set.rdata().filter_map(|rdata| crate::rdata::names(set.rtype(), rdata).next())
}

/// Targets whose addresses are looked up for one answer, glue aside: more than a root of the world has, and few enough to
/// be quick.
const MAX_TARGETS: usize = 16;
