//! Private keys that messages are signed with (RFC 2931), from the pair of files that `dnssec-keygen` writes.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};

use crate::name::NameRef;
use crate::settings::{Algorithm, Key};
use crate::sign::keys::{self, Found, KeyError, Reason};
use crate::sign::sig0::PrivateKey;

/// A private key and its public half.
pub struct SigningKey {
    public: Key,
    pair: Pair,
}

enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(Box<EcdsaKeyPair>, SystemRandom),
}

/// Why two texts are no key pair.
#[derive(Debug, thiserror::Error)]
pub enum PrivateKeyError {
    /// The file with the ending `.key`.
    #[error("the public half cannot be read")]
    Public(#[from] KeyError),
    /// It has something else than one KEY record.
    #[error("the public half is not one KEY record")]
    NotOne,
    /// A line of the file with the ending `.private`.
    #[error("the private half has no `{0}:`")]
    Missing(&'static str),
    /// The private key is not base64.
    #[error("the private half is malformed")]
    Base64(#[source] Reason),
    /// Not ECDSA P-256 (13) or Ed25519 (15).
    #[error("the algorithm {0} cannot be signed with")]
    Algorithm(u8),
    /// The two do not belong together.
    #[error("the private half does not belong to the public one")]
    NoPair,
}

impl SigningKey {
    /// Reads the texts of the files with the endings `.key` and `.private`.
    ///
    /// # Errors
    /// When they are no pair that can be signed with.
    pub fn read(public: &str, private: &str) -> Result<Self, PrivateKeyError> {
        let Found::Keys(keys) = keys::read(public)? else { return Err(PrivateKeyError::NotOne) };
        let [public] = <[Key; 1]>::try_from(keys).map_err(|_| PrivateKeyError::NotOne)?;
        let (Algorithm::Sig0, Some(([_, _, _, algorithm], point))) =
            (public.algorithm, public.secret.split_first_chunk::<4>())
        else {
            return Err(PrivateKeyError::NotOne);
        };
        let field = |name: &'static str| {
            let value = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(|value| value.trim().to_owned());
            private.lines().find_map(value).ok_or(PrivateKeyError::Missing(name))
        };
        let number = field("Algorithm")?;
        if number.split_whitespace().next() != Some(algorithm.to_string().as_str()) {
            return Err(PrivateKeyError::NoPair);
        }
        let secret = keys::secret(&field("PrivateKey")?).map_err(PrivateKeyError::Base64)?;
        let pair = match algorithm {
            13 => {
                let (random, point) = (SystemRandom::new(), [&[4], point].concat());
                EcdsaKeyPair::from_private_key_and_public_key(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    &secret,
                    &point,
                    &random,
                )
                .map(|pair| Pair::Ecdsa(Box::new(pair), random))
            }
            15 => Ed25519KeyPair::from_seed_and_public_key(&secret, point).map(Pair::Ed25519),
            other => return Err(PrivateKeyError::Algorithm(*other)),
        };
        let pair = pair.map_err(|_| PrivateKeyError::NoPair)?;
        Ok(Self { public, pair })
    }
}

impl PrivateKey for SigningKey {
    fn name(&self) -> NameRef<'_> {
        self.public.name.as_ref()
    }

    fn public(&self) -> &[u8] {
        &self.public.secret
    }

    fn sign(&self, data: &[u8]) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Ed25519(pair) => Some(pair.sign(data).as_ref().to_vec()),
            Pair::Ecdsa(pair, random) => Some(pair.sign(random, data).ok()?.as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public.name)
    }
}

/// The octets of a SIG record with the longest name and a signature of either algorithm.
pub(super) const MAX_RECORD: usize = 11 + 18 + crate::name::MAX_LEN + 64;
