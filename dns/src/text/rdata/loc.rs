//! Places on the earth (RFC 1876): `d1 [m1 [s1]] N|S d2 [m2 [s2]] E|W altitude[m] [size[m] [horizontal[m] [vertical[m]]]]`.

use std::fmt::Write as _;

use super::part::by;
use crate::text::fields::Fields;
use crate::text::lex::Problem;
use crate::text::number;

/// The equator and the meridian of Greenwich, in thousandths of a second of arc.
const MIDDLE: i64 = 1 << 31;
/// The altitude zero, in centimetres above the lowest that can be said.
const SEA_LEVEL: i64 = 10_000_000;
/// Thousandths of a second of arc in a degree.
const DEGREE: i64 = 3_600_000;
/// Size, horizontal and vertical precision where they are not given: 1 m, 10 km, 10 m (RFC 1876, 3).
const USUAL: [u8; 3] = [0x12, 0x16, 0x13];

pub(super) fn parse(fields: &mut Fields<'_, '_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let latitude = angle(fields, "a latitude like 52 22 23.000 N", 90, [b"N", b"S"])?;
    let longitude = angle(fields, "a longitude like 4 53 32.000 E", 180, [b"E", b"W"])?;
    let altitude = by(fields, "an altitude like -2.00m", |field| {
        let centimetres = metres(field.text)? + SEA_LEVEL;
        u32::try_from(centimetres).ok()
    })?;
    let mut sizes = USUAL;
    for size in &mut sizes {
        if fields.peek().is_some() {
            *size = by(fields, "a size like 10m", |field| exponent(metres(field.text)?))?;
        }
    }
    out.push(0);
    out.extend_from_slice(&sizes);
    for number in [latitude, longitude, altitude] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    Ok(())
}

/// Version 0, sizes of decimal digits, and angles that exist.
pub(super) fn is_right(octets: &[u8]) -> bool {
    let [0, sizes @ .., _, _, _, _, _, _, _, _, _, _, _, _] = octets else { return false };
    let Some([latitude, longitude, _]) = numbers(octets) else { return false };
    // Zero has one form only that is written.
    let is_size = |size: &u8| (size >> 4) <= 9 && (size & 15) <= 9 && (size >> 4 != 0 || *size == 0);
    let within = |number: u32, degrees: i64| (i64::from(number) - MIDDLE).abs() <= degrees * DEGREE;
    sizes.len() == 3 && sizes.iter().all(is_size) && within(latitude, 90) && within(longitude, 180)
}

pub(super) fn show(octets: &[u8], out: &mut String) {
    let Some([latitude, longitude, altitude]) = numbers(octets) else { return };
    for (number, [plus, minus]) in [(latitude, ["N", "S"]), (longitude, ["E", "W"])] {
        let angle = i64::from(number) - MIDDLE;
        let (side, angle) = if angle < 0 { (minus, -angle) } else { (plus, angle) };
        let (degrees, minutes) = (angle / DEGREE, angle / 60_000 % 60);
        let (seconds, thousandths) = (angle / 1_000 % 60, angle % 1_000);
        let _ = write!(out, "{degrees} {minutes} {seconds}.{thousandths:03} {side} ");
    }
    let altitude = i64::from(altitude) - SEA_LEVEL;
    let minus = if altitude < 0 { "-" } else { "" };
    let _ = write!(out, "{minus}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100);
    for size in &octets[1..4] {
        let centimetres = u64::from(size >> 4) * 10u64.pow(u32::from(size & 15).min(9));
        let _ = write!(out, " {}.{:02}m", centimetres / 100, centimetres % 100);
    }
}

fn numbers(octets: &[u8]) -> Option<[u32; 3]> {
    let (numbers, _) = octets.get(4..)?.as_chunks::<4>();
    let [a, b, c] = numbers else { return None };
    Some([a, b, c].map(|octets| u32::from_be_bytes(*octets)))
}

/// Degrees, perhaps minutes and seconds, and the side.
fn angle(fields: &mut Fields<'_, '_>, what: &'static str, most: i64, sides: [&[u8]; 2]) -> Result<u32, Problem> {
    let degrees = by(fields, what, |field| number::plain(field.text))?;
    let mut angle = i64::from(degrees) * DEGREE;
    // Minutes, then thousandths of a second; the side can come before either.
    for unit in [60_000, 1, 0] {
        let field = fields.take(what)?;
        if let Some(side) = sides.iter().position(|side| side.eq_ignore_ascii_case(field.text)) {
            let signed = if side == 0 { angle } else { -angle };
            return u32::try_from(signed + MIDDLE)
                .ok()
                .filter(|_| angle <= most * DEGREE)
                .ok_or_else(|| field.wrong(what));
        }
        let count = match unit {
            60_000 => number::plain(field.text).map(i64::from).filter(|minutes| *minutes < 60),
            1 => decimal(field.text, 3).filter(|thousandths| *thousandths < 60_000),
            _ => None,
        };
        angle += count.ok_or_else(|| field.wrong(what))? * unit;
    }
    Err(fields.take(what).map_or_else(|problem| problem, |field| field.wrong(what)))
}

/// A length in metres, with or without its unit, in centimetres.
fn metres(text: &[u8]) -> Option<i64> {
    let text = text.strip_suffix(b"m").or(text.strip_suffix(b"M")).unwrap_or(text);
    match text.strip_prefix(b"-") {
        Some(text) => decimal(text, 2).map(|number| -number),
        None => decimal(text, 2),
    }
}

/// A number with up to so many digits after the point, in units of the last.
fn decimal(text: &[u8], digits: usize) -> Option<i64> {
    let mut halves = text.splitn(2, |octet| *octet == b'.');
    let (whole, fraction) = (halves.next()?, halves.next().unwrap_or_default());
    if fraction.len() > digits {
        return None;
    }
    let part = if fraction.is_empty() { 0 } else { i64::from(number::plain(fraction)?) };
    let scale = |count: usize| 10i64.pow(count as u32);
    Some(i64::from(number::plain(whole)?) * scale(digits) + part * scale(digits - fraction.len()))
}

/// Centimetres as one digit and a power of ten, cut off.
fn exponent(centimetres: i64) -> Option<u8> {
    let (mut digit, mut power) = (u64::try_from(centimetres).ok()?, 0u8);
    while digit > 9 {
        digit /= 10;
        power += 1;
    }
    (power <= 9).then_some((digit as u8) << 4 | power)
}
