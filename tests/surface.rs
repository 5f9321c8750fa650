//! What scripts rely on: the real binary against a real control socket that the test feeds.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use folder::Folder;
use gatehouse::api::model::{Counters, Event, Member, Refusal, RoleName, Status};
use gatehouse::api::{self, Command as Request, Door};
use program::{gatehouse, text};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};

/// A daemon's outside: its control socket, and the answers that the test chose.
struct Site {
    folder: Folder,
    history: watch::Sender<Arc<Vec<Event>>>,
    stop: Option<oneshot::Sender<()>>,
    _runtime: Runtime,
    _status: watch::Sender<Arc<Status>>,
}

impl Site {
    /// A standby that answers every command with `answer`.
    fn new(answer: Result<(), Refusal>) -> Site {
        let folder = Folder::new("surface");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (status_tx, status) = watch::channel(Arc::new(standby()));
        let (history, kept) = watch::channel(Arc::new((1..=20).map(event).collect::<Vec<_>>()));
        let (commands, mut requests) = mpsc::channel(4);
        let (stop, stopped) = oneshot::channel::<()>();
        let door = Door { status: Some(status), dns: watch::channel(None).1, history: kept, commands };
        let socket = folder.join("control.sock");
        let listener = runtime.block_on(async { api::bind(&socket) }).unwrap();
        runtime.spawn(api::serve(listener, door, async {
            let _ = stopped.await;
        }));
        runtime.spawn(async move {
            while let Some(Request::GiveUp(reply) | Request::Reload(reply)) = requests.recv().await {
                let _ = reply.send(answer.clone());
            }
        });
        Site { folder, history, stop: Some(stop), _runtime: runtime, _status: status_tx }
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        gatehouse(&self.folder, arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.ask(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn standby() -> Status {
    let member = |name: &str, role, me| Member {
        name: name.into(),
        node: "ab".repeat(16),
        role,
        address: "192.168.1.21".into(),
        last_seen_ms: if me { 0 } else { 42 },
        healthy: true,
        health: 100,
        priority: 100,
        successor: me.then_some(1),
        me,
    };
    Status {
        name: "attic".into(),
        node: "ab".repeat(16),
        role: RoleName::Standby,
        state: "standby".into(),
        holder: Some("garage".into()),
        holder_node: Some("cd".repeat(16)),
        held_ms: Some(5_000),
        term: 12,
        dmz: vec!["192.168.1.11".into()],
        interface: "eth0".into(),
        members: vec![member("attic", RoleName::Standby, true), member("garage", RoleName::Holder, false)],
        health: 100,
        checks: Vec::new(),
        warnings: Vec::new(),
        counters: Counters::default(),
        uptime_ms: 90_000,
    }
}

fn event(id: u64) -> Event {
    Event { id, at_ms: 0, kind: "holder".into(), text: format!("happening {id}"), term: 12, gap_ms: None }
}

/// A process that is ended when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn status_json_has_the_fields_that_scripts_rely_on() {
    let site = Site::new(Ok(()));
    let status = site.json(&["status", "--json"]);
    assert_eq!(status["name"], "attic");
    assert_eq!(status["role"], "standby");
    assert_eq!(status["holder"], "garage");
    assert_eq!(status["term"], 12);
    assert_eq!(status["dmz"][0], "192.168.1.11");
    let garage = &status["members"][1];
    assert_eq!((&garage["name"], &garage["role"]), (&"garage".into(), &"holder".into()));
    assert_eq!((&garage["address"], &garage["last_seen_ms"]), (&"192.168.1.21".into(), &42.into()));
    assert_eq!(garage["healthy"], true);
    assert_eq!(site.json(&["members", "--json"]), status["members"]);
}

#[test]
fn status_for_people_has_no_colours_in_a_pipe() {
    let site = Site::new(Ok(()));
    let output = site.ask(&["status"]);
    let shown = text(&output.stdout);
    assert!(shown.starts_with("garage holds 192.168.1.11 (since 5.0 s ago, term 12)\n"), "{shown}");
    assert!(!shown.contains('\x1b'), "{shown}");
    let members = text(&site.ask(&["members"]).stdout);
    assert!(shown.contains("attic") && members.contains("garage") && members.lines().count() == 3, "{members}");
}

#[test]
fn events_show_a_short_past_then_follow_until_the_daemon_stops() {
    let mut site = Site::new(Ok(()));
    let mut child = Running(gatehouse(&site.folder, &["events", "--json"]).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map(|line| {
        let event: Event = serde_json::from_str(&line.unwrap()).unwrap();
        event.id
    });
    assert_eq!(lines.by_ref().take(10).collect::<Vec<_>>(), (11..=20).collect::<Vec<_>>());
    site.history.send_replace(Arc::new((1..=21).map(event).collect()));
    assert_eq!(lines.next(), Some(21));
    site.stop.take().unwrap().send(()).unwrap();
    site.history = watch::channel(Arc::default()).0;
    assert_eq!(lines.next(), None);
    assert_eq!(child.0.wait().unwrap().code(), Some(1), "a stream that ends by itself is a failure to a script");
}

#[test]
fn events_without_follow_end() {
    let site = Site::new(Ok(()));
    let output = site.ask(&["events", "--no-follow", "--since", "18"]);
    assert_eq!(output.status.code(), Some(0));
    let shown = text(&output.stdout);
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines.len() == 2 && lines[0].contains("happening 19") && lines[1].contains("happening 20"), "{shown}");
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let site = Site::new(Ok(()));
    let mut child = Running(gatehouse(&site.folder, &["events"]).stdout(Stdio::piped()).spawn().unwrap());
    drop(child.0.stdout.take());
    site.history.send_replace(Arc::new((1..=21).map(event).collect()));
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
}

#[test]
fn a_command_that_is_done_says_so_and_one_that_is_refused_says_why() {
    let done = Site::new(Ok(()));
    assert_eq!(text(&done.ask(&["give-up"]).stdout), "garage holds 192.168.1.11 now\n");
    assert_eq!(done.json(&["give-up", "--json"])["holder"], "garage");
    assert_eq!(done.ask(&["reload"]).status.code(), Some(0));

    let refusal = Refusal { error: "no-standby".into(), message: "nobody can take over".into() };
    let refused = Site::new(Err(refusal));
    for command in ["give-up", "reload"] {
        let output = refused.ask(&[command]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stderr), "gatehouse: nobody can take over\n");
        let output = refused.ask(&[command, "--json"]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["error"], "no-standby");
    }
}

#[test]
fn without_a_daemon_the_code_is_3_and_the_path_is_named() {
    let folder = Folder::new("surface");
    for arguments in [&["status", "--json"][..], &["members"], &["events"], &["give-up"], &["reload"]] {
        let output = gatehouse(&folder, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        let said = text(&output.stderr);
        let socket = folder.join("control.sock");
        assert!(said.contains("no gatehouse daemon answers at") && said.contains(&*socket.to_string_lossy()), "{said}");
        assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    }
}

#[test]
fn control_on_the_command_line_wins() {
    let site = Site::new(Ok(()));
    let socket = site.folder.join("control.sock");
    let elsewhere = site.folder.join("elsewhere");
    let asked = |control: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        command.env("GATEHOUSE_CONTROL", elsewhere.join("control.sock")).arg("--control").arg(control).arg("status");
        command.output().unwrap().status.code()
    };
    assert_eq!(asked(&socket), Some(0));
    assert_eq!(asked(&elsewhere), Some(3));
}

#[test]
fn wrong_usage_is_code_2() {
    let folder = Folder::new("surface");
    for arguments in [&[][..], &["statsu"], &["status", "--jsno"], &["events", "--since", "soon"]] {
        assert_eq!(gatehouse(&folder, arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn the_example_is_right_and_a_wrong_configuration_is_pictured() {
    let folder = Folder::new("surface");
    let example = gatehouse(&folder, &["config", "example"]).output().unwrap();
    let right = folder.join("right.toml");
    fs::write(&right, &example.stdout).unwrap();
    let output = gatehouse(&folder, &["config", "check", right.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("right.toml is right: "), "{}", text(&output.stdout));

    let wrong = folder.join("wrong.toml");
    fs::write(&wrong, text(&example.stdout).replace("[dmz]\naddress", "[dmz]\nadress")).unwrap();
    let output = gatehouse(&folder, &["config", "check", wrong.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let picture = text(&output.stderr);
    assert!(picture.contains("adress") && picture.contains("wrong.toml:"), "{picture}");

    let output = gatehouse(&folder, &["config", "check", "--json", wrong.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["ok"], false);
    assert!(verdict["problems"][0]["line"].as_u64().is_some_and(|line| line > 1), "{verdict}");
}

#[test]
fn a_record_that_is_none_is_said() {
    let folder = Folder::new("surface");
    let file = folder.join("record");
    fs::write(&file, "no record\n").unwrap();
    let output = gatehouse(&folder, &["replay", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("line 1: not a record"), "{}", text(&output.stderr));
}

#[test]
fn every_command_has_a_page_a_completion_and_a_help() {
    let folder = Folder::new("surface");
    let output = gatehouse(&folder, &["man", "--out", folder.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let script = text(&gatehouse(&folder, &["completions", "bash"]).output().unwrap().stdout);
    for command in [
        "run",
        "status",
        "members",
        "events",
        "give-up",
        "reload",
        "watch",
        "replay",
        "demo",
        "config",
        "config check",
        "config example",
        "dns",
        "dns serve",
        "dns status",
        "dns zones",
        "dns records",
        "dns set",
        "dns delete",
        "dns import",
        "dns export",
        "dns key",
        "dns key new",
        "dns key list",
        "dns dnssec",
        "dns dnssec keys",
        "dns dnssec ds",
        "dns dnssec roll",
        "dns dnssec ds-seen",
        "dns transfer",
        "dns check",
        "dns query-log",
        "fabric",
        "fabric init",
        "fabric show",
        "fabric renew",
        "fabric rotate",
        "fabric export-public",
        "completions",
        "man",
    ] {
        let page = folder.join(format!("gatehouse-{}.1", command.replace(' ', "-")));
        let page = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(page.contains(".TH"), "{page}");
        // In the script each word has its case, after what it follows.
        let last = command.rsplit(' ').next().unwrap();
        assert!(script.contains(&format!(",{last})")), "bash completes {command}");
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let help = text(&gatehouse(&folder, &arguments).output().unwrap().stdout);
        assert!(help.contains("Usage: gatehouse") && help.contains("--control"), "{help}");
        // What shows or does something says it to programs, too.
        let words = [
            "run",
            "dns serve",
            "dns",
            "dns key",
            "dns dnssec",
            "fabric",
            "config",
            "config example",
            "watch",
            "completions",
            "man",
        ];
        assert!(words.contains(&command) || help.contains("--json"), "{command} has no --json");
    }
}

#[test]
fn a_frozen_daemon_is_told_from_a_missing_one() {
    let folder = Folder::new("surface");
    let _never_accepts = std::os::unix::net::UnixListener::bind(folder.join("control.sock")).unwrap();
    let mut child = Running(gatehouse(&folder, &["status"]).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(child.0.wait().unwrap().code(), Some(3));
    let mut said = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("does not answer: it may be frozen"), "{said}");
}

#[test]
fn make_install_puts_everything_under_destdir() {
    let folder = Folder::new("surface");
    let mut make = Command::new("make");
    make.current_dir(env!("CARGO_MANIFEST_DIR")).args(["install", "PREFIX=/usr"]);
    make.arg(format!("DESTDIR={}", folder.display())).arg(concat!("BINARY=", env!("CARGO_BIN_EXE_gatehouse")));
    let output = make.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let installed = |path: &str| fs::read_to_string(folder.join("usr").join(path)).unwrap();
    let unit = installed("lib/systemd/system/gatehouse.service");
    assert!(unit.contains("\nExecStart=/usr/bin/gatehouse run --config /etc/gatehouse/gatehouse.toml\n"), "{unit}");
    assert!(!unit.contains("DIR@"), "every folder is filled in: {unit}");
    assert!(installed("lib/sysusers.d/gatehouse.conf").contains("u gatehouse"));
    assert!(installed("share/man/man1/gatehouse-status.1").contains("gatehouse"));
    assert!(installed("share/bash-completion/completions/gatehouse").contains("give-up"));
    assert!(installed("share/doc/gatehouse/gatehouse.toml").contains("[dmz]"));
    let version = Command::new(folder.join("usr/bin/gatehouse")).arg("--version").output().unwrap();
    assert_eq!(text(&version.stdout), concat!("gatehouse ", env!("CARGO_PKG_VERSION"), "\n"));
}
