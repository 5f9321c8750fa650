//! Colours where they help, tables, and words for times. Pure but for asking the
//! terminal what it can show.

use std::io::IsTerminal;

/// Colours text, or leaves it alone.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    colours: bool,
}

impl Paint {
    /// Never any colour.
    #[cfg(test)]
    pub const PLAIN: Paint = Paint { colours: false };

    /// Colours if standard output can show them.
    pub fn detect() -> Paint {
        Paint { colours: shows_colours(&std::io::stdout()) }
    }

    /// For a heading.
    pub fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// For what is well.
    pub fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// For what needs a look.
    pub fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }

    /// For what is wrong.
    pub fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// For what may be passed over.
    pub fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether `stream` is a terminal that can show colours; `NO_COLOR` says no (<https://no-color.org>).
pub fn shows_colours(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    stream.is_terminal() && !set("NO_COLOR") && !dumb
}

/// Text that came over the network, safe to print: no control character reaches the terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Columns as wide as their widest cell.
pub fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let width = |cell: &String| cell.chars().count();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().filter_map(|row| row.get(column)).map(width).max().unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A span of milliseconds in the largest units that say it: `40 ms`, `3.2 s`, `5 min`, `2 h 5 min`, `3 d 4 h`.
pub fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    let pair = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{seconds}.{} s", millis % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..600 => pair(seconds / 60, "min", seconds % 60, "s"),
        600..3600 => format!("{} min", seconds / 60),
        3600..86_400 => pair(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// A wall-clock moment, milliseconds since 1970, as `2026-11-22 06:30:01.250Z`; UTC, because the members of a site
/// and their logs need not share a time zone.
pub fn moment(at_ms: u64) -> String {
    let (days, in_day) = (at_ms / 86_400_000, at_ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (second, milli) = (in_day / 1000 % 60, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The date `days` after 1970-01-01, counted in eras of 400 years that begin on a first of March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0), "1970-01-01 00:00:00.000Z");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00.000Z");
        assert_eq!(moment(1_709_251_199_999), "2024-02-29 23:59:59.999Z");
        assert_eq!(moment(4_107_542_400_000), "2100-03-01 00:00:00.000Z");
    }

    #[test]
    fn spans_are_short() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (3_250, "3.2 s"),
            (59_999, "59 s"),
            (61_000, "1 min 1 s"),
            (660_000, "11 min"),
            (7_500_000, "2 h 5 min"),
            (7_200_000, "2 h"),
            (273_600_000, "3 d 4 h"),
        ];
        for (millis, text) in cases {
            assert_eq!(span(millis), text);
        }
    }

    #[test]
    fn nothing_from_the_network_reaches_the_terminal_raw() {
        assert_eq!(clean("a\x1b[2J\nb\u{9b}"), "a\u{fffd}[2J\u{fffd}b\u{fffd}");
    }

    #[test]
    fn columns_line_up() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned);
        assert_eq!(table(&[row(["é", "x"]), row(["long", ""])]), ["é     x", "long"]);
    }
}
