//! The UDP side from socket to answer: threads, limits, jobs and counts.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::answer::{Served, Zones};
use crate::guard::{Cookies, Secret};
use crate::name::Name;
use crate::record::{Record, Rtype};
use crate::settings::Network;
use crate::wire::{
    CLASS_IN, Edns, EdnsOption, Flags, Header, MAX_MESSAGE, Message, Opcode, Question, Rcode, Section, Writer,
};
use crate::zone::{Serial, Soa, Zone};

fn name(text: &str) -> Name {
    text.parse().expect("a valid name")
}

fn zones() -> Zones {
    let soa = Soa { primary: name("ns.test"), mailbox: name("x.test"), serial: Serial(1), ..Soa::default() };
    let top = Record { name: name("test"), rtype: Rtype::SOA, ttl: 60, rdata: soa.write() };
    let www = Record { name: name("www.test"), rtype: Rtype::A, ttl: 60, rdata: Box::from([10, 0, 0, 1]) };
    [Served::new(Zone::new(name("test"), [top, www]).expect("a zone"))].into_iter().collect()
}

fn front(rate: Option<u32>) -> Arc<Front> {
    let forward = vec![Network { address: [127, 0, 0, 7].into(), prefix: 32 }];
    let front = Front::new(Policy { forward, rate, ..Policy::new(Cookies::new(Secret([7; 16]))) });
    front.publish(zones());
    Arc::new(front)
}

fn query(opcode: Opcode, owner: &str, cookie: Option<&[u8]>) -> Vec<u8> {
    let mut query = Vec::new();
    let flags = Flags::of(opcode).with(Flags::RECURSION_DESIRED);
    let mut writer = Writer::new(&mut query, MAX_MESSAGE, Header { id: 0x1234, flags, counts: [0; 4] });
    let owner = name(owner);
    writer.question(Question { name: owner.as_ref(), rtype: Rtype::A, class: CLASS_IN }).expect("room");
    if let Some(data) = cookie {
        let option = EdnsOption { code: EdnsOption::COOKIE, data };
        writer.opt(&Edns::new(1232, false), Rcode::NOERROR, &[option]).expect("room");
    }
    query
}

/// Asks from a socket of this address; nothing when no answer comes.
fn ask(from: &str, server: SocketAddr, query: &[u8]) -> Option<(Vec<u8>, SocketAddr)> {
    let socket = UdpSocket::bind(from).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    socket.send_to(query, server).expect("sent");
    let mut octets = vec![0; MAX_MESSAGE];
    let (len, peer) = socket.recv_from(&mut octets).ok()?;
    octets.truncate(len);
    Some((octets, peer))
}

fn start(address: &str, threads: usize, front: &Arc<Front>) -> (Udp, SocketAddr, mpsc::Receiver<Job>) {
    let (sender, receiver) = mpsc::channel(1);
    let udp = Udp::start(&[address.parse().expect("an address")], threads, front, &sender).expect("listening");
    let address = udp.addresses()[0];
    (udp, address, receiver)
}

#[test]
fn answers_come_from_the_address_that_was_asked() {
    let front = front(None);
    for (listen, from, asked) in [
        ("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"),
        ("0.0.0.0:0", "127.0.0.1:0", "127.0.0.9"),
        ("[::1]:0", "[::1]:0", "::1"),
        ("[::]:0", "[::1]:0", "::1"),
    ] {
        let (udp, address, _receiver) = start(listen, 2, &front);
        assert_eq!(udp.addresses(), [address], "two threads, one address");
        let asked = SocketAddr::new(asked.parse().expect("an address"), address.port());
        for _ in 0..20 {
            let (octets, peer) = ask(from, asked, &query(Opcode::QUERY, "www.test", None)).expect("an answer");
            assert_eq!(peer, asked);
            let message = Message::read(&octets).expect("a message");
            assert_eq!(message.records(Section::Answer).count(), 1);
        }
        assert_eq!(udp.totals().get("answers"), Some(20));
        assert_eq!(udp.totals().get("rcode_0"), Some(20));
        udp.stop();
    }
}

#[test]
fn an_address_may_come_later() {
    let (udp, address, _receiver) = start("192.0.2.77:0", 1, &front(None));
    assert_eq!(address.ip().to_string(), "192.0.2.77");
    udp.stop();
}

#[test]
fn zones_are_replaced_while_it_answers() {
    let front = front(None);
    let (udp, address, _receiver) = start("127.0.0.1:0", 1, &front);
    let rcode = || {
        let (octets, _) = ask("127.0.0.1:0", address, &query(Opcode::QUERY, "www.test", None)).expect("an answer");
        Message::read(&octets).expect("a message").flags().rcode()
    };
    assert_eq!(rcode(), Rcode::NOERROR);
    front.publish(Zones::default());
    assert_eq!(rcode(), Rcode::REFUSED);
    udp.stop();
}

#[test]
fn what_takes_time_is_handed_over_and_lost_when_that_is_too_much() {
    let front = front(None);
    let (udp, address, mut receiver) = start("127.0.0.1:0", 1, &front);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let update = query(Opcode::UPDATE, "test", None);
    for _ in 0..3 {
        socket.send_to(&update, address).expect("sent");
    }
    // An answer to something else says that those before it have been taken.
    ask("127.0.0.1:0", address, &query(Opcode::QUERY, "www.test", None)).expect("an answer");
    assert_eq!((udp.totals().get("slow"), udp.totals().get("slow_lost")), (Some(3), Some(2)));
    let job = receiver.try_recv().expect("the first one");
    assert_eq!((job.octets, job.back.peer()), (update, socket.local_addr().expect("bound")));
    job.back.send(b"done").expect("sent");
    let mut octets = [0; 16];
    assert_eq!(socket.recv(&mut octets).expect("received"), 4);
    let forwarded = query(Opcode::QUERY, "example.com", None);
    let client = UdpSocket::bind("127.0.0.7:0").expect("a socket");
    client.send_to(&forwarded, address).expect("sent");
    ask("127.0.0.1:0", address, &forwarded).expect("refused");
    assert_eq!(receiver.try_recv().expect("a job").octets, forwarded);
    assert_eq!(udp.totals().get("rcode_5"), Some(1));
    udp.stop();
}

#[test]
fn all_that_has_come_is_answered_before_the_end() {
    let front = front(None);
    let (udp, address, _receiver) = start("127.0.0.1:0", 1, &front);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let query = query(Opcode::QUERY, "www.test", None);
    for _ in 0..100 {
        socket.send_to(&query, address).expect("sent");
    }
    udp.stop();
    socket.set_nonblocking(true).expect("set");
    let mut octets = [0; 512];
    assert_eq!((0..100).filter(|_| socket.recv(&mut octets).is_ok()).count(), 100);
}

#[test]
fn a_flood_does_not_keep_it_from_ending() {
    let front = front(None);
    let (udp, address, _receiver) = start("127.0.0.1:0", 1, &front);
    let (query, is_over) = (query(Opcode::QUERY, "www.test", None), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
                while !is_over.load(Ordering::Relaxed) {
                    // A queue that is full, or a port that nobody has any more, is what is wanted.
                    let _ = socket.send_to(&query, address);
                }
            });
        }
        while udp.totals().get("answers") < Some(1_000) {
            std::thread::yield_now();
        }
        udp.stop();
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn who_asks_too_much_is_limited_unless_the_address_is_proven() {
    let policy = front(Some(5)).policy.load_full();
    let mut limiter = crate::guard::Limiter::new(5, [7; 16]);
    let client = Client { address: "192.0.2.1:5353".parse().expect("an address"), is_datagram: true };
    let zones = zones();
    let mut ask = |octets: &[u8]| {
        let mut out = Vec::new();
        let asked = Asked { octets, client, now: Now { wall_secs: 1_000, millis: 1_000 } };
        (policy.take(&zones, asked, Some(&mut limiter), &mut out), out)
    };
    let plain = query(Opcode::QUERY, "www.test", None);
    let mut taken: Vec<_> = (0..9).map(|_| ask(&plain).0).collect();
    assert_eq!(taken.split_off(5), [Taken::Limited, Taken::Slipped, Taken::Limited, Taken::Slipped]);
    assert_eq!(taken, [Taken::Answered; 5]);
    let with_cookie = query(Opcode::QUERY, "www.test", Some(b"12345678"));
    assert_eq!(ask(&with_cookie).0, Taken::Limited);
    let (taken, out) = ask(&with_cookie);
    assert_eq!(taken, Taken::Slipped);
    let slipped = Message::read(&out).expect("a message");
    let edns = slipped.edns().expect("an OPT record");
    assert_eq!((edns.extended_rcode, slipped.flags().rcode()), (1, Rcode(7)), "BADCOOKIE");
    let cookie = edns.option(EdnsOption::COOKIE).expect("a cookie");
    let proven = query(Opcode::QUERY, "www.test", Some(cookie));
    assert!((0..20).all(|_| ask(&proven).0 == Taken::Answered));
    let (taken, out) = ask(&query(Opcode::QUERY, "www.test", Some(b"short")));
    assert_eq!((taken, Header::read(&out).map(|header| header.flags.rcode())), (Taken::Answered, Some(Rcode::FORMERR)));
}

#[test]
fn nobody_is_limited_who_is_exempt_or_proven_by_his_stream() {
    let exempt = vec![Network { address: [192, 0, 2, 0].into(), prefix: 24 }];
    let policy = Policy { rate: Some(1), rate_exempt: exempt, ..Policy::new(Cookies::new(Secret([7; 16]))) };
    let mut limiter = crate::guard::Limiter::new(1, [7; 16]);
    let (zones, octets) = (zones(), query(Opcode::QUERY, "www.test", None));
    for (address, is_datagram, all) in
        [("192.0.2.1:53", true, true), ("192.0.3.1:53", true, false), ("192.0.4.1:53", false, true)]
    {
        let client = Client { address: address.parse().expect("an address"), is_datagram };
        let asked = Asked { octets: &octets, client, now: Now { wall_secs: 1_000, millis: 1_000 } };
        let mut answered = || policy.take(&zones, asked, Some(&mut limiter), &mut Vec::new()) == Taken::Answered;
        assert_eq!((answered(), (0..9).all(|_| answered())), (true, all), "{address}");
    }
}

#[test]
fn queries_are_logged_while_that_is_wanted() {
    let front = front(None);
    let octets = query(Opcode::QUERY, "www.test", None);
    let client = Client { address: "192.0.2.1:5353".parse().expect("an address"), is_datagram: true };
    let asked = Asked { octets: &octets, client, now: Now::default() };
    let lines = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(Lines(Arc::clone(&lines)), || {
        front.log(asked, &octets, Taken::Answered);
        front.log_queries.store(true, Ordering::Relaxed);
        front.log(asked, &octets, Taken::Answered);
        front.log_queries.store(false, Ordering::Relaxed);
        front.log(asked, &octets, Taken::Answered);
    });
    let lines = lines.lock().expect("not poisoned");
    assert_eq!(lines.len(), 1);
    for part in ["client=192.0.2.1:5353", "name=\"www.test.\"", "rtype=\"A\"", "taken=Answered"] {
        assert!(lines[0].contains(part), "{part} in {}", lines[0]);
    }
}

/// Keeps events as lines.
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "dns::query"
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = String::new();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            line.push_str(&format!("{field}={value:?} "));
        });
        self.0.lock().expect("not poisoned").push(line);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
