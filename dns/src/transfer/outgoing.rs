//! Transfers out: what a secondary gets, message by message.

use std::iter;
use std::sync::Arc;

use super::messages::{serial_in, soa_record};
use crate::name::Name;
use crate::record::{Record, Rtype};
use crate::wire::{CLASS_IN, Flags, Full, Header, MAX_MESSAGE, Message, Question, Rcode, Section, Writer};
use crate::zone::{Change, Node, Serial, Zone};

/// The longest message of a transfer, its signature included, unless one record alone is longer. Names are compressed by
/// pointers into the first 16 KiB of a message, so longer ones gain nothing.
pub const MAX_TRANSFER_MESSAGE: usize = 16 * 1024;

/// What a secondary asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The zone.
    pub apex: Name,
    /// The version that it has, when it asks for changes (IXFR); nothing for the whole zone (AXFR).
    pub have: Option<Serial>,
}

/// What it gets.
#[derive(Clone, Debug)]
pub enum Content {
    /// The SOA record alone: what it has is the newest, or what it lacks does not fit the datagram that it asked by
    /// (RFC 1995, 4).
    Newest,
    /// Everything.
    Whole,
    /// What has changed, one difference after the other.
    Changes(Vec<Arc<Change>>),
}

/// The messages of a transfer.
pub struct Outgoing<'z> {
    header: Header,
    /// Asked in the first message (RFC 5936, 2.2.1).
    question: Option<(Name, Rtype)>,
    records: Box<dyn Iterator<Item = Record> + Send + 'z>,
    /// What the message before had no room for.
    next: Option<Record>,
}

impl Asked {
    /// Reads a query for AXFR or IXFR.
    ///
    /// # Errors
    /// FORMERR when it is none, of another class, or an IXFR query without the SOA record that says what it has.
    pub fn read(query: &Message<'_>) -> Result<Self, Rcode> {
        let question = query.question().filter(|asked| asked.class == CLASS_IN).ok_or(Rcode::FORMERR)?;
        let apex = question.name.to_owned();
        match question.rtype {
            Rtype::AXFR => Ok(Self { apex, have: None }),
            Rtype::IXFR => {
                let have = serial_in(query, Section::Authority, &apex).ok_or(Rcode::FORMERR)?;
                Ok(Self { apex, have: Some(have) })
            }
            _ => Err(Rcode::FORMERR),
        }
    }
}

impl Content {
    /// What answers a query. `history` are the changes from the version asked about to the one of `zone`, if they are all
    /// known; more records than the zone has are not sent for changes.
    pub fn choose(zone: &Zone, asked: &Asked, history: Option<Vec<Arc<Change>>>) -> Self {
        let Some(have) = asked.have else { return Self::Whole };
        if !zone.serial().is_newer_than(have) {
            return Self::Newest;
        }
        let Some(changes) = history.filter(|changes| is_chain(changes, have, zone.serial())) else {
            return Self::Whole;
        };
        let count = changes.iter().map(|change| change.removed.len() + change.added.len()).sum();
        if has_fewer(zone, count) { Self::Whole } else { Self::Changes(changes) }
    }

    /// What it is called in a log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Newest => "nothing newer",
            Self::Whole => "whole",
            Self::Changes(_) => "changes",
        }
    }
}

impl<'z> Outgoing<'z> {
    /// Begins the answer to `query`, which was permitted; nothing for a zone without SOA, which there is none.
    pub fn new(query: &Message<'_>, zone: &'z Zone, content: Content) -> Option<Self> {
        let soa = soa_record(zone)?;
        let question = query.question().map(|asked| (asked.name.to_owned(), asked.rtype));
        let flags = query.flags().reply().with(Flags::AUTHORITATIVE);
        let (first, last) = (iter::once(soa.clone()), iter::once(soa));
        let records: Box<dyn Iterator<Item = Record> + Send + 'z> = match content {
            Content::Newest => Box::new(first),
            // The SOA record is the first of all.
            Content::Whole => Box::new(first.chain(zone.records().skip(1)).chain(last)),
            Content::Changes(changes) => {
                let each = changes.into_iter().flat_map(|change| {
                    let (removed, added) = (change.removed.len(), change.added.len());
                    let (from, to) = (Arc::clone(&change), change);
                    let removed = (0..removed).map(move |index| from.removed[index].clone());
                    removed.chain((0..added).map(move |index| to.added[index].clone()))
                });
                Box::new(first.chain(each).chain(last))
            }
        };
        let header = Header { id: query.header().id, flags, counts: [0; 4] };
        Some(Self { header, question, records, next: None })
    }

    /// Appends the next message, with `room` octets left free for a signature; whether there was one.
    ///
    /// # Errors
    /// When a record fits no message: the transfer cannot be finished.
    pub fn write(&mut self, out: &mut Vec<u8>, room: usize) -> Result<bool, Full> {
        self.fill(out, MAX_TRANSFER_MESSAGE.saturating_sub(room), MAX_MESSAGE.saturating_sub(room))
    }

    /// Appends all of it as one datagram of at most `limit` octets; nothing is appended when it is longer, and
    /// [`Content::Newest`] is to be sent.
    ///
    /// # Errors
    /// When it is longer.
    pub fn write_datagram(mut self, out: &mut Vec<u8>, limit: usize) -> Result<(), Full> {
        let begin = out.len();
        self.fill(out, limit, limit)?;
        if self.next.is_none() && self.records.next().is_none() {
            return Ok(());
        }
        out.truncate(begin);
        Err(Full)
    }

    /// A message of `usual` octets at most, or of `most` when its only record needs them.
    fn fill(&mut self, out: &mut Vec<u8>, usual: usize, most: usize) -> Result<bool, Full> {
        let Some(mut record) = self.next.take().or_else(|| self.records.next()) else { return Ok(false) };
        let begin = out.len();
        let mut writer = Writer::new(out, usual, self.header);
        if let Some((name, rtype)) = self.question.take() {
            writer.question(Question { name: name.as_ref(), rtype, class: CLASS_IN })?;
        }
        let mut is_alone = true;
        loop {
            match writer.record(Section::Answer, &record) {
                Ok(()) => {}
                Err(Full) if !is_alone => {
                    self.next = Some(record);
                    return Ok(true);
                }
                Err(Full) => {
                    writer.set_limit(most);
                    let written = writer.record(Section::Answer, &record);
                    writer.set_limit(usual);
                    if let Err(full) = written {
                        out.truncate(begin);
                        return Err(full);
                    }
                }
            }
            is_alone = false;
            match self.records.next() {
                Some(next) => record = next,
                None => return Ok(true),
            }
        }
    }
}

impl std::fmt::Debug for Outgoing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outgoing({:?})", self.header)
    }
}

/// Whether each change begins where the one before ended, the first at `from` and the last at `to`.
fn is_chain(changes: &[Arc<Change>], from: Serial, to: Serial) -> bool {
    let end = changes.iter().try_fold(from, |at, change| change.to().filter(|_| change.from() == Some(at)));
    !changes.is_empty() && end == Some(to)
}

/// Whether the zone has fewer than `count` records. Looks at as many names only as it takes to know.
fn has_fewer(zone: &Zone, count: usize) -> bool {
    let records = |node: &Node| -> usize { node.entries().iter().map(|entry| usize::from(entry.set.count())).sum() };
    let mut total = 0;
    !zone.nodes().any(|node| {
        total += records(node);
        total >= count
    })
}
