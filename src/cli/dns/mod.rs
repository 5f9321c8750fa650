//! `gatehouse dns`: zones, records and keys.
//!
//! What is shown comes from the daemon's API; what is changed goes to the server as a signed update, as from any other
//! client, so that the daemon's policy and journal see everything.

mod args;
mod files;
mod show;
mod update;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use dns::name::Name;

use super::args::Output;
use super::client::Client;
use super::paint::Paint;
use super::{Programs, print, wait};
use crate::api::dns::model::{DnsStatus, QueryLog, ShownRecord, ZoneStatus};
use crate::api::dns::plain;
use crate::config;
pub use args::{DnsCommand, KeyCommand};
use args::{RecordsArgs, Switch};

/// Does one command.
pub fn run(command: DnsCommand, client: &Client, programs: Programs) -> anyhow::Result<ExitCode> {
    match command {
        DnsCommand::Serve { config } => return (programs.serve)(config::load_dns(&config)?, config),
        DnsCommand::Status(output) => wait(status(client, output))?,
        DnsCommand::Zones(output) => wait(zones(client, output))?,
        DnsCommand::Records(args) => wait(records(client, args))?,
        DnsCommand::Set(args) => wait(update::set(client, args))?,
        DnsCommand::Delete(args) => wait(update::delete(client, args))?,
        DnsCommand::Import(args) => wait(update::import(client, args))?,
        DnsCommand::Export { zone } => wait(export(client, zone))?,
        DnsCommand::Key { command: KeyCommand::List(output) } => wait(keys(client, output))?,
        DnsCommand::Key { command: KeyCommand::New { name, algorithm, form, out } } => {
            files::new_key(name, algorithm, form, out)?;
        }
        DnsCommand::Transfer { zone } => wait(transfer(client, zone))?,
        DnsCommand::Check { zone, file, output } => return files::check(&zone, &file, output),
        DnsCommand::QueryLog { switch } => wait(query_log(client, switch))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn status(client: &Client, output: Output) -> anyhow::Result<()> {
    let status: DnsStatus = client.get("/v1/dns").await?;
    print(output, &status, |status| show::status(status, Paint::detect()))
}

async fn zones(client: &Client, output: Output) -> anyhow::Result<()> {
    let zones: Vec<ZoneStatus> = client.get("/v1/dns/zones").await?;
    print(output, &zones, |zones| show::zones(zones, Paint::detect()))
}

async fn keys(client: &Client, output: Output) -> anyhow::Result<()> {
    let status: DnsStatus = client.get("/v1/dns").await?;
    print(output, &status.keys, |keys| show::keys(keys))
}

async fn records(client: &Client, args: RecordsArgs) -> anyhow::Result<()> {
    let RecordsArgs { zone, name, rtype, output } = args;
    let name = name.map(|name| in_zone(&name, &zone)).transpose()?;
    let query =
        [name.map(|name| format!("name={}", escaped(&plain(&name)))), rtype.map(|rtype| format!("type={rtype}"))];
    let query: Vec<String> = query.into_iter().flatten().collect();
    let path = format!("/v1/dns/zones/{}/records?{}", escaped(&plain(&zone)), query.join("&"));
    let mut lines = client.lines(&path).await?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    while let Some(line) = lines.next_line().await? {
        if output.json {
            out.write_all(&line)?;
        } else {
            let record: ShownRecord = serde_json::from_slice(&line)?;
            out.write_all(show::record(&record).as_bytes())?;
        }
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

async fn export(client: &Client, zone: Name) -> anyhow::Result<()> {
    let mut file = client.lines(&format!("/v1/dns/zones/{}/export", escaped(&plain(&zone)))).await?;
    let mut out = io::stdout().lock();
    while let Some(piece) = file.next_piece().await? {
        out.write_all(&piece)?;
    }
    Ok(out.flush()?)
}

async fn transfer(client: &Client, zone: Name) -> anyhow::Result<()> {
    client.post(&format!("/v1/dns/zones/{}/transfer", escaped(&plain(&zone)))).await?;
    Ok(writeln!(io::stdout(), "the primaries of {} are asked", plain(&zone))?)
}

async fn query_log(client: &Client, switch: Switch) -> anyhow::Result<()> {
    let on = switch == Switch::On;
    let now: QueryLog = client.put(&format!("/v1/dns/query-log?on={on}")).await?;
    let text = if now.on { "each query is logged now" } else { "queries are not logged" };
    Ok(writeln!(io::stdout(), "{text}")?)
}

/// A name as people type it: one label is below the zone, `@` is the zone's own, anything else is in full.
fn in_zone(text: &str, zone: &Name) -> anyhow::Result<Name> {
    let relative = !text.contains('.');
    Ok(if relative { Name::parse(text, zone.as_ref())? } else { text.parse()? })
}

/// A name as a part of a path.
fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~*@".contains(byte);
    let mut escaped = String::with_capacity(text.len());
    for byte in text.as_bytes() {
        match plain(byte) {
            true => escaped.push(char::from(*byte)),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Where a path of this command line begins that is named relative to a configuration.
fn config_of(status: &DnsStatus) -> PathBuf {
    PathBuf::from(&status.config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_paths() {
        assert_eq!(escaped("_dns.example.com"), "_dns.example.com");
        assert_eq!(escaped(r"a\032/b?.x"), "a%5C032%2Fb%3F.x");
    }

    #[test]
    fn one_label_is_below_the_zone() {
        let zone: Name = "cloud.test".parse().unwrap();
        for (text, name) in [("www", "www.cloud.test"), ("@", "cloud.test"), ("a.cloud.test", "a.cloud.test")] {
            assert_eq!(in_zone(text, &zone).unwrap(), name.parse().unwrap());
        }
    }
}
