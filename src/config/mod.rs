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

pub use duration::{DurationError, parse_duration};
pub use problem::{ConfigError, Problem};
pub use settings::{Check, CheckProbe, Cost, Dmz, KeySource, Lan, MacMode, Settings};
pub use surroundings::{KeyFault, Surroundings};

/// A complete configuration with every key and its default explained; `gatehouse config example` prints it.
pub const EXAMPLE: &str = include_str!("example.toml");

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
    let mut findings = problem::Findings::default();
    let settings = reading::read(text, &mut findings).and_then(|file| {
        let folder = Path::new(file_name).parent().unwrap_or(Path::new("")).to_owned();
        checking::Checker { findings: &mut findings, surroundings, folder }.settings(file)
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

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let length = std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if length as u64 > MAX_FILE { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}
