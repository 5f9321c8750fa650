//! The command line: what people and scripts type.
//!
//! **Invariant:** it reaches a running daemon only through [`crate::api`], so whatever it can do, a script can do
//! with the control socket. Exit codes are a contract: 0 done, 1 refused or failed, 2 wrong usage or configuration,
//! 3 no daemon answers.

mod args;
pub mod client;
mod config;
mod dns;
mod fabric;
#[cfg(test)]
mod fixture;
mod manual;
mod paint;
mod show;
mod watch;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use serde::Serialize;

use crate::api::model::{Member, Status};
use crate::config::{ConfigError, DnsSettings, EXIT_CODE, Settings, default_control as own_control};
use args::{Cli, Command, ConfigCommand, EventsArgs, Output};
use client::Client;
use paint::Paint;

/// Refused, or failed.
const FAILED: u8 = 1;
/// No daemon answers on the control socket.
const NO_DAEMON: u8 = 3;
/// Without `--since`, this many events of the past are shown before the live ones.
const SHORT_HISTORY: u64 = 10;

/// The programs that the command line starts and does not know.
#[derive(Clone, Copy, Debug)]
pub struct Programs {
    /// The daemon, with its settings and the file they came from: an absolute path, since others read it too.
    pub run: fn(Settings, PathBuf) -> anyhow::Result<ExitCode>,
    /// The DNS server without a site, in the same way.
    pub serve: fn(DnsSettings, PathBuf) -> anyhow::Result<ExitCode>,
    /// Replays the record in a file.
    pub replay: fn(&Path) -> anyhow::Result<Replay>,
}

/// A record, replayed.
#[derive(Debug)]
pub struct Replay {
    /// For people.
    pub text: String,
    /// For scripts.
    pub json: serde_json::Value,
    /// Whether this version decides everything as it was recorded.
    pub same: bool,
}

/// Does what the command line says. Wrong usage ends the process here, with code 2.
pub fn main(programs: Programs) -> ExitCode {
    match run(Cli::parse(), programs) {
        Ok(code) => code,
        Err(error) => explain(&error),
    }
}

fn run(cli: Cli, programs: Programs) -> anyhow::Result<ExitCode> {
    let client = || Client::new(cli.control.clone().unwrap_or_else(default_control));
    match cli.command {
        Command::Run { config } => {
            let config = std::path::absolute(config)?;
            return (programs.run)(crate::config::load(&config)?, config);
        }
        Command::Demo(args) => return crate::demo::run(&args),
        Command::Status(output) => wait(status(&client(), output))?,
        Command::Members(output) => wait(members(&client(), output))?,
        Command::Events(args) => wait(events(&client(), args))?,
        Command::Watch => wait(watch::run(&client()))?,
        Command::GiveUp(output) => wait(give_up(&client(), output))?,
        Command::Reload(output) => wait(reload(&client(), output))?,
        Command::Config { command: ConfigCommand::Check { file, output } } => config::check(&file, output)?,
        Command::Config { command: ConfigCommand::Example { part } } => config::example(part)?,
        Command::Replay { file, output } => {
            let Replay { text, json, same } = (programs.replay)(&file)?;
            print(output, &json, |_| text)?;
            return Ok(if same { ExitCode::SUCCESS } else { ExitCode::from(FAILED) });
        }
        Command::Dns { command } => return dns::run(command, &client(), programs),
        Command::Fabric { command } => fabric::run(command)?,
        Command::Completions { shell } => manual::completions(shell)?,
        Command::Man { out } => manual::pages(out.as_deref())?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what went wrong, and answers with the exit code for it.
fn explain(error: &anyhow::Error) -> ExitCode {
    if let Some(error) = error.downcast_ref::<ConfigError>() {
        say(&error.picture(paint::shows_colours(&io::stderr())));
        return ExitCode::from(EXIT_CODE);
    }
    if error.is::<Told>() {
        return ExitCode::from(EXIT_CODE);
    }
    // The reader of a pipe has left (`gatehouse events | head`): nothing is wrong.
    if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    say(&format!("gatehouse: {error:#}\n"));
    let no_daemon = error.downcast_ref::<client::Error>().is_some_and(client::Error::is_no_daemon);
    ExitCode::from(if no_daemon { NO_DAEMON } else { FAILED })
}

/// Nobody may be there to read it, and the exit code says it, too.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// A wrong configuration that has been explained on standard output.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is wrong")]
struct Told;

async fn status(client: &Client, output: Output) -> anyhow::Result<()> {
    let status: Status = client.get("/v1/status").await?;
    print(output, &status, |status| show::status(status, Paint::detect()))
}

async fn members(client: &Client, output: Output) -> anyhow::Result<()> {
    let members: Vec<Member> = client.get("/v1/members").await?;
    print(output, &members, |members| show::members(members, Paint::detect()))
}

async fn events(client: &Client, args: EventsArgs) -> anyhow::Result<()> {
    let past = match args.since {
        Some(id) => format!("since={id}"),
        None => format!("last={SHORT_HISTORY}"),
    };
    let mut events = client.events(&format!("{past}&follow={}", !args.no_follow)).await?;
    let paint = Paint::detect();
    while let Some(event) = events.next().await? {
        let line = if args.output.json { serde_json::to_string(&event)? } else { show::event(&event, paint) };
        let mut out = io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    if args.no_follow { Ok(()) } else { anyhow::bail!("the daemon ended the stream: it has stopped") }
}

async fn give_up(client: &Client, output: Output) -> anyhow::Result<()> {
    command(client, "/v1/give-up", output).await?;
    let status: Status = client.get("/v1/status").await?;
    print(output, &status, |status| match &status.holder {
        Some(holder) => format!("{} holds {} now\n", paint::clean(holder), paint::clean(&status.dmz.join(" and "))),
        None => "handed over\n".to_owned(),
    })
}

async fn reload(client: &Client, output: Output) -> anyhow::Result<()> {
    command(client, "/v1/reload", output).await?;
    let text = |_: &_| "the new configuration is in use\n".to_owned();
    match client.get::<Status>("/v1/status").await {
        Ok(status) => print(output, &status, |_| text(&())),
        // A server without a site has another status.
        Err(client::Error::Refused(_)) => {
            print(output, &client.get::<serde_json::Value>("/v1/dns").await?, |_| text(&()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Has the daemon do `path`.
async fn command(client: &Client, path: &str, output: Output) -> anyhow::Result<()> {
    told(output, client.post(path).await)
}

/// What the daemon answered; a script that asked for JSON gets a refusal as JSON, too.
fn told<T>(output: Output, answer: Result<T, client::Error>) -> anyhow::Result<T> {
    if let (Err(client::Error::Refused(refusal)), true) = (&answer, output.json) {
        print(output, refusal, |refusal| refusal.message.clone())?;
    }
    Ok(answer?)
}

/// Runs a command of the client to its end.
fn wait(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(work)
}

fn print<T: Serialize>(output: Output, value: &T, text: impl FnOnce(&T) -> String) -> anyhow::Result<()> {
    let text = if output.json { serde_json::to_string_pretty(value)? + "\n" } else { text(value) };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The system's daemon where there is one, else where a daemon of this user's would be.
fn default_control() -> PathBuf {
    let system = Path::new("/run/gatehouse/control.sock");
    if system.exists() { system.to_owned() } else { own_control() }
}
