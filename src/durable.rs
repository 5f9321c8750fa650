//! Small files that survive a crash.
//!
//! **Invariant:** a file is replaced whole (written beside, synced, renamed), so a crash leaves the old or the new.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Puts a file with this content, for its owner's eyes only, in place of the one at `path`.
///
/// # Errors
/// When the disk does not take it; the old file stays.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let path = std::env::temp_dir().join(format!("gatehouse-durable-{}", std::process::id()));
        fs::write(&path, "what was there, and longer").unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!path.with_extension("new").exists(), "the file beside is left");
        fs::remove_file(path).unwrap();
    }
}
