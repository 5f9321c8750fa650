//! The control socket's file: made safely, never stolen from a program that lives.
//!
//! **Invariant:** the socket is never open to everybody, not even for a moment, and a file that is not a dead
//! socket is never removed.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, fchmod, flock};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, listen, socket_with};
use tokio::net::{UnixListener, UnixStream};

/// Who may ask: the daemon's user and group.
const SOCKET_MODE: u32 = 0o660;
/// Connections that wait to be accepted; more are refused by the kernel.
const BACKLOG: i32 = 64;

/// The file of a listening socket, so that it is missed when it is gone and never taken for another one.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode.
    id: Option<(u64, u64)>,
    complained: bool,
}

impl SocketFile {
    /// The file that `listener` was bound to just now; none where it has no path.
    pub(super) fn of(listener: &UnixListener) -> Option<SocketFile> {
        let path = listener.local_addr().ok()?.as_pathname()?.to_owned();
        Some(SocketFile { id: id(&path), path, complained: false })
    }

    /// A new listener, if the file is gone; somebody else's in its place is left alone. Says once what happened.
    pub(super) async fn restore(&mut self) -> Option<UnixListener> {
        if fs::symlink_metadata(&self.path).err()?.kind() != io::ErrorKind::NotFound {
            return None;
        }
        let path = self.path.clone();
        // The folder's lock may have to be waited for.
        let bound = tokio::task::spawn_blocking(move || bind(&path)).await.ok()?;
        match bound {
            Ok(listener) => {
                tracing::warn!(path = %self.path.display(), "the control socket had been removed; it is there again");
                (self.id, self.complained) = (id(&self.path), false);
                Some(listener)
            }
            Err(error) if !self.complained => {
                tracing::error!(%error, "the control socket has been removed, and cannot be made again yet");
                self.complained = true;
                None
            }
            Err(_) => None,
        }
    }

    /// Removes the file, if it is still the one that was made here.
    pub(super) fn remove(&self) {
        if self.id.is_some()
            && id(&self.path) == self.id
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "the control socket's file cannot be removed");
        }
    }
}

fn id(path: &Path) -> Option<(u64, u64)> {
    let meta = fs::symlink_metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Why the control socket could not be made. The file system is as it was, but for a new folder.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A program that runs has this socket.
    #[error("{} belongs to {owner}; stop that or set `control` to another path", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
        /// Which program, as far as it is known.
        owner: String,
    },
    /// Something that is no socket lies there.
    #[error("{} exists and is not a socket; remove it or set `control` to another path", .0.display())]
    NotASocket(PathBuf),
    /// Longer than the kernel's 107 bytes.
    #[error("{} is too long: the path of a Unix socket has at most 107 bytes", .0.display())]
    TooLong(PathBuf),
    /// The operating system refused.
    #[error("cannot {deed} {}", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Listens on `path`, with mode 0660; makes the folder (mode 0755) where it is missing, and replaces a socket that no
/// program has any more. Needs a tokio runtime around it.
///
/// # Errors
/// When a program that runs has it, or the file cannot be made.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |deed, path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| BindError::Io { deed, path, source }
    };
    let address = SocketAddrUnix::new(path).map_err(|_| BindError::TooLong(path.to_owned()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed("make the folder", folder))?;
    let _one_at_a_time = lock(folder).map_err(failed("lock the folder", folder))?;
    clear_the_way(path, &address)?;
    let listener = open(path, &address).map_err(failed("listen on", path))?;
    UnixListener::from_std(listener).map_err(failed("listen on", path))
}

/// Keeps two daemons that start together from both finding the other's socket dead.
fn lock(folder: &Path) -> io::Result<File> {
    let folder = File::open(folder)?;
    flock(&folder, FlockOperation::LockExclusive)?;
    Ok(folder)
}

fn clear_the_way(path: &Path, address: &SocketAddrUnix) -> Result<(), BindError> {
    let io = |deed| move |source: io::Error| BindError::Io { deed, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("look at")(error)),
    }
    // A stream would also be refused by a program that is about to listen. A datagram socket is refused only where
    // there is none: another kind of socket is the wrong one (EPROTOTYPE), one that is engaged says so (EPERM).
    let probe = socket(SocketType::DGRAM).map_err(io("ask"))?;
    match connect(&probe, address) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(io("remove the dead socket")),
        Err(Errno::NOENT) => Ok(()),
        Ok(()) | Err(Errno::PERM | Errno::PROTOTYPE) => {
            Err(BindError::InUse { path: path.to_owned(), owner: owner(address) })
        }
        Err(error) => Err(io("ask")(error.into())),
    }
}

/// Who listens there, for people.
fn owner(address: &SocketAddrUnix) -> String {
    const SOMEBODY: &str = "a running program";
    let pid = || -> io::Result<Option<i32>> {
        // Non-blocking, because a program whose backlog is full would make us wait.
        let stream = socket(SocketType::STREAM)?;
        connect(&stream, address)?;
        Ok(UnixStream::from_std(stream.into())?.peer_cred()?.pid())
    };
    // Zero is a process that cannot be seen from here.
    let Some(pid) = pid().ok().flatten().filter(|pid| *pid > 0) else { return SOMEBODY.to_owned() };
    match fs::read_to_string(format!("/proc/{pid}/comm")).as_deref().map(str::trim_end) {
        Ok("gatehouse") => format!("another gatehouse (process {pid})"),
        Ok(name) => format!("another program, {name} (process {pid})"),
        Err(_) => format!("{SOMEBODY} (process {pid})"),
    }
}

fn open(path: &Path, address: &SocketAddrUnix) -> io::Result<net::UnixListener> {
    let socket = socket(SocketType::STREAM)?;
    // Linux gives the file the mode of the socket, so it is never wider than this; the umask may have narrowed it.
    fchmod(&socket, Mode::from_raw_mode(SOCKET_MODE))?;
    rustix::net::bind(&socket, address)?;
    fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
    listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn socket(kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::UNIX, kind, flags, None)?)
}
