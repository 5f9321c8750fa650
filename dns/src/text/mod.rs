//! Zones and records as text: master files (RFC 1035, 5) in and out.
//!
//! [`read_zone`] makes a zone of a file, or says what is wrong with it: every fault with file, line, column and what was
//! expected there. [`write_zone`] writes one that reads back as the same zone. [`read_rdata`] and [`show_rdata`] do the
//! same for the data of one record. Included files come from the caller: this module opens nothing.

mod fault;
mod fields;
mod generate;
mod lex;
mod master;
mod number;
mod rdata;
#[cfg(test)]
mod tests;
mod write;

pub use fault::{Fault, Faults, MAX_FAULTS, Why};
pub use master::{Include, MAX_INCLUDE_DEPTH, MAX_INCLUDES, no_include, read_records};
pub use write::write_zone;

use std::sync::Arc;

use crate::name::{Name, NameRef};
use crate::record::Rtype;
use crate::zone::{Builder, Zone, ZoneError};

/// A text, and what it is called in messages.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// A file's path, or what else the reader will know it by.
    pub file: Arc<str>,
    /// Its octets; what is not ASCII counts in names and strings as it is.
    pub text: &'a [u8],
}

/// How names are written.
#[derive(Clone, Copy, Debug)]
pub enum Names<'a> {
    /// In full, with the dot at the end.
    Absolute,
    /// Without what they have in common with this origin, and the origin as `@`.
    Relative(NameRef<'a>),
}

/// The zone of a master file, whose names are relative to its apex in the beginning.
///
/// # Errors
/// Everything that is wrong with the text, and records that cannot be in the zone.
pub fn read_zone(source: Source<'_>, apex: &Name, include: Include<'_>) -> Result<Zone, Faults> {
    let mut builder = Builder::new(apex.clone());
    let file = source.file.clone();
    read_records(source, apex.as_ref(), include, |record| builder.add(record).map_err(ZoneError::from))?;
    builder.finish().map_err(|error| {
        let mut faults = Faults::default();
        faults.push(|| Fault { file, line: 1, column: 1, text: String::new(), why: error.into() });
        faults
    })
}

/// The wire form of a record's data; names without a dot at the end are relative to `origin`.
///
/// # Errors
/// When the text is not data of this type.
pub fn read_rdata(rtype: Rtype, text: &str, origin: NameRef<'_>) -> Result<Box<[u8]>, Why> {
    let mut words = Vec::new();
    let mut lexer = lex::Lexer::new(text.as_bytes());
    if let Some((_, Err(problem))) = lexer.next(&mut words) {
        return Err(problem.why);
    }
    let mut out = Vec::new();
    rdata::parse(rtype, fields::Fields::new(&words), origin, &mut out).map_err(|problem| problem.why)?;
    match lexer.next(&mut Vec::new()) {
        None => Ok(out.into()),
        Some(_) => Err(Why::Extra("another line".into())),
    }
}

/// The text of a record's data, whatever its octets are: in the form of RFC 3597 where they are not data of the type.
pub fn show_rdata(rtype: Rtype, rdata: &[u8], names: Names<'_>) -> String {
    let mut out = String::new();
    rdata::write(rtype, rdata, names, &mut out);
    out
}
