//! The clients that people have, against the real server: `gatehouse dns serve` in a folder of its own, on loopback.
//!
//! A test whose client is not installed says so on standard error; with `LAB=require` it fails instead. `make setup`
//! installs them all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod dyndns;
mod kea;
mod python;
mod server;
mod tools;
mod updaters;
