//! dnspython, for what the command-line clients cannot say, and the class that certbot answers ACME challenges with.

use super::server::{KEYS, Server};
use super::tools::{here, run};

/// Debian's interpreter, which sees Debian's modules.
const PYTHON: &str = "/usr/bin/python3";
const DNSPYTHON: &str = "/usr/lib/python3/dist-packages/dns/update.py";
const CERTBOT: &str = "/usr/lib/python3/dist-packages/certbot_dns_rfc2136/_internal/dns_rfc2136.py";

#[test]
fn dnspython_updates_with_leases_and_odd_forms() {
    if here("dnspython_updates_with_leases_and_odd_forms", &[PYTHON, DNSPYTHON, "dig"]) {
        let server = Server::start();
        script(&server, include_str!("dnspython.py"));
        server.wait_for("leased.dyn.test", "A", &[]);
        assert_eq!(server.dig("kept.dyn.test", "A"), ["10.0.0.2"]);
    }
}

#[test]
fn certbot_answers_a_challenge() {
    if here("certbot_answers_a_challenge", &[PYTHON, CERTBOT, "dig"]) {
        let server = Server::start();
        script(&server, include_str!("certbot.py"));
        assert_eq!(server.dig("_acme-challenge.dyn.test", "TXT"), [""; 0]);
    }
}

/// Runs a script with the port and the keys as arguments; it fails by an exception.
fn script(server: &Server, text: &str) {
    let port = server.port.to_string();
    let keys: Vec<String> =
        KEYS.iter().map(|(algorithm, name, secret)| format!("{algorithm}:{name}:{secret}")).collect();
    let mut arguments = vec!["-", port.as_str()];
    arguments.extend(keys.iter().map(String::as_str));
    let said = run(PYTHON, &arguments, text);
    assert!(said.is_success, "{}{}", said.out, said.error);
}
