//! Doing an update, record by record (RFC 2136, 3.4.2), and ending leases.

use super::{Operation, Outcome, Policy};
use crate::name::NameRef;
use crate::record::{Record, Rtype};
use crate::wire::Rcode;
use crate::zone::{Edit, EditError, Lease, Leases, Soa, Zone};

/// The most leases that end in one change; the others end in the next.
const MAX_ENDED: usize = 1_000;

/// Does all operations, which the policy has allowed.
///
/// # Errors
/// REFUSED when a set would get larger than a message; SERVFAIL when a record cannot be in the zone, which the checks
/// before should have found. The edit is then of no more use.
pub(super) fn apply(edit: &mut Edit, operations: &[Operation], policy: &Policy<'_>) -> Result<(), Rcode> {
    for operation in operations {
        match operation {
            Operation::Add(record) => add(edit, record)?,
            Operation::DeleteSet(name, rtype) if is_start(edit, name.as_ref(), *rtype) => {}
            Operation::DeleteSet(name, rtype) => edit.remove_set(name.as_ref(), *rtype),
            Operation::DeleteName(name) => {
                let (name, apex) = (name.as_ref(), edit.base().apex().clone());
                edit.remove_types(name, |rtype| !policy.stays(name, rtype, apex.as_ref()));
            }
            Operation::Delete(name, rtype, rdata) => delete(edit, name.as_ref(), *rtype, rdata),
        }
    }
    Ok(())
}

/// Advances the serial if anything differs, which is the answer, unless the update did so itself.
///
/// # Errors
/// SERVFAIL when the zone has no start of authority.
pub(super) fn conclude(edit: &mut Edit) -> Result<bool, Rcode> {
    let is_changed = edit.is_changed();
    if is_changed {
        edit.advance().map_err(|_| Rcode::SERVFAIL)?;
    }
    Ok(is_changed)
}

/// Removes the records whose leases have ended by `now_secs`, as an update would; nothing when there is none. When many
/// have ended at once some are left for the next call.
///
/// # Errors
/// SERVFAIL when the zone has no start of authority.
pub fn expire(zone: &Zone, leases: &Leases, now_secs: u64) -> Result<Option<Outcome>, Rcode> {
    let ended: Vec<Lease> = leases.ended(now_secs).take(MAX_ENDED).collect();
    if ended.is_empty() {
        return Ok(None);
    }
    let mut edit = zone.edit();
    for lease in &ended {
        delete(&mut edit, lease.name.as_ref(), lease.rtype, &lease.rdata);
    }
    // What goes takes its lease with it; the last NS record of a zone stays, and does not end again and again.
    let has = |edit: &Edit, lease: &Lease| edit.find(lease.name.as_ref(), lease.rtype, &lease.rdata).is_some();
    let before = zone.edit();
    let without = ended.into_iter().filter(|lease| has(&edit, lease) || !has(&before, lease));
    let leases = without.map(|lease| Lease { expires: None, ..lease }).collect();
    let is_changed = conclude(&mut edit)?;
    Ok(Some(Outcome { edit, is_changed, leases, granted: None }))
}

/// RFC 2136, 3.4.2.2.
fn add(edit: &mut Edit, record: &Record) -> Result<(), Rcode> {
    let Record { name, rtype, rdata, .. } = record;
    let name = name.as_ref();
    // RFC 2181, 10.1 and RFC 4035, 2.5 say what may be beside a CNAME record.
    let is_beside = |rtype: Rtype| rtype == Rtype::KEY || rtype.is_made_by_signing();
    let has = |which: &dyn Fn(Rtype) -> bool| edit.types(name).into_iter().any(which);
    match *rtype {
        Rtype::CNAME if has(&|other| other != Rtype::CNAME && !is_beside(other)) => return Ok(()),
        other if other != Rtype::CNAME && !is_beside(other) && has(&|other| other == Rtype::CNAME) => return Ok(()),
        Rtype::SOA if !is_newer(edit, record) => return Ok(()),
        Rtype::CNAME | Rtype::DNAME | Rtype::SOA => edit.remove_set(name, *rtype),
        // One service map for each address and protocol, its first five octets.
        Rtype::WKS => {
            let known = edit.set(name, *rtype);
            let same = known.iter().flat_map(|set| set.rdata()).filter(|other| other.get(..5) == rdata.get(..5));
            for other in same {
                edit.remove(name, *rtype, other);
            }
        }
        _ => {}
    }
    edit.add(record.clone()).map(drop).map_err(|error| match error {
        EditError::TooMany(..) => Rcode::REFUSED,
        _ => Rcode::SERVFAIL,
    })
}

/// RFC 2136, 3.4.2.4.
fn delete(edit: &mut Edit, name: NameRef<'_>, rtype: Rtype, rdata: &[u8]) {
    let is_last = || edit.count(name, rtype) == 1;
    if is_start(edit, name, rtype) && (rtype == Rtype::SOA || is_last()) {
        return;
    }
    edit.remove(name, rtype, rdata);
}

/// Whether these are the SOA or the NS records of the zone itself.
fn is_start(edit: &Edit, name: NameRef<'_>, rtype: Rtype) -> bool {
    matches!(rtype, Rtype::SOA | Rtype::NS) && name == edit.base().apex().as_ref()
}

/// Whether an SOA record is for the zone's apex, and newer than the one there.
fn is_newer(edit: &Edit, record: &Record) -> bool {
    let (new, old) = (Soa::read(&record.rdata), edit.soa());
    let is_apex = record.name == *edit.base().apex();
    is_apex && new.is_ok_and(|new| old.is_some_and(|old| new.serial.is_newer_than(old.serial)))
}
