//! Signed messages: who sent them, and proof to the other side of who we are.
//!
//! TSIG (RFC 8945) signs with a secret that both sides have, SIG(0) (RFC 2931) with a private key whose public half the
//! other side knows. A server [`verify`]s a request and has the answers signed by the [`Signer`] it gets; a client signs its
//! request ([`sign_request`], [`sig0::sign_request`]) and has the answers checked by the [`Answers`] it gets. Both count
//! along over an answer of many messages. [`keys`] reads and writes what other programs keep their keys in.
//! **Invariants:** all of it works on octets, knows no clock (seconds since 1970 come in) and no source of random numbers;
//! secrets are compared in a time that says nothing about them.

mod answers;
pub mod keys;
mod mac;
mod public;
mod record;
mod server;
pub mod sig0;
#[cfg(test)]
mod tests;

pub use answers::{AnswerError, Answers, request_room, sign_request};
pub use public::PublicKeyError;
pub use server::{Refusal, Signer, Verified, verify};

/// Seconds that two clocks may be apart (RFC 8945, 10).
pub const FUDGE: u16 = 300;
/// The most messages in a row of an answer that may come unsigned (RFC 8945, 5.3.1).
pub const MAX_UNSIGNED: usize = 99;
