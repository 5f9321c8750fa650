//! From the command line to a site, a performance, and what is shown of it.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;

use super::args::DemoArgs;
use super::inside::{enter, is_inside, obstacle};
use super::measure::Record;
use super::net::DMZ;
use super::screen;
use super::site::Site;
use super::software::{Gatehouse, Software};
use super::stage::{Book, perform};
use super::story::{ActResult, Story, ended_well, table};
use super::timeline::{Timeline, draw};
use crate::clock;
use crate::units::Time;

/// Runs the demo. Must be called before the process has done anything else, because it starts itself again inside
/// private namespaces.
///
/// # Errors
/// When the story is none, namespaces cannot be had, or the site does not come up.
pub fn run(args: &DemoArgs) -> Result<ExitCode> {
    let story = story(args)?;
    if !is_inside()
        && let Some(obstacle) = obstacle()
    {
        bail!(obstacle);
    }
    if let Some(code) = enter()?.exit_code() {
        return Ok(code);
    }
    let members = args.members.map(usize::from).or(story.as_ref().and_then(|story| story.members));
    let program = std::env::current_exe().context("the path of this program")?;
    let software = Gatehouse { program, profile: args.profile, more: String::new() };
    let title = format!("{} on {} members, {DMZ}", software.name(), members.unwrap_or(MEMBERS));
    eprintln!("{title}: starting");
    let mut site = Site::open(members.unwrap_or(MEMBERS), Box::new(software))?;
    site.start_all()?;
    let holder = site.wait_for_holder(PATIENCE, Duration::from_millis(300))?;
    eprintln!("{holder} holds the address");

    let book = match &story {
        Some(story) => perform(&mut site, story, |act, member| {
            let who = member.map_or_else(String::new, |member| format!(" {member}"));
            let why = if act.say.is_empty() { String::new() } else { format!(": {}", act.say) };
            eprintln!("  {}{who}{why}", act.deed.name());
        }),
        None => screen::run(&mut site, &title)?,
    };
    finish(&site, args, &title, &book)
}

const MEMBERS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(15);
/// Probes sent just before the end may still be answered.
const LATE_ANSWERS: Duration = Duration::from_millis(100);

/// The story to perform; none means the live screen.
fn story(args: &DemoArgs) -> Result<Option<Story>> {
    let text = match &args.script {
        Some(path) => script(path)?,
        None if args.json || !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() => {
            Story::builtin("tour").unwrap_or_default().to_owned()
        }
        None => return Ok(None),
    };
    Ok(Some(Story::parse(&text)?))
}

fn script(path: &Path) -> Result<String> {
    if let Some(text) = path.to_str().and_then(Story::builtin) {
        return Ok(text.to_owned());
    }
    std::fs::read_to_string(path).with_context(|| format!("{} is neither a builtin story nor a file", path.display()))
}

fn finish(site: &Site, args: &DemoArgs, title: &str, book: &Book) -> Result<ExitCode> {
    let end = clock::now();
    std::thread::sleep(LATE_ANSWERS);
    let record = site.record(book.begin);
    let results = book.results(&record, end);
    if let Some(path) = &args.svg {
        std::fs::write(path, picture(site, title, book, (&record, &results), end))
            .with_context(|| path.display().to_string())?;
    }
    let text = if args.json {
        format!("{:#}\n", json!({ "software": title, "acts": results }))
    } else if results.is_empty() {
        String::new()
    } else {
        table(&results)
    };
    std::io::stdout().write_all(text.as_bytes()).context("standard output")?;
    let well = results.is_empty() || ended_well(&results);
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn picture(site: &Site, title: &str, book: &Book, (record, results): (&Record, &[ActResult]), end: Time) -> String {
    let marks: Vec<_> = book.done().iter().zip(results).map(|(done, result)| done.mark(&result.figures)).collect();
    draw(&Timeline { title, members: site.lan().members(), record, marks: &marks, begin: book.begin, end })
}
