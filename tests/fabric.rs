//! `gatehouse fabric` as people and scripts use it: the real binary on a state folder, judged by OpenSSL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

#[path = "common/folder.rs"]
mod folder;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use folder::Folder;
use serde_json::Value;

const PASSPHRASE: &str = "correct horse battery";

/// A state folder of its own.
struct State(Folder);

impl State {
    fn new(test: &str) -> State {
        let folder = Folder::new(test);
        fs::write(folder.join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        State(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// Runs `gatehouse fabric` with this state folder.
    fn fabric(&self, arguments: &[&str]) -> Output {
        let state = self.path("state");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        // In a session of its own, so that it finds no terminal to ask.
        command.arg("fabric").args(arguments).args(["--state", &state]);
        let mut setsid = Command::new("setsid");
        setsid.arg("--wait").arg(command.get_program()).args(command.get_args());
        setsid.stdin(Stdio::null()).output().unwrap()
    }

    fn good(&self, arguments: &[&str]) -> String {
        let output = self.fabric(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.good(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// What a refusal says; nothing of the folder has changed.
    fn refused(&self, arguments: &[&str]) -> String {
        let before = self.files();
        let output = self.fabric(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", text(&output.stdout));
        assert_eq!(self.files(), before, "{arguments:?}");
        text(&output.stderr)
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let Ok(entries) = fs::read_dir(self.path("state/fabric")) else { return Vec::new() };
        let file = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
        let mut files: Vec<_> = entries.map(|entry| file(entry.unwrap())).collect();
        files.sort();
        files
    }

    /// Whether OpenSSL believes this node, as somebody does who trusts `roots`.
    fn is_believed(&self, roots: &str) -> bool {
        let node = self.path("state/fabric/node.pem");
        let arguments = ["verify", "-x509_strict", "-CAfile", roots, "-untrusted", &node, &node];
        Command::new("openssl").args(arguments).output().unwrap().status.success()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_new_fabric_is_shown_and_believed_by_openssl() {
    let state = State::new("init");
    let made = state.json(&["init", "--name", "attic", "--no-passphrase"]);
    let shown = state.json(&["show"]);
    assert_eq!(made["fabric"], shown["fabric"]);
    assert_eq!(shown["fabric"].as_str().unwrap().len(), 32);
    assert_eq!(shown["node"]["name"], "attic");
    assert_eq!(shown["node"]["capabilities"], serde_json::json!(["call", "serve", "spawn"]));
    assert_eq!((&shown["fabric_key"], &shown["rotations"]), (&"plain".into(), &0.into()));
    let (spawner, leaf) = (&shown["node"]["spawner"]["valid_until"], &shown["node"]["valid_until"]);
    assert!(spawner.as_u64().unwrap() > leaf.as_u64().unwrap() + 300 * 86_400);
    for (name, _) in state.files() {
        let mode = fs::metadata(state.path(&format!("state/fabric/{name}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let public = state.path("public.pem");
    fs::write(&public, state.good(&["export-public"])).unwrap();
    assert!(state.is_believed(&public));
    assert_eq!(state.json(&["export-public"])["fabric"], shown["fabric"]);
    let people = state.good(&["show"]);
    assert!(people.contains("attic") && people.contains("not sealed") && people.contains("may call, serve, spawn"));
    let again = state.refused(&["init", "--no-passphrase"]);
    assert!(again.contains("belongs to a fabric"), "{again}");
    assert!(state.refused(&["init"]).contains("belongs to a fabric"), "before it asks for anything");
}

#[test]
fn a_sealed_key_needs_its_passphrase_and_nothing_else_does() {
    let state = State::new("sealed");
    let file = state.path("passphrase");
    state.good(&["init", "--name", "attic", "--passphrase-file", &file]);
    assert_eq!(state.json(&["show"])["fabric_key"], "sealed");
    let key = fs::read_to_string(state.path("state/fabric/fabric.key")).unwrap();
    assert!(key.starts_with("-----BEGIN GATEHOUSE SEALED KEY-----"), "{key}");
    let wrong = state.path("wrong");
    fs::write(&wrong, "another horse battery\n").unwrap();
    for command in ["renew", "rotate"] {
        let refused = state.refused(&[command, "--passphrase-file", &wrong]);
        assert!(refused.contains("the passphrase is wrong"), "{refused}");
        let refused = state.refused(&[command]);
        assert!(refused.contains("no terminal") && refused.contains("--passphrase-file"), "{refused}");
    }
    let before = state.files();
    state.good(&["renew", "--passphrase-file", &file]);
    let changed: Vec<_> = state.files().into_iter().filter(|one| !before.contains(one)).map(|one| one.0).collect();
    assert_eq!(changed, ["node.pem", "spawner.pem"]);
    // Nobody can be made to type it where others see it.
    let argument = state.fabric(&["rotate", "--passphrase", PASSPHRASE]);
    assert_eq!(argument.status.code(), Some(2));
}

#[test]
fn a_rotation_keeps_the_name_and_both_keys_for_a_while() {
    let state = State::new("rotate");
    let file = state.path("passphrase");
    let made = state.json(&["init", "--name", "attic", "--passphrase-file", &file]);
    let old = state.path("old.pem");
    fs::write(&old, state.good(&["export-public"])).unwrap();
    let old_key = fs::read(state.path("state/fabric/fabric.key")).unwrap();
    let rotated = state.json(&["rotate", "--overlap-days", "90", "--passphrase-file", &file]);
    assert_eq!((&rotated["fabric"], &rotated["node"]["id"]), (&made["fabric"], &made["node"]["id"]));
    assert_eq!((&rotated["rotations"], &rotated["fabric_key"]), (&1.into(), &"sealed".into()));
    let keys = rotated["keys"].as_array().unwrap();
    assert_eq!((keys.len(), &keys[1]["id"], &keys[0]["until"]), (2, &made["keys"][0]["id"], &Value::Null));
    assert!(rotated["node"]["spawner"]["newest_key"].as_bool().unwrap());
    assert_ne!(fs::read(state.path("state/fabric/fabric.key")).unwrap(), old_key);
    assert!(!Path::new(&state.path("state/fabric/fabric.key.next")).exists());
    // Who knows the new key believes this node; who knows the old one only does so with the cross certificate.
    let new = state.path("new.pem");
    fs::write(&new, state.good(&["export-public"])).unwrap();
    assert!(state.is_believed(&new) && !state.is_believed(&old));
    let node = state.path("state/fabric/node.pem");
    let shown = state.path("shown.pem");
    let certificates = fs::read_to_string(&new).unwrap();
    let cross = certificates.rfind("-----BEGIN").map(|at| &certificates[at..]).unwrap();
    fs::write(&shown, fs::read_to_string(&node).unwrap() + cross).unwrap();
    let arguments = ["verify", "-CAfile", &old, "-untrusted", &shown, &node];
    assert!(Command::new("openssl").args(arguments).output().unwrap().status.success());
    let early = state.refused(&["rotate", "--passphrase-file", &file]);
    assert!(early.contains("the last rotation is not over"), "{early}");
    state.good(&["renew", "--passphrase-file", &file]);
}

#[test]
fn a_passphrase_is_asked_for_on_the_terminal_and_not_shown() {
    let state = State::new("terminal");
    let init =
        format!("'{}' fabric init --name attic --state '{}'", env!("CARGO_BIN_EXE_gatehouse"), state.path("state"));
    let typed = [("new passphrase", PASSPHRASE), ("once more", PASSPHRASE)];
    let (good, shown) = on_a_terminal(&init, &typed);
    assert!(good && shown.contains("first node of a new fabric"), "{shown}");
    assert!(!shown.contains(PASSPHRASE), "{shown}");
    let renew = init.replace("init --name attic", "renew");
    // Backspace takes the last letter back.
    let (good, shown) = on_a_terminal(&renew, &[("passphrase of the", &format!("{PASSPHRASE}x\x7f"))]);
    assert!(good && shown.contains("renewed"), "{shown}");
    let (good, shown) = on_a_terminal(&renew, &[("passphrase of the", "\x03")]);
    assert!(!good && shown.contains("given up"), "{shown}");
    let other = State::new("differ");
    let init = init.replace(&state.path("state"), &other.path("state"));
    let (good, shown) = on_a_terminal(&init, &[("new passphrase", PASSPHRASE), ("once more", "correct horse stable")]);
    assert!(!good && shown.contains("the two differ") && other.files().is_empty(), "{shown}");
    let (good, shown) = on_a_terminal(&init, &[("new passphrase", "short")]);
    assert!(!good && shown.contains("at least 12 characters"), "{shown}");
}

#[test]
fn what_is_missing_or_damaged_is_named() {
    let state = State::new("damaged");
    for command in ["show", "renew", "rotate", "export-public"] {
        let refused = state.refused(&[command]);
        assert!(refused.contains("`gatehouse fabric init` makes one"), "{refused}");
    }
    state.good(&["init", "--name", "attic", "--no-passphrase"]);
    let key = state.path("state/fabric/fabric.key");
    fs::remove_file(&key).unwrap();
    assert_eq!(state.json(&["show"])["fabric_key"], "elsewhere");
    assert!(state.refused(&["rotate"]).contains("the fabric's key is not on this machine"));
    fs::write(&key, "nothing").unwrap();
    assert!(state.refused(&["rotate"]).contains("fabric.key cannot be used: not an Ed25519 private key"));
    fs::write(state.path("state/fabric/trust.pem"), "nothing").unwrap();
    assert!(state.refused(&["show"]).contains("trust.pem"));
}

#[test]
fn the_configuration_says_where_the_state_is() {
    let state = State::new("config");
    state.good(&["init", "--name", "attic", "--no-passphrase"]);
    let config = state.path("dns.toml");
    let forward = "[dns.forward]\nnetworks = [\"127.0.0.0/8\"]\nupstreams = [\"192.0.2.1\"]\n";
    let dns = format!("[dns]\nlisten = [\"127.0.0.1:5353\"]\n{forward}");
    fs::write(&config, format!("name = \"attic\"\nstate = \"{}\"\n{dns}", state.path("state"))).unwrap();
    let show = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
        command.args(["fabric", "show", "--config", &config]).output().unwrap()
    };
    let output = show();
    assert!(text(&output.stdout).contains("attic"), "{}", text(&output.stderr));
    fs::write(&config, "state = 5\n").unwrap();
    assert_eq!(show().status.code(), Some(2));
}

/// Runs a command on a terminal of its own and types an answer after each question; whether it succeeded, and all that
/// the terminal showed.
fn on_a_terminal(command: &str, answers: &[(&str, &str)]) -> (bool, String) {
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", command, "/dev/null"]);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut shown, mut from) = (String::new(), 0);
    for (question, answer) in answers {
        // A question is asked when the terminal is quiet already.
        while !shown[from..].contains(question) || !shown.ends_with(": ") {
            let mut some = [0; 256];
            let read = screen.read(&mut some).unwrap();
            assert!(read > 0, "{shown} has no `{question}`");
            shown += &text(&some[..read]);
        }
        from = shown.len();
        keys.write_all(format!("{answer}\r").as_bytes()).unwrap();
    }
    let mut rest = Vec::new();
    screen.read_to_end(&mut rest).unwrap();
    (child.wait().unwrap().success(), shown + &text(&rest))
}
