//! The set-up tools of demo, lab and benchmarks, run with errors that say which package is missing.
//!
//! The daemon itself never runs any of them.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Runs a tool to its end.
///
/// # Errors
/// When it is missing, or with what it said when it fails.
pub fn run(program: &str, arguments: &[&str]) -> Result<()> {
    feed(program, arguments, "")
}

/// Runs a tool with `input` on its standard input.
///
/// # Errors
/// As [`run`].
pub fn feed(program: &str, arguments: &[&str], input: &str) -> Result<()> {
    let spawned = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("`{program}` is missing: install the package {}", package(program))
        }
        other => other.with_context(|| format!("running {program}"))?,
    };
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).with_context(|| format!("writing to {program}"))?;
    }
    let output = child.wait_with_output().with_context(|| format!("waiting for {program}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{program} {}` failed: {}", arguments.join(" "), said.trim());
    }
    Ok(())
}

/// The Debian package that has a tool.
fn package(program: &str) -> &str {
    match program {
        "ip" => "iproute2",
        "nft" => "nftables",
        "unshare" => "util-linux",
        other => other,
    }
}
