//! Transfers in: messages of a primary that may be wrong, slow or hostile, read into a zone or into changes.
//!
//! ```text
//!            SOA                  other record            SOA as the first
//!   Begin ---------> Opened ----------------------> Whole ----------------> done: the zone
//!                    |    |                            ^ other records
//!                    |    | SOA of the version we have
//!                    |    +------------> Removing -- SOA --> Adding -- SOA as the first --> done: the changes
//!                    |                      ^ other records     | ^ other records
//!                    | end of message       +------- SOA -------+
//!                    +--> done: nothing new
//! ```

use crate::name::Name;
use crate::rdata::is_same;
use crate::record::{Record, Rtype};
use crate::wire::{CLASS_IN, Message, RawRecord, Rcode, Section, WireError};
use crate::zone::{Change, Edit, Serial, Soa, Zone, ZoneError};

/// The most octets of a transfer, as they lie in memory: far more than any zone served from there, and an end to a primary
/// that never stops.
pub const MAX_TRANSFER: usize = 1 << 30;
/// The octets in memory that a record costs besides its owner and its data.
const RECORD_COST: usize = 64;

/// A transfer being read.
#[derive(Debug)]
pub struct Incoming {
    apex: Name,
    /// AXFR or IXFR.
    asked: Rtype,
    /// The version that changes are asked from; nothing when the whole zone is, or when it has moved on to the changes.
    have: Option<Zone>,
    octets: usize,
    state: State,
}

/// How far a transfer is.
#[derive(Debug)]
pub enum Progress {
    /// More messages follow.
    More,
    /// That was the last.
    Done(Received),
}

/// What a transfer brought.
#[derive(Debug)]
pub enum Received {
    /// The primary has nothing newer. What it has is this.
    Current(Serial),
    /// The whole zone.
    Whole(Zone),
    /// The changes from the version that was there, none of them empty, and the zone after them.
    Changes(Vec<Change>, Zone),
}

/// Why a transfer is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// The primary does not give it.
    #[error("the primary answers {0}")]
    Refused(Rcode),
    /// A record that is malformed.
    #[error("a record is malformed")]
    Wire(#[from] WireError),
    /// Not an answer to what was asked.
    #[error("the answer is to another question")]
    OtherQuestion,
    /// A record of another class than IN.
    #[error("a record of {0} is of another class")]
    Class(Name),
    /// The first record is not the zone's SOA.
    #[error("the transfer does not begin with the SOA record of {0}")]
    NoSoa(Name),
    /// A message without records.
    #[error("a message of the transfer is empty")]
    Empty,
    /// Changes that do not begin with the version they were asked from, do not follow each other or go back.
    #[error("a difference leads from {from} to {to}, after {at}")]
    Order {
        /// Where the changes before led.
        at: Serial,
        /// Where this one begins.
        from: Serial,
        /// Where it leads.
        to: Serial,
    },
    /// Records after the SOA record that ends it.
    #[error("something follows the end of the transfer")]
    Trailing,
    /// A record that the zone cannot have, or a change that does not fit it.
    #[error("the records are no zone")]
    Zone(#[from] ZoneError),
    /// More than `MAX_TRANSFER` octets.
    #[error("the transfer is too long")]
    TooLong,
    /// The messages ended before the transfer did.
    #[error("the transfer is not complete")]
    Incomplete,
}

#[derive(Debug)]
enum State {
    Begin,
    /// The newest SOA record came, and nothing else.
    Opened(Record, Serial),
    /// The records of the whole zone.
    Whole(Record, Box<Edit>),
    /// A difference whose removed records come.
    Removing(Differences, Change),
    /// A difference whose added records come.
    Adding(Differences, Change),
    Done,
}

/// The differences that are complete.
#[derive(Debug)]
struct Differences {
    /// What ends the transfer.
    newest: Record,
    changes: Vec<Change>,
    /// The zone after them.
    zone: Zone,
}

impl Incoming {
    /// Reads the whole zone.
    pub fn whole(apex: Name) -> Self {
        Self { apex, asked: Rtype::AXFR, have: None, octets: 0, state: State::Begin }
    }

    /// Reads what follows `have`, in whichever form the primary sends it.
    pub fn since(have: Zone) -> Self {
        Self { apex: have.apex().clone(), asked: Rtype::IXFR, have: Some(have), octets: 0, state: State::Begin }
    }

    /// Reads the next message, whose id and signature are right. It came over TCP.
    ///
    /// # Errors
    /// Why the transfer is of no use; nothing more is to be read then.
    pub fn read(&mut self, message: &Message<'_>) -> Result<Progress, TransferError> {
        if message.flags().rcode() != Rcode::NOERROR {
            return Err(TransferError::Refused(message.flags().rcode()));
        }
        let is_other = |name, rtype| self.apex.as_ref() != name || rtype != self.asked;
        if message.question().is_some_and(|asked| is_other(asked.name, asked.rtype)) {
            return Err(TransferError::OtherQuestion);
        }
        if message.header().counts[1] == 0 {
            return Err(TransferError::Empty);
        }
        let mut done = None;
        for raw in message.records(Section::Answer) {
            if done.is_some() {
                return Err(TransferError::Trailing);
            }
            done = self.take(owned(&raw)?)?;
        }
        let done = done.or_else(|| self.alone());
        if done.is_some() {
            self.state = State::Done;
        }
        Ok(done.map_or(Progress::More, Progress::Done))
    }

    /// What a message means that ended after one SOA record; nothing when more is to come.
    fn alone(&self) -> Option<Received> {
        let (State::Opened(_, newest), Some(have)) = (&self.state, &self.have) else { return None };
        (!newest.is_newer_than(have.serial())).then_some(Received::Current(*newest))
    }

    fn take(&mut self, record: Record) -> Result<Option<Received>, TransferError> {
        self.octets += RECORD_COST + record.name.as_ref().wire().len() + record.rdata.len();
        if self.octets > MAX_TRANSFER {
            return Err(TransferError::TooLong);
        }
        let soa = if record.rtype == Rtype::SOA && record.name == self.apex {
            Some(Soa::read(&record.rdata).map_err(|error| ZoneError::Soa(self.apex.clone(), error))?.serial)
        } else {
            None
        };
        let (next, received) = match (std::mem::replace(&mut self.state, State::Done), soa) {
            (State::Begin, Some(serial)) => (State::Opened(record, serial), None),
            (State::Begin, None) => return Err(TransferError::NoSoa(self.apex.clone())),
            (State::Opened(newest, _), Some(serial)) if self.is_mine(serial) && !is_start(&newest, &record) => {
                let zone = self.have.take().ok_or(TransferError::Trailing)?;
                let differences = Differences { newest, changes: Vec::new(), zone };
                (State::Removing(differences, begun(record)), None)
            }
            (State::Opened(newest, _), _) => {
                let mut edit = Edit::empty(self.apex.clone());
                edit.add(newest.clone()).map_err(ZoneError::from)?;
                whole(newest, Box::new(edit), record)?
            }
            (State::Whole(newest, edit), _) => whole(newest, edit, record)?,
            (State::Removing(differences, mut change), None) => {
                change.removed.push(record);
                (State::Removing(differences, change), None)
            }
            (State::Removing(differences, mut change), Some(_)) => {
                change.added.push(record);
                (State::Adding(differences, change), None)
            }
            (State::Adding(differences, mut change), None) => {
                change.added.push(record);
                (State::Adding(differences, change), None)
            }
            (State::Adding(differences, change), Some(_)) => differences.end(change, record)?,
            (State::Done, _) => return Err(TransferError::Trailing),
        };
        self.state = next;
        Ok(received)
    }

    fn is_mine(&self, serial: Serial) -> bool {
        self.have.as_ref().is_some_and(|have| have.serial() == serial)
    }
}

impl Differences {
    /// A difference is complete, as an SOA record came: it ends the transfer or begins the next difference.
    fn end(mut self, change: Change, record: Record) -> Result<(State, Option<Received>), TransferError> {
        let at = self.zone.serial();
        let (from, to) = (change.from().unwrap_or_default(), change.to().unwrap_or_default());
        if from != at || !to.is_newer_than(from) {
            return Err(TransferError::Order { at, from, to });
        }
        // As a zone sees it: sorted, and without what is removed and added again.
        let mut edit = self.zone.edit();
        edit.apply(&change).map_err(ZoneError::from)?;
        let (zone, change) = edit.finish()?;
        self.zone = zone;
        self.changes.push(change);
        let is_newest = change_ends(&self.changes, &self.newest);
        if is_newest && is_start(&self.newest, &record) {
            return Ok((State::Done, Some(Received::Changes(self.changes, self.zone))));
        }
        if is_newest {
            return Err(TransferError::Trailing);
        }
        Ok((State::Removing(self, begun(record)), None))
    }
}

/// Adds a record of the whole zone, or ends it.
fn whole(newest: Record, mut edit: Box<Edit>, record: Record) -> Result<(State, Option<Received>), TransferError> {
    if is_start(&newest, &record) {
        let (zone, _) = edit.finish()?;
        return Ok((State::Done, Some(Received::Whole(zone))));
    }
    edit.add(record).map_err(ZoneError::from)?;
    Ok((State::Whole(newest, edit), None))
}

/// A difference that begins with the SOA record of the version before.
fn begun(soa: Record) -> Change {
    Change { removed: vec![soa], added: Vec::new() }
}

/// Whether the last change leads to the newest version.
fn change_ends(changes: &[Change], newest: &Record) -> bool {
    changes.last().and_then(|change| change.added.first()).is_some_and(|soa| is_start(newest, soa))
}

/// Whether a record is the same start of authority. A primary that compresses names sends them in the case of others.
fn is_start(newest: &Record, record: &Record) -> bool {
    record.rtype == Rtype::SOA && record.name == newest.name && is_same(Rtype::SOA, &record.rdata, &newest.rdata)
}

fn owned(raw: &RawRecord<'_>) -> Result<Record, TransferError> {
    let record = raw.record()?;
    if raw.class == CLASS_IN { Ok(record) } else { Err(TransferError::Class(record.name)) }
}
