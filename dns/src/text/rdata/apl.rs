//! Lists of address prefixes (RFC 3123): `!` for those left out, the family's number, the address, the prefix length.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::part::{by, push16};
use crate::text::fields::Fields;
use crate::text::lex::Problem;
use crate::text::number;

struct Item<'a> {
    family: u16,
    prefix: u8,
    left_out: bool,
    /// Without the zeros at the end.
    address: &'a [u8],
}

pub(super) fn parse(fields: &mut Fields<'_, '_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    while fields.peek().is_some() {
        by(fields, "a prefix like 1:192.0.2.0/24", |field| item(field.word()?, out))?;
    }
    Ok(())
}

pub(super) fn is_right(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some((item, after)) = next(rest) {
        let most = if item.family == 1 { 4 } else { 16 };
        let known = matches!(item.family, 1 | 2) && usize::from(item.prefix) <= most * 8;
        if !known || item.address.len() > most || item.address.last() == Some(&0) {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

pub(super) fn show(octets: &[u8], out: &mut String) {
    let (mut rest, mut between) = (octets, "");
    while let Some((item, after)) = next(rest) {
        let mut whole = [0; 16];
        let len = item.address.len().min(whole.len());
        whole[..len].copy_from_slice(&item.address[..len]);
        let address: IpAddr = match item.family {
            1 => Ipv4Addr::new(whole[0], whole[1], whole[2], whole[3]).into(),
            _ => Ipv6Addr::from(whole).into(),
        };
        let not = if item.left_out { "!" } else { "" };
        let _ = write!(out, "{between}{not}{}:{address}/{}", item.family, item.prefix);
        (rest, between) = (after, " ");
    }
}

fn item(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let (left_out, text) = text.strip_prefix('!').map_or((0, text), |text| (0x80, text));
    let (family, text) = text.split_once(':')?;
    let (address, prefix) = text.rsplit_once('/')?;
    let prefix = number::plain(prefix.as_bytes())?;
    let (family, octets) = match family {
        "1" => (1, address.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
        "2" => (2, address.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
        _ => return None,
    };
    if prefix as usize > octets.len() * 8 {
        return None;
    }
    let len = octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
    push16(family, out);
    out.extend_from_slice(&[prefix as u8, left_out | len as u8]);
    out.extend_from_slice(&octets[..len]);
    Some(())
}

fn next(octets: &[u8]) -> Option<(Item<'_>, &[u8])> {
    let [high, low, prefix, len, rest @ ..] = octets else { return None };
    let (address, after) = rest.split_at_checked(usize::from(len & 0x7f))?;
    let family = u16::from_be_bytes([*high, *low]);
    Some((Item { family, prefix: *prefix, left_out: len & 0x80 != 0, address }, after))
}
