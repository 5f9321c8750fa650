//! Signatures, transfers, cookies and key files that nobody would send by mistake: mutations of right ones.
//!
//! Nothing panics, no mutated signature is believed, and what comes out of a mutated transfer is a zone.

#![allow(clippy::expect_used, reason = "helpers of tests are tests")]

#[path = "../../tests/fuzz/mutate.rs"]
mod mutate;

use std::net::IpAddr;

use dns::guard::{Cookies, Secret, Standing};
use dns::name::Name;
use dns::record::{Record, Rtype};
use dns::settings::{Algorithm, Key};
use dns::sign::{keys, sign_request, verify};
use dns::transfer::{Asked, Content, Incoming, Notify, Outgoing, Progress, Query, Received, ask, notify};
use dns::wire::Message;
use dns::zone::{Serial, Soa, Zone};
use mutate::Mutator;

/// Mutations of each kind.
const RUNS: usize = 30_000;
const NOW: u64 = 1_700_000_000;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn key() -> Key {
    Key { name: name("k1"), algorithm: Algorithm::HmacSha256, secret: Box::from([7; 32]) }
}

fn zone(serial: u32) -> Zone {
    let soa = Soa { serial: Serial(serial), ..Soa::default() };
    let soa = Record { name: name("dyn.test"), rtype: Rtype::SOA, ttl: 60, rdata: soa.write() };
    let host = |n: u32| Record {
        name: name(&format!("h{n}.dyn.test")),
        rtype: Rtype::A,
        ttl: 60,
        rdata: n.to_be_bytes().into(),
    };
    Zone::new(name("dyn.test"), [soa, host(1), host(serial)]).expect("a zone")
}

/// A query and the one message that answers it.
fn transfer(query: Query<'_>) -> (Vec<u8>, Vec<u8>) {
    let octets = ask(query, 1).expect("room");
    let query = Message::read(&octets).expect("a query");
    let (old, new) = (zone(2), zone(3));
    let mut edit = old.edit();
    new.records().for_each(|record| drop(edit.set_soa(&new.soa(), 60).and_then(|()| edit.add(record))));
    let (new, change) = edit.finish().expect("a zone");
    let content = Content::choose(&new, &Asked::read(&query).expect("a transfer"), Some(vec![change.into()]));
    let mut answer = Vec::new();
    assert_eq!(Outgoing::new(&query, &new, content).expect("a zone").write(&mut answer, 0), Ok(true));
    (octets, answer)
}

#[test]
fn a_mutated_signature_is_not_believed() {
    let keys = [key()];
    let mut signed = ask(Query::Since(&zone(2)), 1).expect("room");
    let mut answers = sign_request(&mut signed, &keys[0], NOW).expect("a shared key");
    let mut answer = transfer(Query::Since(&zone(2))).1;
    let verified = verify(&Message::read(&signed).expect("a message"), &keys, NOW).expect("right").expect("signed");
    let mut signer = verified.signer;
    signer.sign(&mut answer, NOW);
    let (corpus, mut mutator, mut seen) = (vec![signed.clone(), answer.clone()], Mutator::new(1), [0; 2]);
    for _ in 0..RUNS {
        let mutated = mutator.mutate(&corpus);
        let Ok(message) = Message::read(&mutated) else { continue };
        seen[0] += 1;
        // The number may change on the way, and case is no difference.
        let is_same = |mine: &Vec<u8>| mine.get(2..).is_some_and(|mine| mine.eq_ignore_ascii_case(&mutated[2..]));
        match verify(&message, &keys, NOW) {
            Ok(Some(_)) => assert!(is_same(&signed), "{mutated:?}"),
            Ok(None) => assert!(message.signature().is_none()),
            Err(refusal) => {
                refusal.seal(&mut answer.clone(), NOW);
                seen[1] += 1;
            }
        }
        let believed = answers.clone().check(&message, NOW).is_ok();
        assert!(!believed || is_same(&answer), "{mutated:?}");
        let _ = (Asked::read(&message), Notify::read(&message));
    }
    assert!(seen[0] > RUNS / 100 && seen[1] > 100, "{seen:?}");
    assert_eq!(answers.check(&Message::read(&answer).expect("a message"), NOW), Ok(()));
}

#[test]
fn a_mutated_transfer_is_a_zone_or_an_error() {
    let (_, whole) = transfer(Query::Whole(name("dyn.test").as_ref()));
    let (_, changes) = transfer(Query::Since(&zone(2)));
    let notify = notify(&zone(2), 1).expect("room");
    let (corpus, mut mutator, mut done) = (vec![whole, changes, notify], Mutator::new(2), 0);
    for run in 0..RUNS {
        let mutated = mutator.mutate(&corpus);
        let Ok(message) = Message::read(&mutated) else { continue };
        let mut incoming = if run % 2 == 0 { Incoming::whole(name("dyn.test")) } else { Incoming::since(zone(2)) };
        let received = match incoming.read(&message) {
            Ok(Progress::Done(received)) => received,
            Ok(Progress::More) => match incoming.read(&message) {
                Ok(Progress::Done(received)) => received,
                _ => continue,
            },
            Err(_) => continue,
        };
        let zone = match received {
            Received::Current(_) => continue,
            Received::Whole(zone) => zone,
            Received::Changes(changes, zone) => {
                let last = changes.last().and_then(|change| change.to());
                assert_eq!(last, Some(zone.serial()));
                zone
            }
        };
        let again = Zone::new(name("dyn.test"), zone.records()).expect("a zone");
        assert_eq!(again.serial(), zone.serial());
        done += 1;
    }
    assert!(done > 100, "{done}");
}

#[test]
fn mutated_key_files_and_cookies_do_no_harm() {
    let clause = keys::to_clause(&key()).expect("a shared key").into_bytes();
    let list = b"key:\n  - id: k1\n    algorithm: hmac-sha512\n    secret: AAAA\n".to_vec();
    let record = b"x. IN KEY 512 3 15 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_vec();
    let (corpus, mut mutator, mut found) = (vec![clause, list, record], Mutator::new(3), 0);
    let cookies = Cookies::new(Secret([3; 16]));
    for _ in 0..RUNS {
        let mutated = mutator.mutate(&corpus);
        found += usize::from(keys::read(&String::from_utf8_lossy(&mutated)).is_ok());
        let standing = cookies.judge(&mutated, IpAddr::from([192, 0, 2, 1]), NOW);
        assert!(!matches!(standing, Standing::Proven(_)), "{mutated:?}");
    }
    assert!(found > 100, "{found}");
}
