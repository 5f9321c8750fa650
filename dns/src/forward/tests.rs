//! Against a resolver of the test's own, on loopback.

use futures_util::FutureExt;
use hickory_resolver::proto::rr::rdata::{A, CNAME};
use hickory_resolver::proto::rr::{Record, RecordType};
use tokio::net::UdpSocket;

use super::*;
use crate::settings::{Transport, Upstream};

fn name(text: &str) -> TheirName {
    TheirName::from_ascii(text).expect("a name")
}

fn query(text: &str, signatures: bool) -> Message {
    let mut query = Message::query();
    query.metadata.id = 77;
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name(text), RecordType::A));
    let mut edns = Edns::new();
    edns.set_dnssec_ok(signatures);
    query.set_edns(edns);
    query
}

/// A resolver that knows every name but `no.test.`, and how often it was asked.
async fn upstream() -> (Upstream, Arc<std::sync::atomic::AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let upstream = Upstream { address: socket.local_addr().expect("an address"), transport: Transport::Plain };
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        let mut octets = [0; 1500];
        loop {
            let (len, from) = socket.recv_from(&mut octets).await.expect("a query");
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let mut answer = Message::from_vec(&octets[..len]).expect("a query").into_response();
            let asked = answer.queries[0].name().clone();
            match asked == name("no.test.") {
                true => answer.metadata.response_code = ResponseCode::NXDomain,
                false => drop(answer.add_answer(Record::from_rdata(asked, 60, RData::A(A::new(192, 0, 2, 1))))),
            }
            socket.send_to(&answer.to_vec().expect("octets"), from).await.expect("sent");
        }
    });
    (upstream, asked)
}

async fn forwarder() -> (Forwarder, Arc<std::sync::atomic::AtomicUsize>) {
    let (upstream, asked) = upstream().await;
    let settings = Forward { networks: Vec::new(), upstreams: vec![upstream], cache: 100 };
    (Forwarder::new(&settings, None).expect("a forwarder"), asked)
}

async fn ask(forwarder: &Forwarder, query: &Message) -> Message {
    let answer = forwarder.answer(&query.to_vec().expect("octets"), &[], 1232).await.expect("an answer");
    Message::from_vec(&answer).expect("a message")
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time() {
    let (forwarder, asked) = forwarder().await;
    for _ in 0..3 {
        let answer = ask(&forwarder, &query("Www.Test.", false)).await;
        assert_eq!((answer.metadata.id, answer.answers.len()), (77, 1));
        assert!(answer.metadata.recursion_available && !answer.metadata.authoritative);
        assert_eq!(answer.queries[0].name().to_string(), "Www.Test.");
    }
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 1);
    ask(&forwarder, &query("www.test.", true)).await;
    assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 2, "signatures are another question");
}

#[tokio::test]
async fn no_such_name_is_passed_on() {
    let (forwarder, _) = forwarder().await;
    assert_eq!(ask(&forwarder, &query("no.test.", false)).await.metadata.response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn nobody_there_is_servfail() {
    let address = "127.0.0.1:1".parse().expect("an address");
    let upstreams = vec![Upstream { address, transport: Transport::Plain }];
    let forwarder = Forwarder::new(&Forward { networks: Vec::new(), upstreams, cache: 10 }, None).expect("a forwarder");
    assert_eq!(ask(&forwarder, &query("www.test.", false)).await.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn one_question_too_many_is_servfail_at_once() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let upstreams = vec![Upstream { address: silent.local_addr().expect("an address"), transport: Transport::Plain }];
    let forwarder = Forwarder::new(&Forward { networks: Vec::new(), upstreams, cache: 10 }, None).expect("a forwarder");
    let queries: Vec<_> =
        (0..=MAX_ASKED).map(|n| query(&format!("n{n}.test."), false).to_vec().expect("octets")).collect();
    let mut asked: Vec<_> = queries.iter().map(|query| Box::pin(forwarder.answer(query, &[], 1232))).collect();
    let at_once: Vec<_> = asked.iter_mut().map(|asked| asked.now_or_never().flatten()).collect();
    let (last, waiting) = at_once.split_last().expect("some");
    assert!(waiting.iter().all(Option::is_none));
    let last = Message::from_vec(last.as_ref().expect("an answer")).expect("a message");
    assert_eq!(last.metadata.response_code, ResponseCode::ServFail);
}

#[tokio::test]
async fn an_alias_that_leads_away_is_followed() {
    let (forwarder, _) = forwarder().await;
    let query = query("here.example.", false);
    let mut local = query.clone().into_response();
    local.metadata.authoritative = true;
    local.add_answer(Record::from_rdata(name("here.example."), 5, RData::CNAME(CNAME(name("www.test.")))));
    let (query, local) = (query.to_vec().expect("octets"), local.to_vec().expect("octets"));
    let answer = forwarder.complete(&query, &local, &[], 1232).await.expect("an answer");
    let answer = Message::from_vec(&answer).expect("a message");
    assert_eq!(answer.answers.len(), 2, "{answer}");
    assert!(answer.metadata.authoritative);
    assert_eq!(forwarder.complete(&query, &query, &[], 1232).await, None, "nothing leads away");
    let short = forwarder.complete(&query, &local, &[], 60).await.expect("an answer");
    assert!(Message::from_vec(&short).expect("a message").metadata.truncation);
}
