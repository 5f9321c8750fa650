//! Questions to resolvers: the addresses behind a name, over UDP.
//!
//! For what changes seldom and is asked a few times a minute; what a zone answers with is resolved elsewhere.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use dns::name::Name;
use dns::record::Rtype;
use dns::wire::{CLASS_IN, Flags, HEADER_LEN, Header, Message, Opcode, Question, Rcode, Section, Writer};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::clock;

/// What one resolver may take; then the next one is asked.
const PATIENCE: Duration = Duration::from_secs(2);
/// A question or its answer may be lost.
const TRIES: u32 = 2;
/// No resolver answers with more over UDP to a question without EDNS.
const MAX_ANSWER: usize = 4_096;
/// Where the system says whom it asks (resolv.conf(5)), and how many of them are asked.
const SYSTEM: &str = "/etc/resolv.conf";
const MAX_SYSTEM: usize = 3;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// A socket failed, or nobody answered in time.
    #[error("{resolver} does not answer: {source}")]
    Silent {
        /// Who was asked.
        resolver: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The resolver said no.
    #[error("{resolver} answers {rcode} for {name}")]
    Refused {
        /// Who was asked.
        resolver: SocketAddr,
        /// What it said.
        rcode: Rcode,
        /// What it was asked for.
        name: Name,
    },
    /// The system names no resolver.
    #[error("{SYSTEM} names no resolver")]
    Nobody,
}

/// An answer: addresses, and how long they may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Those of A and AAAA records, wherever aliases led.
    pub found: BTreeSet<IpAddr>,
    /// The shortest TTL on the way.
    pub ttl: Duration,
}

/// The addresses of `name`, asked from the first of `resolvers` that answers; the system's if there are none.
///
/// # Errors
/// When nobody answers, or the last one said no.
pub async fn addresses(name: &Name, resolvers: &[SocketAddr]) -> Result<Addresses, LookupError> {
    let system;
    let resolvers = if resolvers.is_empty() {
        system = system_resolvers(&std::fs::read_to_string(SYSTEM).unwrap_or_default());
        &system
    } else {
        resolvers
    };
    let mut failed = LookupError::Nobody;
    for resolver in resolvers {
        match both(name, *resolver).await {
            Ok(addresses) => return Ok(addresses),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The address that a resolver sees this machine's questions come from: it answers for `name` with it, as an address
/// or as a text.
///
/// # Errors
/// When it does not answer, or not with an address.
pub async fn echo(name: &Name, resolver: SocketAddr) -> Result<BTreeSet<IpAddr>, LookupError> {
    let rtype = if resolver.is_ipv4() { Rtype::A } else { Rtype::AAAA };
    let found = ask(name, rtype, resolver).await?.found;
    if found.is_empty() { Ok(ask(name, Rtype::TXT, resolver).await?.found) } else { Ok(found) }
}

async fn both(name: &Name, resolver: SocketAddr) -> Result<Addresses, LookupError> {
    let v4 = ask(name, Rtype::A, resolver).await?;
    let v6 = ask(name, Rtype::AAAA, resolver).await?;
    Ok(Addresses { found: v4.found.into_iter().chain(v6.found).collect(), ttl: v4.ttl.min(v6.ttl) })
}

async fn ask(name: &Name, rtype: Rtype, resolver: SocketAddr) -> Result<Addresses, LookupError> {
    let silent = |source| LookupError::Silent { resolver, source };
    let mut failed = silent(io::ErrorKind::TimedOut.into());
    for _ in 0..TRIES {
        match timeout(PATIENCE / TRIES, converse(name, rtype, resolver)).await {
            Ok(Ok((Rcode::NOERROR, addresses))) => return Ok(addresses),
            Ok(Ok((rcode, _))) => return Err(LookupError::Refused { resolver, rcode, name: name.clone() }),
            Ok(Err(error)) => failed = silent(error),
            Err(_) => {}
        }
    }
    Err(failed)
}

async fn converse(name: &Name, rtype: Rtype, resolver: SocketAddr) -> io::Result<(Rcode, Addresses)> {
    let any: IpAddr = if resolver.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(resolver).await?;
    let id = u16::from_be_bytes(clock::random_bytes()?);
    let question = Question { name: name.as_ref(), rtype, class: CLASS_IN };
    let mut query = Vec::with_capacity(HEADER_LEN + name.as_ref().wire().len() + 4);
    let flags = Flags::of(Opcode::QUERY).with(Flags::RECURSION_DESIRED);
    let mut writer = Writer::new(&mut query, MAX_ANSWER, Header { id, flags, counts: [0; 4] });
    writer.question(question).map_err(io::Error::other)?;
    socket.send(&query).await?;
    let mut datagram = vec![0; MAX_ANSWER];
    loop {
        let length = socket.recv(&mut datagram).await?;
        let octets = datagram.get(..length).unwrap_or_default();
        if let Some(answer) = read(octets, id, question) {
            return Ok(answer);
        }
    }
}

/// The answer in a datagram, if it is one to this question.
fn read(octets: &[u8], id: u16, question: Question<'_>) -> Option<(Rcode, Addresses)> {
    let message = Message::read(octets).ok()?;
    let is_answer = message.header().id == id && message.flags().has(Flags::RESPONSE);
    if !is_answer || message.question() != Some(question) {
        return None;
    }
    let mut ttl = u32::MAX;
    let mut found = BTreeSet::new();
    for record in message.records(Section::Answer) {
        ttl = ttl.min(record.ttl);
        found.extend(address_in(record.rtype, record.raw_rdata()));
    }
    Some((message.flags().rcode(), Addresses { found, ttl: Duration::from_secs(ttl.into()) }))
}

fn address_in(rtype: Rtype, rdata: &[u8]) -> Option<IpAddr> {
    match rtype {
        Rtype::A => <[u8; 4]>::try_from(rdata).ok().map(IpAddr::from),
        Rtype::AAAA => <[u8; 16]>::try_from(rdata).ok().map(IpAddr::from),
        // One character string: its length, then the text.
        Rtype::TXT => std::str::from_utf8(rdata.get(1..)?).ok()?.parse().ok(),
        _ => None,
    }
}

fn system_resolvers(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
    named.map(|address| SocketAddr::new(address, 53)).take(MAX_SYSTEM).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: u16, records: &[(Rtype, u32, &[u8])]) -> Vec<u8> {
        let name: Name = "home.dyna.test".parse().unwrap();
        let mut octets = Vec::new();
        let header = Header { id, flags: Flags::of(Opcode::QUERY).with(Flags::RESPONSE), counts: [0; 4] };
        let mut writer = Writer::new(&mut octets, 512, header);
        writer.question(Question { name: name.as_ref(), rtype: Rtype::A, class: CLASS_IN }).unwrap();
        for (rtype, ttl, rdata) in records {
            writer.raw(Section::Answer, name.as_ref(), (*rtype, CLASS_IN, *ttl), rdata).unwrap();
        }
        octets
    }

    #[test]
    fn an_answer_is_one_to_the_question() {
        let name: Name = "HOME.dyna.test".parse().unwrap();
        let question = Question { name: name.as_ref(), rtype: Rtype::A, class: CLASS_IN };
        let octets = answer(7, &[(Rtype::A, 60, &[192, 0, 2, 1]), (Rtype::TXT, 30, b"\x09192.0.2.2")]);
        let (rcode, addresses) = read(&octets, 7, question).unwrap();
        assert_eq!(rcode, Rcode::NOERROR);
        assert_eq!(addresses.found, [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from).into());
        assert_eq!(addresses.ttl, Duration::from_secs(30));
        assert_eq!(read(&octets, 8, question), None, "another question's number");
        let other = Question { rtype: Rtype::AAAA, ..question };
        assert_eq!(read(&octets, 7, other), None, "another question");
    }

    #[test]
    fn the_system_names_its_resolvers() {
        let text = "# made by hand\nsearch lan\nnameserver 192.168.1.1\nnameserver fd00::1\nnameserver here\n";
        let expected = ["192.168.1.1:53", "[fd00::1]:53"].map(|address| address.parse().unwrap());
        assert_eq!(system_resolvers(text), expected);
    }
}
