//! The parts that RDATA is made of.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::{BASE32HEX_NOPAD, BASE64, Encoding, HEXUPPER, HEXUPPER_PERMISSIVE};

use super::{apl, bitmap, loc, svcb};
use crate::name::NameRef;
use crate::rdata::Field;
use crate::record::Rtype;
use crate::text::Names;
use crate::text::fields::Fields;
use crate::text::lex::{self, Problem};
use crate::text::number;

/// One part.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    U8,
    U16,
    U32,
    /// A `U32` that is a period, and may be written with units.
    Seconds,
    /// A `U32` that is a date (RFC 4034, 3.2).
    Time,
    /// The number of a record type, written as its mnemonic.
    Type,
    /// The number of a kind of certificate, which may be written as its mnemonic (RFC 4398, 2.1).
    Certificate,
    /// The number of a signing algorithm, which may be written as its mnemonic (RFC 4034, A.1).
    Algorithm,
    V4,
    V6,
    Name,
    /// A length octet and as many octets.
    Text,
    /// One or more of these, to the end.
    Texts,
    /// Text to the end, without a length.
    Rest,
    /// A length octet and letters and digits (RFC 8659, 4.1).
    Tag,
    /// One octet or more to the end, written in hexadecimal.
    Hex,
    /// One octet or more to the end.
    Base64,
    /// A length octet and as many octets in hexadecimal; `-` for none (RFC 5155, 3.3).
    Salt,
    /// A length octet and as many octets in base 32 (RFC 5155, 3.3).
    Hash,
    /// A set of record types to the end (RFC 4034, 4.1.2).
    Types,
    /// The parameters of a service binding to the end (RFC 9460, 2.1).
    Parameters,
    /// Lists of addresses to the end (RFC 3123).
    Prefixes,
    /// A place on the earth (RFC 1876).
    Location,
    /// Eight octets as four groups of hexadecimal digits (RFC 6742, 2.1.2).
    Locator,
    /// So many octets in hexadecimal, a dash between each (RFC 7043).
    Dashed(usize),
}

impl Part {
    /// Reads the fields of the part and appends its octets.
    pub fn parse(self, fields: &mut Fields<'_, '_>, origin: NameRef<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
        match self {
            Self::U8 => out.push(fields.number("a number up to 255", u8::MAX.into())? as u8),
            Self::U16 => push16(fields.number("a number up to 65535", u16::MAX.into())?, out),
            Self::U32 => push32(fields.number("a number up to 4294967295", u32::MAX)?, out),
            Self::Seconds => push32(fields.seconds("a number of seconds, like 3600 or 1h")?, out),
            Self::Time => push32(by(fields, "a time as YYYYMMDDhhmmss", |field| number::time(field.text))?, out),
            Self::Type => {
                let rtype: Rtype = by(fields, "a record type", |field| field.word()?.parse().ok())?;
                push16(rtype.0.into(), out);
            }
            Self::Certificate => push16(by(fields, "the kind of a certificate", certificate)?.into(), out),
            Self::Algorithm => out.push(by(fields, "the number of an algorithm", algorithm)?),
            Self::V4 => {
                let address: Ipv4Addr = by(fields, "an IPv4 address", |field| field.word()?.parse().ok())?;
                out.extend_from_slice(&address.octets());
            }
            Self::V6 => {
                let address: Ipv6Addr = by(fields, "an IPv6 address", |field| field.word()?.parse().ok())?;
                out.extend_from_slice(&address.octets());
            }
            Self::Name => out.extend_from_slice(fields.name("a name", origin)?.as_ref().wire()),
            Self::Text => text(fields.take("text")?, out)?,
            Self::Texts => {
                text(fields.take("text")?, out)?;
                while fields.peek().is_some() {
                    text(fields.take("text")?, out)?;
                }
            }
            Self::Rest => fields.take("text in quotes")?.unescape(out)?,
            Self::Tag => {
                let field = fields.take("a tag of letters and digits")?;
                let len = u8::try_from(field.text.len()).ok().filter(|len| *len > 0 && is_tag(field.text));
                out.push(len.ok_or_else(|| field.wrong("a tag of letters and digits"))?);
                out.extend_from_slice(field.text);
            }
            Self::Hex => encoded(fields, "hexadecimal digits", &HEXUPPER_PERMISSIVE, out)?,
            Self::Base64 => encoded(fields, "base64", &BASE64, out)?,
            Self::Salt => short(fields, "a salt in hexadecimal, or `-`", |text| match text {
                b"-" => Some(Vec::new()),
                digits => HEXUPPER_PERMISSIVE.decode(digits).ok(),
            })
            .map(|octets| out.extend(octets))?,
            Self::Hash => short(fields, "a hash in base 32", |text| {
                BASE32HEX_NOPAD.decode(&text.to_ascii_uppercase()).ok().filter(|octets| !octets.is_empty())
            })
            .map(|octets| out.extend(octets))?,
            Self::Types => bitmap::parse(fields, out)?,
            Self::Parameters => svcb::parse(fields, out)?,
            Self::Prefixes => apl::parse(fields, out)?,
            Self::Location => loc::parse(fields, out)?,
            Self::Locator => {
                out.extend(by(fields, "four groups of hexadecimal digits", |field| locator(field.word()?))?);
            }
            Self::Dashed(count) => {
                let octets = by(fields, "octets in hexadecimal with dashes between", |field| dashed(field, count))?;
                out.extend_from_slice(&octets);
            }
        }
        Ok(())
    }

    /// The octets of the part and those after it; nothing when the part is not right.
    pub fn split(self, octets: &[u8]) -> Option<(&[u8], &[u8])> {
        let right = |right: bool| right.then_some((octets, [].as_slice()));
        match self {
            Self::U8 | Self::Algorithm => octets.split_at_checked(1),
            Self::U16 | Self::Certificate | Self::Type => octets.split_at_checked(2),
            Self::U32 | Self::Seconds | Self::Time | Self::V4 => octets.split_at_checked(4),
            Self::V6 => octets.split_at_checked(16),
            Self::Locator => octets.split_at_checked(8),
            Self::Dashed(count) => octets.split_at_checked(count),
            Self::Name => NameRef::read(octets).ok().map(|(name, rest)| (name.wire(), rest)),
            Self::Text | Self::Salt => with_len(octets),
            Self::Hash => with_len(octets).filter(|(hash, _)| hash.len() > 1),
            Self::Tag => with_len(octets).filter(|(tag, _)| tag.len() > 1 && is_tag(&tag[1..])),
            Self::Texts => {
                let mut rest = octets;
                while !rest.is_empty() {
                    rest = with_len(rest)?.1;
                }
                right(!octets.is_empty())
            }
            Self::Rest => right(true),
            Self::Hex | Self::Base64 => right(!octets.is_empty()),
            Self::Types => right(Field::Bitmap.len_in(octets).is_some()),
            Self::Parameters => right(svcb::is_right(octets)),
            Self::Prefixes => right(apl::is_right(octets)),
            Self::Location => right(loc::is_right(octets)),
        }
    }

    /// Appends the text of octets that [`split`](Self::split) gave; nothing for a list without members.
    pub fn show(self, octets: &[u8], names: Names<'_>, out: &mut String) {
        match self {
            Self::U8 | Self::Algorithm | Self::U16 | Self::Certificate | Self::U32 | Self::Seconds => {
                let number = octets.iter().fold(0u32, |number, octet| number << 8 | u32::from(*octet));
                let _ = write!(out, "{number}");
            }
            Self::Time => {
                out.push_str(&number::date(octets.iter().fold(0, |time, octet| time << 8 | u32::from(*octet))))
            }
            Self::Type => {
                let number = octets.iter().fold(0u16, |number, octet| number << 8 | u16::from(*octet));
                let _ = write!(out, "{}", Rtype(number));
            }
            Self::V4 => {
                let _ = <[u8; 4]>::try_from(octets).map(|octets| write!(out, "{}", Ipv4Addr::from(octets)));
            }
            Self::V6 => {
                let _ = <[u8; 16]>::try_from(octets).map(|octets| write!(out, "{}", Ipv6Addr::from(octets)));
            }
            Self::Name => {
                let _ = NameRef::read(octets).map(|(name, _)| names.show(name, out));
            }
            Self::Text => quote(octets.get(1..).unwrap_or_default(), out),
            Self::Texts => {
                let mut rest = octets;
                while let Some((text, after)) = with_len(rest) {
                    if rest.len() < octets.len() {
                        out.push(' ');
                    }
                    quote(&text[1..], out);
                    rest = after;
                }
            }
            Self::Rest => quote(octets, out),
            Self::Tag => out.extend(octets.iter().skip(1).map(|octet| char::from(*octet))),
            Self::Hex => HEXUPPER.encode_append(octets, out),
            Self::Base64 => BASE64.encode_append(octets, out),
            Self::Salt if octets.len() <= 1 => out.push('-'),
            Self::Salt => HEXUPPER.encode_append(&octets[1..], out),
            Self::Hash => BASE32HEX_NOPAD.encode_append(octets.get(1..).unwrap_or_default(), out),
            Self::Types => bitmap::show(octets, out),
            Self::Parameters => svcb::show(octets, out),
            Self::Prefixes => apl::show(octets, out),
            Self::Location => loc::show(octets, out),
            Self::Locator => {
                for (index, group) in octets.chunks(2).enumerate() {
                    let colon = if index == 0 { "" } else { ":" };
                    let number = group.iter().fold(0u16, |number, octet| number << 8 | u16::from(*octet));
                    let _ = write!(out, "{colon}{number:04x}");
                }
            }
            Self::Dashed(_) => {
                for (index, octet) in octets.iter().enumerate() {
                    let dash = if index == 0 { "" } else { "-" };
                    let _ = write!(out, "{dash}{octet:02x}");
                }
            }
        }
    }
}

/// Appends octets as text in quotes.
pub(super) fn quote(octets: &[u8], out: &mut String) {
    out.push('"');
    for &octet in octets {
        match octet {
            b'"' | b'\\' => out.extend(['\\', char::from(octet)]),
            b' '..=b'~' => out.push(char::from(octet)),
            _ => {
                let _ = write!(out, "\\{octet:03}");
            }
        }
    }
    out.push('"');
}

pub(super) fn push16(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(number as u16).to_be_bytes());
}

fn push32(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// The next field as `read` understands it.
pub(super) fn by<T>(
    fields: &mut Fields<'_, '_>,
    what: &'static str,
    read: impl FnOnce(&lex::Field<'_>) -> Option<T>,
) -> Result<T, Problem> {
    let field = fields.take(what)?;
    read(&field).ok_or_else(|| field.wrong(what))
}

/// A length octet with what it counts, and the rest.
fn with_len(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    octets.split_at_checked(1 + usize::from(*octets.first()?))
}

fn is_tag(text: &[u8]) -> bool {
    text.iter().all(u8::is_ascii_alphanumeric)
}

fn text(field: lex::Field<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let at = out.len();
    out.push(0);
    field.unescape(out)?;
    let len = u8::try_from(out.len() - at - 1);
    out[at] = len.map_err(|_| field.wrong("text of up to 255 octets; longer text is written as several"))?;
    Ok(())
}

/// Everything that is left, one octet or more in some encoding.
fn encoded(
    fields: &mut Fields<'_, '_>,
    what: &'static str,
    encoding: &Encoding,
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let first = fields.take(what)?;
    let mut text = first.text.to_vec();
    while fields.peek().is_some() {
        text.extend_from_slice(fields.take(what)?.text);
    }
    match encoding.decode(&text) {
        Ok(octets) if !octets.is_empty() => out.extend_from_slice(&octets),
        _ => return Err(first.wrong(what)),
    }
    Ok(())
}

/// One field of up to 255 octets in some encoding, with its length in front.
fn short(
    fields: &mut Fields<'_, '_>,
    what: &'static str,
    decode: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, Problem> {
    by(fields, what, |field| {
        let mut octets = decode(field.text)?;
        octets.insert(0, u8::try_from(octets.len()).ok()?);
        Some(octets)
    })
}

fn algorithm(field: &lex::Field<'_>) -> Option<u8> {
    const NAMES: &[(&str, u8)] = &[
        ("RSAMD5", 1),
        ("DH", 2),
        ("DSA", 3),
        ("RSASHA1", 5),
        ("NSEC3DSA", 6),
        ("NSEC3RSASHA1", 7),
        ("RSASHA256", 8),
        ("RSASHA512", 10),
        ("ECC-GOST", 12),
        ("ECDSAP256SHA256", 13),
        ("ECDSAP384SHA384", 14),
        ("ED25519", 15),
        ("ED448", 16),
        ("PRIVATEDNS", 253),
    ];
    number_or_name(field, NAMES)
}

fn certificate(field: &lex::Field<'_>) -> Option<u16> {
    const NAMES: &[(&str, u16)] = &[
        ("PKIX", 1),
        ("SPKI", 2),
        ("PGP", 3),
        ("IPKIX", 4),
        ("ISPKI", 5),
        ("IPGP", 6),
        ("ACPKIX", 7),
        ("IACPKIX", 8),
        ("URI", 253),
        ("OID", 254),
    ];
    number_or_name(field, NAMES)
}

fn number_or_name<T: Copy + TryFrom<u32>>(field: &lex::Field<'_>, names: &[(&str, T)]) -> Option<T> {
    match number::plain(field.text) {
        Some(number) => T::try_from(number).ok(),
        None => {
            names.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(field.text)).map(|(_, number)| *number)
        }
    }
}

fn locator(text: &str) -> Option<[u8; 8]> {
    let mut groups = text.split(':').map(|group| {
        let plain = (1..=4).contains(&group.len()) && group.bytes().all(|octet| octet.is_ascii_hexdigit());
        plain.then(|| u16::from_str_radix(group, 16).ok()).flatten()
    });
    let mut octets = [0; 8];
    for place in octets.chunks_mut(2) {
        place.copy_from_slice(&groups.next()??.to_be_bytes());
    }
    groups.next().is_none().then_some(octets)
}

fn dashed(field: &lex::Field<'_>, count: usize) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(count);
    for pair in field.text.split(|octet| *octet == b'-') {
        octets.extend(HEXUPPER_PERMISSIVE.decode(pair).ok().filter(|octets| octets.len() == 1)?);
    }
    (octets.len() == count).then_some(octets)
}
