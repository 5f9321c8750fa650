//! Entries of master files as records: directives, and what an entry takes over from the one before (RFC 1035, 5.1;
//! RFC 2308, 4).

use std::io;
use std::sync::Arc;

use super::fault::shown;
use super::fields::Fields;
use super::lex::{Entry, Field, Lexer, Problem};
use super::{Fault, Faults, Source, Why, generate, number, rdata};
use crate::name::{Name, NameRef};
use crate::record::{IN, MAX_TTL, Record, Rtype};
use crate::zone::{Soa, ZoneError};

/// Files that are open at once, each included by the one before.
pub const MAX_INCLUDE_DEPTH: usize = 8;
/// Files that are included in one reading: a few that include each other would be more than anybody waits for.
pub const MAX_INCLUDES: usize = 1_000;

/// Gives the text of a file that `$INCLUDE` names.
pub type Include<'a> = &'a mut dyn FnMut(&str) -> io::Result<Vec<u8>>;

/// No file can be included.
///
/// # Errors
/// Always.
pub fn no_include(_: &str) -> io::Result<Vec<u8>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "files are not included here"))
}

/// Gives each record of a text to `each`, in order; names are relative to `origin` until the text says otherwise.
///
/// # Errors
/// Everything that is wrong with the text, and what `each` said of a record. The right records were all given.
pub fn read_records(
    source: Source<'_>,
    origin: NameRef<'_>,
    include: Include<'_>,
    each: impl FnMut(Record) -> Result<(), ZoneError>,
) -> Result<(), Faults> {
    let mut reader = Reader {
        include,
        each,
        faults: Faults::default(),
        included: 0,
        usual_ttl: None,
        last_ttl: None,
        rdata: vec![],
    };
    reader.file(source, origin.to_owned(), MAX_INCLUDE_DEPTH);
    if reader.faults.is_empty() { Ok(()) } else { Err(reader.faults) }
}

struct Reader<'i, F> {
    include: Include<'i>,
    each: F,
    faults: Faults,
    included: usize,
    /// Of `$TTL`.
    usual_ttl: Option<u32>,
    last_ttl: Option<u32>,
    rdata: Vec<u8>,
}

/// What holds within one file.
struct Context {
    origin: Name,
    owner: Owner,
    file: Arc<str>,
    /// Files that may yet be opened within this one.
    depth: usize,
}

enum Owner {
    /// There was no record yet.
    None,
    /// The last one could not be read, which was said; records without an owner belong to it.
    Wrong,
    Is(Name),
}

impl<F: FnMut(Record) -> Result<(), ZoneError>> Reader<'_, F> {
    fn file(&mut self, source: Source<'_>, origin: Name, depth: usize) {
        let mut context = Context { origin, owner: Owner::None, file: source.file, depth };
        let mut lexer = Lexer::new(source.text);
        let mut fields = Vec::new();
        while let Some((entry, cut)) = lexer.next(&mut fields) {
            let result = cut.and_then(|()| self.entry(&mut context, &entry, &fields));
            if let Err(Problem { at, why }) = result {
                self.faults.push(|| fault(context.file.clone(), lexer.text(), &entry, at, why));
            }
        }
    }

    fn entry(&mut self, context: &mut Context, entry: &Entry, fields: &[Field<'_>]) -> Result<(), Problem> {
        match fields {
            [first, rest @ ..] if !entry.blank && !first.quoted && first.text.starts_with(b"$") => {
                let mut rest = Fields::after(first, rest);
                if first.text.eq_ignore_ascii_case(b"$ORIGIN") {
                    context.origin = rest.name("a name", context.origin.as_ref())?;
                    rest.finish()
                } else if first.text.eq_ignore_ascii_case(b"$TTL") {
                    self.usual_ttl = Some(ttl(&rest.take("a TTL")?)?);
                    rest.finish()
                } else if first.text.eq_ignore_ascii_case(b"$INCLUDE") {
                    self.include(context, first, rest)
                } else if first.text.eq_ignore_ascii_case(b"$GENERATE") {
                    self.generate(context, first, rest)
                } else {
                    Err(first.wrong("$ORIGIN, $TTL, $INCLUDE or $GENERATE"))
                }
            }
            _ => self.record(context, entry.blank, fields),
        }
    }

    fn record(&mut self, context: &mut Context, blank: bool, fields: &[Field<'_>]) -> Result<(), Problem> {
        let mut fields = Fields::new(fields);
        let start = fields.peek().map_or(0, |field| field.at);
        let problem = |why| Problem { at: start, why };
        if !blank {
            context.owner = Owner::Wrong;
            context.owner = Owner::Is(fields.name("the name of an owner", context.origin.as_ref())?);
        }
        let (ttl, rtype) = ttl_class_type(&mut fields)?;
        self.rdata.clear();
        rdata::parse(rtype, fields, context.origin.as_ref(), &mut self.rdata)?;
        let owner = match &context.owner {
            Owner::None => return Err(problem(Why::NoOwner)),
            Owner::Wrong => return Ok(()),
            Owner::Is(name) => name.clone(),
        };
        // Where nothing else says how long, the first record does, which is the zone's start of authority.
        let minimum =
            || Soa::read(&self.rdata).ok().filter(|_| rtype == Rtype::SOA).map(|soa| soa.minimum.min(MAX_TTL));
        let ttl = ttl.or(self.usual_ttl).or(self.last_ttl).or_else(minimum).ok_or_else(|| problem(Why::NoTtl))?;
        self.last_ttl = Some(ttl);
        (self.each)(Record { name: owner, rtype, ttl, rdata: self.rdata.as_slice().into() })
            .map_err(|error| problem(error.into()))
    }

    fn include(&mut self, context: &Context, at: &Field<'_>, mut rest: Fields<'_, '_>) -> Result<(), Problem> {
        let file = rest.take("the name of a file")?;
        let origin = match rest.peek() {
            Some(_) => rest.name("a name", context.origin.as_ref())?,
            None => context.origin.clone(),
        };
        rest.finish()?;
        self.included += 1;
        if context.depth == 0 || self.included > MAX_INCLUDES {
            return Err(Problem { at: at.at, why: Why::Includes });
        }
        let mut path = Vec::new();
        file.unescape(&mut path)?;
        let path = String::from_utf8(path).map_err(|_| file.wrong("the name of a file"))?;
        match (self.include)(&path) {
            Ok(text) => {
                self.file(Source { file: path.into(), text: &text }, origin, context.depth - 1);
                Ok(())
            }
            Err(error) => Err(Problem { at: file.at, why: Why::Include { file: path, error } }),
        }
    }

    /// Each step is an entry of its own; a fault of one ends the directive, for the others would repeat it.
    fn generate(&mut self, context: &mut Context, at: &Field<'_>, rest: Fields<'_, '_>) -> Result<(), Problem> {
        for line in generate::lines(rest)? {
            let (line, mut words) = (line?, Vec::new());
            let here = |problem: Problem| Problem { at: at.at, ..problem };
            let mut lexer = Lexer::new(&line);
            while let Some((_, cut)) = lexer.next(&mut words) {
                cut.and_then(|()| self.record(context, false, &words)).map_err(here)?;
            }
        }
        Ok(())
    }
}

/// TTL and class in either order, both optional, and the type.
fn ttl_class_type(fields: &mut Fields<'_, '_>) -> Result<(Option<u32>, Rtype), Problem> {
    let (mut seconds, mut class) = (None, None);
    loop {
        let field = fields.take("a record type")?;
        if field.text.first().is_some_and(u8::is_ascii_digit) && seconds.is_none() {
            seconds = Some(ttl(&field)?);
        } else if let Some(number) = class_number(field.text).filter(|_| class.is_none()) {
            class = Some(number);
            if number != IN {
                return Err(Problem { at: field.at, why: Why::Class });
            }
        } else {
            let rtype = field.word().and_then(|word| word.parse().ok());
            return Ok((seconds, rtype.ok_or_else(|| field.wrong("a record type"))?));
        }
    }
}

fn ttl(field: &Field<'_>) -> Result<u32, Problem> {
    let seconds = number::seconds(field.text).filter(|seconds| *seconds <= MAX_TTL);
    seconds.ok_or_else(|| field.wrong("a TTL up to 2147483647, like 3600 or 1h"))
}

/// A class by its mnemonic, or as `CLASS` and a number (RFC 3597, 5).
fn class_number(text: &[u8]) -> Option<u16> {
    for (name, number) in [("IN", IN), ("CH", 3), ("HS", 4), ("CS", 2)] {
        if text.eq_ignore_ascii_case(name.as_bytes()) {
            return Some(number);
        }
    }
    let (word, digits) = text.split_at_checked(5)?;
    let number = number::plain(digits).filter(|_| word.eq_ignore_ascii_case(b"CLASS"))?;
    u16::try_from(number).ok()
}

fn fault(file: Arc<str>, text: &[u8], entry: &Entry, at: usize, why: Why) -> Fault {
    let at = at.clamp(entry.start, text.len());
    let before = &text[entry.start..at];
    let line = entry.line + before.iter().filter(|octet| **octet == b'\n').count() as u32;
    let start = text[..at].iter().rposition(|octet| *octet == b'\n').map_or(0, |newline| newline + 1);
    let end = text[start..].iter().position(|octet| *octet == b'\n').map_or(text.len(), |len| start + len);
    let line_text = text[start..end].strip_suffix(b"\r").unwrap_or(&text[start..end]);
    Fault { file, line, column: (at - start + 1) as u32, text: shown(line_text), why }
}
