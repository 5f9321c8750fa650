//! Sets of record types (RFC 4034, 4.1.2): windows of up to 256 types, each a number, a length and bits.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::part::by;
use crate::record::Rtype;
use crate::text::fields::Fields;
use crate::text::lex::Problem;

pub(super) fn parse(fields: &mut Fields<'_, '_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut types = BTreeSet::new();
    while fields.peek().is_some() {
        let rtype: Rtype = by(fields, "a record type", |field| field.word()?.parse().ok())?;
        types.insert(rtype.0);
    }
    let mut types = types.into_iter().peekable();
    while let Some(&first) = types.peek() {
        let (window, mut bits, mut len) = (first >> 8, [0u8; 32], 0);
        while let Some(rtype) = types.next_if(|rtype| rtype >> 8 == window) {
            let low = usize::from(rtype & 0xff);
            bits[low / 8] |= 0x80 >> (low % 8);
            len = low / 8 + 1;
        }
        out.extend_from_slice(&[window as u8, len as u8]);
        out.extend_from_slice(&bits[..len]);
    }
    Ok(())
}

pub(super) fn show(octets: &[u8], out: &mut String) {
    let (mut rest, mut between) = (octets, "");
    while let Some((window, bits, after)) = window(rest) {
        for low in (0..bits.len() * 8).filter(|low| bits[low / 8] & (0x80 >> (low % 8)) != 0) {
            let _ = write!(out, "{between}{}", Rtype(u16::from(window) << 8 | low as u16));
            between = " ";
        }
        rest = after;
    }
}

fn window(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [window, len, rest @ ..] = octets else { return None };
    let (bits, after) = rest.split_at_checked(usize::from(*len))?;
    Some((*window, bits, after))
}
