//! The fabric's key under a passphrase.
//!
//! Argon2id (RFC 9106) makes a key of the passphrase, and XChaCha20-Poly1305 seals the seed with it. In a file it is PEM
//! with the label `GATEHOUSE SEALED KEY` around: version 1, memory in KiB (4), passes (4), lanes (1), salt (16), nonce
//! (24), the public key (32), and the sealed seed (32 + 16). All but the seed can be read by everybody and changed by
//! nobody. Numbers are big-endian.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::key::{FabricKey, KeyPair, PublicKey};
use super::pem;
use crate::wire::octets::Reader;

const LABEL: &str = "GATEHOUSE SEALED KEY";
const LAYOUT: u8 = 1;
const SALT: usize = 16;
const NONCE: usize = 24;
const TAG: usize = 16;
const HEADER: usize = 1 + 4 + 4 + 1 + SALT + NONCE + 32;
/// The most that a file may ask for, so that a forged one takes neither all memory nor hours.
const MOST: Costs = Costs { memory_kib: 512 * 1024, passes: 64, lanes: 16 };

/// Random octets that sealing takes: a salt and a nonce.
pub const SEALING: usize = SALT + NONCE;

/// Why a key cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// There is nothing to derive a key from.
    #[error("the passphrase is empty")]
    Empty,
    /// Another passphrase, or a damaged file: the two cannot be told apart.
    #[error("the passphrase is wrong, or the file is damaged")]
    Passphrase,
    /// Not a sealed key.
    #[error("not a sealed key")]
    Encoding,
    /// It would take more memory or time than any key that was sealed here.
    #[error("the file asks for more memory or time than a sealed key takes")]
    Costs,
}

/// What trying one passphrase costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Memory.
    pub memory_kib: u32,
    /// How often it is gone through.
    pub passes: u32,
    /// In how many threads an attacker could do it.
    pub lanes: u8,
}

impl Costs {
    /// RFC 9106, section 4, second choice: 64 MiB, a fraction of a second on the machine of its owner.
    pub const USUAL: Costs = Costs { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

    fn fits(&self) -> bool {
        self.memory_kib <= MOST.memory_kib && self.passes <= MOST.passes && self.lanes <= MOST.lanes
    }
}

/// A fabric's key that needs a passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    public: PublicKey,
    bytes: Vec<u8>,
}

impl SealedKey {
    /// Seals a key; `random` must be new each time.
    ///
    /// # Errors
    /// When the passphrase is empty, or Argon2 refuses the costs.
    pub fn seal(
        key: &FabricKey,
        passphrase: &str,
        costs: Costs,
        random: [u8; SEALING],
    ) -> Result<SealedKey, SealError> {
        let public = key.public();
        let mut bytes = vec![LAYOUT];
        bytes.extend_from_slice(&costs.memory_kib.to_be_bytes());
        bytes.extend_from_slice(&costs.passes.to_be_bytes());
        bytes.push(costs.lanes);
        bytes.extend_from_slice(&random);
        bytes.extend_from_slice(public.as_bytes());
        let (salt, nonce) = random.split_at(SALT);
        let cipher = cipher(passphrase, costs, salt)?;
        let seed = key.pair().seed();
        let payload = Payload { msg: seed.as_slice(), aad: &bytes };
        let nonce = XNonce::try_from(nonce).map_err(|_| SealError::Encoding)?;
        let sealed = cipher.encrypt(&nonce, payload).map_err(|_| SealError::Encoding)?;
        bytes.extend_from_slice(&sealed);
        Ok(SealedKey { public, bytes })
    }

    /// The key in it; takes a fraction of a second and 64 MiB.
    ///
    /// # Errors
    /// When the passphrase is another one.
    pub fn open(&self, passphrase: &str) -> Result<FabricKey, SealError> {
        let (header, sealed) = self.bytes.split_first_chunk::<HEADER>().ok_or(SealError::Encoding)?;
        let (costs, salt, nonce) = costs_of(header)?;
        let payload = Payload { msg: sealed, aad: header };
        let opened = cipher(passphrase, costs, salt)?
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| SealError::Passphrase)?;
        let opened = Zeroizing::new(opened);
        let seed: [u8; 32] = opened.as_slice().try_into().map_err(|_| SealError::Encoding)?;
        let key = FabricKey::from(KeyPair::from_seed(&Zeroizing::new(seed)));
        if key.public() == self.public { Ok(key) } else { Err(SealError::Passphrase) }
    }

    /// The half of the key that others know; nobody has to open it for that.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        pem::write(LABEL, &self.bytes)
    }

    /// The sealed key in a PEM text; nothing where it holds something else.
    ///
    /// # Errors
    /// When it is damaged, or would take too much to open.
    pub fn from_pem(text: &str) -> Result<Option<SealedKey>, SealError> {
        let blocks = pem::read(text).map_err(|_| SealError::Encoding)?;
        match blocks.as_slice() {
            [block] if block.label == LABEL => SealedKey::parse(&block.content).map(Some),
            _ => Ok(None),
        }
    }

    fn parse(bytes: &[u8]) -> Result<SealedKey, SealError> {
        let (header, sealed) = bytes.split_first_chunk::<HEADER>().ok_or(SealError::Encoding)?;
        costs_of(header)?;
        let public: &[u8; 32] = header.last_chunk().ok_or(SealError::Encoding)?;
        let public = PublicKey::from_bytes(public).map_err(|_| SealError::Encoding)?;
        if sealed.len() == 32 + TAG {
            Ok(SealedKey { public, bytes: bytes.to_vec() })
        } else {
            Err(SealError::Encoding)
        }
    }
}

/// What a header says: costs, salt and nonce.
fn costs_of(header: &[u8; HEADER]) -> Result<(Costs, &[u8; SALT], &[u8; NONCE]), SealError> {
    let mut reader = Reader::new(header);
    let mut parts = || {
        (reader.u8()? == LAYOUT).then_some(())?;
        let costs = Costs { memory_kib: reader.u32()?, passes: reader.u32()?, lanes: reader.u8()? };
        Some((costs, reader.array()?, reader.array()?))
    };
    let (costs, salt, nonce) = parts().ok_or(SealError::Encoding)?;
    if costs.fits() { Ok((costs, salt, nonce)) } else { Err(SealError::Costs) }
}

fn cipher(passphrase: &str, costs: Costs, salt: &[u8]) -> Result<XChaCha20Poly1305, SealError> {
    if passphrase.is_empty() {
        return Err(SealError::Empty);
    }
    let params = Params::new(costs.memory_kib, costs.passes, costs.lanes.into(), None).map_err(|_| SealError::Costs)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, key.as_mut())
        .map_err(|_| SealError::Costs)?;
    XChaCha20Poly1305::new_from_slice(key.as_ref()).map_err(|_| SealError::Encoding)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least that Argon2 takes: 8 KiB.
    const CHEAP: Costs = Costs { memory_kib: 8, passes: 1, lanes: 1 };

    fn key() -> FabricKey {
        FabricKey::from_seed(&Zeroizing::new([7; 32]))
    }

    #[test]
    fn the_right_passphrase_opens_it() {
        let sealed = SealedKey::seal(&key(), "correct horse", CHEAP, [3; SEALING]).unwrap();
        let read = SealedKey::from_pem(&sealed.to_pem()).unwrap().unwrap();
        assert_eq!((&read, read.public()), (&sealed, key().public()));
        assert_eq!(read.open("correct horse").unwrap().public(), key().public());
        for wrong in ["correct horse ", "Correct horse", "x"] {
            assert_eq!(read.open(wrong).unwrap_err(), SealError::Passphrase);
        }
        assert_eq!(read.open("").unwrap_err(), SealError::Empty);
        assert_eq!(SealedKey::seal(&key(), "", CHEAP, [3; SEALING]).unwrap_err(), SealError::Empty);
        assert!(!sealed.bytes.windows(32).any(|part| part == [7; 32]), "the seed is not in it");
    }

    #[test]
    fn the_usual_costs_are_those_of_the_rfc_and_work() {
        let sealed = SealedKey::seal(&key(), "p", Costs::USUAL, [3; SEALING]).unwrap();
        assert_eq!(sealed.bytes[1..10], [0, 1, 0, 0, 0, 0, 0, 3, 4]);
        assert!(sealed.open("p").is_ok());
    }

    #[test]
    fn nothing_of_it_can_be_changed() {
        let sealed = SealedKey::seal(&key(), "p", CHEAP, [3; SEALING]).unwrap();
        // The costs are tried at their own, so that no bit makes this test take hours.
        for at in (0..8).chain(10 * 8..sealed.bytes.len() * 8) {
            let mut changed = sealed.bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            let opened = SealedKey::parse(&changed).and_then(|changed| changed.open("p"));
            assert!(opened.is_err(), "bit {at}");
        }
    }

    #[test]
    fn a_file_cannot_ask_for_all_memory_or_all_time() {
        let sealed = SealedKey::seal(&key(), "p", CHEAP, [3; SEALING]).unwrap();
        for (place, most) in [(1..5, [0xFF; 4]), (5..9, [0x7F; 4])] {
            let mut greedy = sealed.bytes.clone();
            greedy[place].copy_from_slice(&most);
            assert_eq!(SealedKey::parse(&greedy), Err(SealError::Costs));
        }
        assert_eq!(SealedKey::parse(&sealed.bytes[1..]), Err(SealError::Encoding));
        assert_eq!(SealedKey::from_pem("nothing"), Ok(None));
    }
}
