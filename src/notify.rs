//! Tells systemd how the daemon is (sd_notify(3)): ready, reloading, stopping, alive.
//!
//! Without systemd (`NOTIFY_SOCKET` unset) nothing happens. Not for the thread that beacons: a send waits if systemd
//! does not read.

use std::time::Duration;

use sd_notify::NotifyState;

/// Something systemd should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The start goes on, and takes at most this much longer.
    Starting(Duration),
    /// The start is over; one line for `systemctl status`.
    Ready(&'a str),
    /// What the daemon does now, one line.
    Status(&'a str),
    /// The configuration is being read again; [`Notice::Ready`] ends it.
    Reloading,
    /// The daemon hands over and ends.
    Stopping,
    /// The daemon lives; due every [`watchdog`] interval.
    Alive,
}

/// Tells systemd; a failure is logged and changes nothing.
pub fn notify(notice: Notice<'_>) {
    if let Err(error) = tell(notice) {
        tracing::warn!(%error, ?notice, "systemd could not be told");
    }
}

/// How often [`Notice::Alive`] is due: half the time after which systemd kills a mute daemon; none if it never does.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(notice: Notice<'_>) -> std::io::Result<()> {
    match notice {
        Notice::Starting(longer) => {
            let micros = u32::try_from(longer.as_micros()).unwrap_or(u32::MAX);
            sd_notify::notify(&[NotifyState::ExtendTimeoutUsec(micros)])
        }
        Notice::Ready(text) => sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(&one_line(text))]),
        Notice::Status(text) => sd_notify::notify(&[NotifyState::Status(&one_line(text))]),
        Notice::Reloading => sd_notify::notify(&[NotifyState::Reloading, NotifyState::monotonic_usec_now()?]),
        Notice::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
        Notice::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
    }
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
