//! What can be typed after `gatehouse fabric`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use fabric::identity::Name;

use crate::cli::args::Output;

/// A command about the fabric that this machine belongs to.
#[derive(Debug, Subcommand)]
pub enum FabricCommand {
    /// Make a new fabric, with this machine as its first node
    #[command(
        long_about = "Makes a fabric: its key, which all its nodes trust, and this machine's identity as its first \
                      node, which may make others. Both are written into the folder fabric/ of the state folder, for \
                      its owner's eyes.\n\n\
                      The fabric's key is the root of all trust. It stays on this machine and is copied nowhere by \
                      gatehouse; keep a backup of fabric.key. It is needed once a year, to renew this machine's \
                      certificate, and to rotate the key. Everything else is done with this machine's own key. So it \
                      should be sealed with a passphrase: on a terminal it is asked for twice; without one, give \
                      --passphrase-file or --no-passphrase. A passphrase is never an argument, where every user of \
                      the machine could read it.",
        after_help = "\
Examples:
  gatehouse fabric init
  gatehouse fabric init --name desktop --passphrase-file ~/fabric-passphrase
  pass show fabric | gatehouse fabric init --passphrase-file -
  gatehouse fabric init --no-passphrase --state /tmp/try --json | jq -r .fabric"
    )]
    Init(InitArgs),
    /// Show the fabric, its key, and who this machine is in it
    #[command(
        long_about = "Shows the fabric that this machine belongs to, the keys that it trusts, who this machine is in \
                      it, what it may do, and until when its certificates are valid. It needs no daemon and no \
                      passphrase. The certificates are files as other programs know them: \
                      `openssl x509 -text -in fabric/node.pem` shows everything that is in one.",
        after_help = "\
Examples:
  gatehouse fabric show
  gatehouse fabric show --json | jq .node.valid_until"
    )]
    Show(ShowArgs),
    /// Renew this machine's own certificates with the fabric's key
    #[command(
        long_about = "Makes this machine's certificates anew, which are valid for a year (those of nodes that it has \
                      made are renewed by this machine by itself, each month). `gatehouse fabric show` says until when \
                      they are valid. It asks for the passphrase if the fabric's key has one.",
        after_help = "\
Examples:
  gatehouse fabric renew
  gatehouse fabric renew --passphrase-file /dev/fd/3 3< passphrase"
    )]
    Renew(KeyArgs),
    /// Put a new key in place of the fabric's key, while the fabric runs
    #[command(
        long_about = "Makes a new key for the fabric, which the old one signs; then the old one is gone. Nothing stops: \
                      for the time of the overlap all nodes trust both keys. They hear of the new one from each other, \
                      and get new certificates one after the other, as soon as those that made them have theirs. When \
                      the overlap has ended the old key counts for nothing, and whoever was away all the time has to \
                      join again. The fabric keeps its name. The next rotation has to wait for the end of the \
                      overlap.\n\n\
                      The new key has the passphrase of the old one. A rotation helps against a key that may become \
                      known one day; a fabric whose key is known to somebody else has to be made anew.",
        after_help = "\
Examples:
  gatehouse fabric rotate
  gatehouse fabric rotate --overlap-days 90 --passphrase-file ~/fabric-passphrase"
    )]
    Rotate(RotateArgs),
    /// Print what others need to recognise this fabric; nothing secret
    #[command(
        long_about = "Prints the certificates of the fabric's keys in PEM: whoever trusts them can tell who belongs to \
                      this fabric. They are public. Programs that are no part of it can verify its nodes with them.",
        after_help = "\
Examples:
  gatehouse fabric export-public > fabric.pem
  openssl verify -CAfile fabric.pem -untrusted node.pem node.pem"
    )]
    ExportPublic(ShowArgs),
}

/// Where the state is.
#[derive(Clone, Debug, Args)]
pub struct StateArgs {
    /// The state folder; the configuration's, or the usual one, unless given
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "config")]
    pub state: Option<PathBuf>,
    /// The configuration that says where the state folder is
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
}

/// Where the passphrase comes from.
#[derive(Clone, Debug, Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from the first line of a file, or of standard input (-), instead of the terminal
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub passphrase_file: Option<PathBuf>,
}

/// What `init` takes.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// What this node is called; the machine's name unless given
    #[arg(long)]
    pub name: Option<Name>,
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    /// Do not seal the fabric's key: whoever can read the file has it
    #[arg(long, conflicts_with = "passphrase_file")]
    pub no_passphrase: bool,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub output: Output,
}

/// What `show` and `export-public` take.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub output: Output,
}

/// What takes the fabric's key takes this.
#[derive(Debug, Args)]
pub struct KeyArgs {
    #[command(flatten)]
    pub passphrase: PassphraseArgs,
    #[command(flatten)]
    pub state: StateArgs,
    #[command(flatten)]
    pub output: Output,
}

/// What `rotate` takes.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// For how long both keys are trusted; a node that is off for longer has to join again
    #[arg(long, value_name = "DAYS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub overlap_days: u16,
    #[command(flatten)]
    pub key: KeyArgs,
}
