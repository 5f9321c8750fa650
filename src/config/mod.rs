//! Text to settings that cannot be wrong.
//!
//! Three steps, each in its file: `reading` turns text into the shapes of `file` and finds unknown keys and wrong
//! types; `checking` with `lan` and `checks` turns shapes into [`Settings`] and finds contradictions; `problem`
//! shows what was found.
//!
//! **Invariants:** a problem never stops the search for the others; nothing falls back silently to a default; what the
//! machine contributes (host name, home, key file) enters by `Surroundings` alone.

mod checking;
mod checks;
mod dns;
mod duration;
mod file;
mod lan;
mod problem;
mod reading;
mod settings;
mod surroundings;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::{Path, PathBuf};

pub use dns::{Dns, DnsSettings, Dyndns, PublicSource, Register};
pub use duration::{DurationError, parse_duration};
pub use problem::{ConfigError, Problem};
pub use settings::{Check, CheckProbe, Cost, Dmz, KeySource, Lan, MacMode, Settings};
pub use surroundings::{KeyFault, Surroundings};

/// A complete configuration with every key and its default explained; `gatehouse config example` prints it.
pub const EXAMPLE: &str = include_str!("example.toml");

/// The same for `[dns]`; `gatehouse config example dns` prints it.
pub const EXAMPLE_DNS: &str = include_str!("example-dns.toml");

/// The exit code of every command that is given a configuration with problems.
pub const EXIT_CODE: u8 = 2;

/// No configuration is longer; a longer file is some other file.
const MAX_FILE: u64 = 1 << 20;

/// Reads and checks the configuration at `path`, and the key file it names. Changes nothing.
///
/// # Errors
/// When the file cannot be read, or with every problem found in it.
pub fn load(path: &Path) -> Result<Settings, ConfigError> {
    let text = read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(&text, &path.display().to_string())
}

/// Checks the configuration `text`, which came from `file_name`, on this machine. Relative paths in it start at the
/// folder of `file_name`.
///
/// # Errors
/// With every problem found.
pub fn parse(text: &str, file_name: &str) -> Result<Settings, ConfigError> {
    parse_within(text, file_name, &Surroundings::of_this_machine())
}

/// As [`parse`], on the machine that `surroundings` describes.
///
/// # Errors
/// With every problem found.
pub fn parse_within(text: &str, file_name: &str, surroundings: &Surroundings) -> Result<Settings, ConfigError> {
    checked(text, file_name, surroundings, |checker, file| checker.settings(file))
}

/// Reads and checks what `gatehouse dns serve` needs of the configuration at `path`, whatever it says of a site.
///
/// # Errors
/// As [`load`].
pub fn load_dns(path: &Path) -> Result<DnsSettings, ConfigError> {
    let text = read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let machine = Surroundings::of_this_machine();
    parse_dns_within(&text, &path.display().to_string(), &machine)
}

/// As [`load_dns`] for a text on the machine that `surroundings` describes.
///
/// # Errors
/// With every problem found.
pub fn parse_dns_within(text: &str, file_name: &str, surroundings: &Surroundings) -> Result<DnsSettings, ConfigError> {
    checked(text, file_name, surroundings, |checker, file| checker.dns_alone(file))
}

/// What a right configuration is for.
#[derive(Clone, Debug)]
pub enum Checked {
    /// A member of a site: `gatehouse run`.
    Member(Box<Settings>),
    /// DNS and no site: `gatehouse dns serve`.
    Dns(Box<DnsSettings>),
}

/// Checks the configuration at `path` for what it is for: one with `[dns]` and neither `[lan]` nor `[dmz]` serves DNS
/// alone.
///
/// # Errors
/// As [`load`].
pub fn check(path: &Path) -> Result<Checked, ConfigError> {
    let text = read(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    check_text(&text, &path.display().to_string())
}

/// As [`check`] for a text.
///
/// # Errors
/// With every problem found.
pub fn check_text(text: &str, file_name: &str) -> Result<Checked, ConfigError> {
    let machine = Surroundings::of_this_machine();
    let file = reading::read(text, &mut problem::Findings::default());
    if file.is_some_and(|file| file.dns.is_some() && file.lan.is_none() && file.dmz.is_none()) {
        return parse_dns_within(text, file_name, &machine).map(|settings| Checked::Dns(Box::new(settings)));
    }
    parse_within(text, file_name, &machine).map(|settings| Checked::Member(Box::new(settings)))
}

fn checked<T>(
    text: &str,
    file_name: &str,
    surroundings: &Surroundings,
    check: impl FnOnce(&mut checking::Checker<'_>, file::File) -> Option<T>,
) -> Result<T, ConfigError> {
    let mut findings = problem::Findings::default();
    let settings = reading::read(text, &mut findings).and_then(|file| {
        let folder = Path::new(file_name).parent().unwrap_or(Path::new("")).to_owned();
        check(&mut checking::Checker { findings: &mut findings, surroundings, folder }, file)
    });
    match settings {
        Some(settings) if findings.is_empty() => Ok(settings),
        _ => Err(findings.into_error(file_name, text)),
    }
}

/// Where the daemon's control socket is when nothing says otherwise.
pub fn default_control() -> PathBuf {
    let surroundings = Surroundings::of_this_machine();
    surroundings.control(&surroundings.state())
}

/// The state folder that the configuration at `path` names, whatever it is for.
///
/// # Errors
/// As [`check`].
pub fn state(path: &Path) -> Result<PathBuf, ConfigError> {
    Ok(match check(path)? {
        Checked::Member(settings) => settings.state,
        Checked::Dns(settings) => settings.state,
    })
}

/// The state folder when nothing says otherwise.
pub fn default_state() -> PathBuf {
    Surroundings::of_this_machine().state()
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let length = std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_FILE { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}
