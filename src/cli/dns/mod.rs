//! `gatehouse dns`: zones, records and keys.
//!
//! What is shown comes from the daemon's API; what is changed goes to the server as a signed update, as from any other
//! client, so that the daemon's policy and journal see everything.

mod args;
mod dnssec;
mod files;
mod show;
mod update;

use std::io::{self, Write};
use std::process::ExitCode;

use dns::name::Name;

use super::args::Output;
use super::client::Client;
use super::paint::{Paint, clean};
use super::{Programs, print, told, wait};
use crate::api::dns::model::{DnsStatus, QueryLog, ShownRecord, ZoneStatus};
use crate::api::dns::plain;
use crate::{clock, config};
pub use args::{DnsCommand, KeyCommand};
use args::{RecordsArgs, Switch, ZoneArgs};

/// Does one command.
pub fn run(command: DnsCommand, client: &Client, programs: Programs) -> anyhow::Result<ExitCode> {
    match command {
        DnsCommand::Serve { config } => {
            let config = std::path::absolute(config)?;
            return (programs.serve)(config::load_dns(&config)?, config);
        }
        DnsCommand::Status(output) => wait(status(client, output))?,
        DnsCommand::Zones(output) => wait(zones(client, output))?,
        DnsCommand::Records(args) => wait(records(client, args))?,
        DnsCommand::Set(args) => wait(update::set(client, args))?,
        DnsCommand::Delete(args) => wait(update::delete(client, args))?,
        DnsCommand::Import(args) => wait(update::import(client, args))?,
        DnsCommand::Export(args) => wait(export(client, args))?,
        DnsCommand::Key { command: KeyCommand::List(output) } => wait(keys(client, output))?,
        DnsCommand::Key { command: KeyCommand::New { name, algorithm, form, out, output } } => {
            files::new_key(name, algorithm, form, out, output)?;
        }
        DnsCommand::Dnssec { command } => wait(dnssec::run(client, command))?,
        DnsCommand::Transfer(args) => wait(transfer(client, args))?,
        DnsCommand::Check { zone, file, output } => return files::check(&zone, &file, output),
        DnsCommand::QueryLog { switch, output } => wait(query_log(client, switch, output))?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn status(client: &Client, output: Output) -> anyhow::Result<()> {
    let status: DnsStatus = client.get("/v1/dns").await?;
    print(output, &status, |status| show::status(status, clock::wall_millis(), Paint::detect()))
}

async fn zones(client: &Client, output: Output) -> anyhow::Result<()> {
    let zones: Vec<ZoneStatus> = client.get("/v1/dns/zones").await?;
    print(output, &zones, |zones| show::zones(zones, clock::wall_millis(), Paint::detect()))
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
    let path = format!("{}?{}", of_zone(&zone, "records"), query.join("&"));
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

async fn export(client: &Client, ZoneArgs { zone, output }: ZoneArgs) -> anyhow::Result<()> {
    if output.json {
        return records(client, RecordsArgs { zone, name: None, rtype: None, output }).await;
    }
    let mut file = client.lines(&of_zone(&zone, "export")).await?;
    let mut out = io::stdout().lock();
    while let Some(piece) = file.next_piece().await? {
        out.write_all(&piece)?;
    }
    Ok(out.flush()?)
}

async fn transfer(client: &Client, ZoneArgs { zone, output }: ZoneArgs) -> anyhow::Result<()> {
    let status: ZoneStatus = told(output, client.post_for(&of_zone(&zone, "transfer")).await)?;
    print(output, &status, |status| {
        let primaries = status.secondary.iter().flat_map(|secondary| &secondary.primaries);
        let primaries: Vec<String> = primaries.map(|primary| clean(primary)).collect();
        format!(
            "{} is being fetched from {}; `gatehouse dns zones` says how it goes\n",
            plain(&zone),
            primaries.join(", ")
        )
    })
}

async fn query_log(client: &Client, switch: Switch, output: Output) -> anyhow::Result<()> {
    let on = switch == Switch::On;
    let now: QueryLog = told(output, client.put(&format!("/v1/dns/query-log?on={on}")).await)?;
    let text = |now: &QueryLog| if now.on { "each query is logged now\n" } else { "queries are not logged\n" };
    print(output, &now, |now| text(now).to_owned())
}

/// The path of what the API has of a zone.
fn of_zone(zone: &Name, what: &str) -> String {
    format!("/v1/dns/zones/{}/{what}", escaped(&plain(zone)))
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
