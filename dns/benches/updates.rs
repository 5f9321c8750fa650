//! How many signed updates a second a server does, one at a time and fifty at a time, and what a query waits meanwhile:
//! `cargo bench -p dns --bench updates`. Over UDP on loopback; the state folder is in the folder for temporary files.

#![allow(clippy::expect_used, reason = "a measurement that cannot be made says why and ends")]

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dns::name::{Name, NameRef};
use dns::record::{Record, Rtype};
use dns::server::Server;
use dns::settings::{Access, Algorithm, Key, Pattern, Rule, Settings, Source, ZoneSettings};
use dns::sign::{request_room, sign_request};
use dns::update::{Operation, Update};
use dns::wire::{CLASS_IN, Flags, Header, Message, Opcode, Question, Rcode, Writer};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

/// Seconds of each measurement.
const LASTS: f64 = 4.0;

fn main() {
    let state = std::env::temp_dir().join(format!("gatehouse-updates-{}", std::process::id()));
    let runtime = Runtime::new().expect("a runtime");
    let server = Server::start(settings(&state), runtime.handle()).expect("a server");
    let address = server.addresses()[0];
    let idle = ask(address, LASTS / 2.0);
    println!("queries, idle:          p50 {:7.1} us  p99 {:7.1} us", idle.0, idle.1);
    for outstanding in [1, 50] {
        let (rate, storm) = with_queries(address, || update(address, outstanding));
        println!("updates, {outstanding:2} outstanding: {rate:7.0} /s");
        println!("queries meanwhile:      p50 {:7.1} us  p99 {:7.1} us", storm.0, storm.1);
    }
    for zone in server.status() {
        println!("serial {}, {} names, journal of {:?} octets", zone.serial, zone.names, zone.journal);
    }
    runtime.block_on(server.stop());
    let _ = std::fs::remove_dir_all(&state);
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn key() -> Key {
    Key { name: name("k1"), algorithm: Algorithm::HmacSha256, secret: Box::from([7; 32]) }
}

fn settings(state: &std::path::Path) -> Settings {
    let apex = name("dyn.test");
    let rule = Rule { key: name("k1"), names: vec![Pattern::Below(apex.clone())], types: None };
    let zone = ZoneSettings {
        apex,
        source: Source::Primary { file: None },
        transfer: Access::default(),
        notify: Vec::new(),
        update: vec![rule],
        aliases: Vec::new(),
        dnssec: None,
    };
    let listen = vec!["127.0.0.1:0".parse().expect("an address")];
    Settings { listen, state: state.to_owned(), keys: vec![key()], zones: vec![zone], ..Settings::default() }
}

/// Sends updates, so many at once; how many a second were done. Another address each time, of a thousand names.
fn update(address: SocketAddr, outstanding: u16) -> f64 {
    let (socket, key) = (connect(address), key());
    let send = |number: u32, id: u16| {
        let owner = name(&format!("n{}.dyn.test", number % 1000));
        let record = Record { name: owner.clone(), rtype: Rtype::A, ttl: 60, rdata: number.to_be_bytes().into() };
        let operations = vec![Operation::DeleteSet(owner, Rtype::A), Operation::Add(record)];
        let update = Update { zone: name("dyn.test"), prerequisites: Vec::new(), operations, lease: None };
        let mut message = update.write(id, request_room(&key)).expect("a short message");
        sign_request(&mut message, &key, wall_secs());
        socket.send(&message).expect("sent");
    };
    let (start, mut number, mut done) = (seconds(), 0, 0u32);
    for id in 0..outstanding {
        send(number, id);
        number += 1;
    }
    let mut answer = [0; 2048];
    while seconds() - start < LASTS {
        let len = socket.recv(&mut answer).expect("an answer in time");
        let answer = Message::read(&answer[..len]).expect("a message");
        assert_eq!(answer.flags().rcode(), Rcode::NOERROR);
        done += 1;
        send(number, answer.header().id);
        number += 1;
    }
    for _ in 0..outstanding {
        socket.recv(&mut answer).expect("an answer in time");
        done += 1;
    }
    f64::from(done) / (seconds() - start)
}

/// Does something while queries are asked; the quantiles of what they took, in microseconds.
fn with_queries<R>(address: SocketAddr, deed: impl FnOnce() -> R) -> (R, (f64, f64)) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut took = Vec::new();
            while !over.load(Ordering::Relaxed) {
                took.extend(ask_for(address, 0.1));
            }
            quantiles(took)
        });
        let result = deed();
        over.store(true, Ordering::Relaxed);
        (result, asking.join().expect("queries are answered"))
    })
}

fn ask(address: SocketAddr, lasts: f64) -> (f64, f64) {
    quantiles(ask_for(address, lasts))
}

/// About 1,000 queries a second, one at a time.
fn ask_for(address: SocketAddr, lasts: f64) -> Vec<f64> {
    let (socket, mut took, begin) = (connect(address), Vec::new(), seconds());
    let mut query = Vec::new();
    let header = Header { id: 1, flags: Flags::of(Opcode::QUERY), counts: [0; 4] };
    let (apex, _) = NameRef::read(b"\x03dyn\x04test\0").expect("a name");
    let question = Question { name: apex, rtype: Rtype::SOA, class: CLASS_IN };
    Writer::new(&mut query, 512, header).question(question).expect("room");
    let mut answer = [0; 2048];
    while seconds() - begin < lasts {
        let start = seconds();
        socket.send(&query).expect("sent");
        socket.recv(&mut answer).expect("no query is lost");
        took.push((seconds() - start) * 1e6);
        std::thread::sleep(Duration::from_millis(1));
    }
    took
}

fn quantiles(mut took: Vec<f64>) -> (f64, f64) {
    took.sort_by(f64::total_cmp);
    let at = |part: f64| took.get((took.len() as f64 * part) as usize).copied().unwrap_or_default();
    (at(0.5), at(0.99))
}

fn connect(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(address).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a time limit");
    socket
}

fn seconds() -> f64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn wall_secs() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or_default()
}
