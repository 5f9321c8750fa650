//! The server: sockets, threads and what joins the parts.
//!
//! [`Front`] is what every transport answers from: the zones of the moment, and who may what. UDP is answered by threads of
//! its own ([`Udp`]), which hand everything that takes time over as a [`Job`] to the desk: it verifies signatures, has
//! updates done and signs the answers. A [`Server`] is all of it together. **Invariant:** a thread that answers never waits
//! for anything but its socket.

mod asking;
mod batch;
mod counters;
mod descriptors;
mod desk;
mod front;
mod notifying;
mod running;
mod secondaries;
mod socket;
pub mod streams;
#[cfg(test)]
mod tests;
mod transfers;
mod udp;

pub use asking::AskingError;
pub use counters::Totals;
pub use front::{Asked, Client, Front, Now, Policy, Taken};
pub use running::{Server, ServerError};
pub use secondaries::SecondaryStatus;
pub use udp::{Job, ReturnPath, Udp, UdpError};
