//! What clients that want proofs get.

use super::*;
use crate::zone::Node;
use crate::zone::nsec3::{Nsec3Params, hash_of_owner};

const LINES: &str = "
    test NS ns.test
    ns.test A 10.0.0.1
    www.test A 10.0.0.3
    alias.test CNAME www.test
    deep.a.b.test A 10.0.0.5
    *.wild.test A 10.0.0.6
    *.walias.test CNAME x.wild.test
    signed.test NS ns.signed.test
    signed.test DS 0001080200
    ns.signed.test A 10.0.0.7
    plain.test NS ns.signed.test
    far.off.test NS ns.signed.test
";

/// The zone with NSEC or NSEC3 records and signatures that are none.
fn signed(hashed: bool) -> Zone {
    let plain = zone("test", LINES).zone;
    let is_glue = |node: &Node| node.name() == name("ns.signed.test").as_ref();
    let mut names: Vec<Name> = plain
        .nodes()
        .filter(|node| !is_glue(node) && (hashed || !node.is_empty()))
        .map(|node| node.name().to_owned())
        .collect();
    let params = Nsec3Params::default();
    let mut edit = plain.edit();
    if hashed {
        let rdata = params.write().into();
        edit.add(Record { name: name("test"), rtype: Rtype::NSEC3PARAM, ttl: 0, rdata }).expect("parameters");
        names = names.iter().map(|each| params.owner(each.as_ref(), name("test").as_ref()).expect("it fits")).collect();
    }
    names.sort();
    for (at, owner) in names.iter().enumerate() {
        let next = &names[(at + 1) % names.len()];
        let (rtype, rdata) = match hash_of_owner(next.as_ref()).filter(|_| hashed) {
            Some(hash) => (Rtype::NSEC3, [&params.write(), &[20][..], &hash, &[0, 1, 0x40]].concat()),
            None => (Rtype::NSEC, [next.as_ref().wire(), &[0, 1, 0x40]].concat()),
        };
        edit.add(Record { name: owner.clone(), rtype, ttl: 30, rdata: rdata.into() }).expect("a link of the chain");
    }
    let (chained, _) = edit.finish().expect("a zone");
    let mut edit = chained.edit();
    for record in chained.records() {
        let is_signed = match record.rtype {
            Rtype::NS => record.name == name("test"),
            _ => record.name != name("ns.signed.test"),
        };
        if is_signed {
            let rdata = [&record.rtype.0.to_be_bytes()[..], &[0; 16], b"\x04test\0", b"!"].concat();
            edit.add(Record { rtype: Rtype::RRSIG, rdata: rdata.into(), ..record }).expect("a signature");
        }
    }
    edit.finish().expect("a zone").0
}

/// The answer: result, and owner and type of each record; `+` for a signature, `#name` for a hashed owner.
fn answer(zone: &Zone, question: &str, dnssec_ok: bool) -> String {
    let (owner, rtype) = question.split_once(' ').expect("a name and a type");
    let (owner, rtype) = (name(owner), rtype.parse().expect("a type"));
    let mut query = Vec::new();
    let mut writer = Writer::new(&mut query, MAX_MESSAGE, Header::default());
    writer.question(Question { name: owner.as_ref(), rtype, class: CLASS_IN }).expect("room");
    writer.opt(&Edns::new(1232, dnssec_ok), Rcode::NOERROR, &[]).expect("room");
    let query = Message::read(&query).expect("a query");
    let zones: Zones = [Served::new(zone.clone())].into_iter().collect();
    let mut out = Vec::new();
    respond(&query, &zones, &Room { limit: 1232, ..Room::default() }, &mut out);
    let message = Message::read(&out).expect("an answer");
    let mut line = message.flags().rcode().to_string();
    for section in [Section::Answer, Section::Authority, Section::Additional] {
        line.push_str(" |");
        for record in message.records(section).filter(|record| record.rtype != Rtype::OPT) {
            let record = record.record().expect("a record");
            match record.rtype {
                Rtype::RRSIG => line.push('+'),
                rtype => line.push_str(&format!(" {} {rtype}", shown(zone, &record.name))),
            }
        }
    }
    line.trim_end_matches([' ', '|']).to_owned()
}

/// A name without the apex; of a hash, the name that was hashed.
fn shown(zone: &Zone, owner: &Name) -> String {
    let hashed = zone
        .nodes()
        .find(|node| Nsec3Params::default().owner(node.name(), zone.apex().as_ref()).is_ok_and(|hash| hash == *owner));
    let text = hashed.map_or_else(|| owner.to_string(), |node| format!("#{}", node.name()));
    text.replace(".test.", "").replace("test.", "@")
}

#[test]
fn signatures_and_denials_by_name() {
    let zone = signed(false);
    for (question, expected) in [
        ("www.test A", "NOERROR | www A+"),
        ("alias.test A", "NOERROR | alias CNAME+ www A+"),
        ("www.test RRSIG", "NOERROR |+"),
        ("www.test TXT", "NOERROR | | @ SOA+ www NSEC+"),
        // The proof of an empty name is the record that leads over it.
        ("b.test A", "NOERROR | | @ SOA+ alias NSEC+"),
        ("nope.test A", "NXDOMAIN | | @ SOA+ deep.a.b NSEC+ @ NSEC+"),
        ("x.wild.test A", "NOERROR | x.wild A+ | *.wild NSEC+"),
        ("x.wild.test TXT", "NOERROR | | @ SOA+ *.wild NSEC+"),
        ("x.walias.test A", "NOERROR | x.walias CNAME+ x.wild A+ | *.walias NSEC+ *.wild NSEC+"),
        ("x.signed.test A", "NOERROR | | signed NS signed DS+ | ns.signed A"),
        ("x.plain.test A", "NOERROR | | plain NS plain NSEC+ | ns.signed A"),
        ("plain.test DS", "NOERROR | | @ SOA+ plain NSEC+"),
        ("signed.test DS", "NOERROR | signed DS+"),
    ] {
        assert_eq!(answer(&zone, question, true), expected, "{question}");
    }
    assert_eq!(answer(&zone, "www.test A", false), "NOERROR | www A");
    assert_eq!(answer(&zone, "nope.test A", false), "NXDOMAIN | | @ SOA");
}

#[test]
fn denials_by_hash_cover_what_they_should() {
    let zone = signed(true);
    for (question, expected) in [
        ("www.test A", "NOERROR | www A+"),
        ("www.test TXT", "NOERROR | | @ SOA+ #www NSEC3+"),
        ("b.test A", "NOERROR | | @ SOA+ #b NSEC3+"),
        ("plain.test DS", "NOERROR | | @ SOA+ #plain NSEC3+"),
        ("x.plain.test A", "NOERROR | | plain NS #plain NSEC3+ | ns.signed A"),
    ] {
        assert_eq!(answer(&zone, question, true), expected, "{question}");
    }
    // Whose hash covers another is a matter of the hashes: the records must be those that do.
    for (question, first, matches, covered) in [
        ("x.nope.test A", "NXDOMAIN | |", "test", &["nope.test", "*.test"][..]),
        ("y.x.wild.test TXT", "NOERROR | |", "wild.test", &["x.wild.test"]),
        ("y.x.wild.test A", "NOERROR | y.x.wild A+ |", "", &["x.wild.test"]),
    ] {
        let line = answer(&zone, question, true);
        assert!(line.starts_with(first), "{line}");
        let has = |owner: &Name| line.contains(&format!(" {} NSEC3+", shown(&zone, owner)));
        let hash =
            |text: &str| Nsec3Params::default().owner(name(text).as_ref(), name("test").as_ref()).expect("it fits");
        assert!(matches.is_empty() || has(&hash(matches)), "{matches} in {line}");
        for text in covered {
            let cover = zone.nsec3_at_or_before(hash(text).as_ref()).expect("a chain").name().to_owned();
            assert!(has(&cover), "{text} in {line}");
        }
    }
}

/// The zone without the NSEC3 records of these names, as one with an opt-out (RFC 5155, 6).
fn without_hashes(names: &[&str]) -> Zone {
    let mut edit = signed(true).edit();
    for text in names {
        let hash = Nsec3Params::default().owner(name(text).as_ref(), name("test").as_ref()).expect("it fits");
        edit.remove_set(hash.as_ref(), Rtype::NSEC3);
        edit.remove_signatures(hash.as_ref(), Rtype::NSEC3);
    }
    edit.finish().expect("a zone").0
}

#[test]
fn what_leads_to_an_opted_out_delegation_only_is_no_closest_encloser() {
    let zone = without_hashes(&["far.off.test", "off.test"]);
    let cover = |text: &str| {
        let hash = Nsec3Params::default().owner(name(text).as_ref(), name("test").as_ref()).expect("it fits");
        shown(&zone, &zone.nsec3_at_or_before(hash.as_ref()).expect("a chain").name().to_owned())
    };
    let line = answer(&zone, "x.off.test A", true);
    assert!(line.starts_with("NXDOMAIN | | @ SOA+ #@ NSEC3+"), "{line}");
    for text in ["off.test", "*.test"] {
        assert!(line.contains(&format!("{} NSEC3+", cover(text))), "{text} in {line}");
    }
    assert_eq!(answer(&zone, "off.test A", true).matches("NSEC3+").count(), 2);
}

#[test]
fn a_name_without_a_hash_is_proven_by_the_closest_with_one() {
    let line = answer(&without_hashes(&["plain.test"]), "x.plain.test A", true);
    assert!(line.starts_with("NOERROR | | plain NS #@ NSEC3+ ") && line.ends_with("NSEC3+ | ns.signed A"), "{line}");
}
