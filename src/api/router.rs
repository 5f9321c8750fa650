//! The endpoints: which path says what, with which status.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use axum::{Json, Router};
use hyper::body::Body as _;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::events::{self, EventsQuery};
use super::model::{Event, Member, Refusal, Status};
use super::{Command, Door, dns, metrics, openapi};

/// Readers that stay on `/v1/events` at once; half of the connections, so that they never lock a command out.
pub(super) const MAX_FOLLOWERS: usize = super::server::MAX_CONNECTIONS / 2;
/// No endpoint reads a body; a longer one is refused at once.
pub(super) const MAX_BODY: u64 = 4096;
/// How long a command may take; a handover takes milliseconds, a reload as long as the disk.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

const TEXT: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
const JSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/json")];
pub(super) const NDJSON: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "application/x-ndjson")];
const PROMETHEUS: [(HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];

/// Every endpoint, answering from `door`.
pub fn router(door: Door) -> Router {
    let shared = Shared { door, followers: Arc::new(Semaphore::new(MAX_FOLLOWERS)) };
    let router = routes().into_iter().fold(Router::new(), |router, (path, route)| router.route(path, route));
    router
        .fallback(not_found)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn(bounded))
        .with_state(shared)
}

/// The paths; the description in `openapi.json` has the same ones.
pub(super) fn routes() -> [(&'static str, MethodRouter<Shared>); 17] {
    [
        ("/v1/status", get(status)),
        ("/v1/members", get(members)),
        ("/v1/events", get(stream_events)),
        ("/v1/give-up", post(give_up)),
        ("/v1/reload", post(reload)),
        ("/v1/dns", get(dns::status)),
        ("/v1/dns/zones", get(dns::zones)),
        ("/v1/dns/zones/{zone}/records", get(dns::records)),
        ("/v1/dns/zones/{zone}/export", get(dns::export)),
        ("/v1/dns/zones/{zone}/transfer", post(dns::transfer)),
        ("/v1/dns/zones/{zone}/dnssec", get(dns::dnssec::keys)),
        ("/v1/dns/zones/{zone}/dnssec/roll", post(dns::dnssec::roll)),
        ("/v1/dns/zones/{zone}/dnssec/ds-seen", post(dns::dnssec::ds_seen)),
        ("/v1/dns/query-log", put(dns::query_log)),
        ("/v1/openapi.json", get(description)),
        ("/metrics", get(show_metrics)),
        ("/healthz", get(healthz)),
    ]
}

/// What all requests share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) door: Door,
    followers: Arc<Semaphore>,
}

/// Who holds, who else is there, and what is wrong.
#[utoipa::path(get, tag = "site", path = "/v1/status", responses(
    (status = 200, body = Status, description = "As this member sees it now"),
    (status = 404, body = Refusal, description = "DNS is served here without a site"),
))]
pub(super) async fn status(State(shared): State<Shared>) -> Result<Response, Refused> {
    Ok(Json(&*site(&shared)?).into_response())
}

/// The site's members.
#[utoipa::path(get, tag = "site", path = "/v1/members", responses(
    (status = 200, body = [Member], description = "Ordered by name; the same as in the status"),
    (status = 404, body = Refusal, description = "DNS is served here without a site"),
))]
pub(super) async fn members(State(shared): State<Shared>) -> Result<Response, Refused> {
    Ok(Json(&site(&shared)?.members).into_response())
}

/// What happened, and with `follow=true` what happens: one JSON object a line.
#[utoipa::path(get, tag = "site", path = "/v1/events", params(EventsQuery), responses(
    (status = 200, body = Event, content_type = "application/x-ndjson", description = "Oldest first; an event of kind `missed` stands for those that are no longer kept"),
    (status = 400, body = Refusal, description = "A parameter is not understood"),
    (status = 503, body = Refusal, description = "Too many readers follow already"),
))]
pub(super) async fn stream_events(
    State(shared): State<Shared>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query?;
    let place = if query.follow() {
        let place = Arc::clone(&shared.followers).try_acquire_owned().map_err(|_| {
            let message = format!("{MAX_FOLLOWERS} readers follow the events already; end one of them");
            Refused::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-readers", message)
        })?;
        Some(place)
    } else {
        None
    };
    Ok((NDJSON, events::body(shared.door.history.clone(), query, place)).into_response())
}

/// Hands the DMZ address to a standby, and stays.
#[utoipa::path(post, tag = "site", path = "/v1/give-up", responses(
    (status = 204, description = "Another member holds now"),
    (status = 409, body = Refusal, description = "This member does not hold, or nobody can take over"),
    (status = 503, body = Refusal, description = "The daemon is busy or stopping"),
    (status = 504, body = Refusal, description = "The daemon has not answered in time; it may still do it"),
))]
pub(super) async fn give_up(State(shared): State<Shared>) -> Result<StatusCode, Refused> {
    ask(&shared.door, Command::GiveUp, StatusCode::CONFLICT).await
}

/// Reads the configuration again.
#[utoipa::path(post, tag = "site", path = "/v1/reload", responses(
    (status = 204, description = "The new configuration is in use"),
    (status = 422, body = Refusal, description = "The new configuration is wrong or needs a restart; the old one stays in use"),
    (status = 503, body = Refusal, description = "The daemon is busy or stopping"),
    (status = 504, body = Refusal, description = "The daemon has not answered in time; it may still do it"),
))]
pub(super) async fn reload(State(shared): State<Shared>) -> Result<StatusCode, Refused> {
    ask(&shared.door, Command::Reload, StatusCode::UNPROCESSABLE_ENTITY).await
}

/// This description.
#[utoipa::path(get, tag = "site", path = "/v1/openapi.json", responses((status = 200, body = Object, content_type = "application/json", description = "OpenAPI 3.1")))]
pub(super) async fn description() -> impl IntoResponse {
    (JSON, openapi::DOCUMENT)
}

/// Counts and gauges for Prometheus.
#[utoipa::path(get, tag = "site", path = "/metrics", responses((status = 200, body = String, content_type = "text/plain", description = "Text exposition format 0.0.4")))]
pub(super) async fn show_metrics(State(shared): State<Shared>) -> impl IntoResponse {
    let status = shared.door.status.as_ref().map(|status| Arc::clone(&status.borrow()));
    let dns = shared.door.dns.borrow().as_ref().map(dns::current);
    (PROMETHEUS, metrics::render(status.as_deref(), dns.as_ref()))
}

/// Whether the daemon answers at all.
#[utoipa::path(get, tag = "site", path = "/healthz", responses((status = 200, body = String, content_type = "text/plain", description = "`ok`")))]
pub(super) async fn healthz() -> impl IntoResponse {
    (TEXT, "ok\n")
}

/// The site's status, where there is a site.
fn site(shared: &Shared) -> Result<Arc<Status>, Refused> {
    let status = shared.door.status.as_ref().map(|status| Arc::clone(&status.borrow()));
    status.ok_or_else(|| {
        let message = "this daemon serves DNS and no site: `gatehouse dns status` says how it goes".to_owned();
        Refused::new(StatusCode::NOT_FOUND, "no-site", message)
    })
}

/// Puts a command to the daemon and waits for its answer; its own refusal gets `status`.
async fn ask(
    door: &Door,
    command: impl FnOnce(oneshot::Sender<Result<(), Refusal>>) -> Command,
    status: StatusCode,
) -> Result<StatusCode, Refused> {
    let unavailable = |message: &str| Refused::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message.to_owned());
    let (answer, answered) = oneshot::channel();
    door.commands
        .try_send(command(answer))
        .map_err(|_| unavailable("the daemon is busy with other requests or stopping; try again"))?;
    match timeout(COMMAND_TIMEOUT, answered).await {
        Ok(Ok(Ok(()))) => Ok(StatusCode::NO_CONTENT),
        Ok(Ok(Err(refusal))) => Err(Refused { status, refusal }),
        Ok(Err(_)) => Err(unavailable("the daemon stopped before it answered")),
        Err(_) => {
            let message = "the daemon has not answered in 30 s; it may still do it: `gatehouse status` or `gatehouse dns status` says";
            Err(Refused::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message.to_owned()))
        }
    }
}

async fn not_found(request: Request) -> Refused {
    let message = format!("there is no {}; /v1/openapi.json has the list", request.uri().path());
    Refused::new(StatusCode::NOT_FOUND, "not-found", message)
}

async fn wrong_method(request: Request) -> Refused {
    let message = format!("{} does not take {}", request.uri().path(), request.method());
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, "wrong-method", message)
}

async fn bounded(request: Request, next: Next) -> Response {
    if request.body().size_hint().upper().is_none_or(|length| length > MAX_BODY) {
        let message = "no request here has a body".to_owned();
        return Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", message).into_response();
    }
    next.run(request).await
}

/// A refusal on its way out.
pub(super) struct Refused {
    status: StatusCode,
    refusal: Refusal,
}

impl Refused {
    pub(super) fn new(status: StatusCode, error: &str, message: String) -> Refused {
        Refused { status, refusal: Refusal { error: error.to_owned(), message } }
    }

    /// A parameter is not understood.
    pub(super) fn bad_query(message: String) -> Refused {
        Refused::new(StatusCode::BAD_REQUEST, "bad-query", message)
    }
}

impl From<QueryRejection> for Refused {
    fn from(error: QueryRejection) -> Refused {
        Refused::bad_query(error.body_text())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(self.refusal)).into_response()
    }
}
