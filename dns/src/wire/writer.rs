//! Writing messages.

use super::names::skip;
use super::{Edns, EdnsOption, Flags, HEADER_LEN, Header, Message, NameBuffer, Question, Rcode, Section};
use crate::name::NameRef;
use crate::rdata::{Compression, Piece, is_compressible, pieces};
use crate::record::{IN, OWNER, Record, RecordSet, Rtype};

/// Names, and ends of names, that later ones may point to. The first of a message are the question's and the apex's, which
/// are worth most; beyond this many, names are written out as far as none of these fits.
const MAX_KNOWN: usize = 64;
/// Pointers have 14 bits.
const MAX_POINTER: usize = 0x3fff;

/// A message being written at the end of a buffer.
///
/// The header's counts are right at any time, so a message may end after any call. A call that answers [`Full`] has
/// changed nothing.
#[derive(Debug)]
pub struct Writer<'b> {
    out: &'b mut Vec<u8>,
    start: usize,
    limit: usize,
    /// Where what the last call appended begins.
    last: usize,
    known: Known,
}

/// It does not fit into what is left of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is full")]
pub struct Full;

/// Where names are in the message that is written.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Where it begins, and its length when it is written out.
    names: [(u16, u8); MAX_KNOWN],
    count: usize,
}

impl<'b> Writer<'b> {
    /// Begins a message of at most `limit` octets after what `out` holds; the header's counts are not looked at.
    pub fn new(out: &'b mut Vec<u8>, limit: usize, header: Header) -> Self {
        let start = out.len();
        out.extend_from_slice(&Header { counts: [0; 4], ..header }.write());
        Self { out, start, limit, last: HEADER_LEN, known: Known { names: [(0, 0); MAX_KNOWN], count: 0 } }
    }

    /// Begins the answer to `query`: its number, kind, RD, CD and question, in the case it was asked in.
    pub fn reply(out: &'b mut Vec<u8>, limit: usize, query: &Message<'_>) -> Self {
        let header = Header { id: query.header().id, flags: query.flags().reply(), counts: [0; 4] };
        let mut writer = Self::new(out, limit, header);
        if query.question().is_some() {
            writer.out.extend_from_slice(query.question_octets());
            writer.count(0);
        }
        writer
    }

    /// Asks a question; it comes before anything else.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn question(&mut self, question: Question<'_>) -> Result<(), Full> {
        self.attempt(|writer| {
            writer.out.extend_from_slice(question.name.wire());
            writer.number(question.rtype.0);
            writer.number(question.class);
            writer.count(0);
        })
    }

    /// Appends a set whose owner is the question's name.
    ///
    /// # Errors
    /// When there is no room for all of it.
    pub fn answer(&mut self, section: Section, set: &RecordSet) -> Result<(), Full> {
        if is_compressible(set.rtype()) {
            return self.attempt(|writer| writer.records(section, set, |writer| writer.out.extend_from_slice(&OWNER)));
        }
        if self.len() + set.answer().len() > self.limit {
            return Err(Full);
        }
        self.last = self.len();
        self.out.extend_from_slice(set.answer());
        self.add_count(section as usize + 1, set.count());
        Ok(())
    }

    /// Appends a set with `owner`.
    ///
    /// # Errors
    /// When there is no room for all of it.
    pub fn set(&mut self, section: Section, owner: NameRef<'_>, set: &RecordSet) -> Result<(), Full> {
        self.attempt(|writer| writer.records(section, set, |writer| writer.owner(owner)))
    }

    /// Appends a record of class IN.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn record(&mut self, section: Section, record: &Record) -> Result<(), Full> {
        self.raw(section, record.name.as_ref(), (record.rtype, IN, record.ttl), &record.rdata)
    }

    /// Appends a record of any type, class and TTL; `rdata` is as it is stored.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn raw(
        &mut self,
        section: Section,
        owner: NameRef<'_>,
        (rtype, class, ttl): (Rtype, u16, u32),
        rdata: &[u8],
    ) -> Result<(), Full> {
        self.attempt(|writer| {
            writer.owner(owner);
            writer.number(rtype.0);
            writer.number(class);
            writer.out.extend_from_slice(&ttl.to_be_bytes());
            writer.data(rtype, rdata);
            writer.count(section as usize + 1);
        })
    }

    /// Appends an OPT record with these options, and sets the result of the message, which it carries the upper bits of.
    ///
    /// # Errors
    /// When there is no room for it.
    pub fn opt(&mut self, edns: &Edns<'_>, rcode: Rcode, options: &[EdnsOption<'_>]) -> Result<(), Full> {
        self.attempt(|writer| {
            writer.out.push(0);
            writer.number(Rtype::OPT.0);
            writer.number(edns.udp_size);
            let flags = if edns.dnssec_ok { 0x80 } else { 0 };
            writer.out.extend_from_slice(&[(rcode.0 >> 4) as u8, edns.version, flags, 0]);
            let len: usize = options.iter().map(|option| 4 + option.data.len()).sum();
            writer.number(len as u16);
            for option in options {
                writer.number(option.code);
                writer.number(option.data.len() as u16);
                writer.out.extend_from_slice(option.data);
            }
            writer.count(Section::Additional as usize + 1);
        })?;
        self.set_flags(self.flags().with_rcode(rcode));
        Ok(())
    }

    /// The flags so far.
    pub fn flags(&self) -> Flags {
        Flags(u16::from_be_bytes([self.out[self.start + 2], self.out[self.start + 3]]))
    }

    /// Puts other flags in their place.
    pub fn set_flags(&mut self, flags: Flags) {
        self.out[self.start + 2..self.start + 4].copy_from_slice(&flags.0.to_be_bytes());
    }

    /// The octets so far.
    pub fn len(&self) -> usize {
        self.out.len() - self.start
    }

    /// Whether nothing but a header has been written.
    pub fn is_empty(&self) -> bool {
        self.len() == HEADER_LEN
    }

    /// Whether a record of this owner and type is in the answer section. It walks what is written: not for every answer.
    pub fn has_answer(&self, owner: NameRef<'_>, rtype: Rtype) -> bool {
        let Ok(message) = Message::read(&self.out[self.start..]) else { return false };
        let mut buffer = NameBuffer::new();
        let mut records = message.records(Section::Answer).filter(|record| record.rtype == rtype);
        records.any(|record| record.name_in(&mut buffer).is_ok_and(|name| name == owner))
    }

    /// Lowers the TTL of the records appended by the last call to `ttl`, where it is higher.
    pub fn cap_ttl(&mut self, ttl: u32) {
        let mut at = self.last;
        while let Ok(fixed) = skip(&self.out[self.start..], at) {
            let fixed = self.start + fixed;
            let Some([_, _, _, _, t1, t2, t3, t4, d1, d2]) = self.out.get_mut(fixed..fixed + 10) else { return };
            let lower = u32::from_be_bytes([*t1, *t2, *t3, *t4]).min(ttl);
            let len = usize::from(u16::from_be_bytes([*d1, *d2]));
            [*t1, *t2, *t3, *t4] = lower.to_be_bytes();
            at = fixed + 10 + len - self.start;
        }
    }

    /// Takes back everything but header and question.
    pub fn clear_records(&mut self) {
        let message = Message::read(&self.out[self.start..]);
        let end = HEADER_LEN + message.map_or(0, |message| message.question_octets().len());
        self.out.truncate(self.start + end);
        self.out[self.start + 6..self.start + HEADER_LEN].fill(0);
        self.known.count = 0;
    }

    /// Allows the message to be longer or less long from now on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Does all of `write`, or nothing when that makes the message too long.
    fn attempt(&mut self, write: impl FnOnce(&mut Self)) -> Result<(), Full> {
        let (len, known, header) = (self.out.len(), self.known.count, self.header());
        self.last = self.len();
        write(self);
        if self.len() <= self.limit {
            return Ok(());
        }
        self.out.truncate(len);
        self.known.count = known;
        self.out[self.start..self.start + HEADER_LEN].copy_from_slice(&header);
        Err(Full)
    }

    fn header(&self) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header.copy_from_slice(&self.out[self.start..self.start + HEADER_LEN]);
        header
    }

    fn records(&mut self, section: Section, set: &RecordSet, mut owner: impl FnMut(&mut Self)) {
        let fixed = &set.answer()[OWNER.len()..OWNER.len() + 8];
        for rdata in set.rdata() {
            owner(self);
            self.out.extend_from_slice(fixed);
            self.data(set.rtype(), rdata);
        }
        self.add_count(section as usize + 1, set.count());
    }

    /// The length of data, and the data, its names compressed where that is allowed.
    fn data(&mut self, rtype: Rtype, rdata: &[u8]) {
        if !is_compressible(rtype) {
            self.number(rdata.len() as u16);
            return self.out.extend_from_slice(rdata);
        }
        let at = self.out.len();
        self.number(0);
        for piece in pieces(rtype, rdata) {
            match piece {
                Piece::Name(name, Compression::Sent) => self.name(name),
                Piece::Name(name, _) => self.out.extend_from_slice(name.wire()),
                Piece::Octets(octets) => self.out.extend_from_slice(octets),
            }
        }
        let len = (self.out.len() - at - 2) as u16;
        self.out[at..at + 2].copy_from_slice(&len.to_be_bytes());
    }

    /// An owner's name. Within the question's name it is a pointer, whatever the case.
    fn owner(&mut self, owner: NameRef<'_>) {
        let asked = self.out.get(self.start + HEADER_LEN..).and_then(|octets| NameRef::read(octets).ok());
        let front = asked.filter(|_| self.has_question()).and_then(|(name, _)| name.strip(owner));
        match front.map(|front| (HEADER_LEN + front.len()) as u16) {
            Some(at) if !owner.is_root() => self.number(0xc000 | at),
            _ => self.name(owner),
        }
    }

    /// A name, of which the end that is in the message already, in the same case, becomes a pointer.
    fn name(&mut self, name: NameRef<'_>) {
        if self.known.count == 0 && self.has_question() {
            self.learn_question();
        }
        let mut rest = name;
        while !rest.is_root() {
            if let Some(at) = self.find(rest) {
                return self.number(0xc000 | at);
            }
            self.known.push(self.len(), rest);
            let Some(parent) = rest.parent() else { break };
            let label = rest.wire().len() - parent.wire().len();
            self.out.extend_from_slice(&rest.wire()[..label]);
            rest = parent;
        }
        self.out.push(0);
    }

    fn learn_question(&mut self) {
        let Ok((mut name, _)) = NameRef::read(&self.out[self.start + HEADER_LEN..]) else { return };
        let len = name.wire().len();
        while !name.is_root() {
            self.known.push(HEADER_LEN + len - name.wire().len(), name);
            let Some(parent) = name.parent() else { return };
            name = parent;
        }
    }

    fn has_question(&self) -> bool {
        self.out[self.start + 4..self.start + 6] != [0, 0]
    }

    /// Where the message has this name already.
    fn find(&self, name: NameRef<'_>) -> Option<u16> {
        let known = &self.known.names[..self.known.count];
        let same = |at: u16| self.is_at(name, usize::from(at));
        known.iter().find(|(at, len)| usize::from(*len) == name.wire().len() && same(*at)).map(|(at, _)| *at)
    }

    /// Whether the name at `at`, which this writer wrote, is `name`.
    fn is_at(&self, name: NameRef<'_>, mut at: usize) -> bool {
        let message = &self.out[self.start..];
        let mut rest = name.wire();
        while let Some((&len, _)) = rest.split_first() {
            while let Some(&[high @ 0xc0..=0xff, low]) = message.get(at..at + 2) {
                at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
            }
            let (label, after) = rest.split_at(1 + usize::from(len));
            if message.get(at..at + label.len()) != Some(label) {
                return false;
            }
            at += label.len();
            rest = after;
        }
        true
    }

    fn number(&mut self, number: u16) {
        self.out.extend_from_slice(&number.to_be_bytes());
    }

    fn count(&mut self, index: usize) {
        self.add_count(index, 1);
    }

    fn add_count(&mut self, index: usize, more: u16) {
        let place = &mut self.out[self.start + 4 + 2 * index..self.start + 6 + 2 * index];
        let count = u16::from_be_bytes([place[0], place[1]]).saturating_add(more);
        place.copy_from_slice(&count.to_be_bytes());
    }
}

impl Known {
    fn push(&mut self, at: usize, name: NameRef<'_>) {
        if let Some(place) = self.names.get_mut(self.count).filter(|_| at <= MAX_POINTER) {
            *place = (at as u16, name.wire().len() as u8);
            self.count += 1;
        }
    }
}
