//! Messages by hickory-proto, and data in wire form by hand: two more opinions on how records are written.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, CNAME, MX, NS, NULL, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::random::{Data, Rr, Update};

/// The octets of a message.
pub fn message(update: &Update) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Update);
    let (zone, rtype, class) = update.zone;
    let mut query = Query::query(name(zone), RecordType::from(rtype));
    query.query_class = DNSClass::from(class);
    message.queries.push(query);
    message.answers = update.prerequisites.iter().map(record).collect();
    message.authorities = update.updates.iter().map(record).collect();
    if let Some((lease, key_lease)) = update.lease {
        let mut edns = Edns::new();
        let data = [lease].into_iter().chain(key_lease).flat_map(u32::to_be_bytes).collect();
        edns.options_mut().insert(EdnsOption::Unknown(2, data));
        message.edns = Some(edns);
    }
    message.to_vec().expect("a message")
}

/// The wire form of some data, uncompressed.
pub fn wire(data: &Data) -> Vec<u8> {
    match data {
        Data::Address(last) => vec![10, 0, 0, *last],
        Data::Name(text) => name_wire(text),
        Data::Mx(preference, host) => [preference.to_be_bytes().to_vec(), name_wire(host)].concat(),
        Data::Txt(text) => [vec![text.len() as u8], text.as_bytes().to_vec()].concat(),
        Data::Soa(serial) => {
            let mut octets = [name_wire("n1.t."), name_wire("admin.t.")].concat();
            octets.extend([*serial, 1, 2, 3, 4].into_iter().flat_map(u32::to_be_bytes));
            octets
        }
        Data::Raw(octets) => octets.to_vec(),
    }
}

/// The wire form of a name.
pub fn name_wire(text: &str) -> Vec<u8> {
    let labels = text.split('.').filter(|label| !label.is_empty());
    let mut octets: Vec<u8> = labels.flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat()).collect();
    octets.push(0);
    octets
}

fn record(rr: &Rr) -> Record {
    let (owner, rtype) = (name(rr.name), RecordType::from(rr.rtype));
    let mut record = match &rr.data {
        Some(data) => Record::from_rdata(owner, rr.ttl, rdata(rtype, data)),
        None => Record::update0(owner, rr.ttl, rtype),
    };
    record.dns_class = DNSClass::from(rr.class);
    record
}

fn rdata(rtype: RecordType, data: &Data) -> RData {
    match (rtype, data) {
        (RecordType::A, Data::Address(last)) => RData::A(A::new(10, 0, 0, *last)),
        (RecordType::NS, Data::Name(host)) => RData::NS(NS(name(host))),
        (RecordType::CNAME, Data::Name(host)) => RData::CNAME(CNAME(name(host))),
        (RecordType::MX, Data::Mx(preference, host)) => RData::MX(MX::new(*preference, name(host))),
        (RecordType::TXT, Data::Txt(text)) => RData::TXT(TXT::new(vec![(*text).to_owned()])),
        (RecordType::SOA, Data::Soa(serial)) => {
            RData::SOA(SOA::new(name("n1.t."), name("admin.t."), *serial, 1, 2, 3, 4))
        }
        (code, data) => RData::Unknown { code, rdata: NULL::with(wire(data)) },
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}
