//! SIG(0): a request signed with a private key (RFC 2931).
//!
//! The private key is somebody else's: [`PrivateKey`] is what is asked of it, as signing may take random numbers.

use super::public::PublicKey;
use super::record::count_one_more;
use super::server::id_and_additional;
use super::{FUDGE, PublicKeyError};
use crate::name::NameRef;
use crate::record::Rtype;
use crate::settings::{Algorithm, Key};
use crate::wire::{CLASS_ANY, HEADER_LEN, Message, RawRecord, Rcode};

/// The owner of a private key.
pub trait PrivateKey {
    /// The name that its KEY record is kept under.
    fn name(&self) -> NameRef<'_>;

    /// The data of its KEY record.
    fn public(&self) -> &[u8];

    /// Signs; nothing when that is impossible right now.
    fn sign(&self, data: &[u8]) -> Option<Vec<u8>>;
}

/// The message could not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The public half is none.
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// The private half does not sign.
    #[error("the private key does not sign")]
    Private,
}

/// Signs a request; `now` in seconds since 1970. The answer will not be signed, unless the server has a key of its own.
///
/// # Errors
/// When the key is of no use; the message is as it was.
pub fn sign_request(request: &mut Vec<u8>, key: &dyn PrivateKey, now: u64) -> Result<(), SigningError> {
    let public = PublicKey::read(key.public())?;
    let mut data = Vec::with_capacity(FIXED_LEN + key.name().wire().len() + request.len());
    data.extend_from_slice(&[0, 0, public.algorithm, 0, 0, 0, 0, 0]);
    let (from, until) = (now.saturating_sub(FUDGE.into()), now.saturating_add(FUDGE.into()));
    data.extend_from_slice(&(until as u32).to_be_bytes());
    data.extend_from_slice(&(from as u32).to_be_bytes());
    data.extend_from_slice(&public.tag().to_be_bytes());
    data.extend_from_slice(key.name().wire());
    let fixed = data.len();
    data.extend_from_slice(request);
    let signature = key.sign(&data).ok_or(SigningError::Private)?;
    request.push(0);
    request.extend_from_slice(&Rtype::SIG.0.to_be_bytes());
    request.extend_from_slice(&CLASS_ANY.to_be_bytes());
    request.extend_from_slice(&0u32.to_be_bytes());
    request.extend_from_slice(&((fixed + signature.len()) as u16).to_be_bytes());
    request.extend_from_slice(&data[..fixed]);
    request.extend_from_slice(&signature);
    count_one_more(request);
    Ok(())
}

/// Whether a KEY record's data is a key that messages can be verified with.
///
/// # Errors
/// Why it is not.
pub fn check_public(data: &[u8]) -> Result<(), PublicKeyError> {
    PublicKey::read(data).map(drop)
}

/// Verifies a signed request; which of `keys` it is signed with, or how it is refused.
pub(super) fn verify<'k>(
    request: &Message<'_>,
    record: &RawRecord<'_>,
    keys: &'k [Key],
    now: u64,
) -> Result<&'k Key, Rcode> {
    let sig = Sig::read(record.raw_rdata()).ok_or(Rcode::FORMERR)?;
    // One check costs as much as a hundred answers: it is made only for a key that the message names in full.
    let named = keys.iter().filter(|key| key.algorithm == Algorithm::Sig0 && key.name.as_ref() == sig.signer);
    let named = named.filter_map(|key| Some((key, PublicKey::read(&key.secret).ok()?)));
    let found = named.into_iter().find(|(_, public)| public.algorithm == sig.algorithm && public.tag() == sig.tag);
    let (key, public) = found.ok_or(Rcode::NOTAUTH)?;
    if !sig.is_valid_at(now) {
        return Err(Rcode::NOTAUTH);
    }
    let without = request.octets().get(..record.start()).unwrap_or_default();
    let (_, additional) = id_and_additional(without);
    let mut data = [sig.fixed, without].concat();
    if let Some(count) = data.get_mut(sig.fixed.len()..).and_then(|message| message.get_mut(HEADER_LEN - 2..HEADER_LEN))
    {
        count.copy_from_slice(&additional.saturating_sub(1).to_be_bytes());
    }
    if public.verifies(&data, sig.signature) { Ok(key) } else { Err(Rcode::NOTAUTH) }
}

/// The data of a SIG record of a message (RFC 2535, 4.1).
struct Sig<'a> {
    algorithm: u8,
    expiration: u32,
    inception: u32,
    tag: u16,
    signer: NameRef<'a>,
    /// Everything before the signature, which is signed too.
    fixed: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Sig<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let (fixed, rest) = data.split_first_chunk::<FIXED_LEN>()?;
        let number = |at: usize| u32::from_be_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let (signer, signature) = NameRef::read(rest).ok()?;
        Some(Self {
            algorithm: fixed[2],
            expiration: number(8),
            inception: number(12),
            tag: u16::from_be_bytes([fixed[16], fixed[17]]),
            signer,
            fixed: &data[..data.len() - signature.len()],
            signature,
        })
    }

    /// On a circle, as the 32 bits end in 2106 (RFC 4034, 3.1.5).
    fn is_valid_at(&self, now: u64) -> bool {
        let now = now as u32;
        now.wrapping_sub(self.inception).cast_signed() >= 0 && self.expiration.wrapping_sub(now).cast_signed() >= 0
    }
}

/// The octets of the data before the signer's name.
const FIXED_LEN: usize = 18;
