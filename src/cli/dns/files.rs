//! Key files and zone files: made and checked without any daemon.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum as _;
use dns::name::Name;
use dns::settings::{Algorithm, Key};
use dns::sign::keys;
use dns::text::{Faults, Source, read_zone};
use dns::zone::Zone;
use serde::Serialize;

use super::args::{Form, Mac};
use crate::api::dns::plain;
use crate::cli::args::Output;
use crate::cli::paint::Paint;
use crate::cli::print;
use crate::clock;
use crate::config::EXIT_CODE;

/// A key that was made, for programs.
#[derive(Debug, Serialize)]
struct Made {
    name: String,
    /// As in the configuration and in key files.
    algorithm: String,
    /// The new file, if one was to be written.
    file: Option<String>,
    /// The text of a key file, if none was.
    text: Option<String>,
}

/// Makes a key and prints it, or writes it into a new file.
pub fn new_key(name: Name, algorithm: Mac, form: Form, out: Option<PathBuf>, output: Output) -> anyhow::Result<()> {
    let word = algorithm.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let algorithm = match algorithm {
        Mac::HmacSha256 => Algorithm::HmacSha256,
        Mac::HmacSha384 => Algorithm::HmacSha384,
        Mac::HmacSha512 => Algorithm::HmacSha512,
    };
    let random = clock::random_bytes::<64>().context("the kernel has no random numbers yet; try again")?;
    let secret = random.get(..keys::secret_len(algorithm)).unwrap_or(&random);
    let key = Key { name, algorithm, secret: secret.into() };
    let text = match form {
        Form::Bind => keys::to_clause(&key),
        Form::Line => keys::to_line(&key),
    };
    let text = text.context("a key of this kind has no such form")?;
    let name = plain(&key.name);
    let Some(path) = out else {
        let made = Made { name, algorithm: word, file: None, text: Some(text) };
        return print(output, &made, |made| made.text.clone().unwrap_or_default());
    };
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = file.with_context(|| format!("cannot make {}", path.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    let made = Made { name, algorithm: word, file: Some(path.display().to_string()), text: None };
    print(output, &made, |made| {
        format!("{}: secret = {{ file = \"{}\" }} under [[dns.key]]\n", made.name, path.display())
    })
}

/// What is wrong with a zone file, for programs.
#[derive(Debug, Serialize)]
struct Verdict {
    file: String,
    ok: bool,
    records: usize,
    problems: Vec<Place>,
}

#[derive(Debug, Serialize)]
struct Place {
    file: String,
    line: u32,
    column: u32,
    message: String,
}

/// Checks a zone file; the exit code is that of a wrong configuration if it is wrong.
pub fn check(apex: &Name, path: &Path, output: Output) -> anyhow::Result<ExitCode> {
    let read = read_file(apex, path)?;
    let problems = read.as_ref().err().map(places).unwrap_or_default();
    let records = read.as_ref().map_or(0, |zone| zone.records().count());
    let verdict = Verdict { file: path.display().to_string(), ok: problems.is_empty(), records, problems };
    let paint = Paint::detect();
    print(output, &verdict, |verdict| match &read {
        Ok(zone) => {
            let right = paint.good(&format!("{} is right:", verdict.file));
            format!("{right} {} records, serial {}\n", verdict.records, zone.serial().0)
        }
        Err(faults) => format!("{faults}\n"),
    })?;
    Ok(if verdict.ok { ExitCode::SUCCESS } else { ExitCode::from(EXIT_CODE) })
}

/// The zone in a file, or what is wrong with it; `$INCLUDE` reads beside the file.
pub fn read_file(apex: &Name, path: &Path) -> anyhow::Result<Result<Zone, Faults>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut include = |name: &str| std::fs::read(folder.join(name));
    let source = Source { file: Arc::from(path.display().to_string()), text: &text };
    Ok(read_zone(source, apex, &mut include))
}

fn places(faults: &Faults) -> Vec<Place> {
    let place = |fault: &dns::text::Fault| Place {
        file: fault.file.to_string(),
        line: fault.line,
        column: fault.column,
        message: fault.why.to_string(),
    };
    faults.list.iter().map(place).collect()
}
