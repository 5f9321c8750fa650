//! Cases are data: an input and, beside it, everything that must come of it.
//!
//! `UPDATE=1 cargo test --test cases` rewrites the expectations; the diff is the review.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "cases/config.rs"]
mod config;
#[path = "cases/wire.rs"]
mod wire;

use std::fs;
use std::path::Path;

/// Compares `actual` with the expectation at `path`, or writes it there if `UPDATE=1`.
fn golden(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(path, actual).unwrap();
        return;
    }
    let expected =
        fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 writes it", path.display()));
    assert!(
        expected == actual,
        "{} differs; UPDATE=1 rewrites it\n--- expected\n{expected}\n--- actual\n{actual}",
        path.display()
    );
}
