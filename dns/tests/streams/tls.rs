//! DNS over TLS, and the certificate.

use std::sync::Arc;

use dns::server::streams::{CertificateError, Limits, StreamError, Streams, Transport};
use dns::wire::{EdnsOption, Message, Opcode};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

use crate::kit::{ANY, Files, HOST, Server, answered, ask, front, message, query, receive};

#[tokio::test]
async fn requests_are_answered_and_padded() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect_tls(Transport::Tls, &[b"dot"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"dot"[..]));
    assert_eq!(answered(&ask(&mut stream, &query(1)).await.expect("an answer")), 1);
    let option = EdnsOption { code: EdnsOption::PADDING, data: &[0; 20] };
    let asked = message(2, Opcode::QUERY, "www.test", Some(&[option]));
    let answer = ask(&mut stream, &asked).await.expect("an answer");
    assert_eq!((answer.len() % 468, answered(&answer)), (0, 2));
    assert!(Message::read(&answer).expect("a message").edns().is_some());
}

#[tokio::test]
async fn a_certificate_is_replaced_while_it_is_in_use() {
    let mut server = Server::start(Limits::default());
    let tls = server.files.tls(&[ANY]);
    let mut old = server.connect_tls(Transport::Tls, &[b"dot"]).await;
    let first = server.files.client();
    server.files.renew();
    server.streams.change(&[ANY], Some(&tls)).expect("it is good");
    let mut new = server.connect_tls(Transport::Tls, &[b"dot"]).await;
    for stream in [&mut old, &mut new] {
        assert!(ask(stream, &query(1)).await.is_some());
    }
    assert!(!is_believed(&server, first).await, "the old one is not shown any more");
    std::fs::write(server.files.key(), "nothing").expect("written");
    let unread = server.streams.change(&[], Some(&tls));
    assert!(matches!(unread, Err(StreamError::Certificate(CertificateError::Read(..)))));
    let other = Files::new();
    std::fs::copy(other.key(), server.files.key()).expect("copied");
    let unfit = server.streams.change(&[], Some(&tls));
    assert!(matches!(unfit, Err(StreamError::Certificate(CertificateError::Key(..)))));
    assert!(is_believed(&server, server.files.client()).await, "the good one stays");
}

#[tokio::test]
async fn without_a_good_certificate_nothing_starts() {
    let files = Files::new();
    std::fs::write(files.certificate(), "").expect("written");
    let started = Streams::start(&[], Some(&files.tls(&[ANY])), &front(), &mpsc::channel(1).0, Limits::default());
    assert!(matches!(started, Err(StreamError::Certificate(CertificateError::Empty(_)))));
}

#[tokio::test]
async fn a_handshake_that_is_none_is_cut_off() {
    let server = Server::start(Limits { arrive: std::time::Duration::from_millis(100), ..Limits::default() });
    let mut silent = TcpStream::connect(server.address(Transport::Tls)).await.expect("connected");
    assert_eq!(receive(&mut silent).await, None);
    server.until(|totals| totals.cut == 1 && totals.open == 0).await;
}

async fn is_believed(server: &Server, config: rustls::ClientConfig) -> bool {
    let stream = TcpStream::connect(server.address(Transport::Tls)).await.expect("connected");
    let host = ServerName::try_from(HOST).expect("a name");
    TlsConnector::from(Arc::new(config)).connect(host, stream).await.is_ok()
}
