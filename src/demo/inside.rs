//! Namespaces of one's own: the program runs itself again as the first process of a private machine.
//!
//! User (when not root), network, mount and process namespaces, made by util-linux's `unshare`. Whatever is built
//! inside (interfaces, namespaces, processes, files under `/run`) is gone when that first process ends, because the
//! kernel ends everything with it. It ends itself when the outer process dies, however that dies: the two share a
//! pipe of which only the outer one has the writing end.
//!
//! **Invariant:** nothing of a demo, lab or benchmark is ever done outside of [`enter`].

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};

/// The folder for everything a demo, lab or benchmark writes; a private tmpfs.
pub const FOLDER: &str = "/run/gatehouse-lab";

/// Which side of the wall the caller is on after [`enter`].
pub enum Entry {
    /// Inside: go on.
    Inside,
    /// Outside, and the inner run has ended with this code (0 to 255).
    Ended(u8),
}

impl Entry {
    /// The code to end the outer process with, if this is it.
    pub fn exit_code(&self) -> Option<ExitCode> {
        match self {
            Entry::Inside => None,
            Entry::Ended(code) => Some(ExitCode::from(*code)),
        }
    }
}

/// Whether this process runs inside already.
pub fn is_inside() -> bool {
    std::env::var_os(LIFELINE).is_some()
}

/// Whether the outer process is gone; the process ends by itself [`GRACE`] later.
pub fn orphaned() -> bool {
    ORPHANED.load(Ordering::Relaxed)
}

/// Runs this program again inside, with the same arguments, and waits for it; or, inside, makes itself at home.
///
/// # Errors
/// When namespaces cannot be had, with what to do about it.
pub fn enter() -> Result<Entry> {
    if is_inside() {
        settle()?;
        return Ok(Entry::Inside);
    }
    let mut run = Run::of_this_program()?;
    run.command.args(std::env::args_os().skip(1));
    let status = match run.command.status() {
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(MISSING),
        other => other.context("running unshare")?,
    };
    Ok(Entry::Ended(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}

/// An inner run about to start; dropping it ends the run.
#[derive(Debug)]
pub struct Run {
    /// To be given arguments and started.
    pub command: Command,
    _lifeline: OwnedFd,
    _inherited: OwnedFd,
}

impl Run {
    /// This program inside, without arguments yet; it has to call [`enter`].
    ///
    /// # Errors
    /// When the system has no descriptors left.
    pub fn of_this_program() -> Result<Run> {
        let (inherited, lifeline) = pipe_with(PipeFlags::CLOEXEC).context("a pipe")?;
        fcntl_setfd(&inherited, FdFlags::empty()).context("a pipe to inherit")?;
        let mut command = unshare();
        command.arg(std::env::current_exe().context("the path of this program")?);
        command.env(LIFELINE, inherited.as_raw_fd().to_string());
        Ok(Run { command, _lifeline: lifeline, _inherited: inherited })
    }
}

/// Says why a private machine cannot be had here, if it cannot.
pub fn obstacle() -> Option<String> {
    if is_inside() {
        return None;
    }
    for (tool, option) in [("ip", "-V"), ("nft", "-v")] {
        if let Err(error) = super::command::run(tool, &[option]) {
            return Some(format!("{error:#}"));
        }
    }
    match unshare().args(["mount", "-t", "tmpfs", "lab", "/run"]).output() {
        Err(_) => Some(MISSING.to_owned()),
        Ok(output) if !output.status.success() => Some(format!(
            "namespaces cannot be had here ({}): run as root, or allow unprivileged user namespaces",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Ok(_) => None,
    }
}

/// How long an orphan may take to restore the terminal.
pub const GRACE: Duration = Duration::from_millis(300);

const LIFELINE: &str = "GATEHOUSE_LAB_LIFELINE";
static ORPHANED: AtomicBool = AtomicBool::new(false);

const MISSING: &str = "`unshare` is missing: install the package util-linux";

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]);
    command
}

fn settle() -> Result<()> {
    watch_lifeline()?;
    super::command::run("mount", &["-t", "tmpfs", "-o", "mode=755,size=64m", "lab", "/run"])?;
    std::fs::create_dir_all(FOLDER).with_context(|| FOLDER.to_owned())
}

fn watch_lifeline() -> Result<()> {
    let number = std::env::var(LIFELINE).context(LIFELINE)?;
    let path = format!("/proc/self/fd/{number}");
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).context("a flag")?;
    let mut pipe = OpenOptions::new().read(true).custom_flags(nonblocking).open(&path).context(path)?;
    let watch = move || {
        // A writer that left before the pipe was opened shows in `read`, one that leaves later in `poll`.
        while !matches!(pipe.read(&mut [0]), Ok(0)) {
            let _ = poll(&mut [PollFd::new(&pipe, PollFlags::IN)], None);
        }
        ORPHANED.store(true, Ordering::Relaxed);
        std::thread::sleep(GRACE);
        std::process::exit(1);
    };
    std::thread::Builder::new().name("lifeline".to_owned()).spawn(watch).context("the lifeline's thread")?;
    Ok(())
}
