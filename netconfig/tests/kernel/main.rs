//! The real kernel: fence, carrier and addresses in network namespaces of their own.
//!
//! Each test starts this binary again inside new namespaces ([`lan::lab`]), where a `veth` pair and a bridge make a
//! LAN. Where namespaces cannot be made the tests say that they did not run; under `LAB=require` they fail.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod address;
mod crash;
mod fence;
mod lan;
mod latency;
mod watch;
mod wire;
