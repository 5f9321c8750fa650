//! The fields of an entry, read one after the other.

use super::fault::shown;
use super::lex::{Field, Problem};
use super::{Why, number};
use crate::name::{self, Name, NameRef};

/// What is left of an entry.
#[derive(Clone, Copy)]
pub(super) struct Fields<'f, 'a> {
    left: &'f [Field<'a>],
    /// Where the last field ends.
    end: usize,
}

impl<'f, 'a> Fields<'f, 'a> {
    pub fn new(all: &'f [Field<'a>]) -> Self {
        let end = all.last().map_or(0, |last| last.at + last.text.len() + if last.quoted { 2 } else { 0 });
        Self { left: all, end }
    }

    /// Those after a directive.
    pub fn after(directive: &Field<'a>, rest: &'f [Field<'a>]) -> Self {
        let end = directive.at + directive.text.len();
        if rest.is_empty() { Self { left: rest, end } } else { Self::new(rest) }
    }

    /// Appends the next one as it is written, with a blank behind it.
    pub fn require(&mut self, what: &'static str, out: &mut Vec<u8>) -> Result<(), Problem> {
        let field = self.take(what)?;
        let quote: &[u8] = if field.quoted { b"\"" } else { b"" };
        out.extend([quote, field.text, quote, b" "].concat());
        Ok(())
    }

    /// The next one, which stays.
    pub fn peek(&self) -> Option<Field<'a>> {
        self.left.first().copied()
    }

    /// The next one; `what` says what it is to be, in case there is none.
    pub fn take(&mut self, what: &'static str) -> Result<Field<'a>, Problem> {
        let (field, left) = self.left.split_first().ok_or(Problem { at: self.end, why: Why::Missing(what) })?;
        self.left = left;
        Ok(*field)
    }

    /// Checks that nothing is left.
    pub fn finish(&self) -> Result<(), Problem> {
        match self.peek() {
            None => Ok(()),
            Some(field) => Err(Problem { at: field.at, why: Why::Extra(shown(field.text)) }),
        }
    }

    /// A name, relative to `origin` unless it ends with a dot.
    pub fn name(&mut self, what: &'static str, origin: NameRef<'_>) -> Result<Name, Problem> {
        let field = self.take(what)?;
        field.name(origin)
    }

    /// A number up to `max`.
    pub fn number(&mut self, what: &'static str, max: u32) -> Result<u32, Problem> {
        let field = self.take(what)?;
        number::plain(field.text).filter(|number| *number <= max).ok_or_else(|| field.wrong(what))
    }

    /// A number of seconds, perhaps with units.
    pub fn seconds(&mut self, what: &'static str) -> Result<u32, Problem> {
        let field = self.take(what)?;
        number::seconds(field.text).ok_or_else(|| field.wrong(what))
    }
}

impl Field<'_> {
    /// The field is not what it should be.
    pub fn wrong(&self, what: &'static str) -> Problem {
        Problem { at: self.at, why: Why::Expected { what, found: shown(self.text) } }
    }

    /// The field as a name.
    pub fn name(&self, origin: NameRef<'_>) -> Result<Name, Problem> {
        Name::parse(self.text, origin)
            .map_err(|error| Problem { at: self.at, why: Why::Name { found: shown(self.text), error } })
    }

    /// The field as text without escapes, if it is one.
    pub fn word(&self) -> Option<&str> {
        std::str::from_utf8(self.text).ok()
    }

    /// Appends the octets that the text means (RFC 1035, 5.1).
    pub fn unescape(&self, out: &mut Vec<u8>) -> Result<(), Problem> {
        unescape(self.text, out).ok_or_else(|| self.wrong("text with valid escapes"))
    }
}

/// Appends the octets that some text means; nothing when an escape in it is not one.
pub(super) fn unescape(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        at += 1;
        if octet == b'\\' {
            let (meant, used) = name::escape(&text[at..])?;
            out.push(meant);
            at += used;
        } else {
            out.push(octet);
        }
    }
    Some(())
}
