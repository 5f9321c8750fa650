//! Our own questions to other servers: queries, updates, NOTIFY and transfers, signed where there is a key.
//!
//! A [`Server`] is asked over UDP, again when it does not answer, and over TCP when the message or the answer is long.
//! What is said there is decided elsewhere: messages are written by [`crate::update`] and [`crate::transfer`], signed and
//! checked by [`crate::sign`]. **Invariant:** every call ends in bounded time, and an answer to a signed request that is
//! not signed as it should be is no answer.

mod exchange;
mod private;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use private::{PrivateKeyError, SigningKey};

use crate::clock;
use crate::name::{Name, NameRef, plain};
use crate::record::{Record, Rtype};
use crate::settings::{Algorithm, Key, Peer};
use crate::sign::sig0::{PrivateKey as _, SigningError};
use crate::sign::{AnswerError, request_room};
use crate::transfer::{Incoming, Query, Received, TransferError, ask, notify};
use crate::update::{LeaseTimes, Update};
use crate::wire::{
    CLASS_IN, Edns, EdnsOption, Flags, Full, Header, MAX_MESSAGE, Message, Opcode, Question, Rcode, Section, WireError,
    Writer,
};
use crate::zone::{Serial, Soa, Zone};

/// A server to ask.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// How messages to it are signed.
    pub credentials: Credentials,
}

/// How messages are signed.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// Not at all.
    #[default]
    None,
    /// With a shared key, which the answers are signed with too (RFC 8945).
    Shared(Key),
    /// With a private key (RFC 2931).
    Private(std::sync::Arc<SigningKey>),
    /// With a key of this name, which is not there or has no secret: nothing is sent.
    Missing(Name),
}

/// Why there is no answer of use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The network, or nobody listens there.
    #[error("{0} cannot be reached")]
    Io(SocketAddr, #[source] io::Error),
    /// Nothing came in time.
    #[error("{0} does not answer")]
    Silent(SocketAddr),
    /// A transfer that goes on and on.
    #[error("the transfer from {0} takes too long")]
    Slow(SocketAddr),
    /// What came is no message, or none that answers the question.
    #[error("the answer is malformed")]
    Malformed(#[from] WireError),
    /// Another number or another question.
    #[error("the answer is to another question")]
    OtherQuestion,
    /// The answer's signature.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The server does not do it.
    #[error("the server answers {0}")]
    Refused(Rcode),
    /// The transfer is of no use.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// What messages are to be signed with is not there, or is a public key.
    #[error("there is no secret of the key {0} to sign with")]
    NoSecret(Name),
    /// The message cannot be signed.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// What is to be said is too long for one message.
    #[error("the request is too long for a message")]
    TooLong(#[from] Full),
    /// A part of the program was shut down.
    #[error("the program ends")]
    Ends,
}

impl Server {
    /// Another server that the settings name. One whose key is none of `keys`, or cannot be shared, is never asked: a
    /// message that was to be signed does not leave unsigned.
    pub fn of(peer: &Peer, keys: &[Key]) -> Self {
        let shared =
            |name: &Name| keys.iter().find(|key| key.name == *name && key.algorithm != Algorithm::Sig0).cloned();
        let credentials = match &peer.key {
            None => Credentials::None,
            Some(name) => shared(name).map_or_else(|| Credentials::Missing(name.clone()), Credentials::Shared),
        };
        Self { address: peer.address, credentials }
    }

    /// The records of a name and type that the server answers with. A name that does not exist has none.
    ///
    /// # Errors
    /// When there is no answer, or one with another result than NOERROR and NXDOMAIN.
    pub async fn query(&self, name: NameRef<'_>, rtype: Rtype) -> Result<Vec<Record>, ClientError> {
        let mut request = Vec::new();
        // A resolver may be asked as well; a server that knows the answer does not care.
        let mut header = header(Opcode::QUERY);
        header.flags = header.flags.with(Flags::RECURSION_DESIRED);
        let mut writer = Writer::new(&mut request, MAX_MESSAGE, header);
        writer.question(Question { name, rtype, class: CLASS_IN })?;
        writer.opt(&Edns::new(UDP_SIZE, false), Rcode::NOERROR, &[])?;
        let octets = self.exchange(request).await?;
        let answer = Message::read(&octets)?;
        match answer.flags().rcode() {
            Rcode::NOERROR | Rcode::NXDOMAIN => {}
            other => return Err(ClientError::Refused(other)),
        }
        let matching = answer.records(Section::Answer).filter(|record| record.rtype == rtype);
        Ok(matching.map(|record| record.record()).collect::<Result<_, _>>()?)
    }

    /// The zone that the server has a name in: the owner of the SOA record in its answer (RFC 2308, 3); nothing when the
    /// answer has none.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn zone_of(&self, name: NameRef<'_>) -> Result<Option<Name>, ClientError> {
        let mut request = Vec::new();
        let mut writer = Writer::new(&mut request, MAX_MESSAGE, header(Opcode::QUERY));
        writer.question(Question { name, rtype: Rtype::SOA, class: CLASS_IN })?;
        let octets = self.exchange(request).await?;
        let answer = Message::read(&octets)?;
        let sections = [Section::Answer, Section::Authority];
        let mut soas = sections.into_iter().flat_map(|section| answer.records(section));
        let zone = soas.find(|record| record.rtype == Rtype::SOA).map(|soa| soa.name()).transpose()?;
        Ok(zone.filter(|zone| name.is_at_or_below(zone.as_ref())))
    }

    /// The version that the server has of a zone; it must be responsible for it.
    ///
    /// # Errors
    /// When there is no answer with the zone's SOA record.
    pub async fn serial(&self, apex: NameRef<'_>) -> Result<Serial, ClientError> {
        let octets = self.exchange(ask(Query::Soa(apex), id())?).await?;
        let answer = Message::read(&octets)?;
        if answer.flags().rcode() != Rcode::NOERROR {
            return Err(ClientError::Refused(answer.flags().rcode()));
        }
        // One that is not, or not any more, responsible knows nothing of use (RFC 1034, 4.3.5).
        if !answer.flags().has(Flags::AUTHORITATIVE) {
            return Err(ClientError::Refused(Rcode::NOTAUTH));
        }
        let mut soas = answer.records(Section::Answer).filter(|record| record.rtype == Rtype::SOA);
        let soa = soas.find(|record| record.name().is_ok_and(|name| name.as_ref() == apex));
        let soa = soa.ok_or(TransferError::NoSoa(apex.to_owned()))?.rdata()?;
        Ok(Soa::read(&soa).map_err(|_| WireError::Data)?.serial)
    }

    /// Has an update done; gives back the lease that was granted, if the server knows leases (RFC 9664, 4.2).
    ///
    /// # Errors
    /// When it is not done ([`ClientError::Refused`]), or nobody knows whether it is: the answer may be what was lost.
    pub async fn update(&self, update: &Update) -> Result<Option<LeaseTimes>, ClientError> {
        let octets = self.acknowledged(update.write(id(), self.room())?).await?;
        let edns = Message::read(&octets)?.edns();
        Ok(edns.and_then(|edns| edns.option(EdnsOption::UPDATE_LEASE)).and_then(LeaseTimes::read))
    }

    /// Tells a secondary which version a zone has.
    ///
    /// # Errors
    /// When it does not say that it heard.
    pub async fn notify(&self, zone: &Zone) -> Result<(), ClientError> {
        self.acknowledged(notify(zone, id())?).await.map(drop)
    }

    /// Gets a whole zone.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn fetch(&self, apex: NameRef<'_>) -> Result<Received, ClientError> {
        self.transfer(ask(Query::Whole(apex), id())?, Incoming::whole(apex.to_owned()), TRANSFER_WAIT).await
    }

    /// Gets what has changed since `have`.
    ///
    /// # Errors
    /// When that is not to be had; the whole zone may be.
    pub async fn fetch_since(&self, have: &Zone) -> Result<Received, ClientError> {
        self.transfer(ask(Query::Since(have), id())?, Incoming::since(have.clone()), TRANSFER_WAIT).await
    }

    /// What it means that this server refuses an update of `zone`, for whoever configured or typed it.
    pub fn meaning(&self, rcode: Rcode, zone: &Name) -> String {
        let (zone, server) = (plain(zone), self.address);
        let key = match &self.credentials {
            Credentials::None => None,
            Credentials::Shared(key) => Some(plain(&key.name)),
            Credentials::Missing(name) => Some(plain(name)),
            Credentials::Private(key) => Some(plain(&key.name().to_owned())),
        };
        match (rcode, key) {
            (Rcode::REFUSED, Some(key)) => {
                format!("REFUSED: the key {key} may not do that in {zone}; [[dns.zone.update]] says who may do what")
            }
            (Rcode::REFUSED, None) => format!("REFUSED: nobody may do that in {zone} without a key"),
            (Rcode::NOTAUTH, Some(key)) => {
                format!("NOTAUTH: {server} does not keep {zone} itself, or does not know the key {key}")
            }
            (Rcode::NOTAUTH, None) => format!("NOTAUTH: {server} does not keep {zone} itself"),
            (Rcode::NOTZONE, _) => format!("NOTZONE: a name is not in {zone}"),
            (Rcode::FORMERR, _) => "FORMERR: the server does not understand the update".to_owned(),
            (Rcode::SERVFAIL, _) => format!("SERVFAIL: {server} cannot change {zone} now; its log says why"),
            (Rcode::NOTIMP, _) => format!("NOTIMP: {server} takes no updates"),
            (Rcode::NXDOMAIN | Rcode::YXDOMAIN | Rcode::YXRRSET | Rcode::NXRRSET, _) => {
                format!("{rcode}: the zone is not as the update demands")
            }
            (other, _) => format!("{server} refuses: {other}"),
        }
    }

    /// The answer, whose result is NOERROR.
    async fn acknowledged(&self, request: Vec<u8>) -> Result<Vec<u8>, ClientError> {
        let octets = self.exchange(request).await?;
        match Message::read(&octets)?.flags().rcode() {
            Rcode::NOERROR => Ok(octets),
            other => Err(ClientError::Refused(other)),
        }
    }

    /// The octets that a signature takes.
    fn room(&self) -> usize {
        match &self.credentials {
            Credentials::None | Credentials::Missing(_) => 0,
            Credentials::Shared(key) => request_room(key),
            Credentials::Private(_) => private::MAX_RECORD,
        }
    }
}

fn header(opcode: Opcode) -> Header {
    Header { id: id(), flags: Flags::of(opcode), counts: [0; 4] }
}

/// A number that nobody who does not see the request can know (RFC 5452, 4.3).
fn id() -> u16 {
    u16::from_be_bytes(clock::seed())
}

/// How long a transfer may take in all: time for the longest one over ten megabits a second.
const TRANSFER_WAIT: Duration = Duration::from_secs(20 * 60);
/// What we can receive over UDP, in octets; see [`crate::wire`] for what we send.
const UDP_SIZE: u16 = 1232;
