//! What runs on the members: Gatehouse in the demo and the labs, also others in the benchmark.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::member::Member;
use super::net::DMZ;
use crate::clock;

/// How long a daemon may take to hand over.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where a member's daemon lives.
#[derive(Clone, Debug)]
pub struct Seat {
    /// Which member it is.
    pub member: Member,
    /// A folder of its own.
    pub folder: PathBuf,
}

impl Seat {
    /// A file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// A daemon that lets members share one address.
pub trait Software: Send + Sync {
    /// Its name with the settings that matter, for tables.
    fn name(&self) -> String;

    /// Writes what it needs into the seat's folder; the command that runs it in the foreground there.
    ///
    /// # Errors
    /// When the folder cannot be written.
    fn command(&self, seat: &Seat) -> Result<Command>;

    /// Asks the holder to hand the address over and to stay.
    ///
    /// # Errors
    /// When it cannot, or refuses.
    fn give_up(&self, seat: &Seat) -> Result<()> {
        bail!("{} on {} cannot hand over without being stopped", self.name(), seat.member)
    }
}

/// The beacon interval and all that follows from it, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// 100 ms.
    #[default]
    Default,
    /// 10 ms.
    Fast,
    /// 300 ms.
    Quiet,
}

impl Profile {
    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Profile::Default => "default",
            Profile::Fast => "fast",
            Profile::Quiet => "quiet",
        }
    }
}

/// The real daemon of this project.
#[derive(Clone, Debug)]
pub struct Gatehouse {
    /// The program file.
    pub program: PathBuf,
    /// How fast it beacons.
    pub profile: Profile,
    /// Further lines of the configuration: tables of their own.
    pub more: String,
}

impl Gatehouse {
    /// The configuration file of one member.
    pub fn configuration(&self, seat: &Seat) -> String {
        let mut text = String::new();
        let folder = seat.folder.display();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "name = \"{member}\"\n\
             state = \"{folder}/state\"\n\
             control = \"{folder}/control.sock\"\n\n\
             [lan]\n\
             interface = \"eth0\"\n\
             profile = \"{profile}\"\n\
             key = {{ passphrase = \"a site of its own\" }}\n\n\
             [dmz]\n\
             address = [\"{DMZ}/24\"]\n\n\
             {more}",
            member = seat.member,
            profile = self.profile.name(),
            more = self.more,
        );
        text
    }
}

impl Software for Gatehouse {
    fn name(&self) -> String {
        format!("gatehouse {}", self.profile.name())
    }

    fn command(&self, seat: &Seat) -> Result<Command> {
        let config = seat.file("gatehouse.toml");
        std::fs::write(&config, self.configuration(seat)).with_context(|| config.display().to_string())?;
        let mut command = Command::new(&self.program);
        command.arg("run").arg("--config").arg(config);
        Ok(command)
    }

    fn give_up(&self, seat: &Seat) -> Result<()> {
        give_up(&self.program, seat)
    }
}

/// Asks the daemon of a seat to hand the address over, as people do.
///
/// # Errors
/// When it refuses, or does not answer in time.
pub fn give_up(program: &Path, seat: &Seat) -> Result<()> {
    let mut request = Command::new(program)
        .arg("give-up")
        .arg("--control")
        .arg(seat.file("control.sock"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("running gatehouse give-up")?;
    let give_up_at = clock::now() + PATIENCE;
    while request.try_wait().context("gatehouse give-up")?.is_none() {
        if clock::now() > give_up_at {
            request.kill().context("gatehouse give-up")?;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let output = request.wait_with_output().context("gatehouse give-up")?;
    match output.status.code() {
        Some(0) => Ok(()),
        Some(_) => bail!("{} refused: {}", seat.member, String::from_utf8_lossy(&output.stderr).trim()),
        None => bail!("{} did not answer within {PATIENCE:?}", seat.member),
    }
}
