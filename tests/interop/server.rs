//! One `gatehouse dns serve` with a folder and ports of its own, and what the tests ask it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::folder::Folder;
use super::tools::{Background, Said, free_port, run, wait_until};

/// The program under test.
const GATEHOUSE: &str = env!("CARGO_BIN_EXE_gatehouse");

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

/// The records that the zone begins with.
pub const SEED: &str = "\
$TTL 300
@       SOA ns1 admin 1 3600 600 86400 60
        NS  ns1
ns1     A   127.0.0.1
two     A   10.1.1.1
        A   10.1.1.2
";

/// The zone `dyn.test`, which begins with the seed and may be transferred with the first key.
pub const ZONE: &str =
    "[[dns.zone]]\nname = \"dyn.test\"\nfile = \"FOLDER/dyn.test.zone\"\ntransfer = { keys = [\"k256\"] }\n";

/// What a server is to be.
pub struct Setup {
    /// Where DNS is answered.
    pub port: u16,
    /// The zone file.
    pub seed: String,
    /// Other files, by name.
    pub files: Vec<(&'static str, String)>,
    /// What the configuration has after the keys. `FOLDER` stands for the server's folder.
    pub rest: String,
}

impl Default for Setup {
    /// The zone `dyn.test`, which the first three keys may change at will.
    fn default() -> Self {
        Self { port: free_port(), seed: SEED.to_owned(), files: Vec::new(), rest: format!("{ZONE}{}", rules()) }
    }
}

/// The rules under a zone that let the first three keys do everything, and the fourth answer challenges.
pub fn rules() -> String {
    let all = |(_, name, _): &(_, &str, _)| {
        format!("[[dns.zone.update]]\nkey = \"{name}\"\nnames = [\"@\", \"*\"]\ntypes = [\"any\"]\n")
    };
    let acme = "[[dns.zone.update]]\nkey = \"acme\"\nnames = [\"_acme-challenge.dyn.test\"]\ntypes = [\"TXT\"]\n";
    KEYS[..3].iter().map(all).collect::<String>() + acme
}

/// The server while it runs; it is killed when this is dropped.
pub struct Server {
    /// Where DNS is answered, over UDP and TCP.
    pub port: u16,
    /// What starts the server where it is not started as it is: a command that ends with it.
    wrapper: Vec<String>,
    process: Background,
    /// Where it has its files; it goes after the process.
    folder: Folder,
}

impl Server {
    /// Starts one with the zone `dyn.test`, which the first three keys may change at will, and waits until it answers.
    pub fn start() -> Self {
        Self::start_as(Setup::default())
    }

    /// Starts one, and waits until it answers.
    pub fn start_as(setup: Setup) -> Self {
        Self::start_in(setup, &[])
    }

    /// The usual one by a command that runs the one that is appended to it, in its place or as its only child. `FOLDER`
    /// stands for the server's folder.
    pub fn start_by(wrapper: &[&str]) -> Self {
        Self::start_in(Setup::default(), wrapper)
    }

    fn start_in(setup: Setup, wrapper: &[&str]) -> Self {
        let Setup { port, seed, files, rest } = setup;
        let folder = Folder::new("ours");
        let place = folder.display().to_string();
        let head = format!(
            "name = \"ns\"\nstate = \"{place}/state\"\ncontrol = \"{place}/control.sock\"\n\n\
             [dns]\nlisten = [\"127.0.0.1:{port}\"]\n\n{}",
            keys()
        );
        for (name, text) in files.into_iter().chain([("dyn.test.zone", seed)]) {
            let file = folder.join(name);
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::write(folder.join("gatehouse.toml"), head + &rest.replace("FOLDER", &place)).unwrap();
        let wrapper: Vec<String> = wrapper.iter().map(|word| word.replace("FOLDER", &place)).collect();
        let process = spawn(&folder, &wrapper);
        let server = Self { port, wrapper, process, folder };
        server.wait_until_up();
        server
    }

    /// Kills it as the kernel would, and starts it again.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    /// Kills it as the kernel would.
    pub fn kill(&mut self) {
        kill(self.pid());
        self.process.child.wait().unwrap();
    }

    /// Starts it after it was killed, by whomever.
    pub fn restart(&mut self) {
        self.process.child.wait().unwrap();
        self.process = spawn(&self.folder, &self.wrapper);
        self.wait_until_up();
    }

    /// Waits until its zones are open: the daemon answers before.
    pub fn wait_until_up(&self) {
        let is_up = || self.cli(&["dns", "zones"]).out.contains("dyn.test");
        wait_until(is_up, || format!("the server does not come up:\n{}", self.log()));
    }

    /// What a server says that cannot start with this configuration in the folder of this one.
    pub fn fails_to_start(&self, configuration: &str) -> String {
        let said = run(GATEHOUSE, &["dns", "serve", "--config", &self.path(configuration)], "");
        assert_eq!(said.code, Some(1), "{said:?}");
        said.error
    }

    /// The process that serves: what was started, or its only child.
    pub fn pid(&self) -> u32 {
        let children = format!("/proc/{0}/task/{0}/children", self.process.child.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        children.split_whitespace().next().map_or(self.process.child.id(), |pid| pid.parse().unwrap())
    }

    /// A file in its folder, written now.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Runs `gatehouse` against its daemon.
    pub fn cli(&self, arguments: &[&str]) -> Said {
        self.cli_with(arguments, "")
    }

    /// Runs `gatehouse` against its daemon, with this on its standard input.
    pub fn cli_with(&self, arguments: &[&str], input: &str) -> Said {
        run(GATEHOUSE, &[arguments, &["--control", &self.path("control.sock")]].concat(), input)
    }

    /// What a command that succeeds prints with `--json`.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let said = self.cli(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:?}");
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
    }

    /// What `dig` finds, sorted, one record's data a line.
    pub fn dig(&self, name: &str, rtype: &str) -> Vec<String> {
        dig(self.port, name, rtype)
    }

    /// The zone's serial.
    pub fn serial(&self) -> u32 {
        let soa = self.dig("dyn.test", "SOA");
        soa[0].split(' ').nth(2).unwrap().parse().unwrap()
    }

    /// Waits until `dig` finds exactly this.
    pub fn wait_for(&self, name: &str, rtype: &str, expected: &[&str]) {
        wait_for(self.port, name, rtype, expected);
    }

    /// Has `nsupdate` do something in `dyn.test` with the first key.
    pub fn update(&self, script: &str) {
        let said = nsupdate(self.port, script);
        assert!(said.is_success, "{script}: {said:?}");
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.wrapper.is_empty() && matches!(self.process.child.try_wait(), Ok(None)) {
            kill(self.pid());
        }
        if std::thread::panicking() {
            eprintln!("--- the server said:\n{}", self.log());
        }
    }
}

/// Ends a process at once.
pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// What `dig` finds at a port, sorted, one record's data a line.
pub fn dig(port: u16, name: &str, rtype: &str) -> Vec<String> {
    let port = port.to_string();
    let said = run("dig", &["@127.0.0.1", "-p", &port, "+short", "+tries=3", "+time=1", name, rtype], "");
    let mut lines: Vec<String> = said.out.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Waits until `dig` finds exactly this at a port.
pub fn wait_for(port: u16, name: &str, rtype: &str, expected: &[&str]) {
    let found = || dig(port, name, rtype);
    wait_until(|| found() == expected, || format!("{name} {rtype} is {:?}, not {expected:?}", found()));
}

/// Has `nsupdate` do something in `dyn.test` with the first key.
pub fn nsupdate(port: u16, script: &str) -> Said {
    let input = format!("server 127.0.0.1 {port}\nzone dyn.test\n{script}\nsend\n");
    run("nsupdate", &["-y", &key()], &input)
}

/// The first key in one word.
pub fn key() -> String {
    let (algorithm, name, secret) = KEYS[0];
    format!("{algorithm}:{name}:{secret}")
}

fn keys() -> String {
    let table = |(algorithm, name, secret): &(&str, &str, &str)| {
        format!("[[dns.key]]\nname = \"{name}\"\nalgorithm = \"{algorithm}\"\nsecret = {{ base64 = \"{secret}\" }}\n\n")
    };
    KEYS.iter().map(table).collect()
}

fn spawn(folder: &Folder, wrapper: &[String]) -> Background {
    let words = wrapper.iter().map(String::as_str).chain([GATEHOUSE, "dns", "serve", "--config"]);
    let mut words = words.map(Path::new);
    let mut command = Command::new(words.next().unwrap());
    Background::start(command.args(words).arg(folder.join("gatehouse.toml")), folder.join("log"))
}
