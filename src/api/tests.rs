//! The router over a real socket, with a door that the test feeds.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::dns::server::Server;
use ::dns::settings::{Dnssec, Peer, Settings, SigningAlgorithm, Source, ZoneSettings};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use utoipa::OpenApi;

use super::dns::tests::{keys_of, next_key};
use super::dns::{DnsDoor, model::DnsStatus};
use super::model::{CheckStatus, Counters, Event, Member, Refusal, RoleName, Status};
use super::router::{MAX_FOLLOWERS, routes};
use super::server::MAX_CONNECTIONS;
use super::{BindError, Command, Door, bind, openapi, serve};

/// A holder with one standby whose check fails.
pub(super) fn status() -> Status {
    let member = |name: &str, role, me| Member {
        name: name.into(),
        node: "00".repeat(16),
        role,
        address: "192.168.1.21".into(),
        last_seen_ms: 0,
        healthy: me,
        health: if me { 100 } else { 40 },
        priority: 100,
        successor: (!me).then_some(1),
        me,
    };
    Status {
        name: "a".into(),
        node: "00".repeat(16),
        role: RoleName::Holder,
        state: "holding".into(),
        holder: Some("a".into()),
        holder_node: Some("00".repeat(16)),
        held_ms: Some(60_000),
        term: 7,
        dmz: vec!["192.168.1.11".into()],
        interface: "eth0".into(),
        members: vec![member("a", RoleName::Holder, true), member("b", RoleName::Standby, false)],
        health: 100,
        checks: vec![CheckStatus { name: "web".into(), passing: true, detail: "200".into(), took_ms: 3 }],
        warnings: Vec::new(),
        counters: Counters::default(),
        uptime_ms: 61_005,
    }
}

fn event(id: u64) -> Event {
    Event { id, at_ms: 0, kind: "role".into(), text: format!("event {id}"), term: 7, gap_ms: None }
}

/// A server of a signed zone and a secondary one that nobody can reach.
fn dns(folder: &Path) -> DnsDoor {
    let zone = ZoneSettings {
        apex: "dyn.test".parse().expect("a name"),
        source: Source::Primary { file: None },
        transfer: Default::default(),
        notify: Vec::new(),
        update: Vec::new(),
        aliases: Vec::new(),
        dnssec: Some(Dnssec { algorithm: SigningAlgorithm::Ed25519, nsec3: false, roll_after: None }),
    };
    // Nobody answers there.
    let nobody = Peer { address: "127.0.0.1:1".parse().expect("an address"), key: None };
    let secondary = ZoneSettings {
        apex: "sec.test".parse().expect("a name"),
        source: Source::Secondary { primaries: vec![nobody] },
        dnssec: None,
        ..zone.clone()
    };
    let settings = Settings { state: folder.join("dns"), zones: vec![zone, secondary], ..Settings::default() };
    let server = Server::start(settings, &tokio::runtime::Handle::current()).expect("a server");
    let status = DnsStatus { config: "/etc/gatehouse.toml".to_owned(), ..DnsStatus::default() };
    DnsDoor { status: watch::channel(Arc::new(status)).1, server: Some(Arc::new(server)) }
}

/// A served door and the daemon's end of it.
pub(super) struct Fixture {
    folder: PathBuf,
    socket: PathBuf,
    pub(super) dns: Arc<Server>,
    history: watch::Sender<Arc<Vec<Event>>>,
    commands: Option<mpsc::Receiver<Command>>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    _status: watch::Sender<Arc<Status>>,
}

impl Fixture {
    pub(super) fn new() -> Fixture {
        let folder = folder();
        let socket = folder.join("run/control.sock");
        let (status_tx, status) = watch::channel(Arc::new(status()));
        let (history, kept) = watch::channel(Arc::new((3..=5).map(event).collect::<Vec<_>>()));
        let (command_tx, commands) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let dns_door = dns(&folder);
        let dns = dns_door.server.clone().expect("a server");
        let door =
            Door { status: Some(status), dns: watch::channel(Some(dns_door)).1, history: kept, commands: command_tx };
        let listener = bind(&socket).expect("a socket");
        let server = tokio::spawn(serve(listener, door, async {
            let _ = stopped.await;
        }));
        let (commands, stop) = (Some(commands), Some(stop));
        Fixture { folder, socket, dns, history, commands, stop, server, _status: status_tx }
    }

    /// Answers the next command with `answer`.
    fn answer(&mut self, answer: Result<(), Refusal>) -> JoinHandle<Option<&'static str>> {
        let mut commands = self.commands.take().expect("not taken yet");
        tokio::spawn(async move {
            let (name, reply) = match commands.recv().await? {
                Command::GiveUp(reply) => ("give-up", reply),
                Command::Reload(reply) => ("reload", reply),
            };
            reply.send(answer).ok().map(|()| name)
        })
    }

    pub(super) async fn request(&self, method: &str, path: &str) -> (u16, String) {
        self.send(&format!("{method} {path} HTTP/1.0\r\n\r\n")).await
    }

    async fn send(&self, request: &str) -> (u16, String) {
        let mut stream = UnixStream::connect(&self.socket).await.expect("the API listens");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = Vec::new();
        // A server that refuses a request it has not read whole resets the connection after its answer.
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    async fn follow(&self, query: &str) -> BufReader<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket).await.expect("the API listens");
        let request = format!("GET /v1/events?follow=true{query} HTTP/1.0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            assert_ne!(lines.read_line(&mut line).await.expect("a line"), 0, "the head ends");
        }
        lines
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.server.abort();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn folder() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("gatehouse-api-{}-{count}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

async fn next(lines: &mut BufReader<UnixStream>) -> Event {
    let mut line = String::new();
    lines.read_line(&mut line).await.expect("a line");
    serde_json::from_str(&line).expect("an event")
}

pub(super) fn refusal(body: &str) -> Refusal {
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
}

#[tokio::test]
async fn status_and_members_are_what_the_daemon_published() {
    let fixture = Fixture::new();
    let (code, body) = fixture.request("GET", "/v1/status").await;
    assert_eq!((code, serde_json::from_str::<Status>(&body).expect("a status")), (200, status()));
    let (code, body) = fixture.request("GET", "/v1/members").await;
    assert_eq!((code, serde_json::from_str::<Vec<Member>>(&body).expect("members")), (200, status().members));
}

#[tokio::test]
async fn events_are_told_once_and_in_order_then_live() {
    let fixture = Fixture::new();
    let (code, body) = fixture.request("GET", "/v1/events?since=3").await;
    let events: Vec<Event> = body.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    assert_eq!((code, events), (200, vec![event(4), event(5)]));

    let mut lines = fixture.follow("&last=1").await;
    assert_eq!(next(&mut lines).await, event(5));
    fixture.history.send_replace(Arc::new((3..=6).map(event).collect()));
    assert_eq!(next(&mut lines).await, event(6));
    fixture.history.send_replace(Arc::new((9..=10).map(event).collect()));
    let missed = next(&mut lines).await;
    assert_eq!((missed.kind.as_str(), missed.id), ("missed", 8));
    assert_eq!(next(&mut lines).await, event(9));
}

#[tokio::test]
async fn commands_reach_the_daemon_and_its_refusal_reaches_the_client() {
    let mut fixture = Fixture::new();
    let daemon = fixture.answer(Ok(()));
    assert_eq!(fixture.request("POST", "/v1/give-up").await, (204, String::new()));
    assert_eq!(daemon.await.expect("it ends"), Some("give-up"));

    let refused = Refusal { error: "no-standby".into(), message: "nobody can take over".into() };
    let mut fixture = Fixture::new();
    let _daemon = fixture.answer(Err(refused.clone()));
    let (code, body) = fixture.request("POST", "/v1/reload").await;
    assert_eq!((code, refusal(&body)), (422, refused));
}

#[tokio::test]
async fn a_busy_or_gone_daemon_is_said_at_once() {
    let mut fixture = Fixture::new();
    let mut waiting = UnixStream::connect(&fixture.socket).await.expect("the API listens");
    waiting.write_all(b"POST /v1/reload HTTP/1.0\r\n\r\n").await.expect("written");
    while fixture.commands.as_ref().is_some_and(mpsc::Receiver::is_empty) {
        tokio::task::yield_now().await;
    }
    let (code, body) = fixture.request("POST", "/v1/give-up").await;
    assert_eq!((code, refusal(&body).error.as_str()), (503, "unavailable"));
    fixture.commands = None;
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).await.expect("read");
    assert!(answer.contains("503") && answer.contains("stopped before it answered"), "{answer}");
    assert_eq!(fixture.request("POST", "/v1/give-up").await.0, 503);
}

#[tokio::test]
async fn whatever_is_wrong_is_a_refusal() {
    let fixture = Fixture::new();
    for (method, path, expected, error) in [
        ("GET", "/", 404, "not-found"),
        ("GET", "/v1/nothing", 404, "not-found"),
        ("POST", "/v1/status", 405, "wrong-method"),
        ("GET", "/v1/give-up", 405, "wrong-method"),
        ("GET", "/v1/events?since=soon", 400, "bad-query"),
        ("GET", "/v1/events?sicne=3", 400, "bad-query"),
    ] {
        let (code, body) = fixture.request(method, path).await;
        assert_eq!((code, refusal(&body).error.as_str()), (expected, error), "{method} {path}");
    }
    let (code, body) = fixture.send("POST /v1/reload HTTP/1.0\r\nContent-Length: 5000\r\n\r\n").await;
    assert_eq!((code, refusal(&body).error.as_str()), (413, "too-long"));
    let long = "x".repeat(20_000);
    assert_eq!(fixture.send(&format!("GET / HTTP/1.0\r\nX: {long}\r\n\r\n")).await.0, 431);
}

#[tokio::test]
async fn followers_and_connections_are_bounded_and_never_lock_a_command_out() {
    let mut fixture = Fixture::new();
    let mut followers = Vec::new();
    for _ in 0..MAX_FOLLOWERS {
        followers.push(fixture.follow("").await);
    }
    let (code, body) = fixture.request("GET", "/v1/events?follow=true").await;
    assert_eq!((code, refusal(&body).error.as_str()), (503, "too-many-readers"));
    let _daemon = fixture.answer(Ok(()));
    assert_eq!(fixture.request("POST", "/v1/give-up").await.0, 204);

    let mut idle = Vec::new();
    for _ in 0..MAX_CONNECTIONS - MAX_FOLLOWERS {
        idle.push(UnixStream::connect(&fixture.socket).await.expect("the API listens"));
    }
    let mut beyond = UnixStream::connect(&fixture.socket).await.expect("the backlog has room");
    beyond.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await.expect("written");
    let mut answer = String::new();
    let waited = tokio::time::timeout(Duration::from_millis(50), beyond.read_to_string(&mut answer)).await;
    assert!(waited.is_err(), "every place is taken: {answer}");
    idle.pop();
    beyond.read_to_string(&mut answer).await.expect("served once a place is free");
    assert!(answer.ends_with("ok\n"), "{answer}");
}

#[tokio::test]
async fn the_socket_is_private_and_gone_at_the_end() {
    let mut fixture = Fixture::new();
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&fixture.socket), 0o660);
    let follower = fixture.follow("").await;
    fixture.stop.take().expect("not stopped yet").send(()).expect("the server runs");
    (&mut fixture.server).await.expect("it ends although a reader follows");
    drop(follower);
    assert!(!fixture.socket.exists());
}

#[tokio::test]
async fn a_socket_whose_file_or_folder_vanishes_is_there_again() {
    let mut fixture = Fixture::new();
    let folder = fixture.socket.parent().expect("a folder").to_owned();
    for whole_folder in [false, true] {
        let vanished = if whole_folder { fs::remove_dir_all(&folder) } else { fs::remove_file(&fixture.socket) };
        vanished.expect("removed");
        let back = async {
            while UnixStream::connect(&fixture.socket).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), back).await.expect("it comes back");
        assert_eq!(fixture.request("GET", "/healthz").await, (200, "ok\n".into()));
    }
    // What another one put in its place is not ours to remove.
    fs::remove_file(&fixture.socket).expect("removed");
    fs::write(&fixture.socket, "another's").expect("written");
    fixture.stop.take().expect("not stopped yet").send(()).expect("the server runs");
    (&mut fixture.server).await.expect("it ends");
    assert!(fixture.socket.exists());
}

#[tokio::test]
async fn only_a_dead_socket_is_replaced() {
    let fixture = Fixture::new();
    let Err(BindError::InUse { owner, .. }) = bind(&fixture.socket) else { panic!("taken from a running one") };
    assert!(owner.contains(&format!("(process {})", std::process::id())), "{owner}");
    assert_eq!(fixture.request("GET", "/healthz").await, (200, "ok\n".into()), "the running one is untouched");

    let dead = fixture.folder.join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).expect("a socket"));
    bind(&dead).expect("nobody answers there");

    let datagrams = fixture.folder.join("datagrams.sock");
    let others = std::os::unix::net::UnixDatagram::bind(&datagrams).expect("a socket");
    assert!(matches!(bind(&datagrams), Err(BindError::InUse { .. })));
    others.connect(&datagrams).expect("engaged");
    assert!(matches!(bind(&datagrams), Err(BindError::InUse { .. })), "also one that takes no more");
    drop(others);
    bind(&datagrams).expect("nobody has it any more");

    let early = fixture.folder.join("early.sock");
    let unready = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
    rustix::net::bind(&unready, &SocketAddrUnix::new(&early).expect("a path")).expect("bound");
    assert!(matches!(bind(&early), Err(BindError::InUse { .. })), "its owner is about to listen");
    assert!(early.exists());

    let file = fixture.folder.join("file");
    fs::write(&file, "precious").expect("written");
    assert!(matches!(bind(&file), Err(BindError::NotASocket(_))));
    assert_eq!(fs::read_to_string(&file).expect("still there"), "precious");

    let long = fixture.folder.join("x".repeat(120));
    assert!(matches!(bind(&long), Err(BindError::TooLong(_))));
}

#[test]
fn the_committed_description_is_true() {
    let made = openapi::Description::openapi().to_pretty_json().expect("it serialises") + "\n";
    if std::env::var_os("UPDATE").is_some_and(|value| value == "1") {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/openapi.json"), &made).expect("written");
    } else {
        assert!(openapi::DOCUMENT == made, "UPDATE=1 rewrites src/api/openapi.json, and its diff is to be read");
    }
}

#[tokio::test]
async fn every_described_path_answers_as_described_and_no_other_exists() {
    let description: Value = serde_json::from_str(openapi::DOCUMENT).expect("JSON");
    let described: BTreeMap<String, BTreeMap<String, Value>> =
        serde_json::from_value(description["paths"].clone()).expect("paths with methods");
    let mut routed: Vec<_> = routes().iter().map(|(path, _)| (*path).to_owned()).collect();
    routed.sort();
    assert_eq!(described.keys().cloned().collect::<Vec<_>>(), routed);
    for (path, methods) in described {
        for (method, operation) in methods {
            let mut fixture = Fixture::new();
            let _daemon = fixture.answer(Ok(()));
            if path.contains("/dnssec") {
                keys_of(&fixture.dns).await;
            }
            let tag = if path.contains("/ds-seen") { next_key(&fixture.dns).await } else { 0 };
            let asked = path
                .replace("{zone}/transfer", "sec.test/transfer")
                .replace("{zone}", "dyn.test")
                .replace("ds-seen", &format!("ds-seen?tag={tag}"))
                .replace("query-log", "query-log?on=true");
            let (code, body) = fixture.request(&method.to_uppercase(), &asked).await;
            let response = &operation["responses"][code.to_string()];
            assert!((200..300).contains(&code) && response.is_object(), "{method} {path}: {code}");
            assert_eq!(response.get("content").is_some(), !body.is_empty(), "{path}");
        }
    }
}
