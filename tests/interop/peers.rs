//! BIND, Knot and NSD, each as a secondary and as a primary of ours, with TSIG; and `ldns-notify`, which only says that there
//! is something new.

use super::peer::{Make, Peer, Ports, Role, zone_text};
use super::server::{KEYS, Server, Setup, ZONE, key, rules, wait_for};
use super::tools::{free_port, here, run, wait_until};

#[test]
fn bind_is_a_secondary() {
    secondary(
        "bind_is_a_secondary",
        Make::Bind,
        "received notify for zone 'dyn.test': TSIG 'k256'",
        "got incremental response",
    );
}

#[test]
fn knot_is_a_secondary() {
    secondary("knot_is_a_secondary", Make::Knot, "notify, incoming", "IXFR, incoming");
}

#[test]
fn nsd_is_a_secondary() {
    secondary(
        "nsd_is_a_secondary",
        Make::Nsd,
        "notify for dyn.test. from 127.0.0.1 serial 2",
        "serial 1 is updated to 2",
    );
}

#[test]
fn bind_is_a_primary() {
    primary("bind_is_a_primary", Make::Bind);
}

#[test]
fn knot_is_a_primary() {
    primary("knot_is_a_primary", Make::Knot);
}

#[test]
fn nsd_is_a_primary() {
    primary("nsd_is_a_primary", Make::Nsd);
}

#[test]
fn ldns_notify_has_a_secondary_ask() {
    if !here("ldns_notify_has_a_secondary_ask", &["ldns-notify", "nsupdate", "dig"]) {
        return;
    }
    // Nobody is told by the primary, and the next time to ask is in an hour.
    let primary = Server::start();
    let secondary = start_secondary(free_port(), primary.port);
    secondary.wait_for("two.dyn.test", "A", &["10.1.1.1", "10.1.1.2"]);
    primary.update("update add new.dyn.test 60 A 10.0.0.1");
    let (_, name, secret) = KEYS[0];
    let port = secondary.port.to_string();
    let notify = |more: &[&str]| {
        run("ldns-notify", &[&["-d", "-r", "3", "-z", "dyn.test", "-p", &port], more, &["127.0.0.1"]].concat(), "")
    };
    // Who does not sign is not believed, as the primary has a key.
    let said = notify(&[]);
    assert!(said.out.contains("rcode: REFUSED"), "{said:?}");
    // The log is written beside the answer.
    let is_logged = || secondary.log().contains("a NOTIFY message of somebody else is refused");
    wait_until(is_logged, || secondary.log());
    assert_eq!(secondary.dig("new.dyn.test", "A"), [""; 0]);
    let said = notify(&["-y", &format!("{name}:{secret}:hmac-sha256")]);
    assert!(said.is_success && said.out.contains("rcode: NOERROR"), "{said:?}");
    secondary.wait_for("new.dyn.test", "A", &["10.0.0.1"]);
}

/// Ours as the primary: the other gets the zone, and then what changes, told by a signed NOTIFY.
fn secondary(test: &str, make: Make, told: &str, changes: &str) {
    if !here(test, &[make.program(), "nsupdate", "dig"]) {
        return;
    }
    let ports = Ports::free();
    let notify = format!("notify = [{{ address = \"127.0.0.1:{}\", key = \"k256\" }}]\n", ports.port);
    let rest = format!("{ZONE}{notify}{}", rules());
    let server = Server::start_as(Setup { port: ports.ours, seed: zone_text(1, ""), rest, ..Setup::default() });
    // Later than ours: BIND leaves a primary alone for minutes that was not there once.
    let peer = Peer::start(make, Role::Secondary, ports);
    wait_for(peer.port, "host7.dyn.test", "A", &["192.0.2.7"]);

    server.update("update add new.dyn.test 60 A 10.0.0.1");
    wait_for(peer.port, "new.dyn.test", "A", &["10.0.0.1"]);
    peer.wait_for_log(&[told]);
    peer.wait_for_log(&[changes]);
    if make == Make::Nsd {
        // It does not name the form, but says how long each answer was.
        let sizes = peer.sizes();
        assert!(matches!(*sizes, [whole, changes] if changes < whole / 2), "{sizes:?}");
    }
}

/// Ours as the secondary: it gets the zone, and then what changes, told by a signed NOTIFY.
fn primary(test: &str, make: Make) {
    if !here(test, &[make.program(), "nsupdate", "dig"]) {
        return;
    }
    let ports = Ports::free();
    let peer = Peer::start(make, Role::Primary, ports);
    let mut server = start_secondary(ports.ours, peer.port);
    server.wait_for("host7.dyn.test", "A", &["192.0.2.7"]);

    peer.change(2, "new", "10.0.0.1");
    server.wait_for("new.dyn.test", "A", &["10.0.0.1"]);
    // What came as changes is given on as changes: four SOA records and the one that is new, instead of the whole.
    let arguments = ["@127.0.0.1", "-p", &ports.ours.to_string(), "-y", &key(), "+tcp", "+short", "dyn.test", "IXFR=1"];
    let said = run("dig", &arguments, "");
    assert_eq!(said.out.lines().count(), 5, "{said:?}");
    let zone = server.json(&["dns", "zones"])[0].clone();
    let follows = &zone["secondary"];
    assert!(zone["role"] == "secondary" && zone["expired"] == false && follows["error"].is_null(), "{zone}");
    assert!(follows["confirmed_at_ms"].is_u64() && follows["asked"] == format!("127.0.0.1:{}", peer.port), "{zone}");
    let at = |key: &str| follows[key].as_u64().unwrap();
    assert!(at("confirmed_at_ms") < at("refresh_at_ms") && at("refresh_at_ms") < at("expires_at_ms"), "{zone}");

    // What it got it still has, and serves at once; and it says that nobody confirms it any more.
    drop(peer);
    server.kill_and_restart();
    server.wait_for("new.dyn.test", "A", &["10.0.0.1"]);
    let failing = || server.json(&["dns", "zones"])[0]["secondary"]["error"].is_string();
    wait_until(failing, || "the primary is gone and nobody says so".to_owned());
}

/// Ours as a secondary of who is at this port.
fn start_secondary(port: u16, primary: u16) -> Server {
    let rest = format!(
        "[[dns.zone]]\nname = \"dyn.test\"\ntransfer = {{ keys = [\"k256\"] }}\n\
         primaries = [{{ address = \"127.0.0.1:{primary}\", key = \"k256\" }}]\n"
    );
    Server::start_as(Setup { port, rest, ..Setup::default() })
}
