//! DNS over QUIC (RFC 9250): each request on a stream of its own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    Connection, Endpoint, EndpointConfig, Incoming, RecvStream, SendStream, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::certificate::Certificate;
use super::extras::Extras;
use super::frames::{Inbox, frame};
use super::reply::{Replies, StreamJob};
use super::{Limits, Shared, Transport};
use crate::server::socket::prepare;
use crate::server::{Client, Taken};
use crate::wire::{Header, MAX_MESSAGE};

/// Requests of one connection at once.
const MAX_REQUESTS: u32 = 64;
/// A message and its length.
const MAX_REQUEST: usize = MAX_MESSAGE + 2;
/// Octets of requests that may be on their way on one connection.
const WINDOW: u32 = 4 * MAX_REQUEST as u32;
/// How often a connection looks whether it may stay.
const LOOK: Duration = Duration::from_secs(1);

/// DOQ_NO_ERROR
const NO_ERROR: VarInt = VarInt::from_u32(0);
/// DOQ_PROTOCOL_ERROR
const PROTOCOL_ERROR: VarInt = VarInt::from_u32(2);
/// DOQ_EXCESSIVE_LOAD
const EXCESSIVE_LOAD: VarInt = VarInt::from_u32(4);

/// The client does what it must not do.
struct Wrong;

/// A socket for connections to an address, which may come and go.
pub(super) fn open(address: SocketAddr, certificate: &Arc<Certificate>, limits: &Limits) -> io::Result<Endpoint> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    prepare(&socket, address)?;
    socket.bind(&address.into())?;
    socket.set_nonblocking(true)?;
    let tls = certificate.config(Transport::Quic).map_err(io::Error::other)?;
    let tls = QuicServerConfig::try_from(tls).map_err(io::Error::other)?;
    let mut config = ServerConfig::with_crypto(Arc::new(tls));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(MAX_REQUESTS.into())
        .max_concurrent_uni_streams(0u32.into())
        .datagram_receive_buffer_size(None)
        .stream_receive_window((MAX_REQUEST as u32).into())
        .receive_window(WINDOW.into())
        .send_window(WINDOW.into())
        .max_idle_timeout(Some(limits.idle.try_into().map_err(io::Error::other)?));
    config.transport_config(Arc::new(transport));
    Endpoint::new(EndpointConfig::default(), Some(config), socket.into(), Arc::new(TokioRuntime))
}

/// Lets connections in until the end, and waits for them then.
pub(super) async fn serve(endpoint: Endpoint, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|is_stopping| *is_stopping) => break,
        };
        let Some(incoming) = incoming else { break };
        if shared.crowd.is_crowded() && !incoming.remote_address_validated() {
            // Whoever gave another's address never gets this far again.
            let _ = incoming.retry();
            continue;
        }
        let Some(place) = shared.crowd.enter(incoming.remote_address().ip()) else {
            shared.counts.refused.fetch_add(1, Ordering::Relaxed);
            incoming.refuse();
            continue;
        };
        shared.counts.accepted.fetch_add(1, Ordering::Relaxed);
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        connections.spawn(async move {
            let _place = place;
            welcome(incoming, shared, stop).await;
        });
    }
    while connections.join_next().await.is_some() {}
    endpoint.close(NO_ERROR, b"");
    endpoint.wait_idle().await;
}

async fn welcome(incoming: Incoming, shared: Arc<Shared>, mut stop: watch::Receiver<bool>) {
    let Ok(Ok(connection)) = timeout(shared.limits.arrive, incoming).await else { return shared.count_cut() };
    let mut requests = JoinSet::new();
    let mut heard = tokio::time::Instant::now();
    let reason = loop {
        tokio::select! {
            accepted = connection.accept_bi() => match accepted {
                Ok(streams) => {
                    heard = tokio::time::Instant::now();
                    requests.spawn(request(connection.clone(), streams, Arc::clone(&shared)));
                }
                Err(_) => return,
            },
            Some(done) = requests.join_next() => {
                heard = tokio::time::Instant::now();
                if let Ok(Err(Wrong)) = done {
                    shared.count_cut();
                    break PROTOCOL_ERROR;
                }
            }
            () = tokio::time::sleep(LOOK) => {
                if requests.is_empty() && heard.elapsed() >= shared.crowd.patience() {
                    break if shared.crowd.is_crowded() { EXCESSIVE_LOAD } else { NO_ERROR };
                }
            }
            _ = stop.wait_for(|is_stopping| *is_stopping) => break NO_ERROR,
        }
    };
    if reason != PROTOCOL_ERROR {
        while requests.join_next().await.is_some() {}
    }
    connection.close(reason, b"");
}

/// Answers one request. A stream that is broken off on either side is the business of its client alone.
async fn request(
    connection: Connection,
    (mut send, receive): (SendStream, RecvStream),
    shared: Arc<Shared>,
) -> Result<(), Wrong> {
    let peer = connection.remote_address();
    let Ok(received) = timeout(shared.limits.arrive, read(receive)).await else {
        shared.count_cut();
        return Ok(());
    };
    let Some(request) = received? else { return Ok(()) };
    let extras = Extras::of(&request, Transport::Quic, shared.crowd.patience());
    let mut out = Vec::new();
    match frame(&mut out, |out| shared.take(&request, peer, extras, out)) {
        Taken::Slow => {
            let mut replies = Replies::new();
            let Some(reply) = replies.reply(extras).await else { return Ok(()) };
            replies.close();
            let client = Client { address: peer, is_datagram: false };
            let job = StreamJob { octets: request, client, reply };
            shared.hand_over(job).await;
            while let Some(message) = replies.next().await {
                out.clear();
                frame(&mut out, |out| out.extend(message));
                if !write(&mut send, &out, &shared).await {
                    return Ok(());
                }
            }
        }
        Taken::Dropped => return Err(Wrong),
        Taken::Answered | Taken::Slipped | Taken::Limited => {
            if !write(&mut send, &out, &shared).await {
                return Ok(());
            }
        }
    }
    let _ = send.finish();
    // Until it is there the connection must not end.
    let _ = timeout(shared.limits.leave, send.stopped()).await;
    Ok(())
}

/// The one message of a stream, whose identifier is zero (RFC 9250, 4.2.1); nothing when the client has broken it off.
async fn read(mut receive: RecvStream) -> Result<Option<Vec<u8>>, Wrong> {
    let octets = match receive.read_to_end(MAX_REQUEST).await {
        Ok(octets) => octets,
        Err(quinn::ReadToEndError::TooLong) => return Err(Wrong),
        Err(quinn::ReadToEndError::Read(_)) => return Ok(None),
    };
    let mut inbox = Inbox::default();
    inbox.push(&octets);
    let message = inbox.peek().filter(|message| message.len() + 2 == octets.len());
    let message = message.filter(|message| Header::read(message).is_some_and(|header| header.id == 0));
    message.map(|message| Some(message.to_vec())).ok_or(Wrong)
}

/// Sends messages; whether the client takes them in time.
async fn write(send: &mut SendStream, octets: &[u8], shared: &Shared) -> bool {
    match timeout(shared.limits.leave, send.write_all(octets)).await {
        Ok(sent) => sent.is_ok(),
        Err(_) => {
            shared.count_cut();
            false
        }
    }
}
