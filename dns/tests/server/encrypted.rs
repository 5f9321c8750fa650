//! Other servers asked over TLS and HTTPS: for clients that may ask, and for the targets of aliases. One is our own, with a
//! certificate of an authority that nobody else knows, the other is `unbound`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::Child;

use dns::server::streams;
use dns::settings::{Alias, Forward, Network, Tls, Transport, Upstream};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::*;

/// The name on the certificate.
const HOST: &str = "dns.test";

/// An authority, and the certificate that a server has from it, as files in this folder.
struct Certificates(PathBuf);

impl Certificates {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("gatehouse-certificates-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let authority_key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let known = authority.self_signed(&authority_key).expect("signed").pem();
        let issuer = Issuer::new(authority, authority_key);
        let key = KeyPair::generate().expect("a key");
        let shown = CertificateParams::new(vec![HOST.to_owned()]).expect("parameters");
        let shown = shown.signed_by(&key, &issuer).expect("signed").pem();
        for (file, text) in [("authority", known), ("certificate", shown), ("key", key.serialize_pem())] {
            std::fs::write(folder.join(file), text).expect("written");
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A server that forwards to this one, over TLS or over HTTPS.
    fn forwarder(&self, test: &str, upstream: Upstream) -> Running {
        Running::start_with(test, |settings| {
            let zone = &mut settings.zones[0];
            zone.apex = name("alias.test");
            zone.source = Source::Primary { file: None };
            zone.update.clear();
            zone.aliases = vec![Alias { name: name("alias.test"), target: name("www.dyn.test"), ttl: 300 }];
            settings.authorities = Some(self.file("authority"));
            settings.resolvers = vec![upstream.clone()];
            let networks = vec![Network { address: IpAddr::from([127, 0, 0, 0]), prefix: 8 }];
            settings.forward = Some(Forward { networks, upstreams: vec![upstream], cache: 100 });
        })
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Our own server, which has the zone `dyn.test`, with these listeners and the certificate.
fn upstream(test: &str, certificates: &Certificates) -> Running {
    let mut running = Running::start_with(test, |settings| {
        let any = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        let (certificate, key) = (certificates.file("certificate"), certificates.file("key"));
        settings.tls = Some(Tls { certificate, key, dot: any.clone(), doh: any, doq: Vec::new() });
    });
    // The same ports when it starts again.
    let [dot, doh] = [streams::Transport::Tls, streams::Transport::Https].map(|wanted| address_of(&running, wanted));
    if let Some(tls) = &mut running.settings.tls {
        (tls.dot, tls.doh) = (vec![dot], vec![doh]);
    }
    running
}

fn address_of(running: &Running, wanted: streams::Transport) -> SocketAddr {
    let mut all = running.server().stream_addresses().into_iter();
    all.find(|(transport, _)| *transport == wanted).expect("it is served").1
}

fn count(running: &Running, name: &str) -> u64 {
    running.server().counts().into_iter().find(|(known, _)| known == name).expect("counted").1
}

fn upstreams(running: &Running, host: &str) -> [(&'static str, Upstream); 2] {
    let upstream = |transport, wanted| Upstream { address: address_of(running, wanted), transport };
    [
        ("tls", upstream(Transport::Tls(host.to_owned()), streams::Transport::Tls)),
        ("https", upstream(Transport::Https(host.to_owned()), streams::Transport::Https)),
    ]
}

/// What works with any upstream that knows `dyn.test`.
fn is_forwarded_to(running: &Running) {
    let answer = running.dig("+timeout=10 www.dyn.test A");
    assert!(answer.contains("status: NOERROR") && answer.contains("192.0.2.1"), "{answer}");
    let answer = running.dig("+timeout=10 no.dyn.test A");
    assert!(answer.contains("status: NXDOMAIN"), "{answer}");
    until("lent", || running.dig("+short alias.test A").trim() == "192.0.2.1");
}

#[test]
fn a_server_of_our_own_is_asked_over_tls_and_https() {
    let certificates = Certificates::new("own");
    let mut of = upstream("encrypted-of", &certificates);
    for (what, upstream) in upstreams(&of, HOST) {
        let running = certificates.forwarder(&format!("encrypted-{what}"), upstream);
        is_forwarded_to(&running);
        assert!(count(&of, "stream_queries") >= 4, "{what}: {}", count(&of, "stream_queries"));
        assert_eq!(count(&of, "queries"), 0, "{what}: nothing goes out in the open");
        // More at once than a connection is given by default.
        std::thread::scope(|scope| {
            let ask = |number: usize| running.dig(&format!("+timeout=10 n{number}.dyn.test A"));
            let asked: Vec<_> = (0..60).map(|number| scope.spawn(move || ask(number))).collect();
            for asked in asked {
                let answer = asked.join().expect("no panic");
                assert!(answer.contains("status: NXDOMAIN"), "{what}: {answer}");
            }
        });
        // The connection ends, as it does after a while without questions, and the next question opens another.
        of.end();
        of.begin();
        until("asked again", || running.dig("+timeout=10 ns.dyn.test A").contains("status: NOERROR"));
        assert_eq!(running.dig("+short ns.dyn.test A").trim(), "127.0.0.1", "{what}");
    }
}

#[test]
fn who_cannot_prove_its_name_is_not_believed() {
    let (certificates, others) = (Certificates::new("known"), Certificates::new("unknown"));
    let of = upstream("encrypted-wrong", &certificates);
    let wrong_names = upstreams(&of, "other.test").map(|(what, upstream)| (what, upstream, &certificates));
    let wrong_authorities = upstreams(&of, HOST).map(|(what, upstream)| (what, upstream, &others));
    for (number, (what, upstream, known)) in wrong_names.into_iter().chain(wrong_authorities).enumerate() {
        let running = known.forwarder(&format!("encrypted-wrong-{number}"), upstream);
        let answer = running.dig("+timeout=10 www.dyn.test A");
        assert!(answer.contains("status: SERVFAIL"), "{number} {what}: {answer}");
    }
    assert_eq!((count(&of, "stream_queries"), count(&of, "queries")), (0, 0));
}

/// `unbound`, which knows `dyn.test` by heart; it is killed when this is dropped.
struct Unbound(Child);

impl Unbound {
    /// Nothing when it is not installed, which is said loudly and is a failure where tests are to be complete.
    fn start(certificates: &Certificates, tls: u16, https: u16) -> Option<Self> {
        let (certificate, key) = (certificates.file("certificate"), certificates.file("key"));
        let text = format!(
            "server:\n username: \"\"\n chroot: \"\"\n directory: \"{folder}\"\n pidfile: \"{folder}/pid\"\n do-daemonize: no\n \
             use-syslog: no\n use-systemd: no\n logfile: \"\"\n interface: 127.0.0.1@{tls}\n interface: 127.0.0.1@{https}\n \
             tls-port: {tls}\n https-port: {https}\n tls-service-pem: \"{certificate}\"\n tls-service-key: \"{key}\"\n \
             module-config: \"iterator\"\n local-zone: dyn.test. static\n local-data: \"dyn.test. SOA ns.dyn.test. \
             admin.dyn.test. 1 1 1 1 5\"\n local-data: \"www.dyn.test. 60 A 192.0.2.1\"\n",
            folder = certificates.0.display(),
            certificate = certificate.display(),
            key = key.display(),
        );
        let path = certificates.file("unbound.conf");
        std::fs::write(&path, text).expect("written");
        let log = std::fs::File::create(certificates.file("log")).expect("a log");
        let mut command = Command::new("unbound");
        command.env("PATH", "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin").args(["-d", "-p", "-c"]).arg(path);
        match command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn() {
            Ok(child) => Some(Self(child)),
            Err(error) => {
                assert!(std::env::var("LAB").as_deref() != Ok("require"), "unbound cannot run: {error}");
                eprintln!("NOT TESTED: unbound cannot run: {error}");
                None
            }
        }
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn unbound_is_asked_over_tls_and_https() {
    let certificates = Certificates::new("unbound");
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let [tls, https] = [free(), free()].map(|listener| listener.local_addr().expect("an address"));
    let Some(_unbound) = Unbound::start(&certificates, tls.port(), https.port()) else { return };
    for (what, address, transport) in
        [("tls", tls, Transport::Tls(HOST.to_owned())), ("https", https, Transport::Https(HOST.to_owned()))]
    {
        until("listening", || std::net::TcpStream::connect(address).is_ok());
        let running = certificates.forwarder(&format!("unbound-{what}"), Upstream { address, transport });
        is_forwarded_to(&running);
    }
}
