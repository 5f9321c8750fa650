//! DNS over TCP, TLS, HTTPS and QUIC on loopback, with clients of our own and with kdig.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod crowd;
mod https;
mod kdig;
mod kit;
mod quic;
mod server;
mod tcp;
mod tls;
