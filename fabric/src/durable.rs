//! Small files that survive a crash.
//!
//! **Invariant:** a file is replaced whole (written beside, synced, renamed, its folder synced), so a crash leaves the
//! old or the new.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Puts a file with this content, for its owner's eyes only, in place of the one at `path`.
///
/// # Errors
/// When the disk does not take it; the old file stays.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = beside(path);
    // Left by a crash, and perhaps with other rights.
    remove(&beside)?;
    let written = write(&beside, content).and_then(|()| rename(&beside, path));
    if written.is_err() {
        let _ = remove(&beside);
    }
    written
}

/// Gives a file or a folder another name, for good; a file that has it already is gone.
///
/// # Errors
/// When the disk does not take it; both keep their names.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to)
}

/// Removes a file for good, if it is there.
///
/// # Errors
/// When it cannot be.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a folder and those above it, if they are not there; for the eyes of its owner.
///
/// # Errors
/// When it cannot be made.
pub fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes what was created, renamed or removed beside `path` last.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("gatehouse-durable-{name}-{}", std::process::id()));
        make_folder(&path).unwrap();
        path
    }

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let folder = folder("replace");
        let path = folder.join("key.pem");
        fs::write(&path, "what was there, and longer").unwrap();
        let left = folder.join("key.pem.new");
        fs::write(&left, "left by a crash, for everybody to read").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!left.exists(), "the file beside is left");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn files_that_differ_in_their_ending_do_not_meet() {
        assert_ne!(beside(Path::new("node.key")), beside(Path::new("node.pem")));
    }

    #[test]
    fn what_cannot_be_written_leaves_the_old() {
        let folder = folder("refused");
        let path = folder.join("taken");
        // A folder in the way cannot be replaced by a file.
        make_folder(&path).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert!(path.is_dir() && !beside(&path).exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
