//! Key pairs (Ed25519, RFC 8032): a node's, an engine's, an app's, and the fabric's own.
//!
//! **Invariant:** a signature is for one [`Purpose`]: none that was made for one use is valid for another, and none is
//! valid as a signature of TLS or of a certificate. Secret halves are wiped when they are dropped, and never printed.

use std::fmt;

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::name::FabricId;
use super::pem;
use crate::units::{KeyId, NodeId};

/// Octets of a signature.
pub const SIGNATURE: usize = 64;

/// The 32 octets that a key pair follows from; wiped when dropped.
pub type Seed = Zeroizing<[u8; 32]>;

/// An Ed25519 private key as PKCS #8 (RFC 8410, section 7) up to its seed, which is the rest.
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// Why something is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a point of the curve, or one that everybody can sign for.
    #[error("not an Ed25519 public key")]
    Public,
    /// Not a key file.
    #[error("not an Ed25519 private key in PEM (PKCS #8)")]
    Private,
}

/// What a signature is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A management request.
    Request,
    /// "This key is mine", when a certificate is asked for.
    KeyProof,
    /// A list of revoked keys.
    Revocation,
    /// What a node tells of its engines.
    Learn,
    /// A batch of an engine's messages.
    Batch,
    /// An entry of the registry.
    Entry,
}

impl Purpose {
    /// Goes before what is signed; none is the beginning of another.
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Request => b"gatehouse fabric request 1\0",
            Purpose::KeyProof => b"gatehouse fabric key proof 1\0",
            Purpose::Revocation => b"gatehouse fabric revocation 1\0",
            Purpose::Learn => b"gatehouse fabric learn 1\0",
            Purpose::Batch => b"gatehouse fabric batch 1\0",
            Purpose::Entry => b"gatehouse fabric entry 1\0",
        }
    }
}

/// The half of a key pair that others know.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key with these octets.
    ///
    /// # Errors
    /// When they are no point of the curve, or one of small order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<PublicKey, KeyError> {
        let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyError::Public)?;
        if key.is_weak() { Err(KeyError::Public) } else { Ok(PublicKey(key)) }
    }

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The id of the node that has this key: the first 16 octets of its SHA-256.
    pub fn node(&self) -> NodeId {
        NodeId(self.digest())
    }

    /// Its fingerprint, as the LAN protocol has it: the first 8 octets of its SHA-256.
    pub fn id(&self) -> KeyId {
        KeyId(self.digest())
    }

    /// The id of the fabric whose first key this is.
    pub fn fabric(&self) -> FabricId {
        FabricId(self.digest())
    }

    /// Whether the holder of the secret half signed `message` for `purpose`; strict, so that a message has one
    /// signature only.
    pub fn verifies(&self, purpose: Purpose, message: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        self.0.verify_strict(&separated(purpose, message), &Signature::from_bytes(signature)).is_ok()
    }

    /// Whether the holder of the secret half signed exactly these octets, as certificates are.
    pub(super) fn verifies_bare(&self, message: &[u8], signature: &[u8; SIGNATURE]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }

    fn digest<const N: usize>(&self) -> [u8; N] {
        let mut digest = [0; N];
        digest.iter_mut().zip(Sha256::digest(self.as_bytes())).for_each(|(to, from)| *to = from);
        digest
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.node())
    }
}

/// A key pair of a node, an engine or an app.
pub struct KeyPair(SigningKey);

impl KeyPair {
    /// The key pair that follows from a seed.
    pub fn from_seed(seed: &Seed) -> KeyPair {
        KeyPair(SigningKey::from_bytes(seed))
    }

    /// What it follows from. Whoever has it is this node.
    pub fn seed(&self) -> Seed {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The half that others know.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs `message` for `purpose`.
    pub fn sign(&self, purpose: Purpose, message: &[u8]) -> [u8; SIGNATURE] {
        self.sign_bare(&separated(purpose, message))
    }

    /// Another key pair, which follows from this one and `salt`, such as an engine's from its node's and its id.
    /// `context` names the use (BLAKE3, section 2.3: a constant of the program).
    #[must_use]
    pub fn derive(&self, context: &'static str, salt: &[u8]) -> KeyPair {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(self.0.as_bytes()).update(salt);
        let derived = KeyPair(SigningKey::from_bytes(hasher.finalize().as_bytes()));
        zeroize::Zeroize::zeroize(&mut hasher);
        derived
    }

    /// As PEM, as `openssl pkey` reads it; wiped when dropped.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut der = Zeroizing::new(Vec::with_capacity(PKCS8.len() + 32));
        der.extend_from_slice(&PKCS8);
        der.extend_from_slice(self.0.as_bytes());
        Zeroizing::new(pem::write(PRIVATE_KEY, &der))
    }

    /// The key pair in a PEM text.
    ///
    /// # Errors
    /// When there is none, or more than the key.
    pub fn from_pem(text: &str) -> Result<KeyPair, KeyError> {
        let blocks = pem::read(text).map_err(|_| KeyError::Private)?;
        let [block] = blocks.as_slice() else { return Err(KeyError::Private) };
        let seed = block.content.strip_prefix(&PKCS8).filter(|_| block.label == PRIVATE_KEY);
        let seed: &[u8; 32] = seed.and_then(|seed| seed.try_into().ok()).ok_or(KeyError::Private)?;
        Ok(KeyPair(SigningKey::from_bytes(seed)))
    }

    /// Signs these octets as they are, as TLS and certificates want it; both begin in a way that no label does.
    pub(super) fn sign_bare(&self, message: &[u8]) -> [u8; SIGNATURE] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public().node()).finish()
    }
}

/// The fabric's own key: the root of all trust in it. It signs the certificates of the first spawners and nothing else.
#[derive(Debug)]
pub struct FabricKey(KeyPair);

impl FabricKey {
    /// The key that follows from a seed.
    pub fn from_seed(seed: &Seed) -> FabricKey {
        FabricKey(KeyPair::from_seed(seed))
    }

    /// The half that others know.
    pub fn public(&self) -> PublicKey {
        self.0.public()
    }

    /// Its pair, for what signs with it.
    pub(super) fn pair(&self) -> &KeyPair {
        &self.0
    }
}

impl From<KeyPair> for FabricKey {
    fn from(pair: KeyPair) -> FabricKey {
        FabricKey(pair)
    }
}

fn separated(purpose: Purpose, message: &[u8]) -> Vec<u8> {
    [purpose.label(), message].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSES: [Purpose; 6] =
        [Purpose::Request, Purpose::KeyProof, Purpose::Revocation, Purpose::Learn, Purpose::Batch, Purpose::Entry];

    fn pair(number: u8) -> KeyPair {
        KeyPair::from_seed(&Zeroizing::new([number; 32]))
    }

    #[test]
    fn ids_follow_from_keys_in_all_versions_alike() {
        let key = pair(1).public();
        assert_eq!(key.node().to_string(), "34750f98bd59fcfc946da45aaabe933b");
        assert_eq!(key.fabric().to_string(), "gr2q7gf5lh6pzfdnurnkvputhpqvjjfv");
        assert_eq!(key.id().0, key.node().0[..8]);
        assert_eq!(
            pair(1).derive("gatehouse test 1", b"salt").public().node().to_string(),
            "ac9c704f7a546345a7884bb6c851751a"
        );
    }

    #[test]
    fn a_signature_is_for_one_purpose() {
        let (own, other) = (pair(1), pair(2));
        for purpose in PURPOSES {
            let signature = own.sign(purpose, b"message");
            for judged in PURPOSES {
                assert_eq!(own.public().verifies(judged, b"message", &signature), judged == purpose);
            }
            assert!(!own.public().verifies(purpose, b"massage", &signature));
            assert!(!other.public().verifies(purpose, b"message", &signature));
            assert!(!own.public().verifies_bare(b"message", &signature), "not for certificates");
        }
        let bare = own.sign_bare(b"message");
        assert!(PURPOSES.iter().all(|purpose| !own.public().verifies(*purpose, b"message", &bare)));
    }

    #[test]
    fn no_label_begins_another() {
        for one in PURPOSES {
            let others = PURPOSES.iter().filter(|other| **other != one);
            others.for_each(|other| assert!(!other.label().starts_with(one.label()), "{one:?} and {other:?}"));
        }
    }

    #[test]
    fn derived_keys_differ_by_their_use_and_salt() {
        let own = pair(1);
        let keys = [
            own.public(),
            own.derive("gatehouse test 1", b"a").public(),
            own.derive("gatehouse test 1", b"b").public(),
            own.derive("gatehouse test 2", b"a").public(),
            pair(2).derive("gatehouse test 1", b"a").public(),
        ];
        for (place, key) in keys.iter().enumerate() {
            assert!(!keys[..place].contains(key), "key {place}");
        }
    }

    #[test]
    fn useless_keys_are_refused_and_secrets_not_printed() {
        // The neutral element: everybody can sign for it.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        assert_eq!(PublicKey::from_bytes(&neutral), Err(KeyError::Public));
        assert_eq!(PublicKey::from_bytes(&[2; 32]), Err(KeyError::Public), "not on the curve");
        assert_eq!(format!("{:?}", pair(1)), format!("KeyPair({})", pair(1).public().node()));
    }
}
