//! Netlink requests and notifications: bytes to the kernel and back.
//!
//! The kernel performs a request inside the system call that sends it, so requests block: no task, queue or wakeup
//! stands between the daemon and the change. Notifications come on a socket of their own, without blocking.
//!
//! **Invariant:** every wait ends within [`ANSWER_TIMEOUT`], every loop is bounded, and a lost notification is reported
//! as [`Batch::lost`], never swallowed.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr};
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout};
use rustix::net::{RecvFlags, SendFlags};

use crate::ready::Readable;

/// The kernel answers inside the call; only a kernel under heavy load needs longer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// The kernel fills dumps in parts of at most 32 KiB.
const BUFFER: usize = 64 * 1024;
/// Room for notifications while another program changes thousands of things at once.
const EVENT_BUFFER: usize = 1024 * 1024;
/// Datagrams read in one go before the caller gets to act.
const MAX_READS: usize = 256;
/// A dump that other programs keep changing is asked for this often.
const MAX_DUMPS: usize = 5;

const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;
const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;

/// One message of the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Its type.
    pub(crate) kind: u16,
    /// The port of the socket whose request caused it; zero when the kernel itself did.
    pub(crate) port: u32,
    /// What follows the netlink header.
    pub(crate) payload: Vec<u8>,
}

/// A socket for requests.
pub(crate) struct Requests {
    socket: Socket,
    port: u32,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    /// A socket of one netlink family (`NETLINK_ROUTE`, `NETLINK_NETFILTER`).
    pub(crate) fn open(family: isize) -> io::Result<Requests> {
        let mut socket = Socket::new(family)?;
        let port = socket.bind_auto()?.port_number();
        set_socket_timeout(socket.as_fd(), Timeout::Recv, Some(ANSWER_TIMEOUT))?;
        // Shorter errors, and dumps that keep to the device they are asked for; old kernels do without.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Requests { socket, port, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// The address of this socket in [`Message::port`].
    pub(crate) fn port(&self) -> u32 {
        self.port
    }

    /// Asks for one thing or one change; answers with the kernel's messages.
    pub(crate) fn ask(&mut self, kind: u16, flags: u16, payload: &[u8]) -> io::Result<Vec<Message>> {
        let mut request = Writer::default();
        let sequence = self.next_sequence();
        request.message(kind, flags | NLM_F_REQUEST | NLM_F_ACK, sequence, |w| w.raw(payload));
        self.converse(&request.into_bytes(), sequence, sequence).map(|(messages, _)| messages)
    }

    /// Asks for a list.
    pub(crate) fn dump(&mut self, kind: u16, payload: &[u8]) -> io::Result<Vec<Message>> {
        for _ in 0..MAX_DUMPS {
            let mut request = Writer::default();
            let sequence = self.next_sequence();
            request.message(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, |w| w.raw(payload));
            let (messages, interrupted) = self.converse(&request.into_bytes(), sequence, sequence)?;
            if !interrupted {
                return Ok(messages);
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    /// Sends several messages as one transaction; `build` is given the function that numbers them. The last of them
    /// must ask for an acknowledgement.
    pub(crate) fn transact(&mut self, build: impl FnOnce(&mut Writer, &mut dyn FnMut() -> u32)) -> io::Result<()> {
        let mut batch = Writer::default();
        let first = self.sequence.wrapping_add(1);
        let mut last_acknowledged = first;
        build(&mut batch, &mut || {
            self.sequence = self.sequence.wrapping_add(1);
            last_acknowledged = self.sequence;
            self.sequence
        });
        // The closing message of a batch is not acknowledged; the one before it is.
        self.converse(&batch.into_bytes(), first, last_acknowledged.wrapping_sub(1)).map(|_| ())
    }

    fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// The first error wins; an error for the `first` message of a batch stands for the whole batch.
    fn converse(&mut self, request: &[u8], first: u32, last: u32) -> io::Result<(Vec<Message>, bool)> {
        rustix::net::send(&self.socket, request, SendFlags::empty())?;
        let mut messages = Vec::new();
        let mut failure = None;
        let mut interrupted = false;
        loop {
            let (length, _) = rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty())
                .map_err(|error| if error == rustix::io::Errno::AGAIN { rustix::io::Errno::TIMEDOUT } else { error })?;
            for (header, payload) in Messages(self.buffer.get(..length).unwrap_or_default()) {
                let age = last.wrapping_sub(header.sequence);
                if age > last.wrapping_sub(first) {
                    continue;
                }
                interrupted |= header.flags & NLM_F_DUMP_INTR != 0;
                match header.kind {
                    NLMSG_ERROR => {
                        let code = payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                        if code != 0 && failure.is_none() {
                            failure = Some(io::Error::from_raw_os_error(-code));
                        }
                        if header.sequence == last || (code != 0 && header.sequence == first) {
                            return failure.map_or(Ok((messages, interrupted)), Err);
                        }
                    }
                    NLMSG_DONE => return failure.map_or(Ok((messages, interrupted)), Err),
                    kind => messages.push(Message { kind, port: header.port, payload: payload.to_vec() }),
                }
            }
        }
    }
}

/// A socket for notifications.
pub(crate) struct Notifications {
    socket: Readable,
    buffer: Vec<u8>,
}

/// What came in one go.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// The messages, in order.
    pub(crate) messages: Vec<Message>,
    /// The kernel had to drop some: nothing that is known can be relied on.
    pub(crate) lost: bool,
}

impl Notifications {
    /// A socket of one netlink family that hears the groups of this bit mask. Must run inside a tokio runtime.
    pub(crate) fn open(family: isize, groups: u32) -> io::Result<Notifications> {
        let mut socket = Socket::new(family)?;
        socket.bind(&SocketAddr::new(0, groups))?;
        socket.set_non_blocking(true)?;
        // The kernel's own limit may be lower; then notifications are lost earlier, and a lost one is seen.
        let _ = set_socket_recv_buffer_size(socket.as_fd(), EVENT_BUFFER);
        let socket = socket.as_fd().try_clone_to_owned()?;
        Ok(Notifications { socket: Readable::new(socket)?, buffer: vec![0; BUFFER] })
    }

    /// Waits until something came. Cancel-safe: nothing is read here.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.socket.wait().await
    }

    /// Takes what has come, without waiting.
    pub(crate) fn take(&mut self) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..MAX_READS {
            match self.socket.read(&mut self.buffer) {
                Ok(length) => {
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    batch.messages.extend(Messages(bytes).map(|(header, payload)| Message {
                        kind: header.kind,
                        port: header.port,
                        payload: payload.to_vec(),
                    }));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // ENOBUFS, or whatever else stands between us and the notifications.
                Err(_) => batch.lost = true,
            }
        }
        batch
    }
}

/// Writes messages and attributes.
#[derive(Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// The finished bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A message with this body.
    pub(crate) fn message(&mut self, kind: u16, flags: u16, sequence: u32, body: impl FnOnce(&mut Writer)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(&flags.to_ne_bytes());
        self.bytes.extend_from_slice(&sequence.to_ne_bytes());
        self.bytes.extend_from_slice(&[0; 4]);
        body(self);
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        if let Some(field) = self.bytes.get_mut(start..start + 4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        self.pad();
    }

    /// Bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// An attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.framed(kind, |w| w.raw(value));
    }

    /// An attribute with a number in network byte order.
    pub(crate) fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// An attribute with text, ended by a zero byte.
    pub(crate) fn text(&mut self, kind: u16, value: &str) {
        self.framed(kind, |w| {
            w.raw(value.as_bytes());
            w.raw(&[0]);
        });
    }

    /// An attribute that holds attributes.
    pub(crate) fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Writer)) {
        self.framed(kind | NLA_F_NESTED, body);
    }

    fn framed(&mut self, kind: u16, body: impl FnOnce(&mut Writer)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        body(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        if let Some(field) = self.bytes.get_mut(start..start + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// Reads the attributes in a buffer as (type, value); stops at the first that does not fit.
pub(crate) struct Attributes<'a>(pub(crate) &'a [u8]);

impl<'a> Attributes<'a> {
    /// The value of the first attribute of this type.
    pub(crate) fn find(bytes: &'a [u8], kind: u16) -> Option<&'a [u8]> {
        Attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let length = usize::from(u16::from_ne_bytes(*self.0.first_chunk()?));
        let kind = u16::from_ne_bytes(*self.0.get(2..)?.first_chunk()?) & NLA_TYPE_MASK;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

struct Header {
    kind: u16,
    flags: u16,
    sequence: u32,
    port: u32,
}

struct Messages<'a>(&'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = (Header, &'a [u8]);

    fn next(&mut self) -> Option<(Header, &'a [u8])> {
        let length = usize::try_from(u32::from_ne_bytes(*self.0.first_chunk()?)).ok()?;
        let header = Header {
            kind: u16::from_ne_bytes(*self.0.get(4..)?.first_chunk()?),
            flags: u16::from_ne_bytes(*self.0.get(6..)?.first_chunk()?),
            sequence: u32::from_ne_bytes(*self.0.get(8..)?.first_chunk()?),
            port: u32::from_ne_bytes(*self.0.get(12..)?.first_chunk()?),
        };
        let payload = self.0.get(HEADER..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((header, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut writer = Writer::default();
        writer.message(7, 1, 42, |w| {
            w.text(1, "abc");
            w.nest(2, |w| w.number(3, 0x0102_0304));
        });
        let bytes = writer.into_bytes();
        let (header, payload) = Messages(&bytes).next().unwrap();
        assert_eq!((header.kind, header.sequence), (7, 42));
        let nested = Attributes::find(payload, 2).unwrap();
        assert_eq!(Attributes::find(payload, 1), Some(&b"abc\0"[..]));
        assert_eq!(Attributes::find(nested, 3), Some(&[1, 2, 3, 4][..]));
    }

    #[test]
    fn cut_off_bytes_end_the_reading() {
        let mut writer = Writer::default();
        writer.message(7, 0, 1, |w| w.text(1, "abcdef"));
        let bytes = writer.into_bytes();
        for length in 0..bytes.len() {
            assert!(Messages(&bytes[..length]).next().is_none());
        }
        assert!(Attributes(&[1, 0, 0, 0]).next().is_none(), "shorter than its own header");
    }
}
