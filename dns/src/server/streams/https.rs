//! DNS over HTTPS (RFC 8484), with HTTP/2 and HTTP/1.1.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::extras::Extras;
use super::reply::{Replies, StreamJob};
use super::{Shared, Transport};
use crate::answer::{Room, reject};
use crate::clock;
use crate::record::Rtype;
use crate::server::{Client, Taken};
use crate::wire::{MAX_MESSAGE, Message, Rcode, Section};
use crate::zone::Soa;

/// Where requests go to.
const PATH: &str = "/dns-query";
/// What bodies are.
const KIND: &str = "application/dns-message";
/// Requests of one connection at once.
const MAX_REQUESTS: u32 = 64;
/// The octets of the headers of a request; of a query in its address too, which is a third longer than the query.
const MAX_HEADERS: usize = 128 * 1024;
/// How long a request may wait for somebody with time.
const MAX_WAIT: Duration = Duration::from_secs(30);
/// How often a connection is looked at, and how long it has to end itself.
const LOOK: Duration = Duration::from_secs(1);

type Answer = Response<Full<Bytes>>;

/// When a connection was last of use.
#[derive(Debug, Default)]
struct Activity {
    millis: AtomicU64,
    requests: AtomicUsize,
}

/// A request that is not answered, or given up by the client.
struct Busy(Arc<Activity>);

impl Busy {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.millis.store(clock::millis(), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection to its end.
pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    peer: SocketAddr,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let activity = Arc::new(Activity { millis: clock::millis().into(), requests: 0.into() });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(shared.limits.arrive).max_buf_size(MAX_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_REQUESTS)
        .max_header_list_size(MAX_HEADERS as u32)
        .initial_stream_window_size(MAX_MESSAGE as u32 + 1)
        .max_send_buf_size(MAX_MESSAGE);
    let (everybody, mine) = (Arc::clone(&shared), Arc::clone(&activity));
    let service = service_fn(move |request| {
        let (shared, busy) = (Arc::clone(&everybody), Busy::new(&mine));
        async move {
            let answer = answer(request, peer, &shared).await.unwrap_or_else(refusal);
            drop(busy);
            Ok::<_, Infallible>(answer)
        }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = sleep(LOOK) => {
                let silent = clock::millis().saturating_sub(activity.millis.load(Ordering::Relaxed));
                let is_idle = activity.requests.load(Ordering::Relaxed) == 0;
                if is_idle && Duration::from_millis(silent) >= shared.crowd.patience() {
                    break;
                }
            }
            _ = stop.wait_for(|is_stopping| *is_stopping) => break,
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(shared.limits.leave, connection).await;
}

async fn answer(request: Request<Incoming>, peer: SocketAddr, shared: &Shared) -> Result<Answer, StatusCode> {
    if request.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    let query = match *request.method() {
        Method::GET => from_address(request.uri().query())?,
        Method::POST => timeout(shared.limits.arrive, from_body(request)).await.map_err(|_| {
            shared.count_cut();
            StatusCode::REQUEST_TIMEOUT
        })??,
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    let extras = Extras::of(&query, Transport::Https, shared.crowd.patience());
    let mut out = Vec::new();
    if let Some(message) = Message::read(&query).ok().filter(is_transfer) {
        // A request has one answer, and a transfer many messages.
        reject(&message, Rcode::NOTIMP, &Room { limit: MAX_MESSAGE, ..Room::default() }, &mut out);
        return Ok(success(out));
    }
    match shared.take(&query, peer, extras, &mut out) {
        Taken::Slow => {
            let mut replies = Replies::new();
            let reply = replies.reply(extras).await.ok_or(StatusCode::INTERNAL_SERVER_ERROR)?;
            replies.close();
            let client = Client { address: peer, is_datagram: false };
            let job = StreamJob { octets: query, client, reply };
            let answered = async {
                shared.hand_over(job).await;
                replies.next().await
            };
            let answered = timeout(MAX_WAIT, answered).await.map_err(|_| StatusCode::GATEWAY_TIMEOUT)?;
            out = answered.ok_or(StatusCode::BAD_REQUEST)?;
        }
        Taken::Dropped => return Err(StatusCode::BAD_REQUEST),
        Taken::Answered | Taken::Slipped | Taken::Limited => {}
    }
    Ok(success(out))
}

fn is_transfer(message: &Message<'_>) -> bool {
    message.question().is_some_and(|question| matches!(question.rtype, Rtype::AXFR | Rtype::IXFR))
}

fn success(message: Vec<u8>) -> Answer {
    let age = HeaderValue::try_from(format!("max-age={}", age(&message)));
    let mut answer = Response::new(Full::new(Bytes::from(message)));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(KIND));
    if let Ok(age) = age {
        answer.headers_mut().insert(header::CACHE_CONTROL, age);
    }
    answer
}

/// The parameter `dns`, in base 64 for addresses without padding.
fn from_address(parameters: Option<&str>) -> Result<Vec<u8>, StatusCode> {
    let mut parameters = parameters.unwrap_or_default().split('&');
    let text = parameters.find_map(|parameter| parameter.strip_prefix("dns=")).ok_or(StatusCode::BAD_REQUEST)?;
    let query = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    if query.len() > MAX_MESSAGE { Err(StatusCode::PAYLOAD_TOO_LARGE) } else { Ok(query) }
}

async fn from_body(request: Request<Incoming>) -> Result<Vec<u8>, StatusCode> {
    if request.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind != KIND) {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    match Limited::new(request.into_body(), MAX_MESSAGE).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

/// Seconds that an answer may be kept: the least TTL in it, and for "no such name" what the SOA record says (RFC 8484,
/// 5.1).
fn age(answer: &[u8]) -> u32 {
    let Ok(message) = Message::read(answer) else { return 0 };
    let answers = message.records(Section::Answer).map(|record| record.ttl).min();
    let negative = || {
        let soa = message.records(Section::Authority).find(|record| record.rtype == Rtype::SOA)?;
        let minimum = Soa::read(&soa.rdata().ok()?).ok()?.minimum;
        Some(soa.ttl.min(minimum))
    };
    answers.or_else(negative).unwrap_or(0)
}

fn refusal(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    answer
}
