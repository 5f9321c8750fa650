//! The journal of one zone on a disk: opening with recovery, and appending.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compact::{self, Written};
use super::format::{self, FRAME_HEAD, Frame, MAX_HEADER, MAX_PAYLOAD, Stored};
use super::{Damage, File, Files, Item, OpenError, State};
use crate::name::{MAX_LEN, Name};
use crate::zone::{Builder, Change, Edit};

/// The file that counts.
pub(super) const CURRENT: &str = "journal";
/// The file that is written to take its place; of no worth before that.
pub(super) const NEXT: &str = "journal.new";
/// The same, written at once and not beside other work: both may be written at the same time.
pub(super) const WHOLE: &str = "journal.whole";
/// A batch of more octets is not appended; a new snapshot takes its place.
const LARGE: usize = 16 << 20;
/// A log is never thought long below this size: a new snapshot costs three syncs.
const MIN_LOG: u64 = 4 << 20;
/// Records that are changed in the log before they are put into the zone.
const MAX_EDIT: usize = 10_000;
/// Octets that the search for a good entry behind a damaged one hashes before it takes the file for damaged.
const MAX_SEARCH: usize = 1 << 30;

/// An open journal.
pub struct Journal {
    pub(super) files: Arc<dyn Files>,
    pub(super) folder: PathBuf,
    pub(super) apex: Name,
    pub(super) written: Written,
    /// Where the snapshot ends and the log begins.
    pub(super) base: u64,
    /// What must be mended before anything is appended.
    pub(super) trouble: Option<Trouble>,
}

/// Why a journal takes no batch until it is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Behind the end there may be a part of a batch that was refused.
    Tail,
    /// The file has got its name, but perhaps not durably.
    Folder,
}

/// A journal with what it says.
pub struct Opened {
    /// For appending.
    pub journal: Journal,
    /// The zone and what belongs to it.
    pub state: State,
    /// What was cut off at the end, if anything.
    pub cut: Option<Cut>,
}

/// The end of a batch that was being written when the machine stopped. It was never acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where it began.
    pub offset: u64,
    /// How many octets there were.
    pub octets: u64,
}

impl Journal {
    /// Opens the journal in a zone's folder; nothing when there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub fn open(files: Arc<dyn Files>, folder: &Path, apex: &Name) -> Result<Option<Opened>, OpenError> {
        let path = folder.join(CURRENT);
        let failed = |source| OpenError::Io { path: path.clone(), source };
        // What snapshots have left that did not become the journal.
        files.remove(&folder.join(NEXT)).and_then(|()| files.remove(&folder.join(WHOLE))).map_err(failed)?;
        let Some(file) = files.open(&path).map_err(failed)? else { return Ok(None) };
        let recovered = recover(file.as_ref(), apex).map_err(|error| match error {
            Failure::Io(source) => failed(source),
            Failure::Damage(offset, what) => OpenError::Damaged { path: path.clone(), offset, what },
        })?;
        let Recovered { mut state, salt, base, end, len, sequence } = recovered;
        state.history.set_limit(base);
        let cut = (len > end).then_some(Cut { offset: end, octets: len - end });
        let mut journal = Self {
            files,
            folder: folder.to_owned(),
            apex: apex.clone(),
            written: Written { file, salt, end, sequence },
            base,
            trouble: cut.map(|_| Trouble::Tail),
        };
        journal.mend().map_err(failed)?;
        Ok(Some(Opened { journal, state, cut }))
    }

    /// Writes a new journal that says `state`, in the place of one that may be there; when this returns, it is on the disk.
    ///
    /// # Errors
    /// Those of the disk; either may be on it then, so that nothing must be appended to the old one any more.
    pub fn create(files: Arc<dyn Files>, folder: &Path, apex: &Name, state: &State) -> io::Result<Self> {
        files.make_folder(folder)?;
        let mut written = compact::write(files.as_ref(), &folder.join(WHOLE), apex, state)?;
        written.file.sync()?;
        files.rename(&folder.join(WHOLE), &folder.join(CURRENT))?;
        files.sync_folder(folder)?;
        let base = written.end;
        Ok(Self { files, folder: folder.to_owned(), apex: apex.clone(), written, base, trouble: None })
    }

    /// Appends a batch: one write, one sync. When this returns, the batch is on the disk.
    ///
    /// # Errors
    /// Those of the disk: the batch must count as refused. The next one is tried anew.
    pub fn append(&mut self, items: &[Item]) -> io::Result<()> {
        self.mend()?;
        let mut frame = Frame::new();
        items.iter().for_each(|item| frame.item(item));
        let octets = frame.seal(self.written.salt, self.written.sequence);
        if octets.len() > FRAME_HEAD + MAX_PAYLOAD {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let done = self.written.file.write_at(self.written.end, &octets).and_then(|()| self.written.file.sync());
        if let Err(error) = done {
            self.trouble = Some(Trouble::Tail);
            // If this fails as well, the next batch tries again.
            let _ = self.mend();
            return Err(error);
        }
        self.written.end += octets.len() as u64;
        self.written.sequence += 1;
        Ok(())
    }

    /// Whether a batch is better written as a new snapshot than appended.
    pub fn is_large(items: &[Item]) -> bool {
        let octets = items.iter().map(|item| match item {
            Item::Change(change) => format::size_of(change),
            Item::Lease(lease) => MAX_LEN + lease.rdata.len(),
            Item::Note { key, value } => key.len() + value.as_ref().map_or(0, |value| value.len()),
        });
        octets.sum::<usize>() > LARGE
    }

    /// The size of the file, in octets.
    pub fn size(&self) -> u64 {
        self.written.end
    }

    /// The size of the snapshot in it, in octets.
    pub fn snapshot_size(&self) -> u64 {
        self.base
    }

    /// Whether the log has grown so much that a new snapshot pays.
    pub fn is_long(&self) -> bool {
        self.written.end - self.base > self.base.max(MIN_LOG)
    }

    /// Makes the file and its name what they should be, after a failure.
    fn mend(&mut self) -> io::Result<()> {
        match self.trouble {
            None => {}
            Some(Trouble::Folder) => self.files.sync_folder(&self.folder)?,
            Some(Trouble::Tail) => {
                // A descriptor that has reported an error once may not report it again; a new one is asked.
                let path = self.folder.join(CURRENT);
                let mut file = self.files.open(&path)?.ok_or(io::ErrorKind::NotFound)?;
                if file.size()? < self.written.end {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                file.set_len(self.written.end)?;
                file.sync()?;
                self.written.file = file;
            }
        }
        self.trouble = None;
        Ok(())
    }
}

/// What a file says.
struct Recovered {
    state: State,
    salt: u64,
    /// Where the snapshot ends.
    base: u64,
    /// Where the last good frame ends.
    end: u64,
    /// Where the file ends.
    len: u64,
    /// The number of the next frame.
    sequence: u64,
}

enum Failure {
    Io(io::Error),
    Damage(u64, Damage),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn recover(file: &dyn File, apex: &Name) -> Result<Recovered, Failure> {
    let len = file.size()?;
    let mut head = vec![0; MAX_HEADER];
    let read = file.read_at(0, &mut head)?;
    let (salt, header) =
        format::read_header(&head[..read], apex.as_ref()).map_err(|damage| Failure::Damage(0, damage))?;
    let (mut at, mut sequence, mut base) = (header as u64, 0, None);
    let mut loader = Loader::new(apex);
    while let Some(frame) = read_frame(file, at, len, salt)? {
        let wrong = Failure::Damage(at, Damage::Content);
        if format::check(&frame, salt) != Some(sequence) {
            return Err(wrong);
        }
        let items = format::read_payload(&frame[FRAME_HEAD..]).ok_or(wrong)?;
        for item in items {
            if loader.item(item).ok_or(Failure::Damage(at, Damage::Content))? {
                base = Some(at + frame.len() as u64);
            }
        }
        at += frame.len() as u64;
        sequence += 1;
    }
    if let Some(next) = good_after(file, at, len, salt)? {
        return Err(Failure::Damage(at, Damage::Before(next)));
    }
    loader.settle().ok_or(Failure::Damage(at, Damage::Content))?;
    let (Some(base), Some(state)) = (base, loader.state) else {
        return Err(Failure::Damage(at, Damage::Snapshot));
    };
    Ok(Recovered { state, salt, base, end: at, len, sequence })
}

/// The whole frame at an offset; nothing when there is no good one.
fn read_frame(file: &dyn File, at: u64, len: u64, salt: u64) -> io::Result<Option<Vec<u8>>> {
    let mut head = [0; FRAME_HEAD];
    if file.read_at(at, &mut head)? < FRAME_HEAD {
        return Ok(None);
    }
    let Some(payload) = format::payload_len(&head) else { return Ok(None) };
    if payload as u64 > len.saturating_sub(at) {
        return Ok(None);
    }
    let mut frame = vec![0; FRAME_HEAD + payload];
    let read = file.read_at(at, &mut frame)?;
    Ok((read == frame.len() && format::check(&frame, salt).is_some()).then_some(frame))
}

/// Where the first good frame behind a bad one begins.
fn good_after(file: &dyn File, at: u64, len: u64, salt: u64) -> io::Result<Option<u64>> {
    let mut rest = vec![0; usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX)];
    let read = file.read_at(at, &mut rest)?;
    rest.truncate(read);
    let (mut from, mut hashed) = (1, 0);
    while let Some(found) = rest.get(from..).and_then(format::find_marker) {
        let begin = from + found;
        let head = rest[begin..].first_chunk::<FRAME_HEAD>();
        let frame = head.and_then(format::payload_len).and_then(|len| rest[begin..].get(..FRAME_HEAD + len));
        if let Some(frame) = frame {
            hashed += frame.len();
            if hashed > MAX_SEARCH || format::check(frame, salt).is_some() {
                return Ok(Some(at + begin as u64));
            }
        }
        from = begin + 1;
    }
    Ok(None)
}

/// Puts the items of a file together.
struct Loader {
    /// Of the snapshot: what there is so far.
    zone: Option<Builder>,
    records: u64,
    past: Vec<Arc<Change>>,
    others: Vec<Item>,
    /// After the snapshot.
    state: Option<State>,
    /// Changes of the log that are not in the state's zone yet, and how many records they have: a new version of a large
    /// zone for each would take longer than all else.
    edit: Option<(Edit, usize)>,
}

impl Loader {
    fn new(apex: &Name) -> Self {
        let zone = Some(Builder::new(apex.clone()));
        Self { zone, records: 0, past: Vec::new(), others: Vec::new(), state: None, edit: None }
    }

    /// The next item; whether it ended the snapshot. Nothing when it makes no sense here.
    fn item(&mut self, item: Stored) -> Option<bool> {
        match (&mut self.state, item) {
            (Some(state), Stored::Item(item)) => {
                if let Item::Change(change) = &item {
                    let (edit, records) = self.edit.get_or_insert_with(|| (state.zone.edit(), 0));
                    edit.apply(change).ok()?;
                    *records += change.removed.len() + change.added.len();
                    state.history.push(change.clone());
                }
                state.note(&item, &mut Vec::new());
                if self.edit.as_ref().is_some_and(|(_, records)| *records > MAX_EDIT) {
                    self.settle()?;
                }
            }
            (Some(_), _) | (None, Stored::Item(Item::Change(_))) => return None,
            (None, Stored::Item(item)) => self.others.push(item),
            (None, Stored::Past(change)) => self.past.push(change),
            (None, Stored::Record(record)) => {
                self.zone.as_mut()?.add(record).ok()?;
                self.records += 1;
            }
            (None, Stored::Base(serial, records)) => {
                let zone = self.zone.take()?.finish().ok()?;
                if zone.serial() != serial || self.records != records {
                    return None;
                }
                let state = self.state.insert(State::new(zone));
                // What is kept of it depends on the snapshot's size; see `open`.
                state.history.set_limit(u64::MAX);
                self.past.drain(..).for_each(|change| state.history.push(change));
                self.others.drain(..).for_each(|item| state.note(&item, &mut Vec::new()));
                return Some(true);
            }
        }
        Some(false)
    }

    /// Puts the changes so far into the zone. Nothing when they make no sense.
    fn settle(&mut self) -> Option<()> {
        if let (Some(state), Some((edit, _))) = (&mut self.state, self.edit.take()) {
            state.zone = edit.finish().ok()?.0;
        }
        Some(())
    }
}
