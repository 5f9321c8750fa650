//! What is hashed of a message, and how the hashes are compared (RFC 8945, 4.3).

use ring::hmac;

use super::record::{Timers, Variables};
use crate::settings::{Algorithm, Key};
use crate::wire::HEADER_LEN;

/// The longest MAC, of hmac-sha512.
const MAX_LEN: usize = 64;
/// The shortest MAC that is looked at, in octets (RFC 8945, 5.2.2.1).
const LEAST: usize = 10;

/// A key made ready.
#[derive(Clone, Debug)]
pub(super) struct Secret(hmac::Key);

/// A MAC being made.
#[derive(Clone)]
pub(super) struct Digest(hmac::Context);

/// A MAC as it was sent or received, perhaps a truncated one.
#[derive(Clone, Copy)]
pub(super) struct Mac {
    octets: [u8; MAX_LEN],
    len: usize,
}

impl Secret {
    /// Nothing for a key that makes no MACs.
    pub fn new(key: &Key) -> Option<Self> {
        let algorithm = match key.algorithm {
            Algorithm::HmacSha256 => hmac::HMAC_SHA256,
            Algorithm::HmacSha384 => hmac::HMAC_SHA384,
            Algorithm::HmacSha512 => hmac::HMAC_SHA512,
            Algorithm::Sig0 => return None,
        };
        Some(Self(hmac::Key::new(algorithm, &key.secret)))
    }

    /// Octets of a whole MAC.
    pub fn mac_len(&self) -> usize {
        self.0.algorithm().digest_algorithm().output_len()
    }

    /// Whether a MAC of this length may be one of this key's, truncated or not (RFC 8945, 5.2.2.1).
    pub fn is_length(&self, len: usize) -> bool {
        (LEAST.max(self.mac_len() / 2)..=self.mac_len()).contains(&len)
    }

    /// Whether `received` is the beginning of the digest's MAC. Its length must be checked before.
    pub fn matches(&self, digest: Digest, received: &[u8]) -> bool {
        let whole = digest.0.sign();
        let Some(ours) = whole.as_ref().get(..received.len()) else { return false };
        // Hashed once more, both take equally long to compare wherever they begin to differ.
        hmac::verify(&self.0, received, hmac::sign(&self.0, ours).as_ref()).is_ok()
    }
}

impl Digest {
    /// Begins with the MAC of what is answered to, or of the message before (RFC 8945, 5.3.1); a request begins with none.
    pub fn after(secret: &Secret, before: Option<&Mac>) -> Self {
        let mut digest = Self(hmac::Context::with_key(&secret.0));
        if let Some(mac) = before {
            digest.0.update(&(mac.len as u16).to_be_bytes());
            digest.0.update(mac.octets());
        }
        digest
    }

    /// A message without its TSIG record, under the id that it was signed with.
    pub fn message(mut self, message: &[u8], id: u16, additional: u16) -> Self {
        self.0.update(&id.to_be_bytes());
        self.0.update(message.get(2..HEADER_LEN - 2).unwrap_or_default());
        self.0.update(&additional.to_be_bytes());
        self.0.update(message.get(HEADER_LEN..).unwrap_or_default());
        self
    }

    /// A message within an answer that carries no TSIG record.
    pub fn unsigned(&mut self, message: &[u8]) {
        self.0.update(message);
    }

    /// What the TSIG record says, of a request or the first message of an answer.
    pub fn variables(mut self, variables: &Variables<'_>) -> Self {
        variables.each(|octets| self.0.update(octets));
        self
    }

    /// What the TSIG record says, of a later message.
    pub fn timers(mut self, timers: Timers) -> Self {
        self.0.update(&timers.octets());
        self
    }

    /// The whole MAC.
    pub fn finish(self) -> Mac {
        Mac::of(self.0.sign().as_ref())
    }
}

impl Mac {
    /// A copy, cut to the longest there is.
    pub fn of(octets: &[u8]) -> Self {
        let len = octets.len().min(MAX_LEN);
        let mut mac = Self { octets: [0; MAX_LEN], len };
        mac.octets[..len].copy_from_slice(&octets[..len]);
        mac
    }

    pub fn octets(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}
