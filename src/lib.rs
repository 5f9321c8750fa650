//! Gatehouse: any number of machines share the one LAN address that a home router forwards to.
//!
//! `ARCHITECTURE.md` is the map.

pub mod api;
pub mod causes;
pub mod cli;
pub mod cloud;
pub mod command;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod election;
pub mod lan;
pub mod notify;
pub mod reach;
pub mod units;
pub mod wire;

pub use fabric::{clock, durable, random};
