//! The description of the API, made from the same types that it is built of.
//!
//! `openapi.json` is committed, so that it can be read and diffed, and is what the daemon serves.

use utoipa::OpenApi;

use super::{dns, router};

/// What `GET /v1/openapi.json` answers.
pub(super) const DOCUMENT: &str = include_str!("openapi.json");

/// Makes the description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "gatehouse",
        description = "One member of a site, over HTTP on its control socket. A refusal is a JSON object with a short `error` for scripts and a `message` for people; 404, 405 and 413 are refusals too.",
        contact(),
    ),
    paths(
        router::status,
        router::members,
        router::stream_events,
        router::give_up,
        router::reload,
        dns::status,
        dns::zones,
        dns::records,
        dns::export,
        dns::transfer,
        dns::dnssec::keys,
        dns::dnssec::roll,
        dns::dnssec::ds_seen,
        dns::query_log,
        router::description,
        router::show_metrics,
        router::healthz,
    )
)]
#[cfg_attr(not(test), expect(dead_code, reason = "the test that keeps the committed file true runs it"))]
pub(super) struct Description;
