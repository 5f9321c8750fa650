//! `gatehouse watch`: the site, live.
//!
//! `state` decides and `view` draws, both pure; here are the terminal, the keys, and the questions to the daemon.
//! **Invariant:** the terminal is as it was when this ends, also by an error, a signal or a panic.

mod state;
#[cfg(test)]
mod tests;
mod view;

use std::io::IsTerminal;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use crossterm::event::{self, Event as TerminalEvent};
use ratatui::DefaultTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::client::{Client, Error};
use super::paint;
use crate::api::model::Status;
use state::{Action, Input, State};
use view::{Look, view};

/// The status is asked for this often: often enough to see a takeover, rare enough to cost nothing.
const REFRESH: Duration = Duration::from_millis(250);
/// The pause before a lost stream of events is opened again.
const RECONNECT: Duration = Duration::from_millis(500);
/// Inputs that wait while the screen is drawn; whoever sends more waits, too.
const WAITING: usize = 64;

/// Shows the site until somebody quits.
pub async fn run(client: &Client) -> anyhow::Result<()> {
    if !(std::io::stdout().is_terminal() && std::io::stdin().is_terminal()) {
        bail!("watch draws on a terminal, and this is none; `gatehouse events` is for pipes");
    }
    // Asked once before the screen changes, so that a missing daemon is said where it stays readable.
    let status: Status = client.get("/v1/status").await?;
    let mut terminal = ratatui::try_init().context("cannot use the terminal")?;
    let done = show(client, status, &mut terminal).await;
    ratatui::try_restore().context("cannot give the terminal back")?;
    done
}

async fn show(client: &Client, status: Status, terminal: &mut DefaultTerminal) -> anyhow::Result<()> {
    let look = Look { colours: paint::shows_colours(&std::io::stdout()) };
    let (sender, mut inputs) = channel(WAITING);
    let mut terminate = signal(SignalKind::terminate())?;
    let keys = sender.clone();
    // Blocks in a read for ever, and ends with the process.
    thread::Builder::new().name("keys".to_owned()).spawn(move || read_keys(&keys))?;
    tokio::spawn(poll_status(client.clone(), sender.clone()));
    tokio::spawn(follow_events(client.clone(), sender.clone()));
    let mut state = State::new();
    state.step(Input::Status(Box::new(status)));
    loop {
        terminal.draw(|frame| view(&state, look, frame))?;
        let input = tokio::select! {
            _ = terminate.recv() => return Ok(()),
            Some(input) = inputs.recv() => input,
        };
        match state.step(input) {
            None => {}
            Some(Action::Quit) => return Ok(()),
            Some(Action::GiveUp) => {
                let (client, answer) = (client.clone(), sender.clone());
                tokio::spawn(async move {
                    let done = client.post("/v1/give-up").await.map_err(|error| error.to_string());
                    let _ = answer.send(Input::GaveUp(done)).await;
                });
            }
        }
    }
}

fn read_keys(inputs: &Sender<Input>) {
    while let Ok(read) = event::read() {
        let input = match read {
            TerminalEvent::Key(key) => Input::Key(key),
            TerminalEvent::Resize(..) => Input::Resized,
            _ => continue,
        };
        if inputs.blocking_send(input).is_err() {
            return;
        }
    }
}

async fn poll_status(client: Client, inputs: Sender<Input>) {
    let mut ticks = interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let input = match client.get::<Status>("/v1/status").await {
            Ok(status) => Input::Status(Box::new(status)),
            Err(error) => Input::Lost(error.to_string()),
        };
        if inputs.send(input).await.is_err() {
            return;
        }
    }
}

async fn follow_events(client: Client, inputs: Sender<Input>) {
    while !inputs.is_closed() {
        // Why it ended is said by `poll_status`, which meets the same trouble.
        let _ = follow(&client, &inputs).await;
        sleep(RECONNECT).await;
    }
}

async fn follow(client: &Client, inputs: &Sender<Input>) -> Result<(), Error> {
    let mut events = client.events("follow=true").await?;
    let _ = inputs.send(Input::Connected).await;
    while let Some(event) = events.next().await? {
        if inputs.send(Input::Event(event)).await.is_err() {
            break;
        }
    }
    Ok(())
}
