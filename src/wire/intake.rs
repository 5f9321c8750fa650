//! What a member hears: from bytes of unknown origin to a datagram that may be believed.
//!
//! The checks go from cheap to dear, so that a flood costs little: the header, the key's fingerprint, the site, the
//! sequence; then the budget for signatures; then the signature, the body and the replay guard. A sender is known by
//! the address its newest datagram came from; floods from elsewhere, even in its name, do not use up its budget.
//!
//! **Invariant:** a datagram is delivered at most once, and only if a key of the keyring signed it. After a restart
//! of this daemon nothing is remembered: a recorded datagram of a member that has not spoken since could be played
//! once, which is why terms, not the freshness of datagrams, decide between two holders.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Datagram;
use super::budget::{Bucket, Rate};
use super::decode::{self, DecodeError, Header, Parts};
use super::guard::{Verdict, Window};
use super::key::Keyring;
use crate::units::{BootEpoch, NodeId, SiteTag, Time};

/// So many senders are remembered, longer than the roster remembers members; then the longest unheard is forgotten.
pub const MAX_SENDERS: usize = 2_048;

/// One known sender: a beacon every 5 ms, twice, fits in.
const PER_SENDER: Rate = Rate { per_second: 500, burst: 100 };
/// All known senders together; a signature costs some 50 µs, so this bounds the cost at a tenth of a core.
const ALL_KNOWN: Rate = Rate { per_second: 2_000, burst: 400 };
/// All others together; a thousand members may introduce themselves within two seconds.
const UNKNOWN: Rate = Rate { per_second: 500, burst: 100 };

/// Why a packet was dropped; the variants are what [`crate::api::model::Counters`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// Not ours, or not as we write it.
    Malformed(DecodeError),
    /// Signed with a key that is not in the keyring.
    ForeignKey,
    /// Of another site.
    OtherSite,
    /// Its signature is wrong.
    Forged,
    /// Heard before, or news that is no longer the newest.
    Replayed,
    /// The sender's newest, heard before: it came by two paths; not worth counting.
    Copy,
    /// The sender speaks with an old epoch: [`Message::Stale`](super::Message::Stale) tells it.
    OldEpoch {
        /// The sender.
        node: NodeId,
        /// The newest epoch heard of it.
        newest: BootEpoch,
    },
    /// Unread, because too many came.
    Overload,
    /// This member's own; not worth counting.
    Echo,
    /// Another machine speaks as this member: its disk was copied, state folder included.
    Clone {
        /// The other machine's epoch.
        epoch: BootEpoch,
    },
}

/// Takes packets in.
#[derive(Debug)]
pub struct Intake {
    keys: Keyring,
    site: SiteTag,
    node: NodeId,
    /// This member's epoch, and the one before it was raised: datagrams of both may still come back.
    epochs: [BootEpoch; 2],
    senders: BTreeMap<NodeId, Sender>,
    known: Bucket,
    unknown: Bucket,
}

#[derive(Debug)]
struct Sender {
    window: Window,
    from: IpAddr,
    heard: Time,
    budget: Bucket,
}

impl Intake {
    /// An intake for the member `node` in its start `epoch`.
    pub fn new(keys: impl Into<Keyring>, site: SiteTag, node: NodeId, epoch: BootEpoch) -> Intake {
        let (known, unknown) = (Bucket::new(ALL_KNOWN), Bucket::new(UNKNOWN));
        Intake { keys: keys.into(), site, node, epochs: [epoch; 2], senders: BTreeMap::new(), known, unknown }
    }

    /// The datagram in a packet that came from `from` at `now`.
    ///
    /// # Errors
    /// Why the packet is to be dropped; nothing of it may be used, except for [`Drop::OldEpoch`] and [`Drop::Clone`],
    /// which are said of verified datagrams only.
    pub fn take(&mut self, now: Time, from: IpAddr, bytes: &[u8]) -> Result<Datagram, Drop> {
        let parts = decode::parts(bytes).map_err(Drop::Malformed)?;
        let key = *self.keys.get(parts.header.key).ok_or(Drop::ForeignKey)?;
        self.sift(&parts.header)?;
        if !self.afford(now, from, parts.header.node) {
            return Err(Drop::Overload);
        }
        if !key.verifies(parts.signed, parts.signature) {
            return Err(Drop::Forged);
        }
        self.admit(now, from, &parts)
    }

    /// Follows [`Outbox::raise_epoch`](super::Outbox::raise_epoch).
    pub fn raise_epoch(&mut self, epoch: BootEpoch) {
        if epoch > self.epochs[0] {
            self.epochs = [epoch, self.epochs[0]];
        }
    }

    /// Drops what needs no signature to be dropped: whoever sent it, it would not be used.
    fn sift(&self, header: &Header) -> Result<(), Drop> {
        if header.site != self.site {
            return Err(Drop::OtherSite);
        }
        if header.node == self.node && self.epochs.contains(&header.epoch) {
            return Err(Drop::Echo);
        }
        let Some(Sender { window, .. }) = self.senders.get(&header.node) else { return Ok(()) };
        match window.verdict(header.epoch, header.sequence) {
            Verdict::Replayed if window.newest() == (header.epoch, header.sequence) => Err(Drop::Copy),
            Verdict::Replayed => Err(Drop::Replayed),
            Verdict::Late if header.describes_state() => Err(Drop::Replayed),
            Verdict::Fresh | Verdict::Late | Verdict::OldEpoch { .. } => Ok(()),
        }
    }

    /// Whether a signature may be verified for this packet, and if so, pays for it.
    fn afford(&mut self, now: Time, from: IpAddr, node: NodeId) -> bool {
        match self.senders.get_mut(&node) {
            Some(sender) if sender.from == from => sender.budget.spend(now) && self.known.spend(now),
            Some(_) | None => self.unknown.spend(now),
        }
    }

    /// The last check of a verified datagram, and the only one that remembers it.
    fn admit(&mut self, now: Time, from: IpAddr, parts: &Parts<'_>) -> Result<Datagram, Drop> {
        let datagram = parts.datagram().map_err(Drop::Malformed)?;
        let Datagram { node, epoch, sequence, .. } = datagram;
        let verdict = match self.senders.get_mut(&node) {
            Some(sender) => {
                let verdict = sender.window.admit(epoch, sequence);
                if verdict == Verdict::Fresh {
                    sender.from = from;
                    sender.heard = now;
                }
                verdict
            }
            None => {
                self.make_room();
                let window = Window::starting(epoch, sequence);
                self.senders.insert(node, Sender { window, from, heard: now, budget: Bucket::new(PER_SENDER) });
                Verdict::Fresh
            }
        };
        match verdict {
            Verdict::Fresh | Verdict::Late | Verdict::OldEpoch { .. } if node == self.node => {
                Err(Drop::Clone { epoch })
            }
            Verdict::Fresh | Verdict::Late => Ok(datagram),
            Verdict::Replayed => Err(Drop::Replayed),
            Verdict::OldEpoch { newest } => Err(Drop::OldEpoch { node, newest }),
        }
    }

    fn make_room(&mut self) {
        if self.senders.len() < MAX_SENDERS {
            return;
        }
        if let Some(oldest) = self.senders.iter().min_by_key(|(_, sender)| sender.heard).map(|(node, _)| *node) {
            self.senders.remove(&oldest);
        }
    }
}
