//! The `gatehouse` command; everything is in the library.

use std::process::ExitCode;

use gatehouse::cli::Programs;
use gatehouse::daemon;

fn main() -> ExitCode {
    gatehouse::cli::main(Programs { run: daemon::run, serve: daemon::serve_dns, replay: daemon::replay })
}
