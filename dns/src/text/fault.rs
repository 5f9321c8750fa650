//! What can be wrong with a master file, and where.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::name::NameError;
use crate::record::Rtype;
use crate::zone::ZoneError;

/// Faults that are kept of one reading; the others are counted.
pub const MAX_FAULTS: usize = 20;
/// Octets of the line that a fault shows, and of the field that it names.
const MAX_SHOWN: usize = 200;

/// Something wrong at a place of a file.
#[derive(Debug)]
pub struct Fault {
    /// As it was given, or as `$INCLUDE` names it.
    pub file: Arc<str>,
    /// Counted from one.
    pub line: u32,
    /// Counted from one, in octets.
    pub column: u32,
    /// The line, cut off where it is long.
    pub text: String,
    /// What is wrong.
    pub why: Why,
}

/// Everything wrong in one reading: the first [`MAX_FAULTS`], at least one.
#[derive(Debug, Default)]
pub struct Faults {
    /// In the order of the text.
    pub list: Vec<Fault>,
    /// How many there are beyond those.
    pub more: usize,
}

/// What is wrong, and what would be right.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// A field is something else.
    #[error("expected {what}, found `{found}`")]
    Expected {
        /// What would be right.
        what: &'static str,
        /// The field.
        found: String,
    },
    /// A field is not there.
    #[error("expected {0}, found the end of the entry")]
    Missing(&'static str),
    /// A field too much.
    #[error("expected the end of the entry, found `{0}`")]
    Extra(String),
    /// A field that is to be a name.
    #[error("`{found}` is no name")]
    Name {
        /// The field.
        found: String,
        /// Why not.
        #[source]
        error: NameError,
    },
    /// Quotes do not go over lines.
    #[error("a quote is not closed on its line")]
    Quote,
    /// `(` without `)`.
    #[error("this parenthesis is not closed")]
    Open,
    /// `)` without `(`.
    #[error("this parenthesis was not opened")]
    Close,
    /// More than the longest record can have.
    #[error("an entry has too many fields")]
    ManyFields,
    /// RDATA of more than 65,535 octets.
    #[error("the data is longer than 65535 octets")]
    LongData,
    /// Each field is right, and together they are not data of the type; or octets in the form of RFC 3597 are not.
    #[error("this is no data of a {0} record")]
    Malformed(Rtype),
    /// A type whose text form is not read.
    #[error("the data of {0} records is read as `\\# length hex` only")]
    NoText(Rtype),
    /// The first record has no owner.
    #[error("the owner is left out, and there is no record before to take it from")]
    NoOwner,
    /// Nothing says how long.
    #[error("expected a TTL: there is no $TTL, and no record with one before")]
    NoTtl,
    /// Not IN.
    #[error("only the class IN is served")]
    Class,
    /// Files within files within files.
    #[error("files are included too deep, or too many times")]
    Includes,
    /// A file that cannot be had.
    #[error("cannot include `{file}`")]
    Include {
        /// As it is written.
        file: String,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// A range of `$GENERATE` beyond the limit.
    #[error("the range has too many steps")]
    LongRange,
    /// A right record that cannot be in this zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
}

impl Faults {
    pub(super) fn push(&mut self, fault: impl FnOnce() -> Fault) {
        match self.list.len() < MAX_FAULTS {
            true => self.list.push(fault()),
            false => self.more += 1,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.why)
    }
}

impl Error for Fault {
    /// What lies behind [`Why`], which the message has already.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.why.source()
    }
}

impl Error for Faults {}

impl fmt::Display for Faults {
    /// A line for each, with its sources.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.list.iter().enumerate() {
            let between = if index == 0 { "" } else { "\n" };
            write!(f, "{between}{fault}")?;
            let mut source = fault.source();
            while let Some(error) = source {
                write!(f, ": {error}")?;
                source = error.source();
            }
        }
        if self.more > 0 {
            write!(f, "\nand {} more", self.more)?;
        }
        Ok(())
    }
}

/// Octets of a file as they can be shown, not too long.
pub(super) fn shown(octets: &[u8]) -> String {
    let cut = &octets[..octets.len().min(MAX_SHOWN)];
    String::from_utf8_lossy(cut).chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}
