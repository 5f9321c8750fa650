//! Signed zones, verified by somebody else's code.

use std::time::Duration;

use hickory_proto::dnssec::rdata::{DNSSECRData, RRSIG};
use hickory_proto::dnssec::{PublicKeyBuf, Verifier};
use hickory_proto::rr::{Name as TheirName, RData, Record as TheirRecord};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::*;
use crate::settings::SigningAlgorithm;
use crate::zone::{Change, Serial, Soa};

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

fn name(text: &str) -> Name {
    Name::parse(text, Name::from_wire(b"\x04test\0").expect("a name").as_ref()).expect("a valid name")
}

fn record(owner: &str, rtype: Rtype, rdata: &[u8]) -> Record {
    Record { name: name(owner), rtype, ttl: 300, rdata: rdata.into() }
}

fn a(owner: &str) -> Record {
    record(owner, Rtype::A, &[10, 0, 0, 1])
}

fn ns(owner: &str, target: &str) -> Record {
    record(owner, Rtype::NS, name(target).as_ref().wire())
}

fn plain() -> Zone {
    let (primary, mailbox) = (name("NS"), name("admin"));
    let soa = Soa { primary, mailbox, serial: Serial(1), refresh: 1, retry: 2, expire: 3, minimum: 60 };
    let records = [
        record("@", Rtype::SOA, &soa.write()),
        ns("@", "ns"),
        a("ns"),
        a("www"),
        a("a.b.c"),
        a("*.wild"),
        ns("sub", "ns.sub"),
        a("ns.sub"),
        a("deep.in.sub"),
        record("safe", Rtype::DS, &[0; 36]),
        ns("safe", "ns.safe"),
        a("ns.safe"),
        record("Mixed", Rtype::MX, b"\0\x0a\x04Mail\x04TEST\0"),
        record("mixed", Rtype::MX, b"\0\x0a\x03aaa\0"),
    ];
    Zone::new(name("@"), records).expect("a zone")
}

fn settings(nsec3: bool, algorithm: SigningAlgorithm) -> Dnssec {
    Dnssec { algorithm, nsec3, roll_after: Some(Duration::from_secs(30 * DAY)) }
}

/// A signer that has just made its first keys.
fn signer(nsec3: bool, algorithm: SigningAlgorithm) -> Signer {
    let settings = settings(nsec3, algorithm);
    let mut keys = KeySet::new(&settings, Vec::new());
    assert_eq!(step(&mut keys, NOW, Input::Tick(Facts::default())), 2);
    Signer::new(&settings, keys)
}

/// Does what the keys ask for; how many effects there were.
fn step(keys: &mut KeySet, now: u64, input: Input) -> usize {
    let mut effects = Vec::new();
    keys.step(now, input, &mut effects).expect("a step");
    for effect in &effects {
        if let Effect::Make(role) = effect {
            let secret = ZoneKey::generate(keys.algorithm()).expect("a secret");
            keys.step(now, Input::Made(*role, secret), &mut Vec::new()).expect("a key");
        }
    }
    effects.len()
}

fn signed(signer: &Signer, zone: &Zone, now: u64, change: impl FnOnce(&mut Edit)) -> (Zone, Change) {
    let mut edit = zone.edit();
    change(&mut edit);
    signer.sign(&mut edit, now).expect("signed");
    edit.finish().expect("a zone")
}

fn theirs(record: &Record) -> TheirRecord {
    let message = [
        record.name.as_ref().wire(),
        &record.rtype.0.to_be_bytes(),
        &[0, 1],
        &record.ttl.to_be_bytes(),
        &(record.rdata.len() as u16).to_be_bytes(),
        &record.rdata,
    ]
    .concat();
    TheirRecord::read(&mut BinDecoder::new(&message)).expect("a record that others read")
}

/// Every signature is right for somebody else's eyes, and what has to be signed is: the keys that a signature names, the
/// records it covers, nothing below a delegation, each link pointing to the next.
fn check(zone: &Zone, hashed: bool) {
    let mut links = Vec::new();
    for node in zone.all_nodes() {
        let standing = match node.set(Rtype::NSEC3) {
            Some(_) => Standing::Inside,
            None => standing(zone, node.name()),
        };
        for entry in node.entries() {
            let rtype = entry.set.rtype();
            if matches!(rtype, Rtype::NSEC | Rtype::NSEC3) {
                links.push((node.name().to_owned(), entry.set.first().to_vec()));
            }
            let wants = match standing {
                Standing::Inside => true,
                Standing::Cut => matches!(rtype, Rtype::DS | Rtype::NSEC),
                _ => false,
            };
            assert_eq!(entry.signatures.is_some(), wants, "{} {rtype}", node.name());
            let Some(signatures) = &entry.signatures else { continue };
            let records: Vec<TheirRecord> = entry.set.records(&node.name().to_owned()).map(|r| theirs(&r)).collect();
            for signature in signatures.records(&node.name().to_owned()) {
                verify(zone, &theirs(&signature), &records);
            }
        }
    }
    links.sort();
    assert!(links.len() > 3, "{links:?}");
    for (at, (owner, rdata)) in links.iter().enumerate() {
        let (next, _) = &links[(at + 1) % links.len()];
        match hashed {
            false => assert_eq!(NameRef::read(rdata).map(|(name, _)| name), Ok(next.as_ref()), "{owner}"),
            true => assert_eq!(rdata[6..26], hash_of(next), "{owner}"),
        }
    }
}

fn hash_of(owner: &Name) -> [u8; 20] {
    crate::zone::nsec3::hash_of_owner(owner.as_ref()).expect("a hash")
}

fn verify(zone: &Zone, signature: &TheirRecord, records: &[TheirRecord]) {
    let RData::DNSSEC(DNSSECRData::RRSIG(rrsig)) = &signature.data else { panic!("no signature: {signature}") };
    let input: &RRSIG = rrsig;
    let tag = input.input().key_tag;
    let keys = zone.set(zone.apex().as_ref(), Rtype::DNSKEY).expect("keys");
    let found = keys.rdata().filter(|rdata| {
        let key = PublicKeyBuf::new(rdata[4..].to_vec(), input.input().algorithm);
        let dnskey = hickory_proto::dnssec::rdata::DNSKEY::new(true, rdata[1] == 1, false, key);
        dnskey.calculate_key_tag().expect("a tag") == tag
            && dnskey.verify_rrsig(&signature.name, signature.dns_class, input, records.iter()).is_ok()
    });
    assert_eq!(found.count(), 1, "{signature} over {records:?}");
    let _: &TheirName = &signature.name;
}

fn each_kind() -> [(bool, SigningAlgorithm); 3] {
    [(false, SigningAlgorithm::EcdsaP256), (true, SigningAlgorithm::EcdsaP256), (true, SigningAlgorithm::Ed25519)]
}

#[test]
fn a_zone_is_signed_as_others_verify() {
    for (nsec3, algorithm) in each_kind() {
        let (zone, change) = signed(&signer(nsec3, algorithm), &plain(), NOW, |_| ());
        check(&zone, nsec3);
        assert!(change.removed.is_empty(), "{change:?}");
        for rtype in [Rtype::DNSKEY, Rtype::CDS, Rtype::CDNSKEY] {
            assert!(zone.set(zone.apex().as_ref(), rtype).is_some(), "{rtype}");
        }
    }
}

#[test]
fn an_update_signs_what_it_touches_and_nothing_else() {
    for (nsec3, algorithm) in each_kind() {
        let signer = signer(nsec3, algorithm);
        let (before, _) = signed(&signer, &plain(), NOW, |_| ());
        let (after, change) = signed(&signer, &before, NOW + 5, |edit| {
            edit.add(a("new")).expect("added");
            edit.advance().expect("a serial");
        });
        check(&after, nsec3);
        let made = change.added.iter().filter(|record| record.rtype == Rtype::RRSIG).count();
        // The SOA, the address, its link and the link before it.
        assert_eq!(made, 4, "{:#?}", change.added);
        let (back, _) = signed(&signer, &after, NOW + 9, |edit| edit.remove_types(name("new").as_ref(), |_| true));
        check(&back, nsec3);
        assert_eq!(back.name_count(), before.name_count());
    }
}

#[test]
fn random_changes_leave_a_zone_that_is_right() {
    for (nsec3, algorithm) in each_kind() {
        let signer = signer(nsec3, algorithm);
        let (mut zone, _) = signed(&signer, &plain(), NOW, |_| ());
        let owners = ["www", "x", "y.x", "a.b.c", "b.c", "z.y.x", "sub", "new.sub", "wild", "*.x", "safe", "t.safe"];
        let mut seed = 7u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        for round in 0..60 {
            let picks = [next(owners.len()), next(owners.len()), next(3)];
            (zone, _) = signed(&signer, &zone, NOW + round, |edit| {
                let owner = owners[picks[0]];
                match picks[2] {
                    0 => drop(edit.add(a(owner)).expect("added")),
                    1 => drop(edit.add(ns(owner, "ns")).expect("added")),
                    _ => edit.remove_types(name(owner).as_ref(), |_| true),
                }
                edit.add(a(owners[picks[1]])).expect("added");
                edit.advance().expect("a serial");
            });
            check(&zone, nsec3);
        }
    }
}

#[test]
fn the_kind_of_chain_changes_and_a_zone_goes_unsigned() {
    let (plain_chain, hashed) = (signer(false, SigningAlgorithm::Ed25519), signer(true, SigningAlgorithm::Ed25519));
    let (zone, _) = signed(&plain_chain, &plain(), NOW, |_| ());
    let (zone, _) = signed(&hashed, &zone, NOW, |_| ());
    check(&zone, true);
    let (zone, _) = signed(&plain_chain, &zone, NOW, |_| ());
    check(&zone, false);
    let mut edit = zone.edit();
    unsign(&mut edit);
    let (zone, _) = edit.finish().expect("a zone");
    let sorted = |zone: &Zone| zone.records().collect::<BTreeSet<_>>();
    assert_eq!(sorted(&zone), sorted(&plain()));
}

#[test]
fn signatures_are_renewed_before_they_end() {
    let signer = signer(false, SigningAlgorithm::Ed25519);
    let (zone, _) = signed(&signer, &plain(), NOW, |_| ());
    assert!(signer.renew(&zone, NOW + 7 * DAY, 100).expect("looked").is_none());
    let later = NOW + 11 * DAY;
    let (mut zone, mut rounds) = (zone, 0);
    while let Some(edit) = signer.renew(&zone, later, 5).expect("renewed") {
        let (next, change) = edit.finish().expect("a zone");
        assert!((1..=5).contains(&change.added.len()), "{change:?}");
        zone = next;
        rounds += 1;
    }
    assert!(rounds > 2);
    check(&zone, false);
}

#[test]
fn a_zone_signing_key_rolls_without_a_gap() {
    let mut signer = signer(false, SigningAlgorithm::Ed25519);
    let (mut zone, _) = signed(&signer, &plain(), NOW, |_| ());
    let mut seen = Vec::new();
    for hour in 0..24 * 40 {
        let now = NOW + hour * 3600;
        let signed_by = zone.all_nodes().flat_map(|n| n.entries()).filter_map(|e| e.signatures.as_deref());
        let signed_by = signed_by.flat_map(RecordSet::rdata).map(|rdata| u16::from_be_bytes([rdata[16], rdata[17]]));
        let facts = Facts { max_ttl: 300, signed_by: signed_by.collect() };
        let due = signer.keys().deadline();
        let has_changed = step(signer.keys_mut(), now, Input::Tick(facts)) > 0;
        assert!(!has_changed || due.is_some_and(|due| due <= now && now <= due + 3600), "{now} {due:?}");
        (zone, _) = signed(&signer, &zone, now, |_| ());
        if let Some(edit) = signer.renew(&zone, now, 100).expect("looked") {
            zone = edit.finish().expect("a zone").0;
        }
        let stages: Vec<u8> = signer
            .keys()
            .iter()
            .filter(|key| key.role() == Role::ZoneSigning)
            .map(|key| match key.stage() {
                Stage::Published(_) => b'p',
                Stage::Ready(_) => b'?',
                Stage::Active(_) => b'a',
                Stage::Retired(_) => b'r',
            })
            .collect();
        let stages = String::from_utf8(stages).expect("letters");
        if seen.last() != Some(&stages) {
            seen.push(stages);
            check(&zone, false);
        }
    }
    assert_eq!(seen, ["a", "ap", "ra", "a"]);
}

#[test]
fn a_retired_key_stays_until_caches_have_lost_its_last_signature() {
    let mut signer = signer(false, SigningAlgorithm::Ed25519);
    let keys = signer.keys_mut();
    let old = keys.signing(Rtype::A).next().expect("a key").tag();
    for day in 1..=31 {
        step(keys, NOW + day * DAY, Input::Tick(Facts { max_ttl: 300, signed_by: BTreeSet::from([old]) }));
    }
    assert_ne!(keys.signing(Rtype::A).next().expect("a key").tag(), old);
    // The server was down, or is slow: days later there are signatures by the old key, and caches that fetch them.
    let late = NOW + 40 * DAY;
    let has_old = |keys: &KeySet| keys.iter().any(|key| key.tag() == old);
    let in_use = Facts { max_ttl: 86_400, signed_by: BTreeSet::from([old]) };
    assert_eq!(step(keys, late, Input::Tick(in_use.clone())), 1);
    assert_eq!(step(keys, late + 100, Input::Tick(in_use)), 0, "once in a while");
    let gone = Facts { max_ttl: 86_400, signed_by: BTreeSet::new() };
    for (after, stays) in [(600, true), (DAY + 3599, true), (DAY + 3600, false)] {
        step(keys, late + after, Input::Tick(gone.clone()));
        assert_eq!(has_old(keys), stays, "{after}");
    }
}

#[test]
fn no_two_keys_have_one_tag() {
    let settings = settings(false, SigningAlgorithm::Ed25519);
    let mut keys = KeySet::new(&settings, Vec::new());
    let mut tags = std::collections::BTreeMap::new();
    // Some three hundred are enough for two of one tag.
    let [first, second] = loop {
        let secret = ZoneKey::generate(SigningAlgorithm::Ed25519).expect("a secret");
        let key = ZoneKey::new(Role::ZoneSigning, SigningAlgorithm::Ed25519, secret.clone(), Stage::Active(NOW));
        if let Some(other) = tags.insert(key.expect("a key").tag(), secret.clone()) {
            break [other, secret];
        }
    };
    let mut effects = Vec::new();
    keys.step(NOW, Input::Made(Role::ZoneSigning, first), &mut effects).expect("a key");
    keys.step(NOW, Input::Made(Role::ZoneSigning, second), &mut effects).expect("a key");
    assert_eq!(effects, [Effect::Changed, Effect::Make(Role::ZoneSigning)]);
    assert_eq!(keys.iter().count(), 1);
}

#[test]
fn a_signature_from_the_future_is_made_again() {
    let signer = signer(false, SigningAlgorithm::Ed25519);
    let (zone, _) = signed(&signer, &plain(), NOW + 3 * DAY, |_| ());
    let edit = signer.renew(&zone, NOW, 1000).expect("looked").expect("the clock was three days ahead");
    let (zone, change) = edit.finish().expect("a zone");
    assert!(change.added.len() > 10);
    assert!(signer.renew(&zone, NOW, 1000).expect("looked").is_none());
    let back = signer.renew(&zone, NOW - 1800, 1000).expect("looked");
    assert!(back.is_none(), "clocks are a little off");
}

#[test]
fn a_key_signing_key_waits_for_the_parent() {
    let mut signer = signer(false, SigningAlgorithm::EcdsaP256);
    let first = signer.keys().announced()[0].tag();
    let keys = signer.keys_mut();
    assert_eq!(step(keys, NOW, Input::RollKeySigning), 1);
    assert_eq!(step(keys, NOW, Input::RollKeySigning), 0, "one at a time");
    assert_eq!(keys.announced().iter().map(|key| key.tag()).collect::<Vec<_>>(), [first]);
    assert_eq!(keys.deadline(), Some(NOW + 7200));
    step(keys, NOW + 7199, Input::Tick(Facts::default()));
    assert_eq!(keys.announced()[0].tag(), first);
    step(keys, NOW + 7200, Input::Tick(Facts::default()));
    let next = keys.announced()[0].tag();
    assert_ne!(next, first);
    assert_eq!(step(keys, NOW + 7300, Input::DsSeen(first)), 0);
    assert_eq!(step(keys, NOW + 7300, Input::DsSeen(next)), 1);
    assert_eq!(keys.signing(Rtype::DNSKEY).count(), 2);
    step(keys, NOW + 7300 + 2 * DAY, Input::Tick(Facts::default()));
    assert_eq!(keys.signing(Rtype::DNSKEY).map(ZoneKey::tag).collect::<Vec<_>>(), [next]);
}

#[test]
fn the_digest_for_the_parent_is_the_known_one() {
    // The key and digest of RFC 6605, 6.1 are for a key whose secret is not in PKCS#8; the form is checked by others.
    let signer = signer(false, SigningAlgorithm::EcdsaP256);
    let key = signer.keys().announced()[0];
    let ds = key.ds(&name("@"));
    let public = PublicKeyBuf::new(key.dnskey()[4..].to_vec(), hickory_proto::dnssec::Algorithm::ECDSAP256SHA256);
    let dnskey = hickory_proto::dnssec::rdata::DNSKEY::new(true, true, false, public);
    let theirs = dnskey.to_digest(&"test.".parse().expect("a name"), hickory_proto::dnssec::DigestType::SHA256);
    assert_eq!(ds[4..], *theirs.expect("a digest").as_ref());
    assert_eq!(key.tag(), dnskey.calculate_key_tag().expect("a tag"));
}

#[test]
fn keys_are_kept_and_come_back() {
    for algorithm in [SigningAlgorithm::EcdsaP256, SigningAlgorithm::Ed25519] {
        let signer = signer(false, algorithm);
        let text = signer.keys().to_text().expect("text");
        let back = KeySet::from_text(&settings(false, SigningAlgorithm::Ed25519), &text).expect("keys");
        assert_eq!(back.algorithm(), algorithm, "the keys decide");
        let shown = |keys: &KeySet| keys.iter().map(|key| (key.tag(), key.role(), key.stage())).collect::<Vec<_>>();
        assert_eq!(shown(&back), shown(signer.keys()));
        assert!(matches!(
            KeySet::from_text(&settings(false, algorithm), &text.replace("\"format\": 1", "\"format\": 2")),
            Err(KeepError::Format(2))
        ));
        assert!(matches!(KeySet::from_text(&settings(false, algorithm), "{}"), Err(KeepError::Text(_))));
    }
}
