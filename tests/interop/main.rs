//! The clients and servers that people have, against the real server: `gatehouse dns serve` in a folder of its own, on
//! loopback; and the real command line, which is one of the clients.
//!
//! A test whose client is not installed says so on standard error; with `LAB=require` it fails instead. `make setup`
//! installs them all.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod acme;
mod certificate;
mod commands;
mod durable;
mod dyndns;
#[path = "../common/folder.rs"]
mod folder;
mod kea;
mod keys;
mod limits;
mod peer;
mod peers;
mod python;
mod server;
mod tools;
mod updater;
mod updaters;
#[path = "../common/wait.rs"]
mod wait;
