//! The keys that sign datagrams.
//!
//! Before there is a fabric, all members of a site share one key, derived from a passphrase. Every datagram carries
//! its key's fingerprint, so that each node's own key can take the place of the shared one without a new layout.

use std::collections::BTreeMap;
use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::MAX_DATAGRAM;
use super::layout::SIGNATURE;
use crate::units::KeyId;

/// Keeps signatures of datagrams apart from all other uses of the same key.
const DOMAIN: &[u8; 24] = b"gatehouse lan datagram 1";

/// The salt is fixed because members share nothing but the passphrase; it keeps the key apart from other programs'.
const SALT: &[u8] = b"gatehouse site key 1";

/// Argon2id as OWASP's password storage guidance has it for 19 MiB: a fraction of a second, once at start, on small machines.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Why a passphrase makes no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is nothing to derive from.
    #[error("the passphrase is empty")]
    Empty,
    /// Argon2 refuses it: too long, or no memory.
    #[error("no key can be derived from the passphrase: {0}")]
    Derive(argon2::Error),
}

/// The signing key that a site's members share.
#[derive(Clone)]
pub struct SiteKey {
    signing: SigningKey,
    id: KeyId,
}

impl SiteKey {
    /// The key that follows from a passphrase; takes tens of milliseconds and 19 MiB.
    ///
    /// # Errors
    /// When the passphrase is empty or Argon2 refuses it.
    pub fn derive(passphrase: &str) -> Result<SiteKey, KeyError> {
        if passphrase.is_empty() {
            return Err(KeyError::Empty);
        }
        let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(KeyError::Derive)?;
        let mut seed = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), SALT, &mut seed)
            .map_err(KeyError::Derive)?;
        Ok(SiteKey::from_seed(&seed))
    }

    /// The key with this secret; RFC 8032, section 5.1.5.
    pub fn from_seed(seed: &[u8; 32]) -> SiteKey {
        let signing = SigningKey::from_bytes(seed);
        let id = fingerprint(&signing.verifying_key());
        SiteKey { signing, id }
    }

    /// The half that others verify with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key())
    }

    /// Its fingerprint.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Signs a datagram's bytes; `bytes` must not be longer than [`MAX_DATAGRAM`].
    pub(super) fn sign(&self, bytes: &[u8]) -> [u8; SIGNATURE] {
        let (message, length) = separated(bytes);
        self.signing.sign(&message[..length]).to_bytes()
    }
}

impl fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A key that datagrams are verified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Its fingerprint.
    pub fn id(&self) -> KeyId {
        fingerprint(&self.0)
    }

    /// Whether the holder of the secret half signed `bytes`; strict, so that each datagram has one signature only.
    pub(super) fn verifies(&self, bytes: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        let (message, length) = separated(bytes);
        self.0.verify_strict(&message[..length], &Signature::from_bytes(signature)).is_ok()
    }
}

/// The keys whose datagrams are believed, by fingerprint.
#[derive(Clone, Debug, Default)]
pub struct Keyring(BTreeMap<KeyId, PublicKey>);

impl Keyring {
    /// The key with this fingerprint.
    pub fn get(&self, id: KeyId) -> Option<&PublicKey> {
        self.0.get(&id)
    }
}

impl From<PublicKey> for Keyring {
    fn from(key: PublicKey) -> Keyring {
        Keyring::from_iter([key])
    }
}

impl FromIterator<PublicKey> for Keyring {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Keyring {
        Keyring(keys.into_iter().map(|key| (key.id(), key)).collect())
    }
}

fn fingerprint(key: &VerifyingKey) -> KeyId {
    let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(Sha256::digest(key.as_bytes()));
    KeyId([a, b, c, d, e, f, g, h])
}

/// [`DOMAIN`] and the bytes, in a buffer on the stack, and how much of it is used.
fn separated(bytes: &[u8]) -> ([u8; DOMAIN.len() + MAX_DATAGRAM], usize) {
    let mut message = [0; DOMAIN.len() + MAX_DATAGRAM];
    let (domain, rest) = message.split_at_mut(DOMAIN.len());
    domain.copy_from_slice(DOMAIN);
    let length = bytes.len().min(rest.len());
    rest[..length].copy_from_slice(&bytes[..length]);
    (message, DOMAIN.len() + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_always_makes_the_same_key() {
        let key = SiteKey::derive("correct horse").unwrap();
        assert_eq!(
            key.id(),
            KeyId([103, 132, 119, 14, 51, 192, 96, 76]),
            "members of other versions would no longer understand this one"
        );
        assert_ne!(key.id(), SiteKey::derive("correct horse ").unwrap().id());
        assert_eq!(SiteKey::derive("").unwrap_err(), KeyError::Empty);
    }

    #[test]
    fn the_secret_half_is_not_printed() {
        let key = SiteKey::from_seed(&[0xAB; 32]);
        assert_eq!(format!("{key:?}"), format!("SiteKey {{ id: {:?}, .. }}", key.id()));
    }

    #[test]
    fn a_signature_is_for_datagrams_only() {
        let key = SiteKey::from_seed(&[7; 32]);
        let bare = key.signing.sign(b"bytes").to_bytes();
        assert!(!key.public().verifies(b"bytes", &bare), "made without the domain");
        assert!(key.public().verifies(b"bytes", &key.sign(b"bytes")));
    }
}
