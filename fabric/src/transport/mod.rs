//! Engines that talk across machines as if they were in one place.
//!
//! An engine is a mailbox with an id. Each node tells the others which it has; a message for a foreign one goes over the
//! *link* to its node, authenticated with the key of the engine that sends it.
//!
//! * [`filter`]: which events a subscriber wants, judged where they are made.
//!
//! **Invariant:** nothing here knows of sockets, clocks or TLS.

pub mod filter;
