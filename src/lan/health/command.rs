//! Runs a command as a process group that never outlives its try.
//!
//! The group is killed when the command has ended, when the try is dropped (timeout, end of the checks), and always
//! before the command is reaped: only then does its id still name this group and no other.

use std::io;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::process::Command;

/// Runs `words` (a program and its arguments) to its end. Dropping the future kills it with its children.
///
/// # Errors
/// When it cannot be started or waited for.
pub async fn run(words: &[String]) -> io::Result<ExitStatus> {
    let [program, arguments @ ..] = words else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // Locals are dropped in reverse order: the group is killed before `child` gives its id back.
    let group = Group(id.ok_or(io::ErrorKind::NotFound)?);
    #[expect(deprecated, reason = "unsound only for types whose descriptor can change; an OwnedFd keeps its own")]
    let ended = AsyncFd::new(pidfd_open(group.0, PidfdFlags::NONBLOCK)?)?;
    ended.readable().await?.clear_ready();
    drop(group);
    child.wait().await
}

/// A process group that is killed when dropped.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // It fails only if nobody is left to kill.
        let _ = kill_process_group(self.0, Signal::KILL);
    }
}
