//! What is wrong with a configuration, and how it is shown.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

/// After this many problems the rest is not shown: nobody repairs more at a time.
const MAX_PROBLEMS: usize = 50;

/// Why there are no settings. Nothing was touched.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there, not readable, or not text.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text has problems; there is at least one.
    #[error("{}", lines(file, text, problems))]
    Invalid {
        /// Where the text came from.
        file: String,
        /// The text, passphrases masked.
        text: String,
        /// What was found, in the order of the text.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// The problems drawn into the lines they are in, for a terminal; `color` only if it can show colours.
    pub fn picture(&self, color: bool) -> String {
        let ConfigError::Invalid { file, text, problems } = self else { return format!("{self}\n") };
        let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false);
        let source = NamedSource::new(file, text.clone());
        let mut picture = String::new();
        for problem in problems {
            if !picture.is_empty() {
                picture.push('\n');
            }
            // Writing to a string cannot fail; a diagnostic that cannot be drawn still has its line.
            if handler.render_report(&mut picture, &Drawn { problem, source: &source }).is_err() {
                picture.push_str(&line(file, text, problem));
                picture.push('\n');
            }
        }
        picture
    }
}

/// One thing to repair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What the picture says at the place.
    pub label: String,
    /// What to do.
    pub help: Option<String>,
}

impl Problem {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Problem {
        Problem { span, message: message.into(), label: label.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

/// The problems found so far, and the sections in which something could not be read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    problems: Vec<Problem>,
    spoilt: BTreeSet<String>,
}

impl Findings {
    pub(super) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Something in the section was taken out because it could not be read.
    pub(super) fn spoil(&mut self, section: &str) {
        self.spoilt.insert(section.to_owned());
    }

    /// As [`Findings::add`], unless what is missing may be what could not be read.
    pub(super) fn add_missing(&mut self, section: &str, problem: Problem) {
        if !self.spoilt.contains(section) {
            self.add(problem);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn into_error(mut self, file: &str, text: &str) -> ConfigError {
        self.problems.sort_by_key(|problem| problem.span.start);
        self.problems.truncate(MAX_PROBLEMS);
        ConfigError::Invalid { file: file.to_owned(), text: masked(text), problems: self.problems }
    }
}

fn lines(file: &str, text: &str, problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(|problem| line(file, text, problem)).collect();
    lines.join("\n")
}

fn line(file: &str, text: &str, problem: &Problem) -> String {
    let before = text.get(..problem.span.start).unwrap_or(text);
    let row = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    let help = problem.help.as_ref().map_or_else(String::new, |help| format!(" ({help})"));
    format!("{file}:{row}:{column}: {}{help}", problem.message)
}

/// `text` with every passphrase replaced by stars of the same length, because pictures end in logs.
fn masked(text: &str) -> String {
    let mut dns = false;
    let mask = |line| {
        if str::starts_with(line, '[') {
            dns = line.trim_start_matches('[').starts_with("dns");
        }
        mask_line(line, dns)
    };
    text.split_inclusive('\n').map(mask).collect()
}

/// In `[dns]` a bare `key` is the name of one.
fn mask_line(line: &str, dns: bool) -> String {
    let secret = if dns { bare(line, "secret") } else { bare(line, "key") };
    let start = line.find("passphrase").or_else(|| line.find("base64")).or(secret).and_then(|key| {
        let quote = line.get(key..)?.find(['"', '\''])?;
        Some(key + quote + 1)
    });
    let Some(start) = start else { return line.to_owned() };
    // A quote that is missing hides the rest of the line.
    let end = line.rfind(['"', '\'']).filter(|end| *end >= start).unwrap_or(line.trim_end().len());
    let mut masked = line.to_owned();
    if line.get(start..end).is_some() {
        masked.replace_range(start..end, &"*".repeat(end - start));
    }
    masked
}

/// Where `key = "…"` starts: the mistake of writing the secret where its table belongs.
fn bare(line: &str, key: &str) -> Option<usize> {
    let start = line.find(key)?;
    let value = line.get(start + key.len()..)?.trim_start().strip_prefix('=')?.trim_start();
    value.starts_with(['"', '\'']).then_some(start)
}

/// A problem as the drawing library wants it.
#[derive(Debug)]
struct Drawn<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<String>,
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Drawn<'_> {}

impl Diagnostic for Drawn<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some(self.problem.label.clone()), self.problem.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}
