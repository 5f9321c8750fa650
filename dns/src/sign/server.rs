//! The server's side: requests are verified, answers signed (RFC 8945, 5.2 and 5.3).

use super::mac::{Digest, Mac, Secret};
use super::record::{Timers, Tsig, Variables, algorithm_name};
use super::{FUDGE, sig0};
use crate::name::{Name, NameRef};
use crate::settings::{Algorithm, Key};
use crate::wire::{Message, Rcode, SignatureKind};

/// A request whose signature is right.
#[derive(Debug)]
pub struct Verified<'k> {
    /// What it was signed with.
    pub key: &'k Key,
    /// Signs the answer.
    pub signer: Signer<'k>,
}

/// Signs an answer, of one message or of many.
#[derive(Clone)]
pub struct Signer<'k>(Option<Tally<'k>>);

#[derive(Clone)]
struct Tally<'k> {
    name: NameRef<'k>,
    algorithm: Algorithm,
    secret: Secret,
    /// The MAC of the request, then of the message before.
    before: Mac,
    is_first: bool,
}

/// A request whose signature is wrong.
#[derive(Debug)]
pub struct Refusal<'k> {
    /// How it is answered: FORMERR or NOTAUTH.
    pub rcode: Rcode,
    /// What is wrong, said in the answer's TSIG record: BADKEY, BADSIG or BADTIME.
    pub error: Option<Rcode>,
    reply: Option<Box<Reply<'k>>>,
}

/// What the TSIG record of an error says.
#[derive(Debug)]
struct Reply<'k> {
    name: Name,
    algorithm: Name,
    timers: Timers,
    /// Signs the answer: only where the request was proven to come from the key's owner.
    proof: Option<(&'k Key, Mac)>,
}

/// Verifies a request. Nothing when it is not signed; `now` in seconds since 1970.
///
/// # Errors
/// When it is signed, and not by one of `keys` within the time allowed. A TSIG record in the wrong place or a second one
/// has been refused already by [`Message::read`].
pub fn verify<'k>(request: &Message<'_>, keys: &'k [Key], now: u64) -> Result<Option<Verified<'k>>, Refusal<'k>> {
    let Some((kind, record)) = request.signature() else { return Ok(None) };
    if kind == SignatureKind::Sig0 {
        let key = sig0::verify(request, &record, keys, now).map_err(Refusal::plain)?;
        return Ok(Some(Verified { key, signer: Signer(None) }));
    }
    let tsig = Tsig::read(&record).ok_or_else(|| Refusal::plain(Rcode::FORMERR))?;
    let key = keys.iter().find(|key| tsig.is_of(key));
    let Some((key, secret)) = key.and_then(|key| Some((key, Secret::new(key)?))) else {
        return Err(Refusal::of(&tsig, Rcode::BADKEY, now));
    };
    if !secret.is_length(tsig.mac.len()) {
        return Err(Refusal::plain(Rcode::FORMERR));
    }
    let additional = request.header().counts[3].saturating_sub(1);
    let digest = Digest::after(&secret, None)
        .message(request.octets().get(..tsig.start).unwrap_or_default(), tsig.original_id, additional)
        .variables(&tsig.variables());
    if !secret.matches(digest, tsig.mac) {
        return Err(Refusal::of(&tsig, Rcode::BADSIG, now));
    }
    let before = Mac::of(tsig.mac);
    if !tsig.timers.allow(now) {
        return Err(Refusal::bad_time(&tsig, key, before));
    }
    let tally = Tally { name: key.name.as_ref(), algorithm: key.algorithm, secret, before, is_first: true };
    Ok(Some(Verified { key, signer: Signer(Some(tally)) }))
}

impl Signer<'_> {
    /// The octets that [`Self::sign`] appends to a message: the room to leave for them. None for SIG(0), whose answers
    /// are not signed, as the server has no private key that the client could know.
    pub fn room(&self) -> usize {
        let Self(Some(tally)) = self else { return 0 };
        tally.variables(Timers { time: 0, fudge: 0 }).map_or(0, |variables| variables.len(tally.secret.mac_len()))
    }

    /// Signs the next message of the answer; `now` in seconds since 1970.
    pub fn sign(&mut self, message: &mut Vec<u8>, now: u64) {
        let Self(Some(tally)) = self else { return };
        let timers = Timers { time: now, fudge: FUDGE };
        let Some(variables) = tally.variables(timers) else { return };
        let (id, additional) = id_and_additional(message);
        let digest = Digest::after(&tally.secret, Some(&tally.before)).message(message, id, additional);
        let mac = if tally.is_first { digest.variables(&variables) } else { digest.timers(timers) }.finish();
        variables.append(message, id, mac.octets());
        (tally.before, tally.is_first) = (mac, false);
    }
}

impl<'k> Tally<'k> {
    fn variables(&self, timers: Timers) -> Option<Variables<'k>> {
        let algorithm = algorithm_name(self.algorithm)?;
        Some(Variables { name: self.name, algorithm, timers, error: Rcode::NOERROR, other: &[] })
    }
}

impl std::fmt::Debug for Signer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(tally) => write!(f, "Signer({})", tally.name),
            None => f.write_str("Signer"),
        }
    }
}

impl<'k> Refusal<'k> {
    fn plain(rcode: Rcode) -> Self {
        Self { rcode, error: None, reply: None }
    }

    fn of(tsig: &Tsig<'_>, error: Rcode, now: u64) -> Self {
        let timers = Timers { time: now, fudge: FUDGE };
        let (name, algorithm) = (tsig.name.clone(), tsig.algorithm.to_owned());
        let reply = Reply { name, algorithm, timers, proof: None };
        Self { rcode: Rcode::NOTAUTH, error: Some(error), reply: Some(Box::new(reply)) }
    }

    /// The client's time is said again, so that it can tell this answer from an older one (RFC 8945, 5.2.3).
    fn bad_time(tsig: &Tsig<'_>, key: &'k Key, request: Mac) -> Self {
        let mut refusal = Self::of(tsig, Rcode::BADTIME, 0);
        if let Some(reply) = &mut refusal.reply {
            reply.timers = tsig.timers;
            reply.proof = Some((key, request));
        }
        refusal
    }

    /// Ends the answer, whose header has [`Self::rcode`], with the record that says what is wrong.
    pub fn seal(&self, answer: &mut Vec<u8>, now: u64) {
        let (Some(error), Some(reply)) = (self.error, &self.reply) else { return };
        let time = now.to_be_bytes();
        let other = if error == Rcode::BADTIME { &time[2..] } else { &[] };
        let Reply { name, algorithm, timers, proof } = reply.as_ref();
        let variables = Variables { name: name.as_ref(), algorithm: algorithm.as_ref(), timers: *timers, error, other };
        let (id, additional) = id_and_additional(answer);
        let signed = proof.as_ref().and_then(|(key, request)| {
            let digest = Digest::after(&Secret::new(key)?, Some(request));
            Some(digest.message(answer, id, additional).variables(&variables).finish())
        });
        variables.append(answer, id, signed.as_ref().map_or(&[], Mac::octets));
    }
}

impl std::fmt::Debug for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.octets()).finish()
    }
}

/// The id of a message, and how many additional records it has.
pub(super) fn id_and_additional(message: &[u8]) -> (u16, u16) {
    let number = |at: usize| match message.get(at..at + 2) {
        Some(&[high, low]) => u16::from_be_bytes([high, low]),
        _ => 0,
    };
    (number(0), number(10))
}
