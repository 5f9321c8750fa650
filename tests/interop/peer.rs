//! Other servers, run on loopback in folders of their own, and ways to look at what they do.

use std::fs;
use std::process::Command;

use super::folder::Folder;
use super::server::{KEYS, nsupdate};
use super::tools::{Background, free_port, wait_until};

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// BIND's `named`.
    Bind,
    /// Knot DNS's `knotd`.
    Knot,
    /// NSD.
    Nsd,
}

/// What the other server is to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has the zone from a file, and ours gets it from there.
    Primary,
    /// It gets the zone from ours.
    Secondary,
}

/// Another server that runs.
pub struct Peer {
    /// Where it listens.
    pub port: u16,
    make: Make,
    process: Background,
    folder: Folder,
}

/// Where the two are.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The other server.
    pub port: u16,
    /// Ours.
    pub ours: u16,
}

impl Ports {
    /// Two that nobody has.
    pub fn free() -> Self {
        Self { port: free_port(), ours: free_port() }
    }
}

impl Make {
    /// Its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Bind => "named",
            Self::Knot => "knotd",
            Self::Nsd => "nsd",
        }
    }
}

/// The zone as a file, large enough to tell a change from the whole: `more` are further lines.
pub fn zone_text(serial: u32, more: &str) -> String {
    let hosts: String = (0..20).map(|n| format!("host{n} A 192.0.2.{n}\n")).collect();
    format!(
        "$ORIGIN dyn.test.\n$TTL 60\n@ SOA ns1 admin {serial} 3600 600 86400 5\n NS ns1\nns1 A 127.0.0.1\n{hosts}{more}"
    )
}

impl Peer {
    /// Starts a server at `port` that is `role` to ours at the port `ours`.
    pub fn start(make: Make, role: Role, Ports { port, ours }: Ports) -> Self {
        let folder = Folder::new(make.program());
        fs::create_dir(folder.join("db")).unwrap();
        fs::write(folder.join("zone"), zone_text(1, "")).unwrap();
        let place = folder.display().to_string();
        let (config, arguments) = match make {
            Make::Bind => (bind(role, port, ours, &place), vec!["-g", "-d", "3", "-c"]),
            Make::Knot => (knot(role, port, ours, &place), vec!["-c"]),
            Make::Nsd => (nsd(role, port, ours, &place), vec!["-d", "-c"]),
        };
        let file = folder.join("config");
        fs::write(&file, config).unwrap();
        let mut command = Command::new(make.program());
        let process = Background::start(command.args(arguments).arg(&file).current_dir(&*folder), folder.join("log"));
        Self { port, make, process, folder }
    }

    /// Waits until it has written one of these.
    pub fn wait_for_log(&self, one_of: &[&str]) {
        let is_there = || one_of.iter().any(|text| self.log().contains(text));
        wait_until(is_there, || format!("{:?} never writes any of {one_of:?}:\n{}", self.make, self.log()));
    }

    /// The octets of each transfer, as NSD writes them.
    pub fn sizes(&self) -> Vec<usize> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains("received update to serial"));
        let size = |line: &str| line.rsplit_once(" bytes in ")?.0.rsplit_once(" of ")?.1.parse().ok();
        lines.filter_map(size).collect()
    }

    /// Gives a primary another version of the zone: by an update, or by another file for who takes none.
    pub fn change(&self, serial: u32, host: &str, address: &str) {
        if self.make == Make::Nsd {
            fs::write(self.folder.join("zone"), zone_text(serial, &format!("{host} A {address}\n"))).unwrap();
            return self.signal("HUP");
        }
        let said = nsupdate(self.port, &format!("update add {host}.dyn.test 60 A {address}"));
        assert!(said.is_success, "{said:?}\n{}", self.log());
    }

    fn log(&self) -> String {
        self.process.log()
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([format!("-{signal}"), self.process.child.id().to_string()]).status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {:?}\n{}", self.make, self.log());
        }
        // An orderly end, as some have processes of their own to end.
        let _ = Command::new("kill").args(["-TERM", &self.process.child.id().to_string()]).status();
        let _ = self.process.child.wait();
    }
}

fn bind(role: Role, port: u16, ours: u16, place: &str) -> String {
    let (algorithm, key, secret) = KEYS[0];
    let (file, zone) = match role {
        Role::Primary => (
            "zone",
            format!(
                "type primary; allow-transfer {{ key {key}; }}; allow-update {{ key {key}; }}; notify explicit;\n\
                 also-notify {{ 127.0.0.1 port {ours} key {key}; }};"
            ),
        ),
        Role::Secondary => (
            "copy",
            format!("type secondary; primaries {{ 127.0.0.1 port {ours} key {key}; }}; masterfile-format text;"),
        ),
    };
    format!(
        "key {key} {{ algorithm {algorithm}; secret \"{secret}\"; }};\n\
         options {{ directory \"{place}\"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }};\n\
         listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; allow-query {{ any; }}; notify-delay 0; }};\n\
         controls {{ }};\nserver 127.0.0.1 {{ keys {{ {key}; }}; }};\n\
         zone \"dyn.test\" {{ file \"{place}/{file}\"; {zone} }};\n"
    )
}

fn knot(role: Role, port: u16, ours: u16, place: &str) -> String {
    let (algorithm, key, secret) = KEYS[0];
    let zone = match role {
        Role::Primary => format!("file: {place}/zone\n    notify: ours\n    acl: all\n    zonefile-sync: -1"),
        Role::Secondary => format!("file: {place}/copy\n    master: ours\n    acl: told"),
    };
    format!(
        "server:\n  rundir: {place}\n  listen: 127.0.0.1@{port}\n\
         log:\n  - target: stdout\n    any: debug\ndatabase:\n  storage: {place}/db\n\
         key:\n  - id: {key}\n    algorithm: {algorithm}\n    secret: {secret}\n\
         remote:\n  - id: ours\n    address: 127.0.0.1@{ours}\n    key: {key}\n\
         acl:\n  - id: all\n    key: {key}\n    action: [transfer, update]\n\
         \x20 - id: told\n    key: {key}\n    action: notify\n\
         zone:\n  - domain: dyn.test\n    {zone}\n"
    )
}

fn nsd(role: Role, port: u16, ours: u16, place: &str) -> String {
    let (algorithm, key, secret) = KEYS[0];
    let zone = match role {
        Role::Primary => format!(
            "zonefile: {place}/zone\n  notify: 127.0.0.1@{ours} {key}\n  provide-xfr: 127.0.0.1 {key}\n  \
             store-ixfr: yes\n  create-ixfr: yes"
        ),
        Role::Secondary => {
            format!("zonefile: {place}/copy\n  request-xfr: 127.0.0.1@{ours} {key}\n  allow-notify: 127.0.0.1 {key}")
        }
    };
    format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: {place}\n  database: \"\"\n  \
         pidfile: {place}/pid\n  xfrdfile: {place}/xfrd\n  zonelistfile: {place}/list\n  xfrdir: {place}\n  verbosity: 3\n  \
         server-count: 1\n  rrl-ratelimit: 0\n  xfrd-reload-timeout: 0\nremote-control:\n  control-enable: no\n\
         key:\n  name: {key}\n  algorithm: {algorithm}\n  secret: {secret}\nzone:\n  name: dyn.test\n  {zone}\n"
    )
}
