//! Questions for names of others, on behalf of the networks that may ask: [`crate::server::Policy`] says which these are.
//!
//! The answers come from the configured resolvers and are kept as long as their TTL says. **Invariant:** so many questions
//! are under way at most, and one that takes too long is answered with SERVFAIL.

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::DnsHandle;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{
    DnsRequest, DnsRequestOptions, Edns, Message, MessageType, OpCode, Query, ResponseCode,
};
use hickory_resolver::proto::rr::rdata::opt::EdnsOption as TheirOption;
use hickory_resolver::proto::rr::{DNSClass, Name as TheirName, RData};
use hickory_resolver::{NameServerPool, PoolContext, ResponseCache, TlsConfig, TtlConfig};
use tokio::sync::Semaphore;

use crate::settings::Forward;
use crate::upstream::{self, AuthoritiesError, MAX_ASKED};
use crate::wire::EdnsOption;

/// How long one question may take in all.
const PATIENCE: Duration = Duration::from_secs(6);
/// What our own OPT record says: no fragments (RFC 9715).
const PAYLOAD: u16 = 1232;

/// Asks others.
pub struct Forwarder {
    pool: NameServerPool<TokioRuntimeProvider>,
    /// Answers without and with signatures, which are not the same for one question.
    caches: [ResponseCache; 2],
    asked: Semaphore,
}

impl Forwarder {
    /// A forwarder as the settings want it.
    ///
    /// # Errors
    /// When the authorities' file cannot be used.
    pub fn new(settings: &Forward, authorities: Option<&Path>) -> Result<Self, AuthoritiesError> {
        let options = upstream::options();
        let ttl = TtlConfig::from_opts(&options);
        let cache = || ResponseCache::new(settings.cache as u64 / 2, ttl.clone());
        let tls = TlsConfig { config: upstream::tls(authorities)? };
        let context = Arc::new(PoolContext::new(options, tls));
        let servers = upstream::servers(&settings.upstreams);
        Ok(Self {
            pool: NameServerPool::from_config(servers, context, TokioRuntimeProvider::default()),
            caches: [cache(), cache()],
            asked: Semaphore::new(MAX_ASKED),
        })
    }

    /// The answer to a query, with these options and in at most `limit` octets; nothing when it is not a query with one
    /// question of class IN.
    pub async fn answer(&self, query: &[u8], options: &[EdnsOption<'_>], limit: usize) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        let question = question(&query)?.clone();
        let mut answer = self.resolve(question, wants_signatures(&query)).await;
        finish(&mut answer, &query, options);
        fit(&answer, limit)
    }

    /// `local` is our own answer to a query, which ends with an alias that leads away: the same with what others know
    /// about where it leads.
    pub async fn complete(
        &self,
        query: &[u8],
        local: &[u8],
        options: &[EdnsOption<'_>],
        limit: usize,
    ) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        let mut answer = Message::from_vec(local).ok()?;
        let question = question(&query)?;
        let end = end_of_chain(question.name(), &answer).filter(|end| end != question.name())?;
        let rest = self.resolve(Query::query(end, question.query_type()), wants_signatures(&query)).await;
        answer.answers.extend(rest.answers);
        answer.authorities = rest.authorities;
        answer.additionals.clear();
        answer.metadata.response_code = rest.metadata.response_code;
        let authoritative = answer.metadata.authoritative;
        finish(&mut answer, &query, options);
        answer.metadata.authoritative = authoritative;
        fit(&answer, limit)
    }

    /// What the cache or others say; SERVFAIL when nobody does.
    async fn resolve(&self, question: Query, signatures: bool) -> Message {
        let cache = &self.caches[usize::from(signatures)];
        let now = || tokio::time::Instant::now().into_std();
        if let Some(known) = cache.get(&question, now()) {
            return message(known);
        }
        let Ok(_asked) = self.asked.try_acquire() else { return servfail() };
        let answer = tokio::time::timeout(PATIENCE, self.ask(question.clone(), signatures)).await;
        let answer = answer.unwrap_or(Err(NetError::Timeout));
        if let Err(error) = &answer
            && !error.is_no_records_found()
        {
            tracing::debug!(name = %question.name(), %error, "no resolver answers");
        }
        cache.insert(question, answer.clone(), now());
        message(answer)
    }

    async fn ask(&self, question: Query, signatures: bool) -> Result<Message, NetError> {
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.edns_payload_len = PAYLOAD;
        options.edns_set_dnssec_ok = signatures;
        options.recursion_desired = true;
        let mut answers = self.pool.send(DnsRequest::from_query(question, options));
        let answer = answers.next().await.ok_or(NetError::Timeout)??;
        Ok(answer.into_message())
    }
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarder").finish_non_exhaustive()
    }
}

fn question(query: &Message) -> Option<&Query> {
    let [question] = query.queries.as_slice() else { return None };
    let is_plain = query.metadata.op_code == OpCode::Query && query.metadata.message_type == MessageType::Query;
    (is_plain && question.query_class() == DNSClass::IN).then_some(question)
}

fn wants_signatures(query: &Message) -> bool {
    query.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
}

/// Where the aliases in an answer lead from `name`.
fn end_of_chain(name: &TheirName, answer: &Message) -> Option<TheirName> {
    let mut at = name.clone();
    // As many steps as there are records, so that a circle ends.
    for _ in &answer.answers {
        let next = answer.answers.iter().find_map(|record| match &record.data {
            RData::CNAME(target) if record.name == at => Some(target.0.clone()),
            _ => None,
        });
        match next {
            Some(next) => at = next,
            None => break,
        }
    }
    Some(at)
}

fn message(answer: Result<Message, NetError>) -> Message {
    match answer {
        Ok(answer) => answer,
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            let mut answer = servfail();
            answer.metadata.response_code = none.response_code;
            match (none.authorities, none.soa) {
                (Some(authorities), _) => answer.authorities = authorities.to_vec(),
                (None, Some(soa)) => answer.authorities = vec![soa.into_record_of_rdata()],
                (None, None) => {}
            }
            answer
        }
        Err(_) => servfail(),
    }
}

fn servfail() -> Message {
    Message::error_msg(0, OpCode::Query, ResponseCode::ServFail)
}

/// Makes an answer of others ours: to this query, and with nothing that is between them and us.
fn finish(answer: &mut Message, query: &Message, options: &[EdnsOption<'_>]) {
    let (asked, answered) = (&query.metadata, &mut answer.metadata);
    answered.id = asked.id;
    answered.message_type = MessageType::Response;
    answered.op_code = OpCode::Query;
    answered.authoritative = false;
    answered.truncation = false;
    answered.recursion_desired = asked.recursion_desired;
    answered.recursion_available = true;
    answered.checking_disabled = asked.checking_disabled;
    // Only who asks about it is told that others have verified (RFC 6840, 5.8).
    answered.authentic_data &= asked.authentic_data || wants_signatures(query);
    answer.queries.clone_from(&query.queries);
    answer.signature = None;
    answer.edns = query.edns.as_ref().map(|theirs| {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        edns.set_dnssec_ok(theirs.flags().dnssec_ok);
        for option in options {
            edns.options_mut().insert(TheirOption::Unknown(option.code, option.data.to_vec()));
        }
        edns
    });
}

/// The octets of an answer; without its records and marked as cut when they are too many.
fn fit(answer: &Message, limit: usize) -> Option<Vec<u8>> {
    let whole = answer.to_vec().ok().filter(|octets| octets.len() <= limit);
    whole.or_else(|| answer.truncate().to_vec().ok().filter(|octets| octets.len() <= limit))
}
