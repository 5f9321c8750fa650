//! `gatehouse dns serve`: DNS without a site, with the same API.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::dns::{Dns, Facts, Told};
use super::history::History;
use crate::api::{self, Command, Door, model::Refusal};
use crate::cloud::register::Holder;
use crate::config::{self, DnsSettings};
use crate::notify::{self, Notice, notify};

/// How often the service manager is told that the daemon lives, where it does not say.
const PULSE: Duration = Duration::from_secs(10);
/// What is being answered when the daemon ends may take this long.
const LAST_ANSWERS: Duration = Duration::from_millis(700);

/// What runs.
struct Alone {
    settings: DnsSettings,
    dns: Dns,
    history: History,
}

/// Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again.
pub(super) async fn serve(settings: DnsSettings, config_path: PathBuf) -> anyhow::Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;

    let listener = api::bind(&settings.control)?;
    let (commands, mut incoming) = mpsc::channel(16);
    // A machine without a site tells its own public address.
    let dns = Dns::new(facts(&settings, &config_path), Holder::Me);
    let mut alone = Alone { dns, history: History::new(), settings };
    let started = alone.dns.apply(Some(&alone.settings.dns), facts(&alone.settings, &config_path)).await;
    if let Err(error) = started {
        let _ = std::fs::remove_file(&alone.settings.control);
        return Err(error).context("cannot serve DNS");
    }
    let door = Door { status: None, dns: alone.dns.door(), history: alone.history.seen(), commands };
    let (end_api, api_ended) = oneshot::channel::<()>();
    let api = tokio::spawn(api::serve(listener, door, async {
        let _ = api_ended.await;
    }));
    let line = alone.line();
    notify(Notice::Ready(&line));
    tracing::info!(name = alone.settings.name, "{line}");
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => {
                notify(Notice::Reloading);
                let _ = alone.reload(&config_path).await;
                notify(Notice::Ready(&alone.line()));
            }
            Some(command) = incoming.recv() => match command {
                Command::GiveUp(reply) => {
                    let message = "this daemon serves DNS and no site: it holds no address".to_owned();
                    let _ = reply.send(Err(Refusal { error: "no-site".into(), message }));
                }
                Command::Reload(reply) => {
                    let done = alone.reload(&config_path).await;
                    let _ = reply.send(done);
                }
            },
            told = alone.dns.turn() => alone.say(told),
            () = sleep(notify::watchdog().unwrap_or(PULSE)) => notify(Notice::Alive),
        }
    }
    notify(Notice::Stopping);
    let _ = end_api.send(());
    let _ = tokio::time::timeout(LAST_ANSWERS, api).await;
    alone.dns.stop().await;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

impl Alone {
    /// Reads the configuration again; what cannot be used changes nothing.
    async fn reload(&mut self, path: &Path) -> Result<(), Refusal> {
        let done = self.try_reload(path).await;
        match &done {
            Ok(()) => self.say(Told { text: "the new configuration is in force".into(), bad: false }),
            Err(refusal) => self.say(Told { text: refusal.message.clone(), bad: true }),
        }
        done
    }

    async fn try_reload(&mut self, path: &Path) -> Result<(), Refusal> {
        let refuse = |error: &str, why: String| {
            let message = format!("the new configuration is not used, the old one goes on: {why}");
            Refusal { error: error.into(), message }
        };
        let settings = config::load_dns(path).map_err(|error| refuse("invalid-configuration", error.to_string()))?;
        let fixed =
            [("state", settings.state == self.settings.state), ("control", settings.control == self.settings.control)];
        if let Some((key, _)) = fixed.iter().find(|(_, same)| !same) {
            return Err(refuse("restart-needed", format!("`{key}` cannot change while the daemon runs: restart it")));
        }
        let applied = self.dns.apply(Some(&settings.dns), facts(&settings, path)).await;
        applied.map_err(|error| refuse("failed", format!("{error:#}")))?;
        self.settings = settings;
        Ok(())
    }

    fn say(&mut self, Told { text, bad }: Told) {
        if bad {
            tracing::warn!("{text}");
        } else {
            tracing::info!("{text}");
        }
        self.history.log("dns", text, 0);
    }

    /// The server in one line, for the service manager.
    fn line(&self) -> String {
        let server = &self.settings.dns.server;
        let listen: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
        match self.settings.dns.serves() {
            true => format!("serving {} zones at {}", server.zones.len(), listen.join(", ")),
            false => "registering elsewhere, serving nothing".to_owned(),
        }
    }
}

fn facts(settings: &DnsSettings, config: &Path) -> Facts {
    Facts { interface: None, dmz: Default::default(), state: settings.state.clone(), config: config.to_owned() }
}
