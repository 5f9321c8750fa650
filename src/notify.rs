//! Tells systemd how the daemon is (sd_notify(3)): ready, reloading, stopping, alive.
//!
//! Without systemd (`NOTIFY_SOCKET` unset) nothing happens. **Invariant:** nobody waits for systemd but a thread that does
//! nothing else; what repeats itself is left out while systemd stands still.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sd_notify::NotifyState;

/// Notices that may wait for systemd; more are lost. Those that repeat themselves do not wait in line, so these are changes.
const QUEUE: usize = 64;

/// Something systemd should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The daemon lives; its start goes on, and takes at most this much longer.
    Starting(Duration),
    /// The start is over; one line for `systemctl status`.
    Ready(&'a str),
    /// The configuration is being read again; [`Notice::Ready`] ends it.
    Reloading,
    /// The daemon hands over and ends.
    Stopping,
    /// The daemon lives, and does this, one line; due every [`watchdog`] interval.
    Alive(&'a str),
}

/// Tells systemd, by a thread of its own: nobody waits for a service manager that stands still. A failure is logged and
/// changes nothing.
pub fn notify(notice: Notice<'_>) {
    static TELLER: OnceLock<Option<Teller>> = OnceLock::new();
    if let Some(teller) = TELLER.get_or_init(Teller::start) {
        teller.tell(notice);
    }
}

/// How often [`Notice::Alive`] is due: half the time after which systemd kills a mute daemon; none if it never does.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

/// The way to systemd.
struct Teller {
    messages: SyncSender<String>,
    /// Those that systemd has not taken yet.
    waiting: Arc<AtomicUsize>,
}

impl Teller {
    /// None without systemd.
    fn start() -> Option<Teller> {
        std::env::var_os("NOTIFY_SOCKET")?;
        let (messages, incoming) = sync_channel(QUEUE);
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        let thread = std::thread::Builder::new().name("notify".into()).spawn(move || deliver(&incoming, &left));
        match thread {
            Ok(_) => Some(Teller { messages, waiting }),
            Err(error) => {
                tracing::warn!(%error, "systemd cannot be told anything");
                None
            }
        }
    }

    fn tell(&self, notice: Notice<'_>) {
        // What is said again soon is left out while systemd does not listen.
        let repeats = matches!(notice, Notice::Alive(_) | Notice::Starting(_));
        if repeats && self.waiting.load(Ordering::Relaxed) > 0 {
            return;
        }
        let Ok(text) = message(notice) else { return };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if self.messages.try_send(text).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            tracing::warn!(?notice, "systemd could not be told: it does not listen");
        }
    }
}

fn deliver(messages: &Receiver<String>, waiting: &AtomicUsize) {
    while let Ok(text) = messages.recv() {
        if let Err(error) = sd_notify::notify(&[NotifyState::Custom(&text)]) {
            tracing::warn!(%error, text, "systemd could not be told");
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

fn message(notice: Notice<'_>) -> io::Result<String> {
    let lines = |states: &[NotifyState<'_>]| states.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    Ok(match notice {
        Notice::Starting(longer) => {
            let micros = u32::try_from(longer.as_micros()).unwrap_or(u32::MAX);
            lines(&[NotifyState::Watchdog, NotifyState::ExtendTimeoutUsec(micros)])
        }
        Notice::Ready(text) => lines(&[NotifyState::Ready, NotifyState::Status(&one_line(text))]),
        Notice::Reloading => lines(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?]),
        Notice::Stopping => lines(&[NotifyState::Stopping]),
        Notice::Alive(text) => lines(&[NotifyState::Watchdog, NotifyState::Status(&one_line(text))]),
    })
}

/// A line break would start another message to systemd, and names in it come from the network.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_the_network_cannot_speak_to_systemd() {
        assert_eq!(one_line("standby of a\nMAINPID=1"), "standby of a MAINPID=1");
    }
}
