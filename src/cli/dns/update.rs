//! `set`, `delete` and `import`: signed updates to whatever server takes them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use dns::client::{ClientError, Credentials, Server, SigningKey};
use dns::name::{Name, NameRef};
use dns::record::{Record, Rtype};
use dns::settings::{Algorithm, Key};
use dns::sign::AnswerError;
use dns::sign::keys::{self, Found};
use dns::sign::sig0::PrivateKey as _;
use dns::text::read_rdata;
use dns::update::{LeaseTimes, Operation, Update};
use dns::wire::Rcode;
use serde::Serialize;

use super::args::{DeleteArgs, ImportArgs, Place, SetArgs, Whereto};
use super::files;
use crate::api::dns::model::DnsStatus;
use crate::api::dns::plain;
use crate::cli::args::Output;
use crate::cli::client::Client;
use crate::cli::print;
use crate::config;

/// Operations in one update of an import; servers take at least some thousand records, and 64 KiB in all.
const MAX_OPERATIONS: usize = 500;
/// Octets of records in one update of an import, before names are compressed.
const MAX_OCTETS: usize = 40_000;

/// What came of it, for programs.
#[derive(Debug, Serialize)]
struct Done {
    zone: String,
    server: String,
    key: String,
    /// `NOERROR`, or why not.
    rcode: String,
    /// Seconds that the server keeps it without a refresh, if it was asked for a lease.
    lease: Option<u32>,
    /// How many updates it took.
    updates: usize,
}

/// Replaces a set of records, or adds to it.
pub async fn set(client: &Client, args: SetArgs) -> anyhow::Result<()> {
    let SetArgs { name, rtype, data, ttl, add, lease, place, output } = args;
    let goal = Goal::find(client, place, name.as_ref()).await?;
    let mut operations = if add { Vec::new() } else { vec![Operation::DeleteSet(name.clone(), rtype)] };
    for text in &data {
        let rdata = rdata(rtype, text, &goal.zone)?;
        operations.push(Operation::Add(Record { name: name.clone(), rtype, ttl, rdata }));
    }
    let lease = lease.map(|lease| LeaseTimes { lease, key_lease: None });
    goal.send(vec![operations], lease, output).await
}

/// Deletes records, a set, or all of a name.
pub async fn delete(client: &Client, args: DeleteArgs) -> anyhow::Result<()> {
    let DeleteArgs { name, rtype, data, place, output } = args;
    let goal = Goal::find(client, place, name.as_ref()).await?;
    let operations = match rtype {
        None => vec![Operation::DeleteName(name)],
        Some(rtype) if data.is_empty() => vec![Operation::DeleteSet(name, rtype)],
        Some(rtype) => {
            let one = |text: &String| Ok(Operation::Delete(name.clone(), rtype, rdata(rtype, text, &goal.zone)?));
            data.iter().map(one).collect::<anyhow::Result<_>>()?
        }
    };
    goal.send(vec![operations], None, output).await
}

/// Puts the sets of records of a zone file in place of those of the zone.
pub async fn import(client: &Client, args: ImportArgs) -> anyhow::Result<()> {
    let ImportArgs { zone, file, whereto, output } = args;
    let read = files::read_file(&zone, &file)?.map_err(|faults| anyhow::anyhow!("{faults}"))?;
    let goal = Goal::find(client, Place { whereto, zone: Some(zone.clone()) }, zone.as_ref()).await?;
    let mut sets: BTreeMap<(Name, Rtype), Vec<Record>> = BTreeMap::new();
    for record in read.records().filter(|record| is_imported(record, &zone)) {
        sets.entry((record.name.clone(), record.rtype)).or_default().push(record);
    }
    goal.send(batches(sets), None, output).await
}

/// Whether a record of a zone file goes into the zone: not what the server there makes itself, nor the keys of signatures that
/// stay behind.
fn is_imported(record: &Record, zone: &Name) -> bool {
    let is_key = matches!(record.rtype, Rtype::DNSKEY | Rtype::CDS | Rtype::CDNSKEY) && record.name == *zone;
    record.rtype != Rtype::SOA && !record.rtype.is_made_by_signing() && !is_key
}

/// Updates of a size that servers take; a set is never split, because it would be incomplete between two updates.
fn batches(sets: BTreeMap<(Name, Rtype), Vec<Record>>) -> Vec<Vec<Operation>> {
    let mut batches: Vec<Vec<Operation>> = Vec::new();
    let mut octets = MAX_OCTETS;
    for ((name, rtype), records) in sets {
        let size: usize =
            records.iter().map(|record| record.name.as_ref().wire().len() + 10 + record.rdata.len()).sum();
        let full = batches.last().is_none_or(|batch| batch.len() + records.len() >= MAX_OPERATIONS);
        if full || octets + size > MAX_OCTETS {
            batches.push(Vec::new());
            octets = 0;
        }
        octets += size;
        if let Some(batch) = batches.last_mut() {
            batch.push(Operation::DeleteSet(name, rtype));
            batch.extend(records.into_iter().map(Operation::Add));
        }
    }
    batches
}

/// Where updates go, and what they are signed with.
struct Goal {
    zone: Name,
    server: Server,
    /// The name of the key.
    key: String,
}

impl Goal {
    /// From what was typed, and from the daemon's configuration where nothing was.
    async fn find(daemon: &Client, place: Place, name: NameRef<'_>) -> anyhow::Result<Goal> {
        let Place { whereto: Whereto { key, server }, zone } = place;
        let local = match (&key, server) {
            (Some(_), Some(_)) => None,
            _ => Some(daemon.get::<DnsStatus>("/v1/dns").await.context("give --key and --server for another server")?),
        };
        let server = match (server, &local) {
            (Some(server), _) => server,
            (None, Some(local)) => own_address(local)?,
            (None, None) => bail!("give --server"),
        };
        let mut server = Server { address: server, credentials: Credentials::None };
        let zone = match zone {
            Some(zone) => zone,
            None => {
                let found = server.zone_of(name).await?;
                found
                    .with_context(|| format!("{} does not say which zone {name} is in; give --zone", server.address))?
            }
        };
        ensure!(name.is_at_or_below(zone.as_ref()), "{name} is not in the zone {zone}");
        let key = match (&key, &local) {
            (Some(path), _) => key_of(path)?,
            (None, Some(local)) => configured_key(local, &zone)?,
            (None, None) => bail!("give --key"),
        };
        let name = match &key {
            Credentials::Shared(key) => plain(&key.name),
            Credentials::Private(key) => plain(&key.name().to_owned()),
            Credentials::Missing(name) => plain(name),
            Credentials::None => String::new(),
        };
        server.credentials = key;
        Ok(Goal { zone, server, key: name })
    }

    async fn send(self, batches: Vec<Vec<Operation>>, lease: Option<LeaseTimes>, output: Output) -> anyhow::Result<()> {
        let updates = batches.len();
        let mut granted = None;
        for (number, operations) in batches.into_iter().enumerate() {
            let update = Update { zone: self.zone.clone(), prerequisites: Vec::new(), operations, lease };
            let done = match number {
                0 => String::new(),
                number => format!(" (after {number} of {updates} updates were done)"),
            };
            granted = match self.server.update(&update).await {
                Ok(granted) => granted,
                Err(ClientError::Refused(rcode)) => {
                    if output.json {
                        print(output, &self.done(rcode, None, number), |_| String::new())?;
                    }
                    bail!("{}{done}", self.server.meaning(rcode, &self.zone));
                }
                Err(error @ ClientError::Answer(AnswerError::Refused(_))) => {
                    if output.json {
                        print(output, &self.done(Rcode::NOTAUTH, None, number), |_| String::new())?;
                    }
                    bail!("{error}: there, {} has another secret or algorithm, or is not known{done}", self.key);
                }
                Err(error) => return Err(error).with_context(|| format!("nobody knows whether it was done{done}")),
            };
        }
        print(output, &self.done(Rcode::NOERROR, granted, updates), |done| {
            let granted = match (lease, done.lease) {
                (Some(_), Some(seconds)) => format!(", for {seconds} s"),
                (Some(_), None) => ", for good: the server knows no leases".to_owned(),
                (None, _) => String::new(),
            };
            format!("done: {} at {}{granted}\n", done.zone, done.server)
        })
    }

    fn done(&self, rcode: Rcode, granted: Option<LeaseTimes>, updates: usize) -> Done {
        Done {
            zone: plain(&self.zone),
            server: self.server.address.to_string(),
            key: self.key.clone(),
            rcode: rcode.to_string(),
            lease: granted.map(|granted| granted.lease),
            updates,
        }
    }
}

fn rdata(rtype: Rtype, text: &str, zone: &Name) -> anyhow::Result<Box<[u8]>> {
    read_rdata(rtype, text, zone.as_ref()).with_context(|| format!("`{text}` is no data of a {rtype} record"))
}

/// Where the daemon on this machine answers: at one of its addresses, or by loopback where it listens on all.
fn own_address(status: &DnsStatus) -> anyhow::Result<SocketAddr> {
    let first = status.listen.iter().find_map(|text| text.parse::<SocketAddr>().ok());
    let first = first.context("the daemon answers no DNS now: `gatehouse dns status` says why; or give --server")?;
    let loopback = match first.ip() {
        IpAddr::V4(v4) if v4.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(v6) if v6.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        other => other,
    };
    Ok(SocketAddr::new(loopback, first.port()))
}

/// The one key in a file; of a public key, the private half beside it.
fn key_of(path: &Path) -> anyhow::Result<Credentials> {
    let read = |path: &Path| std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()));
    let path =
        if path.extension().is_some_and(|end| end == "private") { path.with_extension("key") } else { path.into() };
    let text = read(&path)?;
    match keys::read(&text).with_context(|| path.display().to_string())? {
        Found::Keys(keys) if matches!(keys.as_slice(), [Key { algorithm: Algorithm::Sig0, .. }]) => {
            let private = read(&path.with_extension("private"))?;
            Ok(Credentials::Private(Arc::new(SigningKey::read(&text, &private)?)))
        }
        Found::Keys(mut keys) if keys.len() == 1 => Ok(Credentials::Shared(keys.swap_remove(0))),
        Found::Keys(keys) => bail!("{} has {} keys; give a file with one", path.display(), keys.len()),
        Found::Secret(_) => {
            bail!("{} has a secret and not its name; `gatehouse dns key new` writes both", path.display())
        }
    }
}

/// The first key of the daemon's configuration that may change something in the zone.
fn configured_key(status: &DnsStatus, zone: &Name) -> anyhow::Result<Credentials> {
    let path = Path::new(&status.config);
    let settings = config::load_dns(path).context("give --key; the daemon's configuration cannot be used for it")?;
    let rules = settings.dns.server.zones.iter().filter(|known| known.apex == *zone).flat_map(|known| &known.update);
    let shared = |key: &&Key| key.algorithm != Algorithm::Sig0;
    let key = rules.into_iter().find_map(|rule| settings.dns.server.key(rule.key.as_ref()).filter(shared));
    key.cloned().map(Credentials::Shared).with_context(|| {
        format!("{} lets no key change {}: add a [[dns.zone.update]], or give --key", path.display(), plain(zone))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_import_is_cut_between_sets() {
        let record = |index: usize, copy: u8| Record {
            name: format!("n{index}.test").parse().unwrap(),
            rtype: Rtype::A,
            ttl: 60,
            rdata: Box::from([192, 0, 2, copy]),
        };
        let sets: BTreeMap<_, _> = (0..1_000)
            .map(|index| {
                ((record(index, 0).name, Rtype::A), (0..3).map(|copy| record(index, copy)).collect::<Vec<_>>())
            })
            .collect();
        let batches = batches(sets);
        assert!(batches.len() > 5 && batches.iter().all(|batch| batch.len() <= MAX_OPERATIONS + 1));
        assert!(batches.iter().all(|batch| matches!(batch[0], Operation::DeleteSet(..)) && batch.len() % 4 == 0));
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 4_000);
    }

    #[test]
    fn a_daemon_that_listens_everywhere_is_asked_by_loopback() {
        let status = |listen: &str| DnsStatus { listen: vec![listen.to_owned()], ..DnsStatus::default() };
        assert_eq!(own_address(&status("0.0.0.0:5300")).unwrap(), "127.0.0.1:5300".parse().unwrap());
        assert_eq!(own_address(&status("[::]:53")).unwrap(), "[::1]:53".parse().unwrap());
        assert_eq!(own_address(&status("192.0.2.1:53")).unwrap(), "192.0.2.1:53".parse().unwrap());
        assert!(own_address(&DnsStatus::default()).is_err());
    }
}
