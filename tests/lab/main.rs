//! Labs: the real kernel, the real binary, in namespaces of their own.
//!
//! Each test runs this program again inside a private machine (`gatehouse::demo::inside`), one at a time, because
//! they measure. A lab that cannot run here says so on standard error; with `LAB=require` it fails instead.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod demo;
mod faults;
mod filtered;
mod fitness;
mod health;
mod internet;
mod kit;
mod lan;
mod machine;
mod meddling;
mod modes;
mod neighbours;
mod observer;
mod partition;
mod record;
mod registration;
mod reload;
mod rtnl;
mod stalls;
mod traces;

use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use gatehouse::demo::inside::{self, Run};

/// Runs the body of the calling test inside a private machine. Must be given a closure written in the test itself.
fn lab<F: FnOnce() -> Result<()>>(body: F) {
    if inside::is_inside() {
        inside::enter().unwrap();
        std::thread::spawn(|| {
            std::thread::sleep(LIMIT);
            eprintln!("the lab took longer than {LIMIT:?}");
            std::process::exit(1);
        });
        return body().unwrap_or_else(|error| panic!("{error:#}"));
    }
    let test = test_of::<F>();
    let Some(_alone) = alone(test) else { return };
    let mut run = Run::of_this_program().unwrap();
    let output = run.command.args(["--exact", test, "--nocapture", "--test-threads=1"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{test} failed inside ({}):\n{said}{complained}", output.status);
}

/// The right to run a lab, one at a time; none, said loudly, where labs cannot run.
fn alone(test: &str) -> Option<MutexGuard<'static, ()>> {
    if let Some(obstacle) = inside::obstacle() {
        assert!(std::env::var("LAB").as_deref() != Ok("require"), "{test} cannot run: {obstacle}");
        // Not `eprintln!`, which is hidden for a test that passes.
        #[allow(clippy::explicit_write, reason = "the test runner would keep `eprintln!` to itself")]
        writeln!(std::io::stderr(), "SKIPPED {test}: {obstacle}").unwrap();
        return None;
    }
    Some(ALONE.lock().unwrap_or_else(PoisonError::into_inner))
}

static ALONE: Mutex<()> = Mutex::new(());
const LIMIT: Duration = Duration::from_secs(180);

/// The name of the test that a closure was written in, as the test runner knows it.
fn test_of<F>() -> &'static str {
    let path = std::any::type_name::<F>();
    let path = path.split_once("::").map_or(path, |(_, path)| path);
    path.split("::{{closure}}").next().unwrap_or(path)
}

#[test]
fn a_test_knows_its_name() {
    fn name<F>(_: F) -> &'static str {
        test_of::<F>()
    }
    assert_eq!(name(|| ()), "a_test_knows_its_name");
}
