//! An authoritative DNS server: durable dynamic updates, transfers, alias answers, DNSSEC and a fast path.
//!
//! Reading order: the words ([`name`], [`record`], [`settings`]), the data ([`zone`]), then what changes it and what
//! answers from it. `ARCHITECTURE.md` has the map. **Invariant:** nothing in this crate knows of sites, members or elections.

pub mod name;
pub mod record;
pub mod settings;
pub mod zone;
