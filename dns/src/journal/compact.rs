//! Snapshots: a new file beside the old one, which takes its place.
//!
//! A [`Compaction`] is a value with all it needs, so that it runs on another thread while batches go on being appended
//! to the old file; [`Journal::replace`] then copies those over. Whatever fails on the way, the old file stays the journal.
//! Where there is none yet, the file is prepared in the same way, and [`Journal::begin`] makes it the first one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{CURRENT, NEXT, Trouble};
use super::format::{self, FRAME_HEAD, Frame};
use super::{File, Files, Item, Journal, State};
use crate::clock;
use crate::name::Name;

/// A frame of a snapshot ends when it has this many octets.
const FRAME_LEN: usize = 256 << 10;

/// A file and where it is written on.
pub(super) struct Written {
    pub(super) file: Box<dyn File>,
    pub(super) salt: u64,
    pub(super) end: u64,
    /// The number of the next frame.
    pub(super) sequence: u64,
}

/// A snapshot to be written.
pub struct Compaction {
    place: Place,
    state: State,
    /// Nothing when there is no file yet.
    old: Option<Old>,
}

/// Where a snapshot is written.
struct Place {
    files: Arc<dyn Files>,
    folder: PathBuf,
    apex: Name,
}

/// The file that a snapshot is to replace.
#[derive(Clone, Copy)]
struct Old {
    salt: u64,
    /// How far it is in the snapshot.
    upto: u64,
}

/// A snapshot that was written.
pub struct Ready {
    place: Place,
    written: Written,
    old: Option<Old>,
}

impl Compaction {
    /// What will be the first journal of a zone that says `state` as long as it has none.
    pub fn first(files: Arc<dyn Files>, folder: &Path, apex: &Name, state: &State) -> Self {
        let place = Place { files, folder: folder.to_owned(), apex: apex.clone() };
        Self { place, state: state.clone(), old: None }
    }

    /// Writes the snapshot; takes long for a large zone.
    ///
    /// # Errors
    /// Those of the disk; the journal is as it was.
    pub fn run(self) -> io::Result<Ready> {
        let Self { place, state, old } = self;
        if old.is_none() {
            place.files.make_folder(&place.folder)?;
        }
        let mut written = write(place.files.as_ref(), &place.folder.join(NEXT), &place.apex, &state)?;
        // The bulk of the work for the disk, before anybody waits for it.
        written.file.sync()?;
        Ok(Ready { place, written, old })
    }
}

impl Journal {
    /// Begins a compaction; `state` is what the journal says now.
    pub fn compaction(&self, state: &State) -> Compaction {
        let old = Old { salt: self.written.salt, upto: self.written.end };
        let place = Place { files: self.files.clone(), folder: self.folder.clone(), apex: self.apex.clone() };
        Compaction { place, state: state.clone(), old: Some(old) }
    }

    /// Makes a snapshot that was written for this the first journal of its zone. It is on the disk with the first batch.
    ///
    /// # Errors
    /// Those of the disk, or when the snapshot is to replace a journal; there may be a journal then, which says nothing
    /// but the snapshot.
    pub fn begin(ready: Ready) -> io::Result<Self> {
        let Ready { place: Place { files, folder, apex }, written, old: None } = ready else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        files.rename(&folder.join(NEXT), &folder.join(CURRENT))?;
        let base = written.end;
        // Mended by the first batch.
        Ok(Self { files, folder, apex, written, base, trouble: Some(Trouble::Folder) })
    }

    /// Puts the new file in the place of this journal's, after what was appended meanwhile has been copied.
    ///
    /// # Errors
    /// Those of the disk, or when this is another journal than the compaction began with; nothing that was acknowledged
    /// is lost, and the journal can be appended to.
    pub fn replace(&mut self, ready: Ready) -> io::Result<()> {
        let Ready { mut written, old, .. } = ready;
        let Some(Old { upto, .. }) = old.filter(|old| old.salt == self.written.salt) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let base = written.end;
        self.copy(upto, &mut written)?;
        written.file.sync()?;
        self.files.rename(&self.folder.join(NEXT), &self.folder.join(CURRENT))?;
        (self.written, self.base) = (written, base);
        // Until the folder is on the disk the old file may come back, without what is appended from now on.
        self.trouble = Some(Trouble::Folder);
        self.files.sync_folder(&self.folder)?;
        self.trouble = None;
        Ok(())
    }

    /// Copies the frames behind `from`, which get the salt and the numbers of the other file.
    fn copy(&self, mut from: u64, to: &mut Written) -> io::Result<()> {
        while from < self.written.end {
            let mut head = [0; FRAME_HEAD];
            self.written.file.read_at(from, &mut head)?;
            let len = format::payload_len(&head).ok_or(io::ErrorKind::InvalidData)?;
            let mut octets = vec![0; FRAME_HEAD + len];
            self.written.file.read_at(from, &mut octets)?;
            format::check(&octets, self.written.salt).ok_or(io::ErrorKind::InvalidData)?;
            let mut frame = Frame::new();
            frame.payload(&octets[FRAME_HEAD..]);
            to.put(frame)?;
            from += octets.len() as u64;
        }
        Ok(())
    }
}

impl Written {
    fn put(&mut self, frame: Frame) -> io::Result<()> {
        let octets = frame.seal(self.salt, self.sequence);
        self.file.write_at(self.end, &octets)?;
        self.end += octets.len() as u64;
        self.sequence += 1;
        Ok(())
    }
}

/// Writes a file that says `state`, not synced and under its temporary name.
pub(super) fn write(files: &dyn Files, path: &Path, apex: &Name, state: &State) -> io::Result<Written> {
    let mut file = files.create(path)?;
    let salt = u64::from_ne_bytes(clock::seed());
    let header = format::header(apex.as_ref(), salt);
    file.write_at(0, &header)?;
    let mut out =
        Snapshot { written: Written { file, salt, end: header.len() as u64, sequence: 0 }, frame: Frame::new() };
    for change in state.history.changes() {
        out.frame.past(change);
        out.flush_at(FRAME_LEN)?;
    }
    let mut records = 0;
    for record in state.zone.records() {
        out.frame.record(&record);
        records += 1;
        out.flush_at(FRAME_LEN)?;
    }
    for lease in state.leases.iter() {
        out.frame.item(&Item::Lease(lease));
        out.flush_at(FRAME_LEN)?;
    }
    for (key, value) in &state.notes {
        out.frame.item(&Item::Note { key: key.clone(), value: Some(value.clone()) });
        out.flush_at(FRAME_LEN)?;
    }
    out.frame.base(state.zone.serial(), records);
    out.flush_at(0)?;
    Ok(out.written)
}

struct Snapshot {
    written: Written,
    frame: Frame,
}

impl Snapshot {
    fn flush_at(&mut self, len: usize) -> io::Result<()> {
        if self.frame.len() < len {
            return Ok(());
        }
        self.written.put(std::mem::replace(&mut self.frame, Frame::new()))
    }
}
