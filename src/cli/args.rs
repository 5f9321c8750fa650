//! What can be typed: the commands, their options and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};

use super::dns::DnsCommand;
use super::fabric::FabricCommand;
use crate::demo::DemoArgs;

/// Where the system's daemon has its configuration.
pub(super) const DEFAULT_CONFIG: &str = "/etc/gatehouse/gatehouse.toml";

/// Keeps one LAN address alive on several machines.
#[derive(Debug, Parser)]
#[command(
    version,
    about = "Keeps one LAN address alive on several machines",
    long_about = "A home router forwards its ports to one LAN address. Gatehouse lets several machines share that \
                  address: each runs this daemon, one of them holds the address and answers for it, and when that \
                  one dies, freezes, loses its cable or is shut down, another takes over in a fraction of a second.",
    after_help = "`gatehouse --help` says where to start.",
    after_long_help = "\
Start here:
  gatehouse config example > site.toml   a configuration to edit: interface, address, passphrase
  gatehouse config check site.toml       says what is wrong with it, if anything is
  gatehouse run --config site.toml       on each machine; usually the system's service does it
  gatehouse status                       who holds the address, and is all well?

The control socket:
  A command that asks a running daemon finds it at the socket that --control or the environment
  variable GATEHOUSE_CONTROL names, else at /run/gatehouse/control.sock if that exists, else at
  gatehouse/control.sock in $XDG_STATE_HOME or ~/.local/state. The socket speaks HTTP:
  GET /v1/openapi.json describes it, and GET /metrics is for Prometheus.

Exit codes:
  0  done
  1  refused, or failed
  2  wrong usage or a wrong configuration; nothing was touched
  3  no daemon answers on the control socket",
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Ask the daemon that listens here
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "GATEHOUSE_CONTROL",
        hide_env_values = true,
        display_order = 900,
        value_hint = ValueHint::FilePath
    )]
    pub control: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon on this machine, in the foreground
    #[command(
        long_about = "Runs the daemon in the foreground until SIGTERM or Ctrl-C: it finds the other members, and holds \
                      the address or stands by. It logs to standard error. At the end it hands the address over and \
                      removes what it configured. SIGHUP reads the configuration again.\n\n\
                      It needs CAP_NET_ADMIN and CAP_NET_RAW (root has them; the systemd unit grants them), except as \
                      an observer (`role = \"observer\"`).",
        after_help = "\
Examples:
  sudo gatehouse run
  sudo gatehouse run --config site.toml
  RUST_LOG=gatehouse=debug gatehouse run    say more"
    )]
    Run {
        /// The configuration
        #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG, value_hint = ValueHint::FilePath)]
        config: PathBuf,
    },
    /// Show who holds the address, and whether all is well
    #[command(
        long_about = "Shows who holds the address and since when, whether this machine would take over, which checks \
                      fail, what the daemon warns of, and every member it knows.",
        after_help = "\
Examples:
  gatehouse status
  gatehouse status --json | jq -r .holder
  gatehouse status || echo 'no daemon, or it refused'"
    )]
    Status(Output),
    /// List the members of the site
    #[command(
        long_about = "Lists the members of the site as this machine sees them: what each does, when it was last \
                      heard, how healthy it is, and in which order they would take over.",
        after_help = "\
Examples:
  gatehouse members
  gatehouse members --json | jq -r '.[] | select(.healthy | not) | .name'"
    )]
    Members(Output),
    /// Follow what happens: takeovers, members, health
    #[command(
        long_about = "Prints the last events and then each new one as it happens, until it is interrupted. Every \
                      event has a number; --since goes on after one. If events came faster than they could be \
                      read, a line says how many are missing.",
        after_help = "\
Examples:
  gatehouse events
  gatehouse events --no-follow --since 0    everything that the daemon still remembers
  gatehouse events --json | jq 'select(.kind == \"holder\")'"
    )]
    Events(EventsArgs),
    /// Watch the site live, full screen
    #[command(
        long_about = "A live screen: who holds the address, every member and its health, the last takeovers with the \
                      silence before each, and warnings. Keys: q quits, g gives the address up (it asks first), \
                      ? explains. It keeps watching through a restart of the daemon."
    )]
    Watch,
    /// Try it out: a site of its own on this machine, and keys to make trouble
    #[command(
        long_about = "Builds a LAN of its own in namespaces of this machine: members that run this very program, a \
                      router that forwards to the shared address, and a client behind it that asks every millisecond \
                      and notices everything. On a terminal it shows them live, with keys to kill, freeze, cut off \
                      and stop members. With --script, or without a terminal, it performs a story and prints what \
                      came of it. Needs no root where user namespaces are allowed, touches nothing of this machine, \
                      and leaves nothing behind.",
        after_help = "\
Examples:
  gatehouse demo
  gatehouse demo --members 5 --profile fast
  gatehouse demo --script cut --svg cut.svg
  gatehouse demo --script tour --json | jq '.acts[] | {do, gap: .figures.gap_ms}'"
    )]
    Demo(DemoArgs),
    /// Hand the address to another machine, and stay
    #[command(
        long_about = "Hands the address to the next standby before this machine lets go of it, so that no request is \
                      lost; this machine becomes a standby. Refused (exit code 1) when this machine does not hold \
                      the address or nobody can take it. Useful before maintenance.",
        after_help = "\
Examples:
  gatehouse give-up && sudo apt upgrade nginx"
    )]
    GiveUp(Output),
    /// Read the configuration again without letting go of the address
    #[command(
        long_about = "Makes the daemon read its configuration file again, as SIGHUP does. A wrong file changes \
                      nothing: the old one stays in use, and the answer says what is wrong. The address stays where \
                      it is, unless the address itself, the role or the way in which the members meet is what changed. \
                      `state` and `control` need a restart.",
        after_help = "\
Examples:
  gatehouse config check && gatehouse reload"
    )]
    Reload(Output),
    /// Check a configuration, or print an example of one
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Serve DNS, look at zones, and change them
    Dns {
        #[command(subcommand)]
        command: DnsCommand,
    },
    /// Make a fabric of nodes that trust one key, and look after the key
    Fabric {
        #[command(subcommand)]
        command: FabricCommand,
    },
    /// Replay what a daemon recorded, and say what it decided and why
    #[command(
        long_about = "Steps the election through a record (`[record] file` in the configuration makes one) and prints \
                      each change with its time. A record replays exactly: where this version would decide otherwise \
                      than the one that recorded it, the step is shown and the exit code is 1. Needs no daemon.",
        after_help = "\
Examples:
  gatehouse replay /var/lib/gatehouse/inputs
  gatehouse replay /var/lib/gatehouse/inputs --json | jq .differences"
    )]
    Replay {
        /// The record
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Print the completions of a shell
    #[command(after_help = "\
Examples:
  gatehouse completions bash > /etc/bash_completion.d/gatehouse
  gatehouse completions fish > ~/.config/fish/completions/gatehouse.fish")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write all of them into a folder
    #[command(after_help = "\
Examples:
  gatehouse man | man -l -
  gatehouse man --out /usr/local/share/man/man1")]
    Man {
        /// Write one page for each command into this folder
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        out: Option<PathBuf>,
    },
}

/// What to do with a configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether a configuration is right, and if not, where it is wrong
    #[command(
        long_about = "Reads a configuration exactly as the daemon would, without touching anything. Every problem is \
                      shown in the line it is in. The exit code is 2 if there is one.",
        after_help = "\
Examples:
  gatehouse config check
  gatehouse config check site.toml --json | jq -r '.problems[].message'"
    )]
    Check {
        /// The configuration
        #[arg(default_value = DEFAULT_CONFIG, value_hint = ValueHint::FilePath)]
        file: PathBuf,
        #[command(flatten)]
        output: Output,
    },
    /// Print a configuration with every key explained
    #[command(after_help = "\
Examples:
  gatehouse config example | sudo tee /etc/gatehouse/gatehouse.toml
  gatehouse config example dns >> site.toml")]
    Example {
        /// Of which part
        #[arg(default_value = "site")]
        part: Example,
    },
}

/// A part of the configuration that has an example of its own.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Example {
    /// A member of a site
    Site,
    /// `[dns]`
    Dns,
}

/// How to print.
#[derive(Clone, Copy, Debug, Args)]
pub struct Output {
    /// Print JSON, for scripts
    #[arg(long)]
    pub json: bool,
}

/// Which events, and how.
#[derive(Clone, Copy, Debug, Args)]
pub struct EventsArgs {
    /// Start after the event with this number; 0 is everything that is still remembered
    #[arg(long, value_name = "ID")]
    pub since: Option<u64>,
    /// Print what is remembered and end
    #[arg(long)]
    pub no_follow: bool,
    #[command(flatten)]
    pub output: Output,
}
