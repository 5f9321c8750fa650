//! What takes time: signatures are verified, updates done, signed queries answered and the answers signed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use super::asking::Asking;
use super::front::slip;
use super::secondaries::Secondaries;
use super::transfers::Granted;
use super::udp::set_rate;
use super::{Client, Front, Policy};
use crate::answer::{Outcome, Room, Slow, reject, respond};
use crate::clock;
use crate::guard::{Kind, Limiter, Standing, Verdict, udp_room};
use crate::name::{Name, NameRef};
use crate::record::Rtype;
use crate::settings::Key;
use crate::sign::{Signer, verify};
use crate::store::Store;
use crate::transfer::Notify;
use crate::update::{LeaseTimes, Update};
use crate::wire::{EdnsOption, Header, MAX_MESSAGE, Message, Opcode, Rcode};

/// Answers, one at a time, whatever is not answered on the spot.
pub(super) struct Desk {
    pub(super) front: Arc<Front>,
    pub(super) store: Arc<Store>,
    pub(super) secondaries: Secondaries,
    pub(super) asking: Asking,
    pub(super) keys: ArcSwap<Vec<Key>>,
    pub(super) counts: DeskCounts,
    /// For what goes out over UDP and is signed by nobody.
    pub(super) limiter: Mutex<Option<(u32, Limiter)>>,
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct DeskCounts {
    updates: AtomicU64,
    updates_refused: AtomicU64,
    bad_signatures: AtomicU64,
    limited: AtomicU64,
}

impl DeskCounts {
    /// What is counted, with names for a program.
    pub(super) fn named(&self) -> impl Iterator<Item = (String, u64)> {
        let all = [
            ("updates", &self.updates),
            ("updates_refused", &self.updates_refused),
            ("bad_signatures", &self.bad_signatures),
            ("slow_limited", &self.limited),
        ];
        all.map(|(name, count)| (name.to_owned(), count.load(Ordering::Relaxed))).into_iter()
    }
}

/// What a message wants.
enum Wish {
    Query,
    Update,
    Notify,
    Transfer,
}

fn wish_of(query: &Message<'_>) -> Wish {
    let asked = query.question().map(|question| question.rtype);
    match query.flags().opcode() {
        Opcode::UPDATE => Wish::Update,
        Opcode::NOTIFY => Wish::Notify,
        Opcode::QUERY if matches!(asked, Some(Rtype::AXFR | Rtype::IXFR)) => Wish::Transfer,
        _ => Wish::Query,
    }
}

/// What an answer counts as: errors together, all else by the name that was asked for.
fn counted<'q>(query: &Message<'q>, answer: &[u8]) -> (Kind, NameRef<'q>) {
    let rcode = Header::read(answer).map_or(Rcode::SERVFAIL, |header| header.flags.rcode());
    match query.question() {
        Some(question) if matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => (Kind::Answer, question.name),
        _ => (Kind::Error, NameRef::root()),
    }
}

impl Desk {
    /// Answers a message: `send` is given each message of the answer, when there is any, and says whether more are wanted.
    pub(super) async fn answer<F: Future<Output = bool>>(
        &self,
        octets: &[u8],
        client: Client,
        mut send: impl FnMut(Vec<u8>) -> F,
    ) {
        let Ok(query) = Message::read(octets) else { return };
        let (now, mut out) = (clock::wall_secs(), Vec::new());
        let policy = self.front.policy.load_full();
        let theirs = query.edns().and_then(|edns| edns.option(EdnsOption::COOKIE));
        let (cookie, is_proven) = match theirs.map(|cookie| policy.cookies.judge(cookie, client.address.ip(), now)) {
            None | Some(Standing::Malformed) => (None, false),
            Some(Standing::Unproven(cookie)) => (Some(cookie), false),
            Some(Standing::Proven(cookie)) => (Some(cookie), true),
        };
        let is_limited = !is_proven && policy.limits(client);
        let mut options: Vec<EdnsOption<'_>> = Vec::new();
        options.extend(cookie.as_ref().map(|data| EdnsOption { code: EdnsOption::COOKIE, data }));
        let offered = query.edns().map(|edns| edns.udp_size);
        let mut room = Room {
            limit: if client.is_datagram { udp_room(offered) } else { MAX_MESSAGE },
            recursion: policy.forward.iter().any(|network| network.contains(client.address.ip())),
            verified: true,
            now,
            options: &options,
            identity: policy.identity.as_deref(),
        };
        let keys = self.keys.load_full();
        let verified = match verify(&query, &keys, now) {
            Ok(verified) => verified,
            Err(refusal) => {
                self.counts.bad_signatures.fetch_add(1, Ordering::Relaxed);
                if is_limited && self.judge(&policy, client, Kind::Error, NameRef::root()) != Verdict::Send {
                    return;
                }
                let error = refusal.error.map_or(refusal.rcode.to_string(), |error| error.in_tsig().to_string());
                tracing::info!(client = %client.address, error, "a signature is wrong");
                reject(&query, refusal.rcode, &room, &mut out);
                refusal.seal(&mut out, now);
                send(out).await;
                return;
            }
        };
        let (key, mut signer) =
            verified.map_or((None, None), |verified| (Some(&verified.key.name), Some(verified.signer)));
        room.limit -= signer.as_ref().map_or(0, Signer::room).min(room.limit);
        match wish_of(&query) {
            Wish::Update => {
                let done = self.update(&query, key.cloned(), client).await;
                let lease = done.as_ref().ok().copied().flatten().map(LeaseTimes::write);
                let option = lease.as_ref().map(|data| EdnsOption { code: EdnsOption::UPDATE_LEASE, data });
                let options: Vec<_> = options.iter().copied().chain(option).collect();
                let room = Room { options: &options, ..room };
                reject(&query, done.err().unwrap_or(Rcode::NOERROR), &room, &mut out);
            }
            Wish::Notify => {
                let heard = Notify::read(&query).map(|notify| {
                    let key = key.map(Name::as_ref);
                    self.secondaries.notified(&notify, client.address.ip(), key)
                });
                reject(&query, heard.unwrap_or_else(|malformed| malformed), &room, &mut out);
            }
            Wish::Transfer => {
                match Granted::judge(&self.store, &self.front, &query, client, key.map(Name::as_ref)).await {
                    Ok(granted) if !client.is_datagram => return granted.send(&query, signer, send).await,
                    Ok(granted) => granted.datagram(&query, room.limit, &mut out),
                    Err(rcode) => drop(reject(&query, rcode, &room, &mut out)),
                }
            }
            Wish::Query => {
                // The zones are let go of before anybody is waited for.
                let outcome = respond(&query, &self.front.zones(), &room, &mut out);
                match outcome {
                    Outcome::Slow(Slow::Forward) => {
                        out = self.asking.forward(octets, &self.front, &room).await.unwrap_or_default();
                    }
                    Outcome::Slow(_) => drop(reject(&query, Rcode::REFUSED, &room, &mut out)),
                    Outcome::Answered(..) | Outcome::Drop => {}
                }
            }
        }
        if is_limited && key.is_none() {
            let (kind, name) = counted(&query, &out);
            match self.judge(&policy, client, kind, name) {
                Verdict::Send => {}
                Verdict::Drop => out.clear(),
                Verdict::Slip => {
                    out.clear();
                    slip(&query, &room, cookie.is_some(), &mut out);
                }
            }
        }
        if out.is_empty() {
            return;
        }
        if let Some(signer) = &mut signer {
            signer.sign(&mut out, clock::wall_secs());
        }
        send(out).await;
    }

    /// Counts an answer against a client that has proven nothing.
    fn judge(&self, policy: &Policy, client: Client, kind: Kind, name: NameRef<'_>) -> Verdict {
        let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
        set_rate(&mut limiter, policy.rate);
        let Some((_, limiter)) = &mut *limiter else { return Verdict::Send };
        let verdict = limiter.judge(client.address.ip(), kind, name, clock::millis());
        if verdict != Verdict::Send {
            self.counts.limited.fetch_add(1, Ordering::Relaxed);
        }
        verdict
    }

    /// Does an update; gives back what the answer says about leases.
    async fn update(
        &self,
        query: &Message<'_>,
        key: Option<Name>,
        client: Client,
    ) -> Result<Option<LeaseTimes>, Rcode> {
        let update = Update::read(query);
        let done = match update {
            Ok(update) => {
                let (zone, signer) = (update.zone.clone(), key.clone());
                let done = self.store.update(update, signer).await;
                tracing::debug!(client = %client.address, ?key, %zone, result = ?done.as_ref().err(), "update");
                done
            }
            Err(rcode) => Err(rcode),
        };
        let count = if done.is_ok() { &self.counts.updates } else { &self.counts.updates_refused };
        count.fetch_add(1, Ordering::Relaxed);
        done
    }
}
