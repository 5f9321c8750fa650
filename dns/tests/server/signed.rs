//! A zone that the server signs, as validators see it: `delv` for answers, `ldns-verify-zone` for the whole.

use dns::record::Rtype;
use dns::settings::{Alias, Dnssec, SigningAlgorithm};
use dns::zone::Zone;

use super::*;

fn signing(test: &str, algorithm: SigningAlgorithm, nsec3: bool) -> Running {
    Running::start_with(&format!("signed-{test}"), |settings| {
        settings.zones[0].dnssec = Some(Dnssec { algorithm, nsec3, roll_after: None });
    })
}

fn zone(running: &Running) -> Zone {
    let zones = running.server().front().zones();
    zones.at(name("dyn.test").as_ref()).expect("the zone").zone.clone()
}

/// What `delv` says, which trusts the zone's key-signing key and nothing else.
fn delv(running: &Running, question: &str) -> String {
    let keys = zone(running).set(name("dyn.test").as_ref(), Rtype::DNSKEY).expect("keys").clone();
    let key = keys.rdata().find(|rdata| rdata[1] == 1).expect("a key-signing key").to_vec();
    let public = data_encoding::BASE64.encode(&key[4..]);
    let anchors = running.state.join("anchors");
    std::fs::write(&anchors, format!("trust-anchors {{ dyn.test. static-key 257 3 {} \"{public}\"; }};\n", key[3]))
        .expect("written");
    let port = running.address().port().to_string();
    let mut command = Command::new("delv");
    command.args(["@127.0.0.1", "-p", &port, "+root=dyn.test", "-a"]).arg(&anchors).args(question.split(' '));
    let (out, err) = text(&output(&mut command, ""));
    format!("{out}{err}")
}

fn verify_whole(running: &Running) {
    let zone = zone(running);
    let mut file = Vec::new();
    dns::text::write_zone(&zone, dns::text::Names::Absolute, &mut file).expect("written");
    let path = running.state.join("whole.zone");
    std::fs::write(&path, file).expect("written");
    let result = output(Command::new("ldns-verify-zone").arg(&path), "");
    let (out, err) = text(&result);
    assert!(result.status.success(), "{out}{err}");
}

fn is_valid(algorithm: SigningAlgorithm, nsec3: bool, test: &str) {
    let running = signing(test, algorithm, nsec3);
    until("signed", || zone(&running).is_signed());
    for (question, answer) in [
        ("www.dyn.test A", "; fully validated"),
        ("dyn.test SOA", "; fully validated"),
        ("no.dyn.test A", "; negative response, fully validated"),
        ("www.dyn.test AAAA", "; negative response, fully validated"),
    ] {
        let said = delv(&running, question);
        assert!(said.contains(answer), "{question}: {said}");
    }
    verify_whole(&running);
    for script in [
        "update add new.dyn.test 60 A 192.0.2.7\nupdate add *.wild.dyn.test 60 TXT wild",
        "update add a.b.c.dyn.test 60 TXT deep\nupdate delete www.dyn.test",
        "update add cut.dyn.test 60 NS ns.cut.dyn.test\nupdate add ns.cut.dyn.test 60 A 192.0.2.9",
    ] {
        assert_eq!(running.update("k1", script), "");
        verify_whole(&running);
    }
    for (question, answer) in [
        ("new.dyn.test A", "; fully validated"),
        ("x.y.wild.dyn.test TXT", "; fully validated"),
        ("x.wild.dyn.test A", "; negative response, fully validated"),
        ("www.dyn.test A", "; negative response, fully validated"),
        ("b.c.dyn.test A", "; negative response, fully validated"),
    ] {
        let said = delv(&running, question);
        assert!(said.contains(answer), "{question}: {said}");
    }
}

#[test]
fn validators_agree() {
    is_valid(SigningAlgorithm::EcdsaP256, false, "plain");
}

#[test]
fn validators_agree_with_hashed_names() {
    is_valid(SigningAlgorithm::EcdsaP256, true, "hashed");
    is_valid(SigningAlgorithm::Ed25519, true, "hashed-ed25519");
}

#[test]
fn the_answer_of_an_alias_is_signed() {
    let target = Running::start("signed-target");
    let running = Running::start_with("signed-alias", |settings| {
        let zone = &mut settings.zones[0];
        zone.apex = name("alias.test");
        zone.source = Source::Primary { file: None };
        zone.aliases = vec![Alias { name: name("alias.test"), target: name("www.dyn.test"), ttl: 60 }];
        zone.dnssec = Some(Dnssec { algorithm: SigningAlgorithm::Ed25519, nsec3: false, roll_after: None });
        settings.resolvers = vec![asking::upstream(&target)];
    });
    until("lent", || running.dig("+short alias.test A").trim() == "192.0.2.1");
    until("signed", || running.dig("+dnssec alias.test A").contains("RRSIG\tA 15 2 60"));
}
