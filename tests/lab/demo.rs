//! `gatehouse demo` as people run it: it ends well, writes what it promises, and leaves nothing behind.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gatehouse::clock;

use crate::alone;

/// The demo, marked in its environment so that its processes can be told from all others.
fn demo(mark: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gatehouse"));
    command.arg("demo").env(MARK, mark).stdin(Stdio::null());
    command
}

/// A process that does not outlive a test that fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const MARK: &str = "GATEHOUSE_LAB_MARK";

/// The processes whose environment has the mark.
fn marked(mark: &str) -> Vec<String> {
    let wanted = format!("{MARK}={mark}");
    let environment_has = |pid: &String| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    };
    let names = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())).filter(environment_has).collect()
}

fn wait_until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let give_up_at = clock::now() + patience;
    while !holds() {
        assert!(clock::now() < give_up_at, "{what}: not within {patience:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_story_ends_well_and_is_written_down() {
    let Some(_alone) = alone("demo::a_story_ends_well_and_is_written_down") else { return };
    let picture = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("cut.svg");
    let _ = fs::remove_file(&picture);
    let mark = format!("story-{}", std::process::id());
    let output = demo(&mark).args(["--script", "cut", "--json", "--svg"]).arg(&picture).output().unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complained}", output.status);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let acts = said["acts"].as_array().unwrap();
    assert_eq!(acts.iter().map(|act| act["do"].as_str().unwrap()).collect::<Vec<_>>(), ["cut", "heal"]);
    assert_ne!(acts[1]["figures"]["holder_after"], acts[0]["member"], "the cut member answers: {said:#}");
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.contains("m1") && svg.trim_end().ends_with("</svg>"), "no picture: {svg}");
    assert_eq!(marked(&mark), [""; 0], "processes are left");
}

#[test]
fn a_killed_demo_leaves_nothing_behind() {
    let Some(_alone) = alone("demo::a_killed_demo_leaves_nothing_behind") else { return };
    let mark = format!("killed-{}", std::process::id());
    let mut running = Killed(demo(&mark).args(["--script", "tour"]).stderr(Stdio::null()).spawn().unwrap());
    // The demo itself, `unshare`, the demo inside, and three daemons.
    wait_until("the demo runs", Duration::from_secs(20), || marked(&mark).len() >= 6);
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    wait_until("everything is gone", Duration::from_secs(5), || marked(&mark).is_empty());
}

#[test]
fn the_live_screen_shows_the_members_takes_keys_and_ends() {
    let Some(_alone) = alone("demo::the_live_screen_shows_the_members_takes_keys_and_ends") else { return };
    let mark = format!("screen-{}", std::process::id());
    let program = format!("stty rows 30 cols 110; exec {} demo", env!("CARGO_BIN_EXE_gatehouse"));
    let terminal = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &program, "/dev/null"])
        .env(MARK, &mark)
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut terminal = Killed(terminal);
    let (mut keys, mut screen) = (terminal.0.stdin.take().unwrap(), terminal.0.stdout.take().unwrap());
    let shown = Arc::new(Mutex::new(Vec::new()));
    let reader = {
        let shown = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                shown.lock().unwrap().extend_from_slice(&buffer[..length]);
            }
        })
    };
    let shows = |text: &str| String::from_utf8_lossy(&shown.lock().unwrap()).contains(text);
    wait_until("the screen shows the holder", Duration::from_secs(20), || shows("holding"));
    keys.write_all(b"c").unwrap();
    // Only cells that change are drawn, so that a word is whole but a phrase need not be.
    wait_until("the screen shows the cut cable", Duration::from_secs(5), || shows("cable"));
    keys.write_all(b"q").unwrap();
    wait_until("the screen is closed", Duration::from_secs(10), || terminal.0.try_wait().unwrap().is_some());
    assert!(terminal.0.wait().unwrap().success(), "{}", String::from_utf8_lossy(&shown.lock().unwrap()));
    reader.join().unwrap();
    assert!(shows("then answers"), "no table at the end");
    wait_until("everything is gone", Duration::from_secs(5), || marked(&mark).is_empty());
}

#[test]
fn a_story_that_is_none_is_refused() {
    let output = demo("none").args(["--script", "no-such-story"]).output().unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complained}");
    assert!(complained.contains("neither a builtin story nor a file"), "{complained}");
}
