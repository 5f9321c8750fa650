//! The view of a message.

use super::names::{owned, skip};
use super::{Edns, Flags, HEADER_LEN, Header, NameBuffer, WireError};
use crate::name::{Name, NameRef};
use crate::rdata::{Compression, Field, layout};
use crate::record::{MAX_TTL, Record, Rtype};

/// A well-formed message; its octets are borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    octets: &'a [u8],
    header: Header,
    question: Option<Question<'a>>,
    /// Where the answer, authority and additional section begin.
    starts: [usize; 3],
    edns: Option<Edns<'a>>,
    signature: Option<(SignatureKind, usize)>,
}

/// What is asked; of an update, the zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name, as it was written.
    pub name: NameRef<'a>,
    /// The type of the records, or a query type.
    pub rtype: Rtype,
    /// The class.
    pub class: u16,
}

/// The sections with records. Of an update: prerequisites, updates, additional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// The records asked for.
    Answer = 0,
    /// Who is responsible.
    Authority = 1,
    /// What will be asked next, OPT and signatures.
    Additional = 2,
}

/// How a message is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKind {
    /// With a shared secret (RFC 8945).
    Tsig,
    /// With a private key (RFC 2931).
    Sig0,
}

/// A record where it lies in a message.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    message: &'a [u8],
    start: usize,
    data: usize,
    /// The type.
    pub rtype: Rtype,
    /// The class.
    pub class: u16,
    /// The TTL as written.
    pub ttl: u32,
    raw: &'a [u8],
}

impl<'a> Message<'a> {
    /// Reads a message to its end.
    ///
    /// Every record is where it should be, the question's name is plain, OPT and signature are in their places. Names and
    /// data of records are not looked into: that is done by [`RawRecord`].
    ///
    /// # Errors
    /// When anything is malformed: the answer to that is FORMERR, except to [`WireError::NoHeader`].
    pub fn read(octets: &'a [u8]) -> Result<Self, WireError> {
        let header = Header::read(octets).ok_or(WireError::NoHeader)?;
        let (question, mut at) = match header.counts[0] {
            0 => (None, HEADER_LEN),
            1 => Question::read(octets).map(|(question, at)| (Some(question), at))?,
            _ => return Err(WireError::Questions),
        };
        let mut message = Self { octets, header, question, starts: [at; 3], edns: None, signature: None };
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            message.starts[section as usize] = at;
            let count = header.counts[section as usize + 1];
            for left in (0..count).rev() {
                let record = RawRecord::read(octets, at)?;
                message.note(&record, section == Section::Additional, left == 0)?;
                at = record.end();
            }
        }
        if at == octets.len() { Ok(message) } else { Err(WireError::Trailing) }
    }

    /// Keeps what is said about the message itself.
    fn note(&mut self, record: &RawRecord<'a>, is_additional: bool, is_last: bool) -> Result<(), WireError> {
        match record.rtype {
            Rtype::OPT => {
                let is_named = self.octets[record.start] != 0;
                if !is_additional || is_named || self.edns.is_some() {
                    return Err(WireError::Opt);
                }
                self.edns = Some(Edns::read(record.class, record.ttl, record.raw)?);
            }
            Rtype::TSIG => self.sign(SignatureKind::Tsig, record, is_additional && is_last)?,
            Rtype::SIG if is_additional && record.raw.starts_with(&[0, 0]) => {
                self.sign(SignatureKind::Sig0, record, is_last)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn sign(&mut self, kind: SignatureKind, record: &RawRecord<'a>, is_in_place: bool) -> Result<(), WireError> {
        if !is_in_place {
            return Err(WireError::Signature);
        }
        self.signature = Some((kind, record.start));
        Ok(())
    }

    /// All of it.
    pub fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// The header.
    pub fn header(&self) -> Header {
        self.header
    }

    /// The header's flags.
    pub fn flags(&self) -> Flags {
        self.header.flags
    }

    /// The question. Nothing in a message that asks none, such as a later one of a transfer.
    pub fn question(&self) -> Option<Question<'a>> {
        self.question
    }

    /// The octets of the question: name, type and class. Empty without one.
    pub fn question_octets(&self) -> &'a [u8] {
        &self.octets[HEADER_LEN..self.starts[0]]
    }

    /// The records of a section, OPT and signature included.
    pub fn records(&self, section: Section) -> Records<'a> {
        let index = section as usize;
        Records { message: self.octets, at: self.starts[index], left: self.header.counts[index + 1] }
    }

    /// The OPT record.
    pub fn edns(&self) -> Option<Edns<'a>> {
        self.edns
    }

    /// The TSIG or SIG(0) record, which is the last of all: the message without it ends where it starts.
    pub fn signature(&self) -> Option<(SignatureKind, RawRecord<'a>)> {
        let (kind, at) = self.signature?;
        Some((kind, RawRecord::read(self.octets, at).ok()?))
    }
}

impl<'a> Question<'a> {
    /// The question of a message and where it ends. Nothing is before it, so its name has nothing to point to.
    pub(super) fn read(octets: &'a [u8]) -> Result<(Self, usize), WireError> {
        let rest = octets.get(HEADER_LEN..).ok_or(WireError::CutOff)?;
        let (name, rest) = NameRef::read(rest).map_err(|_| WireError::Name)?;
        let (&[t1, t2, c1, c2], rest) = rest.split_first_chunk::<4>().ok_or(WireError::CutOff)?;
        let (rtype, class) = (Rtype(u16::from_be_bytes([t1, t2])), u16::from_be_bytes([c1, c2]));
        Ok((Self { name, rtype, class }, octets.len() - rest.len()))
    }
}

impl<'a> RawRecord<'a> {
    /// The record at `start`.
    fn read(message: &'a [u8], start: usize) -> Result<Self, WireError> {
        let fixed = skip(message, start)?;
        let rest = message.get(fixed..).ok_or(WireError::CutOff)?;
        let (&[t1, t2, c1, c2, l1, l2, l3, l4, d1, d2], rest) =
            rest.split_first_chunk::<10>().ok_or(WireError::CutOff)?;
        let raw = rest.get(..usize::from(u16::from_be_bytes([d1, d2]))).ok_or(WireError::CutOff)?;
        Ok(Self {
            message,
            start,
            data: fixed + 10,
            rtype: Rtype(u16::from_be_bytes([t1, t2])),
            class: u16::from_be_bytes([c1, c2]),
            ttl: u32::from_be_bytes([l1, l2, l3, l4]),
            raw,
        })
    }

    /// Where it starts in the message.
    pub fn start(&self) -> usize {
        self.start
    }

    /// Where the message goes on after it.
    pub fn end(&self) -> usize {
        self.data + self.raw.len()
    }

    /// Whose it is.
    ///
    /// # Errors
    /// When the name is malformed.
    pub fn name(&self) -> Result<Name, WireError> {
        owned(self.message, self.start)
    }

    /// The same, written into `buffer`.
    ///
    /// # Errors
    /// When the name is malformed.
    pub fn name_in<'b>(&self, buffer: &'b mut NameBuffer) -> Result<NameRef<'b>, WireError> {
        buffer.read(self.message, self.start).map(|(name, _)| name)
    }

    /// The data as it lies in the message, its names perhaps compressed.
    pub fn raw_rdata(&self) -> &'a [u8] {
        self.raw
    }

    /// The data as it is stored: names plain, every length right.
    ///
    /// # Errors
    /// When it is not the data of a record of this type.
    pub fn rdata(&self) -> Result<Box<[u8]>, WireError> {
        let mut stored = Vec::with_capacity(self.raw.len());
        self.rdata_into(&mut stored)?;
        Ok(stored.into())
    }

    /// Appends the data as it is stored.
    ///
    /// # Errors
    /// As [`Self::rdata`]; what was appended until then is of no use.
    pub fn rdata_into(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let (mut at, begin) = (self.data, out.len());
        let mut buffer = NameBuffer::new();
        for field in layout(self.rtype) {
            if let Field::Name(Compression::Sent | Compression::Received) = field {
                // The name may end within this record's data only, though a pointer leads out of it.
                let (name, next) = buffer.read(&self.message[..self.end()], at)?;
                out.extend_from_slice(name.wire());
                at = next;
            } else {
                let rest = &self.message[at..self.end()];
                let len = field.len_in(rest).ok_or(WireError::Data)?;
                out.extend_from_slice(&rest[..len]);
                at += len;
            }
        }
        let fits = at == self.end() && out.len() - begin <= usize::from(u16::MAX);
        if fits { Ok(()) } else { Err(WireError::Data) }
    }

    /// An owned record, whatever the class. A TTL that is too great is zero (RFC 2181, 8).
    ///
    /// # Errors
    /// When name or data are malformed.
    pub fn record(&self) -> Result<Record, WireError> {
        let ttl = if self.ttl > MAX_TTL { 0 } else { self.ttl };
        Ok(Record { name: self.name()?, rtype: self.rtype, ttl, rdata: self.rdata()? })
    }
}

/// The records of a section.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    message: &'a [u8],
    at: usize,
    left: u16,
}

impl<'a> Iterator for Records<'a> {
    type Item = RawRecord<'a>;

    fn next(&mut self) -> Option<RawRecord<'a>> {
        self.left = self.left.checked_sub(1)?;
        let record = RawRecord::read(self.message, self.at).ok()?;
        self.at = record.end();
        Some(record)
    }
}
