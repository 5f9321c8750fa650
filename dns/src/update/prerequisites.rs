//! What must be so before an update is done (RFC 2136, 3.2).

use std::collections::BTreeSet;

use super::Prerequisite;
use crate::name::{Name, NameRef};
use crate::rdata::canonical;
use crate::record::{Record, Rtype};
use crate::wire::Rcode;
use crate::zone::{Node, Zone};

/// Whether all of them hold.
///
/// # Errors
/// The result code of the first that does not.
pub(super) fn check(zone: &Zone, prerequisites: &[Prerequisite]) -> Result<(), Rcode> {
    for prerequisite in prerequisites {
        if !prerequisite.name().is_at_or_below(zone.apex().as_ref()) {
            return Err(Rcode::NOTZONE);
        }
        let (holds, otherwise) = match prerequisite {
            Prerequisite::NameInUse(name) => (is_in_use(zone, name.as_ref()), Rcode::NXDOMAIN),
            Prerequisite::NameNotInUse(name) => (!is_in_use(zone, name.as_ref()), Rcode::YXDOMAIN),
            Prerequisite::SetExists(name, rtype) => (records(zone, name, *rtype).next().is_some(), Rcode::NXRRSET),
            Prerequisite::SetAbsent(name, rtype) => (records(zone, name, *rtype).next().is_none(), Rcode::YXRRSET),
            Prerequisite::SetEquals(name, rtype, wanted) => (equals(zone, name, *rtype, wanted), Rcode::NXRRSET),
        };
        if !holds {
            return Err(otherwise);
        }
    }
    Ok(())
}

/// Whether the name has records; what only lies between others does not count (RFC 2136, 2.4.4).
fn is_in_use(zone: &Zone, name: NameRef<'_>) -> bool {
    zone.node(name).is_some_and(|node| !node.is_empty())
}

/// Whether the records are exactly these; the case of names in their data does not count.
fn equals(zone: &Zone, name: &Name, rtype: Rtype, wanted: &[Box<[u8]>]) -> bool {
    let found: Vec<Record> = records(zone, name, rtype).collect();
    let found: BTreeSet<_> = found.iter().map(|record| canonical(rtype, &record.rdata)).collect();
    found == wanted.iter().map(|rdata| canonical(rtype, rdata)).collect()
}

/// The records of a name and type, which may be signatures.
fn records<'a>(zone: &'a Zone, name: &Name, rtype: Rtype) -> impl Iterator<Item = Record> + 'a {
    let node = zone.node(name.as_ref());
    node.into_iter().flat_map(Node::records).filter(move |record| record.rtype == rtype)
}
