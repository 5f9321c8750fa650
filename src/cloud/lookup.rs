//! Questions about addresses: those behind a name, and the one that a resolver sees us come from.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use dns::alias::{self, Answer, Family, ResolverError};
use dns::client::{ClientError, Credentials, Server};
use dns::name::Name;
use dns::record::Rtype;
use dns::settings::Upstream;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// There is nobody to ask.
    #[error(transparent)]
    Resolver(#[from] ResolverError),
    /// The name is not there.
    #[error("there is no name {0}")]
    Gone(Name),
    /// No resolver has an answer.
    #[error("no resolver answers for {0}")]
    Failed(Name),
    /// The resolver that says where questions come from.
    #[error(transparent)]
    Echo(#[from] ClientError),
}

/// An answer: addresses, and how long they may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Those of A and AAAA records, wherever aliases led.
    pub found: BTreeSet<IpAddr>,
    /// The shortest TTL on the way.
    pub ttl: Duration,
}

/// The addresses of `name`, asked from `resolvers` as they are to be spoken to; from the system's if there are none.
///
/// # Errors
/// When nobody has an answer.
pub async fn addresses(
    name: &Name,
    resolvers: &[Upstream],
    authorities: Option<&Path>,
) -> Result<Addresses, LookupError> {
    let resolver = alias::resolver(resolvers, authorities)?;
    let mut answer = Addresses { found: BTreeSet::new(), ttl: Duration::MAX };
    for family in Family::ALL {
        let ttl = match alias::ask(&resolver, name.as_ref(), family).await {
            Answer::Addresses(addresses, ttl) => {
                answer.found.extend(addresses);
                ttl
            }
            Answer::Empty(ttl) => ttl,
            Answer::Gone => return Err(LookupError::Gone(name.clone())),
            Answer::Failed => return Err(LookupError::Failed(name.clone())),
        };
        answer.ttl = answer.ttl.min(Duration::from_secs(ttl.into()));
    }
    Ok(answer)
}

/// The address that a resolver sees this machine's questions come from: it answers for `name` with it, as an address
/// or as a text.
///
/// # Errors
/// When it does not answer.
pub async fn echo(name: &Name, resolver: SocketAddr) -> Result<BTreeSet<IpAddr>, LookupError> {
    let server = Server { address: resolver, credentials: Credentials::None };
    let rtype = if resolver.is_ipv4() { Rtype::A } else { Rtype::AAAA };
    for rtype in [rtype, Rtype::TXT] {
        let records = server.query(name.as_ref(), rtype).await?;
        let found: BTreeSet<IpAddr> = records.iter().filter_map(|record| address_in(rtype, &record.rdata)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(BTreeSet::new())
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

#[cfg(test)]
mod tests {
    use dns::wire::{Flags, Message, Opcode, Section, Writer};
    use dns::wire::{Header, Rcode};
    use tokio::net::UdpSocket;

    use super::*;

    /// A resolver that has one address for every name, and says in a text where it is asked from.
    async fn resolver() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut datagram = [0; 1500];
            loop {
                let (length, from) = socket.recv_from(&mut datagram).await.unwrap();
                let query = Message::read(&datagram[..length]).unwrap();
                let question = query.question().unwrap();
                let mut octets = Vec::new();
                let flags = Flags::of(Opcode::QUERY).with(Flags::RESPONSE).with(Flags::RECURSION_AVAILABLE);
                let header = Header { id: query.header().id, flags, counts: [0; 4] };
                let mut writer = Writer::new(&mut octets, 512, header);
                writer.question(question).unwrap();
                let text = from.ip().to_string();
                let text = [&[text.len() as u8], text.as_bytes()].concat();
                let is_echo = question.name == "echo.test".parse::<Name>().unwrap().as_ref();
                let rdata: Option<&[u8]> = match question.rtype {
                    Rtype::A if !is_echo => Some(&[192, 0, 2, 1]),
                    Rtype::TXT if is_echo => Some(&text),
                    _ => None,
                };
                if let Some(rdata) = rdata {
                    let fixed = (question.rtype, question.class, 30);
                    writer.raw(Section::Answer, question.name, fixed, rdata).unwrap();
                }
                assert_eq!(query.flags().rcode(), Rcode::NOERROR);
                socket.send_to(&octets, from).await.unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn a_name_has_addresses_and_a_resolver_sees_one() {
        let address = resolver().await;
        let upstream = Upstream { address, transport: dns::settings::Transport::Plain };
        let name: Name = "home.dyna.test".parse().unwrap();
        let answer = addresses(&name, &[upstream], None).await.unwrap();
        assert_eq!(answer.found, [IpAddr::from([192, 0, 2, 1])].into());
        assert_eq!(answer.ttl, Duration::from_secs(30));
        let seen = echo(&"echo.test".parse().unwrap(), address).await.unwrap();
        assert_eq!(seen, [IpAddr::from([127, 0, 0, 1])].into());
    }
}
