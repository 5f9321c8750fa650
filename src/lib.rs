//! Gatehouse: any number of machines share the one LAN address that a home router forwards to.
//!
//! `ARCHITECTURE.md` is the map.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod election;
pub mod lan;
pub mod notify;
pub mod units;
pub mod wire;
