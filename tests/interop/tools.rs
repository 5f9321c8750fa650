//! Foreign programs: whether they are here, what they are told and what they say.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::wait;

/// Nothing that works takes longer on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub error: String,
    pub code: Option<i32>,
    pub is_success: bool,
}

/// A program in the background; it is killed when this is dropped.
pub struct Background {
    pub child: Child,
    log: PathBuf,
}

impl Background {
    /// Starts it; what it prints is added to this file.
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let out = fs::File::options().create(true).append(true).open(&log).unwrap();
        command.env("PATH", path()).stdin(Stdio::null()).stdout(out.try_clone().unwrap()).stderr(out);
        Self { child: command.spawn().unwrap(), log }
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether all of these programs, or files where the name has a slash, are here. If not, the test says so loudly, and fails
/// with `LAB=require`.
pub fn here(test: &str, wanted: &[&str]) -> bool {
    let Some(missing) = wanted.iter().find(|wanted| !is_here(wanted)) else { return true };
    skips(test, &format!("{missing} is missing"));
    false
}

/// Says loudly that a test cannot run; with `LAB=require` that is a failure.
pub fn skips(test: &str, why: &str) {
    assert!(std::env::var("LAB").as_deref() != Ok("require"), "{test} cannot run: {why}");
    // Not `eprintln!`, which is hidden for a test that passes.
    #[allow(clippy::explicit_write, reason = "the test runner would keep `eprintln!` to itself")]
    writeln!(std::io::stderr(), "SKIPPED {test}: {why}").unwrap();
}

/// Runs a program to its end with this input.
pub fn run(program: &str, arguments: &[&str], input: &str) -> Said {
    run_with(program, arguments, &[], input)
}

/// Runs a program to its end with this environment and input.
pub fn run_with(program: &str, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Said {
    let mut child = Command::new("timeout")
        .args(["30", program])
        .args(arguments)
        .env("PATH", path())
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program may end without reading everything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |octets| String::from_utf8_lossy(octets).into_owned();
    let (code, is_success) = (output.status.code(), output.status.success());
    Said { out: text(&output.stdout), error: text(&output.stderr), code, is_success }
}

/// Waits until something is so; `why` says what is instead.
pub fn wait_until(is_so: impl FnMut() -> bool, why: impl Fn() -> String) {
    wait::wait_until(PATIENCE, is_so, why);
}

/// Daemons live in sbin, which is not in every user's path.
pub fn path() -> String {
    format!("/usr/bin:/bin:/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default())
}

/// A port that nobody has over UDP or TCP, or had a moment ago. It is none of those that the kernel gives to clients: one
/// of them might get a server's port in the meantime, or even share it (`SO_REUSEPORT`) and hear its own question.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Tests that run beside these begin elsewhere.
        let step = NEXT.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id().wrapping_mul(97));
        let port = u16::try_from(FIRST + step % COUNT).unwrap();
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            return port;
        }
    }
}

fn is_here(wanted: &str) -> bool {
    match wanted.contains('/') {
        true => Path::new(wanted).exists(),
        false => path().split(':').any(|folder| Path::new(folder).join(wanted).exists()),
    }
}
