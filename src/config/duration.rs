//! Spans of time as people write them: `100ms`, `1.5s`, `2m`, `1h`, `90d`.

use std::time::Duration;

/// The longest span that can be written; longer ones are typing errors.
const LONGEST: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

/// Why a text is no span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// No digits, more than one point, or something before the digits.
    #[error("a duration starts with a number")]
    NoNumber,
    /// No unit, or none that is known.
    #[error("a duration ends with its unit: `us`, `ms`, `s`, `m`, `h` or `d`")]
    NoUnit,
    /// Finer than a nanosecond.
    #[error("a duration has at most nanosecond precision")]
    TooFine,
    /// More than ten years.
    #[error("a duration is at most 3650 d")]
    TooLong,
}

/// The span that `text` says: a decimal number and a unit (`us`, `ms`, `s`, `m`, `h`, `d`) without anything between.
///
/// # Errors
/// The first rule that `text` breaks.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() && !fraction.contains('.') => (whole, fraction),
        Some(_) => return Err(DurationError::NoNumber),
        None => (number, ""),
    };
    if whole.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let nanos_in_unit: u128 = match unit {
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(DurationError::NoUnit),
    };
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 12 {
        return Err(DurationError::TooFine);
    }
    // Digits only by now: these parses fail on length alone.
    let whole: u64 = whole.parse().map_err(|_| DurationError::TooLong)?;
    let digits: u128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| DurationError::TooFine)? };
    let scale = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| DurationError::TooFine)?);
    if !(digits * nanos_in_unit).is_multiple_of(scale) {
        return Err(DurationError::TooFine);
    }
    let nanos = u128::from(whole) * nanos_in_unit + digits * nanos_in_unit / scale;
    match u64::try_from(nanos).map(Duration::from_nanos) {
        Ok(span) if span <= LONGEST => Ok(span),
        _ => Err(DurationError::TooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write() {
        let cases = [
            ("100ms", Duration::from_millis(100)),
            ("1.5s", Duration::from_millis(1500)),
            ("12.5ms", Duration::from_micros(12_500)),
            ("0s", Duration::ZERO),
            ("2m", Duration::from_secs(120)),
            ("1.50h", Duration::from_secs(5400)),
            ("250us", Duration::from_micros(250)),
            ("90d", Duration::from_secs(90 * 86_400)),
            ("3650d", LONGEST),
        ];
        for (text, span) in cases {
            assert_eq!(parse_duration(text), Ok(span), "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        let cases = [
            ("", DurationError::NoNumber),
            ("s", DurationError::NoNumber),
            ("-1s", DurationError::NoNumber),
            (".5s", DurationError::NoNumber),
            ("1.s", DurationError::NoNumber),
            ("1.2.3s", DurationError::NoNumber),
            ("100", DurationError::NoUnit),
            ("100 ms", DurationError::NoUnit),
            ("1w", DurationError::NoUnit),
            ("1msé", DurationError::NoUnit),
            ("0.5us1", DurationError::NoUnit),
            ("0.0000000001s", DurationError::TooFine),
            ("0.00000000000000000000001s", DurationError::TooFine),
            ("87601h", DurationError::TooLong),
            ("99999999999999999999999999999h", DurationError::TooLong),
            ("18446744073709551615h", DurationError::TooLong),
        ];
        for (text, error) in cases {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }
}
