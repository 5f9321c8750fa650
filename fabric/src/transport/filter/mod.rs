//! Filters: which events a subscriber wants, as data, so that they are judged where the events are made and only wanted
//! ones cross the network.
//!
//! A [`Filter`] is made of an [`Expression`] and is canonical: however it was put together, filters that differ only in
//! the order, nesting or repetition of their parts are equal, have equal octets and one [`FilterHash`].
//!
//! **Invariant:** judging an event costs at most [`MAX_TESTS`] tests, on any event; a filter that would cost more is
//! refused when it is made or read.

mod canonical;
mod codec;
mod set;

use std::fmt;

use data_encoding::HEXLOWER;
pub use set::{FilterSet, Full, MAX_FILTERS, MAX_SUBSCRIBERS};

use crate::wire::octets::Reader;

/// Tests in a filter at most: more is a program and not a filter.
pub const MAX_TESTS: usize = 64;
/// Levels of a filter at most; each is a call when it is judged.
pub const MAX_DEPTH: usize = 8;
/// Octets of a filter at most: many fit the frames of a reconnect.
pub const MAX_FILTER: usize = 4_096;
/// Fields of an event at most.
pub const MAX_FIELDS: usize = 16;

/// Why something is no filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// More tests, levels or octets than a filter may have.
    #[error("the filter is too large")]
    TooLarge,
    /// Octets that no filter has.
    #[error("not a filter")]
    Malformed,
}

/// What a field of an event holds, or is compared with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text of at most 255 octets.
    Text(String),
}

/// How a field is compared; fields of another type than the value's do not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparison {
    /// The same.
    Equal,
    /// Less: `false` before `true`, texts by their octets.
    Less,
    /// More.
    Greater,
}

/// A filter as people put it together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expression {
    /// Every event.
    Everything,
    /// No event.
    Nothing,
    /// Events of this topic.
    Topic(String),
    /// Events of this topic and those below it: `disk` has `disk` and `disk.full`, not `disks`.
    Under(String),
    /// Events that have a field of this name.
    Has(String),
    /// Events with a field that compares so with a value.
    Field(String, Comparison, Value),
    /// Events that do not pass.
    Not(Box<Expression>),
    /// Events that pass all.
    And(Vec<Expression>),
    /// Events that pass any.
    Or(Vec<Expression>),
}

/// What a filter judges: the topic and the fields of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// Words joined by dots, the general before the special.
    pub topic: String,
    /// Names and values; of two of one name the first counts.
    pub fields: Vec<(String, Value)>,
}

/// Names a filter: the first 16 octets of the BLAKE3 of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterHash(pub [u8; 16]);

impl fmt::Debug for FilterHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HEXLOWER.encode_write(&self.0, f)
    }
}

/// A filter in its canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter {
    root: Expression,
    octets: Vec<u8>,
}

impl Filter {
    /// The filter that an expression means.
    ///
    /// # Errors
    /// When it has too many tests, levels or octets.
    pub fn new(expression: &Expression) -> Result<Filter, FilterError> {
        canonical::bounded(expression)?;
        let root = canonical::form(expression, false);
        canonical::bounded(&root)?;
        let mut octets = Vec::new();
        codec::put(&mut octets, &root).ok_or(FilterError::TooLarge)?;
        if octets.len() > MAX_FILTER { Err(FilterError::TooLarge) } else { Ok(Filter { root, octets }) }
    }

    /// Reads a filter; only canonical ones are read.
    ///
    /// # Errors
    /// When the octets are none.
    pub fn decode(octets: &[u8]) -> Result<Filter, FilterError> {
        if octets.len() > MAX_FILTER {
            return Err(FilterError::TooLarge);
        }
        let mut reader = Reader::new(octets);
        let read = codec::expression(&mut reader, MAX_DEPTH).ok_or(FilterError::Malformed)?;
        reader.end().ok_or(FilterError::Malformed)?;
        let filter = Filter::new(&read)?;
        if filter.octets == octets { Ok(filter) } else { Err(FilterError::Malformed) }
    }

    /// Its octets, which no other filter has.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Its short name.
    pub fn hash(&self) -> FilterHash {
        let mut short = [0; 16];
        short.iter_mut().zip(blake3::hash(&self.octets).as_bytes()).for_each(|(to, from)| *to = *from);
        FilterHash(short)
    }

    /// Whether it lets an event pass.
    pub fn passes(&self, subject: &Subject) -> bool {
        judge(&self.root, subject)
    }
}

fn judge(expression: &Expression, subject: &Subject) -> bool {
    let field = |name: &str| subject.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    match expression {
        Expression::Everything => true,
        Expression::Nothing => false,
        Expression::Topic(topic) => subject.topic == *topic,
        Expression::Under(topic) => {
            let below = subject.topic.strip_prefix(topic.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
        Expression::Has(name) => field(name).is_some(),
        Expression::Field(name, comparison, value) => field(name).is_some_and(|own| {
            std::mem::discriminant(own) == std::mem::discriminant(value)
                && match comparison {
                    Comparison::Equal => own == value,
                    Comparison::Less => own < value,
                    Comparison::Greater => own > value,
                }
        }),
        Expression::Not(inner) => !judge(inner, subject),
        Expression::And(parts) => parts.iter().all(|part| judge(part, subject)),
        Expression::Or(parts) => parts.iter().any(|part| judge(part, subject)),
    }
}

#[cfg(test)]
mod tests;
