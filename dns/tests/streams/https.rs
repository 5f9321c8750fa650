//! DNS over HTTPS by HTTP/1.1, octet for octet; kdig tries HTTP/2.

use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use dns::server::streams::{Limits, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::kit::{LONG, Server, answered, message, query, update};

/// The status line, the headers and the body.
async fn request(server: &Server, head: &str, body: &[u8]) -> (String, String, Vec<u8>) {
    let mut stream = server.connect_tls(Transport::Https, &[b"http/1.1"]).await;
    let head = format!("{head}\r\nHost: dns.test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await.expect("sent");
    let mut octets = Vec::new();
    let received = timeout(LONG, stream.read_to_end(&mut octets)).await.expect("an answer");
    assert!(received.is_ok() || !octets.is_empty(), "{received:?}");
    let end = octets.windows(4).position(|window| window == b"\r\n\r\n").expect("headers");
    let head = String::from_utf8_lossy(&octets[..end]).to_ascii_lowercase();
    let (status, headers) = head.split_once("\r\n").expect("a status");
    (status.to_owned(), headers.to_owned(), octets.split_off(end + 4))
}

const POST: &str = "POST /dns-query HTTP/1.1\r\nContent-Type: application/dns-message";

#[tokio::test]
async fn requests_are_answered_in_both_forms() {
    let server = Server::start(Limits::default());
    let get = format!("GET /dns-query?x=1&dns={} HTTP/1.1", BASE64URL_NOPAD.encode(&query(0)));
    for (head, body) in [(POST, query(0)), (get.as_str(), vec![])] {
        let (status, headers, body) = request(&server, head, &body).await;
        assert_eq!((status.as_str(), answered(&body)), ("http/1.1 200 ok", 0));
        assert!(headers.contains("content-type: application/dns-message"), "{headers}");
        assert!(headers.contains("cache-control: max-age=60"), "{headers}");
    }
    let nothing = message(0, dns::wire::Opcode::QUERY, "nothing.test", None);
    let (_, headers, body) = request(&server, POST, &nothing).await;
    assert_eq!(body[3] & 15, 3, "NXDOMAIN");
    assert!(headers.contains("cache-control: max-age=30"), "{headers}");
}

#[tokio::test]
async fn what_takes_time_is_waited_for() {
    let mut server = Server::start(Limits::default());
    server.answer_jobs(3, 0);
    let (status, _, body) = request(&server, POST, &update(0)).await;
    assert_eq!((status.as_str(), body), ("http/1.1 200 ok", update(0)), "one message only");
}

#[tokio::test]
async fn what_is_wrong_has_its_status() {
    let server = Server::start(Limits::default());
    let kind = "application/dns-message";
    for (head, body, expected) in [
        (format!("POST /other HTTP/1.1\r\nContent-Type: {kind}"), query(0), 404),
        ("PUT /dns-query HTTP/1.1".to_owned(), query(0), 405),
        ("POST /dns-query HTTP/1.1\r\nContent-Type: text/plain".to_owned(), query(0), 415),
        (POST.to_owned(), vec![0; 65_536], 413),
        (POST.to_owned(), b"short".to_vec(), 400),
        ("GET /dns-query HTTP/1.1".to_owned(), vec![], 400),
        ("GET /dns-query?dns=%20 HTTP/1.1".to_owned(), vec![], 400),
    ] {
        let (status, ..) = request(&server, &head, &body).await;
        assert_eq!(status.split(' ').nth(1), Some(expected.to_string().as_str()), "{head}");
    }
}

#[tokio::test]
async fn the_silent_are_sent_away() {
    let short = Duration::from_millis(200);
    let server = Server::start(Limits { idle: short, arrive: short, ..Limits::default() });
    for protocol in [&b"http/1.1"[..], b"h2"] {
        let mut stream = server.connect_tls(Transport::Https, &[protocol]).await;
        let mut octets = Vec::new();
        let _ = timeout(LONG, stream.read_to_end(&mut octets)).await.expect("the end");
    }
    server.until(|totals| totals.open == 0).await;
}
