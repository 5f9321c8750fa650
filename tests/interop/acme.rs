//! lego, which answers ACME's challenges by RFC 2136, with Pebble for the authority: it asks our server for what lego put
//! there, as a public one does, and a certificate is issued only if that is right.

use std::process::Command;

use super::certificate::Certificate;
use super::server::{KEYS, Server, Setup, ZONE};
use super::tools::{Background, Said, free_port, here, run_with, wait_until};

#[test]
fn lego_gets_a_certificate() {
    if !here("lego_gets_a_certificate", &["lego", "pebble", "dig"]) {
        return;
    }
    let certificate = Certificate::new();
    let files = vec![("acme.pem", certificate.certificate.clone()), ("acme.key", certificate.key.clone())];
    // One line of configuration: the key may touch the challenge and nothing else.
    let rule = "[[dns.zone.update]]\nkey = \"acme\"\nnames = [\"_acme-challenge.dyn.test\"]\ntypes = [\"TXT\"]\n";
    let server = Server::start_as(Setup { files, rest: format!("{ZONE}{rule}"), ..Setup::default() });
    let trusted = server.file("authority.pem", &certificate.authority);
    let authority = Pebble::start(&server);
    let lego = |secret: &str, domain: &str, place: &str| -> Said {
        let directory = format!("https://localhost:{}/dir", authority.port);
        let nameserver = format!("127.0.0.1:{}", server.port);
        let arguments = [
            "--accept-tos",
            "--email",
            "admin@dyn.test",
            "--server",
            &directory,
            "--path",
            &server.path(place),
            "--dns",
            "rfc2136",
            "--dns.disable-cp",
            "--dns.resolvers",
            &nameserver,
            "--domains",
            domain,
            "run",
        ];
        let environment = [
            ("LEGO_CA_CERTIFICATES", trusted.as_str()),
            ("RFC2136_NAMESERVER", nameserver.as_str()),
            ("RFC2136_TSIG_KEY", "acme"),
            ("RFC2136_TSIG_ALGORITHM", "hmac-sha256."),
            ("RFC2136_TSIG_SECRET", secret),
        ];
        run_with("lego", &arguments, &environment, "")
    };
    let said = lego(KEYS[3].2, "dyn.test", "right");
    assert!(said.is_success, "{said:?}\n{}", authority.log());
    let issued = std::fs::read_to_string(server.path("right/certificates/dyn.test.crt")).unwrap();
    assert!(issued.contains("BEGIN CERTIFICATE"), "{issued}");
    // The challenge is gone, and was there: two versions of the zone.
    assert_eq!((server.dig("_acme-challenge.dyn.test", "TXT"), server.serial()), (Vec::new(), 3));
    for (secret, domain) in [(KEYS[0].2, "dyn.test"), (KEYS[3].2, "www.dyn.test")] {
        let said = lego(secret, domain, "wrong");
        assert!(!said.is_success, "{said:?}");
    }
    assert_eq!(server.serial(), 3);
}

/// An ACME authority while it runs.
struct Pebble {
    port: u16,
    process: Background,
}

impl Pebble {
    /// One that looks for challenges at our server.
    fn start(server: &Server) -> Self {
        let (port, management) = (free_port(), free_port());
        let configuration = format!(
            r#"{{ "pebble": {{ "listenAddress": "127.0.0.1:{port}", "managementListenAddress": "127.0.0.1:{management}",
                "certificate": "{}", "privateKey": "{}", "httpPort": 5002, "tlsPort": 5001, "ocspResponderURL": "",
                "externalAccountBindingRequired": false }} }}"#,
            server.path("acme.pem"),
            server.path("acme.key")
        );
        let file = server.file("pebble.json", &configuration);
        let mut command = Command::new("pebble");
        command
            .args(["-config", &file, "-dnsserver", &format!("127.0.0.1:{}", server.port)])
            // It waits and refuses at random otherwise, to try its clients.
            .envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0")]);
        let process = Background::start(&mut command, server.path("pebble.log").into());
        let authority = Self { port, process };
        let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        wait_until(listens, || authority.log());
        authority
    }

    fn log(&self) -> String {
        self.process.log()
    }
}
