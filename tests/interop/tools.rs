//! Foreign programs: whether they are here, what they are told and what they say.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub error: String,
    pub is_success: bool,
}

/// Whether all of these programs, or files where the name has a slash, are here. If not, the test says so loudly, and fails
/// with `LAB=require`.
pub fn here(test: &str, wanted: &[&str]) -> bool {
    let Some(missing) = wanted.iter().find(|wanted| !is_here(wanted)) else { return true };
    assert!(std::env::var("LAB").as_deref() != Ok("require"), "{test} cannot run: {missing} is missing");
    // Not `eprintln!`, which is hidden for a test that passes.
    #[allow(clippy::explicit_write, reason = "the test runner would keep `eprintln!` to itself")]
    writeln!(std::io::stderr(), "SKIPPED {test}: {missing} is missing").unwrap();
    false
}

/// Runs a program to its end with this input.
pub fn run(program: &str, arguments: &[&str], input: &str) -> Said {
    let mut child = Command::new("timeout")
        .args(["30", program])
        .args(arguments)
        .env("PATH", path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program may end without reading everything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |octets| String::from_utf8_lossy(octets).into_owned();
    Said { out: text(&output.stdout), error: text(&output.stderr), is_success: output.status.success() }
}

/// Daemons live in sbin, which is not in every user's path.
pub fn path() -> String {
    format!("/usr/bin:/bin:/usr/sbin:/sbin:{}", std::env::var("PATH").unwrap_or_default())
}

fn is_here(wanted: &str) -> bool {
    match wanted.contains('/') {
        true => Path::new(wanted).exists(),
        false => path().split(':').any(|folder| Path::new(folder).join(wanted).exists()),
    }
}
