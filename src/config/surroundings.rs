//! What the machine contributes to a configuration: its name, its folders, the key file.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The system's daemon keeps its state here; systemd says so in `STATE_DIRECTORY` (systemd.exec(5)).
const SYSTEM_STATE: &str = "/var/lib/gatehouse";
/// No key file is longer.
const MAX_KEY_FILE: u64 = 64 << 10;
/// A passphrase shorter than this is guessed.
pub(super) const MIN_PASSPHRASE: usize = 8;

/// What a configuration may depend on besides its text.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The host name: the default of `name`.
    pub hostname: String,
    /// Whether this is the system's daemon, which decides the default folders: run by root, or by the system's service
    /// manager as a user of its own.
    pub root: bool,
    /// `$XDG_STATE_HOME`, or `~/.local/state`.
    pub state_home: PathBuf,
    /// What is wrong with a key file, if anything.
    pub inspect_key: fn(&Path) -> Result<(), KeyFault>,
    /// Reads a small file that the text names.
    pub read: fn(&Path) -> std::io::Result<String>,
}

/// What is wrong with a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    /// It is not there, not readable or not text.
    #[error("cannot read the key file: {0}")]
    Unreadable(#[from] std::io::Error),
    /// Everybody on this machine can read it.
    #[error("the key file can be read by everybody on this machine")]
    Open,
    /// It holds too little to be a key.
    #[error("the key file holds less than {MIN_PASSPHRASE} characters")]
    TooShort,
}

impl Surroundings {
    /// This machine as it is now.
    pub fn of_this_machine() -> Surroundings {
        let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || absolute("HOME").unwrap_or_else(|| PathBuf::from("/"));
        Surroundings {
            hostname: hostname.trim().to_owned(),
            root: rustix::process::geteuid().is_root()
                || absolute("STATE_DIRECTORY").is_some_and(|path| path == Path::new(SYSTEM_STATE)),
            state_home: absolute("XDG_STATE_HOME").unwrap_or_else(|| home().join(".local/state")),
            inspect_key,
            read,
        }
    }

    /// The default of `state`.
    pub(super) fn state(&self) -> PathBuf {
        if self.root { PathBuf::from(SYSTEM_STATE) } else { self.state_home.join("gatehouse") }
    }

    /// The default of `control`.
    pub(super) fn control(&self, state: &Path) -> PathBuf {
        if self.root { PathBuf::from("/run/gatehouse/control.sock") } else { state.join("control.sock") }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_KEY_FILE).read_to_string(&mut text)?;
    Ok(text)
}

fn inspect_key(path: &Path) -> Result<(), KeyFault> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o004 != 0 {
        return Err(KeyFault::Open);
    }
    let mut key = String::new();
    file.take(MAX_KEY_FILE).read_to_string(&mut key)?;
    if key.trim().chars().count() < MIN_PASSPHRASE { Err(KeyFault::TooShort) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files() {
        let folder = std::env::temp_dir().join(format!("gatehouse-key-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let inspect = |content: &str, mode: u32| {
            let path = folder.join("key");
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            inspect_key(&path)
        };
        assert!(matches!(inspect("correct horse\n", 0o600), Ok(())));
        assert!(matches!(inspect("correct horse\n", 0o640), Ok(())), "a group may share it");
        assert!(matches!(inspect("correct horse\n", 0o644), Err(KeyFault::Open)));
        assert!(matches!(inspect("  short\n\n\n\n", 0o600), Err(KeyFault::TooShort)));
        assert!(matches!(inspect_key(&folder.join("none")), Err(KeyFault::Unreadable(_))));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
