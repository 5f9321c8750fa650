//! What a member says: numbered, encoded, signed.

use super::encode;
use super::key::SiteKey;
use super::{Datagram, Message};
use crate::units::{BootEpoch, NodeId, Sequence, SiteTag, Term};

/// Turns messages into signed datagrams. **Invariant:** no two datagrams have the same epoch and sequence.
#[derive(Debug)]
pub struct Outbox {
    key: SiteKey,
    site: SiteTag,
    node: NodeId,
    epoch: BootEpoch,
    sequence: Sequence,
}

impl Outbox {
    /// An outbox for one start of the daemon; `epoch` must be higher than at every earlier start.
    pub fn new(key: SiteKey, site: SiteTag, node: NodeId, epoch: BootEpoch) -> Outbox {
        Outbox { key, site, node, epoch, sequence: Sequence(0) }
    }

    /// The next datagram's bytes, at most [`MAX_DATAGRAM`](super::MAX_DATAGRAM); `message` is brought into the
    /// layout's bounds as [`encode`] describes.
    pub fn seal(&mut self, term: Term, message: &Message) -> Vec<u8> {
        self.sequence = Sequence(self.sequence.0.saturating_add(1));
        let Outbox { site, node, epoch, sequence, .. } = *self;
        let datagram = Datagram { site, node, epoch, sequence, term, message: message.clone() };
        let mut bytes = encode::unsigned(&datagram, self.key.id());
        let signature = self.key.sign(&bytes);
        bytes.extend_from_slice(&signature);
        bytes
    }

    /// Goes on in a higher epoch, after others said that this one is not the newest ([`Message::Stale`]). A lower one is ignored.
    pub fn raise_epoch(&mut self, epoch: BootEpoch) {
        if epoch > self.epoch {
            self.epoch = epoch;
            self.sequence = Sequence(0);
        }
    }

    /// The epoch it speaks in.
    pub fn epoch(&self) -> BootEpoch {
        self.epoch
    }
}
