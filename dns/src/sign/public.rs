//! Public keys as KEY records carry them (RFC 2535, 3; RFC 3445), and signatures checked with them.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA512,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

/// Why octets are no public key that messages can be verified with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicKeyError {
    /// Shorter than flags, protocol, algorithm and a key.
    #[error("the key is cut off")]
    CutOff,
    /// Its flags say that there is no key (RFC 2535, 3.1.2).
    #[error("the flags say that this is no key")]
    NoKey,
    /// Protocol 3 is DNSSEC's, 255 is for any use.
    #[error("the key is for another protocol than DNS")]
    Protocol,
    /// Not RSA with SHA-256 or SHA-512, ECDSA or Ed25519.
    #[error("the algorithm {0} is not supported")]
    Algorithm(u8),
    /// A length that no key of this algorithm has.
    #[error("the key has a wrong length")]
    Length,
}

/// A public key, borrowed from the data of its KEY record.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicKey<'a> {
    data: &'a [u8],
    /// The number of its algorithm.
    pub algorithm: u8,
    key: &'a [u8],
}

impl<'a> PublicKey<'a> {
    pub fn read(data: &'a [u8]) -> Result<Self, PublicKeyError> {
        let (&[high, _, protocol, algorithm], key) = data.split_first_chunk::<4>().ok_or(PublicKeyError::CutOff)?;
        if high & 0xc0 == 0xc0 {
            return Err(PublicKeyError::NoKey);
        }
        if !matches!(protocol, 3 | 255) {
            return Err(PublicKeyError::Protocol);
        }
        let fits = match algorithm {
            RSA_SHA256 | RSA_SHA512 => rsa(key).is_some(),
            ECDSA_P256 => key.len() == 64,
            ECDSA_P384 => key.len() == 96,
            ED25519_NUMBER => key.len() == 32,
            other => return Err(PublicKeyError::Algorithm(other)),
        };
        if fits { Ok(Self { data, algorithm, key }) } else { Err(PublicKeyError::Length) }
    }

    /// Tells keys of one name apart (RFC 4034, appendix B).
    pub fn tag(&self) -> u16 {
        let words = self.data.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| low.into()));
        let sum: u32 = words.sum();
        (sum + (sum >> 16)) as u16
    }

    /// Whether `signature` is this key's owner's over `data`.
    pub fn verifies(&self, data: &[u8], signature: &[u8]) -> bool {
        let point = || [&[4], self.key].concat();
        match self.algorithm {
            ECDSA_P256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()).verify(data, signature).is_ok(),
            ECDSA_P384 => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()).verify(data, signature).is_ok(),
            ED25519_NUMBER => UnparsedPublicKey::new(&ED25519, self.key).verify(data, signature).is_ok(),
            RSA_SHA256 => {
                rsa(self.key).is_some_and(|key| key.verify(&RSA_PKCS1_2048_8192_SHA256, data, signature).is_ok())
            }
            RSA_SHA512 => {
                rsa(self.key).is_some_and(|key| key.verify(&RSA_PKCS1_2048_8192_SHA512, data, signature).is_ok())
            }
            _ => false,
        }
    }
}

/// RFC 3110, 2: the exponent with its length in front, then the modulus.
fn rsa(key: &[u8]) -> Option<RsaPublicKeyComponents<&[u8]>> {
    let (len, rest) = match key {
        [0, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [len, rest @ ..] => (usize::from(*len), rest),
        [] => return None,
    };
    let (e, n) = rest.split_at_checked(len).filter(|(e, n)| !e.is_empty() && !n.is_empty())?;
    Some(RsaPublicKeyComponents { n, e })
}

const RSA_SHA256: u8 = 8;
const RSA_SHA512: u8 = 10;
const ECDSA_P256: u8 = 13;
const ECDSA_P384: u8 = 14;
const ED25519_NUMBER: u8 = 15;
