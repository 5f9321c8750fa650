//! dyndns2 by clients that routers and people have: inadyn and curl, plain and with TLS.

use super::certificate::Certificate;
use super::server::{KEYS, Server, Setup, ZONE, rules};
use super::tools::{Said, free_port, here, run};

#[test]
fn inadyn_keeps_a_name() {
    if !here("inadyn_keeps_a_name", &["inadyn", "dig"]) {
        return;
    }
    let http = free_port();
    let server = Server::start_as(setup(http, None));
    let place = Place { trusted: None, server: format!("127.0.0.1:{http}") };
    for address in ["198.51.100.7", "198.51.100.8"] {
        place.update(&server, "home.dyn.test", KEYS[0].2, address);
        assert_eq!(server.dig("home.dyn.test", "A"), [address]);
    }
    // The key for challenges is no key for addresses, and a wrong secret is none at all.
    place.update(&server, "other.dyn.test", KEYS[3].2, "198.51.100.9");
    assert_eq!(server.dig("other.dyn.test", "A"), [""; 0]);
}

#[test]
fn inadyn_keeps_a_name_over_tls() {
    if !here("inadyn_keeps_a_name_over_tls", &["inadyn", "dig"]) {
        return;
    }
    let (https, certificate) = (free_port(), Certificate::new());
    let server = Server::start_as(setup(https, Some(&certificate)));
    let by = |file, text: &str| Place { trusted: Some(server.file(file, text)), server: format!("localhost:{https}") };
    let stranger = by("stranger.pem", &Certificate::new().authority);
    stranger.update(&server, "home.dyn.test", KEYS[0].2, "198.51.100.7");
    assert_eq!(server.dig("home.dyn.test", "A"), [""; 0], "a certificate of nobody is not believed");
    by("authority.pem", &certificate.authority).update(&server, "home.dyn.test", KEYS[0].2, "198.51.100.8");
    assert_eq!(server.dig("home.dyn.test", "A"), ["198.51.100.8"]);
}

#[test]
fn curl_updates_over_tls_and_hears_what_came_of_it() {
    if !here("curl_updates_over_tls_and_hears_what_came_of_it", &["curl", "dig"]) {
        return;
    }
    let (https, certificate) = (free_port(), Certificate::new());
    let server = Server::start_as(setup(https, Some(&certificate)));
    let trusted = server.file("authority.pem", &certificate.authority);
    let (right, wrong) = (format!("k256:{}", KEYS[0].2), format!("k256:{}", KEYS[3].2));
    let ask = |query: &str, login: &str, more: &[&str]| -> Said {
        let url = format!("https://localhost:{https}/nic/update?{query}");
        let arguments = ["-sS", "--ipv4", "--max-time", "20", "-u", login, "-w", " %{http_code}", &url];
        run("curl", &[&arguments[..], more].concat(), "")
    };
    let by = ["--cacert", trusted.as_str()];
    for (query, login, answer) in [
        ("hostname=home.dyn.test&myip=198.51.100.7", &right, "good 198.51.100.7\n 200"),
        ("hostname=home.dyn.test&myip=198.51.100.7", &right, "nochg 198.51.100.7\n 200"),
        ("hostname=home.dyn.test&myip=198.51.100.8", &wrong, "badauth\n 401"),
        ("hostname=home.elsewhere.test&myip=198.51.100.8", &right, "nohost\n 200"),
        ("hostname=home&myip=198.51.100.8", &right, "notfqdn\n 200"),
    ] {
        let said = ask(query, login, &by);
        assert!(said.is_success && said.out == answer, "{query}: {said:?}");
    }
    // Who does not know the authority hears nothing, and nobody speaks without TLS.
    let said = ask("hostname=home.dyn.test&myip=198.51.100.9", &right, &[]);
    assert_eq!(said.code, Some(60), "{said:?}");
    let said = run("curl", &["-sS", "--max-time", "20", &format!("http://127.0.0.1:{https}/nic/update")], "");
    assert!(!said.is_success && said.out.is_empty(), "{said:?}");
    assert_eq!(server.dig("home.dyn.test", "A"), ["198.51.100.7"]);
}

/// A server with the endpoint at this port, with TLS if there is a certificate.
fn setup(port: u16, certificate: Option<&Certificate>) -> Setup {
    let (tls, files) = match certificate {
        Some(Certificate { certificate, key, .. }) => (
            "tls = true\n[dns.tls]\ncertificate = \"FOLDER/server.pem\"\nkey = \"FOLDER/server.key\"\n",
            vec![("server.pem", certificate.clone()), ("server.key", key.clone())],
        ),
        None => ("", Vec::new()),
    };
    let rest = format!("[dns.dyndns2]\nlisten = [\"127.0.0.1:{port}\"]\n{tls}{ZONE}{}", rules());
    Setup { files, rest, ..Setup::default() }
}

/// Where inadyn is to go.
struct Place {
    /// A file with who is trusted, where TLS is spoken.
    trusted: Option<String>,
    server: String,
}

impl Place {
    /// One run of inadyn, with a cache of its own so that it always asks.
    fn update(&self, server: &Server, name: &str, secret: &str, address: &str) {
        let trusted = self.trusted.iter().map(|file| format!("ca-trust-file = \"{file}\"\n")).collect::<String>();
        let configuration = format!(
            "period = 300\n\
             {trusted}\
             custom here {{\n\
                 ssl = {ssl}\n\
                 username = k256\n\
                 password = \"{secret}\"\n\
                 checkip-command = \"/bin/echo {address}\"\n\
                 ddns-server = \"{place}\"\n\
                 ddns-path = \"/nic/update?hostname=%h&myip=%i\"\n\
                 hostname = {name}\n\
             }}\n",
            ssl = self.trusted.is_some(),
            place = self.server
        );
        let path = server.file(&format!("inadyn-{address}.conf"), &configuration);
        let cache = format!("{path}.cache");
        let said = run("inadyn", &["--once", "--foreground", "--no-pidfile", "-f", &path, "--cache-dir", &cache], "");
        println!("{said:?}");
    }
}
