//! The machine's updates as the DNS knows them, on their way to the main server and back.

use std::net::IpAddr;
use std::time::Duration;

use dns::client::{ClientError, Credentials, Server};
use dns::record::{Record, Rtype, address_data};
use dns::update::{LeaseTimes, Operation, Update};

use super::register::{self, Answer, Change};
use crate::causes::with_causes;
use crate::config::Register;

/// Sends an update and waits for its answer; dropped, it is sent no more.
pub async fn tell(register: &Register, update: &register::Update) -> Answer {
    let operations = update.changes.iter().flat_map(|change| operations(change, register.ttl)).collect();
    let lease = u32::try_from(update.lease.as_secs()).unwrap_or(u32::MAX);
    let update = Update {
        zone: register.zone.clone(),
        prerequisites: Vec::new(),
        operations,
        lease: Some(LeaseTimes { lease, key_lease: None }),
    };
    let server = Server { address: register.server, credentials: Credentials::Shared(register.key.clone()) };
    match server.update(&update).await {
        Ok(granted) => Answer::Done(granted.map(|granted| Duration::from_secs(granted.lease.into()))),
        Err(ClientError::Refused(rcode)) => Answer::Refused(server.meaning(rcode, &register.zone)),
        Err(error) => Answer::Silent(with_causes(&error)),
    }
}

fn operations(change: &Change, ttl: u32) -> Vec<Operation> {
    let add =
        |name: &dns::name::Name, address: &IpAddr| Operation::Add(Record::of_address(name.clone(), ttl, *address));
    match change {
        Change::Replace(name, addresses) => {
            let sets = [Rtype::A, Rtype::AAAA].map(|rtype| Operation::DeleteSet(name.clone(), rtype));
            sets.into_iter().chain(addresses.iter().map(|address| add(name, address))).collect()
        }
        Change::Add(name, address) => vec![add(name, address)],
        Change::Remove(name, address) => {
            let (rtype, rdata) = address_data(*address);
            vec![Operation::Delete(name.clone(), rtype, rdata)]
        }
    }
}
