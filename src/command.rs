//! Runs a command as a process group that never outlives its try.
//!
//! The group is killed when the command has ended, when the try is dropped (timeout, end of the checks), and always
//! before the command is reaped: only then does its id still name this group and no other.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::AsyncReadExt as _;
use tokio::io::unix::AsyncFd;
use tokio::process::Command;
use tokio::time::timeout;

/// What a command prints beyond this is not read.
const MAX_OUTPUT: u64 = 64 << 10;
/// A child of the command may keep its output open; what came until this long after its end counts.
const LAST_OUTPUT: Duration = Duration::from_millis(100);

/// Runs `words` (a program and its arguments) to its end. Dropping the future kills it with its children.
///
/// # Errors
/// When it cannot be started or waited for.
pub async fn run(words: &[String]) -> io::Result<ExitStatus> {
    perform(words, Stdio::null(), &mut Vec::new()).await
}

/// As [`run`], with what it printed.
///
/// # Errors
/// As [`run`].
pub async fn output(words: &[String]) -> io::Result<(ExitStatus, String)> {
    let mut printed = Vec::new();
    let status = perform(words, Stdio::piped(), &mut printed).await?;
    Ok((status, String::from_utf8_lossy(&printed).into_owned()))
}

async fn perform(words: &[String], stdout: Stdio, printed: &mut Vec<u8>) -> io::Result<ExitStatus> {
    let [program, arguments @ ..] = words else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    // Locals are dropped in reverse order: the group is killed before `child` gives its id back.
    let group = Group(id.ok_or(io::ErrorKind::NotFound)?);
    #[expect(deprecated, reason = "unsound only for types whose descriptor can change; an OwnedFd keeps its own")]
    let ended = AsyncFd::new(pidfd_open(group.0, PidfdFlags::NONBLOCK)?)?;
    if let Some(output) = child.stdout.take() {
        let mut output = output.take(MAX_OUTPUT);
        let mut reading = std::pin::pin!(output.read_to_end(printed));
        tokio::select! {
            read = &mut reading => drop(read?),
            ready = ended.readable() => {
                ready?.retain_ready();
                let _ = timeout(LAST_OUTPUT, reading).await;
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn what_is_printed_is_read_whatever_children_do() {
        for script in
            ["echo 192.0.2.1", "echo 192.0.2.1; sleep 60 & exit 0", "exec 2>&1; echo 192.0.2.1; exec >&-; true"]
        {
            let (status, printed) = output(&words(script)).await.unwrap();
            assert!(status.success() && printed == "192.0.2.1\n", "{script}: {status} {printed:?}");
        }
        assert_eq!(output(&words("exit 3")).await.unwrap().0.code(), Some(3));
    }

    #[tokio::test]
    async fn what_prints_for_ever_is_cut_off() {
        // Its pipe is closed under it, which ends it.
        let (status, printed) = output(&words("exec yes")).await.unwrap();
        assert!(!status.success() && printed.len() as u64 == MAX_OUTPUT, "{status} {}", printed.len());
    }
}
