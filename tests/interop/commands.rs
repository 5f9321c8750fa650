//! `gatehouse dns` as people and scripts type it, right and wrong.

use serde_json::Value;

use super::server::{KEYS, Server, Setup, ZONE, rules};
use super::tools::{Said, here, run, wait_until};

/// What a wrong command must do: end with this code and say this, and with `--json` print nothing but JSON.
fn expect_failure(server: &Server, arguments: &[&str], code: i32, part: &str) {
    let said = server.cli(arguments);
    assert!(said.code == Some(code) && said.error.contains(part), "{arguments:?}: {part:?} is not in {said:?}");
    assert!(said.out.is_empty(), "{arguments:?}: {said:?}");
    let said = server.cli(&[arguments, &["--json"]].concat());
    assert_eq!(said.code, Some(code), "{arguments:?} --json: {said:?}");
    let is_json = said.out.is_empty() || serde_json::from_str::<Value>(&said.out).is_ok();
    assert!(is_json, "{arguments:?} --json: {said:?}");
}

fn done(said: &Said) {
    assert!(said.is_success && said.out.starts_with("done: dyn.test at 127.0.0.1:"), "{said:?}");
}

#[test]
fn set_and_delete_change_what_is_answered() {
    if !here("set_and_delete_change_what_is_answered", &["dig"]) {
        return;
    }
    let server = Server::start();
    done(&server.cli(&["dns", "set", "www.dyn.test", "A", "10.0.0.1", "10.0.0.2"]));
    assert_eq!(server.dig("www.dyn.test", "A"), ["10.0.0.1", "10.0.0.2"]);
    done(&server.cli(&["dns", "set", "www.dyn.test", "A", "10.0.0.3", "--add", "--ttl", "77"]));
    assert_eq!(server.dig("www.dyn.test", "A"), ["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    done(&server.cli(&["dns", "set", "www.dyn.test", "A", "10.0.0.4"]));
    done(&server.cli(&["dns", "set", "www.dyn.test", "TXT", "\"some text\"", "\"more\""]));
    assert_eq!(server.dig("www.dyn.test", "A"), ["10.0.0.4"]);
    done(&server.cli(&["dns", "delete", "www.dyn.test", "TXT", "\"more\""]));
    assert_eq!(server.dig("www.dyn.test", "TXT"), ["\"some text\""]);
    done(&server.cli(&["dns", "delete", "www.dyn.test", "TXT"]));
    assert_eq!(
        (server.dig("www.dyn.test", "TXT"), server.dig("www.dyn.test", "A")),
        (vec![], vec!["10.0.0.4".to_owned()])
    );
    done(&server.cli(&["dns", "delete", "www.dyn.test"]));
    assert_eq!(server.dig("www.dyn.test", "A"), [""; 0]);

    let done = server.json(&["dns", "set", "leased.dyn.test", "AAAA", "2001:db8::1", "--lease", "3600"]);
    assert_eq!((&done["rcode"], &done["lease"], &done["key"]), (&"NOERROR".into(), &3600.into(), &"k256".into()));
    let records = server.cli(&["dns", "records", "dyn.test", "leased", "--json"]);
    let record: Value = serde_json::from_str(&records.out).unwrap();
    assert_eq!(
        (&record["type"], &record["data"], &record["ttl"]),
        (&"AAAA".into(), &"2001:db8::1".into(), &300.into())
    );
    assert_eq!(server.json(&["dns", "zones"])[0]["leases"], 1);

    let serial = server.serial();
    expect_failure(&server, &["dns", "set", "www.dyn.test", "A", "10.0.0.256"], 1, "is no data of a A record");
    expect_failure(&server, &["dns", "set", "www.other.test", "A", "10.0.0.1"], 1, "--zone");
    expect_failure(
        &server,
        &["dns", "set", "www.other.test", "A", "10.0.0.1", "--zone", "dyn.test"],
        1,
        "is not in the zone",
    );
    expect_failure(&server, &["dns", "set", "www.dyn.test", "A"], 2, "<DATA>");
    expect_failure(&server, &["dns", "set", "www..test", "A", "10.0.0.1"], 2, "www..test");
    expect_failure(&server, &["dns", "delete", "www.dyn.test", "NOTYPE"], 2, "NOTYPE");
    let acme = server.file("acme.key", &format!("hmac-sha256:acme:{}\n", KEYS[3].2));
    let other = server.file("other.key", &format!("hmac-sha256:k256:{}\n", KEYS[3].2));
    expect_failure(
        &server,
        &["dns", "set", "www.dyn.test", "A", "10.0.0.1", "--key", &acme],
        1,
        "the key acme may not",
    );
    expect_failure(
        &server,
        &["dns", "set", "www.dyn.test", "A", "10.0.0.1", "--key", &other],
        1,
        "the server refuses the signature (",
    );
    expect_failure(&server, &["dns", "delete", "two.dyn.test", "--key", &server.path("no.key")], 1, "cannot read");
    assert_eq!(server.serial(), serial);
    // Another server and a key file are enough, without any daemon here.
    let place = format!("127.0.0.1:{}", server.port);
    let arguments = ["dns", "set", "_acme-challenge.dyn.test", "TXT", "token", "--key", &acme, "--server", &place];
    let said = run(env!("CARGO_BIN_EXE_gatehouse"), &[&arguments[..], &["--control", "/nowhere"]].concat(), "");
    assert!(said.is_success, "{said:?}");
    assert_eq!(server.dig("_acme-challenge.dyn.test", "TXT"), ["\"token\""]);
}

#[test]
fn a_zone_goes_out_and_in_again() {
    if !here("a_zone_goes_out_and_in_again", &["dig", "named-checkzone"]) {
        return;
    }
    let server = Server::start();
    // More than one update carries.
    let many: String = (0..2_000).map(|n| format!("n{n} A 10.9.{}.{}\n", n / 250, n % 250)).collect();
    let text = format!("$TTL 60\n@ SOA ns1 admin 9 1 1 1 1\n NS ns1\nns1 A 127.0.0.1\ntwo A 10.2.2.2\n{many}");
    let file = server.file("in.zone", &text);
    let done = server.json(&["dns", "import", "dyn.test", &file]);
    assert!(done["rcode"] == "NOERROR" && done["updates"].as_u64() > Some(3), "{done}");
    // Sets are replaced, what the file has not stays, and the zone keeps its own SOA record.
    assert_eq!(
        (server.dig("n1999.dyn.test", "A"), server.dig("two.dyn.test", "A")),
        (vec!["10.9.7.249".into()], vec!["10.2.2.2".into()])
    );
    assert!(server.dig("dyn.test", "SOA")[0].contains(" 3600 600 86400 60"), "{:?}", server.dig("dyn.test", "SOA"));
    let serial = server.serial();
    server.json(&["dns", "import", "dyn.test", &file]);
    assert_eq!(server.serial(), serial, "the same again changes nothing");

    let exported = server.cli(&["dns", "export", "dyn.test"]);
    assert!(exported.is_success && exported.out.lines().count() >= 2_004, "{:?}", exported.error);
    let out = server.file("out.zone", &exported.out);
    let said = run("named-checkzone", &["dyn.test", &out], "");
    assert!(said.is_success && said.out.contains(&format!("loaded serial {serial}")), "{said:?}");
    let said = server.cli(&["dns", "check", "dyn.test", &out]);
    assert!(said.is_success && said.out.contains("out.zone is right: "), "{said:?}");
    assert_eq!(server.json(&["dns", "check", "dyn.test", &out])["records"], 2_004);
    let records = server.cli(&["dns", "export", "dyn.test", "--json"]);
    assert_eq!(records.out.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 2_004);

    let wrong =
        server.file("wrong.zone", "$TTL 60\n@ SOA ns1 admin 9 1 1 1 1\n NS ns1\nx A 10.0.0.256\ny A 10.0.0.1\n");
    expect_failure(&server, &["dns", "import", "dyn.test", &wrong], 1, "wrong.zone:4:5");
    expect_failure(&server, &["dns", "import", "other.test", &file], 1, "other.test");
    expect_failure(&server, &["dns", "import", "dyn.test", &server.path("none.zone")], 1, "cannot read");
    expect_failure(&server, &["dns", "export", "other.test"], 1, "there is no zone other.test");
    expect_failure(&server, &["dns", "records", "dyn.test", "--type", "NOTYPE"], 2, "NOTYPE");
    assert_eq!(server.serial(), serial, "a wrong file changes nothing");
    let said = server.cli(&["dns", "check", "dyn.test", &wrong]);
    assert!(said.code == Some(2) && said.out.contains("wrong.zone:4:5"), "{said:?}");
    let said = server.cli(&["dns", "check", "dyn.test", &wrong, "--json"]);
    let verdict: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((said.code, &verdict["ok"], &verdict["problems"][0]["line"]), (Some(2), &false.into(), &4.into()));
}

#[test]
fn queries_are_logged_while_somebody_wants_it() {
    if !here("queries_are_logged_while_somebody_wants_it", &["dig"]) {
        return;
    }
    let server = Server::start();
    let logged = |name: &str| server.log().contains(name);
    server.dig("before.dyn.test", "A");
    let said = server.cli(&["dns", "query-log", "on"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "each query is logged now\n"));
    server.dig("while.dyn.test", "A");
    wait_until(|| logged("while.dyn.test"), || "the query is not logged".to_owned());
    assert_eq!(server.json(&["dns", "status"])["query_log"], true);
    assert_eq!(server.json(&["dns", "query-log", "off"])["on"], false);
    server.dig("after.dyn.test", "A");
    // What is logged later comes later: when this is there, the one before would be.
    server.json(&["dns", "query-log", "on"]);
    server.dig("last.dyn.test", "A");
    wait_until(|| logged("last.dyn.test"), || "the query is not logged".to_owned());
    assert!(!logged("before.dyn.test") && !logged("after.dyn.test"), "{}", server.log());
    expect_failure(&server, &["dns", "query-log", "perhaps"], 2, "perhaps");
}

#[test]
fn a_secondary_asks_when_it_is_told_to() {
    if !here("a_secondary_asks_when_it_is_told_to", &["dig"]) {
        return;
    }
    let primary = Server::start();
    let rest = format!(
        "[[dns.zone]]\nname = \"dyn.test\"\nprimaries = [{{ address = \"127.0.0.1:{}\", key = \"k256\" }}]\n",
        primary.port
    );
    let secondary = Server::start_as(Setup { rest, ..Setup::default() });
    secondary.wait_for("two.dyn.test", "A", &["10.1.1.1", "10.1.1.2"]);
    let line = secondary.cli(&["dns", "zones"]).out;
    assert!(line.contains("secondary  1 ") && line.matches(" in ").count() == 2, "{line}");
    done(&primary.cli(&["dns", "set", "new.dyn.test", "A", "10.0.0.1"]));
    let asked = secondary.json(&["dns", "transfer", "dyn.test"]);
    assert_eq!(asked["secondary"]["primaries"][0], format!("127.0.0.1:{}", primary.port));
    secondary.wait_for("new.dyn.test", "A", &["10.0.0.1"]);
    assert_eq!(secondary.json(&["dns", "zones"])[0]["serial"], 2);
    let said = secondary.cli(&["dns", "transfer", "dyn.test"]);
    assert!(said.is_success && said.out.starts_with("dyn.test is being fetched from 127.0.0.1:"), "{said:?}");
    expect_failure(&primary, &["dns", "transfer", "dyn.test"], 1, "there is no secondary zone dyn.test here");
    expect_failure(&secondary, &["dns", "transfer", "other.test"], 1, "there is no secondary zone other.test here");
    expect_failure(&secondary, &["dns", "set", "x.dyn.test", "A", "10.0.0.1"], 1, "lets no key change dyn.test");
}

#[test]
fn keys_of_a_signed_zone_are_shown_and_rolled() {
    if !here("keys_of_a_signed_zone_are_shown_and_rolled", &["dig", "dnssec-dsfromkey", "ldns-verify-zone"]) {
        return;
    }
    let unsigned = "[[dns.zone]]\nname = \"plain.test\"\n";
    let signed = format!("{ZONE}[dns.zone.dnssec]\nalgorithm = \"ed25519\"\n{}{unsigned}", rules());
    let server = Server::start_as(Setup { rest: signed, ..Setup::default() });
    let keys = || server.json(&["dns", "dnssec", "keys", "dyn.test"])["keys"].as_array().unwrap().clone();
    wait_until(|| keys().len() == 2, || format!("{:?}", keys()));
    assert!(keys().iter().all(|key| key["stage"] == "active" && key["algorithm"] == "ed25519"), "{:?}", keys());
    assert_eq!(server.json(&["dns", "zones"])[0]["signed"], true);

    // What the parent is told is what others make of the key.
    let ds = server.cli(&["dns", "dnssec", "ds", "dyn.test"]);
    assert!(ds.is_success && ds.out.starts_with("dyn.test. DS "), "{ds:?}");
    let port = server.port.to_string();
    let dnskey = run("dig", &["@127.0.0.1", "-p", &port, "+noall", "+answer", "dyn.test", "DNSKEY"], "");
    let theirs = run("dnssec-dsfromkey", &["-2", "-f", "-", "dyn.test"], &dnskey.out);
    let words =
        |text: &str| text.split_whitespace().filter(|word| *word != "IN").collect::<Vec<_>>().join(" ").to_uppercase();
    assert_eq!(words(&ds.out), words(&theirs.out), "{dnskey:?}");

    let rolled = server.json(&["dns", "dnssec", "roll", "dyn.test"]);
    let next = rolled["keys"][2].clone();
    assert_eq!((&next["role"], &next["stage"]), (&"key-signing".into(), &"published".into()));
    let dnskeys = server.dig("dyn.test", "DNSKEY");
    assert_eq!(dnskeys.iter().filter(|key| key.starts_with("257 ")).count(), 2, "{dnskeys:?}");
    assert_eq!(server.cli(&["dns", "dnssec", "ds", "dyn.test"]).out, ds.out, "the parent keeps the old one for now");
    let tag = next["tag"].to_string();
    let shown = server.cli(&["dns", "dnssec", "keys", "dyn.test"]).out;
    assert!(shown.contains("published") && shown.contains("the next step comes by itself in "), "{shown}");
    expect_failure(&server, &["dns", "dnssec", "roll", "dyn.test"], 1, "is to take over already");
    expect_failure(&server, &["dns", "dnssec", "ds-seen", "dyn.test", &tag], 1, "some caches do not know key");
    expect_failure(&server, &["dns", "dnssec", "ds-seen", "dyn.test", "70000"], 2, "70000");
    expect_failure(&server, &["dns", "dnssec", "roll", "plain.test"], 1, "plain.test is not signed here");
    expect_failure(&server, &["dns", "dnssec", "ds", "plain.test"], 1, "plain.test is not signed here");
    expect_failure(&server, &["dns", "dnssec", "keys", "other.test"], 1, "there is no zone other.test");
    // The zone is right with both keys, and its export comes in again.
    let exported = server.cli(&["dns", "export", "dyn.test"]).out;
    let file = server.file("signed.zone", &exported);
    let said = run("ldns-verify-zone", &[&file], "");
    assert!(said.is_success && said.out.contains("Zone is verified and complete"), "{said:?}");
    let imported = server.cli(&["dns", "import", "dyn.test", &file]);
    done(&imported);
}

#[test]
fn without_a_daemon_every_command_says_so() {
    let nobody = |arguments: &[&str]| {
        run(env!("CARGO_BIN_EXE_gatehouse"), &[arguments, &["--control", "/nowhere"]].concat(), "")
    };
    for arguments in [
        &["dns", "status"][..],
        &["dns", "zones"],
        &["dns", "records", "dyn.test"],
        &["dns", "export", "dyn.test"],
        &["dns", "transfer", "dyn.test"],
        &["dns", "query-log", "on"],
        &["dns", "key", "list"],
        &["dns", "dnssec", "keys", "dyn.test"],
        &["dns", "dnssec", "ds", "dyn.test"],
        &["dns", "dnssec", "roll", "dyn.test"],
        &["dns", "dnssec", "ds-seen", "dyn.test", "1"],
        &["dns", "set", "a.dyn.test", "A", "10.0.0.1"],
        &["dns", "delete", "a.dyn.test"],
    ] {
        let said = nobody(arguments);
        assert!(
            said.code == Some(3) && said.error.contains("no gatehouse daemon answers at /nowhere"),
            "{arguments:?}: {said:?}"
        );
        assert_eq!(nobody(&[arguments, &["--json"]].concat()).code, Some(3), "{arguments:?} --json");
    }
}
