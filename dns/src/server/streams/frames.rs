//! Messages with their length in front, as they are sent over TCP (RFC 1035, 4.2.2).

use crate::wire::MAX_MESSAGE;

/// What has come and is not yet answered. It holds no memory while nothing has.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    octets: Vec<u8>,
    /// Where the next message begins.
    at: usize,
}

impl Inbox {
    /// Appends what was received.
    pub(super) fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// The next message, if it is there as a whole.
    pub(super) fn peek(&self) -> Option<&[u8]> {
        let (len, rest) = self.octets.get(self.at..)?.split_first_chunk::<2>()?;
        rest.get(..usize::from(u16::from_be_bytes(*len)))
    }

    /// Goes on behind the next message.
    pub(super) fn advance(&mut self) {
        self.at += self.peek().map_or(0, |message| message.len() + 2);
        if self.at == self.octets.len() {
            *self = Self::default();
        } else if self.at > MAX_MESSAGE {
            self.octets.drain(..self.at);
            self.at = 0;
        }
    }

    /// Whether there is nothing, not even the beginning of a message.
    pub(super) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }
}

/// Appends a message that `write` appends, with its length in front; nothing when it appends nothing or too much.
pub(super) fn frame<T>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let begin = out.len();
    out.extend_from_slice(&[0, 0]);
    let result = write(out);
    match u16::try_from(out.len() - begin - 2) {
        Ok(len @ 1..) => out[begin..begin + 2].copy_from_slice(&len.to_be_bytes()),
        _ => out.truncate(begin),
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_in_any_pieces() {
        let mut out = Vec::new();
        for message in [&b"one"[..], b"", b"three"] {
            frame(&mut out, |out| out.extend_from_slice(message));
        }
        assert_eq!(out, b"\0\x03one\0\x05three");
        let (mut inbox, mut seen) = (Inbox::default(), Vec::new());
        for octet in out {
            inbox.push(&[octet]);
            while let Some(message) = inbox.peek() {
                seen.push(message.to_vec());
                inbox.advance();
            }
        }
        assert_eq!(seen, [b"one".to_vec(), b"three".to_vec()]);
        assert!(inbox.is_empty() && inbox.octets.capacity() == 0);
    }

    #[test]
    fn what_was_answered_is_not_kept() {
        let mut inbox = Inbox::default();
        let mut message = vec![0; MAX_MESSAGE + 2];
        message[..2].copy_from_slice(&[0xff, 0xff]);
        for _ in 0..10 {
            inbox.push(&message);
            inbox.push(&[0, 9]);
            inbox.advance();
            assert!(inbox.peek().is_none() && inbox.octets.len() == 2);
            inbox.push(&[0; 9]);
            inbox.advance();
        }
        assert!(inbox.is_empty());
    }
}
