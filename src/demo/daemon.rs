//! One running daemon of a member: started inside its machine, with all it starts itself.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::net::{Lan, Machine};
use super::software::{Seat, Software};
use crate::clock;

/// A started daemon; dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    seat: Seat,
    frozen: bool,
    ending: bool,
}

/// What a daemon's processes do, as far as the demo knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Running,
    /// It was stopped by SIGSTOP.
    Frozen,
    /// It has ended by itself, with this code.
    Ended(i32),
    /// It was ended by this signal.
    Killed(i32),
}

impl Daemon {
    /// Starts the software of a seat; what it says goes to `log` in the seat's folder.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(lan: &Lan, software: &dyn Software, seat: &Seat) -> Result<Daemon> {
        fs::create_dir_all(&seat.folder).with_context(|| seat.folder.display().to_string())?;
        let mut command = software.command(seat)?;
        let log = File::options().create(true).append(true).open(seat.file("log")).context("the log")?;
        command.current_dir(&seat.folder).stdin(Stdio::null()).stdout(log.try_clone().context("the log")?).stderr(log);
        let spawned = lan.within(Machine::Member(seat.member), move || command.spawn())?;
        let child = spawned.with_context(|| format!("starting {} on {}", software.name(), seat.member))?;
        Ok(Daemon { child, seat: seat.clone(), frozen: false, ending: false })
    }

    /// Sends a signal to all of its processes.
    ///
    /// # Errors
    /// When the processes cannot be listed.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.life().is_over() {
            return Ok(());
        }
        for pid in self.processes()? {
            // One that has just ended needs no signal.
            let _ = kill_process(pid, signal);
        }
        self.frozen = match signal {
            Signal::STOP => true,
            Signal::CONT => false,
            _ => self.frozen,
        };
        Ok(())
    }

    /// Asks it to end, as a service manager does: only its first process is told.
    pub fn terminate(&mut self) {
        if let (false, Some(pid)) = (self.life().is_over(), pid(self.child.id())) {
            let _ = kill_process(pid, Signal::TERM);
        }
        self.ending = true;
    }

    /// Whether it was asked to end.
    pub fn is_ending(&self) -> bool {
        self.ending
    }

    /// Asks it to read its configuration again.
    pub fn reload(&mut self) {
        if let (false, Some(pid)) = (self.life().is_over(), pid(self.child.id())) {
            let _ = kill_process(pid, Signal::HUP);
        }
    }

    /// Its processes: the one that was started, and all that it started.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub fn processes(&self) -> Result<Vec<Pid>> {
        family(self.child.id())
    }

    /// What it does now.
    pub fn life(&mut self) -> Life {
        match self.child.try_wait() {
            Ok(Some(status)) => ended(status),
            Ok(None) if self.frozen => Life::Frozen,
            Ok(None) | Err(_) => Life::Running,
        }
    }

    /// Waits until it is over, but not longer than `patience`.
    pub fn wait(&mut self, patience: Duration) -> Life {
        let give_up_at = clock::now() + patience;
        loop {
            let life = self.life();
            if life.is_over() || clock::now() >= give_up_at {
                return life;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The last lines of what it said.
    pub fn last_words(&self, lines: usize) -> String {
        let text = fs::read(self.seat.file("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
    }
}

impl Life {
    /// Whether it has ended.
    pub fn is_over(self) -> bool {
        matches!(self, Life::Ended(_) | Life::Killed(_))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.signal(Signal::KILL);
        let _ = self.child.wait();
    }
}

fn ended(status: ExitStatus) -> Life {
    match (status.code(), status.signal()) {
        (Some(code), _) => Life::Ended(code),
        (None, signal) => Life::Killed(signal.unwrap_or(0)),
    }
}

fn pid(number: u32) -> Option<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw)
}

/// A process and its descendants, parents first.
fn family(first: u32) -> Result<Vec<Pid>> {
    let mut parents: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")?.flatten() {
        let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // The name in parentheses may hold spaces; the parent is the second field after it.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parents.extend(parent.map(|parent| (number, parent)));
    }
    let mut found = vec![first];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(number, _)| *number));
        next += 1;
    }
    Ok(found.into_iter().filter_map(pid).collect())
}
