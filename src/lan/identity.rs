//! Who this member is across restarts: `node.json` in the state folder, and the site's term in `term`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::clock;
use crate::durable::replace;
use crate::units::{BootEpoch, Mac, NodeId, Term};

/// Why the identity cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nothing was changed.
    #[error("the state folder {path} cannot be used")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing was changed.
    #[error("{path} is damaged: {source}; remove it to start with a new identity")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How.
        source: serde_json::Error,
    },
    /// Nothing was changed.
    #[error("another gatehouse uses the state folder {path}; stop it, or give each its own `state`")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// Nothing was changed.
    #[error("the kernel has no randomness yet")]
    Randomness(#[source] io::Error),
}

/// Keeps a second daemon from speaking with this one's identity and undoing its work, until it is dropped.
#[derive(Debug)]
pub struct StateLock {
    /// None where the folder cannot be written.
    _file: Option<fs::File>,
}

impl StateLock {
    /// Takes the folder `state` for this process; the kernel gives it back when the process ends.
    ///
    /// # Errors
    /// When another daemon has it, or it cannot be made.
    pub fn take(state: &Path) -> Result<StateLock, IdentityError> {
        use std::os::unix::fs::OpenOptionsExt as _;
        fs::create_dir_all(state).map_err(|source| IdentityError::Folder { path: state.to_owned(), source })?;
        let path = state.join("lock");
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path).ok();
        match file.as_ref().map(|file| flock(file, FlockOperation::NonBlockingLockExclusive)) {
            Some(Err(Errno::WOULDBLOCK)) => Err(IdentityError::InUse { path: state.to_owned() }),
            _ => Ok(StateLock { _file: file }),
        }
    }
}

/// This member's identity at this start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    secret: [u8; 16],
    /// Higher than at every earlier start.
    pub epoch: BootEpoch,
    /// The highest term known when the daemon last ran.
    pub term: Term,
    /// Whether it could be written down; if not, the next start relies on the wall clock.
    pub kept: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    secret: [u8; 16],
    epoch: BootEpoch,
}

impl Identity {
    /// Reads the identity from the folder `state`, or makes one, and counts this start.
    ///
    /// # Errors
    /// When the folder cannot be made or read, or a file in it is damaged. A full disk is not an error: see
    /// [`Identity::kept`].
    pub fn open(state: &Path) -> Result<Identity, IdentityError> {
        let folder = |source| IdentityError::Folder { path: state.to_owned(), source };
        fs::create_dir_all(state).map_err(folder)?;
        let path = state.join("node.json");
        let before: Option<NodeFile> = match fs::read(&path) {
            Ok(bytes) => {
                let damaged = |source| IdentityError::Damaged { path: path.clone(), source };
                Some(serde_json::from_slice(&bytes).map_err(damaged)?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(folder(error)),
        };
        let (secret, epoch) = match before {
            Some(file) => (file.secret, file.epoch.0.saturating_add(1)),
            None => (clock::random_bytes().map_err(IdentityError::Randomness)?, 0),
        };
        // The wall clock covers a lost folder, the count covers a clock that was set back.
        let epoch = BootEpoch(epoch.max(clock::wall_millis()));
        let kept = keep_node(&path, &NodeFile { secret, epoch }).is_ok();
        let term = fs::read_to_string(state.join("term")).ok().and_then(|text| text.trim().parse().ok());
        Ok(Identity { secret, epoch, term: Term(term.unwrap_or(0)), kept })
    }

    /// The member's id on the LAN behind `mac`: a copied disk in another machine makes another member.
    pub fn node(&self, mac: Mac) -> NodeId {
        let digest = Sha256::new().chain_update(b"gatehouse node").chain_update(self.secret).chain_update(mac.0);
        let mut id = [0; 16];
        id.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
        NodeId(id)
    }

    /// Writes down the site's term, so that it also grows when every member was down.
    ///
    /// # Errors
    /// When the disk does not take it; the old term stays.
    pub fn keep_term(state: &Path, term: Term) -> io::Result<()> {
        replace(&state.join("term"), format!("{term}\n").as_bytes())
    }
}

fn keep_node(path: &Path, file: &NodeFile) -> io::Result<()> {
    replace(path, &serde_json::to_vec(file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("gatehouse-identity-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn the_epoch_grows_although_the_clock_is_set_back() {
        let state = folder("epoch");
        let first = Identity::open(&state).unwrap();
        let far = NodeFile { secret: first.secret, epoch: BootEpoch(u64::MAX / 2) };
        keep_node(&state.join("node.json"), &far).unwrap();
        let second = Identity::open(&state).unwrap();
        assert_eq!(second.epoch, BootEpoch(u64::MAX / 2 + 1));
        assert_eq!(second.node(Mac([1; 6])), first.node(Mac([1; 6])));
        assert_ne!(second.node(Mac([1; 6])), second.node(Mac([2; 6])), "a copied disk is another member");
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn two_daemons_do_not_share_a_folder() {
        let state = folder("lock");
        let first = StateLock::take(&state).unwrap();
        assert!(matches!(StateLock::take(&state), Err(IdentityError::InUse { .. })));
        drop(first);
        StateLock::take(&state).unwrap();
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn the_term_survives() {
        let state = folder("term");
        assert_eq!(Identity::open(&state).unwrap().term, Term(0));
        Identity::keep_term(&state, Term(7)).unwrap();
        assert_eq!(Identity::open(&state).unwrap().term, Term(7));
        fs::remove_dir_all(state).unwrap();
    }

    #[test]
    fn a_damaged_file_is_named_and_left_alone() {
        let state = folder("damaged");
        fs::create_dir_all(&state).unwrap();
        fs::write(state.join("node.json"), "{\"secret\":").unwrap();
        let error = Identity::open(&state).unwrap_err().to_string();
        assert!(error.contains("node.json is damaged"), "{error}");
        assert_eq!(fs::read_to_string(state.join("node.json")).unwrap(), "{\"secret\":");
        fs::remove_dir_all(state).unwrap();
    }
}
