//! `gatehouse fabric`: a fabric's key, and who this machine is in it.
//!
//! These commands work on the files of the state folder and need no daemon: the fabric's key is on one machine, which
//! may have none, and is opened for as long as a command takes.

mod args;
mod passphrase;
mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use fabric::identity::{
    Capabilities, Costs, Current, FabricKey, Folder, Issuer, KeyPair, Name, NodeIdentity, SEALING, SealedKey, Stamp,
    StoredKey, Trust, cross, root,
};
use serde::Serialize;
use zeroize::Zeroizing;

use super::args::{DEFAULT_CONFIG, Output};
use super::paint::Paint;
use super::print;
use crate::clock;
use crate::config;
pub use args::FabricCommand;
use args::{InitArgs, KeyArgs, RotateArgs, ShowArgs, StateArgs};
use show::{Facts, date};

const DAY: Duration = Duration::from_secs(86_400);

/// Does one command.
pub fn run(command: FabricCommand) -> anyhow::Result<()> {
    match command {
        FabricCommand::Init(args) => init(args),
        FabricCommand::Show(args) => show(&args),
        FabricCommand::Renew(args) => renew(&args),
        FabricCommand::Rotate(args) => rotate(&args),
        FabricCommand::ExportPublic(args) => export(&args),
    }
}

fn init(args: InitArgs) -> anyhow::Result<()> {
    let folder = folder(&args.state)?;
    if folder.exists() {
        bail!(
            "{} is there already: this machine belongs to a fabric, and `gatehouse fabric show` says to which",
            folder.path().display()
        );
    }
    let name = match args.name {
        Some(name) => name,
        None => own_name()?,
    };
    let passphrase = match args.no_passphrase {
        true => None,
        false => Some(passphrase::new(args.passphrase.passphrase_file.as_deref())?),
    };
    let key = FabricKey::from(new_pair()?);
    let trust = Trust::new(root(&key, key.public().fabric(), stamp()?)?)?;
    let node = first_node(&key, &trust, Arc::new(new_pair()?), name)?;
    let stored = stored(key, passphrase.as_deref().map(String::as_str))?;
    fabric::durable::make_folder(folder.path().parent().unwrap_or(Path::new(".")))
        .with_context(|| format!("cannot make the folder of {}", folder.path().display()))?;
    folder.create(|folder| {
        folder.keep_fabric_key(&stored)?;
        folder.keep_trust(&trust)?;
        folder.keep_node(&node)
    })?;
    print_folder(&folder, args.output, |facts, shown| {
        format!(
            "{}\n{}\n\
             Keep a copy of {} in a safe place{}.\n",
            Paint::detect().good("this machine is the first node of a new fabric"),
            facts.text(shown, Paint::detect()),
            folder.path().join("fabric.key").display(),
            if passphrase.is_some() { ", and the passphrase in another" } else { "" },
        )
    })
}

fn show(args: &ShowArgs) -> anyhow::Result<()> {
    let folder = present(&args.state)?;
    print_folder(&folder, args.output, |facts, shown| facts.text(shown, Paint::detect()))
}

fn renew(args: &KeyArgs) -> anyhow::Result<()> {
    let folder = present(&args.state)?;
    let _lock = folder.lock()?;
    folder.finish_rotation()?;
    let (key, _) = open(&folder, args)?;
    let Current { identity, verifier } = folder.load()?;
    let node = first_node(&key, &verifier.trust, identity.key().clone(), identity.name().clone())?;
    folder.keep_node(&node)?;
    print_folder(&folder, args.output, |facts, shown| {
        format!("{}\n{}", Paint::detect().good("renewed"), facts.text(shown, Paint::detect()))
    })
}

fn rotate(args: &RotateArgs) -> anyhow::Result<()> {
    let folder = present(&args.key.state)?;
    let _lock = folder.lock()?;
    folder.finish_rotation()?;
    let Current { identity, verifier: fabric::identity::Verifier { trust, .. } } = folder.load()?;
    let now = clock::wall();
    if let Some(until) = trust.overlap(now) {
        bail!("the last rotation is not over before {}; nothing was changed", date(until.as_secs()));
    }
    let (old, passphrase) = open(&folder, &args.key)?;
    let next = FabricKey::from(new_pair()?);
    let until = now + DAY * u32::from(args.overlap_days);
    let own = root(&next, trust.fabric(), stamp()?)?;
    let cross = cross(&old, &trust, &next.public(), until, stamp()?)?;
    let trust = trust.succeed(own, cross).context("the fabric's key cannot be rotated")?;
    let node = first_node(&next, &trust, identity.key().clone(), identity.name().clone())?;
    folder.rotate(&stored(next, passphrase.as_deref().map(String::as_str))?, &trust)?;
    folder.keep_node(&node)?;
    print_folder(&folder, args.key.output, |facts, shown| {
        format!(
            "{}\n{}\n\
             The key before it is trusted until {}. Copy {} to a safe place again.\n",
            Paint::detect().good("the fabric has a new key"),
            facts.text(shown, Paint::detect()),
            date(until.as_secs()),
            folder.path().join("fabric.key").display(),
        )
    })
}

/// What `export-public --json` prints.
#[derive(Debug, Serialize)]
struct Public {
    /// The fabric's id.
    fabric: String,
    /// The certificates of its keys, in PEM: the first, then each later one and what the one before says of it.
    pem: String,
}

fn export(args: &ShowArgs) -> anyhow::Result<()> {
    let trust = present(&args.state)?.trust()?;
    let public = Public { fabric: trust.fabric().to_string(), pem: trust.to_pem() };
    print(args.output, &public, |public| format!("# the fabric {}\n{}", public.fabric, public.pem))
}

fn print_folder(
    folder: &Folder,
    output: Output,
    text: impl FnOnce(&Facts<'_>, &show::Shown) -> String,
) -> anyhow::Result<()> {
    let (current, key) = (folder.load()?, folder.fabric_key()?);
    let facts = Facts { folder: folder.path(), current: &current, key: key.as_ref(), now: clock::wall() };
    print(output, &facts.shown(), |shown| text(&facts, shown))
}

/// The folder of a fabric that this machine belongs to.
fn present(args: &StateArgs) -> anyhow::Result<Folder> {
    let folder = folder(args)?;
    if !folder.exists() {
        bail!(
            "there is no {}: this machine belongs to no fabric; `gatehouse fabric init` makes one",
            folder.path().display()
        );
    }
    Ok(folder)
}

fn folder(args: &StateArgs) -> anyhow::Result<Folder> {
    let usual = Path::new(DEFAULT_CONFIG);
    let state: PathBuf = match (&args.state, &args.config) {
        (Some(state), _) => state.clone(),
        (None, Some(config)) => config::state(config)?,
        (None, None) if usual.exists() => config::state(usual)?,
        (None, None) => config::default_state(),
    };
    Ok(Folder::below(&state))
}

/// The fabric's key, and the passphrase that has opened it.
fn open(folder: &Folder, args: &KeyArgs) -> anyhow::Result<(FabricKey, Option<Zeroizing<String>>)> {
    let stored = folder.fabric_key()?.with_context(|| {
        format!("the fabric's key is not on this machine: there is no {}", folder.path().join("fabric.key").display())
    })?;
    match stored {
        StoredKey::Plain(key) => Ok((key, None)),
        StoredKey::Sealed(sealed) => {
            let passphrase = passphrase::known(args.passphrase.passphrase_file.as_deref())?;
            Ok((sealed.open(&passphrase)?, Some(passphrase)))
        }
    }
}

fn stored(key: FabricKey, passphrase: Option<&str>) -> anyhow::Result<StoredKey> {
    let Some(passphrase) = passphrase else { return Ok(StoredKey::Plain(key)) };
    let random = clock::random_bytes::<SEALING>().context(NO_RANDOMNESS)?;
    Ok(StoredKey::Sealed(SealedKey::seal(&key, passphrase, Costs::USUAL, random)?))
}

/// A spawner right below the fabric's key, which makes its own node's certificate. That one is made anew each month; the
/// spawner's lasts a year.
fn first_node(key: &FabricKey, trust: &Trust, own: Arc<KeyPair>, name: Name) -> anyhow::Result<NodeIdentity> {
    let spawner = Issuer::root(key, trust)?.delegate(own.public(), Capabilities::ALL, stamp()?)?;
    Ok(NodeIdentity::of_spawner(own, spawner, name, stamp()?)?)
}

fn new_pair() -> anyhow::Result<KeyPair> {
    Ok(KeyPair::from_seed(&Zeroizing::new(clock::random_bytes().context(NO_RANDOMNESS)?)))
}

fn stamp() -> anyhow::Result<Stamp> {
    Ok(Stamp { now: clock::wall(), serial: clock::random_bytes().context(NO_RANDOMNESS)?.into() })
}

const NO_RANDOMNESS: &str = "the kernel has no random numbers yet; try again";

/// The machine's name, if it can be a node's.
fn own_name() -> anyhow::Result<Name> {
    let host = config::Surroundings::of_this_machine().hostname;
    host.parse().with_context(|| format!("the machine's name `{host}` cannot be a node's; give --name"))
}
