//! Cases as data: what goes in and the complete expected outcome, in files under `tests/cases/`.
//!
//! `UPDATE=1 cargo test --test cases` rewrites the expectations; the difference is then the review.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "cases/config.rs"]
mod config;
#[path = "cases/election.rs"]
mod election;
#[path = "transcript/mod.rs"]
mod transcript;
#[path = "cases/wire.rs"]
mod wire;

use std::path::{Path, PathBuf};

/// Compares `actual` with the file `tests/cases/<name>`, or writes it there under `UPDATE=1`.
fn golden(name: &str, actual: &str) {
    let path = case_file(name);
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 writes it", path.display()));
    assert!(
        expected == actual,
        "{} differs; UPDATE=1 rewrites it\n--- expected\n{expected}\n--- actual\n{actual}",
        path.display()
    );
}

/// The file of a case.
fn case_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(name)
}
