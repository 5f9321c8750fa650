//! The real daemon when something takes its time or goes wrong: its zones, a reload, its start.
//!
//! A zone file that is a pipe is read for as long as the test likes, so nothing here depends on luck. The member watches an
//! interface that does not exist: it needs no privilege, and sends nothing.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/program.rs"]
mod program;
#[path = "common/wait.rs"]
mod wait;

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use folder::Folder;
use gatehouse::clock;
use program::{gatehouse, text};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use wait::wait_until;

/// Nothing that works takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);

/// A member that only watches, and where.
const MEMBER: &str = "[lan]\ninterface = \"gh-none\"\nrole = \"observer\"\nkey = { passphrase = \"a site of its own\" }\n\n\
                      [dmz]\naddress = [\"192.168.77.11/24\"]\n\n";

/// A zone file.
const ZONE: &str = "@ 300 SOA ns1 admin 1 3600 600 86400 60\n@ 300 NS ns1\nns1 300 A 127.0.0.1\n";

/// What the service manager does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manager {
    Listens,
    /// It takes no message.
    StandsStill,
}

/// One daemon with a folder of its own; it is killed when this is dropped.
struct Daemon {
    folder: Folder,
    child: Child,
    notices: UnixDatagram,
}

impl Daemon {
    /// Starts `gatehouse <command> --config gatehouse.toml` in a folder with this configuration and what `prepare` puts
    /// there.
    fn start(command: &[&str], configuration: &str, prepare: impl FnOnce(&Path)) -> Daemon {
        Daemon::start_under(Manager::Listens, command, configuration, prepare)
    }

    fn start_under(manager: Manager, command: &[&str], configuration: &str, prepare: impl FnOnce(&Path)) -> Daemon {
        let folder = Folder::new("daemon");
        prepare(&folder);
        configure(&folder, configuration);
        let notify = folder.join("notify");
        let notices = UnixDatagram::bind(&notify).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        if manager == Manager::StandsStill {
            let other = UnixDatagram::unbound().unwrap();
            other.set_nonblocking(true).unwrap();
            while other.send_to(b"STATUS=full", &notify).is_ok() {}
        }
        let log = File::create(folder.join("log")).unwrap();
        let child = gatehouse(&folder, command)
            .args(["--config", "gatehouse.toml"])
            .env("NOTIFY_SOCKET", notify)
            .env("WATCHDOG_USEC", "400000")
            .stderr(log)
            .spawn()
            .unwrap();
        Daemon { folder, child, notices }
    }

    /// Waits until systemd is told this.
    fn hear(&self, words: &str) {
        let deadline = clock::now() + PATIENCE;
        let mut buffer = [0; 4096];
        loop {
            let len = self.notices.recv(&mut buffer).unwrap_or_else(|error| panic!("{words}: {error}\n{}", self.log()));
            if String::from_utf8_lossy(&buffer[..len]).contains(words) {
                return;
            }
            assert!(clock::now() < deadline, "systemd is never told {words}\n{}", self.log());
        }
    }

    /// Forgets what systemd was told so far.
    fn forget(&self) {
        self.notices.set_nonblocking(true).unwrap();
        while self.notices.recv(&mut [0; 4096]).is_ok() {}
        self.notices.set_nonblocking(false).unwrap();
    }

    /// The daemon lives: from now on it tells systemd so again and again.
    fn lives(&self) {
        self.forget();
        (0..3).for_each(|_| self.hear("WATCHDOG=1"));
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        gatehouse(&self.folder, arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.ask(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}\n{}", self.log());
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn zones(&self) -> Vec<String> {
        let zones = self.json(&["dns", "zones", "--json"]);
        zones.as_array().unwrap().iter().map(|zone| zone["name"].as_str().unwrap().to_owned()).collect()
    }

    /// Ends it as a service manager does; its exit code.
    fn end(&mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let (child, folder) = (&mut self.child, &self.folder);
        let has_ended = || child.try_wait().unwrap().is_some();
        wait_until(PATIENCE, has_ended, || format!("SIGTERM does not end it\n{}", log(folder)));
        self.child.wait().unwrap().code()
    }

    /// Waits until something is so.
    fn wait_until(&self, is_so: impl FnMut() -> bool) {
        wait_until(PATIENCE, is_so, || self.log());
    }

    fn log(&self) -> String {
        log(&self.folder)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a daemon has written so far.
fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn configure(folder: &Path, configuration: &str) {
    let head = "name = \"attic\"\nstate = \"state\"\ncontrol = \"control.sock\"\n\n";
    fs::write(folder.join("gatehouse.toml"), format!("{head}{configuration}")).unwrap();
}

/// `[dns]` at an address with these lines, and zones of these names in files of these names.
fn dns(host: Ipv4Addr, lines: &str, zones: &[&str]) -> String {
    let zone = |name: &&str| format!("[[dns.zone]]\nname = \"{name}\"\nfile = \"{name}\"\n\n");
    format!("[dns]\nlisten = [\"{host}:5300\"]\n{lines}\n\n{}", zones.iter().map(zone).collect::<String>())
}

/// An address of this machine that nobody else uses.
fn host() -> Ipv4Addr {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let [_, _, a, b] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, a.max(1), b, COUNT.fetch_add(1, Ordering::Relaxed))
}

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

/// Waits until the daemon reads this pipe; it goes on reading until this is dropped.
fn being_read(path: &Path) -> File {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
    let mut writer = None;
    let is_read = || match File::options().write(true).custom_flags(flags).open(path) {
        Ok(open) => {
            writer = Some(open);
            true
        }
        Err(error) => {
            assert!(error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()), "{error}");
            false
        }
    };
    wait_until(PATIENCE, is_read, || format!("nobody reads {}", path.display()));
    writer.unwrap()
}

#[test]
fn a_member_whose_zones_are_slow_to_read_answers_lives_and_ends() {
    let configuration = format!("{MEMBER}{}", dns(host(), "", &["slow.test"]));
    let mut daemon = Daemon::start(&["run"], &configuration, |folder| pipe(&folder.join("slow.test")));
    daemon.hear("READY=1");
    let _writer = being_read(&daemon.folder.join("slow.test"));
    daemon.lives();
    let warnings = daemon.json(&["status", "--json"])["warnings"].to_string();
    assert!(warnings.contains("zones are being read"), "{warnings}");
    let status = daemon.json(&["dns", "status", "--json"]);
    assert_eq!((status["listen"].to_string(), status["zones"].to_string()), ("[]".into(), "[]".into()), "{status}");
    assert_eq!(daemon.end(), Some(0), "{}", daemon.log());
}

#[test]
fn dns_alone_is_ready_when_its_zones_are_read_and_can_be_asked_before() {
    let slow = |folder: &Path| pipe(&folder.join("slow.test"));
    let mut daemon = Daemon::start(&["dns", "serve"], &dns(host(), "", &["slow.test"]), slow);
    let mut writer = being_read(&daemon.folder.join("slow.test"));
    daemon.lives();
    daemon.hear("EXTEND_TIMEOUT_USEC=");
    let status = daemon.json(&["dns", "status", "--json"]);
    assert!(status["warnings"].to_string().contains("zones are being read"), "{status}");
    assert_eq!(status["config"], daemon.folder.join("gatehouse.toml").to_str().unwrap(), "others can find it");
    daemon.forget();
    writer.write_all(ZONE.as_bytes()).unwrap();
    drop(writer);
    daemon.hear("READY=1\nSTATUS=serving 1 zone at ");
    assert_eq!(daemon.json(&["dns", "status", "--json"])["warnings"].to_string(), "[]");
    assert_eq!(daemon.zones(), ["slow.test"]);
    assert_eq!(daemon.end(), Some(0), "{}", daemon.log());
}

#[test]
fn dns_alone_ends_while_its_zones_are_read() {
    let slow = |folder: &Path| pipe(&folder.join("slow.test"));
    let mut daemon = Daemon::start(&["dns", "serve"], &dns(host(), "", &["slow.test"]), slow);
    let _writer = being_read(&daemon.folder.join("slow.test"));
    assert_eq!(daemon.end(), Some(0), "{}", daemon.log());
    assert!(!daemon.folder.join("control.sock").exists());
}

#[test]
fn a_reload_that_reads_slowly_holds_nobody_up_and_is_answered_when_it_is_done() {
    for (command, site) in [(&["run"][..], MEMBER), (&["dns", "serve"], "")] {
        let host = host();
        let mut daemon = Daemon::start(command, &format!("{site}{}", dns(host, "", &["quick.test"])), |folder| {
            fs::write(folder.join("quick.test"), ZONE).unwrap();
            pipe(&folder.join("slow.test"));
        });
        daemon.hear("READY=1");
        let both = format!("{site}{}", dns(host, "", &["quick.test", "slow.test"]));
        let reload = |daemon: &Daemon| {
            gatehouse(&daemon.folder, &["reload"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };

        configure(&daemon.folder, &both);
        let asked = reload(&daemon);
        let mut writer = being_read(&daemon.folder.join("slow.test"));
        daemon.lives();
        assert_eq!(daemon.zones(), ["quick.test"]);
        writer.write_all(ZONE.as_bytes()).unwrap();
        drop(writer);
        let done = asked.wait_with_output().unwrap();
        assert!(done.status.success(), "{}\n{}", text(&done.stderr), daemon.log());
        assert_eq!(daemon.zones(), ["quick.test", "slow.test"]);

        // Once more, with SIGTERM before the end of it. The journal has nothing, so the file is read again.
        configure(&daemon.folder, &format!("{site}{}", dns(host, "", &["quick.test"])));
        assert!(daemon.ask(&["reload"]).status.success());
        configure(&daemon.folder, &both);
        let asked = reload(&daemon);
        let _writer = being_read(&daemon.folder.join("slow.test"));
        assert_eq!(daemon.end(), Some(0), "{}", daemon.log());
        let done = asked.wait_with_output().unwrap();
        assert_eq!(done.status.code(), Some(1));
        assert!(text(&done.stderr).contains("the daemon stopped before it answered"), "{}", text(&done.stderr));
    }
}

#[test]
fn a_configuration_that_cannot_be_served_changes_nothing() {
    for (command, site) in [(&["run"][..], MEMBER), (&["dns", "serve"], "")] {
        let host = host();
        let with = |address: SocketAddr, zones: &[&str]| {
            format!("{site}{}", dns(host, &format!("\n[dns.dyndns2]\nlisten = [\"{address}\"]"), zones))
        };
        let free = SocketAddr::from((host, 8080));
        let daemon = Daemon::start(command, &with(free, &["one.test"]), |folder| {
            fs::write(folder.join("one.test"), ZONE).unwrap();
            fs::write(folder.join("two.test"), ZONE).unwrap();
            fs::write(folder.join("bad.test"), "@ 300 SOA what\n").unwrap();
        });
        daemon.hear("READY=1");
        daemon.wait_until(|| !daemon.zones().is_empty());

        let taken = TcpListener::bind((host, 8081)).unwrap();
        let address = taken.local_addr().unwrap();
        for (configuration, culprit) in [
            (with(address, &["one.test", "two.test"]), address.to_string()),
            (with(free, &["bad.test"]), "bad.test".into()),
        ] {
            configure(&daemon.folder, &configuration);
            let refused = daemon.ask(&["reload"]);
            assert_eq!(refused.status.code(), Some(1), "{}", daemon.log());
            assert!(text(&refused.stderr).contains(&culprit), "it says why: {}", text(&refused.stderr));
            assert!(daemon.json(&["dns", "status", "--json"])["warnings"].to_string().contains(&culprit));
            assert_eq!(daemon.zones(), ["one.test"]);
            assert!(checks_ip(free), "the endpoint of before goes on");
        }

        configure(&daemon.folder, &with(free, &["one.test", "two.test"]));
        assert!(daemon.ask(&["reload"]).status.success(), "{}", daemon.log());
        assert_eq!(daemon.zones(), ["one.test", "two.test"]);
        assert!(checks_ip(free));
        assert_eq!(daemon.json(&["dns", "status", "--json"])["warnings"].to_string(), "[]");
    }
}

#[test]
fn dns_that_cannot_be_served_costs_the_site_nothing_and_is_said_until_it_can() {
    let host = host();
    let with = |more: &str, zone: &str| format!("{MEMBER}{}{more}", dns(host, "", &[zone]));
    let daemon = Daemon::start(&["run"], &with("", "bad.test"), |folder| {
        fs::write(folder.join("bad.test"), "@ 300 SOA what\n").unwrap();
        fs::write(folder.join("one.test"), ZONE).unwrap();
    });
    daemon.hear("READY=1");
    let warns = |words: &str| daemon.json(&["status", "--json"])["warnings"].to_string().contains(words);
    daemon.wait_until(|| warns("DNS is not served: "));
    assert!(warns("bad.test"), "{}", daemon.log());
    configure(&daemon.folder, &with("[nonsense]\n", "one.test"));
    assert_eq!(daemon.ask(&["reload"]).status.code(), Some(1));
    assert!(warns("nonsense") && warns("DNS is not served: "), "both are so: {}", daemon.log());
    configure(&daemon.folder, &with("", "one.test"));
    assert!(daemon.ask(&["reload"]).status.success(), "{}", daemon.log());
    assert!(!warns("nonsense") && !warns("DNS is not served"));
    assert_eq!(daemon.zones(), ["one.test"]);
    // No [dns] any more: what was served ends.
    configure(&daemon.folder, MEMBER);
    assert!(daemon.ask(&["reload"]).status.success(), "{}", daemon.log());
    assert!(text(&daemon.ask(&["dns", "zones"]).stderr).contains("has no [dns]"));
    assert!(std::net::UdpSocket::bind((host, 5300)).is_ok());
}

#[test]
fn what_is_fixed_is_refused_and_said() {
    let daemon = Daemon::start(&["dns", "serve"], &dns(host(), "", &["one.test"]), |folder| {
        fs::write(folder.join("one.test"), ZONE).unwrap();
    });
    daemon.hear("READY=1");
    let path = daemon.folder.join("gatehouse.toml");
    let moved = fs::read_to_string(&path).unwrap().replace("\"state\"", "\"elsewhere\"");
    fs::write(&path, moved).unwrap();
    let refused = daemon.ask(&["reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("`state` cannot change"), "{}", text(&refused.stderr));
    assert!(!daemon.folder.join("elsewhere").exists(), "nothing was made there");
}

#[test]
fn a_service_manager_that_stands_still_holds_nobody_up() {
    for (command, configuration) in
        [(&["run"][..], MEMBER.to_owned()), (&["dns", "serve"], dns(host(), "", &["one.test"]))]
    {
        let one = |folder: &Path| fs::write(folder.join("one.test"), ZONE).unwrap();
        let mut daemon = Daemon::start_under(Manager::StandsStill, command, &configuration, one);
        // Whoever takes commands is in its loop.
        daemon.wait_until(|| daemon.ask(&["reload"]).status.success());
        assert_eq!(daemon.end(), Some(0), "{}", daemon.log());
    }
}

#[test]
fn a_start_that_fails_says_why_and_leaves_no_socket() {
    let occupied = |folder: &Path| fs::write(folder.join("state"), "no folder").unwrap();
    for (command, configuration) in
        [(&["run"][..], MEMBER.to_owned()), (&["dns", "serve"], dns(host(), "", &["missing.test"]))]
    {
        let mut daemon = Daemon::start(command, &configuration, |folder| {
            if command == ["run"] {
                occupied(folder);
            }
        });
        assert_eq!(daemon.child.wait().unwrap().code(), Some(1), "{}", daemon.log());
        let culprit = if command == ["run"] { "state" } else { "missing.test" };
        assert!(daemon.log().contains(culprit), "{}", daemon.log());
        assert!(!daemon.folder.join("control.sock").exists());
    }
}

/// Whether a dyndns2 endpoint answers there.
fn checks_ip(address: SocketAddr) -> bool {
    let mut stream = match TcpStream::connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return false,
        connected => connected.unwrap(),
    };
    stream.write_all(b"GET /nic/checkip HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.contains("Current IP Address: 127.")
}
