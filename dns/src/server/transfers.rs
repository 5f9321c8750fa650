//! Zones on their way out: who may have one, and in which form.

use super::{Client, Front};
use crate::clock;
use crate::name::NameRef;
use crate::sign::Signer;
use crate::store::Store;
use crate::transfer::{Asked, Content, MAX_TRANSFER_MESSAGE, Outgoing};
use crate::wire::{Full, Message, Rcode};
use crate::zone::{Serial, Zone};

/// A transfer that was permitted.
pub(super) struct Granted {
    zone: Zone,
    content: Content,
}

impl Granted {
    /// Looks at a query for AXFR or IXFR whose signature, if it has one, is that of `key`.
    ///
    /// # Errors
    /// The result code of the answer: FORMERR, NOTAUTH for a zone that is not here, REFUSED for who may not have it, and
    /// SERVFAIL for a zone that has expired.
    pub(super) async fn judge(
        store: &Store,
        front: &Front,
        query: &Message<'_>,
        client: Client,
        key: Option<NameRef<'_>>,
    ) -> Result<Self, Rcode> {
        let asked = Asked::read(query)?;
        let settings = store.settings(asked.apex.as_ref()).ok_or(Rcode::NOTAUTH)?;
        if !settings.transfer.allows(key, client.address.ip()) {
            tracing::info!(zone = %asked.apex, client = %client.address, "a transfer is refused");
            return Err(Rcode::REFUSED);
        }
        // Over UDP there is no AXFR (RFC 5936, 4.2).
        if client.is_datagram && asked.have.is_none() {
            return Err(Rcode::FORMERR);
        }
        if front.zones().at(asked.apex.as_ref()).is_none_or(|served| served.expired) {
            return Err(Rcode::SERVFAIL);
        }
        let (zone, history) = store.since(asked.apex.as_ref(), asked.have.unwrap_or(Serial(0))).await?;
        let content = Content::choose(&zone, &asked, history);
        let (serial, form) = (zone.serial(), content.name());
        tracing::info!(zone = %asked.apex, client = %client.address, %serial, form, "a zone is transferred");
        Ok(Self { zone, content })
    }

    /// Sends the messages over a stream, each signed.
    pub(super) async fn send<F: Future<Output = bool>>(
        self,
        query: &Message<'_>,
        mut signer: Option<Signer<'_>>,
        mut send: impl FnMut(Vec<u8>) -> F,
    ) {
        let Some(mut outgoing) = Outgoing::new(query, &self.zone, self.content) else { return };
        let room = signer.as_ref().map_or(0, Signer::room);
        loop {
            let mut out = Vec::with_capacity(MAX_TRANSFER_MESSAGE);
            match outgoing.write(&mut out, room) {
                Ok(true) => {}
                Ok(false) => return,
                // The secondary sees the stream end before the transfer does.
                Err(Full) => {
                    tracing::error!(zone = %self.zone.apex(), "a record is too long for any message of a transfer");
                    return;
                }
            }
            if let Some(signer) = &mut signer {
                signer.sign(&mut out, clock::wall_secs());
            }
            if !send(out).await {
                return;
            }
        }
    }

    /// The one message of a datagram of at most `limit` octets: the changes if they fit, else the newest version, which
    /// makes the secondary ask over TCP (RFC 1995, 4).
    pub(super) fn datagram(self, query: &Message<'_>, limit: usize, out: &mut Vec<u8>) {
        let mut write = |content| Outgoing::new(query, &self.zone, content)?.write_datagram(out, limit).ok();
        if matches!(self.content, Content::Whole) || write(self.content).is_none() {
            write(Content::Newest);
        }
    }
}
