//! Who updates the zone as fast as it goes, over one socket, and asks about it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use dns::name::Name;
use dns::record::{Record, Rtype};
use dns::settings::{Algorithm, Key};
use dns::sign::{keys, request_room, sign_request};
use dns::update::{Operation, Update};
use dns::wire::{CLASS_IN, Flags, Header, Message, Opcode, Question, Rcode, Writer};
use gatehouse::clock;

use super::server::KEYS;
use super::tools::PATIENCE;

/// How long an answer is waited for before somebody looks whether there will be one.
const TURN: Duration = Duration::from_millis(50);

/// How a storm goes, for whoever ends it.
#[derive(Default)]
pub struct Storm {
    /// Updates that were acknowledged.
    pub done: AtomicU32,
    /// The server is gone.
    pub is_over: AtomicBool,
}

/// A client with the first key.
pub struct Updater {
    socket: UdpSocket,
    key: Key,
    id: u16,
}

impl Updater {
    /// A client of the server at this port.
    pub fn new(port: u16) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let (_, name, secret) = KEYS[0];
        let secret = keys::secret(secret).unwrap();
        let key = Key { name: name.parse().unwrap(), algorithm: Algorithm::HmacSha256, secret };
        Self { socket, key, id: 0 }
    }

    /// Sends the update that adds the name with a number; its id.
    fn send(&mut self, number: u32) -> std::io::Result<u16> {
        let record = Record { name: owner(number), rtype: Rtype::A, ttl: 60, rdata: number.to_be_bytes().into() };
        let operations = vec![Operation::Add(record)];
        let update = Update { zone: "dyn.test".parse().unwrap(), prerequisites: Vec::new(), operations, lease: None };
        self.id = self.id.wrapping_add(1);
        let mut message = update.write(self.id, request_room(&self.key)).unwrap();
        sign_request(&mut message, &self.key, clock::wall_millis() / 1000);
        self.socket.send(&message).map(|_| self.id)
    }

    /// Adds the name with a number; the result, or nothing when the server is gone.
    pub fn update(&mut self, number: u32) -> Option<Rcode> {
        let id = self.send(number).ok()?;
        let mut octets = [0; 2048];
        loop {
            let len = self.socket.recv(&mut octets).ok()?;
            let answer = Message::read(&octets[..len]).unwrap();
            if answer.header().id == id {
                return Some(answer.flags().rcode());
            }
        }
    }

    /// Adds one name after the other from `first` on, so many at once, until the server is gone; the numbers of those that
    /// were acknowledged, and the next one.
    pub fn storm(&mut self, first: u32, outstanding: u32, storm: &Storm) -> (BTreeSet<u32>, u32) {
        self.socket.set_read_timeout(Some(TURN)).unwrap();
        let (mut done, mut next) = (BTreeSet::new(), first);
        let mut sent = BTreeMap::new();
        let mut octets = [0; 2048];
        for _ in 0..outstanding {
            let Ok(id) = self.send(next) else { return (done, next) };
            sent.insert(id, next);
            next += 1;
        }
        loop {
            let Ok(len) = self.socket.recv(&mut octets) else {
                // A dead server's port refuses, or says nothing.
                match storm.is_over.load(Ordering::Acquire) {
                    true => return (done, next),
                    false => continue,
                }
            };
            let answer = Message::read(&octets[..len]).unwrap();
            let Some(number) = sent.remove(&answer.header().id) else { continue };
            assert_eq!(answer.flags().rcode(), Rcode::NOERROR);
            done.insert(number);
            storm.done.fetch_add(1, Ordering::Release);
            let Ok(id) = self.send(next) else { return (done, next) };
            sent.insert(id, next);
            next += 1;
        }
    }

    /// Whether the name with a number has its address.
    pub fn exists(&mut self, number: u32) -> bool {
        self.id = self.id.wrapping_add(1);
        let (owner, mut query) = (owner(number), Vec::new());
        let header = Header { id: self.id, flags: Flags::of(Opcode::QUERY), counts: [0; 4] };
        let question = Question { name: owner.as_ref(), rtype: Rtype::A, class: CLASS_IN };
        Writer::new(&mut query, 512, header).question(question).unwrap();
        self.socket.send(&query).unwrap();
        let mut octets = [0; 2048];
        loop {
            let len = self.socket.recv(&mut octets).unwrap();
            let answer = Message::read(&octets[..len]).unwrap();
            if answer.header().id == self.id {
                assert!(matches!(answer.flags().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN));
                return answer.header().counts[1] == 1;
            }
        }
    }
}

fn owner(number: u32) -> Name {
    format!("n{number}.dyn.test").parse().unwrap()
}
