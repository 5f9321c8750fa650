//! Probes against real servers on the loopback interface and real processes; the runner as a whole.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use super::dns::Question;
use super::probes::{ProbeError, try_once};
use super::*;
use crate::config::{CheckProbe, Cost};

const AMPLE: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(100);

#[tokio::test]
async fn tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    assert_eq!(attempt(CheckProbe::Tcp(address), AMPLE).await.unwrap(), "connected");
    drop(listener);
    let refused = attempt(CheckProbe::Tcp(address), AMPLE).await;
    assert!(matches!(&refused, Err(ProbeError::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn tcp_that_never_connects() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    // The only place in the queue is taken, so the kernel drops what comes next.
    let _first = TcpStream::connect(address).await.unwrap();
    assert!(matches!(attempt(CheckProbe::Tcp(address), SHORT).await, Err(ProbeError::Timeout(SHORT))));
}

#[tokio::test]
async fn http() {
    let (address, requests) = http_server("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(attempt(get(address, &[200, 204]), AMPLE).await.unwrap(), "status 204");
    let request = requests.await.unwrap().to_lowercase();
    assert!(request.starts_with("get /health?deep http/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nhost: shop.example.org\r\n"), "{request}");

    let (address, _) = http_server("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(attempt(get(address, &[200]), AMPLE).await, Err(ProbeError::Status(503))));
    let (address, _) = http_server("220 smtp.example.org ready\r\n").await;
    assert!(matches!(attempt(get(address, &[200]), AMPLE).await, Err(ProbeError::Http(_))));
    let (address, _) = http_server("").await;
    assert!(matches!(attempt(get(address, &[200]), AMPLE).await, Err(ProbeError::Http(_))));
}

#[tokio::test]
async fn http_that_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let silent = tokio::spawn(async move { listener.accept().await.unwrap().0 });
    assert!(matches!(attempt(get(address, &[200]), SHORT).await, Err(ProbeError::Timeout(SHORT))));
    // The connection did not outlive the try: after the request comes the end.
    let mut received = Vec::new();
    silent.await.unwrap().read_to_end(&mut received).await.unwrap();
    assert!(received.starts_with(b"GET "));
}

#[tokio::test]
async fn dns() {
    // Each reply is made of the question by setting flags and response code.
    let (address, _server) = dns_server(&[(0x81, 0x80)]).await;
    assert_eq!(attempt(ask(address), AMPLE).await.unwrap(), "0 records");
    let (address, _server) = dns_server(&[(0x81, 0x83)]).await;
    assert!(matches!(attempt(ask(address), AMPLE).await, Err(ProbeError::Rcode(3))));
    let (address, _server) = dns_server(&[(0x01, 0x00), (0x81, 0x80)]).await;
    assert_eq!(attempt(ask(address), AMPLE).await.unwrap(), "0 records", "what is no reply is passed over");
    let (address, _server) = dns_server(&[]).await;
    assert!(matches!(attempt(ask(address), SHORT).await, Err(ProbeError::Timeout(SHORT))));
    let closed = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(matches!(attempt(ask(closed), AMPLE).await, Err(ProbeError::Io(_))));
}

#[tokio::test]
async fn commands() {
    assert_eq!(attempt(shell("exit 0"), AMPLE).await.unwrap(), "exit status 0");
    let failed = attempt(shell("exit 3"), AMPLE).await.unwrap_err();
    assert_eq!(failed.to_string(), "exit status: 3");
    let unknown = CheckProbe::Command(vec!["/nowhere/program".to_owned()]);
    assert!(matches!(attempt(unknown, AMPLE).await, Err(ProbeError::Io(_))));
}

#[tokio::test]
async fn a_command_that_takes_too_long_dies_with_its_children() {
    let pids = PidFile::new("timeout");
    let script = format!("sleep 1000 & echo $$ $! > {}; wait", pids.0.display());
    let mut timeout = SHORT;
    // A busy machine may need longer to start the script at all.
    while pids.written().is_none() {
        assert!(timeout < AMPLE, "the script does not run");
        timeout *= 2;
        assert!(matches!(attempt(shell(&script), timeout).await, Err(ProbeError::Timeout(_))));
    }
    pids.gone().await;
}

#[tokio::test]
async fn a_command_that_ends_takes_its_children_along() {
    let pids = PidFile::new("left");
    let script = format!("sleep 1000 & echo $$ $! > {}; exit 0", pids.0.display());
    attempt(shell(&script), AMPLE).await.unwrap();
    pids.gone().await;
}

#[tokio::test]
async fn dropping_the_checks_kills_what_runs() {
    let pids = PidFile::new("dropped");
    let script = format!("sleep 1000 & echo $$ $! > {}; wait", pids.0.display());
    let (_report, checks) = spawn(vec![check("slow", shell(&script), AMPLE)], "lo".to_owned());
    pids.read().await;
    drop(checks);
    pids.gone().await;
}

#[tokio::test]
async fn the_report_follows_the_tries_and_a_slow_check_delays_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let list =
        vec![check("slow", shell("sleep 1000"), AMPLE), check("tcp", CheckProbe::Tcp(address), Duration::from_secs(5))];
    let (mut reports, _checks) = spawn(list, "lo".to_owned());
    assert_eq!(reports.borrow().health, Health::FULL);
    reports.wait_for(|report| report.checks[1].detail == "connected").await.unwrap();
    drop(listener);
    let report = reports.wait_for(|report| !report.checks[1].passing).await.unwrap().clone();
    assert_eq!((report.health, report.checks[0].passing), (Health(60), true));
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let _again = socket.listen(8).unwrap();
    let report = reports.wait_for(|report| report.checks[1].passing).await.unwrap().clone();
    assert_eq!(report.health, Health::FULL);
}

#[tokio::test]
async fn without_checks_a_member_is_healthy_for_ever() {
    let (reports, _checks) = spawn(Vec::new(), "lo".to_owned());
    tokio::task::yield_now().await;
    assert!(!reports.has_changed().expect("the channel stays open"));
    assert_eq!(*reports.borrow(), HealthReport { health: Health::FULL, checks: Vec::new() });
}

async fn attempt(probe: CheckProbe, timeout: Duration) -> std::result::Result<String, ProbeError> {
    try_once(&probe, "lo", timeout).await.outcome
}

fn check(name: &str, probe: CheckProbe, timeout: Duration) -> Check {
    let interval = Duration::from_millis(20);
    Check { name: name.to_owned(), probe, interval, timeout, rise: 2, fall: 2, cost: Cost::Weight(40) }
}

fn get(address: SocketAddr, expect: &[u16]) -> CheckProbe {
    let (host, path) = ("shop.example.org".to_owned(), "/health?deep".to_owned());
    CheckProbe::Http { address, host, path, expect: expect.to_vec() }
}

/// Answers one connection with `answer` and closes it; the task returns the request.
async fn http_server(answer: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (address, task)
}

fn ask(server: SocketAddr) -> CheckProbe {
    CheckProbe::Dns { server, name: "example.org".to_owned() }
}

/// Answers each question with all of `replies`: the question with these flags and this response code.
async fn dns_server(replies: &'static [(u8, u8)]) -> (SocketAddr, JoinSet<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut datagram = [0; 512];
        loop {
            let (length, client) = socket.recv_from(&mut datagram).await.unwrap();
            let id = [datagram[0], datagram[1]];
            assert_eq!(datagram[..length], Question::new(id, "example.org").encode());
            for (flags, rcode) in replies {
                datagram[2] = *flags;
                datagram[3] = *rcode;
                socket.send_to(&datagram[..length], client).await.unwrap();
            }
        }
    });
    (address, server)
}

fn shell(script: &str) -> CheckProbe {
    CheckProbe::Command(["/bin/sh", "-c", script].map(str::to_owned).to_vec())
}

/// A file that a script writes two process ids to: its own and its child's.
struct PidFile(PathBuf);

impl PidFile {
    fn new(name: &str) -> PidFile {
        PidFile(std::env::temp_dir().join(format!("gatehouse-health-{}-{name}", std::process::id())))
    }

    /// The ids, if they are written.
    fn written(&self) -> Option<[u32; 2]> {
        let text = std::fs::read_to_string(&self.0).ok().filter(|text| text.ends_with('\n'))?;
        let pids: Vec<u32> = text.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        Some(pids.try_into().unwrap())
    }

    /// Waits until they are written.
    async fn read(&self) -> [u32; 2] {
        soon(|| self.written()).await
    }

    /// Waits until both have ended and the script is reaped; its child is for the system to reap.
    async fn gone(&self) {
        let [script, child] = self.read().await;
        soon(|| stat(script).is_none().then_some(())).await;
        soon(|| stat(child).is_none_or(|stat| stat.contains(") Z ")).then_some(())).await;
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What the kernel says of a process, while there is one.
fn stat(pid: u32) -> Option<String> {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()
}

/// What `look` finds, looking again and again; fails when it never does.
async fn soon<T>(look: impl Fn() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(AMPLE, found).await.expect("never happens")
}
