//! Zones on their way from server to server: AXFR (RFC 5936), IXFR (RFC 1995) and NOTIFY (RFC 1996).
//!
//! [`Asked`] is what a secondary asks for and [`Outgoing`] the messages it gets; [`Incoming`] reads such messages and ends
//! with a zone or with changes; [`Refresh`] decides when a secondary asks whom for what, [`Notifier`] when whom is told
//! about a change. **Invariants:** nothing here knows of sockets or signatures; a zone or change that comes out of
//! [`Incoming`] is whole and fits what was there, whatever the primary sent.

mod incoming;
mod messages;
mod notifier;
mod outgoing;
mod refresh;
#[cfg(test)]
mod tests;

pub use incoming::{Incoming, Progress, Received, TransferError};
pub use messages::{Notify, Query, ask, notify};
pub use notifier::{Notifier, NotifyEffect, NotifyInput};
pub use outgoing::{Asked, Content, MAX_TRANSFER_MESSAGE, Outgoing};
pub use refresh::{Deadline, Due, Effect, Input, Refresh};
