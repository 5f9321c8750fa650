//! The program under test as a command, and what it prints.

use std::path::Path;
use std::process::{Command, Stdio};

/// `gatehouse` in this folder, whose control socket is the one it asks.
pub fn gatehouse(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env("GATEHOUSE_CONTROL", folder.join("control.sock"));
    command
}

/// What was printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
