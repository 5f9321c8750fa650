//! `gatehouse dns dnssec`: the keys that zones are signed with.

use dns::name::Name;

use super::args::{DnssecCommand, ZoneArgs};
use super::{of_zone, show};
use crate::api::dns::model::DnssecStatus;
use crate::cli::args::Output;
use crate::cli::client::Client;
use crate::cli::paint::Paint;
use crate::cli::{print, told};
use crate::clock;

/// Does one command.
pub async fn run(client: &Client, command: DnssecCommand) -> anyhow::Result<()> {
    match command {
        DnssecCommand::Keys(ZoneArgs { zone, output }) => {
            let status = told(output, client.get(&of_zone(&zone, "dnssec")).await)?;
            keys(output, &status)
        }
        DnssecCommand::Ds(ZoneArgs { zone, output }) => ds(client, &zone, output).await,
        DnssecCommand::Roll(ZoneArgs { zone, output }) => {
            let status = told(output, client.post_for(&of_zone(&zone, "dnssec/roll")).await)?;
            keys(output, &status)
        }
        DnssecCommand::DsSeen { zone, tag, output } => {
            let path = of_zone(&zone, &format!("dnssec/ds-seen?tag={tag}"));
            let status = told(output, client.post_for(&path).await)?;
            keys(output, &status)
        }
    }
}

fn keys(output: Output, status: &DnssecStatus) -> anyhow::Result<()> {
    print(output, status, |status| show::dnssec(status, clock::wall_millis(), Paint::detect()))
}

/// The records that the parent zone is to have; for programs, the keys that they are of.
async fn ds(client: &Client, zone: &Name, output: Output) -> anyhow::Result<()> {
    let DnssecStatus { mut keys, zone, .. } = told(output, client.get(&of_zone(zone, "dnssec")).await)?;
    keys.retain(|key| key.announced);
    print(output, &keys, |keys| keys.iter().filter_map(|key| key.ds.as_ref()).map(|ds| show::ds(&zone, ds)).collect())?;
    anyhow::ensure!(!keys.is_empty(), "{}", show::not_signed(&zone));
    Ok(())
}
