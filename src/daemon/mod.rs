//! `gatehouse run`: puts the parts together and keeps them running until told to stop.
//!
//! The site has a thread of its own (`lan/`); everything else, the API, the health checks, the files, lives on an
//! ordinary runtime here, and may be slow without anybody losing the address.

mod alone;
mod dns;
mod face;
mod history;
mod log;
mod replay;
mod running;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

use crate::api::{self, Command, model::Refusal};
use crate::config::{self, DnsSettings, Settings};
use crate::notify::{Notice, notify};
pub use replay::replay;
use running::{Running, STOP_WITHIN};

/// Threads for work that waits for the disk: files, large zones, slow readers of them.
const MAX_BLOCKING: usize = 16;

/// Runs one member until SIGTERM or SIGINT; SIGHUP reads the configuration at `config_path` again.
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
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;

    let listener = api::bind(&settings.control)?;
    let (commands, mut incoming) = mpsc::channel(16);
    let mut running = Running::start(settings, &config_path, commands).await?;
    let (end_api, api_ended) = oneshot::channel::<()>();
    let api = tokio::spawn(api::serve(listener, running.door(), async {
        let _ = api_ended.await;
    }));
    notify(Notice::Ready(&running.line()));
    tracing::info!(name = running.settings().name, interface = running.settings().lan.interface, "running");

    // A failure is shown in the status, and the site goes on.
    let _ = running.serve_dns(&config_path).await;

    let asked = loop {
        tokio::select! {
            _ = terminate.recv() => break true,
            _ = interrupt.recv() => break true,
            _ = hang_up.recv() => {
                notify(Notice::Reloading);
                let _ = reload(&mut running, &config_path).await;
                notify(Notice::Ready(&running.line()));
            }
            Some(command) = incoming.recv() => match command {
                Command::GiveUp(reply) => running.give_up(reply).await,
                Command::Reload(reply) => {
                    let done = reload(&mut running, &config_path).await;
                    let _ = reply.send(done);
                }
            },
            goes_on = running.turn() => if !goes_on { break false },
        }
    };
    notify(Notice::Stopping);
    let done = running.stop().await;
    running.stop_dns().await;
    let _ = end_api.send(());
    let _ = tokio::time::timeout(Duration::from_millis(200), api).await;
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

/// Reads the configuration again; an invalid one changes nothing and is shown until a valid one is read.
async fn reload(running: &mut Running, path: &std::path::Path) -> Result<(), Refusal> {
    match config::load(path) {
        Ok(settings) => running.reload(settings, path).await,
        Err(error) => Err(running.refuse("invalid-configuration", error)),
    }
}
