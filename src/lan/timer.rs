//! A timer on `CLOCK_BOOTTIME`, exact to the microsecond; tokio's own counts whole milliseconds of another clock.
#![allow(unsafe_code)]

use std::io;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};
use tokio::io::unix::AsyncFd;

use crate::units::Time;

#[derive(Debug)]
pub(super) struct Timer {
    fd: AsyncFd<std::os::fd::OwnedFd>,
    /// What it was set to and has not fired for.
    armed: Option<Time>,
}

impl Timer {
    pub(super) fn new() -> io::Result<Timer> {
        let fd = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        // SAFETY: an `OwnedFd` is open until it is dropped, is never replaced, and `AsyncFd` owns it from here.
        Ok(Timer { fd: unsafe { AsyncFd::register(fd)? }, armed: None })
    }

    /// Waits until `at`. Cancel-safe: the next call goes on, or sets the timer anew.
    pub(super) async fn until(&mut self, at: Time) -> io::Result<()> {
        if self.armed != Some(at) {
            self.arm(at)?;
        }
        loop {
            let mut guard = self.fd.readable().await?;
            let mut expirations = [0; 8];
            if let Ok(result) = guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut expirations)?)) {
                // It fires once: a second read would find nothing.
                guard.clear_ready();
                self.armed = None;
                return result.map(|_| ());
            }
        }
    }

    fn arm(&mut self, at: Time) -> io::Result<()> {
        // Zero would switch the timer off.
        let nanos = at.as_nanos().max(1);
        let value = Timespec {
            tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(nanos % 1_000_000_000).unwrap_or(0),
        };
        let spec = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(self.fd.get_ref(), TimerfdTimerFlags::ABSTIME, &spec)?;
        self.armed = Some(at);
        Ok(())
    }
}
