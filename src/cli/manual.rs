//! Completions and manual pages, made from the same definitions that parse the command line.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Cli;

/// Prints the completions of `shell`.
pub fn completions(shell: Shell) -> anyhow::Result<()> {
    // Rendered first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "gatehouse", &mut script);
    Ok(io::stdout().write_all(&script)?)
}

/// Prints the main page, or writes the page of every command into `folder`.
pub fn pages(folder: Option<&Path>) -> anyhow::Result<()> {
    let mut command = Cli::command();
    command.build();
    let Some(folder) = folder else {
        return Ok(io::stdout().write_all(&page(&command)?)?);
    };
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    write_pages(&command, folder)
}

fn write_pages(command: &Command, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(Man::new(command.clone()).get_filename());
    fs::write(&path, page(command)?).with_context(|| format!("cannot write {}", path.display()))?;
    command.get_subcommands().try_for_each(|subcommand| write_pages(subcommand, folder))
}

/// One page. The text after the options becomes sections of its own, with its lines kept as they are.
fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).manual("Gatehouse").source(concat!("gatehouse ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.get_arguments().next().is_some() {
        man.render_options_section(&mut page)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_long_help().or(command.get_after_help()) {
        page.write_all(sections(&text.to_string()).as_bytes())?;
    }
    Ok(page)
}

/// Roff of a text whose headings end with a colon and whose other lines are set in.
fn sections(text: &str) -> String {
    let mut roff = String::new();
    for line in text.lines().map(|line| line.replace('\\', "\\e").replace('-', "\\-")) {
        match line.strip_suffix(':') {
            Some(heading) if !heading.starts_with(' ') => {
                roff += &format!(".fi\n.SH \"{}\"\n.nf\n", heading.to_uppercase());
            }
            // A line that began with a dot or a quote would be a request.
            _ => roff += &format!("\\&{}\n", line.strip_prefix("  ").unwrap_or(&line)),
        }
    }
    roff + ".fi\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines() {
        let expected = ".fi\n.SH \"EXAMPLES\"\n.nf\n\\&a \\-\\-json\n\\&.b\n.fi\n";
        assert_eq!(sections("Examples:\n  a --json\n  .b"), expected);
    }
}
