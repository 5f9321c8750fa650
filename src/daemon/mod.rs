//! `gatehouse run`: puts the parts together and keeps them running until told to stop.
//!
//! The site has a thread of its own (`lan/`); everything else, the API, the health checks, the files, lives on an
//! ordinary runtime here, and may be slow without anybody losing the address.

mod alone;
mod dns;
mod face;
mod history;
mod log;
mod outside;
mod reloads;
mod replay;
mod running;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;

use crate::api::{self, Command};
use crate::config::{DnsSettings, Settings};
use crate::notify::{Notice, notify};
use outside::{Served, Signals, Wish};
pub use replay::replay;
use running::{Running, STOP_WITHIN, Turned};

/// Threads for work that waits for the disk: files, large zones, slow readers of them.
const MAX_BLOCKING: usize = 16;

/// Runs one member until SIGTERM or SIGINT; SIGHUP reads the configuration at `config_path` again, an absolute path.
///
/// # Errors
/// When the member cannot start; nothing was left behind.
pub fn run(settings: Settings, config_path: PathBuf) -> anyhow::Result<ExitCode> {
    within_runtime(serve(settings, config_path))
}

/// Runs a DNS server without a site, in the same way.
///
/// # Errors
/// When it cannot start; nothing was left behind.
pub fn serve_dns(settings: DnsSettings, config_path: PathBuf) -> anyhow::Result<ExitCode> {
    within_runtime(alone::serve(settings, config_path))
}

fn within_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let _flush = log::start().context("cannot start the log")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(MAX_BLOCKING)
        .enable_all()
        .build()
        .context("cannot start")?;
    let code = runtime.block_on(work);
    // Work that hangs in the background must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(200));
    code
}

async fn serve(settings: Settings, config_path: PathBuf) -> anyhow::Result<ExitCode> {
    // Caught before anything is touched, so that no early signal ends the daemon half-way.
    let mut signals = Signals::catch()?;
    let control = settings.control.clone();
    let listener = api::bind(&control)?;
    let (commands, mut incoming) = mpsc::channel(16);
    let started = Running::start(settings, config_path, commands).await;
    let mut running = started.inspect_err(|_| drop(std::fs::remove_file(&control)))?;
    running.begin_dns();
    let api = Served::start(listener, running.door());
    notify(Notice::Ready(&running.line()));
    tracing::info!(name = running.settings().name, interface = running.settings().lan.interface, "running");
    let asked = loop {
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::End => break true,
                Wish::Reload => running.reloads.ask_by_signal(),
            },
            Some(command) = incoming.recv() => match command {
                Command::GiveUp(reply) => running.give_up(reply),
                Command::Reload(reply) => running.reloads.ask(reply),
            },
            turned = running.turn() => match turned {
                Turned::On => {}
                // Not within `turn`, which may be given up at any time: a reload is done to its end.
                Turned::Read(read) => running.reload(read).await,
                Turned::Ended => break false,
            },
        }
    };
    notify(Notice::Stopping);
    drop(incoming);
    let done = running.stop().await;
    running.stop_dns().await;
    api.end().await;
    match (asked, done) {
        (true, true) => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        (true, false) => {
            anyhow::bail!("the beacon thread did not end within {STOP_WITHIN:?}; the kernel's lease has shut the gate")
        }
        (false, _) => anyhow::bail!("the beacon thread ended by itself; the kernel's lease has shut the gate"),
    }
}
