//! nsupdate and knsupdate: every kind of prerequisite and operation, every algorithm, UDP and TCP.
//!
//! Both read the same commands, so the cases are data: a script, what the client says became of it, and the records after
//! it.

use super::server::{KEYS, Server};
use super::tools::{Said, here, run};

/// A script, the result code, and a name and type with its data afterwards.
type Case = (&'static str, &'static str, (&'static str, &'static str, &'static [&'static str]));

const CASES: &[Case] = &[
    ("update add a.dyn.test 60 A 10.0.0.1", "NOERROR", ("a.dyn.test", "A", &["10.0.0.1"])),
    // Prerequisites that hold.
    (
        "prereq yxdomain a.dyn.test\nprereq nxdomain b.dyn.test\nprereq yxrrset a.dyn.test A\n\
         prereq nxrrset a.dyn.test TXT\nprereq yxrrset two.dyn.test A 10.1.1.2\nprereq yxrrset two.dyn.test A 10.1.1.1\n\
         update add a.dyn.test 60 A 10.0.0.2",
        "NOERROR",
        ("a.dyn.test", "A", &["10.0.0.1", "10.0.0.2"]),
    ),
    // And those that do not; nothing is done then.
    ("prereq yxdomain b.dyn.test\nupdate add b.dyn.test 60 A 10.0.0.1", "NXDOMAIN", ("b.dyn.test", "A", &[])),
    (
        "prereq nxdomain a.dyn.test\nupdate delete a.dyn.test",
        "YXDOMAIN",
        ("a.dyn.test", "A", &["10.0.0.1", "10.0.0.2"]),
    ),
    (
        "prereq yxrrset a.dyn.test TXT\nupdate delete a.dyn.test",
        "NXRRSET",
        ("a.dyn.test", "A", &["10.0.0.1", "10.0.0.2"]),
    ),
    (
        "prereq nxrrset a.dyn.test A\nupdate delete a.dyn.test",
        "YXRRSET",
        ("a.dyn.test", "A", &["10.0.0.1", "10.0.0.2"]),
    ),
    // A set must be equal, not only contain what is wanted.
    (
        "prereq yxrrset two.dyn.test A 10.1.1.1\nupdate delete two.dyn.test",
        "NXRRSET",
        ("two.dyn.test", "A", &["10.1.1.1", "10.1.1.2"]),
    ),
    // Deleting a record, a set, a name.
    ("update delete a.dyn.test A 10.0.0.1", "NOERROR", ("a.dyn.test", "A", &["10.0.0.2"])),
    ("update add a.dyn.test 60 TXT \"some text\"", "NOERROR", ("a.dyn.test", "TXT", &["\"some text\""])),
    ("update delete a.dyn.test A", "NOERROR", ("a.dyn.test", "A", &[])),
    ("update add a.dyn.test 60 MX 10 mail.dyn.test.", "NOERROR", ("a.dyn.test", "MX", &["10 mail.dyn.test."])),
    ("update delete a.dyn.test", "NOERROR", ("a.dyn.test", "MX", &[])),
    // A CNAME record is alone, and replaced by another.
    ("update add c.dyn.test 60 CNAME two.dyn.test.", "NOERROR", ("c.dyn.test", "CNAME", &["two.dyn.test."])),
    ("update add c.dyn.test 60 TXT no", "NOERROR", ("c.dyn.test", "CNAME", &["two.dyn.test."])),
    ("update add c.dyn.test 60 CNAME ns1.dyn.test.", "NOERROR", ("c.dyn.test", "CNAME", &["ns1.dyn.test."])),
    ("update add two.dyn.test 60 CNAME a.dyn.test.", "NOERROR", ("two.dyn.test", "A", &["10.1.1.1", "10.1.1.2"])),
    ("update delete c.dyn.test CNAME", "NOERROR", ("c.dyn.test", "CNAME", &[])),
    // The apex keeps its SOA and NS records.
    ("update delete dyn.test", "NOERROR", ("dyn.test", "NS", &["ns1.dyn.test."])),
    ("update delete dyn.test NS ns1.dyn.test.", "NOERROR", ("dyn.test", "NS", &["ns1.dyn.test."])),
    // Other types, some of them rare.
    (
        "update add s.dyn.test 60 SRV 1 2 443 two.dyn.test.\nupdate add s.dyn.test 60 CAA 0 issue \"ca.test\"",
        "NOERROR",
        ("s.dyn.test", "SRV", &["1 2 443 two.dyn.test."]),
    ),
    ("update add s.dyn.test 60 TYPE65400 \\# 3 010203", "NOERROR", ("s.dyn.test", "TYPE65400", &["\\# 3 010203"])),
    ("update delete s.dyn.test", "NOERROR", ("s.dyn.test", "CAA", &[])),
];

/// Zones that are not ours, and names out of the zone.
const ASTRAY: &[(&str, &str, &str)] = &[
    ("sub.dyn.test", "update add x.sub.dyn.test 60 A 10.0.0.1", "NOTAUTH"),
    ("elsewhere.test", "update add x.elsewhere.test 60 A 10.0.0.1", "NOTAUTH"),
    ("dyn.test", "update add x.elsewhere.test 60 A 10.0.0.1", "NOTZONE"),
    ("dyn.test", "prereq yxdomain x.elsewhere.test\nupdate add x.dyn.test 60 A 10.0.0.1", "NOTZONE"),
];

#[test]
fn nsupdate_updates() {
    if here("nsupdate_updates", &["nsupdate", "dig"]) {
        updates("nsupdate");
    }
}

#[test]
fn knsupdate_updates() {
    if here("knsupdate_updates", &["knsupdate", "dig"]) {
        updates("knsupdate");
    }
}

#[test]
fn who_may_not_update_is_refused() {
    if !here("who_may_not_update_is_refused", &["nsupdate", "dig"]) {
        return;
    }
    let server = Server::start();
    let add = "update add x.dyn.test 60 A 10.0.0.1";
    let right = format!("hmac-sha256:k256:{}", KEYS[0].2);
    let other = format!("hmac-sha256:k256:{}", KEYS[3].2);
    let unknown = format!("hmac-sha256:nobody:{}", KEYS[0].2);
    let weak = format!("hmac-sha512:k256:{}", KEYS[0].2);
    let acme = format!("hmac-sha256:acme:{}", KEYS[3].2);
    for (key, script, word) in [
        (None, add, "REFUSED"),
        (Some(&other), add, "BADSIG"),
        (Some(&unknown), add, "BADKEY"),
        (Some(&weak), add, "BADKEY"),
        (Some(&acme), add, "REFUSED"),
        (Some(&acme), "update add _acme-challenge.dyn.test 60 CAA 0 issue x", "REFUSED"),
        (Some(&acme), "update delete two.dyn.test", "REFUSED"),
        (Some(&acme), "update add _acme-challenge.dyn.test 60 TXT token", "NOERROR"),
        (Some(&acme), "update delete _acme-challenge.dyn.test", "NOERROR"),
        (Some(&right), "update add _acme-challenge.dyn.test 60 CAA 0 issue x", "NOERROR"),
        (Some(&acme), "update delete _acme-challenge.dyn.test", "REFUSED"),
    ] {
        let arguments: Vec<&str> = key.iter().flat_map(|key| ["-y", key.as_str()]).collect();
        expect(&server, "nsupdate", &arguments, ("dyn.test", script), word);
    }
    assert_eq!(server.dig("x.dyn.test", "A"), [""; 0]);
    assert_eq!(server.dig("_acme-challenge.dyn.test", "CAA"), ["0 issue \"x\""]);
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    if !here("what_was_acknowledged_is_there_after_a_kill", &["nsupdate", "dig"]) {
        return;
    }
    let mut server = Server::start();
    let key = format!("hmac-sha256:k256:{}", KEYS[0].2);
    // More than a datagram carries: the client goes over TCP by itself.
    let many: Vec<String> = (0..200).map(|i| format!("update add many.dyn.test 60 TXT \"text number {i}\"")).collect();
    expect(&server, "nsupdate", &["-y", &key], ("dyn.test", &many.join("\n")), "NOERROR");
    let (serial, texts) = (server.serial(), server.dig("many.dyn.test", "TXT"));
    assert_eq!(texts.len(), 200);
    server.kill_and_restart();
    assert_eq!((server.serial(), server.dig("many.dyn.test", "TXT")), (serial, texts));
}

fn updates(client: &str) {
    let server = Server::start();
    for (algorithm, name, secret) in &KEYS[..3] {
        let key = format!("{algorithm}:{name}:{secret}");
        for transport in [&[][..], &["-v"][..]] {
            let arguments = [&["-y", &key], transport].concat();
            for (script, rcode, (name, rtype, data)) in CASES {
                expect(&server, client, &arguments, ("dyn.test", script), rcode);
                assert_eq!(server.dig(name, rtype), *data, "{client} {arguments:?}\n{script}");
            }
        }
        for (zone, script, rcode) in ASTRAY {
            expect(&server, client, &["-y", &key], (zone, script), rcode);
        }
    }
    assert!(server.dig("dyn.test", "SOA")[0].starts_with("ns1.dyn.test. admin.dyn.test. "));
}

/// Runs a script; the client must end with this result.
fn expect(server: &Server, client: &str, arguments: &[&str], (zone, script): (&str, &str), word: &str) {
    let input = format!("server 127.0.0.1 {}\nzone {zone}\n{script}\nsend\n", server.port);
    let said = run(client, arguments, &input);
    assert_eq!(result(&said), word, "{client} {arguments:?}\n{input}{said:?}");
}

/// The result that a client tells of: `NOERROR` when it is content.
fn result(said: &Said) -> String {
    let words = [
        "BADSIG", "BADKEY", "NXDOMAIN", "YXDOMAIN", "NXRRSET", "YXRRSET", "NOTAUTH", "NOTZONE", "REFUSED", "FORMERR",
        "SERVFAIL",
    ];
    let all = format!("{}{}", said.out, said.error);
    let found = words.iter().find(|word| all.contains(**word));
    match found {
        Some(word) => (*word).to_owned(),
        None if said.is_success && all.trim().is_empty() => "NOERROR".to_owned(),
        None => all,
    }
}
