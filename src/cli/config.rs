//! `gatehouse config`: what is wrong with a configuration, and an example of a right one.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::args::Output;
use super::paint::{Paint, clean};
use crate::config::{self, ConfigError, EXAMPLE, Problem, Settings};

/// The answer of `config check --json`.
#[derive(Debug, Serialize)]
struct Verdict {
    file: String,
    ok: bool,
    problems: Vec<Place>,
}

/// One problem and where it is.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Place {
    /// From 1; 0 if the file could not be read.
    line: usize,
    /// From 1, in characters; 0 if the file could not be read.
    column: usize,
    message: String,
    help: Option<String>,
}

/// Reads the configuration as the daemon would. What is wrong with it is the error.
pub fn check(file: &Path, output: Output) -> anyhow::Result<()> {
    let checked = config::load(file);
    if output.json {
        let problems = checked.as_ref().err().map_or_else(Vec::new, places);
        let verdict = Verdict { file: file.display().to_string(), ok: problems.is_empty(), problems };
        return super::print(output, &verdict, |_| String::new())
            .and(checked.map(drop).map_err(|_| super::Told.into()));
    }
    let settings = checked?;
    let paint = Paint::detect();
    writeln!(io::stdout(), "{} {}", paint.good(&format!("{} is right:", file.display())), summary(&settings))?;
    Ok(())
}

/// Prints a configuration to start from.
pub fn example() -> anyhow::Result<()> {
    Ok(io::stdout().write_all(EXAMPLE.as_bytes())?)
}

fn summary(settings: &Settings) -> String {
    let v4 = settings.dmz.v4.map(|(address, prefix)| format!("{address}/{prefix}"));
    let v6 = settings.dmz.v6.map(|(address, prefix)| format!("{address}/{prefix}"));
    let dmz = [v4, v6].into_iter().flatten().collect::<Vec<_>>().join(" and ");
    let (name, interface) = (clean(&settings.name), clean(&settings.lan.interface));
    let checks = match settings.checks.len() {
        0 => "no health checks".to_owned(),
        1 => "1 health check".to_owned(),
        count => format!("{count} health checks"),
    };
    format!("{name} shares {dmz} on {interface}, a beacon every {:?}, {checks}", settings.lan.timing.beacon)
}

fn places(error: &ConfigError) -> Vec<Place> {
    match error {
        ConfigError::Unreadable { .. } => {
            vec![Place { line: 0, column: 0, message: error.to_string(), help: None }]
        }
        ConfigError::Invalid { text, problems, .. } => problems.iter().map(|problem| place(text, problem)).collect(),
    }
}

fn place(text: &str, problem: &Problem) -> Place {
    let before = text.get(..problem.span.start).unwrap_or(text);
    Place {
        line: before.matches('\n').count() + 1,
        column: before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1,
        message: problem.message.clone(),
        help: problem.help.clone(),
    }
}
