//! `gatehouse dns serve`: DNS without a site, with the same API.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::dns::{Dns, Facts, News};
use super::history::{History, Told};
use super::outside::{Served, Signals, Wish};
use super::reloads::{Fixed, Reloads, not_used};
use crate::api::{self, Command, Door, model::Refusal};
use crate::cloud::register::Holder;
use crate::config::{self, DnsSettings};
use crate::lan::StateLock;
use crate::notify::{self, Notice, notify};

/// How often the service manager is told that the daemon lives, where it does not say.
const PULSE: Duration = Duration::from_secs(10);

/// What runs.
struct Alone {
    facts: Facts,
    dns: Dns,
    history: History,
    reloads: Reloads<DnsSettings>,
    /// Why the newest configuration is not in force, until a good one is read.
    refused: Option<String>,
}

/// Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again.
pub(super) async fn serve(settings: DnsSettings, config_path: PathBuf) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::catch()?;
    let listener = api::bind(&settings.control)?;
    let _lock = StateLock::take(&settings.state).inspect_err(|_| drop(std::fs::remove_file(&settings.control)))?;
    let (commands, mut incoming) = mpsc::channel(16);
    let mut alone = Alone::new(&settings, config_path);
    let door = Door { status: None, dns: alone.dns.door(), history: alone.history.seen(), commands };
    tracing::info!(name = settings.name, "running");
    alone.begin(settings);
    let api = Served::start(listener, door);
    let mut pulse = interval(notify::watchdog().unwrap_or(PULSE));
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ended = loop {
        // Cancel-safe: each waits on channels, signals or a clock only.
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::End => break Ok(()),
                Wish::Reload => alone.reloads.ask_by_signal(),
            },
            Some(command) = incoming.recv() => match command {
                Command::GiveUp(reply) => {
                    let message = "this daemon serves DNS and no site: it holds no address".to_owned();
                    let _ = reply.send(Err(Refusal { error: "no-site".into(), message }));
                }
                Command::Reload(reply) => alone.reloads.ask(reply),
            },
            read = alone.reloads.read() => match read {
                Ok(settings) => alone.begin(settings),
                Err(refusal) => alone.conclude(Err(refusal)),
            },
            news = alone.dns.turn() => match news {
                News::Told(told) => alone.history.tell("dns", told, 0),
                News::Changed(Err(error)) if alone.reloads.is_start() => break Err(error),
                News::Changed(done) => {
                    alone.conclude(done.map_err(|error| not_used("failed", format!("{error:#}"))));
                }
            },
            _ = pulse.tick() => alone.pulse(),
        }
    };
    notify(Notice::Stopping);
    drop(incoming);
    alone.reloads.give_up();
    alone.dns.stop().await;
    api.end().await;
    ended.context("cannot serve DNS")?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

impl Alone {
    fn new(settings: &DnsSettings, config: PathBuf) -> Alone {
        let DnsSettings { state, control, .. } = settings.clone();
        let facts = Facts { interface: None, dmz: Default::default(), state: state.clone(), config: config.clone() };
        let fixed = Fixed { state, control };
        let read = move || {
            let settings = config::load_dns(&config).map_err(|error| not_used("invalid-configuration", error))?;
            fixed.check(&settings.state, &settings.control)?;
            Ok(settings)
        };
        // A machine without a site tells its own public address.
        let dns = Dns::new(facts.clone(), Holder::Me);
        Alone { facts, dns, history: History::new(), reloads: Reloads::new(read), refused: None }
    }

    fn begin(&mut self, settings: DnsSettings) {
        self.dns.begin(Some(settings.dns), self.facts.clone());
        self.show();
    }

    /// The start is over, or the new configuration is in force, or it cannot be and nothing has changed.
    fn conclude(&mut self, done: Result<(), Refusal>) {
        let line = self.dns.line().unwrap_or_default();
        self.refused = done.as_ref().err().map(|refusal| refusal.message.clone());
        // Whoever hears the answer finds it shown.
        self.show();
        match &done {
            Ok(()) if self.reloads.is_start() => {
                notify(Notice::Ready(&line));
                self.history.tell("dns", Told::good(&line), 0);
            }
            Ok(()) => self.history.tell("config", Told::good("the new configuration is in force"), 0),
            Err(refusal) => self.history.tell("config", Told::bad(&refusal.message), 0),
        }
        self.reloads.finish(done, &line);
    }

    fn show(&mut self) {
        let warnings: Vec<String> =
            self.dns.is_reading().into_iter().chain(self.refused.as_deref()).map(str::to_owned).collect();
        self.dns.warn(&warnings);
    }

    fn pulse(&self) {
        match self.dns.line() {
            Some(line) => notify(Notice::Alive(&line)),
            None => notify(Notice::Starting(PULSE * 3)),
        }
    }
}
