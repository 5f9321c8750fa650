//! Sockets that tokio watches for readability.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A socket whose readability can be awaited.
pub(crate) struct Readable {
    fd: AsyncFd<OwnedFd>,
}

impl Readable {
    /// Watches a non-blocking socket. Must run inside a tokio runtime.
    pub(crate) fn new(socket: impl Into<OwnedFd>) -> io::Result<Readable> {
        // SAFETY: an `OwnedFd` is open until it is dropped, is never replaced, and `AsyncFd` owns it from here.
        let fd = unsafe { AsyncFd::register_with_interest(socket.into(), Interest::READABLE)? };
        Ok(Readable { fd })
    }

    /// Waits until there is something to read. Cancel-safe: nothing is read here.
    pub(crate) async fn wait(&self) -> io::Result<()> {
        self.fd.readable().await.map(|mut guard| guard.retain_ready())
    }

    /// Reads one datagram without waiting, cut to the buffer; its length.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fd.try_io(Interest::READABLE, |fd| {
            let (length, _) = rustix::net::recv(fd, buffer, rustix::net::RecvFlags::DONTWAIT)?;
            Ok(length)
        })
    }
}
