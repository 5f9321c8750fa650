//! The client's side: requests are signed, answers checked (RFC 8945, 5.1 and 5.4).

use super::mac::{Digest, Mac, Secret};
use super::record::{Timers, Tsig, Variables, algorithm_name};
use super::server::id_and_additional;
use super::{FUDGE, MAX_UNSIGNED};
use crate::settings::Key;
use crate::wire::{Message, Rcode, SignatureKind};

/// Checks the messages of an answer, in their order.
#[derive(Clone)]
pub struct Answers<'k> {
    key: &'k Key,
    secret: Secret,
    /// Begun with the MAC of the request or of the last signed message; unsigned messages are added as they come.
    digest: Digest,
    is_first: bool,
    unsigned: usize,
}

/// Why a message is not, or not yet, part of an answer to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The first or last message, or too many in a row.
    #[error("the answer is not signed")]
    Unsigned,
    /// No TSIG record as it should be.
    #[error("the signature of the answer is malformed")]
    Malformed,
    /// Another key or another algorithm.
    #[error("the answer is signed with another key")]
    OtherKey,
    /// The MAC is wrong.
    #[error("the signature of the answer is wrong")]
    Wrong,
    /// Its time is too far from ours.
    #[error("the answer was signed at another time: the clocks differ, or it is an old one")]
    Time,
    /// The server did not accept the request's signature. That is not signed itself, unless it is [`Rcode::BADTIME`]:
    /// anybody could have said it.
    #[error("the server refuses the signature ({})", .0.in_tsig())]
    Refused(Rcode),
    /// The request was too late or too early by the server's clock, which showed this; its answer is signed.
    #[error("the server's clock differs: it shows {0} seconds since 1970")]
    ServerTime(u64),
}

/// Signs a request; what it gives back checks the answers. Nothing, and no signature, for a key that makes no MACs.
pub fn sign_request<'k>(request: &mut Vec<u8>, key: &'k Key, now: u64) -> Option<Answers<'k>> {
    let (secret, algorithm) = (Secret::new(key)?, algorithm_name(key.algorithm)?);
    let timers = Timers { time: now, fudge: FUDGE };
    let variables = Variables { name: key.name.as_ref(), algorithm, timers, error: Rcode::NOERROR, other: &[] };
    let (id, additional) = id_and_additional(request);
    let mac = Digest::after(&secret, None).message(request, id, additional).variables(&variables).finish();
    variables.append(request, id, mac.octets());
    let digest = Digest::after(&secret, Some(&mac));
    Some(Answers { key, secret, digest, is_first: true, unsigned: 0 })
}

/// The octets that [`sign_request`] appends to a message.
pub fn request_room(key: &Key) -> usize {
    let (Some(secret), Some(algorithm)) = (Secret::new(key), algorithm_name(key.algorithm)) else { return 0 };
    let timers = Timers { time: 0, fudge: 0 };
    Variables { name: key.name.as_ref(), algorithm, timers, error: Rcode::NOERROR, other: &[] }.len(secret.mac_len())
}

impl Answers<'_> {
    /// Checks the next message; `now` in seconds since 1970. An unsigned one is believed only once a signed one after it
    /// is: call [`Self::finish`] at the end.
    ///
    /// # Errors
    /// When the message is not to be believed. Nothing has changed then: over UDP the next one may be the real one.
    pub fn check(&mut self, message: &Message<'_>, now: u64) -> Result<(), AnswerError> {
        let Some((SignatureKind::Tsig, record)) = message.signature() else { return self.unsigned(message) };
        let tsig = Tsig::read(&record).ok_or(AnswerError::Malformed)?;
        if matches!(tsig.error, Rcode::BADKEY | Rcode::BADSIG) && tsig.mac.is_empty() {
            return Err(AnswerError::Refused(tsig.error));
        }
        if !tsig.is_of(self.key) {
            return Err(AnswerError::OtherKey);
        }
        if !self.secret.is_length(tsig.mac.len()) {
            return Err(AnswerError::Malformed);
        }
        let without = message.octets().get(..tsig.start).unwrap_or_default();
        let additional = message.header().counts[3].saturating_sub(1);
        let digest = self.digest.clone().message(without, tsig.original_id, additional);
        let digest = if self.is_first { digest.variables(&tsig.variables()) } else { digest.timers(tsig.timers) };
        if !self.secret.matches(digest, tsig.mac) {
            return Err(AnswerError::Wrong);
        }
        match tsig.error {
            Rcode::NOERROR if tsig.timers.allow(now) => {}
            Rcode::NOERROR => return Err(AnswerError::Time),
            Rcode::BADTIME => return Err(server_time(tsig.other)),
            other => return Err(AnswerError::Refused(other)),
        }
        self.digest = Digest::after(&self.secret, Some(&Mac::of(tsig.mac)));
        (self.is_first, self.unsigned) = (false, 0);
        Ok(())
    }

    /// After the last message.
    ///
    /// # Errors
    /// When it was not signed.
    pub fn finish(&self) -> Result<(), AnswerError> {
        if self.is_first || self.unsigned > 0 { Err(AnswerError::Unsigned) } else { Ok(()) }
    }

    fn unsigned(&mut self, message: &Message<'_>) -> Result<(), AnswerError> {
        if self.is_first || self.unsigned >= MAX_UNSIGNED {
            return Err(AnswerError::Unsigned);
        }
        self.digest.unsigned(message.octets());
        self.unsigned += 1;
        Ok(())
    }
}

impl std::fmt::Debug for Answers<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Answers({})", self.key.name)
    }
}

fn server_time(other: &[u8]) -> AnswerError {
    match <[u8; 6]>::try_from(other) {
        Ok(octets) => AnswerError::ServerTime(octets.iter().fold(0, |time, octet| time << 8 | u64::from(*octet))),
        Err(_) => AnswerError::Refused(Rcode::BADTIME),
    }
}
