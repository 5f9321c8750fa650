//! The parameters of SVCB and HTTPS records (RFC 9460): `key=value`, in ascending order on the wire, no key twice.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use data_encoding::BASE64;

use super::part::{push16, quote};
use crate::text::fields::{Fields, unescape};
use crate::text::lex::Problem;
use crate::text::number;

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const V4_HINT: u16 = 4;
const ECH: u16 = 5;
const V6_HINT: u16 = 6;
const OHTTP: u16 = 8;
/// The keys that have names, by number.
const NAMES: [&str; 9] =
    ["mandatory", "alpn", "no-default-alpn", "port", "ipv4hint", "ech", "ipv6hint", "dohpath", "ohttp"];

pub(super) fn parse(fields: &mut Fields<'_, '_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let mut parameters = BTreeMap::new();
    while let Some(field) = fields.peek() {
        fields.take("a parameter")?;
        let mut halves = field.text.splitn(2, |octet| *octet == b'=');
        let key = halves.next().and_then(key).ok_or_else(|| field.wrong("a parameter like alpn=h2"))?;
        let text = halves.next().unwrap_or_default();
        let text = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
        let value = value(key, text).filter(|value| is_value(key, value));
        let value = value.ok_or_else(|| field.wrong("a value of the right form"))?;
        if parameters.insert(key, value).is_some() {
            return Err(field.wrong("each parameter once"));
        }
    }
    for (key, value) in parameters {
        push16(key.into(), out);
        push16(value.len() as u32, out);
        out.extend(value);
    }
    Ok(())
}

pub(super) fn is_right(octets: &[u8]) -> bool {
    let (mut rest, mut least) = (octets, 0u32);
    while let Some((key, value, after)) = next(rest) {
        if u32::from(key) < least || !is_value(key, value) {
            return false;
        }
        (least, rest) = (u32::from(key) + 1, after);
    }
    rest.is_empty()
}

pub(super) fn show(octets: &[u8], out: &mut String) {
    let (mut rest, mut between) = (octets, "");
    while let Some((key, value, after)) = next(rest) {
        out.push_str(between);
        show_key(key, out);
        if !value.is_empty() {
            out.push('=');
            show_value(key, value, out);
        }
        (rest, between) = (after, " ");
    }
}

fn next(octets: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let [a, b, c, d, rest @ ..] = octets else { return None };
    let (value, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([*c, *d])))?;
    Some((u16::from_be_bytes([*a, *b]), value, after))
}

fn key(text: &[u8]) -> Option<u16> {
    if let Some(known) = NAMES.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(text)) {
        return Some(known as u16);
    }
    let (word, digits) = text.split_at_checked(3)?;
    // 65535 is no key (RFC 9460, 14.3.2).
    number::plain(digits).filter(|key| word.eq_ignore_ascii_case(b"key") && *key < 65_535).map(|key| key as u16)
}

fn show_key(key: u16, out: &mut String) {
    match NAMES.get(usize::from(key)) {
        Some(name) => out.push_str(name),
        None => {
            let _ = write!(out, "key{key}");
        }
    }
}

/// The octets that a value means.
fn value(key: u16, text: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(text.len());
    unescape(text, &mut plain)?;
    let word = || std::str::from_utf8(&plain).ok();
    let octets = match key {
        MANDATORY => {
            let mut keys = plain.split(|octet| *octet == b',').map(self::key).collect::<Option<Vec<u16>>>()?;
            keys.sort_unstable();
            keys.iter().flat_map(|key| key.to_be_bytes()).collect()
        }
        ALPN => {
            let mut octets = Vec::with_capacity(plain.len() + 1);
            for protocol in list(&plain)? {
                octets.push(u8::try_from(protocol.len()).ok()?);
                octets.extend(protocol);
            }
            octets
        }
        PORT => u16::try_from(number::plain(&plain)?).ok()?.to_be_bytes().to_vec(),
        V4_HINT => {
            let addresses = word()?.split(',').map(|address| address.parse::<Ipv4Addr>().ok());
            addresses.map(|address| address.map(|address| address.octets())).collect::<Option<Vec<_>>>()?.concat()
        }
        V6_HINT => {
            let addresses = word()?.split(',').map(|address| address.parse::<Ipv6Addr>().ok());
            addresses.map(|address| address.map(|address| address.octets())).collect::<Option<Vec<_>>>()?.concat()
        }
        ECH => BASE64.decode(&plain).ok()?,
        _ => plain,
    };
    (octets.len() <= usize::from(u16::MAX)).then_some(octets)
}

fn show_value(key: u16, value: &[u8], out: &mut String) {
    let mut between = "";
    match key {
        MANDATORY => {
            for key in value.as_chunks::<2>().0 {
                out.push_str(between);
                show_key(u16::from_be_bytes(*key), out);
                between = ",";
            }
        }
        PORT => {
            let port = value.iter().fold(0u16, |port, octet| port << 8 | u16::from(*octet));
            let _ = write!(out, "{port}");
        }
        V4_HINT => {
            for address in value.as_chunks::<4>().0 {
                let _ = write!(out, "{between}{}", Ipv4Addr::from(*address));
                between = ",";
            }
        }
        V6_HINT => {
            for address in value.as_chunks::<16>().0 {
                let _ = write!(out, "{between}{}", Ipv6Addr::from(*address));
                between = ",";
            }
        }
        ECH => BASE64.encode_append(value, out),
        ALPN => {
            let (mut rest, mut listed) = (value, Vec::with_capacity(value.len()));
            while let Some((protocol, after)) = protocol(rest) {
                listed.extend_from_slice(between.as_bytes());
                for &octet in protocol {
                    if matches!(octet, b',' | b'\\') {
                        listed.push(b'\\');
                    }
                    listed.push(octet);
                }
                (rest, between) = (after, ",");
            }
            quote(&listed, out);
        }
        _ => quote(value, out),
    }
}

/// Whether the octets are a value of the key.
fn is_value(key: u16, value: &[u8]) -> bool {
    match key {
        MANDATORY => {
            let (keys, rest) = value.as_chunks::<2>();
            let keys: Vec<u16> = keys.iter().map(|key| u16::from_be_bytes(*key)).collect();
            rest.is_empty() && !keys.is_empty() && keys[0] != MANDATORY && keys.is_sorted_by(|a, b| a < b)
        }
        ALPN => {
            let mut rest = value;
            while let Some((_, after)) = protocol(rest) {
                rest = after;
            }
            rest.is_empty() && !value.is_empty()
        }
        NO_DEFAULT_ALPN | OHTTP => value.is_empty(),
        PORT => value.len() == 2,
        V4_HINT => !value.is_empty() && value.len().is_multiple_of(4),
        V6_HINT => !value.is_empty() && value.len().is_multiple_of(16),
        ECH => !value.is_empty(),
        u16::MAX => false,
        _ => true,
    }
}

/// The first protocol of a list on the wire, which is not empty, and the rest.
fn protocol(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = octets.split_first().filter(|(len, _)| **len > 0)?;
    rest.split_at_checked(usize::from(*len))
}

/// The members of a list with commas; a backslash before a comma or a backslash makes it part of a member
/// (RFC 9460, A.1).
fn list(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut members, mut at) = (vec![Vec::new()], 0);
    while let Some(&octet) = text.get(at) {
        let member = members.last_mut()?;
        match (octet, text.get(at + 1)) {
            (b'\\', Some(next @ (b',' | b'\\'))) => {
                member.push(*next);
                at += 1;
            }
            (b'\\', _) => return None,
            (b',', _) => members.push(Vec::new()),
            _ => member.push(octet),
        }
        at += 1;
    }
    members.iter().all(|member| !member.is_empty()).then_some(members)
}
