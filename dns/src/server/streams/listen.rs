//! Sockets that connections come to.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{Shared, Transport, connection, https};
use crate::server::socket::prepare;

/// Connections that may wait to be let in.
const BACKLOG: i32 = 1024;
/// How long nobody is let in after the system had no more descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// A socket for connections to an address, which may come and go.
///
/// # Errors
/// When the address cannot be listened on.
pub fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    prepare(&socket, address)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Lets connections in until the end, and waits for them then.
pub(super) async fn serve(
    listener: TcpListener,
    transport: Transport,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stop: watch::Receiver<bool>,
) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, ?transport, "cannot listen"),
    };
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stop.wait_for(|is_stopping| *is_stopping) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(place) = shared.crowd.enter(peer.ip()) else {
                    shared.counts.refused.fetch_add(1, Ordering::Relaxed);
                    continue;
                };
                shared.counts.accepted.fetch_add(1, Ordering::Relaxed);
                let (shared, acceptor, stop) = (Arc::clone(&shared), acceptor.clone(), stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    welcome(stream, peer, transport, acceptor, shared, stop).await;
                });
            }
            // The client has gone again before it was let in.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, ?transport, "cannot let connections in");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    transport: Transport,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    // Answers are written as a whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let Some(acceptor) = acceptor else { return connection::serve(stream, peer, transport, shared, stop).await };
    let Ok(Ok(stream)) = timeout(shared.limits.arrive, acceptor.accept(stream)).await else {
        return shared.count_cut();
    };
    match transport {
        // What TLS keeps for a connection is large: here, not in the task of every plain one.
        Transport::Https => Box::pin(https::serve(stream, peer, shared, stop)).await,
        _ => Box::pin(connection::serve(stream, peer, transport, shared, stop)).await,
    }
}
