//! DNS over QUIC.

use std::sync::Arc;
use std::time::Duration;

use dns::server::streams::{Limits, Transport};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use tokio::time::timeout;

use crate::kit::{HOST, LONG, Server, answered, framed, query, receive, update};

async fn connect(server: &Server) -> (Endpoint, Connection) {
    let mut tls = server.files.client();
    tls.alpn_protocols = vec![b"doq".to_vec()];
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).expect("TLS 1.3")));
    let endpoint = Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    let connecting = endpoint.connect_with(config, server.address(Transport::Quic), HOST).expect("right");
    let connection = timeout(LONG, connecting).await.expect("in time").expect("connected");
    (endpoint, connection)
}

/// Sends octets on a stream of their own; the messages that come back.
async fn ask(connection: &Connection, octets: &[u8]) -> Vec<Vec<u8>> {
    let (mut send, mut messages) = (Vec::new(), Vec::new());
    let (mut to, mut from) = connection.open_bi().await.expect("a stream");
    send.extend_from_slice(octets);
    to.write_all(&send).await.expect("sent");
    to.finish().expect("open until now");
    while let Some(message) = receive(&mut from).await {
        messages.push(message);
    }
    messages
}

#[tokio::test]
async fn each_stream_has_its_answer() {
    let mut server = Server::start(Limits::default());
    server.answer_jobs(3, 50_000);
    let (_endpoint, connection) = connect(&server).await;
    for _ in 0..200 {
        let answers = ask(&connection, &framed(&query(0))).await;
        assert_eq!(answers.iter().map(|answer| answered(answer)).collect::<Vec<_>>(), [0]);
    }
    let transfer = ask(&connection, &framed(&update(0))).await;
    assert_eq!(transfer.iter().map(Vec::len).collect::<Vec<_>>(), [50_000; 3]);
    assert_eq!((server.streams.totals().queries, server.streams.totals().cut), (201, 0));
}

#[tokio::test]
async fn what_is_not_allowed_ends_the_connection() {
    let server = Server::start(Limits::default());
    let more = [framed(&query(0)), vec![0]].concat();
    for octets in [framed(&query(1)), more, framed(b"short"), vec![9]] {
        let (_endpoint, connection) = connect(&server).await;
        assert_eq!(ask(&connection, &octets).await, [[0; 0]; 0]);
        let closed = timeout(LONG, connection.closed()).await.expect("the end");
        assert!(
            matches!(&closed, ConnectionError::ApplicationClosed(why) if why.error_code == 2u32.into()),
            "{closed}"
        );
    }
    assert_eq!(server.streams.totals().cut, 4);
}

#[tokio::test]
async fn the_silent_are_sent_away_and_the_end_is_in_order() {
    let server = Server::start(Limits { idle: Duration::from_millis(500), ..Limits::default() });
    let (_endpoint, connection) = connect(&server).await;
    timeout(LONG, connection.closed()).await.expect("the end");
    server.until(|totals| totals.open == 0).await;
    let server = Server::start(Limits::default());
    let (_endpoint, connection) = connect(&server).await;
    assert_eq!(ask(&connection, &framed(&query(0))).await.len(), 1);
    timeout(LONG, server.streams.stop(LONG)).await.expect("it ends");
    timeout(LONG, connection.closed()).await.expect("the end");
}
