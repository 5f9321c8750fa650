//! A server that asks another one: for the targets of aliases, and for clients that may.

use std::net::IpAddr;

use dns::settings::{Alias, Forward, Network, Transport, Upstream};

use super::*;

/// The server of another test's run, to be asked.
pub(super) fn upstream(running: &Running) -> Upstream {
    Upstream { address: running.address(), transport: Transport::Plain }
}

fn asking(test: &str, of: &Running, networks: Vec<Network>) -> Running {
    Running::start_with(test, |settings| {
        let zone = &mut settings.zones[0];
        zone.apex = name("alias.test");
        zone.source = Source::Primary { file: None };
        zone.update[0].names = vec![Pattern::Below(name("alias.test"))];
        let alias = |of: &str, target: &str| Alias { name: name(of), target: name(target), ttl: 300 };
        zone.aliases = vec![alias("alias.test", "www.dyn.test"), alias("gone.alias.test", "gone.dyn.test")];
        settings.resolvers = vec![upstream(of)];
        settings.forward = Some(Forward { networks, upstreams: vec![upstream(of)], cache: 100 });
    })
}

fn loopback() -> Vec<Network> {
    vec![Network { address: IpAddr::from([127, 0, 0, 0]), prefix: 8 }]
}

/// The TTL of the first answer.
fn ttl(answer: &str) -> u32 {
    let line = answer.lines().find(|line| line.contains("\tIN\tA\t") && !line.starts_with(';'));
    let ttl = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    ttl.unwrap_or_else(|| panic!("no address in {answer}"))
}

#[test]
fn an_alias_has_the_addresses_of_its_target_and_keeps_them() {
    let mut of = Running::start("alias-of");
    let running = asking("alias", &of, Vec::new());
    until("lent", || running.dig("+short alias.test A").trim() == "192.0.2.1");
    let answer = running.dig("+norec alias.test A");
    // The target's own TTL is 60, the alias's 300: the shorter one counts, and it runs.
    assert!(answer.contains("flags: qr aa;") && (1..=60).contains(&ttl(&answer)), "{answer}");
    assert!(running.dig("gone.alias.test A").contains("status: NXDOMAIN"));
    assert_eq!(of.update("k1", "update delete www.dyn.test A\nupdate add www.dyn.test 2 A 192.0.2.5\nupdate add gone.dyn.test 60 A 192.0.2.6"), "");
    until("there", || running.dig("+short gone.alias.test A").trim() == "192.0.2.6");
    assert_eq!(running.update("k1", "update add alias.test 60 A 192.0.2.66"), "update failed: REFUSED\n");
    of.end();
    assert_eq!(running.dig("+short gone.alias.test A").trim(), "192.0.2.6", "the last good answer");
}

#[test]
fn only_those_who_may_ask_get_answers_of_others() {
    let of = Running::start("forward-of");
    let running = asking("forward", &of, loopback());
    let answer = running.dig("www.dyn.test A");
    assert!(answer.contains("status: NOERROR") && answer.contains("192.0.2.1"), "{answer}");
    assert!(answer.contains(" ra") && !answer.contains(" aa"), "{answer}");
    assert!(running.dig("no.dyn.test A").contains("status: NXDOMAIN"));
    assert_eq!(running.update("k1", "update add away.alias.test 60 CNAME www.dyn.test"), "");
    let answer = running.dig("away.alias.test A");
    assert!(answer.contains("CNAME\twww.dyn.test.") && answer.contains("192.0.2.1"), "{answer}");
    let answer = running.dig("+cookie www.dyn.test A");
    assert!(answer.contains("(good)") && answer.contains("192.0.2.1"), "{answer}");
    let closed = asking("forward-closed", &of, vec![Network { address: IpAddr::from([10, 0, 0, 0]), prefix: 8 }]);
    let answer = closed.dig("www.dyn.test A");
    assert!(answer.contains("status: REFUSED") && !answer.contains(" ra"), "{answer}");
}

#[test]
fn who_cannot_be_asked_is_servfail_and_our_own_names_go_on() {
    let mut of = Running::start("dead-of");
    let running = asking("dead", &of, loopback());
    of.end();
    let answer = running.dig("+timeout=9 www.dyn.test A");
    assert!(answer.contains("status: SERVFAIL"), "{answer}");
    assert!(running.dig("alias.test SOA").contains("status: NOERROR"));
}
