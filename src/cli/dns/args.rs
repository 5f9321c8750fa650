//! What can be typed after `gatehouse dns`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use dns::name::Name;
use dns::record::Rtype;

use crate::cli::args::{DEFAULT_CONFIG, Output};

/// A command about DNS.
#[derive(Debug, Subcommand)]
pub enum DnsCommand {
    /// Serve DNS on this machine without a site, in the foreground
    #[command(
        long_about = "Serves the zones of [dns] in the foreground until SIGTERM or Ctrl-C, on any machine: a main server \
                      on the internet, for example. Of the configuration only `name`, `state`, `control` and [dns] \
                      count. `gatehouse run` serves [dns] beside the site. SIGHUP reads the configuration again.",
        after_help = "\
Examples:
  gatehouse config example dns > dns.toml
  gatehouse dns serve --config dns.toml"
    )]
    Serve {
        /// The configuration
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG, value_hint = ValueHint::FilePath)]
        config: PathBuf,
    },
    /// Show zones, keys, and what the main server is told
    #[command(after_help = "\
Examples:
  gatehouse dns status
  gatehouse dns status --json | jq .register.good")]
    Status(Output),
    /// List the zones
    #[command(
        long_about = "Lists the zones: whether each is kept here (primary) or comes from another server (secondary), its \
                      serial, and of a secondary when its primaries are asked next, when it expires unless one \
                      confirms it, and why the last attempt failed.",
        after_help = "\
Examples:
  gatehouse dns zones
  gatehouse dns zones --json | jq -r '.[] | select(.expired) | .name'
  gatehouse dns zones --json | jq -r '.[] | select(.secondary.error) | .name, .secondary.error'"
    )]
    Zones(Output),
    /// List the records of a zone
    #[command(after_help = "\
Examples:
  gatehouse dns records cloud.example.com
  gatehouse dns records cloud.example.com home --type A --json")]
    Records(RecordsArgs),
    /// Give a name records, in place of those it has of that type
    #[command(
        long_about = "Sends a signed update (RFC 2136): the records that the name has of this type are replaced by the \
                      given ones, or added to with --add. Works with any server that takes updates. On the server's own \
                      machine, server and key come from the daemon: this command reads the configuration file that \
                      the daemon names, so whoever types it needs the right to.",
        after_help = "\
Examples:
  gatehouse dns set www.cloud.example.com A 192.0.2.1 192.0.2.2
  gatehouse dns set cloud.example.com MX '10 mail.example.com.' --ttl 3600
  gatehouse dns set _acme-challenge.cloud.example.com TXT '\"token\"' --key acme.key --server 198.51.100.7
  gatehouse dns set a.cloud.example.com AAAA 2001:db8::1 --lease 3600    leaves by itself after an hour"
    )]
    Set(SetArgs),
    /// Take records from a name
    #[command(
        long_about = "Sends a signed update (RFC 2136) that deletes the given records, all of a type, or all of a name.",
        after_help = "\
Examples:
  gatehouse dns delete www.cloud.example.com
  gatehouse dns delete www.cloud.example.com A
  gatehouse dns delete www.cloud.example.com A 192.0.2.1"
    )]
    Delete(DeleteArgs),
    /// Put the records of a zone file into a zone, by updates
    #[command(
        long_about = "Sends the records of a zone file as signed updates: each set of records in the file replaces the \
                      one of that name and type; what the file does not have stays. SOA records and \
                      what signing a zone makes are left out. Every update is done as a whole; a file of many records \
                      takes several.",
        after_help = "\
Examples:
  gatehouse dns import cloud.example.com cloud.zone"
    )]
    Import(ImportArgs),
    /// Print a zone as a zone file
    #[command(
        long_about = "Prints a zone as a zone file in the usual form (RFC 1035), which `gatehouse dns import` and other \
                      servers read; with --json, one object for each record, as `gatehouse dns records` does.",
        after_help = "\
Examples:
  gatehouse dns export cloud.example.com > cloud.zone"
    )]
    Export(ZoneArgs),
    /// Make keys, and list those of the daemon
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Look after the keys that zones are signed with
    Dnssec {
        #[command(subcommand)]
        command: DnssecCommand,
    },
    /// Fetch a secondary zone from its primary now
    #[command(
        long_about = "Has the primaries of a secondary zone asked for a newer version now, instead of when it is time. \
                      `gatehouse dns zones` says what came of it.",
        after_help = "\
Examples:
  gatehouse dns transfer example.org"
    )]
    Transfer(ZoneArgs),
    /// Say whether a zone file is right, and if not, where it is wrong
    #[command(after_help = "\
Examples:
  gatehouse dns check cloud.example.com cloud.zone")]
    Check {
        /// The zone
        zone: Name,
        /// The zone file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Switch the log of queries on or off, while the daemon runs
    #[command(after_help = "\
Examples:
  gatehouse dns query-log on && journalctl -fu gatehouse")]
    QueryLog {
        /// Which way
        switch: Switch,
        #[command(flatten)]
        output: Output,
    },
}

/// A command about the keys that a zone is signed with.
#[derive(Debug, Subcommand)]
pub enum DnssecCommand {
    /// List the keys of a zone, and what each waits for
    #[command(after_help = "\
Examples:
  gatehouse dns dnssec keys cloud.example.com
  gatehouse dns dnssec keys cloud.example.com --json | jq '.keys[] | select(.stage == \"ready\").tag'")]
    Keys(ZoneArgs),
    /// Print the DS records that the parent zone is to have
    #[command(
        long_about = "Prints the DS records that the parent zone is to have, as in a zone file: what the registrar asks \
                      for. The zone says the same in its CDS and CDNSKEY records (RFC 7344), which some parents read.",
        after_help = "\
Examples:
  gatehouse dns dnssec ds cloud.example.com"
    )]
    Ds(ZoneArgs),
    /// Make the next key-signing key
    #[command(
        long_about = "Makes the next key-signing key of a zone and publishes it. After some hours, when every cache \
                      knows it, it is ready: give its DS record to the parent zone in place of the old one, wait until \
                      every server of the parent zone has it, and say so with `gatehouse dns dnssec ds-seen`. The old \
                      key leaves by itself then. Zone-signing keys need none of this: `roll-after` in \
                      [dns.zone.dnssec] says how old they get.",
        after_help = "\
Examples:
  gatehouse dns dnssec roll cloud.example.com"
    )]
    Roll(ZoneArgs),
    /// Say that the parent zone has the DS record of the next key
    #[command(
        long_about = "Says that the parent zone has the DS record of the key-signing key with this tag, which takes \
                      over at once. Refused as long as the key is not ready: a resolver that does not know it yet \
                      could not prove the zone.",
        after_help = "\
Examples:
  gatehouse dns dnssec ds-seen cloud.example.com 12345"
    )]
    DsSeen {
        /// The zone
        zone: Name,
        /// The tag of the key, the first number of its DS record
        tag: u16,
        #[command(flatten)]
        output: Output,
    },
}

/// A command about keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key, and print it as a key file
    #[command(
        long_about = "Makes a secret of the kernel's random numbers and prints it as a key file, which [[dns.key]], \
                      nsupdate, BIND and others read (--form bind), or knsupdate, kdig and Knot (--form line).",
        after_help = "\
Examples:
  gatehouse dns key new site --out /etc/gatehouse/site.key
  gatehouse dns key new acme --form line | knsupdate -k /dev/stdin"
    )]
    New {
        /// What both sides call it
        name: Name,
        /// How messages are signed with it
        #[arg(long, default_value = "hmac-sha256")]
        algorithm: Mac,
        /// In which form
        #[arg(long, default_value = "bind")]
        form: Form,
        /// Write it into this new file, which only this user can read
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
        #[command(flatten)]
        output: Output,
    },
    /// List the daemon's keys and what they may do
    List(Output),
}

/// A message authentication code (RFC 8945, 6).
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)]
pub enum Mac {
    HmacSha256,
    HmacSha384,
    HmacSha512,
}

/// The form of a key file.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Form {
    /// A `key` clause
    Bind,
    /// `algorithm:name:secret`
    Line,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Switch {
    On,
    Off,
}

/// A zone, and how it is shown.
#[derive(Debug, Args)]
pub struct ZoneArgs {
    /// The zone
    pub zone: Name,
    #[command(flatten)]
    pub output: Output,
}

/// Which records, and how.
#[derive(Debug, Args)]
pub struct RecordsArgs {
    /// The zone
    pub zone: Name,
    /// Only this name and those below it; one label is below the zone
    pub name: Option<String>,
    /// Only this type
    #[arg(long = "type", value_name = "TYPE")]
    pub rtype: Option<Rtype>,
    #[command(flatten)]
    pub output: Output,
}

/// Where an update goes, and what it is signed with.
#[derive(Debug, Args)]
pub struct Whereto {
    /// The key file; without it, a key of the daemon's configuration that may change the zone
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
    /// The server, with or without a port; without it, the daemon on this machine
    #[arg(long, value_name = "ADDRESS", value_parser = server)]
    pub server: Option<SocketAddr>,
}

/// The same, for records of one name.
#[derive(Debug, Args)]
pub struct Place {
    #[command(flatten)]
    pub whereto: Whereto,
    /// The zone; without it, the server is asked which one the name is in
    #[arg(long)]
    pub zone: Option<Name>,
}

/// A set of records.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// The name, in full
    pub name: Name,
    /// The type of the records
    #[arg(value_name = "TYPE")]
    pub rtype: Rtype,
    /// The data of each record, as in a zone file
    #[arg(required = true)]
    pub data: Vec<String>,
    /// Seconds a cache may keep them
    #[arg(long, default_value_t = 300)]
    pub ttl: u32,
    /// Keep what is there, and add these
    #[arg(long)]
    pub add: bool,
    /// Have the server remove them after so many seconds (RFC 9664)
    #[arg(long, value_name = "SECONDS")]
    pub lease: Option<u32>,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}

/// What to delete.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The name, in full
    pub name: Name,
    /// Only records of this type
    #[arg(value_name = "TYPE")]
    pub rtype: Option<Rtype>,
    /// Only records with this data, as in a zone file
    pub data: Vec<String>,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub output: Output,
}

/// What to import.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The zone
    pub zone: Name,
    /// The zone file
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    #[command(flatten)]
    pub whereto: Whereto,
    #[command(flatten)]
    pub output: Output,
}

fn server(text: &str) -> Result<SocketAddr, String> {
    let bare = || text.parse().ok().map(|address| SocketAddr::new(address, 53));
    text.parse().ok().or_else(bare).ok_or_else(|| "not an address, as 198.51.100.7 or 198.51.100.7:5300".to_owned())
}
