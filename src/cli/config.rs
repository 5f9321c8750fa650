//! `gatehouse config`: what is wrong with a configuration, and an example of a right one.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::args::{Example, Output};
use super::paint::{Paint, clean};
use crate::api::dns::plain;
use crate::config::{self, Checked, ConfigError, Dns, EXAMPLE, EXAMPLE_DNS, Problem, Settings};

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
    let checked = config::check(file);
    if output.json {
        let problems = checked.as_ref().err().map_or_else(Vec::new, places);
        let verdict = Verdict { file: file.display().to_string(), ok: problems.is_empty(), problems };
        return super::print(output, &verdict, |_| String::new())
            .and(checked.map(drop).map_err(|_| super::Told.into()));
    }
    let summary = match checked? {
        Checked::Member(settings) => summary(&settings),
        Checked::Dns(settings) => format!("for `gatehouse dns serve`: {}", summary_of_dns(&settings.dns)),
    };
    let paint = Paint::detect();
    writeln!(io::stdout(), "{} {summary}", paint.good(&format!("{} is right:", file.display())))?;
    Ok(())
}

/// Prints a configuration to start from.
pub fn example(part: Example) -> anyhow::Result<()> {
    let text = match part {
        Example::Site => EXAMPLE,
        Example::Dns => EXAMPLE_DNS,
    };
    Ok(io::stdout().write_all(text.as_bytes())?)
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
    let beacon = settings.lan.timing.beacon;
    let dns = settings.dns.as_ref().map_or_else(String::new, |dns| format!(", {}", summary_of_dns(dns)));
    format!("{name} shares {dmz} on {interface}, a beacon every {beacon:?}, {checks}{dns}")
}

fn summary_of_dns(dns: &Dns) -> String {
    let zones = match dns.server.zones.len() {
        0 => "no zone".to_owned(),
        1 => "1 zone".to_owned(),
        count => format!("{count} zones"),
    };
    let register = dns.register.as_ref();
    let register = register.map_or_else(String::new, |register| {
        let nowhere = register.public.is_none() && !register.site.is_empty();
        let unknown = if nowhere { " without a site: nothing says what its `public` address is" } else { "" };
        format!(", registered in {} at {}{unknown}", clean(&plain(&register.zone)), register.server)
    });
    format!("DNS for {zones}{register}")
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
