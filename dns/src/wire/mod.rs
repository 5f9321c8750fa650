//! Messages: a view over octets that somebody sent, and a writer of new ones (RFC 1035, 4; RFC 6891).
//!
//! [`Message::read`] walks the whole message once, without allocating, and refuses what is malformed; what it gives out
//! afterwards lies within the message. Names are decompressed one at a time, on demand, with bounded work
//! ([`MAX_JUMPS`]). [`Writer`] compresses names, counts its sections and never grows a message beyond its limit.
//! **Invariant:** no octets make anything here panic, loop or allocate more than the message is long.

mod edns;
mod header;
mod message;
mod names;
#[cfg(test)]
mod tests;
mod writer;

pub use edns::{Edns, EdnsOption, Options};
pub use header::{Flags, Header, Opcode, Rcode};
pub use message::{Message, Question, RawRecord, Records, Section, SignatureKind};
pub use names::{MAX_JUMPS, NameBuffer};
pub use writer::{Full, Writer};

/// The octets of a message before its sections.
pub const HEADER_LEN: usize = 12;
/// The longest message: what the two octets before it can say over TCP (RFC 1035, 4.2.2).
pub const MAX_MESSAGE: usize = u16::MAX as usize;
/// What everybody can receive over UDP (RFC 1035, 4.2.1).
pub const PLAIN_UDP: usize = 512;

/// The class IN.
pub const CLASS_IN: u16 = crate::record::IN;
/// The class CHAOS.
pub const CLASS_CHAOS: u16 = 3;
/// The class NONE: of prerequisites and deletions of an update (RFC 2136, 2.4 and 2.5).
pub const CLASS_NONE: u16 = 254;
/// The class ANY: a question for all, and the class of TSIG.
pub const CLASS_ANY: u16 = 255;

/// Why octets are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Not even a header: there is nothing to answer to.
    #[error("shorter than a header")]
    NoHeader,
    /// A name, a record or its data ends behind the end.
    #[error("the message is cut off")]
    CutOff,
    /// Octets after the last record.
    #[error("something follows the last record")]
    Trailing,
    /// More questions than one (RFC 9619).
    #[error("more than one question")]
    Questions,
    /// A label of an unknown kind, a name of more than 255 octets, or a pointer that points not backwards or too often.
    #[error("a name is malformed")]
    Name,
    /// The data of a record does not fit its type.
    #[error("the data of a record does not fit its type")]
    Data,
    /// A second OPT record, one outside the additional section or with a name, or options that are cut off.
    #[error("the OPT record is malformed")]
    Opt,
    /// A TSIG or SIG(0) record that is not the last of the additional section (RFC 8945, 5.1).
    #[error("a signature is not at the end")]
    Signature,
}
