//! What is measured.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gatehouse::clock;

use crate::load::{self, Load};
use crate::peers::{Subject, Task};
use crate::process::Server;
use crate::zones::{Zone, write_updates};

/// A server in a situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub subject: Subject,
    pub scene: Scene,
}

/// A situation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scene {
    /// A zone of a thousand names.
    Small,
    /// A zone of a million.
    Large,
    /// A small zone that changes.
    Updates,
}

/// What one run has shown; what a scene does not measure is absent.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Figures {
    /// From the start of the program to its first answer.
    pub load_ms: Option<f64>,
    /// Megabytes before any load, and after all of it.
    pub idle_mb: Option<f64>,
    pub loaded_mb: Option<f64>,
    /// Answers a second about names that exist, the server's processor time for each, and losses.
    pub rate: Option<f64>,
    pub cpu_us: Option<f64>,
    pub lost_permille: Option<f64>,
    /// The same about names that do not.
    pub missing_rate: Option<f64>,
    pub missing_cpu_us: Option<f64>,
    /// At a question each millisecond.
    pub median_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// Updates a second with one open, and with fifty.
    pub updates_one: Option<f64>,
    pub updates_fifty: Option<f64>,
    /// At a question each millisecond while fifty updates are open all the time, and what got no answer.
    pub storm_median_us: Option<f64>,
    pub storm_p99_us: Option<f64>,
    pub storm_lost: Option<f64>,
}

/// What all runs share.
pub struct Plan {
    ours: PathBuf,
    folder: PathBuf,
    small: Zone,
    large: Zone,
    updates: PathBuf,
    secs: u64,
}

/// Names of the small zone.
const SMALL: usize = 1_000;
/// Where servers listen, on loopback.
const PORT: u16 = 5399;
/// How long a server may take until it answers.
const PATIENCE: Duration = Duration::from_secs(120);

impl Plan {
    /// Writes zones and questions.
    pub fn prepare(ours: PathBuf, names: usize, is_quick: bool) -> Result<Self> {
        // On the disk of the build folder: updates are to pay for it.
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dns-bench");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let updates = folder.join("updates");
        write_updates(&updates)?;
        let (small, large) = (Zone::write(&folder, SMALL)?, Zone::write(&folder, names)?);
        Ok(Self { ours, small, large, updates, secs: if is_quick { 1 } else { 3 }, folder })
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Case {
    /// Every server in every situation that it is made for.
    pub fn all() -> Vec<Self> {
        let with = |scene: Scene| Subject::ALL.into_iter().map(move |subject| Self { subject, scene });
        let updates = with(Scene::Updates).filter(|case| case.subject.takes_updates());
        with(Scene::Small).chain(with(Scene::Large)).chain(updates).collect()
    }

    /// `small gatehouse` and the like.
    pub fn name(&self) -> String {
        let scene = match self.scene {
            Scene::Small => "small",
            Scene::Large => "large",
            Scene::Updates => "updates",
        };
        format!("{scene} {}", self.subject.name())
    }

    /// Starts the server, asks, and ends it.
    pub fn run(&self, plan: &Plan) -> Result<Figures> {
        let zone = if self.scene == Scene::Large { &plan.large } else { &plan.small };
        let folder = plan.folder.join("run");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("db")).with_context(|| folder.display().to_string())?;
        let copy = folder.join("zone");
        fs::copy(&zone.file, &copy).with_context(|| copy.display().to_string())?;
        let takes_updates = self.scene == Scene::Updates;
        let task = Task { ours: &plan.ours, folder: &folder, zone: copy, port: PORT, takes_updates };
        let begin = clock::now();
        let mut server = Server::start(&self.subject.command(&task)?, &folder.join("log"))?;
        while !load::is_ready(PORT, zone.names) {
            if server.has_ended() || clock::now().since(begin) > PATIENCE {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                bail!("{} does not answer: {log}", self.subject.name());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let load_ms = Some(clock::now().since(begin).as_secs_f64() * 1e3);
        let idle_mb = Some(server.memory_mb());
        let mut figures = Figures { load_ms, idle_mb, ..Figures::default() };
        match self.scene {
            Scene::Small => figures.ask(plan, zone, &server)?,
            Scene::Large => figures.saturate(plan, zone, &server)?,
            Scene::Updates => figures.update(plan, zone)?,
        }
        figures.loaded_mb = Some(server.memory_mb());
        Ok(figures)
    }
}

impl Figures {
    fn ask(&mut self, plan: &Plan, zone: &Zone, server: &Server) -> Result<()> {
        let steady = load::steady(PORT, zone.names, Duration::from_secs(plan.secs))?;
        (self.median_us, self.p99_us) = (Some(steady.median_us), Some(steady.p99_us));
        self.saturate(plan, zone, server)?;
        let (load, cpu_us) = measured(server, || load::saturate(PORT, &zone.missing, plan.secs))?;
        (self.missing_rate, self.missing_cpu_us) = (Some(load.rate), Some(cpu_us));
        Ok(())
    }

    fn saturate(&mut self, plan: &Plan, zone: &Zone, server: &Server) -> Result<()> {
        let (load, cpu_us) = measured(server, || load::saturate(PORT, &zone.existing, plan.secs))?;
        (self.rate, self.cpu_us, self.lost_permille) = (Some(load.rate), Some(cpu_us), Some(load.lost_permille));
        Ok(())
    }

    fn update(&mut self, plan: &Plan, zone: &Zone) -> Result<()> {
        let span = Duration::from_secs(plan.secs);
        let steady = load::steady(PORT, zone.names, span)?;
        (self.median_us, self.p99_us) = (Some(steady.median_us), Some(steady.p99_us));
        self.updates_one = Some(well(load::update(PORT, &plan.updates, plan.secs, 1)?)?.rate);
        self.updates_fifty = Some(well(load::update(PORT, &plan.updates, plan.secs, 50)?)?.rate);
        let mut storm = load::update_command(PORT, &plan.updates, plan.secs + 1, 50);
        let mut storm = storm.stdout(std::process::Stdio::null()).spawn().context("dnsperf")?;
        // Until it is under way.
        std::thread::sleep(Duration::from_millis(300));
        let steady = load::steady(PORT, zone.names, span);
        let _ = storm.wait();
        let steady = steady?;
        (self.storm_median_us, self.storm_p99_us) = (Some(steady.median_us), Some(steady.p99_us));
        self.storm_lost = Some(steady.lost as f64);
        Ok(())
    }
}

/// A load and the processor time that each of its answers took.
fn measured(server: &Server, load: impl FnOnce() -> Result<Load>) -> Result<(Load, f64)> {
    let before = server.cpu_secs();
    let load = well(load()?)?;
    let cpu_us = (server.cpu_secs() - before) * 1e6 / load.answers.max(1) as f64;
    Ok((load, cpu_us))
}

/// A load whose answers were the right ones: a server that refuses quickly is not quick.
fn well(load: Load) -> Result<Load> {
    if load.well_permille < 999.0 {
        bail!("only {:.0} of 1000 answers were the right ones", load.well_permille);
    }
    Ok(load)
}
