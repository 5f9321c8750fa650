//! One query, whatever it came by.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::answer::{Outcome, Room, Zones, malformed, reject, respond, truncate};
use crate::guard::{Cookies, Limiter, Standing, Verdict, udp_room};
use crate::settings::{Network, Settings};
use crate::wire::{EdnsOption, Flags, Header, MAX_MESSAGE, Message, Rcode};

/// What all transports answer from. Each part is replaced as a whole while queries are being answered.
#[derive(Debug)]
pub struct Front {
    zones: ArcSwap<Zones>,
    /// Zones of before that somebody was still answering from.
    retired: Mutex<Vec<Arc<Zones>>>,
    /// Who may what.
    pub policy: ArcSwap<Policy>,
    /// Whether each query is logged.
    pub log_queries: AtomicBool,
}

/// Who may what, as far as plain queries go.
#[derive(Debug)]
pub struct Policy {
    /// What clients are told and asked for.
    pub cookies: Cookies,
    /// Whose questions for other names are forwarded.
    pub forward: Vec<Network>,
    /// The same answer so many times a second to one network over UDP; none for no limit.
    pub rate: Option<u32>,
    /// Whom that does not limit.
    pub rate_exempt: Vec<Network>,
    /// What this server calls itself, if it says.
    pub identity: Option<String>,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where answers go.
    pub address: SocketAddr,
    /// Whether it came by UDP, where answers are short and addresses may be forged.
    pub is_datagram: bool,
}

/// A query that came.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// As it came.
    pub octets: &'a [u8],
    /// From whom.
    pub client: Client,
    /// When.
    pub now: Now,
}

/// The time, by both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Seconds since 1970.
    pub wall_secs: u64,
    /// Milliseconds of a clock that never goes back.
    pub millis: u64,
}

/// What became of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The answer is written.
    Answered,
    /// A truncated answer is written, because its network has had enough whole ones.
    Slipped,
    /// Nothing is written: its network has had enough.
    Limited,
    /// Nothing is written: this needs somebody with time.
    Slow,
    /// Nothing is written, and nothing is to be sent.
    Dropped,
}

impl Front {
    /// Serves nothing yet.
    pub fn new(policy: Policy) -> Self {
        let (zones, retired) = (ArcSwap::default(), Mutex::default());
        Self { zones, retired, policy: ArcSwap::from_pointee(policy), log_queries: AtomicBool::new(false) }
    }

    /// The zones of this moment.
    pub fn zones(&self) -> Guard<Arc<Zones>> {
        self.zones.load()
    }

    /// Answers from these zones from now on.
    ///
    /// The zones of before are freed here, now or next time: a thread that answers never has to, which with a million
    /// names would keep its clients waiting.
    pub fn publish(&self, zones: Zones) {
        let before = self.zones.swap(Arc::new(zones));
        let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
        retired.push(before);
        retired.retain(|zones| Arc::strong_count(zones) > 1);
    }

    /// Says in the log what was asked and answered, if that is wanted.
    pub fn log(&self, asked: Asked<'_>, answer: &[u8], taken: Taken) {
        if self.log_queries.load(Ordering::Relaxed) {
            log(asked, answer, taken);
        }
    }
}

impl Policy {
    /// Nobody's questions are forwarded, and nobody is limited.
    pub fn new(cookies: Cookies) -> Self {
        Self { cookies, forward: Vec::new(), rate: None, rate_exempt: Vec::new(), identity: None }
    }

    /// As these settings want it.
    pub(super) fn of(settings: &Settings, cookies: Cookies) -> Self {
        Self {
            cookies,
            forward: settings.forward.as_ref().map(|forward| forward.networks.clone()).unwrap_or_default(),
            rate: settings.rate,
            rate_exempt: settings.rate_exempt.clone(),
            identity: settings.identity.clone(),
        }
    }

    /// Whether answers to this client are limited, which has not proven its address.
    pub(super) fn limits(&self, client: Client) -> bool {
        let address = client.address.ip();
        client.is_datagram && self.rate.is_some() && !self.rate_exempt.iter().any(|exempt| exempt.contains(address))
    }

    /// Answers a query at the end of `out`. `limiter` is asked about clients that have not proven their address.
    pub fn take(&self, zones: &Zones, asked: Asked<'_>, limiter: Option<&mut Limiter>, out: &mut Vec<u8>) -> Taken {
        let Asked { octets, client, now } = asked;
        let begin = out.len();
        let query = match Message::read(octets) {
            Ok(query) => query,
            Err(error) => return taken(malformed(octets, error, out)),
        };
        let address = client.address.ip();
        let offered = query.edns().map(|edns| edns.udp_size);
        let mut room = Room {
            limit: if client.is_datagram { udp_room(offered) } else { MAX_MESSAGE },
            recursion: self.forward.iter().any(|network| network.contains(address)),
            now: now.wall_secs,
            identity: self.identity.as_deref(),
            ..Room::default()
        };
        let theirs = query.edns().and_then(|edns| edns.option(EdnsOption::COOKIE));
        let standing = theirs.map(|cookie| self.cookies.judge(cookie, address, now.wall_secs));
        let (cookie, is_proven) = match standing {
            None | Some(Standing::Malformed) => (None, false),
            Some(Standing::Unproven(cookie)) => (Some(cookie), false),
            Some(Standing::Proven(cookie)) => (Some(cookie), true),
        };
        let options = cookie.as_ref().map(|data| EdnsOption { code: EdnsOption::COOKIE, data });
        room.options = options.as_slice();
        let outcome = match standing {
            Some(Standing::Malformed) => reject(&query, Rcode::FORMERR, &room, out),
            _ => respond(&query, zones, &room, out),
        };
        let limiter = limiter.filter(|_| !is_proven && self.limits(client));
        let (Some(limiter), Outcome::Answered(kind, name)) = (limiter, outcome) else { return taken(outcome) };
        match limiter.judge(address, kind, name, now.millis) {
            Verdict::Send => Taken::Answered,
            Verdict::Drop => {
                out.truncate(begin);
                Taken::Limited
            }
            Verdict::Slip => {
                out.truncate(begin);
                slip(&query, &room, cookie.is_some(), out);
                Taken::Slipped
            }
        }
    }
}

/// The short answer of somebody who is limited and may prove himself: over TCP, or by the cookie that he is told if he has
/// shown one of his own (RFC 7873, 5.2.3).
pub(super) fn slip(query: &Message<'_>, room: &Room<'_>, has_cookie: bool, out: &mut Vec<u8>) {
    match has_cookie {
        true => reject(query, Rcode::BADCOOKIE, room, out),
        false => truncate(query, room, out),
    };
}

fn taken(outcome: Outcome<'_>) -> Taken {
    match outcome {
        Outcome::Answered(..) => Taken::Answered,
        Outcome::Slow(_) => Taken::Slow,
        Outcome::Drop => Taken::Dropped,
    }
}

#[cold]
fn log(Asked { octets, client, .. }: Asked<'_>, answer: &[u8], taken: Taken) {
    let question = Message::read(octets).ok().and_then(|query| query.question());
    let name = question.map(|question| question.name.to_string()).unwrap_or_default();
    let rtype = question.map(|question| question.rtype.to_string()).unwrap_or_default();
    let flags = Header::read(answer).map_or(Flags::default(), |header| header.flags);
    let (is_udp, len) = (client.is_datagram, answer.len());
    tracing::info!(target: "dns::query", client = %client.address, is_udp, name, rtype, ?taken, ?flags, len, "query");
}
