//! The zones that are served, and the questions about them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The apex of every zone here.
pub const APEX: &str = "bench.test";
/// Questions in a file; dnsperf begins again at its end.
const QUESTIONS: usize = 100_000;

/// A zone file with its questions.
pub struct Zone {
    /// In master-file form.
    pub file: PathBuf,
    /// Questions about names that exist, in no order.
    pub existing: PathBuf,
    /// Questions about names that do not.
    pub missing: PathBuf,
    /// How many names there are.
    pub names: usize,
}

impl Zone {
    /// Writes the files into a folder: names `n0`, `n1`, … with one address each.
    pub fn write(folder: &Path, names: usize) -> Result<Self> {
        let path = |name: &str| folder.join(format!("{names}.{name}"));
        let zone = Self { file: path("zone"), existing: path("existing"), missing: path("missing"), names };
        let mut text =
            format!("$ORIGIN {APEX}.\n$TTL 300\n@ SOA ns admin 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n");
        for name in 0..names {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "n{name} A 10.{}.{}.{}", name >> 16 & 0xff, name >> 8 & 0xff, name & 0xff);
        }
        let save = |path: &Path, text: &str| fs::write(path, text).with_context(|| path.display().to_string());
        save(&zone.file, &text)?;
        let (mut existing, mut missing, mut state) = (String::new(), String::new(), 1_u64);
        for _ in 0..QUESTIONS {
            // Marsaglia's xorshift64: the same questions in every round.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let name = state % names as u64;
            let _ = writeln!(existing, "n{name}.{APEX} A");
            let _ = writeln!(missing, "x{name}.{APEX} A");
        }
        save(&zone.existing, &existing)?;
        save(&zone.missing, &missing)?;
        Ok(zone)
    }
}

/// Writes updates for dnsperf: each adds an address to a name of its own and takes away the one that the round before
/// has left, so that the zone stays as large as it is.
pub fn write_updates(path: &Path) -> Result<()> {
    const UPDATES: usize = 50_000;
    let mut text = String::new();
    for update in 0..UPDATES {
        let _ = writeln!(
            text,
            "{APEX}\ndelete u{update} A\nadd u{update} 300 A 10.9.{}.{}\nsend",
            update >> 8 & 0xff,
            update & 0xff
        );
    }
    fs::write(path, text).with_context(|| path.display().to_string())
}
