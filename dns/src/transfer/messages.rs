//! The small messages around transfers: questions for the SOA or the zone, and NOTIFY.

use crate::name::{Name, NameRef};
use crate::record::{Record, Rtype};
use crate::wire::{CLASS_IN, Flags, Full, Header, MAX_MESSAGE, Message, Opcode, Question, Rcode, Section, Writer};
use crate::zone::{Serial, Soa, Zone};

/// What a secondary asks its primary.
#[derive(Clone, Copy, Debug)]
pub enum Query<'a> {
    /// How new the zone is there.
    Soa(NameRef<'a>),
    /// The whole zone.
    Whole(NameRef<'a>),
    /// What has changed since this version, which the secondary has.
    Since(&'a Zone),
}

/// What a NOTIFY message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The zone that may have changed.
    pub apex: Name,
    /// Its version at the sender, when that is said; only a hint, as it need not be signed.
    pub serial: Option<Serial>,
}

/// A query of a secondary.
///
/// # Errors
/// When the zone has an SOA record that no message carries.
pub fn ask(query: Query<'_>, id: u16) -> Result<Vec<u8>, Full> {
    let (name, rtype, have) = match query {
        Query::Soa(apex) => (apex, Rtype::SOA, None),
        Query::Whole(apex) => (apex, Rtype::AXFR, None),
        Query::Since(zone) => (zone.apex().as_ref(), Rtype::IXFR, soa_record(zone)),
    };
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, MAX_MESSAGE, Header { id, flags: Flags::of(Opcode::QUERY), counts: [0; 4] });
    writer.question(Question { name, rtype, class: CLASS_IN })?;
    have.map_or(Ok(()), |soa| writer.record(Section::Authority, &soa))?;
    Ok(out)
}

/// A NOTIFY message that says how new the zone is.
///
/// # Errors
/// When the zone has an SOA record that no message carries.
pub fn notify(zone: &Zone, id: u16) -> Result<Vec<u8>, Full> {
    let flags = Flags::of(Opcode::NOTIFY).with(Flags::AUTHORITATIVE);
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, MAX_MESSAGE, Header { id, flags, counts: [0; 4] });
    writer.question(Question { name: zone.apex().as_ref(), rtype: Rtype::SOA, class: CLASS_IN })?;
    soa_record(zone).map_or(Ok(()), |soa| writer.record(Section::Answer, &soa))?;
    Ok(out)
}

impl Notify {
    /// Reads a NOTIFY message.
    ///
    /// # Errors
    /// FORMERR when it does not ask for an SOA record of class IN.
    pub fn read(message: &Message<'_>) -> Result<Self, Rcode> {
        let question = message.question().filter(|asked| asked.rtype == Rtype::SOA && asked.class == CLASS_IN);
        let apex = question.ok_or(Rcode::FORMERR)?.name.to_owned();
        Ok(Self { serial: serial_in(message, Section::Answer, &apex), apex })
    }
}

/// The version that an SOA record of `apex` in a section says; nothing when there is none.
pub(super) fn serial_in(message: &Message<'_>, section: Section, apex: &Name) -> Option<Serial> {
    let mut records = message.records(section).filter(|record| record.rtype == Rtype::SOA && record.class == CLASS_IN);
    let soa = records.find(|record| record.name().is_ok_and(|name| name == *apex))?;
    Soa::read(&soa.rdata().ok()?).ok().map(|soa| soa.serial)
}

/// The zone's SOA record.
pub(super) fn soa_record(zone: &Zone) -> Option<Record> {
    zone.set(zone.apex().as_ref(), Rtype::SOA)?.records(zone.apex()).next()
}
