//! The endpoints of DNS: zones, records, keys, the registration.
//!
//! What is asked here is answered from the snapshots that queries are answered from, and changes no record but those of
//! a zone's own keys: zones are changed by signed updates (RFC 2136), also by `gatehouse dns`.

pub(super) mod dnssec;
pub(super) mod metrics;
pub mod model;
mod status;
#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use dns::answer::Served;
use dns::name::Name;
pub use dns::name::plain;
use dns::record::Rtype;
use dns::server::Server;
use dns::text::{Names, show_rdata};
use dns::zone::Zone;
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use utoipa::IntoParams;

use super::model::Refusal;
use super::router::{NDJSON, Refused, Shared};
use model::{DnsStatus, QueryLog, ShownRecord, ZoneStatus};
pub(super) use status::current;

/// Records go out in pieces of about this many octets.
const PIECE: usize = 64 << 10;
/// Pieces that wait for a slow reader.
const PIECES: usize = 4;
/// What a zone file is (RFC 4027).
const ZONE_FILE: [(axum::http::HeaderName, &str); 1] = [(axum::http::header::CONTENT_TYPE, "text/dns; charset=utf-8")];

/// What the API needs of the DNS server.
#[derive(Clone)]
pub struct DnsDoor {
    /// The newest status, but for what is read from the server.
    pub status: watch::Receiver<Arc<DnsStatus>>,
    /// The server, if anything is served.
    pub server: Option<Arc<Server>>,
}

/// Which records of a zone.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordsQuery {
    /// Only this name and those below it.
    name: Option<String>,
    /// Only this type.
    r#type: Option<String>,
}

/// How DNS is served, and what the main server is told.
#[utoipa::path(get, tag = "dns", path = "/v1/dns", responses(
    (status = 200, body = DnsStatus, description = "As it is now"),
    (status = 404, body = Refusal, description = "The configuration has no [dns]"),
))]
pub(super) async fn status(State(shared): State<Shared>) -> Result<Response, Refused> {
    let door = door(&shared)?;
    let status = current(&door);
    Ok(Json(status).into_response())
}

/// The zones.
#[utoipa::path(get, tag = "dns", path = "/v1/dns/zones", responses(
    (status = 200, body = [ZoneStatus], description = "By name"),
    (status = 404, body = Refusal, description = "The configuration has no [dns]"),
))]
pub(super) async fn zones(State(shared): State<Shared>) -> Result<Response, Refused> {
    Ok(Json(current(&door(&shared)?).zones).into_response())
}

/// The records of a zone: one JSON object a line.
#[utoipa::path(get, tag = "dns", path = "/v1/dns/zones/{zone}/records", params(("zone" = String, Path, description = "The zone's name"), RecordsQuery), responses(
    (status = 200, body = ShownRecord, content_type = "application/x-ndjson", description = "By name, in canonical order"),
    (status = 400, body = Refusal, description = "A parameter is not understood"),
    (status = 404, body = Refusal, description = "There is no such zone"),
))]
pub(super) async fn records(
    State(shared): State<Shared>,
    Path(zone): Path<String>,
    query: Result<Query<RecordsQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(query) = query?;
    let served = zone_named(&shared, &zone)?;
    let apex = served.zone.apex().clone();
    let name = query.name.as_ref().map(|name| match name.ends_with('.') || name == "@" {
        true => Name::parse(name, apex.as_ref()),
        false => name.parse(),
    });
    let name = name.transpose().map_err(|error| Refused::bad_query(format!("not a name: {error}")))?;
    let rtype = query.r#type.as_deref().map(str::parse::<Rtype>).transpose();
    let rtype = rtype.map_err(|error| Refused::bad_query(format!("{}: {error}", query.r#type.unwrap_or_default())))?;
    let body = pieces(move |send| list(&served.zone, name.as_ref(), rtype, send));
    Ok((NDJSON, body).into_response())
}

/// A zone as a zone file.
#[utoipa::path(get, tag = "dns", path = "/v1/dns/zones/{zone}/export", params(("zone" = String, Path, description = "The zone's name")), responses(
    (status = 200, body = String, content_type = "text/dns", description = "In master-file form (RFC 1035, 5)"),
    (status = 404, body = Refusal, description = "There is no such zone"),
))]
pub(super) async fn export(State(shared): State<Shared>, Path(zone): Path<String>) -> Result<Response, Refused> {
    let served = zone_named(&shared, &zone)?;
    let body = pieces(move |send| {
        let mut sink = Sink { send, piece: Vec::with_capacity(PIECE) };
        let apex = served.zone.apex().clone();
        let written = dns::text::write_zone(&served.zone, Names::Relative(apex.as_ref()), &mut sink);
        written.is_ok() && sink.flush_all()
    });
    Ok((ZONE_FILE, body).into_response())
}

/// Asks the primaries of a secondary zone now, instead of when it is time.
#[utoipa::path(post, tag = "dns", path = "/v1/dns/zones/{zone}/transfer", params(("zone" = String, Path, description = "The zone's name")), responses(
    (status = 202, body = ZoneStatus, description = "They are being asked; the zone before they have answered"),
    (status = 404, body = Refusal, description = "There is no such zone, or it is kept here"),
))]
pub(super) async fn transfer(State(shared): State<Shared>, Path(zone): Path<String>) -> Result<Response, Refused> {
    let door = door(&shared)?;
    let server = door.server.as_ref().ok_or_else(nothing_served)?;
    let name = zone.parse::<Name>().ok().filter(|name| server.refresh(name.as_ref()));
    let status = name.and_then(|name| status::zone(server, name.as_ref()));
    let status = status.ok_or_else(|| no_zone(&zone, "secondary zone"))?;
    Ok((StatusCode::ACCEPTED, Json(status)).into_response())
}

/// Switches the log of queries on or off, until the daemon ends.
#[utoipa::path(put, tag = "dns", path = "/v1/dns/query-log", params(QueryLogQuery), responses(
    (status = 200, body = QueryLog, description = "As it is now"),
    (status = 400, body = Refusal, description = "A parameter is not understood"),
    (status = 404, body = Refusal, description = "The configuration has no [dns]"),
))]
pub(super) async fn query_log(
    State(shared): State<Shared>,
    query: Result<Query<QueryLogQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(QueryLogQuery { on }) = query?;
    let door = door(&shared)?;
    let server = door.server.as_ref().ok_or_else(nothing_served)?;
    server.front().log_queries.store(on, Ordering::Relaxed);
    Ok(Json(QueryLog { on }).into_response())
}

/// Which way to switch.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct QueryLogQuery {
    /// Whether each query is logged.
    on: bool,
}

fn door(shared: &Shared) -> Result<DnsDoor, Refused> {
    let door = shared.door.dns.borrow().clone();
    door.ok_or_else(|| {
        let message = "this daemon has nothing to do with DNS: its configuration has no [dns]".to_owned();
        Refused::new(StatusCode::NOT_FOUND, "no-dns", message)
    })
}

fn nothing_served() -> Refused {
    Refused::new(StatusCode::NOT_FOUND, "no-zone", "no zone is served here".to_owned())
}

fn zone_named(shared: &Shared, zone: &str) -> Result<Arc<Served>, Refused> {
    let door = door(shared)?;
    let zones = door.server.as_ref().ok_or_else(nothing_served)?.front().zones();
    let served = zone.parse::<Name>().ok().and_then(|name| zones.at(name.as_ref()).cloned());
    served.ok_or_else(|| no_zone(zone, "zone"))
}

fn no_zone(zone: &str, kind: &str) -> Refused {
    let message = format!("there is no {kind} {zone} here; `gatehouse dns zones` has the list");
    Refused::new(StatusCode::NOT_FOUND, "no-zone", message)
}

/// A body that a thread fills piece by piece, because a zone may be large and its reader slow.
fn pieces(fill: impl FnOnce(&mut Pieces) -> bool + Send + 'static) -> Body {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, std::io::Error>>(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut send = Pieces(sender);
        if !fill(&mut send) {
            // The reader left, or must not take what it has for the whole.
            let _ = send.0.blocking_send(Err(std::io::ErrorKind::UnexpectedEof.into()));
        }
    });
    Body::from_stream(stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    }))
}

struct Pieces(mpsc::Sender<Result<Bytes, std::io::Error>>);

impl Pieces {
    /// Whether the reader is still there.
    fn send(&mut self, piece: Vec<u8>) -> bool {
        self.0.blocking_send(Ok(piece.into())).is_ok()
    }
}

struct Sink<'a> {
    send: &'a mut Pieces,
    piece: Vec<u8>,
}

impl Sink<'_> {
    fn flush_all(&mut self) -> bool {
        self.piece.is_empty() || self.send.send(std::mem::take(&mut self.piece))
    }
}

impl std::io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        let room = self.piece.len() < PIECE || self.flush_all();
        if room { Ok(bytes.len()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Sends the records that are asked for; false: the reader left.
fn list(zone: &Zone, below: Option<&Name>, rtype: Option<Rtype>, send: &mut Pieces) -> bool {
    let mut piece = Vec::with_capacity(PIECE);
    for node in zone.sorted() {
        if below.is_some_and(|name| !node.name().is_at_or_below(name.as_ref())) {
            continue;
        }
        for record in node.records().filter(|record| rtype.is_none_or(|rtype| rtype == record.rtype)) {
            let shown = ShownRecord {
                name: plain(&record.name),
                ttl: record.ttl,
                r#type: record.rtype.to_string(),
                data: show_rdata(record.rtype, &record.rdata, Names::Absolute),
            };
            if serde_json::to_writer(&mut piece, &shown).is_err() {
                return false;
            }
            piece.push(b'\n');
        }
        if piece.len() >= PIECE && !send.send(std::mem::take(&mut piece)) {
            return false;
        }
    }
    piece.is_empty() || send.send(piece)
}
