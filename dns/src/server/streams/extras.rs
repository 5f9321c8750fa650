//! What a connection adds to the OPT record of an answer: how long it may stay open (RFC 7828), and padding that hides
//! the length of what is encrypted (RFC 7830, RFC 8467).

use std::time::Duration;

use super::Transport;
use crate::record::Rtype;
use crate::wire::{EdnsOption, MAX_MESSAGE, Message, Section};

/// Encrypted answers are padded to a multiple of this (RFC 8467, 4.1).
const BLOCK: usize = 468;

/// What is to be added to the answer of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extras {
    keepalive: Option<Duration>,
    is_padded: bool,
}

impl Extras {
    /// What the client asks for and the transport allows; the connection may be silent for so long.
    pub(super) fn of(request: &[u8], transport: Transport, patience: Duration) -> Self {
        let Some(edns) = Message::read(request).ok().and_then(|message| message.edns()) else { return Self::default() };
        let has_time = matches!(transport, Transport::Tcp | Transport::Tls);
        let keepalive = edns.option(EdnsOption::TCP_KEEPALIVE).filter(|_| has_time).map(|_| patience);
        Self { keepalive, is_padded: transport != Transport::Tcp && edns.option(EdnsOption::PADDING).is_some() }
    }

    /// Adds it to the message that begins at `begin` in `out`; nothing when that has no OPT record at its end, as a signed
    /// one has not, or no room.
    pub(super) fn add(self, out: &mut Vec<u8>, begin: usize) {
        if self == Self::default() {
            return;
        }
        let Some(opt) = opt_at_end(&out[begin..]).map(|at| begin + at) else { return };
        let mut options = Vec::new();
        if let Some(patience) = self.keepalive {
            let tenths = u16::try_from(patience.as_millis() / 100).unwrap_or(u16::MAX);
            push(&mut options, EdnsOption::TCP_KEEPALIVE, &tenths.to_be_bytes());
        }
        if self.is_padded {
            let len = out.len() - begin + options.len() + 4;
            push(&mut options, EdnsOption::PADDING, &[0; BLOCK][..len.next_multiple_of(BLOCK) - len]);
        }
        // The length of the data lies behind the name, the type, the class and the TTL.
        let place = opt + 9..opt + 11;
        let len = out.len() - place.end + options.len();
        if let (Ok(len), true) = (u16::try_from(len), out.len() - begin + options.len() <= MAX_MESSAGE) {
            out[place].copy_from_slice(&len.to_be_bytes());
            out.append(&mut options);
        }
    }
}

fn push(options: &mut Vec<u8>, code: u16, data: &[u8]) {
    options.extend_from_slice(&code.to_be_bytes());
    options.extend_from_slice(&(data.len() as u16).to_be_bytes());
    options.extend_from_slice(data);
}

/// Where the OPT record of a message begins, if it is the last record.
fn opt_at_end(message: &[u8]) -> Option<usize> {
    let last = Message::read(message).ok()?.records(Section::Additional).last()?;
    (last.rtype == Rtype::OPT).then(|| last.start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::NameRef;
    use crate::wire::{CLASS_IN, Edns, Flags, Header, Opcode, Question, Rcode, Writer};

    fn message(options: Option<&[EdnsOption<'_>]>) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header { id: 1, flags: Flags::of(Opcode::QUERY), counts: [0; 4] };
        let mut writer = Writer::new(&mut out, MAX_MESSAGE, header);
        let (name, _) = NameRef::read(b"\x04test\0").expect("a name");
        writer.question(Question { name, rtype: Rtype::A, class: CLASS_IN }).expect("room");
        if let Some(options) = options {
            writer.opt(&Edns::new(1232, false), Rcode::NOERROR, options).expect("room");
        }
        out
    }

    #[test]
    fn what_was_asked_for_is_added() {
        let option = |code| EdnsOption { code, data: &[] };
        let (keepalive, padding) = (option(EdnsOption::TCP_KEEPALIVE), option(EdnsOption::PADDING));
        let patience = Duration::from_millis(12_345);
        for (asked, transport, time, is_padded) in [
            (None, Transport::Tls, false, false),
            (Some(vec![]), Transport::Tls, false, false),
            (Some(vec![keepalive, padding]), Transport::Tcp, true, false),
            (Some(vec![keepalive, padding]), Transport::Tls, true, true),
            (Some(vec![keepalive, padding]), Transport::Quic, false, true),
            (Some(vec![padding]), Transport::Https, false, true),
        ] {
            let extras = Extras::of(&message(asked.as_deref()), transport, patience);
            let cookie = EdnsOption { code: EdnsOption::COOKIE, data: b"12345678" };
            let mut out = [b"before".to_vec(), message(Some(&[cookie]))].concat();
            extras.add(&mut out, 6);
            let answer = Message::read(&out[6..]).expect("a message");
            let edns = answer.edns().expect("an OPT record");
            assert_eq!(edns.option(EdnsOption::TCP_KEEPALIVE), time.then_some(&[0, 123][..]));
            assert_eq!(edns.option(EdnsOption::PADDING).is_some(), is_padded);
            assert_eq!((out.len() - 6).is_multiple_of(BLOCK), is_padded);
            assert!(edns.option(EdnsOption::COOKIE).is_some());
        }
    }

    #[test]
    fn an_answer_without_opt_or_without_room_stays_as_it_is() {
        let extras = Extras { keepalive: Some(Duration::ZERO), is_padded: true };
        let plain = message(None);
        let full = message(Some(&[EdnsOption { code: 65_001, data: &[0; MAX_MESSAGE - 40] }]));
        for before in [plain, full, b"short".to_vec()] {
            let mut out = before.clone();
            extras.add(&mut out, 0);
            assert_eq!(out, before);
        }
    }
}
