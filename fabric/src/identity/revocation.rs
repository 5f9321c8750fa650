//! Keys that count no more.
//!
//! What is revoked is a key, named by the id that follows from it, and not a certificate: all that it was ever given end
//! with it, and what it has signed as a spawner as well. The fabric's key can revoke every key; a spawner those that it,
//! or a spawner below it, has signed for. Each has one signed list; of two versions of it the newer counts. So a list
//! can be passed on by anybody, and one of somebody who has no say has no effect.
//!
//! Layout: version 1, fabric (20), the signer's public key (32), version of the list (8), count (2), then for each its
//! node id (16) and the moment in seconds after which it has no certificates left anyway (8), and a signature (64) for
//! [`Purpose::Revocation`] over everything before it. Numbers are big-endian.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::key::{KeyPair, PublicKey, Purpose, SIGNATURE};
use super::mint::SPAWNER_VALIDITY;
use super::name::FabricId;
use crate::units::{NodeId, WallTime};
use crate::wire::octets::Reader;

/// Keys in one list at most: it stays below the size of a message. Who has revoked more makes a new fabric.
pub const MAX_REVOKED: usize = 2_000;
/// Lists at most: one of each spawner of a large fabric.
pub const MAX_LISTS: usize = 1_024;
/// Octets of a list at most.
pub const MAX_LIST: usize = HEADER + MAX_REVOKED * ENTRY + SIGNATURE;

const LAYOUT: u8 = 1;
const HEADER: usize = 1 + 20 + 32 + 8 + 2;
const ENTRY: usize = 16 + 8;

/// Why a list is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RevocationError {
    /// Not a list.
    #[error("not a list of revoked keys")]
    Encoding,
    /// Of another fabric.
    #[error("a list of the fabric {0}")]
    OtherFabric(FabricId),
    /// Not signed by who it says.
    #[error("a list of revoked keys with a wrong signature")]
    Signature,
    /// No room.
    #[error("no room for further revoked keys")]
    Full,
}

/// What one signer has revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    signer: PublicKey,
    version: u64,
    fabric: FabricId,
    entries: BTreeMap<NodeId, WallTime>,
    bytes: Arc<[u8]>,
}

impl RevocationList {
    /// The list of `signer` with these keys and until when each must be remembered.
    ///
    /// # Errors
    /// When there are more than [`MAX_REVOKED`].
    pub(super) fn sign(
        signer: &KeyPair,
        fabric: FabricId,
        version: u64,
        entries: BTreeMap<NodeId, WallTime>,
    ) -> Result<RevocationList, RevocationError> {
        let count = u16::try_from(entries.len()).ok().filter(|count| usize::from(*count) <= MAX_REVOKED);
        let count = count.ok_or(RevocationError::Full)?;
        let mut bytes = vec![LAYOUT];
        bytes.extend_from_slice(&fabric.0);
        bytes.extend_from_slice(signer.public().as_bytes());
        bytes.extend_from_slice(&version.to_be_bytes());
        bytes.extend_from_slice(&count.to_be_bytes());
        for (node, until) in &entries {
            bytes.extend_from_slice(&node.0);
            bytes.extend_from_slice(&until.as_secs().to_be_bytes());
        }
        let signature = signer.sign(Purpose::Revocation, &bytes);
        bytes.extend_from_slice(&signature);
        Ok(RevocationList { signer: signer.public(), version, fabric, entries, bytes: bytes.into() })
    }

    /// Reads a list and verifies its signature.
    ///
    /// # Errors
    /// When it is none, or forged.
    pub fn parse(bytes: &[u8]) -> Result<RevocationList, RevocationError> {
        let (list, signed, signature) = RevocationList::read(bytes).ok_or(RevocationError::Encoding)?;
        let verified = list.signer.verifies(Purpose::Revocation, signed, &signature);
        if verified { Ok(list) } else { Err(RevocationError::Signature) }
    }

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Who has signed it.
    pub fn signer(&self) -> NodeId {
        self.signer.node()
    }

    /// Its version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The keys in it.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> {
        self.entries.keys().copied()
    }

    fn read(bytes: &[u8]) -> Option<(RevocationList, &[u8], [u8; SIGNATURE])> {
        let (signed, signature) = bytes.split_last_chunk::<SIGNATURE>()?;
        let mut reader = Reader::new(signed);
        if reader.u8()? != LAYOUT {
            return None;
        }
        let (fabric, signer) = (FabricId(*reader.array()?), reader.array()?);
        let (version, count) = (reader.u64()?, usize::from(reader.u16()?));
        if count > MAX_REVOKED {
            return None;
        }
        let mut entries = BTreeMap::new();
        for _ in 0..count {
            let (node, until) = (NodeId(*reader.array()?), WallTime::from_secs(reader.u64()?));
            // In order and once each, so that a list has one form.
            if entries.last_key_value().is_some_and(|(last, _)| *last >= node) {
                return None;
            }
            entries.insert(node, until);
        }
        reader.end()?;
        let list = RevocationList {
            signer: PublicKey::from_bytes(signer).ok()?,
            version,
            fabric,
            entries,
            bytes: bytes.into(),
        };
        Some((list, signed, *signature))
    }
}

/// All lists of a fabric that are known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocations {
    fabric: FabricId,
    lists: BTreeMap<NodeId, RevocationList>,
}

impl Revocations {
    /// Nothing is revoked.
    pub fn new(fabric: FabricId) -> Revocations {
        Revocations { fabric, lists: BTreeMap::new() }
    }

    /// Takes in a list; whether it was news. Whatever the order in which lists arrive, the same ones stay.
    ///
    /// # Errors
    /// When it is another fabric's, or there are [`MAX_LISTS`] of other signers.
    pub fn merge(&mut self, list: RevocationList) -> Result<bool, RevocationError> {
        if list.fabric != self.fabric {
            return Err(RevocationError::OtherFabric(list.fabric));
        }
        match self.lists.get(&list.signer()) {
            // Two lists of one version are a signer's mistake; all take the same of them.
            Some(known) if (known.version, known.as_bytes()) >= (list.version, list.as_bytes()) => return Ok(false),
            None if self.lists.len() >= MAX_LISTS => return Err(RevocationError::Full),
            Some(_) | None => {}
        }
        self.lists.insert(list.signer(), list);
        Ok(true)
    }

    /// Revokes a key, as `signer`: its list gets a new version, which is also returned to be told to others.
    ///
    /// # Errors
    /// When the list is full. Nothing is changed then.
    pub fn revoke(&mut self, signer: &KeyPair, node: NodeId, now: WallTime) -> Result<RevocationList, RevocationError> {
        let known = self.lists.get(&signer.public().node());
        let mut entries = known.map(|list| list.entries.clone()).unwrap_or_default();
        entries.retain(|_, until| now <= *until);
        // No certificate of the key is made from now on, and none lives longer than a spawner's.
        entries.insert(node, now + 2 * SPAWNER_VALIDITY);
        let version = known.map_or(1, |list| list.version.saturating_add(1));
        let list = RevocationList::sign(signer, self.fabric, version, entries)?;
        self.merge(list.clone())?;
        Ok(list)
    }

    /// Whether one of `signers` has revoked `node`.
    pub fn revokes(&self, node: NodeId, signers: impl IntoIterator<Item = NodeId>) -> bool {
        signers.into_iter().any(|signer| self.lists.get(&signer).is_some_and(|list| list.entries.contains_key(&node)))
    }

    /// The lists.
    pub fn lists(&self) -> impl Iterator<Item = &RevocationList> {
        self.lists.values()
    }
}
