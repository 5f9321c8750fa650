//! Expressions and subjects as octets: one octet says what it is, its parts follow.

use super::{Comparison, Expression, MAX_FIELDS, Subject, Value};
use crate::wire::octets::{Reader, put_text};

/// Writes an expression; none when a text or a list is too long.
pub(super) fn put(out: &mut Vec<u8>, expression: &Expression) -> Option<()> {
    match expression {
        Expression::Everything => out.push(0),
        Expression::Nothing => out.push(1),
        Expression::Topic(topic) => tagged(out, 2, topic)?,
        Expression::Under(topic) => tagged(out, 3, topic)?,
        Expression::Has(name) => tagged(out, 4, name)?,
        Expression::Field(name, comparison, value) => {
            tagged(out, 5, name)?;
            out.push(match comparison {
                Comparison::Equal => 0,
                Comparison::Less => 1,
                Comparison::Greater => 2,
            });
            put_value(out, value)?;
        }
        Expression::Not(inner) => {
            out.push(6);
            put(out, inner)?;
        }
        Expression::And(parts) => put_list(out, 7, parts)?,
        Expression::Or(parts) => put_list(out, 8, parts)?,
    }
    Some(())
}

/// Reads an expression of at most so many levels.
pub(super) fn expression(reader: &mut Reader<'_>, levels: usize) -> Option<Expression> {
    let levels = levels.checked_sub(1)?;
    Some(match reader.u8()? {
        0 => Expression::Everything,
        1 => Expression::Nothing,
        2 => Expression::Topic(reader.text()?.to_owned()),
        3 => Expression::Under(reader.text()?.to_owned()),
        4 => Expression::Has(reader.text()?.to_owned()),
        5 => {
            let name = reader.text()?.to_owned();
            let comparison = match reader.u8()? {
                0 => Comparison::Equal,
                1 => Comparison::Less,
                2 => Comparison::Greater,
                _ => return None,
            };
            Expression::Field(name, comparison, value(reader)?)
        }
        6 => Expression::Not(Box::new(expression(reader, levels)?)),
        7 => Expression::And(list(reader, levels)?),
        8 => Expression::Or(list(reader, levels)?),
        _ => return None,
    })
}

impl Subject {
    /// Writes it behind `out`; false, and `out` is as it was, when a text is longer than 255 octets or there are more
    /// than [`MAX_FIELDS`] fields.
    #[must_use]
    pub fn encode(&self, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let whole = self.put(out).is_some();
        if !whole {
            out.truncate(start);
        }
        whole
    }

    /// Reads one from the front of `octets`, and what is behind it.
    pub fn decode(octets: &[u8]) -> Option<(Subject, &[u8])> {
        let mut reader = Reader::new(octets);
        let topic = reader.text()?.to_owned();
        let count = usize::from(reader.u8()?);
        if count > MAX_FIELDS {
            return None;
        }
        let field = |_| Some((reader.text()?.to_owned(), value(&mut reader)?));
        let fields = (0..count).map(field).collect::<Option<Vec<_>>>()?;
        Some((Subject { topic, fields }, reader.rest()))
    }

    fn put(&self, out: &mut Vec<u8>) -> Option<()> {
        put_text(out, &self.topic).then_some(())?;
        out.push(u8::try_from(self.fields.len()).ok().filter(|count| usize::from(*count) <= MAX_FIELDS)?);
        for (name, value) in &self.fields {
            put_text(out, name).then_some(())?;
            put_value(out, value)?;
        }
        Some(())
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, text: &str) -> Option<()> {
    out.push(tag);
    put_text(out, text).then_some(())
}

fn put_list(out: &mut Vec<u8>, tag: u8, parts: &[Expression]) -> Option<()> {
    out.extend_from_slice(&[tag, u8::try_from(parts.len()).ok()?]);
    parts.iter().try_for_each(|part| put(out, part))
}

fn list(reader: &mut Reader<'_>, levels: usize) -> Option<Vec<Expression>> {
    let count = reader.u8()?;
    (0..count).map(|_| expression(reader, levels)).collect()
}

fn put_value(out: &mut Vec<u8>, value: &Value) -> Option<()> {
    match value {
        Value::Bool(truth) => out.extend_from_slice(&[0, u8::from(*truth)]),
        Value::Int(number) => {
            out.push(1);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Text(text) => tagged(out, 2, text)?,
    }
    Some(())
}

fn value(reader: &mut Reader<'_>) -> Option<Value> {
    Some(match reader.u8()? {
        0 => Value::Bool(match reader.u8()? {
            0 => false,
            1 => true,
            _ => return None,
        }),
        1 => Value::Int(i64::from_be_bytes(*reader.array()?)),
        2 => Value::Text(reader.text()?.to_owned()),
        _ => return None,
    })
}
