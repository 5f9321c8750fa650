//! The folder in which a node keeps who it is: `fabric/` in the state folder, for its owner's eyes.
//!
//! | file | what |
//! |---|---|
//! | `trust.pem` | whom the fabric trusts: its keys' certificates |
//! | `node.key`, `node.pem` | the node's key and what it shows |
//! | `spawner.pem` | its spawner's certificate, if it is a spawner |
//! | `revoked` | lists of revoked keys |
//! | `fabric.key` | the fabric's own key, sealed or not; on one machine only |
//! | `fabric.key.next` | the key that takes its place, while it is rotated |
//!
//! All but the lists are PEM, so that `openssl x509 -text -in node.pem` shows what is in them.
//!
//! **Invariant:** a crash at any moment leaves a folder that works: it appears as a whole, each file is replaced as a
//! whole, and of a rotation either nothing has happened or everything can be finished.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::chain::{Chain, ChainError};
use super::key::{FabricKey, KeyError, KeyPair, PublicKey};
use super::node::{Current, NodeError, NodeIdentity};
use super::revocation::{MAX_LIST, RevocationError, RevocationList, Revocations};
use super::sealed::{SealError, SealedKey};
use super::trust::{Trust, TrustError};
use super::verify::Verifier;
use crate::durable;
use crate::wire::octets::Reader;

const TRUST: &str = "trust.pem";
const NODE_KEY: &str = "node.key";
const NODE: &str = "node.pem";
const SPAWNER: &str = "spawner.pem";
const REVOKED: &str = "revoked";
const FABRIC_KEY: &str = "fabric.key";
const NEXT_KEY: &str = "fabric.key.next";
/// The longest text that is read; see [`super::pem`].
const MAX_FILE: u64 = 1024 * 1024;

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not there.
    #[error("it is missing")]
    Missing,
    /// It is much longer than such a file is.
    #[error("it is too long")]
    TooLong,
    /// Not a key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Not a sealed key.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Not certificates.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// Not whom to trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The certificates are not the node's.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Not a list of revoked keys.
    #[error(transparent)]
    Revoked(#[from] RevocationError),
}

/// A file or folder that is of no use. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[error("{path} cannot be used")]
pub struct FilesError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub fault: FileFault,
}

/// The fabric's key as it is kept.
#[derive(Debug)]
pub enum StoredKey {
    /// For whoever can read the file.
    Plain(FabricKey),
    /// For whoever knows the passphrase.
    Sealed(SealedKey),
}

impl StoredKey {
    /// The half that others know.
    pub fn public(&self) -> PublicKey {
        match self {
            StoredKey::Plain(key) => key.public(),
            StoredKey::Sealed(sealed) => sealed.public(),
        }
    }

    fn to_pem(&self) -> Zeroizing<String> {
        match self {
            StoredKey::Plain(key) => key.pair().to_pem(),
            StoredKey::Sealed(sealed) => Zeroizing::new(sealed.to_pem()),
        }
    }

    fn from_pem(text: &str) -> Result<StoredKey, FileFault> {
        match SealedKey::from_pem(text)? {
            Some(sealed) => Ok(StoredKey::Sealed(sealed)),
            None => Ok(StoredKey::Plain(KeyPair::from_pem(text)?.into())),
        }
    }
}

/// The folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

/// Keeps others from changing the folder, until it is dropped.
#[derive(Debug)]
pub struct FolderLock {
    _folder: fs::File,
}

impl Folder {
    /// The folder below a state folder; it need not be there.
    pub fn below(state: &Path) -> Folder {
        Folder(state.join("fabric"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Whether this machine belongs to a fabric.
    pub fn exists(&self) -> bool {
        self.0.exists()
    }

    /// Makes the folder, filled by `fill`; it appears as a whole or not at all.
    ///
    /// # Errors
    /// When it is there already, or cannot be made.
    pub fn create(&self, fill: impl FnOnce(&Folder) -> Result<(), FilesError>) -> Result<(), FilesError> {
        let fault = |error: io::Error| self.fault(&self.0, error.into());
        if self.exists() {
            return Err(fault(io::ErrorKind::AlreadyExists.into()));
        }
        let mut beside = self.0.clone().into_os_string();
        beside.push(".new");
        let beside = Folder(beside.into());
        if beside.exists() {
            // Left by a crash; nobody has used it.
            fs::remove_dir_all(&beside.0).map_err(fault)?;
        }
        durable::make_folder(&beside.0).map_err(fault)?;
        let made = fill(&beside).and_then(|()| durable::rename(&beside.0, &self.0).map_err(fault));
        if made.is_err() {
            let _ = fs::remove_dir_all(&beside.0);
        }
        made
    }

    /// Takes the folder for changes.
    ///
    /// # Errors
    /// When it is not there, or somebody else is changing it.
    pub fn lock(&self) -> Result<FolderLock, FilesError> {
        let folder = fs::File::open(&self.0).map_err(|error| self.fault(&self.0, error.into()))?;
        match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(self.fault(&self.0, io::Error::from(io::ErrorKind::ResourceBusy).into())),
            Err(error) => Err(self.fault(&self.0, io::Error::from(error).into())),
            Ok(()) => Ok(FolderLock { _folder: folder }),
        }
    }

    /// Who this node is and whom it believes.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn load(&self) -> Result<Current, FilesError> {
        let identity = self.node()?;
        let trust = self.trust()?;
        let mut verifier = Verifier::new(trust);
        verifier.revocations = self.revocations(&verifier.trust)?;
        Ok(Current { identity, verifier })
    }

    /// Whom the fabric trusts.
    ///
    /// # Errors
    /// When the file is missing or damaged.
    pub fn trust(&self) -> Result<Trust, FilesError> {
        self.read(TRUST, |text| Ok(Trust::from_pem(text)?))
    }

    /// Keeps whom the fabric trusts.
    ///
    /// # Errors
    /// When the disk does not take it; the old file stays.
    pub fn keep_trust(&self, trust: &Trust) -> Result<(), FilesError> {
        self.write(TRUST, trust.to_pem().as_bytes())
    }

    /// Who this node is.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn node(&self) -> Result<NodeIdentity, FilesError> {
        let key = self.read(NODE_KEY, |text| Ok(KeyPair::from_pem(text)?))?;
        let chain = self.read(NODE, |text| Ok(Chain::from_pem(text)?))?;
        let spawner = match self.0.join(SPAWNER).exists() {
            true => Some(self.read(SPAWNER, |text| Ok(Chain::from_pem(text)?))?),
            false => None,
        };
        let identity = NodeIdentity::new(Arc::new(key), chain, spawner);
        identity.map_err(|error| self.fault(&self.0.join(NODE), error.into()))
    }

    /// Keeps who this node is.
    ///
    /// # Errors
    /// When the disk does not take it; files that were not reached stay.
    pub fn keep_node(&self, node: &NodeIdentity) -> Result<(), FilesError> {
        self.write(NODE_KEY, node.key().to_pem().as_bytes())?;
        if let Some(spawner) = node.spawner() {
            self.write(SPAWNER, spawner.to_pem().as_bytes())?;
        }
        self.write(NODE, node.chain().to_pem().as_bytes())
    }

    /// Keeps which keys are revoked.
    ///
    /// # Errors
    /// When the disk does not take it; the old file stays.
    pub fn keep_revocations(&self, revocations: &Revocations) -> Result<(), FilesError> {
        let mut bytes = Vec::new();
        for list in revocations.lists() {
            let length = u32::try_from(list.as_bytes().len()).unwrap_or(0);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(list.as_bytes());
        }
        self.write(REVOKED, &bytes)
    }

    /// The fabric's own key, if it is kept here.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn fabric_key(&self) -> Result<Option<StoredKey>, FilesError> {
        let path = self.0.join(FABRIC_KEY);
        if !path.exists() {
            return Ok(None);
        }
        self.read(FABRIC_KEY, StoredKey::from_pem).map(Some)
    }

    /// Keeps the fabric's first key.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn keep_fabric_key(&self, key: &StoredKey) -> Result<(), FilesError> {
        self.write(FABRIC_KEY, key.to_pem().as_bytes())
    }

    /// Puts a new key of the fabric in place of the old one, with the trust that says so. After that the old one is gone.
    ///
    /// # Errors
    /// When the disk does not take it. Then either nothing has changed, or [`Folder::finish_rotation`] finishes it.
    pub fn rotate(&self, key: &StoredKey, trust: &Trust) -> Result<(), FilesError> {
        self.write(NEXT_KEY, key.to_pem().as_bytes())?;
        self.keep_trust(trust)?;
        self.finish_rotation()
    }

    /// Finishes, or takes back, a rotation that was interrupted.
    ///
    /// # Errors
    /// When a file is damaged, or the disk does not take it.
    pub fn finish_rotation(&self) -> Result<(), FilesError> {
        let (next, path) = (self.0.join(NEXT_KEY), self.0.join(FABRIC_KEY));
        if !next.exists() {
            return Ok(());
        }
        let key = self.read(NEXT_KEY, StoredKey::from_pem)?;
        let published = self.trust()?.newest().key() == &key.public();
        let done = if published { durable::rename(&next, &path) } else { durable::remove(&next) };
        done.map_err(|error| self.fault(&next, error.into()))
    }

    fn revocations(&self, trust: &Trust) -> Result<Revocations, FilesError> {
        let mut revocations = Revocations::new(trust.fabric());
        let path = self.0.join(REVOKED);
        let fault = |fault| self.fault(&path, fault);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(revocations),
            Err(error) => return Err(fault(error.into())),
        };
        let mut reader = Reader::new(&bytes);
        while reader.end().is_none() {
            let list = next_list(&mut reader).ok_or_else(|| fault(RevocationError::Encoding.into()))?;
            let list = RevocationList::parse(list).map_err(|error| fault(error.into()))?;
            revocations.merge(list).map_err(|error| fault(error.into()))?;
        }
        Ok(revocations)
    }

    fn read<T>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T, FileFault>) -> Result<T, FilesError> {
        let path = self.0.join(name);
        let text = || {
            let length = fs::metadata(&path).map(|found| found.len());
            match length {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FileFault::Missing),
                Ok(length) if length > MAX_FILE => return Err(FileFault::TooLong),
                _ => {}
            }
            parse(&Zeroizing::new(fs::read_to_string(&path)?))
        };
        text().map_err(|fault| self.fault(&path, fault))
    }

    fn write(&self, name: &str, content: &[u8]) -> Result<(), FilesError> {
        let path = self.0.join(name);
        durable::replace(&path, content).map_err(|error| self.fault(&path, error.into()))
    }

    fn fault(&self, path: &Path, fault: FileFault) -> FilesError {
        FilesError { path: path.to_owned(), fault }
    }
}

/// The next list in the file of revoked keys.
fn next_list<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(reader.u32()?).ok().filter(|length| *length <= MAX_LIST)?;
    reader.take(length)
}
