//! Numbers, periods and dates in text.

/// A decimal number of digits only.
pub(super) fn plain(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u32, |value, octet| {
        let digit = octet.is_ascii_digit().then(|| u32::from(octet - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

/// Seconds, either as a number or with units: `1h30m`, `2w`.
pub(super) fn seconds(text: &[u8]) -> Option<u32> {
    if text.last()?.is_ascii_digit() {
        return plain(text);
    }
    let (mut total, mut rest) = (0u32, text);
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|octet| octet.is_ascii_digit()).count();
        let (number, unit) = rest.split_at(digits);
        let factor = match unit.first()?.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3_600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(plain(number)?.checked_mul(factor)?)?;
        rest = &unit[1..];
    }
    Some(total)
}

/// A time as `YYYYMMDDhhmmss` in UTC, or as seconds since 1970 (RFC 4034, 3.2); as the latter, around the end of 32 bits.
pub(super) fn time(text: &[u8]) -> Option<u32> {
    if text.len() != 14 {
        return plain(text);
    }
    let part = |from: usize, to: usize| plain(&text[from..to]).map(i64::from);
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    if !(1970..).contains(&year) || !(1..=12).contains(&month) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let next_month = if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
    if day < 1 || days(year, month, day) >= next_month {
        return None;
    }
    Some((days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second) as u32)
}

/// A time of [`time`] as its digits; times are taken as before 2106.
pub(super) fn date(time: u32) -> String {
    let (day, second) = (i64::from(time / 86_400), time % 86_400);
    // The last year that begins no later; the estimate is never too early and at most one too late.
    let mut year = 1970 + day / 365;
    while days(year, 1, 1) > day {
        year -= 1;
    }
    let month = (1..=12).rev().find(|month| days(year, *month, 1) <= day).unwrap_or(1);
    let day = day - days(year, month, 1) + 1;
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March end with the leap day, so that the days before a month follow one formula.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_have_units() {
        for (text, value) in [
            ("0", Some(0)),
            ("1h30m", Some(5_400)),
            ("2W1d", Some(1_296_000)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("8000w", None),
            ("1h30", None),
            ("h", None),
            ("", None),
            ("1x", None),
            ("-1", None),
        ] {
            assert_eq!(seconds(text.as_bytes()), value, "{text}");
        }
    }

    #[test]
    fn times_are_dates() {
        for (text, value) in [
            ("19700101000000", Some(0)),
            ("20000229235959", Some(951_868_799)),
            ("20261122093015", Some(1_795_339_815)),
            ("21060207062815", Some(u32::MAX)),
            ("951868799", Some(951_868_799)),
            ("20261322093015", None),
            ("20260229093015", None),
            ("2026112209301x", None),
        ] {
            assert_eq!(time(text.as_bytes()), value, "{text}");
        }
        for day in 0..=u32::MAX / 86_400 {
            let at = day.saturating_mul(86_400);
            assert_eq!(time(date(at).as_bytes()), Some(at));
        }
        assert_eq!(date(951_868_799), "20000229235959");
    }
}
