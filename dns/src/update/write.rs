//! An update as a message: the other direction of `read`.

use super::{Operation, Prerequisite, Update};
use crate::name::NameRef;
use crate::record::Rtype;
use crate::wire::{
    CLASS_ANY, CLASS_IN, CLASS_NONE, Edns, EdnsOption, Flags, Full, Header, MAX_MESSAGE, Opcode, PLAIN_UDP, Question,
    Rcode, Section, Writer,
};

impl Update {
    /// The message, with `room` octets left free for a signature.
    ///
    /// # Errors
    /// When it is longer than a message can be.
    pub fn write(&self, id: u16, room: usize) -> Result<Vec<u8>, Full> {
        let mut out = Vec::with_capacity(PLAIN_UDP);
        let header = Header { id, flags: Flags::of(Opcode::UPDATE), counts: [0; 4] };
        let mut writer = Writer::new(&mut out, MAX_MESSAGE.saturating_sub(room), header);
        writer.question(Question { name: self.zone.as_ref(), rtype: Rtype::SOA, class: CLASS_IN })?;
        for prerequisite in &self.prerequisites {
            prerequire(&mut writer, prerequisite)?;
        }
        for operation in &self.operations {
            operate(&mut writer, operation)?;
        }
        if let Some(times) = self.lease {
            let option = EdnsOption { code: EdnsOption::UPDATE_LEASE, data: &times.write() };
            writer.opt(&Edns::new(PLAIN_UDP as u16, false), Rcode::NOERROR, &[option])?;
        }
        Ok(out)
    }
}

/// RFC 2136, 2.4.
fn prerequire(writer: &mut Writer<'_>, prerequisite: &Prerequisite) -> Result<(), Full> {
    let name = prerequisite.name();
    let mut put = |rtype, class, rdata: &[u8]| writer.raw(Section::Answer, name, (rtype, class, 0), rdata);
    match prerequisite {
        Prerequisite::NameInUse(_) => put(Rtype::ANY, CLASS_ANY, &[]),
        Prerequisite::NameNotInUse(_) => put(Rtype::ANY, CLASS_NONE, &[]),
        Prerequisite::SetExists(_, rtype) => put(*rtype, CLASS_ANY, &[]),
        Prerequisite::SetAbsent(_, rtype) => put(*rtype, CLASS_NONE, &[]),
        Prerequisite::SetEquals(_, rtype, all) => all.iter().try_for_each(|rdata| put(*rtype, CLASS_IN, rdata)),
    }
}

/// RFC 2136, 2.5.
fn operate(writer: &mut Writer<'_>, operation: &Operation) -> Result<(), Full> {
    let mut put =
        |name: NameRef<'_>, rtype, class, rdata: &[u8]| writer.raw(Section::Authority, name, (rtype, class, 0), rdata);
    match operation {
        Operation::Add(record) => writer.record(Section::Authority, record),
        Operation::DeleteSet(name, rtype) => put(name.as_ref(), *rtype, CLASS_ANY, &[]),
        Operation::DeleteName(name) => put(name.as_ref(), Rtype::ANY, CLASS_ANY, &[]),
        Operation::Delete(name, rtype, rdata) => put(name.as_ref(), *rtype, CLASS_NONE, rdata),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;
    use crate::record::Record;
    use crate::update::LeaseTimes;
    use crate::wire::Message;

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let a: Box<[u8]> = Box::from([192, 0, 2, 1]);
        let mx = Box::from(*b"\0\x0a\x04mail\x03dyn\x04test\0");
        let host = name("Host.dyn.test");
        let added = Record { name: host.clone(), rtype: Rtype::MX, ttl: 60, rdata: mx };
        let update = Update {
            zone: name("dyn.test"),
            prerequisites: vec![
                Prerequisite::NameInUse(host.clone()),
                Prerequisite::NameNotInUse(name("other.dyn.test")),
                Prerequisite::SetExists(host.clone(), Rtype::A),
                Prerequisite::SetAbsent(host.clone(), Rtype::AAAA),
                Prerequisite::SetEquals(host.clone(), Rtype::A, vec![a.clone(), Box::from([192, 0, 2, 2])]),
            ],
            operations: vec![
                Operation::DeleteName(name("old.dyn.test")),
                Operation::DeleteSet(host.clone(), Rtype::AAAA),
                Operation::Delete(host, Rtype::A, a),
                Operation::Add(added),
            ],
            lease: Some(LeaseTimes { lease: 7200, key_lease: None }),
        };
        for lease in [update.lease, None] {
            let update = Update { lease, ..update.clone() };
            let octets = update.write(7, 100).expect("room");
            assert_eq!(Update::read(&Message::read(&octets).expect("a message")), Ok(update));
        }
    }

    #[test]
    fn an_update_too_long_is_none() {
        let rdata: Box<[u8]> = vec![0; 65_000].into();
        let record = Record { name: name("x.test"), rtype: Rtype(65_400), ttl: 0, rdata };
        let operations = vec![Operation::Add(record)];
        let update = Update { zone: name("test"), prerequisites: Vec::new(), operations, lease: None };
        assert!(update.write(0, 0).is_ok());
        assert_eq!(update.write(0, 600), Err(Full));
    }
}
