//! The few things that a journal wants of a disk, so that a test can be the disk.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// A file system. All calls block.
pub trait Files: Send + Sync {
    /// Opens a file for reading and writing; nothing when there is none.
    ///
    /// # Errors
    /// Those of the disk, here and below.
    fn open(&self, path: &Path) -> io::Result<Option<Box<dyn File>>>;
    /// Makes an empty file for the eyes of its owner, in the place of one that is there.
    ///
    /// # Errors
    /// See above.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;
    /// Gives a file another name; one that has it already is gone.
    ///
    /// # Errors
    /// See above.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// See above.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder and those above it, if they are not there, each durably; for the eyes of its owner.
    ///
    /// # Errors
    /// See above.
    fn make_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes what was created, renamed or removed in a folder last.
    ///
    /// # Errors
    /// See above.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Takes the lock that a file stands for until the result is dropped.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] when another process has it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
}

/// An open file.
pub trait File: Send {
    /// How long it is, in octets.
    ///
    /// # Errors
    /// Those of the disk, here and below.
    fn size(&self) -> io::Result<u64>;
    /// Reads at an offset until the buffer is full or the file ends; how many octets.
    ///
    /// # Errors
    /// See above.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `octets` at an offset. After an error some of them may be there.
    ///
    /// # Errors
    /// See above.
    fn write_at(&mut self, offset: u64, octets: &[u8]) -> io::Result<()>;
    /// Cuts the file.
    ///
    /// # Errors
    /// See above.
    fn set_len(&mut self, len: u64) -> io::Result<()>;
    /// Returns when everything written is on the disk, with the file's length.
    ///
    /// # Errors
    /// See above.
    fn sync(&mut self) -> io::Result<()>;
}

/// The real one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn open(&self, path: &Path) -> io::Result<Option<Box<dyn File>>> {
        match fs::File::options().read(true).write(true).open(path) {
            Ok(file) => Ok(Some(Box::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let mut options = fs::File::options();
        // The keys of a signed zone are in its journal.
        options.mode(0o600);
        Ok(Box::new(options.read(true).write(true).create(true).truncate(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        if let Some(above) = above {
            self.make_folder(above)?;
        }
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        above.map_or(Ok(()), |above| self.sync_folder(above))
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(file))
    }
}

impl File for fs::File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() {
            match FileExt::read_at(self, &mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(some) => read += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&mut self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.write_all_at(octets, offset)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        fs::File::set_len(self, len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}
