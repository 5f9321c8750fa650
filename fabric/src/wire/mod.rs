//! What nodes say to each other: bytes to values and back.
//!
//! **Invariant:** decoding is total: no octets make it panic, or allocate more than a small multiple of their length; of
//! all octet strings exactly one decodes to a given value.
//!
//! Nothing here knows of sockets, clocks or keys: a signature is 64 octets that somebody else judges.

pub mod envelope;
pub mod frame;
pub mod octets;
pub mod replay;
