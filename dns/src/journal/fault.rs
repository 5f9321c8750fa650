//! A disk in memory that fails on request, and that forgets what was not synced when the power is cut.
//!
//! What is synced is kept. Of the rest any part may be there after a cut: each write not at all, whole, or some piece of
//! it, in any order; creations and renames up to some point. That is harsher than real file systems.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{File, Files};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails, a write after half of its octets.
    Fails,
    /// So do this call and all after it.
    PowerCut,
}

#[derive(Clone, Default)]
pub(crate) struct Sim(Arc<Mutex<Inner>>);

#[derive(Clone, Default)]
struct Inner {
    files: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    synced_names: BTreeMap<PathBuf, usize>,
    /// Since the last sync of the folder.
    moves: Vec<Move>,
    calls: usize,
    faults: BTreeMap<usize, Fault>,
    dark: bool,
    full: bool,
    locked: BTreeSet<PathBuf>,
}

#[derive(Clone, Default)]
struct Inode {
    octets: Vec<u8>,
    synced: Vec<u8>,
    /// Since the last sync.
    writes: Vec<Write>,
}

#[derive(Clone)]
enum Write {
    Octets(u64, Vec<u8>),
    Len(u64),
}

#[derive(Clone)]
enum Move {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl Sim {
    /// A disk on which the calls with these numbers go wrong.
    pub(crate) fn with(faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        let sim = Self::default();
        sim.lock_inner().faults = faults.into_iter().collect();
        sim
    }

    /// From now on every call fails, or none because of this.
    pub(crate) fn fill(&self, is_full: bool) {
        self.lock_inner().full = is_full;
    }

    /// How many calls that change something there were.
    pub(crate) fn calls(&self) -> usize {
        self.lock_inner().calls
    }

    /// Whether the power was cut.
    pub(crate) fn is_dark(&self) -> bool {
        self.lock_inner().dark
    }

    /// The disk as the machine finds it after the power came back; what was not synced is there in part, by chance.
    pub(crate) fn after_cut(&self, chance: &mut Chance) -> Self {
        let old = self.lock_inner();
        let mut new = Inner::default();
        for file in &old.files {
            let mut octets = file.synced.clone();
            for write in &file.writes {
                chance.some_of(&mut octets, write);
            }
            new.files.push(Inode { synced: octets.clone(), octets, writes: Vec::new() });
        }
        new.names = old.synced_names.clone();
        for each in &old.moves[..chance.below(old.moves.len() + 1)] {
            perform(&mut new.names, each);
        }
        new.synced_names = new.names.clone();
        Self(Arc::new(Mutex::new(new)))
    }

    /// The octets of a file.
    pub(crate) fn octets(&self, path: &Path) -> Option<Vec<u8>> {
        let inner = self.lock_inner();
        inner.names.get(path).map(|inode| inner.files[*inode].octets.clone())
    }

    /// Puts these octets in the place of a file's.
    pub(crate) fn put(&self, path: &Path, octets: Vec<u8>) {
        let mut inner = self.lock_inner();
        let inode = inner.files.len();
        inner.files.push(Inode { synced: octets.clone(), octets, writes: Vec::new() });
        inner.names.insert(path.to_owned(), inode);
        inner.synced_names.insert(path.to_owned(), inode);
    }

    fn lock_inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics with the lock")
    }

    /// Counts a call; the fault that it meets.
    fn call(&self) -> (MutexGuard<'_, Inner>, Option<Fault>) {
        let mut inner = self.lock_inner();
        let planned = inner.faults.get(&inner.calls).copied().or(inner.full.then_some(Fault::Fails));
        let fault = if inner.dark { Some(Fault::PowerCut) } else { planned };
        inner.calls += 1;
        inner.dark |= fault == Some(Fault::PowerCut);
        (inner, fault)
    }

    fn move_name(&self, each: Move) -> io::Result<()> {
        let (mut inner, fault) = self.call();
        if fault.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        perform(&mut inner.names, &each);
        inner.moves.push(each);
        Ok(())
    }
}

fn perform(names: &mut BTreeMap<PathBuf, usize>, each: &Move) {
    match each {
        Move::Link(path, inode) => drop(names.insert(path.clone(), *inode)),
        Move::Unlink(path) => drop(names.remove(path)),
        Move::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

fn write(octets: &mut Vec<u8>, offset: usize, written: &[u8]) {
    let end = offset + written.len();
    octets.resize(octets.len().max(end), 0);
    octets[offset..end].copy_from_slice(written);
}

impl Files for Sim {
    fn open(&self, path: &Path) -> io::Result<Option<Box<dyn File>>> {
        let inner = self.lock_inner();
        if inner.dark {
            return Err(io::ErrorKind::Other.into());
        }
        let found = inner.names.get(path).map(|inode| Box::new(Handle(self.clone(), *inode)) as Box<dyn File>);
        Ok(found)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let inode = {
            let mut inner = self.lock_inner();
            inner.files.push(Inode::default());
            inner.files.len() - 1
        };
        self.move_name(Move::Link(path.to_owned(), inode))?;
        Ok(Box::new(Handle(self.clone(), inode)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.move_name(Move::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.move_name(Move::Unlink(path.to_owned()))
    }

    fn make_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, _path: &Path) -> io::Result<()> {
        let (mut inner, fault) = self.call();
        if fault.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        inner.moves.clear();
        inner.synced_names = inner.names.clone();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        match self.lock_inner().locked.insert(path.to_owned()) {
            true => Ok(Box::new(())),
            false => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

struct Handle(Sim, usize);

impl File for Handle {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock_inner().files[self.1].octets.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let inner = self.0.lock_inner();
        let octets = inner.files[self.1].octets.get(offset as usize..).unwrap_or_default();
        let len = octets.len().min(buffer.len());
        buffer[..len].copy_from_slice(&octets[..len]);
        Ok(len)
    }

    fn write_at(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        let (mut inner, fault) = self.0.call();
        let octets = if fault.is_some() { &octets[..octets.len() / 2] } else { octets };
        let file = &mut inner.files[self.1];
        write(&mut file.octets, offset as usize, octets);
        file.writes.push(Write::Octets(offset, octets.to_vec()));
        fault.map_or(Ok(()), |_| Err(io::ErrorKind::StorageFull.into()))
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        let (mut inner, fault) = self.0.call();
        if fault.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        let file = &mut inner.files[self.1];
        file.octets.resize(len as usize, 0);
        file.writes.push(Write::Len(len));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let (mut inner, fault) = self.0.call();
        if fault.is_some() {
            return Err(io::ErrorKind::Other.into());
        }
        let file = &mut inner.files[self.1];
        file.synced = file.octets.clone();
        file.writes.clear();
        Ok(())
    }
}

/// Numbers that look like chance and are the same for the same seed.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }

    fn some_of(&mut self, octets: &mut Vec<u8>, each: &Write) {
        match (each, self.below(3)) {
            (_, 0) => {}
            (Write::Len(len), _) => octets.resize(*len as usize, 0),
            (Write::Octets(offset, written), 1) => write(octets, *offset as usize, written),
            (Write::Octets(offset, written), _) => {
                let from = self.below(written.len() + 1);
                let to = from + self.below(written.len() + 1 - from);
                write(octets, *offset as usize + from, &written[from..to]);
            }
        }
    }
}
