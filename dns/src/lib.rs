//! An authoritative DNS server: durable dynamic updates, transfers, alias answers, DNSSEC and a fast path.
//!
//! Reading order: the words ([`name`], [`record`], [`rdata`], [`settings`]), the data ([`zone`]), messages ([`wire`]), then
//! what changes a zone and what answers from it. `ARCHITECTURE.md` has the map. **Invariant:** nothing in this crate knows
//! of sites, members or elections.

pub mod alias;
pub mod answer;
pub mod client;
pub mod clock;
pub mod dnssec;
pub mod forward;
pub mod guard;
pub mod journal;
pub mod name;
pub mod rdata;
pub mod record;
pub mod server;
pub mod settings;
pub mod sign;
pub mod store;
pub mod text;
pub mod transfer;
pub mod update;
pub mod upstream;
pub mod wire;
pub mod zone;
