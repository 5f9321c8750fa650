//! The server in a process of its own, and who updates it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use dns::name::Name;
use dns::record::{Record, Rtype};
use dns::server::Server;
use dns::settings::{Access, Algorithm, Key, Pattern, Rule, Settings, Source, ZoneSettings};
use dns::sign::{request_room, sign_request};
use dns::update::{Operation, Update};
use dns::wire::{CLASS_IN, Flags, Header, Message, Opcode, Question, Rcode, Writer};
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

/// Tells this program that it is the server, and where its state folder is.
pub const SERVE: &str = "GATEHOUSE_TEST_SERVE";
/// Nothing that works takes longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an answer is waited for before somebody looks whether there will be one.
const TURN: Duration = Duration::from_millis(50);
/// How the server says where it listens.
const LISTENS: &str = "listens on ";

/// Serves until somebody kills it or its input ends.
pub fn serve() {
    let state = PathBuf::from(std::env::var_os(SERVE).expect("a folder"));
    let runtime = Runtime::new().expect("a runtime");
    let server = Server::start(settings(&state), runtime.handle()).unwrap_or_else(|error| panic!("{error}"));
    println!("{LISTENS}{}", server.addresses()[0]);
    std::io::stdout().flush().expect("written");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    runtime.block_on(server.stop());
}

/// Kills at once.
pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid as i32).expect("a process");
    kill_process(pid, Signal::KILL).expect("killed");
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn key() -> Key {
    Key { name: name("k1"), algorithm: Algorithm::HmacSha256, secret: Box::from([7; 32]) }
}

fn settings(state: &Path) -> Settings {
    let apex = name("dyn.test");
    let rule = Rule { key: name("k1"), names: vec![Pattern::Below(apex.clone())], types: None };
    let zone = ZoneSettings {
        apex,
        source: Source::Primary { file: None },
        transfer: Access::default(),
        notify: Vec::new(),
        update: vec![rule],
        aliases: Vec::new(),
        dnssec: None,
    };
    let listen = vec!["127.0.0.1:0".parse().expect("an address")];
    Settings { listen, state: state.to_owned(), keys: vec![key()], zones: vec![zone], ..Settings::default() }
}

/// A folder that goes when the test ends.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("gatehouse-durable-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server that runs.
pub struct Process {
    child: Child,
    said: BufReader<ChildStdout>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The server itself, where the child is what started it.
    pid: u32,
}

impl Process {
    /// Starts the server of a test.
    pub fn start(test: &str, state: &Path) -> Self {
        Self::spawn(&mut this_program(test, state))
    }

    /// The same with a state folder on a disk of 512 KiB that nobody else sees, and again each time it has ended. Nothing
    /// where that is not possible, which is said loudly, and is a failure where tests are to be complete.
    pub fn start_on_small_disk(test: &str, state: &Path) -> Option<Self> {
        let unshare = ["--user", "--map-root-user", "--mount"];
        let possible = Command::new("unshare").args(unshare).arg("true").stderr(Stdio::null()).status();
        if !possible.is_ok_and(|status| status.success()) {
            assert!(std::env::var("LAB").as_deref() != Ok("require"), "no private disk can be made here");
            let _ = writeln!(std::io::stderr(), "{test}: no private disk can be made here: this test says nothing");
            return None;
        }
        let server = this_program(test, state);
        let script = "mount -t tmpfs -o size=512k,mode=700 tmpfs \"$0\" && for i in 1 2; do \"$@\"; done";
        let mut command = Command::new("unshare");
        command.args(unshare).args(["sh", "-c", script]).arg(state);
        command.arg(server.get_program()).args(server.get_args()).env(SERVE, state);
        Some(Self::spawn(&mut command))
    }

    /// What a server that cannot start says.
    pub fn fails_to_start(test: &str, state: &Path) -> String {
        let output = this_program(test, state).stdin(Stdio::null()).output().expect("it ran");
        assert!(!output.status.success(), "it must not start");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let said = BufReader::new(child.stdout.take().expect("a pipe"));
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut process = Self { pid: child.id(), child, said, address };
        process.next();
        process
    }

    /// Waits until the server says where it listens.
    pub fn next(&mut self) {
        let mut line = String::new();
        loop {
            line.clear();
            assert!(self.said.read_line(&mut line).expect("text") > 0, "the server has ended");
            if let Some((_, address)) = line.split_once(LISTENS) {
                self.address = address.trim().parse().expect("an address");
                break;
            }
        }
        // The server is the process itself, or the only child of the shell that it has become.
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        self.pid = children.split_whitespace().next().map_or(self.child.id(), |pid| pid.parse().expect("a number"));
    }

    /// The process that serves.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// A path as the server sees it, from outside of its disks.
    pub fn seen_by_it(&self, path: &Path) -> PathBuf {
        let inner = path.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.pid.to_string()).join("root").join(inner)
    }

    /// Waits for its end.
    pub fn wait(&mut self) {
        self.child.wait().expect("it ended");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        if self.pid != self.child.id() {
            let _ = kill_process(Pid::from_raw(self.pid as i32).expect("a process"), Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

fn this_program(test: &str, state: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(SERVE, state);
    command
}

/// Who updates the zone and asks about it.
pub struct Updater {
    socket: UdpSocket,
    key: Key,
    id: u16,
}

impl Updater {
    pub fn new(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(address).expect("connected");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        Self { socket, key: key(), id: 0 }
    }

    /// Sends the update that adds the name with a number; its id.
    fn send(&mut self, number: u32) -> std::io::Result<u16> {
        let owner = owner(number);
        let record = Record { name: owner, rtype: Rtype::A, ttl: 60, rdata: number.to_be_bytes().into() };
        let operations = vec![Operation::Add(record)];
        let update = Update { zone: name("dyn.test"), prerequisites: Vec::new(), operations, lease: None };
        self.id = self.id.wrapping_add(1);
        let mut message = update.write(self.id, request_room(&self.key)).expect("a short message");
        sign_request(&mut message, &self.key, wall_secs());
        self.socket.send(&message).map(|_| self.id)
    }

    /// Adds the name with a number; the result, or nothing when the server is gone.
    pub fn update(&mut self, number: u32) -> Option<Rcode> {
        let id = self.send(number).ok()?;
        let mut octets = [0; 2048];
        loop {
            let len = self.socket.recv(&mut octets).ok()?;
            let answer = Message::read(&octets[..len]).expect("a message");
            if answer.header().id == id {
                return Some(answer.flags().rcode());
            }
        }
    }

    /// Adds one name after the other from `first` on, so many at once, until the server is gone, which `is_over` says;
    /// the numbers of those that were acknowledged, and the next one.
    pub fn storm(&mut self, first: u32, outstanding: u32, is_over: &AtomicBool) -> (BTreeSet<u32>, u32) {
        self.socket.set_read_timeout(Some(TURN)).expect("a time limit");
        let (mut done, mut next) = (BTreeSet::new(), first);
        let mut sent = std::collections::BTreeMap::new();
        let mut octets = [0; 2048];
        for _ in 0..outstanding {
            let Ok(id) = self.send(next) else { return (done, next) };
            sent.insert(id, next);
            next += 1;
        }
        loop {
            let Ok(len) = self.socket.recv(&mut octets) else {
                // A dead server's port refuses, or says nothing.
                match is_over.load(Ordering::Acquire) {
                    true => return (done, next),
                    false => continue,
                }
            };
            let answer = Message::read(&octets[..len]).expect("a message");
            let Some(number) = sent.remove(&answer.header().id) else { continue };
            assert_eq!(answer.flags().rcode(), Rcode::NOERROR);
            done.insert(number);
            let Ok(id) = self.send(next) else { return (done, next) };
            sent.insert(id, next);
            next += 1;
        }
    }

    /// Whether the name with a number has its address.
    pub fn exists(&mut self, number: u32) -> bool {
        self.id = self.id.wrapping_add(1);
        let (owner, mut query) = (owner(number), Vec::new());
        let header = Header { id: self.id, flags: Flags::of(Opcode::QUERY), counts: [0; 4] };
        let question = Question { name: owner.as_ref(), rtype: Rtype::A, class: CLASS_IN };
        Writer::new(&mut query, 512, header).question(question).expect("room");
        self.socket.send(&query).expect("sent");
        let mut octets = [0; 2048];
        loop {
            let len = self.socket.recv(&mut octets).expect("queries are answered");
            let answer = Message::read(&octets[..len]).expect("a message");
            if answer.header().id == self.id {
                assert!(matches!(answer.flags().rcode(), Rcode::NOERROR | Rcode::NXDOMAIN));
                return answer.header().counts[1] == 1;
            }
        }
    }
}

fn owner(number: u32) -> Name {
    name(&format!("n{number}.dyn.test"))
}

fn wall_secs() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or_default()
}
