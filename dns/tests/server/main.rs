//! A whole server on loopback, asked and updated by `dig` and `nsupdate`.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]

mod asking;
mod encrypted;
mod signed;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use dns::name::Name;
use dns::server::Server;
use dns::settings::{Access, Algorithm, Key, Pattern, Rule, Settings, Source, ZoneSettings};
use tokio::runtime::Runtime;

const SECRET: &[u8] = b"a secret that is long enough....";
const SECRET_TEXT: &str = "YSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaC4uLi4=";

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn settings(state: &Path) -> Settings {
    let apex = name("dyn.test");
    let file = state.join("dyn.test.zone");
    std::fs::create_dir_all(state).expect("a folder");
    std::fs::write(&file, "$TTL 60\n@ SOA ns admin 1 1 1 1 5\n NS ns\nns A 127.0.0.1\nwww A 192.0.2.1\n")
        .expect("written");
    let rule = Rule { key: name("k1"), names: vec![Pattern::Below(apex.clone())], types: None };
    let zone = ZoneSettings {
        apex,
        source: Source::Primary { file: Some(file) },
        transfer: Access::default(),
        notify: Vec::new(),
        update: vec![rule],
        aliases: Vec::new(),
        dnssec: None,
    };
    let key = |text: &str| Key { name: name(text), algorithm: Algorithm::HmacSha256, secret: SECRET.into() };
    Settings {
        listen: vec!["127.0.0.1:0".parse().expect("an address")],
        state: state.to_owned(),
        keys: vec![key("k1"), key("k2")],
        zones: vec![zone],
        ..Settings::default()
    }
}

/// A server of a test, and its folder, which goes with it.
struct Running {
    runtime: Runtime,
    server: Option<Server>,
    state: PathBuf,
    settings: Settings,
}

impl Running {
    fn start(test: &str) -> Self {
        Self::start_with(test, |_| ())
    }

    /// The same with settings changed.
    fn start_with(test: &str, change: impl FnOnce(&mut Settings)) -> Self {
        let state = std::env::temp_dir().join(format!("gatehouse-server-{}-{test}", std::process::id()));
        let mut settings = settings(&state);
        change(&mut settings);
        let mut running = Self { runtime: Runtime::new().expect("a runtime"), server: None, state, settings };
        running.begin();
        running
    }

    fn begin(&mut self) {
        self.server = Some(Server::start(self.settings.clone(), self.runtime.handle()).expect("started"));
    }

    fn end(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }

    fn server(&self) -> &Server {
        self.server.as_ref().expect("it runs")
    }

    fn address(&self) -> SocketAddr {
        self.server().addresses()[0]
    }

    fn dig(&self, arguments: &str) -> String {
        let port = self.address().port().to_string();
        let mut command = Command::new("dig");
        command.args(["@127.0.0.1", "-p", &port, "+tries=1", "+timeout=5"]).args(arguments.split(' '));
        text(&output(&mut command, "")).0
    }

    /// What `nsupdate` says to an update signed by a key; nothing when it was done.
    fn update(&self, key: &str, script: &str) -> String {
        let mut command = Command::new("nsupdate");
        command.args(["-t", "10", "-y", &format!("hmac-sha256:{key}:{SECRET_TEXT}")]);
        let script = format!("server 127.0.0.1 {}\n{script}\nsend\n", self.address().port());
        let (out, err) = text(&output(&mut command, &script));
        format!("{out}{err}")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

/// Waits for what happens by itself, within reason.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("never {what}");
}

fn output(command: &mut Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    child.wait_with_output().expect("it ended")
}

fn text(output: &Output) -> (String, String) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn an_update_is_done_served_and_kept() {
    let mut running = Running::start("kept");
    assert_eq!(running.dig("+short www.dyn.test A").trim(), "192.0.2.1");
    assert_eq!(running.update("k1", "update add new.dyn.test 60 A 192.0.2.7"), "");
    assert_eq!(running.dig("+short new.dyn.test A").trim(), "192.0.2.7");
    assert!(running.dig("dyn.test SOA +short").contains(" 2 1 1 1 5"), "{}", running.dig("dyn.test SOA"));
    assert_eq!(
        running.update(
            "k1",
            "prereq yxdomain new.dyn.test\nupdate delete new.dyn.test A\nupdate add n.dyn.test 60 A 192.0.2.8"
        ),
        ""
    );
    running.end();
    running.begin();
    assert!(running.dig("new.dyn.test A").contains("status: NXDOMAIN"));
    assert_eq!(running.dig("+short n.dyn.test A").trim(), "192.0.2.8");
    let status = running.server().status();
    assert_eq!((status.len(), status[0].serial.0, status[0].is_expired), (1, 3, false));
    assert!(status[0].journal.is_some_and(|size| size > 0));
}

#[test]
fn who_may_not_is_told_so() {
    let running = Running::start("refused");
    let add = "update add new.dyn.test 60 A 192.0.2.7";
    for (key, script, result) in [
        ("k2", add, "REFUSED"),
        ("k3", add, "NOTAUTH(BADKEY)"),
        ("k1", "zone other.test\nupdate add x.other.test 60 A 192.0.2.7", "NOTAUTH"),
        ("k1", "prereq nxdomain www.dyn.test\nupdate add new.dyn.test 60 A 192.0.2.7", "YXDOMAIN"),
        ("k1", "update add dyn.test 60 TXT x", "REFUSED"),
    ] {
        let said = running.update(key, script);
        assert!(said.contains(&format!("update failed: {result}")), "{key} {script}: {said}");
    }
    let mut wrong = Command::new("nsupdate");
    wrong.args(["-t", "10", "-y", "hmac-sha256:k1:bm90IHRoaXMgc2VjcmV0IGJ1dCBhbm90aGVyIG9uZS4="]);
    let script = format!("server 127.0.0.1 {}\n{add}\nsend\n", running.address().port());
    let (out, err) = text(&output(&mut wrong, &script));
    assert!(err.contains("BADSIG"), "{out}{err}");
    assert!(running.dig("new.dyn.test A").contains("status: NXDOMAIN"));
    let counts = running.server().counts();
    let count = |name: &str| counts.iter().find(|(known, _)| known == name).map(|(_, count)| *count);
    assert_eq!((count("updates"), count("updates_refused")), (Some(0), Some(4)));
    assert!(count("bad_signatures").is_some_and(|count| count >= 2));
}

#[test]
fn who_it_is_is_said_where_that_is_configured() {
    let silent = Running::start("nobody");
    let answer = silent.dig("+nsid id.server CH TXT");
    assert!(answer.contains("status: REFUSED") && !answer.contains("NSID"), "{answer}");
    let named = Running::start_with("named", |settings| settings.identity = Some("ns one".to_owned()));
    assert_eq!(named.dig("+short id.server CH TXT").trim(), "\"ns one\"");
    assert_eq!(named.dig("+short +tcp hostname.bind CH TXT").trim(), "\"ns one\"");
    assert!(named.dig("version.bind CH TXT").contains("status: REFUSED"));
    let key = format!("-y hmac-sha256:k1:{SECRET_TEXT}");
    for arguments in ["+nsid www.dyn.test A", "+nsid +tcp no.dyn.test A", &format!("{key} +nsid www.dyn.test A")] {
        let answer = named.dig(arguments);
        assert!(answer.contains("NSID: 6e 73 20 6f 6e 65 (\"ns one\")"), "{arguments}: {answer}");
    }
    assert!(!named.dig("www.dyn.test A").contains("NSID"));
}

#[test]
fn what_takes_time_is_limited_as_well_unless_it_is_signed() {
    let running = Running::start_with("limited", |settings| settings.rate = Some(1));
    let client = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut update = b"\x00\x07\x28\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    update.extend_from_slice(b"\x03dyn\x04test\x00\x00\x06\x00\x01");
    for _ in 0..50 {
        client.send_to(&update, running.address()).expect("sent");
    }
    let count = |name: &str| running.server().counts().into_iter().find(|(known, _)| known == name).expect("counted").1;
    // A second brings one more; half of the rest is answered, no longer than it was asked.
    until("all are refused", || count("updates_refused") == 50);
    assert!(count("slow_limited") >= 25, "{}", count("slow_limited"));
    assert_eq!(running.update("k1", "update add new.dyn.test 60 A 192.0.2.7"), "", "who signs is not limited");
}

#[test]
fn a_signed_query_gets_a_signed_answer() {
    let running = Running::start("signed");
    let key = format!("-y hmac-sha256:k1:{SECRET_TEXT}");
    let said = running.dig(&format!("{key} www.dyn.test A"));
    assert!(said.contains("192.0.2.1") && said.contains("NOERROR"), "{said}");
    assert!(said.contains("TSIG PSEUDOSECTION") && !said.contains("Couldn't verify"), "{said}");
    // Who looks for the zone of a name gets the start of authority, signed.
    let said = running.dig(&format!("{key} _acme-challenge.no.dyn.test SOA"));
    assert!(said.contains("NXDOMAIN") && said.contains("SOA\tns.dyn.test."), "{said}");
}

#[test]
fn other_settings_lose_no_query() {
    let running = Running::start("reload");
    let mut changed = settings(&running.state);
    changed.listen.push("127.0.0.2:0".parse().expect("an address"));
    changed.zones[0].update.clear();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| (0..20).all(|_| running.dig("+short www.dyn.test A").trim() == "192.0.2.1"));
        for _ in 0..20 {
            running.server().reload(&changed).expect("taken");
            running.server().reload(&settings(&running.state)).expect("taken");
        }
        assert!(asking.join().expect("no panic"));
    });
    running.server().reload(&changed).expect("taken");
    assert_eq!(running.server().addresses().len(), 2);
    assert!(running.update("k1", "update add new.dyn.test 60 A 192.0.2.7").contains("REFUSED"));
    // Of two at once one comes first.
    let before = running.settings.clone();
    for _ in 0..10 {
        std::thread::scope(|scope| {
            scope.spawn(|| running.server().reload(&before).expect("taken"));
            scope.spawn(|| running.server().reload(&changed).expect("taken"));
        });
        let settings = running.server().store().settings(name("dyn.test").as_ref()).expect("the zone");
        assert_eq!(running.server().addresses().len() == 2, settings.update.is_empty());
    }
    running.server().reload(&changed).expect("taken");
    changed.zones[0].source = Source::Primary { file: Some(running.state.join("none.zone")) };
    let error = running.server().reload(&changed).expect_err("there is no such file");
    assert!(error.to_string().contains("none.zone"), "{error}");
    assert_eq!(running.dig("+short www.dyn.test A").trim(), "192.0.2.1");
}
