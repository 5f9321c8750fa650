//! Where a zone's records come from when the server starts: its journal, or else its seed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use crate::journal::{Files, Item, Journal, OpenError, Opened, State, folder_name};
use crate::name::Name;
use crate::record::{Record, Rtype};
use crate::settings::{Source, ZoneSettings};
use crate::text;
use crate::zone::{Serial, Soa, Zone, ZoneError};

/// Why the zones cannot be served. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Two servers would write over each other.
    #[error("another server uses the state folder {0}")]
    InUse(PathBuf),
    /// The state folder cannot be used.
    #[error("cannot use the state folder {0}")]
    State(PathBuf, #[source] io::Error),
    /// The server is ending.
    #[error("the zones are closed already")]
    Closed,
    /// A journal cannot be used.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// A zone's file cannot be read.
    #[error("cannot read the zone file {0}")]
    Seed(PathBuf, #[source] io::Error),
    /// A zone's file has faults; the message has a line for each.
    #[error("{0}")]
    Faults(text::Faults),
    /// A zone that begins with nothing has an apex that is too long to have a name server.
    #[error("the zone {0} cannot begin without a file")]
    Empty(Name, #[source] ZoneError),
}

/// A zone that was opened.
pub(super) struct OpenedZone {
    pub(super) files: Arc<dyn Files>,
    pub(super) folder: PathBuf,
    pub(super) state: State,
    pub(super) journal: Option<Journal>,
    /// Whether there is nothing in it yet that could be answered.
    pub(super) is_empty: bool,
    pub(super) lock: Lock,
}

/// The right to use the state folder, as long as anybody holds it.
pub(super) type Lock = Arc<dyn Send + Sync>;

/// The note that says which version of its file a zone began with: when the file was modified, in nanoseconds since 1970,
/// and its length, eight octets each.
const FILE: &str = "zone.file";

/// Takes the state folder for this server alone.
pub(super) fn lock(files: &dyn Files, state: &Path) -> Result<Lock, StoreError> {
    let zones = zones_folder(state);
    files.make_folder(&zones).map_err(|error| StoreError::State(zones.clone(), error))?;
    files.lock(&zones.join("lock")).map(Lock::from).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => StoreError::InUse(state.to_owned()),
        _ => StoreError::State(zones, error),
    })
}

/// Opens a zone.
pub(super) fn open(
    files: &Arc<dyn Files>,
    state: &Path,
    zone: &ZoneSettings,
    lock: Lock,
) -> Result<OpenedZone, StoreError> {
    let folder = zones_folder(state).join(folder_name(zone.apex.as_ref()));
    let files = files.clone();
    if let Some(Opened { journal, state, cut }) = Journal::open(files.clone(), &folder, &zone.apex)? {
        if let Some(cut) = cut {
            tracing::warn!(
                zone = %zone.apex, offset = cut.offset, octets = cut.octets,
                "the journal's last entry was not whole and is cut off; it was never acknowledged"
            );
        }
        warn_of_file(&state, zone, &folder);
        return Ok(OpenedZone { files, folder, state, journal: Some(journal), is_empty: false, lock });
    }
    let (zone, noted, is_empty) = match &zone.source {
        Source::Primary { file: Some(path) } => {
            let (zone, noted) = read_seed(path, &zone.apex)?;
            (zone, Some(noted), false)
        }
        Source::Primary { file: None } => (empty(&zone.apex, Serial(1))?, None, false),
        Source::Secondary { .. } => (empty(&zone.apex, Serial(0))?, None, true),
    };
    let mut state = State::new(zone);
    noted.iter().for_each(|item| state.note(item, &mut Vec::new()));
    Ok(OpenedZone { files, folder, state, journal: None, is_empty, lock })
}

/// Says in the log that a zone's file was changed and does not count, as the zone has a journal.
pub(super) fn warn_of_file(state: &State, zone: &ZoneSettings, folder: &Path) {
    let Source::Primary { file: Some(path) } = &zone.source else { return };
    if is_from(state, path).is_ok_and(|is_from| !is_from) {
        tracing::warn!(
            zone = %zone.apex, file = %path.display(), journal = %folder.display(),
            "the zone file is another than the one that the zone began with, and does not count beside a journal: send \
             its records as updates, or stop the server and move the journal away to begin again from the file \
             (changes since then are lost)"
        );
    }
}

/// Whether a zone began with the file as it is now.
///
/// # Errors
/// When there is no such file.
pub(super) fn is_from(state: &State, path: &Path) -> Result<bool, StoreError> {
    Ok(state.notes.get(FILE) == Some(&stamp(path)?))
}

/// Reads a zone file, and those that it includes from beside it; with the note of which version it is.
pub(super) fn read_seed(path: &Path, apex: &Name) -> Result<(Zone, Item), StoreError> {
    let failed = |error| StoreError::Seed(path.to_owned(), error);
    let stamp = stamp(path)?;
    let text = fs::read(path).map_err(failed)?;
    let source = text::Source { file: path.to_string_lossy().into(), text: &text };
    let mut include = |name: &str| fs::read(path.parent().unwrap_or(Path::new("")).join(name));
    let zone = text::read_zone(source, apex, &mut include).map_err(StoreError::Faults)?;
    Ok((zone, Item::Note { key: FILE.to_owned(), value: Some(stamp) }))
}

/// What tells one version of a file from another.
fn stamp(path: &Path) -> Result<Box<[u8]>, StoreError> {
    let facts = fs::metadata(path).map_err(|error| StoreError::Seed(path.to_owned(), error))?;
    let modified = facts.modified().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let nanos = modified.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default();
    Ok([nanos.to_be_bytes(), facts.len().to_be_bytes()].concat().into())
}

fn zones_folder(state: &Path) -> PathBuf {
    state.join("zones")
}

/// The zone that begins without a file.
fn empty(apex: &Name, serial: Serial) -> Result<Zone, StoreError> {
    let below = |label: &[u8]| Name::child(label, apex.as_ref()).unwrap_or_else(|_| apex.clone());
    let soa = Soa {
        primary: below(b"ns"),
        mailbox: below(b"hostmaster"),
        serial,
        refresh: 3600,
        retry: 600,
        expire: 14 * 24 * 3600,
        minimum: 60,
    };
    let record = |rtype, rdata: Box<[u8]>| Record { name: apex.clone(), rtype, ttl: 3600, rdata };
    let top = [record(Rtype::SOA, soa.write()), record(Rtype::NS, soa.primary.as_ref().wire().into())];
    Zone::new(apex.clone(), top).map_err(|error| StoreError::Empty(apex.clone(), error))
}
