//! `$GENERATE start-stop[/step] left [ttl] [class] type right`: lines from a pattern, as BIND has it.
//!
//! In the pattern `$` is the number of the line, `${offset,width,base}` the same with an offset, zeros in front and another
//! base (`d`, `o`, `x`, `X`, and `n`, `N` for hexadecimal digits backwards with dots between), `\$` a dollar sign.

use super::fields::Fields;
use super::lex::Problem;
use super::{Why, number};

/// Lines that one directive makes: all addresses of a /12.
const MAX_LINES: u32 = 1 << 20;
/// Digits a number is filled up to at most: a label has no room for more.
const MAX_WIDTH: u32 = 63;

/// The lines, one after the other.
pub(super) fn lines(mut fields: Fields<'_, '_>) -> Result<impl Iterator<Item = Result<Vec<u8>, Problem>>, Problem> {
    const RANGE: &str = "a range like 1-254 or 0-100/10";
    let field = fields.take(RANGE)?;
    let (start, stop, step) = range(field.text).ok_or_else(|| field.wrong(RANGE))?;
    if (stop - start) / step >= MAX_LINES {
        return Err(Problem { at: field.at, why: Why::LongRange });
    }
    let mut pattern = Vec::new();
    for what in ["the owner's pattern", "a record type", "the data's pattern"] {
        fields.require(what, &mut pattern)?;
    }
    while fields.peek().is_some() {
        fields.require("data", &mut pattern)?;
    }
    let at = field.at;
    let wrong = move || Problem { at, why: Why::Expected { what: "a pattern like host-${1,3,d}", found: "$".into() } };
    Ok((start..=stop).step_by(step as usize).map(move |number| fill(&pattern, number).ok_or_else(wrong)))
}

/// Start, stop and step.
fn range(text: &[u8]) -> Option<(u32, u32, u32)> {
    let dash = text.iter().position(|octet| *octet == b'-')?;
    let (start, rest) = (number::plain(&text[..dash])?, &text[dash + 1..]);
    let (stop, step) = match rest.iter().position(|octet| *octet == b'/') {
        Some(slash) => (&rest[..slash], number::plain(&rest[slash + 1..])?),
        None => (rest, 1),
    };
    let stop = number::plain(stop)?;
    (start <= stop && step > 0).then_some((start, stop, step))
}

fn fill(pattern: &[u8], number: u32) -> Option<Vec<u8>> {
    let (mut line, mut rest) = (Vec::with_capacity(pattern.len() + 16), pattern);
    while let [octet, after @ ..] = rest {
        rest = after;
        match (octet, after) {
            (b'\\', [b'$', after @ ..]) => {
                line.extend_from_slice(b"\\$");
                rest = after;
            }
            (b'\\', [next, after @ ..]) => {
                line.extend_from_slice(&[b'\\', *next]);
                rest = after;
            }
            (b'$', [b'{', after @ ..]) => {
                let close = after.iter().position(|octet| *octet == b'}')?;
                line.extend(formatted(&after[..close], number)?.into_bytes());
                rest = &after[close + 1..];
            }
            (b'$', _) => line.extend(number.to_string().into_bytes()),
            _ => line.push(*octet),
        }
    }
    Some(line)
}

/// `offset[,width[,base]]`
fn formatted(format: &[u8], number: u32) -> Option<String> {
    let format = std::str::from_utf8(format).ok()?;
    let mut parts = format.split(',');
    let offset: i64 = parts.next()?.parse().ok()?;
    let width = parts.next().map_or(Some(0), |width| number::plain(width.as_bytes()))?;
    let width = Some(width).filter(|width| *width <= MAX_WIDTH)? as usize;
    let base = parts.next().unwrap_or("d");
    let number = u64::try_from(i64::from(number).checked_add(offset)?).ok()?;
    if parts.next().is_some() {
        return None;
    }
    Some(match base {
        "d" => format!("{number:0width$}"),
        "o" => format!("{number:0width$o}"),
        "x" => format!("{number:0width$x}"),
        "X" => format!("{number:0width$X}"),
        // The width counts the dots as well.
        "n" => backwards(&format!("{number:x}"), width),
        "N" => backwards(&format!("{number:X}"), width),
        _ => return None,
    })
}

fn backwards(digits: &str, width: usize) -> String {
    let filled = format!("{digits:0>count$}", count = width.div_ceil(2));
    filled.chars().rev().map(String::from).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled() {
        for (pattern, line) in [
            ("host-$ A 10.0.0.$", Some("host-7 A 10.0.0.7")),
            ("h${3,4,x} ${-7} \\$ \\\\$", Some("h000a 0 \\$ \\\\7")),
            ("${0,3,n}.ip6", Some("7.0.ip6")),
            ("${-8}", None),
            ("${0,2", None),
            ("${0,64,d}", None),
            ("${0,1,q}", None),
        ] {
            let filled = fill(pattern.as_bytes(), 7);
            assert_eq!(filled.as_deref(), line.map(str::as_bytes), "{pattern}");
        }
        assert_eq!(range(b"0-100/10"), Some((0, 100, 10)));
        assert_eq!((range(b"5-1"), range(b"1-2/0"), range(b"1")), (None, None, None));
    }
}
