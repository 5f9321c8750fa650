//! A server process, and what it takes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use gatehouse::clock;

/// The core that servers run on.
const SERVER_CORE: &str = "0";
/// The core that clients run on.
pub const CLIENT_CORE: &str = "1";
/// How long a server may take to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server and its children.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts a server on one core; what it says goes into `log`.
    pub fn start(command: &Command, log: &Path) -> Result<Self> {
        let file = fs::File::create(log).with_context(|| log.display().to_string())?;
        let mut pinned = Command::new("taskset");
        pinned.args(["-c", SERVER_CORE]).arg(command.get_program()).args(command.get_args());
        pinned.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = pinned.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self { child })
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Seconds that all its threads have run.
    pub fn cpu_secs(&self) -> f64 {
        let tasks = self.family().into_iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")));
        let stats = tasks.flatten().flatten().filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
        let nanos = stats.filter_map(|stat| stat.split(' ').next().and_then(|field| field.parse::<u64>().ok()));
        nanos.sum::<u64>() as f64 / 1e9
    }

    /// Megabytes in memory; pages that its processes share count once.
    pub fn memory_mb(&self) -> f64 {
        let kilobytes = |pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        self.family().into_iter().filter_map(kilobytes).sum::<u64>() as f64 / 1024.0
    }

    /// The process and all below it.
    fn family(&self) -> Vec<u32> {
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while let Some(pid) = family.get(next).copied() {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
            next += 1;
        }
        family
    }

    fn end(&mut self) {
        let family = self.family();
        let signal = |pid: u32, name: &str| {
            let _ = Command::new("kill").args([name, &pid.to_string()]).stderr(Stdio::null()).status();
        };
        signal(self.child.id(), "-TERM");
        let begin = clock::now();
        while !self.has_ended() && clock::now().since(begin) < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        if !self.has_ended() {
            family.into_iter().rev().for_each(|pid| signal(pid, "-KILL"));
            let _ = self.child.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
