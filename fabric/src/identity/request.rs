//! Management requests, signed by a node of the fabric for one other.
//!
//! Links are encrypted and mutually authenticated already; the signature makes a request its sender's own on the whole
//! way over further nodes and bridges, and the nonce and the dates make it count once.

use std::time::Duration;

use super::key::Purpose;
use super::name::FabricId;
use super::node::Current;
use super::verify::{Peer, Role, VerifyError};
use crate::units::{NodeId, Time, WallTime};
use crate::wire::envelope::{self, Envelope, EnvelopeError, Nonce, RequestKind};
use crate::wire::replay::{Dated, MAX_LIFE, Refusal, ReplayWindow};

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It cannot be read, or is too long to be written.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// It is for another fabric.
    #[error("the request is for another fabric: {0}")]
    OtherFabric(FabricId),
    /// It is for another node.
    #[error("the request is for another node: {0}")]
    OtherTarget(NodeId),
    /// Its sender is not believed.
    #[error("the sender of a request is not believed")]
    Sender(#[from] VerifyError),
    /// The signature is wrong.
    #[error("the signature of a request is wrong")]
    Signature,
    /// It is too late, repeated, or one too many.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// What is asked of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Who is asked.
    pub target: NodeId,
    /// What for.
    pub kind: RequestKind,
    /// What exactly.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Signs it as `sender`, good for `life` from `now` on; `nonce` must be unpredictable and new.
    ///
    /// # Errors
    /// When the body is longer than [`envelope::MAX_BODY`].
    pub fn sign(&self, sender: &Current, nonce: Nonce, now: WallTime, life: Duration) -> Result<Vec<u8>, RequestError> {
        let identity = &sender.identity;
        let envelope = Envelope {
            kind: self.kind,
            fabric: identity.fabric().0,
            target: self.target,
            nonce,
            issued: now,
            expires: now + life.min(MAX_LIFE),
            certificates: sender.shown(now).map(AsRef::as_ref).collect(),
            body: self.body,
        };
        let mut bytes = envelope.encode()?;
        let signature = identity.key().sign(Purpose::Request, &bytes);
        bytes.extend_from_slice(&signature);
        Ok(bytes)
    }
}

/// A request that is to be done, if its sender may ask for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted<'a> {
    /// Who asks, and what it may do.
    pub sender: Peer,
    /// What for.
    pub kind: RequestKind,
    /// What exactly.
    pub body: &'a [u8],
}

/// The moment at which a request is judged.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Now.
    pub now: Time,
    /// Now by this node's wall clock, which judges certificates.
    pub wall: WallTime,
    /// Now by the sender's wall clock, as far as the link tells; else this node's.
    pub theirs: WallTime,
}

/// Judges a request that came to the node `receiver`, and remembers it in `window`.
///
/// # Errors
/// When it must not be done. It is remembered only when it is accepted.
pub fn accept<'a>(
    receiver: &Current,
    window: &mut ReplayWindow,
    bytes: &'a [u8],
    moment: Moment,
) -> Result<Accepted<'a>, RequestError> {
    let envelope::Signed { envelope, signed, signature } = envelope::decode(bytes)?;
    let identity = &receiver.identity;
    if envelope.fabric != identity.fabric().0 {
        return Err(RequestError::OtherFabric(FabricId(envelope.fabric)));
    }
    if envelope.target != identity.id() {
        return Err(RequestError::OtherTarget(envelope.target));
    }
    let sender = receiver.verifier.verify(envelope.certificates.iter().copied(), Role::Node, moment.wall)?;
    if !sender.key().verifies(Purpose::Request, signed, signature) {
        return Err(RequestError::Signature);
    }
    let Envelope { nonce, issued, expires, kind, body, .. } = envelope;
    let dated = Dated { sender: sender.node(), nonce, issued, expires };
    window.admit(moment.now, moment.theirs, dated)?;
    Ok(Accepted { sender, kind, body })
}
