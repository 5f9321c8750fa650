//! The client against servers on this machine that lose, forge, truncate and refuse.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::*;
use crate::name::Name;
use crate::settings::Algorithm;
use crate::sign::{Signer, sig0, verify};
use crate::transfer::{Asked, Content, Outgoing};
use crate::update::Operation;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn key() -> Key {
    Key { name: name("k1"), algorithm: Algorithm::HmacSha256, secret: Box::from([7; 32]) }
}

fn record(rtype: Rtype, rdata: &[u8]) -> Record {
    Record { name: name("dyn.test"), rtype, ttl: 60, rdata: rdata.into() }
}

fn zone(hosts: usize) -> Zone {
    let soa = record(Rtype::SOA, &Soa { serial: Serial(7), ..Soa::default() }.write());
    let hosts =
        (0..hosts).map(|n| Record { name: name(&format!("h{n}.dyn.test")), ..record(Rtype::A, &[192, 0, 2, 1]) });
    Zone::new(name("dyn.test"), std::iter::once(soa).chain(hosts)).expect("a zone")
}

/// The answer to a query, with these flags more.
fn reply(request: &[u8], flags: Flags, records: &[Record]) -> Vec<u8> {
    let request = Message::read(request).expect("a request");
    let mut out = Vec::new();
    let mut writer = Writer::reply(&mut out, MAX_MESSAGE, &request);
    writer.set_flags(Flags(writer.flags().0 | flags.0));
    records.iter().for_each(|record| writer.record(Section::Answer, record).expect("room"));
    out
}

/// The same, signed as the request was.
fn signed_reply(request: &[u8], flags: Flags, records: &[Record]) -> Vec<u8> {
    let mut out = reply(request, flags, records);
    signer(request, &[key()]).sign(&mut out, clock::wall_secs());
    out
}

fn signer<'k>(request: &[u8], keys: &'k [Key]) -> Signer<'k> {
    let request = Message::read(request).expect("a request");
    verify(&request, keys, clock::wall_secs()).expect("believed").expect("signed").signer
}

/// A server that sends `answers(n, request)` for the n-th datagram, on the port that TCP is listened on too.
async fn serve(mut answers: impl FnMut(usize, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let socket = UdpSocket::bind(address).await.expect("the same port");
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        for number in 0.. {
            let Ok((len, from)) = socket.recv_from(&mut buffer).await else { return };
            for answer in answers(number, &buffer[..len]) {
                socket.send_to(&answer, from).await.expect("sent");
            }
        }
    });
    (address, listener)
}

/// Answers one request over TCP with these messages.
fn stream(listener: TcpListener, answers: impl FnOnce(&[u8]) -> Vec<Vec<u8>> + Send + 'static) {
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let len = stream.read_u16().await.expect("a length");
        let mut request = vec![0; usize::from(len)];
        stream.read_exact(&mut request).await.expect("a request");
        for answer in answers(&request) {
            let framed = [&(answer.len() as u16).to_be_bytes(), answer.as_slice()].concat();
            stream.write_all(&framed).await.expect("sent");
        }
    });
}

fn plain(address: SocketAddr) -> Server {
    Server { address, credentials: Credentials::None }
}

fn shared(address: SocketAddr) -> Server {
    Server { address, credentials: Credentials::Shared(key()) }
}

#[tokio::test]
async fn what_cannot_be_signed_is_not_sent() {
    let (address, _tcp) = serve(|_, _| panic!("nobody is asked")).await;
    let public = Key { name: name("public"), algorithm: Algorithm::Sig0, secret: Box::from([7; 68]) };
    let keys = [key(), public.clone()];
    for (of, unsigned) in [(Some("public"), true), (Some("none"), true), (Some("K1"), false), (None, false)] {
        let server = Server::of(&Peer { address, key: of.map(name) }, &keys);
        assert_eq!(matches!(server.credentials, Credentials::Missing(_)), unsigned, "{of:?}");
        if unsigned {
            let error = server.serial(name("dyn.test").as_ref()).await.expect_err("nothing to sign with");
            assert!(matches!(&error, ClientError::NoSecret(key) if Some(key) == of.map(name).as_ref()), "{error}");
        }
    }
    let server = Server { address, credentials: Credentials::Shared(public) };
    let error = server.fetch(name("dyn.test").as_ref()).await.expect_err("nothing to sign with");
    assert!(matches!(error, ClientError::NoSecret(_)), "{error}");
    assert!(matches!(server.update(&update()).await, Err(ClientError::NoSecret(_))));
}

fn update() -> Update {
    let operations = vec![Operation::Add(record(Rtype::A, &[192, 0, 2, 1]))];
    Update { zone: name("dyn.test"), prerequisites: Vec::new(), operations, lease: None }
}

#[tokio::test]
async fn a_lost_datagram_is_sent_again() {
    let (address, _tcp) = serve(|number, request| match number {
        0 => Vec::new(),
        _ => vec![reply(request, Flags::AUTHORITATIVE, &[record(Rtype::A, &[192, 0, 2, 1])])],
    })
    .await;
    let records = plain(address).query(name("dyn.test").as_ref(), Rtype::A).await.expect("an answer");
    assert_eq!(records, [record(Rtype::A, &[192, 0, 2, 1])]);
}

#[tokio::test]
async fn what_answers_another_question_is_passed_over() {
    let (address, _tcp) = serve(|_, request| {
        let right = reply(request, Flags::AUTHORITATIVE, &[record(Rtype::A, &[192, 0, 2, 1])]);
        let (mut number, mut question, mut query) = (right.clone(), right.clone(), right.clone());
        number[0] ^= 1;
        question[13] ^= 1;
        query[2] ^= 0x80;
        vec![vec![1, 2, 3], number, question, query, right]
    })
    .await;
    assert_eq!(plain(address).query(name("dyn.test").as_ref(), Rtype::A).await.expect("an answer").len(), 1);
}

#[tokio::test]
async fn a_forged_answer_is_passed_over() {
    let (address, _tcp) = serve(|_, request| {
        let refused = Flags::default().with_rcode(Rcode::REFUSED);
        vec![reply(request, refused, &[]), signed_reply(request, Flags::default(), &[])]
    })
    .await;
    assert_eq!(shared(address).update(&update()).await.expect("the real answer"), None);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_asked_for_over_tcp() {
    let (address, tcp) = serve(|_, request| vec![signed_reply(request, Flags::TRUNCATED, &[])]).await;
    let hosts: Vec<_> = (0..200).map(|n| record(Rtype::A, &[192, 0, 2, n])).collect();
    let expected = hosts.len();
    stream(tcp, move |request| vec![signed_reply(request, Flags::AUTHORITATIVE, &hosts)]);
    let records = shared(address).query(name("dyn.test").as_ref(), Rtype::A).await.expect("an answer");
    assert_eq!(records.len(), expected);
}

#[tokio::test]
async fn a_refusal_is_an_error_with_its_result() {
    let (address, _tcp) =
        serve(|_, request| vec![reply(request, Flags::default().with_rcode(Rcode::YXDOMAIN), &[])]).await;
    let error = plain(address).update(&update()).await.expect_err("refused");
    assert!(matches!(error, ClientError::Refused(Rcode::YXDOMAIN)), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_responsible_has_no_version() {
    let soa = record(Rtype::SOA, &Soa { serial: Serial(9), ..Soa::default() }.write());
    for (flags, expected) in [(Flags::AUTHORITATIVE, Some(Serial(9))), (Flags::default(), None)] {
        let soa = soa.clone();
        let (address, _tcp) = serve(move |_, request| vec![reply(request, flags, std::slice::from_ref(&soa))]).await;
        assert_eq!(plain(address).serial(name("dyn.test").as_ref()).await.ok(), expected);
    }
}

/// The messages of a signed transfer.
fn transfer(zone: &Zone, request: &[u8]) -> Vec<Vec<u8>> {
    let keys = [key()];
    let mut signer = signer(request, &keys);
    let query = Message::read(request).expect("a query");
    let content = Content::choose(zone, &Asked::read(&query).expect("a transfer"), None);
    let mut outgoing = Outgoing::new(&query, zone, content).expect("a zone");
    let mut messages = Vec::new();
    loop {
        let mut message = Vec::new();
        if !outgoing.write(&mut message, signer.room()).expect("room") {
            return messages;
        }
        signer.sign(&mut message, clock::wall_secs());
        messages.push(message);
    }
}

#[tokio::test]
async fn a_zone_of_many_messages_arrives() {
    let (address, tcp) = serve(|_, _| Vec::new()).await;
    stream(tcp, |request| {
        let messages = transfer(&zone(3000), request);
        assert!(messages.len() > 3, "{}", messages.len());
        messages
    });
    match shared(address).fetch(name("dyn.test").as_ref()).await.expect("a zone") {
        Received::Whole(zone) => assert_eq!(zone.records().count(), 3001),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_primary_that_never_ends_is_left() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let primary = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let len = stream.read_u16().await.expect("a length");
        let mut request = vec![0; usize::from(len)];
        stream.read_exact(&mut request).await.expect("a request");
        let soa = record(Rtype::SOA, &Soa { serial: Serial(7), ..Soa::default() }.write());
        for host in 0u32.. {
            let more = Record { name: name(&format!("h{host}.dyn.test")), ..record(Rtype::A, &[192, 0, 2, 1]) };
            let answer = reply(&request, Flags::AUTHORITATIVE, &[if host == 0 { soa.clone() } else { more }]);
            let framed = [&(answer.len() as u16).to_be_bytes(), answer.as_slice()].concat();
            if stream.write_all(&framed).await.is_err() {
                return host;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        0
    });
    let apex = name("dyn.test");
    let request = ask(Query::Whole(apex.as_ref()), id()).expect("room");
    let received = plain(address).transfer(request, Incoming::whole(apex), Duration::from_secs(1)).await;
    assert!(matches!(received, Err(ClientError::Slow(_))), "{received:?}");
    assert!(primary.await.expect("no panic") > 1, "it was read while it came");
}

#[tokio::test]
async fn a_transfer_that_was_tampered_with_is_refused() {
    for (what, tamper) in [
        ("changed", (|all| all[2][900] ^= 1) as fn(&mut Vec<Vec<u8>>)),
        ("one missing", |all| drop(all.remove(1))),
        ("ends early", |all| all.truncate(2)),
    ] {
        let (address, tcp) = serve(|_, _| Vec::new()).await;
        stream(tcp, move |request| {
            let mut messages = transfer(&zone(3000), request);
            tamper(&mut messages);
            messages
        });
        let received = shared(address).fetch(name("dyn.test").as_ref()).await;
        // A change may already make it unreadable.
        let refused = matches!(received, Err(ClientError::Answer(_) | ClientError::Io(..) | ClientError::Malformed(_)));
        assert!(refused, "{what}: {received:?}");
    }
}

const ED25519: (&str, &str) = (
    "host.test. IN KEY 512 3 15 sVPeMbVBbzirbgoHrpDJ4TStV9i47EGwLhl6DQTZO9o=",
    "Private-key-format: v1.3\nAlgorithm: 15 (ED25519)\nPrivateKey: aLSdF2HGvMXAebi5zyYhFSwQEt2dlhfq/wbcH11+ehU=\n",
);
const ECDSA: (&str, &str) = (
    "; a comment\nhost.test. IN KEY 512 3 13 4kLmKzhjsT8a/M9qBigbCGlHFWy5EROt+WJAvWPsmYQ05xT02kiiEOZE \
     eacDHZ/Kst4M4oNpkth+nfolbt/w/Q==",
    "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: SgwQW4krvZDkMFXwXnx6FxOmltVlNbXFEccmbBMAf+Q=\n",
);

#[test]
fn a_pair_of_files_signs() {
    for (public, private) in [ED25519, ECDSA] {
        let key = SigningKey::read(public, private).expect("a pair");
        let room = private::MAX_RECORD;
        let mut request = update().write(1, room).expect("room");
        let before = request.len();
        sig0::sign_request(&mut request, &key, 1_000_000).expect("signed");
        assert!(request.len() - before <= room);
        let Ok(crate::sign::keys::Found::Keys(keys)) = crate::sign::keys::read(public) else { panic!("{public}") };
        let message = Message::read(&request).expect("a message");
        assert!(verify(&message, &keys, 1_000_000).is_ok_and(|verified| verified.is_some()));
    }
}

#[test]
fn what_is_no_pair_says_why() {
    let error = |public, private| SigningKey::read(public, private).expect_err("no pair");
    assert!(matches!(error(ED25519.0, ECDSA.1), PrivateKeyError::NoPair));
    let other = ED25519.1.replace("aLSd", "bLSd");
    assert!(matches!(error(ED25519.0, &other), PrivateKeyError::NoPair));
    assert!(matches!(error(ED25519.0, "Algorithm: 15\n"), PrivateKeyError::Missing("PrivateKey")));
    assert!(matches!(error(ED25519.0, ""), PrivateKeyError::Missing("Algorithm")));
    assert!(matches!(error("hmac-sha256:k:AAAA", ED25519.1), PrivateKeyError::NotOne));
    assert!(matches!(error("", ED25519.1), PrivateKeyError::Public(_)));
}
