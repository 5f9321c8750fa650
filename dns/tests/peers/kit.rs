//! Other servers, run on loopback in folders of their own, and ways to look at what they do.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dns::client::{Credentials, Server};
use dns::name::Name;
use dns::record::Rtype;
use dns::settings::{Algorithm, Key};
use tokio::time::{sleep, timeout};

/// The zone of all tests.
pub const ZONE: &str = "dyn.test";
/// Nothing that works takes longer on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

const SECRET: &[u8] = b"a secret that is long enough....";
const SECRET_TEXT: &str = "YSBzZWNyZXQgdGhhdCBpcyBsb25nIGVub3VnaC4uLi4=";

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
    pub address: SocketAddr,
    make: Make,
    folder: Folder,
    child: Child,
}

/// A folder that goes when the test ends.
pub struct Folder(pub PathBuf);

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// The key of all tests.
pub fn key() -> Key {
    Key { name: name("k1"), algorithm: Algorithm::HmacSha256, secret: SECRET.into() }
}

/// Whether the server is here.
pub fn is_here(make: Make) -> bool {
    is_installed(make.program())
}

/// Whether a program is here. What is missing is said loudly, and is a failure where tests are to be complete.
pub fn is_installed(program: &str) -> bool {
    if find(program).is_some() {
        return true;
    }
    assert!(std::env::var("LAB").as_deref() != Ok("require"), "{program} is not installed");
    eprintln!("{program} is not installed: this test says nothing");
    false
}

/// Daemons live in sbin, which is not in every user's path.
fn find(program: &str) -> Option<PathBuf> {
    let folders = ["/usr/local/sbin", "/usr/sbin", "/usr/local/bin", "/usr/bin"];
    folders.iter().map(|folder| Path::new(folder).join(program)).find(|path| path.exists())
}

/// A port that was free for UDP and TCP a moment ago.
pub fn free_address() -> SocketAddr {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = tcp.local_addr().expect("an address");
        if UdpSocket::bind(address).is_ok() {
            return address;
        }
    }
}

/// Asks until the answer is as wanted.
pub async fn wait_for(address: SocketAddr, host: &str, wanted: &[u8]) {
    let server = Server { address, credentials: Credentials::None };
    let owner = name(&format!("{host}.{ZONE}"));
    let asking = async {
        loop {
            let records = server.query(owner.as_ref(), Rtype::A).await.unwrap_or_default();
            if records.iter().any(|record| *record.rdata == *wanted) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{address} never says that {owner} is {wanted:?}"));
}

impl Make {
    fn program(self) -> &'static str {
        match self {
            Self::Bind => "named",
            Self::Knot => "knotd",
            Self::Nsd => "nsd",
        }
    }
}

impl Folder {
    pub fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("gatehouse-peers-{}-{count}-{what}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The zone as a file: `more` are further lines.
pub fn zone_text(serial: u32, more: &str) -> String {
    let hosts: String = (0..20).map(|n| format!("host{n} A 192.0.2.{n}\n")).collect();
    format!("$ORIGIN {ZONE}.\n$TTL 60\n@ SOA ns admin {serial} 3600 600 86400 5\n NS ns\nns A 127.0.0.1\n{hosts}{more}")
}

impl Peer {
    /// Starts a server that is `role` to ours at `ours`.
    pub fn start(make: Make, role: Role, ours: SocketAddr) -> Self {
        let folder = Folder::new(&format!("{make:?}-{role:?}").to_lowercase());
        let address = free_address();
        fs::create_dir(folder.0.join("db")).expect("a folder");
        fs::write(folder.0.join("zone"), zone_text(1, "")).expect("written");
        let place = folder.0.display().to_string();
        let (config, arguments) = match make {
            Make::Bind => (bind(role, address, ours, &place), vec!["-g", "-d", "3", "-c"]),
            Make::Knot => (knot(role, address, ours, &place), vec!["-c"]),
            Make::Nsd => (nsd(role, address, ours, &place), vec!["-d", "-c"]),
        };
        let file = folder.0.join("config");
        fs::write(&file, config).expect("written");
        let log = fs::File::create(folder.0.join("log")).expect("a log");
        let program = find(make.program()).expect("it is here");
        let child = Command::new(&program)
            .args(arguments)
            .arg(&file)
            .current_dir(&folder.0)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { address, make, folder, child }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.0.join("log")).unwrap_or_default()
    }

    /// Waits until it has written one of these.
    pub async fn wait_for_log(&self, one_of: &[&str]) {
        let looking = async {
            while !one_of.iter().any(|text| self.log().contains(text)) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let found = timeout(PATIENCE, looking).await;
        assert!(found.is_ok(), "{:?} never writes any of {one_of:?}:\n{}", self.make, self.log());
    }

    /// The octets of each transfer, as NSD writes them.
    pub fn sizes(&self) -> Vec<usize> {
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains("received update to serial"));
        let size = |line: &str| line.rsplit_once(" bytes in ")?.0.rsplit_once(" of ")?.1.parse().ok();
        lines.filter_map(size).collect()
    }

    /// Gives a primary another version of the zone: by an update, or by another file for who takes none.
    pub async fn change(&self, serial: u32, host: &str, address: [u8; 4]) {
        if self.make == Make::Nsd {
            let [a, b, c, d] = address;
            let text = zone_text(serial, &format!("{host} A {a}.{b}.{c}.{d}\n"));
            fs::write(self.folder.0.join("zone"), text).expect("written");
            return self.signal("HUP");
        }
        let record = dns::record::Record {
            name: name(&format!("{host}.{ZONE}")),
            rtype: Rtype::A,
            ttl: 60,
            rdata: address.into(),
        };
        let server = Server { address: self.address, credentials: Credentials::Shared(key()) };
        server.update(&add(record)).await.unwrap_or_else(|error| panic!("{error}:\n{}", self.log()));
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {:?}\n{}", self.make, self.log());
        }
        // An orderly end, as some have processes of their own to end.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

/// An update that adds a record.
pub fn add(record: dns::record::Record) -> dns::update::Update {
    let operations = vec![dns::update::Operation::Add(record)];
    dns::update::Update { zone: name(ZONE), prerequisites: Vec::new(), operations, lease: None }
}

fn bind(role: Role, address: SocketAddr, ours: SocketAddr, place: &str) -> String {
    let (port, ours) = (address.port(), ours.port());
    let zone = match role {
        Role::Primary => format!(
            "type primary; allow-transfer {{ key k1; }}; allow-update {{ key k1; }}; notify explicit;\n\
             also-notify {{ 127.0.0.1 port {ours} key k1; }};"
        ),
        Role::Secondary => {
            format!("type secondary; primaries {{ 127.0.0.1 port {ours} key k1; }}; masterfile-format text;")
        }
    };
    format!(
        "key k1 {{ algorithm hmac-sha256; secret \"{SECRET_TEXT}\"; }};\n\
         options {{ directory \"{place}\"; pid-file none; session-keyfile none; listen-on port {port} {{ 127.0.0.1; }};\n\
         listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; allow-query {{ any; }}; notify-delay 0; }};\n\
         controls {{ }};\nserver 127.0.0.1 {{ keys {{ k1; }}; }};\nzone \"{ZONE}\" {{ file \"{place}/{file}\"; {zone} }};\n",
        file = if role == Role::Primary { "zone" } else { "copy" },
    )
}

fn knot(role: Role, address: SocketAddr, ours: SocketAddr, place: &str) -> String {
    let (port, ours) = (address.port(), ours.port());
    let zone = match role {
        Role::Primary => format!("file: {place}/zone\n    notify: ours\n    acl: all\n    zonefile-sync: -1"),
        Role::Secondary => format!("file: {place}/copy\n    master: ours\n    acl: told"),
    };
    format!(
        "server:\n  rundir: {place}\n  listen: 127.0.0.1@{port}\n\
         log:\n  - target: stdout\n    any: debug\ndatabase:\n  storage: {place}/db\n\
         key:\n  - id: k1\n    algorithm: hmac-sha256\n    secret: {SECRET_TEXT}\n\
         remote:\n  - id: ours\n    address: 127.0.0.1@{ours}\n    key: k1\n\
         acl:\n  - id: all\n    key: k1\n    action: [transfer, update]\n  - id: told\n    key: k1\n    action: notify\n\
         zone:\n  - domain: {ZONE}\n    {zone}\n"
    )
}

fn nsd(role: Role, address: SocketAddr, ours: SocketAddr, place: &str) -> String {
    let (port, ours) = (address.port(), ours.port());
    let zone = match role {
        Role::Primary => format!(
            "zonefile: {place}/zone\n  notify: 127.0.0.1@{ours} k1\n  provide-xfr: 127.0.0.1 k1\n  store-ixfr: yes\n  \
             create-ixfr: yes"
        ),
        Role::Secondary => {
            format!("zonefile: {place}/copy\n  request-xfr: 127.0.0.1@{ours} k1\n  allow-notify: 127.0.0.1 k1")
        }
    };
    format!(
        "server:\n  ip-address: 127.0.0.1@{port}\n  username: \"\"\n  chroot: \"\"\n  zonesdir: {place}\n  database: \"\"\n  \
         pidfile: {place}/pid\n  xfrdfile: {place}/xfrd\n  zonelistfile: {place}/list\n  xfrdir: {place}\n  verbosity: 3\n  \
         server-count: 1\n  rrl-ratelimit: 0\n  xfrd-reload-timeout: 0\nremote-control:\n  control-enable: no\n\
         key:\n  name: k1\n  algorithm: hmac-sha256\n  secret: {SECRET_TEXT}\nzone:\n  name: {ZONE}\n  {zone}\n"
    )
}
