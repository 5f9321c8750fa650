//! From a message to an update that is right in form (RFC 2136, 2; 3.1.1; 3.2.4; 3.4.1).

use std::collections::BTreeMap;

use super::{LeaseTimes, Operation, Prerequisite, Update};
use crate::name::Name;
use crate::record::Rtype;
use crate::wire::{CLASS_ANY, CLASS_IN, CLASS_NONE, EdnsOption, Message, RawRecord, Rcode, Section, WireError};

/// The most prerequisites and operations that one update may have together. A zone's only writer is busy with one update
/// for as long as these take, and with nothing else.
pub const MAX_RECORDS: usize = 2_000;

impl Update {
    /// Reads an update. The message's kind is not looked at, and neither is its signature.
    ///
    /// # Errors
    /// The result code to answer with: FORMERR, NOTAUTH for another class than IN, REFUSED for more than
    /// [`MAX_RECORDS`].
    pub fn read(message: &Message<'_>) -> Result<Self, Rcode> {
        let zone = message.question().filter(|zone| zone.rtype == Rtype::SOA).ok_or(Rcode::FORMERR)?;
        if zone.class != CLASS_IN {
            return Err(Rcode::NOTAUTH);
        }
        let [_, conditions, changes, _] = message.header().counts.map(usize::from);
        if conditions + changes > MAX_RECORDS {
            return Err(Rcode::REFUSED);
        }
        let option = message.edns().and_then(|edns| edns.option(EdnsOption::UPDATE_LEASE));
        Ok(Self {
            zone: zone.name.to_owned(),
            prerequisites: prerequisites(message)?,
            operations: message.records(Section::Authority).map(|r| operation(&r)).collect::<Result<_, _>>()?,
            lease: option.map(|data| LeaseTimes::read(data).ok_or(Malformed)).transpose()?,
        })
    }
}

/// The conditions. Single records that a set must have are put together by name and type, and come last.
fn prerequisites(message: &Message<'_>) -> Result<Vec<Prerequisite>, Malformed> {
    let (mut all, mut sets) = (Vec::new(), BTreeMap::<(Name, Rtype), Vec<Box<[u8]>>>::new());
    for record in message.records(Section::Answer) {
        let (name, rtype) = (record.name()?, record.rtype);
        let is_any = rtype == Rtype::ANY && record.class != CLASS_IN;
        let is_empty = record.raw_rdata().is_empty() || record.class == CLASS_IN;
        if record.ttl != 0 || !is_empty || rtype.is_meta() && !is_any {
            return Err(Malformed);
        }
        all.push(match (record.class, is_any) {
            (CLASS_ANY, true) => Prerequisite::NameInUse(name),
            (CLASS_ANY, false) => Prerequisite::SetExists(name, rtype),
            (CLASS_NONE, true) => Prerequisite::NameNotInUse(name),
            (CLASS_NONE, false) => Prerequisite::SetAbsent(name, rtype),
            (CLASS_IN, _) => {
                sets.entry((name, rtype)).or_default().push(record.rdata()?);
                continue;
            }
            _ => return Err(Malformed),
        });
    }
    all.extend(sets.into_iter().map(|((name, rtype), rdata)| Prerequisite::SetEquals(name, rtype, rdata)));
    Ok(all)
}

/// What one record of the update section asks for.
fn operation(record: &RawRecord<'_>) -> Result<Operation, Malformed> {
    let (name, rtype) = (record.name()?, record.rtype);
    let deletes = record.ttl == 0 && (record.class == CLASS_NONE || record.raw_rdata().is_empty());
    match record.class {
        CLASS_ANY if deletes && rtype == Rtype::ANY => Ok(Operation::DeleteName(name)),
        _ if rtype.is_meta() => Err(Malformed),
        CLASS_IN => Ok(Operation::Add(record.record()?)),
        CLASS_ANY if deletes => Ok(Operation::DeleteSet(name, rtype)),
        CLASS_NONE if deletes => Ok(Operation::Delete(name, rtype, record.rdata()?)),
        _ => Err(Malformed),
    }
}

/// It is answered with FORMERR, whatever it is.
struct Malformed;

impl From<WireError> for Malformed {
    fn from(_: WireError) -> Self {
        Self
    }
}

impl From<Malformed> for Rcode {
    fn from(_: Malformed) -> Self {
        Self::FORMERR
    }
}
