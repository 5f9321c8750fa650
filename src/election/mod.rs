//! Who holds the DMZ address.
//!
//! A pure machine: it is told the time and what happened, and answers with an ordered list of effects. It owns no
//! socket, clock or random source. **Invariant:** nothing here performs anything; `lan/` does, in the order given.

pub mod effect;
pub mod settings;

pub use effect::{Dest, Effect, Failure, Input, Note};
pub use settings::{Prefer, Role, Settings, Timing};
