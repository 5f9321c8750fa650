//! The data of a record, between text and wire form.
//!
//! A table says what parts the data of each type has; reading text, checking octets and writing text all follow it. Types
//! outside the table, and octets that do not fit it, are in the form of RFC 3597: `\# length hex`.
//! **Invariants:** what [`parse`] reads is data that may be stored ([`crate::rdata::check`]); of such data, what [`write()`]
//! writes [`parse`] reads as the same octets.

mod apl;
mod bitmap;
mod loc;
mod part;
mod svcb;

use data_encoding::{HEXUPPER, HEXUPPER_PERMISSIVE};
use std::fmt::Write as _;

use super::fields::Fields;
use super::lex::Problem;
use super::{Names, Why};
use crate::name::NameRef;
use crate::record::Rtype;
use part::Part;

/// The longest RDATA.
const MAX_LEN: usize = u16::MAX as usize;

/// Appends the wire form of what the fields say; all of them are used.
pub(super) fn parse(
    rtype: Rtype,
    mut fields: Fields<'_, '_>,
    origin: NameRef<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let start = out.len();
    let first = fields.peek();
    if first.is_some_and(|field| field.text == b"\\#" && !field.quoted) {
        generic(rtype, &mut fields, out)?;
        return fields.finish();
    }
    let at = first.map_or(0, |field| field.at);
    let Some(parts) = parts(rtype) else {
        return Err(match first {
            Some(_) => Problem { at, why: Why::NoText(rtype) },
            None => fields.take("the data of the record").err().unwrap_or(Problem { at, why: Why::NoText(rtype) }),
        });
    };
    for part in parts {
        part.parse(&mut fields, origin, out)?;
        if out.len() - start > MAX_LEN {
            return Err(Problem { at, why: Why::LongData });
        }
    }
    fields.finish()?;
    crate::rdata::check(rtype, &out[start..]).map_err(|_| Problem { at, why: Why::Malformed(rtype) })
}

/// Appends the text of some data.
pub(super) fn write(rtype: Rtype, rdata: &[u8], names: Names<'_>, out: &mut String) {
    let Some(parts) = parts(rtype).filter(|parts| fits(parts, rdata)) else {
        let _ = write!(out, "\\# {}", rdata.len());
        if !rdata.is_empty() {
            out.push(' ');
            HEXUPPER.encode_append(rdata, out);
        }
        return;
    };
    let mut rest = rdata;
    for (index, part) in parts.iter().enumerate() {
        let Some((octets, after)) = part.split(rest) else { return };
        let before = out.len();
        if index > 0 {
            out.push(' ');
        }
        let start = out.len();
        part.show(octets, names, out);
        if out.len() == start {
            out.truncate(before);
        }
        rest = after;
    }
}

fn fits(parts: &[Part], rdata: &[u8]) -> bool {
    let rest = parts.iter().try_fold(rdata, |rest, part| part.split(rest).map(|(_, after)| after));
    rest.is_some_and(<[u8]>::is_empty)
}

/// RFC 3597, 5: `\#`, the length, the octets in hexadecimal.
fn generic(rtype: Rtype, fields: &mut Fields<'_, '_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mark = fields.take("data")?;
    let (start, len) = (out.len(), fields.number("a length up to 65535", MAX_LEN as u32)? as usize);
    let mut digits = Vec::with_capacity(len * 2);
    while fields.peek().is_some() {
        let field = fields.take("hexadecimal digits")?;
        digits.extend_from_slice(field.text);
        if digits.len() > len * 2 {
            return Err(field.wrong("as many octets as the length says"));
        }
    }
    if digits.len() < len * 2 {
        return Err(Problem { at: mark.at, why: Why::Missing("as many octets as the length says") });
    }
    match HEXUPPER_PERMISSIVE.decode(&digits) {
        Ok(octets) => out.extend_from_slice(&octets),
        Err(_) => return Err(mark.wrong("hexadecimal digits")),
    }
    crate::rdata::check(rtype, &out[start..]).map_err(|_| Problem { at: mark.at, why: Why::Malformed(rtype) })
}

/// What the data of a type consists of.
fn parts(rtype: Rtype) -> Option<&'static [Part]> {
    use Part::*;
    Some(match rtype {
        Rtype::A => &[V4],
        Rtype::AAAA => &[V6],
        Rtype::NS
        | Rtype::MD
        | Rtype::MF
        | Rtype::CNAME
        | Rtype::MB
        | Rtype::MG
        | Rtype::MR
        | Rtype::PTR
        | Rtype::DNAME => &[Name],
        Rtype::SOA => &[Name, Name, U32, Seconds, Seconds, Seconds, Seconds],
        Rtype::HINFO => &[Text, Text],
        Rtype::MINFO | Rtype::RP | Rtype::TALINK => &[Name, Name],
        Rtype::MX | Rtype::AFSDB | Rtype::RT | Rtype::KX | Rtype::LP => &[U16, Name],
        Rtype::TXT | Rtype::SPF | Rtype::AVC | Rtype::NINFO | Rtype::RESINFO | Rtype::WALLET => &[Texts],
        Rtype::X25 => &[Text],
        Rtype::ISDN => &[Texts],
        Rtype::PX => &[U16, Name, Name],
        Rtype::GPOS => &[Text, Text, Text],
        Rtype::LOC => &[Location],
        Rtype::SRV => &[U16, U16, U16, Name],
        Rtype::NAPTR => &[U16, U16, Text, Text, Text, Name],
        Rtype::CERT => &[Certificate, U16, Algorithm, Base64],
        Rtype::APL => &[Prefixes],
        Rtype::DS | Rtype::CDS | Rtype::DLV | Rtype::TA => &[U16, Algorithm, U8, Hex],
        Rtype::SSHFP => &[U8, U8, Hex],
        Rtype::SIG | Rtype::RRSIG => &[Type, Algorithm, U8, Seconds, Time, Time, U16, Name, Base64],
        Rtype::NSEC => &[Name, Types],
        Rtype::KEY | Rtype::DNSKEY | Rtype::CDNSKEY => &[U16, U8, Algorithm, Base64],
        Rtype::DHCID | Rtype::OPENPGPKEY => &[Base64],
        Rtype::NSEC3 => &[U8, U8, U16, Salt, Hash, Types],
        Rtype::NSEC3PARAM => &[U8, U8, U16, Salt],
        Rtype::TLSA | Rtype::SMIMEA => &[U8, U8, U8, Hex],
        Rtype::CSYNC => &[U32, U16, Types],
        Rtype::ZONEMD => &[U32, U8, U8, Hex],
        Rtype::SVCB | Rtype::HTTPS => &[U16, Name, Parameters],
        Rtype::DSYNC => &[Type, U8, U16, Name],
        Rtype::NID | Rtype::L64 => &[U16, Locator],
        Rtype::L32 => &[U16, V4],
        Rtype::EUI48 => &[Dashed(6)],
        Rtype::EUI64 => &[Dashed(8)],
        Rtype::URI => &[U16, U16, Rest],
        Rtype::CAA => &[U8, Tag, Rest],
        _ => return None,
    })
}
