//! The dyndns2 endpoint: HTTP and HTTPS for routers and update clients that speak nothing else.
//!
//! `GET /nic/update` becomes the same update that a signed message would be: the key's name and secret log in, the same
//! rules say what the key may change, and the same writer does it. `GET /nic/checkip` says where a request came from.
//! [`protocol`] has what is decided, this file the HTTP around it, `listen` the sockets. **Invariant:** nothing is
//! answered `good` before the zone's journal has it.

mod limit;
mod listen;
pub mod protocol;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use data_encoding::BASE64;
use dns::journal;
use dns::name::Name;
use dns::settings::{Key, Settings};
use dns::store::{Plan, Store};
use dns::update::{Ground, Policy, Update, decide};
use dns::wire::Rcode;
use futures_util::future::BoxFuture;

use crate::clock;
use limit::Limit;
pub use listen::{Endpoint, Prepared, StartError};
use protocol::{Answer, Request};

const TEXT: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; charset=utf-8")];

/// What the endpoint needs of the DNS server.
#[derive(Clone)]
pub struct Names {
    /// Its settings.
    pub settings: Arc<Settings>,
    /// Where updates go.
    pub submit: Submit,
    /// The TTL of the records that are made, in seconds.
    pub ttl: u32,
}

/// Does an update for the key of this name; whether it changed anything, or the result code of its refusal.
pub type Submit = Arc<dyn Fn(Update, Name) -> BoxFuture<'static, Result<bool, Rcode>> + Send + Sync>;

/// Does updates as if they had come in messages signed with the key.
pub fn submit_to(store: Arc<Store>) -> Submit {
    Arc::new(move |update, key| {
        let store = store.clone();
        Box::pin(async move {
            let settings = store.settings(update.zone.as_ref()).ok_or(Rcode::NOTAUTH)?;
            let (apex, now) = (update.zone.clone(), clock::wall_millis() / 1_000);
            let plan = move |state: &journal::State| {
                let ground = Ground { zone: &state.zone, leases: &state.leases, policy: Policy::of(&settings) };
                let outcome = decide(&update, Some(key.as_ref()), now, &ground)?;
                let is_changed = outcome.is_changed;
                Ok((Plan::from(outcome), is_changed))
            };
            store.plan(apex.as_ref(), plan).await
        })
    })
}

/// The two paths, answered with `names`. Each request carries an [`Extension`] with its client's [`SocketAddr`].
fn router(names: Names) -> Router {
    let shared = Shared { names, limit: Arc::new(Mutex::new(Limit::default())) };
    Router::new().route("/nic/update", get(update)).route("/nic/checkip", get(check_ip)).with_state(shared)
}

#[derive(Clone)]
struct Shared {
    names: Names,
    limit: Arc<Mutex<Limit>>,
}

async fn update(
    State(shared): State<Shared>,
    Extension(client): Extension<SocketAddr>,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let settings = &shared.names.settings;
    let Some(key) = login(&headers, settings) else {
        tracing::debug!(%client, "a dyndns2 client gave no key and secret that fit");
        let ask = [(WWW_AUTHENTICATE, "Basic realm=\"dyndns2\"")];
        return (StatusCode::UNAUTHORIZED, ask, TEXT, format!("{}\n", Answer::BadAuth)).into_response();
    };
    let is_within = {
        let mut limit = shared.limit.lock().unwrap_or_else(PoisonError::into_inner);
        limit.admit(&key.name, clock::now())
    };
    let parameters = query.map(|Query(parameters)| parameters).unwrap_or_default();
    let answers = match Request::read(&parameters, client.ip().to_canonical()) {
        _ if !is_within => vec![Answer::Abuse],
        Err(answer) => vec![answer],
        Ok(request) => {
            let mut answers = Vec::with_capacity(request.names.len());
            for name in &request.names {
                answers.push(one(&shared.names, &key.name, (&request, name.as_ref())).await);
            }
            answers
        }
    };
    let lines: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
    (TEXT, lines).into_response()
}

/// Does what a request asks for one of its names.
async fn one(names: &Names, key: &Name, (request, name): (&Request, Option<&Name>)) -> Answer {
    let Some(name) = name else { return Answer::NotFqdn };
    let Some(zone) = protocol::zone(&names.settings, name) else { return Answer::NoHost };
    let update = request.update(zone, name, names.ttl);
    request.answer((names.submit)(update, key.clone()).await)
}

/// Where a request came from, in the words that clients look for.
async fn check_ip(Extension(client): Extension<SocketAddr>) -> impl IntoResponse {
    (TEXT, format!("Current IP Address: {}\n", client.ip().to_canonical()))
}

/// The key that basic authentication names (RFC 7617), if its secret is right.
fn login<'a>(headers: &HeaderMap, settings: &'a Settings) -> Option<&'a Key> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = BASE64.decode(token.trim().as_bytes()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let pair = String::from_utf8(token).ok()?;
    let (user, password) = pair.split_once(':')?;
    protocol::key(settings, user, password)
}
