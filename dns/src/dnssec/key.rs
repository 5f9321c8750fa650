//! The keys that a zone is signed with.

use std::fmt;

use hickory_proto::dnssec::crypto::{EcdsaSigningKey, Ed25519SigningKey};
use hickory_proto::dnssec::{Algorithm, DnsSecError, PublicKey, SigningKey, TBS};
use ring::digest::{Context, SHA256};
use rustls_pki_types::PrivatePkcs8KeyDer;

use crate::name::Name;
use crate::settings::SigningAlgorithm;

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The keys; the parent zone has its digest.
    KeySigning,
    /// Everything else.
    ZoneSigning,
}

/// How far a key has come; each since a time in seconds since 1970 (RFC 7583, 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage", content = "since")]
pub enum Stage {
    /// In the zone, so that caches get to know it.
    Published(u64),
    /// A key-signing key that every cache knows: the parent may take it over.
    Ready(u64),
    /// Signing.
    Active(u64),
    /// Still in the zone, for signatures that caches have. A zone-signing key retires anew while the zone still has some.
    Retired(u64),
}

/// A key pair in a zone.
pub struct ZoneKey {
    role: Role,
    algorithm: SigningAlgorithm,
    stage: Stage,
    secret: zeroize::Zeroizing<Vec<u8>>,
    pair: Box<dyn SigningKey>,
    dnskey: Box<[u8]>,
    tag: u16,
}

/// Why a key does not work.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The secret is not a key of its algorithm.
    #[error("the secret is no key of its algorithm")]
    Secret(#[source] DnsSecError),
    /// Making a key or a signature failed.
    #[error("the key does not sign")]
    Sign(#[source] DnsSecError),
}

impl ZoneKey {
    /// A new key pair's secret, as PKCS#8.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Vec<u8>, KeyError> {
        let made = match algorithm {
            SigningAlgorithm::EcdsaP256 => EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256),
            SigningAlgorithm::Ed25519 => Ed25519SigningKey::generate_pkcs8(),
        };
        Ok(made.map_err(KeyError::Sign)?.secret_pkcs8_der().to_vec())
    }

    /// The key with this secret, as PKCS#8.
    ///
    /// # Errors
    /// When the secret is not one of this algorithm.
    pub fn new(role: Role, algorithm: SigningAlgorithm, secret: Vec<u8>, stage: Stage) -> Result<Self, KeyError> {
        let der = PrivatePkcs8KeyDer::from(secret.as_slice());
        let pair: Box<dyn SigningKey> = match algorithm {
            SigningAlgorithm::EcdsaP256 => {
                Box::new(EcdsaSigningKey::from_pkcs8(&der, Algorithm::ECDSAP256SHA256).map_err(KeyError::Secret)?)
            }
            SigningAlgorithm::Ed25519 => Box::new(Ed25519SigningKey::from_pkcs8(&der).map_err(KeyError::Secret)?),
        };
        let public = pair.to_public_key().map_err(KeyError::Secret)?;
        let flags: u16 = if role == Role::KeySigning { 257 } else { 256 };
        // RFC 4034, 2.1: flags, protocol 3, algorithm, key.
        let dnskey = [&flags.to_be_bytes(), &[3, number(algorithm)][..], public.public_bytes()].concat();
        let tag = tag(&dnskey);
        Ok(Self { role, algorithm, stage, secret: secret.into(), pair, dnskey: dnskey.into(), tag })
    }

    /// What it signs.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How far it has come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The algorithm's number.
    pub fn algorithm_number(&self) -> u8 {
        number(self.algorithm)
    }

    /// What signatures name it by (RFC 4034, appendix B).
    pub fn tag(&self) -> u16 {
        self.tag
    }

    /// The data of its DNSKEY record.
    pub fn dnskey(&self) -> &[u8] {
        &self.dnskey
    }

    /// The secret as PKCS#8, for keeping.
    pub fn secret(&self) -> &[u8] {
        &self.secret
    }

    /// The data of its DS record, with a SHA-256 digest (RFC 4509): what the parent zone has to have.
    pub fn ds(&self, apex: &Name) -> Box<[u8]> {
        let mut digest = Context::new(&SHA256);
        digest.update(&apex.as_ref().wire().to_ascii_lowercase());
        digest.update(&self.dnskey);
        [&self.tag.to_be_bytes(), &[self.algorithm_number(), 2][..], digest.finish().as_ref()].concat().into()
    }

    pub(super) fn set_stage(&mut self, stage: Stage) {
        self.stage = stage;
    }

    pub(super) fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, KeyError> {
        self.pair.sign(&TBS::from(octets)).map_err(KeyError::Sign)
    }
}

impl fmt::Debug for ZoneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {} {:?}", self.role, self.algorithm, self.tag, self.stage)
    }
}

fn number(algorithm: SigningAlgorithm) -> u8 {
    match algorithm {
        SigningAlgorithm::EcdsaP256 => 13,
        SigningAlgorithm::Ed25519 => 15,
    }
}

fn tag(dnskey: &[u8]) -> u16 {
    let sum = dnskey.chunks(2).fold(0u32, |sum, pair| {
        let low = pair.get(1).copied().unwrap_or_default();
        sum.wrapping_add(u32::from(u16::from_be_bytes([pair[0], low])))
    });
    (sum.wrapping_add(sum >> 16) & 0xffff) as u16
}
