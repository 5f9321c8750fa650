//! What a crashed run left behind, and how to take it back.
//!
//! A file says what this run wants and which kernel settings it found before it changed them. It is written before the
//! change it tells of, and removed when everything is undone. It is renamed into place: a reader sees one or the other.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Wanted;
use crate::plan::Sysctl;

/// The journal's file, and what it says.
pub(crate) struct Undo {
    path: PathBuf,
    journal: Journal,
}

/// What has to be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    /// What was put on the machine.
    pub(crate) wanted: Wanted,
    /// The settings as they were.
    pub(crate) sysctls: BTreeMap<Sysctl, String>,
}

impl Undo {
    /// What an earlier run left, if it did not end in order. A file that cannot be understood is as good as none.
    pub(crate) fn left_over(path: &Path) -> Option<Journal> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot read what an earlier run left to undo");
                return None;
            }
        };
        serde_json::from_slice(&text)
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "cannot understand the undo file"))
            .ok()
    }

    /// A new journal.
    pub(crate) fn begin(path: PathBuf, wanted: &Wanted) -> Undo {
        let undo = Undo { path, journal: Journal { wanted: wanted.clone(), sysctls: BTreeMap::new() } };
        undo.save();
        undo
    }

    /// Notes the value a setting has now, unless an earlier one is known.
    pub(crate) fn note(&mut self, key: &Sysctl, now: &str) {
        if !self.journal.sysctls.contains_key(key) {
            self.journal.sysctls.insert(key.clone(), now.to_owned());
            self.save();
        }
    }

    /// The settings as they were.
    pub(crate) fn sysctls(&self) -> &BTreeMap<Sysctl, String> {
        &self.journal.sysctls
    }

    /// Everything is undone.
    pub(crate) fn finish(self) {
        Undo::forget(&self.path);
    }

    /// Everything that an earlier run left is undone.
    pub(crate) fn forget(path: &Path) {
        if let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot remove the undo file");
        }
    }

    /// A full disk must not keep a machine from holding the address: it is said, and that is all.
    fn save(&self) {
        if let Err(error) = self.write() {
            tracing::warn!(path = %self.path.display(), %error, "cannot write down what to undo after a crash");
        }
    }

    fn write(&self) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = self.path.with_extension("new");
        fs::write(&fresh, serde_json::to_vec_pretty(&self.journal)?)?;
        fs::rename(&fresh, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Carrier, Fence};

    #[test]
    fn the_first_value_is_kept_until_the_end() {
        let folder = std::env::temp_dir().join(format!("netconfig-undo-{}", std::process::id()));
        let path = folder.join("undo.json");
        let key = Sysctl("ipv4/conf/eth0/arp_ignore".to_owned());
        let mut undo = Undo::begin(path.clone(), &wanted());
        undo.note(&key, "0");
        undo.note(&key, "1");
        let left = Undo::left_over(&path).unwrap();
        assert_eq!(left.sysctls, BTreeMap::from([(key, "0".to_owned())]));
        assert_eq!(left.wanted, wanted());
        undo.finish();
        assert_eq!(Undo::left_over(&path), None);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_damaged_file_is_as_good_as_none() {
        let path = std::env::temp_dir().join(format!("netconfig-damaged-{}", std::process::id()));
        fs::write(&path, b"{\"wanted\":").unwrap();
        assert_eq!(Undo::left_over(&path), None);
        fs::remove_file(path).unwrap();
    }

    fn wanted() -> Wanted {
        let fence = Fence { port: 7172, mark: 7, lease: std::time::Duration::from_millis(180) };
        let v4 = Some(([192, 168, 1, 11].into(), 24));
        Wanted { interface: "eth0".to_owned(), carrier: Carrier::Nic, v4, v6: None, configured: false, fence }
    }
}
