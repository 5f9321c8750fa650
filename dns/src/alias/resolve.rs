//! Asking a resolver for the addresses of targets.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name as TheirName, RData, RecordType};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinDecoder};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Answer, Effect, Family, Loan, Targets};
use crate::clock;
use crate::name::{Name, NameRef};
use crate::settings::Upstream;
use crate::upstream::{self, AuthoritiesError};

/// Where loans go. When nobody takes them, no more are made.
pub type Loans = mpsc::Sender<Loan>;

/// Questions under way at most; the others wait.
const MAX_ASKED: usize = 64;
/// Without targets, nothing is looked at for so long.
const IDLE: Duration = Duration::from_secs(3600);
/// The time that an answer without a word about it is kept, in seconds.
const NO_TTL: u32 = 60;

/// There is nobody to ask.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// See [`AuthoritiesError`].
    #[error(transparent)]
    Authorities(#[from] AuthoritiesError),
    /// No servers are configured, and the system's are unknown.
    #[error("the system's resolvers cannot be used")]
    System(#[source] NetError),
}

/// A resolver that asks these servers, or the system's when there are none. It keeps nothing itself: a target is asked
/// for when its addresses are old.
///
/// # Errors
/// When the authorities' file cannot be used, or the system's resolvers are unknown.
pub fn resolver(upstreams: &[Upstream], authorities: Option<&Path>) -> Result<TokioResolver, ResolverError> {
    let builder = if upstreams.is_empty() {
        TokioResolver::builder_tokio().map_err(ResolverError::System)?
    } else {
        let config = ResolverConfig::from_parts(None, Vec::new(), upstream::servers(upstreams));
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    let mut options = upstream::options();
    options.cache_size = 0;
    let builder = builder.with_options(options).with_tls_config(upstream::tls(authorities)?);
    builder.build().map_err(ResolverError::System)
}

/// Keeps what is lent true for the targets that `wanted` shows, until its sender or the receiver of loans is gone.
pub async fn run(resolver: TokioResolver, mut wanted: watch::Receiver<BTreeSet<Name>>, loans: Loans) {
    let mut targets = Targets::default();
    let mut asked = JoinSet::new();
    let mut waiting = Vec::new();
    let mut effects = Vec::new();
    targets.set(wanted.borrow_and_update().iter().cloned(), &mut effects);
    loop {
        targets.tick(clock::wall_secs(), &mut effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Ask(name, family) => waiting.push((name, family)),
                Effect::Warn(name, family) => {
                    tracing::warn!(target = %name, family = %family.rtype(), "the target of an alias has no answer: its last addresses stay");
                }
                Effect::Lend(loan) => {
                    if loans.send(loan).await.is_err() {
                        return;
                    }
                }
            }
        }
        while asked.len() < MAX_ASKED
            && let Some((name, family)) = waiting.pop()
        {
            let resolver = resolver.clone();
            asked.spawn(async move {
                let answer = ask(&resolver, name.as_ref(), family).await;
                (name, family, answer)
            });
        }
        let wait = targets.deadline().map_or(IDLE, |at| Duration::from_secs(at.saturating_sub(clock::wall_secs())));
        // Each branch may be dropped and begun again without a loss: the set keeps its tasks, the watch its mark.
        tokio::select! {
            Some(done) = asked.join_next() => {
                if let Ok((name, family, answer)) = done {
                    targets.answered(clock::wall_secs(), &name, family, answer, &mut effects);
                }
            }
            changed = wanted.changed() => {
                if changed.is_err() {
                    return;
                }
                targets.set(wanted.borrow_and_update().iter().cloned(), &mut effects);
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Asks for the addresses of one family.
pub async fn ask(resolver: &TokioResolver, name: NameRef<'_>, family: Family) -> Answer {
    let Ok(name) = TheirName::read(&mut BinDecoder::new(name.wire())) else { return Answer::Failed };
    match resolver.lookup(name, RecordType::from(family.rtype().0)).await {
        Ok(found) => {
            // The way there may be aliases, too, which may be short-lived.
            let ttl = found.answers().iter().map(|record| record.ttl).min().unwrap_or(NO_TTL);
            let addresses = found.answers().iter().filter_map(|record| address(&record.data)).collect::<Vec<_>>();
            if addresses.is_empty() { Answer::Empty(ttl) } else { Answer::Addresses(addresses, ttl) }
        }
        Err(error) if error.is_nx_domain() => Answer::Gone,
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) if none.response_code == ResponseCode::NoError => {
            Answer::Empty(none.negative_ttl.unwrap_or(NO_TTL))
        }
        Err(error) => {
            tracing::debug!(%error, "an alias's target");
            Answer::Failed
        }
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}
