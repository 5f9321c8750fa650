//! The simulator: many members' real election machines in one virtual world, with everything that can go wrong.
//!
//! One virtual clock, one queue of events, one seed. Safety ([`check`]) holds at every moment, liveness
//! ([`random::settle`]) after healing. Nothing here knows how the machine decides; it sees inputs and effects only.

#![allow(clippy::unwrap_used, clippy::panic)]

mod check;
mod clock;
mod crowd;
mod driver;
mod faults;
mod kernel;
mod mutants;
mod network;
mod node;
mod random;
mod rng;
mod starts;
mod stories;
mod told;
#[path = "../transcript/mod.rs"]
mod transcript;
mod trouble;
mod world;
