//! One `gatehouse dns serve` with a folder and ports of its own, and what the tests ask it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use gatehouse::clock;

use super::tools::{Said, run};

/// Nothing that works takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// Each algorithm with its key's name and secret, in the order of the configuration.
pub const KEYS: [(&str, &str, &str); 4] = [
    ("hmac-sha256", "k256", "c2l4dGVlbiBvY3RldHMgYW5kIGEgZmV3IG1vcmU="),
    ("hmac-sha384", "k384", "dGhpcyBvbmUgaXMgbG9uZ2VyLCBzaW5jZSBpdHMgZGlnZXN0IGlzIGxvbmdlciB0b28u"),
    (
        "hmac-sha512",
        "k512",
        "YW5kIHRoaXMgb25lIGlzIHRoZSBsb25nZXN0IG9mIHRoZSB0aHJlZSwgYXMgaXMgaXRzIGRpZ2VzdCBvZiA2NCBvY3RldHMu",
    ),
    ("hmac-sha256", "acme", "b25seSBmb3IgdGhlIGNoYWxsZW5nZXMgb2YgQUNNRS4="),
];

/// The server while it runs; it is killed when this is dropped.
pub struct Server {
    folder: PathBuf,
    /// Where DNS is answered, over UDP and TCP.
    pub port: u16,
    /// Where dyndns2 is.
    pub http: u16,
    child: Child,
}

impl Server {
    /// Starts one with the zone `dyn.test`, which the first three keys may change at will, and waits until it answers.
    pub fn start() -> Self {
        let (port, http) = (free_port(), free_port());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("interop-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("dyn.test.zone"), SEED).unwrap();
        fs::write(folder.join("gatehouse.toml"), configuration(&folder, port, http)).unwrap();
        let child = spawn(&folder);
        let server = Self { folder, port, http, child };
        server.wait_until_up();
        server
    }

    /// Kills it as the kernel would, and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.folder);
        self.wait_until_up();
    }

    /// A file in its folder, written now.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// What `dig` finds, sorted, one record's data a line.
    pub fn dig(&self, name: &str, rtype: &str) -> Vec<String> {
        let Said { out, .. } = self.ask(name, rtype);
        let mut lines: Vec<String> = out.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// The zone's serial.
    pub fn serial(&self) -> u32 {
        let soa = self.dig("dyn.test", "SOA");
        soa[0].split(' ').nth(2).unwrap().parse().unwrap()
    }

    /// Waits until `dig` finds exactly this.
    pub fn wait_for(&self, name: &str, rtype: &str, expected: &[&str]) {
        let deadline = clock::now() + PATIENCE;
        while self.dig(name, rtype) != expected {
            assert!(clock::now() < deadline, "{name} {rtype} is {:?}, not {expected:?}", self.dig(name, rtype));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask(&self, name: &str, rtype: &str) -> Said {
        let port = self.port.to_string();
        run("dig", &["@127.0.0.1", "-p", &port, "+short", "+tries=3", "+time=1", name, rtype], "")
    }

    fn wait_until_up(&self) {
        let deadline = clock::now() + PATIENCE;
        while !self.ask("dyn.test", "SOA").out.contains("ns1.dyn.test.") {
            assert!(clock::now() < deadline, "the server does not answer:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the server said:\n{}", self.log());
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The records that the zone begins with.
const SEED: &str = "\
$TTL 300
@       SOA ns1 admin 1 3600 600 86400 60
        NS  ns1
ns1     A   127.0.0.1
two     A   10.1.1.1
        A   10.1.1.2
";

fn configuration(folder: &Path, port: u16, http: u16) -> String {
    let folder = folder.display();
    let keys: String = KEYS
        .iter()
        .map(|(algorithm, name, secret)| {
            format!(
                "[[dns.key]]\nname = \"{name}\"\nalgorithm = \"{algorithm}\"\nsecret = {{ base64 = \"{secret}\" }}\n\n"
            )
        })
        .collect();
    let rules: String = KEYS[..3]
        .iter()
        .map(|(_, name, _)| {
            format!("[[dns.zone.update]]\nkey = \"{name}\"\nnames = [\"@\", \"*\"]\ntypes = [\"any\"]\n\n")
        })
        .collect();
    format!(
        "name = \"ns\"\nstate = \"{folder}/state\"\ncontrol = \"{folder}/control.sock\"\n\n\
         [dns]\nlisten = [\"127.0.0.1:{port}\"]\n\n\
         [dns.dyndns2]\nlisten = [\"127.0.0.1:{http}\"]\n\n{keys}\
         [[dns.zone]]\nname = \"dyn.test\"\nfile = \"{folder}/dyn.test.zone\"\ntransfer = {{ keys = [\"k256\"] }}\n\n{rules}\
         [[dns.zone.update]]\nkey = \"acme\"\nnames = [\"_acme-challenge.dyn.test\"]\ntypes = [\"TXT\"]\n"
    )
}

fn spawn(folder: &Path) -> Child {
    let log = fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    Command::new(env!("CARGO_BIN_EXE_gatehouse"))
        .args(["dns", "serve", "--config"])
        .arg(folder.join("gatehouse.toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// A port that nobody has over UDP or TCP, or had a moment ago.
fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}
