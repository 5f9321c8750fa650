//! What a zone became, kept on disk: an append-only log behind a snapshot, in one file for each zone.
//!
//! [`Journal::append`] is one write and one sync for a whole batch, and only what it accepted is ever acknowledged.
//! The file begins with a snapshot (and the changes before it, the history that IXFR needs); when the log behind it has
//! grown, a new file is written beside and renamed over the old one. **Invariants:** a batch is there whole or not at
//! all, after a crash as well as after a power cut; a cut is repaired at the end of the file only, and damage anywhere
//! else is reported with its place, never skipped. [`format`](self) is pure; [`Files`] is the only way to the disk.

mod compact;
mod disk;
#[cfg(test)]
pub(crate) mod fault;
mod files;
mod format;
mod state;
#[cfg(test)]
mod tests;

pub use compact::{Compaction, Ready};
pub use disk::{Cut, Journal, Opened};
pub use files::{Disk, File, Files};
pub use state::{History, State};

use std::path::PathBuf;
use std::sync::Arc;
use std::{fmt, io};

use crate::name::{Name, NameRef};
use crate::zone::{Change, Lease};

/// One thing that a batch carries, in the order it happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// The zone changed.
    Change(Arc<Change>),
    /// A record stays until then, or for good from now on.
    Lease(Lease),
    /// Something that a part of the server wants to find again, under a key of its own; no value to forget it.
    Note {
        /// At most 255 octets.
        key: String,
        /// At most [`MAX_NOTE`] octets.
        value: Option<Box<[u8]>>,
    },
}

/// The longest value of a note.
pub const MAX_NOTE: usize = 64 * 1024;

/// The journal of a zone cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk refused.
    #[error("the journal {path} cannot be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The content is damaged in a way that no interrupted write explains.
    #[error(
        "the journal {path} is damaged at octet {offset}: {what}; restore the file from a copy, or move it away to \
         begin again from the zone file or the primary server (changes since then are lost)"
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where the first wrong entry begins.
        offset: u64,
        /// What is wrong with it.
        what: Damage,
    },
}

/// What is wrong with an entry of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The file does not begin like a journal of this zone.
    NoJournal,
    /// It was written by a version that is not known here.
    Version(u16),
    /// It belongs to another zone.
    OtherZone(Name),
    /// The checksum is wrong, and a right entry follows at this offset.
    Before(u64),
    /// The snapshot is not whole.
    Snapshot,
    /// The checksum is right, but the content makes no sense here.
    Content,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJournal => f.write_str("it does not begin like a journal"),
            Self::Version(version) => write!(f, "it has format {version}, which this version cannot read"),
            Self::OtherZone(apex) => write!(f, "it belongs to the zone {apex}"),
            Self::Before(next) => {
                write!(f, "the entry is not what was written, and a good one follows at octet {next}")
            }
            Self::Snapshot => f.write_str("the snapshot is not whole"),
            Self::Content => f.write_str("the entry does not fit the ones before it"),
        }
    }
}

/// The name of a zone's folder: the apex in lower case, with everything but letters, digits, `-` and `_` as `%xx`.
/// A name too long for a file system is cut and told apart by a hash; the root is `%`.
pub fn folder_name(apex: NameRef<'_>) -> String {
    let mut text = String::new();
    for label in apex.to_lower().as_ref().labels() {
        if !text.is_empty() {
            text.push('.');
        }
        for &octet in label {
            match octet {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => text.push(char::from(octet)),
                _ => text.push_str(&format!("%{octet:02x}")),
            }
        }
    }
    if text.is_empty() {
        text.push('%');
    }
    if text.len() > MAX_FOLDER {
        let hash = format::hash(0, apex.to_lower().as_ref().wire());
        text.truncate(MAX_FOLDER);
        text.push_str(&format!("%%{hash:016x}"));
    }
    text
}

/// The longest folder name before it is cut: file systems take 255 octets.
const MAX_FOLDER: usize = 200;
