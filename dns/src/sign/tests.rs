//! Both sides of signed messages against each other, against another implementation and against forgers.

use hickory_proto::rr::TSigner;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::mac::{Digest, Mac, Secret};
use super::record::{Timers, Variables, algorithm_name};
use super::*;
use crate::name::{Name, NameRef};
use crate::record::Rtype;
use crate::settings::{Algorithm, Key};
use crate::wire::{CLASS_IN, Edns, Flags, Header, Message, Opcode, Question, Rcode, Writer};

const NOW: u64 = 1_700_000_000;
const ALL: [Algorithm; 3] = [Algorithm::HmacSha256, Algorithm::HmacSha384, Algorithm::HmacSha512];

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn key(text: &str, algorithm: Algorithm) -> Key {
    Key { name: name(text), algorithm, secret: Box::from([7; 32]) }
}

/// A message with a question and an OPT record.
fn message(id: u16, flags: Flags) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&mut out, 512, Header { id, flags, counts: [0; 4] });
    let apex = name("dyn.test");
    writer.question(Question { name: apex.as_ref(), rtype: Rtype::SOA, class: CLASS_IN }).expect("room");
    writer.opt(&Edns::new(1232, false), Rcode::NOERROR, &[]).expect("room");
    out
}

fn request() -> Vec<u8> {
    message(4711, Flags::of(Opcode::UPDATE))
}

fn answer(rcode: Rcode) -> Vec<u8> {
    message(4711, Flags::of(Opcode::UPDATE).reply().with_rcode(rcode))
}

fn read(octets: &[u8]) -> Message<'_> {
    Message::read(octets).expect("a message")
}

/// What a server with `keys` says to a request.
fn refused(request: &[u8], keys: &[Key], now: u64) -> (Rcode, Option<Rcode>) {
    let refusal = verify(&read(request), keys, now).expect_err("a wrong signature");
    (refusal.rcode, refusal.error)
}

#[test]
fn a_request_and_its_answer_are_believed() {
    for algorithm in ALL {
        let keys = [key("other", algorithm), key("K1.test", algorithm)];
        let mut asks = request();
        let before = asks.len();
        let mut answers = sign_request(&mut asks, &keys[1], NOW).expect("a shared key");
        assert_eq!(asks.len() - before, request_room(&keys[1]));
        let verified = verify(&read(&asks), &keys, NOW + 300).expect("verified").expect("signed");
        assert_eq!(verified.key.name, keys[1].name);
        let (mut signer, mut says) = (verified.signer, answer(Rcode::NXRRSET));
        let before = says.len();
        signer.sign(&mut says, NOW + 300);
        assert_eq!(says.len() - before, signer.room());
        assert_eq!(answers.clone().check(&read(&says), NOW + 601), Err(AnswerError::Time));
        assert_eq!(answers.check(&read(&says), NOW), Ok(()));
        assert_eq!(answers.finish(), Ok(()));
    }
}

#[test]
fn an_unsigned_request_is_nobodys() {
    assert!(verify(&read(&request()), &[key("k", Algorithm::HmacSha256)], NOW).expect("nothing wrong").is_none());
}

#[test]
fn another_implementation_agrees() {
    for (algorithm, theirs) in [
        (Algorithm::HmacSha256, TsigAlgorithm::HmacSha256),
        (Algorithm::HmacSha384, TsigAlgorithm::HmacSha384),
        (Algorithm::HmacSha512, TsigAlgorithm::HmacSha512),
    ] {
        let key = key("k1.test", algorithm);
        let oracle = TSigner::new(key.secret.to_vec(), theirs, "k1.test.".parse().expect("a name"), FUDGE);
        let oracle = oracle.expect("a signer");
        let mut asks = request();
        sign_request(&mut asks, &key, NOW).expect("a shared key");
        let (mut mac, time, _) = oracle.verify_message_byte(&asks, None, true).expect("right");
        assert_eq!(time, NOW);
        let verified = verify(&read(&asks), std::slice::from_ref(&key), NOW).expect("verified").expect("signed");
        let mut signer = verified.signer;
        for is_first in [true, false, false] {
            let mut says = answer(Rcode::NOERROR);
            signer.sign(&mut says, NOW);
            (mac, _, _) = oracle.verify_message_byte(&says, Some(&mac), is_first).expect("right");
        }
    }
}

#[test]
fn no_changed_octet_goes_unseen() {
    let keys = [key("k", Algorithm::HmacSha256)];
    let plain = request().len();
    let mut asks = request();
    sign_request(&mut asks, &keys[0], NOW).expect("a shared key");
    let digest = read(&asks).signature().expect("a signature").1.raw_rdata().len();
    let mut seen = [0; 3];
    for at in 0..asks.len() {
        for bit in 0..8 {
            let mut changed = asks.clone();
            changed[at] ^= 1 << bit;
            let Ok(message) = Message::read(&changed) else {
                seen[0] += 1;
                continue;
            };
            // A forwarder may change the number, and names are the same in either case.
            let is_case = bit == 5 && asks[at].is_ascii_alphabetic() && at > plain;
            match verify(&message, &keys, NOW) {
                Ok(Some(_)) => assert!(at < 2 || is_case, "octet {at}, bit {bit}"),
                Ok(None) => assert!(at > plain && at < asks.len() - digest, "octet {at}, bit {bit} hides the record"),
                Err(_) => seen[1] += 1,
            }
            seen[2] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 500, "{seen:?}");
}

#[test]
fn the_request_is_refused_with_what_is_wrong() {
    let mine = key("k", Algorithm::HmacSha256);
    let keys = std::slice::from_ref(&mine);
    let signed = |key: &Key, now| {
        let mut asks = request();
        sign_request(&mut asks, key, now).expect("a shared key");
        asks
    };
    let bad = |error| (Rcode::NOTAUTH, Some(error));
    assert_eq!(refused(&signed(&key("x", Algorithm::HmacSha256), NOW), keys, NOW), bad(Rcode::BADKEY));
    assert_eq!(refused(&signed(&key("k", Algorithm::HmacSha512), NOW), keys, NOW), bad(Rcode::BADKEY));
    let wrong = Key { secret: Box::from([8; 32]), ..mine.clone() };
    assert_eq!(refused(&signed(&wrong, NOW), keys, NOW), bad(Rcode::BADSIG));
    assert_eq!(refused(&signed(&mine, NOW), keys, NOW + 301), bad(Rcode::BADTIME));
    assert_eq!(refused(&signed(&mine, NOW), keys, NOW - 301), bad(Rcode::BADTIME));
    // A wrong secret says nothing about clocks.
    assert_eq!(refused(&signed(&wrong, NOW), keys, NOW + 301), bad(Rcode::BADSIG));
    // The same name with another algorithm is another key.
    let both = [key("k", Algorithm::HmacSha512), mine.clone()];
    assert!(verify(&read(&signed(&mine, NOW)), &both, NOW).is_ok());
}

#[test]
fn the_refusal_is_understood() {
    let mine = key("k", Algorithm::HmacSha256);
    let refuse = |keys: &[Key], now: u64| {
        let mut asks = request();
        let mut answers = sign_request(&mut asks, &mine, NOW).expect("a shared key");
        let mut says = answer(Rcode::NOTAUTH);
        verify(&read(&asks), keys, now).expect_err("a wrong signature").seal(&mut says, now);
        answers.check(&read(&says), NOW)
    };
    assert_eq!(refuse(&[], NOW), Err(AnswerError::Refused(Rcode::BADKEY)));
    let wrong = [Key { secret: Box::from([8; 32]), ..mine.clone() }];
    assert_eq!(refuse(&wrong, NOW), Err(AnswerError::Refused(Rcode::BADSIG)));
    assert!(AnswerError::Refused(Rcode::BADSIG).to_string().contains("(BADSIG)"));
    // This one is signed, and says what the server's clock shows.
    assert_eq!(refuse(std::slice::from_ref(&mine), NOW + 1000), Err(AnswerError::ServerTime(NOW + 1000)));
}

/// A request whose MAC is cut to `len` octets.
fn truncated(key: &Key, len: usize) -> Vec<u8> {
    let mut asks = request();
    let timers = Timers { time: NOW, fudge: FUDGE };
    let algorithm = algorithm_name(key.algorithm).expect("a shared key");
    let variables = Variables { name: key.name.as_ref(), algorithm, timers, error: Rcode::NOERROR, other: &[] };
    let secret = Secret::new(key).expect("a shared key");
    let mac = Digest::after(&secret, None).message(&asks, 4711, 1).variables(&variables).finish();
    variables.append(&mut asks, 4711, &[mac.octets(), &[0; 8]].concat()[..len]);
    asks
}

#[test]
fn half_a_mac_is_enough_and_less_is_malformed() {
    for (algorithm, whole) in ALL.into_iter().zip([32, 48, 64]) {
        let keys = [key("k", algorithm)];
        for len in 0..=whole + 1 {
            let asks = truncated(&keys[0], len);
            match verify(&read(&asks), &keys, NOW) {
                Ok(_) => assert!((whole / 2..=whole).contains(&len), "{algorithm:?} {len}"),
                Err(refusal) => {
                    assert!(!(whole / 2..=whole).contains(&len), "{algorithm:?} {len}");
                    assert_eq!((refusal.rcode, refusal.error), (Rcode::FORMERR, None));
                }
            }
        }
        let mut asks = truncated(&keys[0], whole / 2);
        *asks.get_mut(request().len() + 40).expect("the MAC") ^= 1;
        assert_eq!(refused(&asks, &keys, NOW).0, Rcode::NOTAUTH);
    }
}

/// The messages of an answer of which every `every`th is signed.
fn stream(key: &Key, asks: &[u8], every: usize, count: usize) -> Vec<Vec<u8>> {
    let secret = Secret::new(key).expect("a shared key");
    let (_, record) = read(asks).signature().expect("a signature");
    let mac = record::Tsig::read(&record).expect("a TSIG record").mac;
    let mut digest = Digest::after(&secret, Some(&Mac::of(mac)));
    let mut all = Vec::new();
    for number in 0..count {
        let mut says = answer(Rcode::NOERROR);
        if number % every != 0 {
            digest.unsigned(&says);
            all.push(says);
            continue;
        }
        let timers = Timers { time: NOW + number as u64, fudge: FUDGE };
        let algorithm = algorithm_name(key.algorithm).expect("a shared key");
        let variables = Variables { name: key.name.as_ref(), algorithm, timers, error: Rcode::NOERROR, other: &[] };
        let begun = digest.message(&says, 4711, 1);
        let mac = if number == 0 { begun.variables(&variables) } else { begun.timers(timers) }.finish();
        variables.append(&mut says, 4711, mac.octets());
        digest = Digest::after(&secret, Some(&mac));
        all.push(says);
    }
    all
}

fn check(answers: &mut Answers<'_>, messages: &[Vec<u8>]) -> Result<(), AnswerError> {
    messages.iter().try_for_each(|message| answers.check(&read(message), NOW))?;
    answers.finish()
}

#[test]
fn a_long_answer_is_signed_now_and_then() {
    let key = key("k", Algorithm::HmacSha384);
    let mut asks = request();
    let answers = sign_request(&mut asks, &key, NOW).expect("a shared key");
    for (every, count, expected) in [
        (1, 5, Ok(())),
        (3, 7, Ok(())),
        (3, 6, Err(AnswerError::Unsigned)),
        (100, 201, Ok(())),
        (101, 102, Err(AnswerError::Unsigned)),
    ] {
        let messages = stream(&key, &asks, every, count);
        assert_eq!(check(&mut answers.clone(), &messages), expected, "every {every} of {count}");
    }
}

#[test]
fn a_long_answer_lacks_nothing_and_is_in_order() {
    let key = key("k", Algorithm::HmacSha256);
    let mut asks = request();
    let answers = sign_request(&mut asks, &key, NOW).expect("a shared key");
    let right = stream(&key, &asks, 3, 7);
    for (what, change) in [
        ("one is missing", (|all| drop(all.remove(4))) as fn(&mut Vec<Vec<u8>>)),
        ("two are exchanged", |all| all.swap(0, 3)),
        ("one comes twice", |all| all.insert(2, all[1].clone())),
        ("one is changed", |all| all[1][3] ^= 1),
        ("the first is not signed", |all| drop(all.remove(0))),
        ("the last is missing", |all| drop(all.pop())),
    ] {
        let mut wrong = right.clone();
        change(&mut wrong);
        assert!(check(&mut answers.clone(), &wrong).is_err(), "{what}");
    }
}

#[test]
fn the_signer_signs_every_message() {
    let keys = [key("k", Algorithm::HmacSha512)];
    let mut asks = request();
    let mut answers = sign_request(&mut asks, &keys[0], NOW).expect("a shared key");
    let mut signer = verify(&read(&asks), &keys, NOW).expect("verified").expect("signed").signer;
    for number in 0..5 {
        let mut says = answer(Rcode::NOERROR);
        signer.sign(&mut says, NOW + number);
        assert_eq!(answers.check(&read(&says), NOW), Ok(()), "message {number}");
    }
}

struct Owner(Ed25519KeyPair, Name, Vec<u8>);

impl Owner {
    fn new(seed: u8, name: Name) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        let public = [&[2, 0, 3, 15], pair.public_key().as_ref()].concat();
        Self(pair, name, public)
    }

    fn key(&self) -> Key {
        Key { name: self.1.clone(), algorithm: Algorithm::Sig0, secret: self.2.clone().into() }
    }
}

impl sig0::PrivateKey for Owner {
    fn name(&self) -> NameRef<'_> {
        self.1.as_ref()
    }

    fn public(&self) -> &[u8] {
        &self.2
    }

    fn sign(&self, data: &[u8]) -> Option<Vec<u8>> {
        Some(self.0.sign(data).as_ref().to_vec())
    }
}

#[test]
fn a_private_key_is_believed_by_its_public_one() {
    let (owner, other) = (Owner::new(1, name("host.test")), Owner::new(2, name("host.test")));
    let keys = [other.key(), owner.key()];
    let mut asks = request();
    sig0::sign_request(&mut asks, &owner, NOW).expect("signed");
    let verified = verify(&read(&asks), &keys, NOW).expect("verified").expect("signed");
    assert_eq!(verified.key.secret, keys[1].secret);
    let (mut signer, mut says) = (verified.signer, answer(Rcode::NOERROR));
    signer.sign(&mut says, NOW);
    assert_eq!((signer.room(), says), (0, answer(Rcode::NOERROR)));

    assert_eq!(refused(&asks, &keys[..1], NOW), (Rcode::NOTAUTH, None), "another key");
    assert_eq!(refused(&asks, &keys, NOW + 301), (Rcode::NOTAUTH, None), "too late");
    assert_eq!(refused(&asks, &keys, NOW - 301), (Rcode::NOTAUTH, None), "too early");
    for at in 0..request().len() {
        let mut changed = asks.clone();
        changed[at] ^= 1;
        let believed = Message::read(&changed).is_ok_and(|message| matches!(verify(&message, &keys, NOW), Ok(Some(_))));
        assert!(!believed, "octet {at}");
    }
}

#[test]
fn no_signature_is_a_panic() {
    let mine = key("k", Algorithm::HmacSha256);
    let owner = Owner::new(1, name("k"));
    let keys = [mine.clone(), owner.key()];
    let mut with_tsig = request();
    let answers = sign_request(&mut with_tsig, &mine, NOW).expect("a shared key");
    let mut with_sig = request();
    sig0::sign_request(&mut with_sig, &owner, NOW).expect("signed");
    for whole in [with_tsig, with_sig] {
        let start = read(&whole).signature().expect("a signature").1.start();
        // The record's data is cut at every octet, its length set right.
        for end in start + 20..whole.len() {
            let mut cut = whole[..end].to_vec();
            let (_, record) = read(&whole).signature().expect("a signature");
            let data = record.end() - record.raw_rdata().len();
            if end < data {
                continue;
            }
            cut[data - 2..data].copy_from_slice(&((end - data) as u16).to_be_bytes());
            let message = read(&cut);
            let refusal = verify(&message, &keys, NOW).expect_err("a cut record");
            refusal.seal(&mut answer(refusal.rcode), NOW);
            assert!(answers.clone().check(&message, NOW).is_err());
        }
    }
}
