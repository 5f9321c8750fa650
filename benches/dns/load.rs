//! Clients: dnsperf for as much as a server can take, and one that asks at a steady rate for how long it takes.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gatehouse::clock;
use gatehouse::units::Time;

use crate::peers::KEY;
use crate::process::CLIENT_CORE;
use crate::zones::APEX;

/// What dnsperf has seen.
pub struct Load {
    /// Answers a second.
    pub rate: f64,
    /// Answers.
    pub answers: u64,
    /// Questions without one, in thousandths of all.
    pub lost_permille: f64,
    /// Answers that say that all is well, in thousandths of all.
    pub well_permille: f64,
}

/// How long answers take, in microseconds.
pub struct Latency {
    pub median_us: f64,
    pub p99_us: f64,
    /// Questions that got none within [`PATIENCE`].
    pub lost: usize,
}

/// How long the steady client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Asks as much as the server can take, from eight sockets with 400 questions open.
pub fn saturate(port: u16, questions: &Path, secs: u64) -> Result<Load> {
    let mut command = dnsperf(port, questions, secs);
    command.args(["-c", "8", "-q", "400", "-b", "4096"]);
    read(&command.output().context("dnsperf")?)
}

/// Sends signed updates, so many open at once.
pub fn update(port: u16, updates: &Path, secs: u64, open: usize) -> Result<Load> {
    read(&update_command(port, updates, secs, open).output().context("dnsperf")?)
}

/// The same, to be started: it yields to every other client.
pub fn update_command(port: u16, updates: &Path, secs: u64, open: usize) -> Command {
    let mut command = dnsperf(port, updates, secs);
    command.args(["-u", "-y", KEY, "-c", "1", "-q", &open.to_string()]);
    command
}

fn dnsperf(port: u16, data: &Path, secs: u64) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", CLIENT_CORE, "nice", "-n", "10", "dnsperf", "-s", "127.0.0.1", "-T", "1", "-t", "2"]);
    command.args(["-p", &port.to_string(), "-l", &secs.to_string(), "-d"]).arg(data);
    command
}

/// Reads what dnsperf says at its end.
pub fn read(output: &Output) -> Result<Load> {
    let text = String::from_utf8_lossy(&output.stdout);
    let number = |label: &str| {
        let rest = text.lines().find_map(|line| line.trim().strip_prefix(label))?;
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    let kind = |word: &str| number(&format!("Queries {word}:")).or_else(|| number(&format!("Updates {word}:")));
    let (Some(sent), Some(answers), Some(rate)) = (kind("sent"), kind("completed"), kind("per second")) else {
        bail!("dnsperf said: {text} {}", String::from_utf8_lossy(&output.stderr));
    };
    let codes = text.lines().find_map(|line| line.trim().strip_prefix("Response codes:")).unwrap_or_default();
    let mut well = 0.0;
    for part in codes.split(',') {
        let mut words = part.split_whitespace();
        if matches!(words.next(), Some("NOERROR" | "NXDOMAIN")) {
            well += words.next().and_then(|count| count.parse::<f64>().ok()).unwrap_or(0.0);
        }
    }
    Ok(Load {
        rate,
        answers: answers as u64,
        lost_permille: kind("lost").unwrap_or(sent - answers) / sent.max(1.0) * 1000.0,
        well_permille: well / answers.max(1.0) * 1000.0,
    })
}

/// Asks a question each millisecond for so long, one after the other.
pub fn steady(port: u16, names: usize, span: Duration) -> Result<Latency> {
    let socket = client(port)?;
    let (mut taken, mut lost) = (Vec::new(), 0);
    let begin = clock::now();
    let mut due = begin;
    while clock::now().since(begin) < span {
        wait_for(due);
        due = due + Duration::from_millis(1);
        let id = taken.len() as u16;
        let sent = clock::now();
        match ask(&socket, id, &format!("n{}", taken.len() * 7919 % names)) {
            Ok(true) => taken.push(clock::now().since(sent).as_secs_f64() * 1e6),
            _ => lost += 1,
        }
        // After a wait the schedule goes on from there, and does not catch up by a burst.
        due = due.max(clock::now());
    }
    taken.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| taken.get((taken.len() as f64 * part) as usize).copied().unwrap_or(f64::NAN);
    Ok(Latency { median_us: at(0.5), p99_us: at(0.99), lost })
}

/// Whether the server answers with an address for the last of its names.
pub fn is_ready(port: u16, names: usize) -> bool {
    client(port).is_ok_and(|socket| {
        let _ = socket.set_read_timeout(Some(Duration::from_millis(100)));
        ask(&socket, 1, &format!("n{}", names - 1)).unwrap_or(false)
    })
}

fn client(port: u16) -> Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", port))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Asks for an address; whether one came.
fn ask(socket: &UdpSocket, id: u16, name: &str) -> std::io::Result<bool> {
    let mut query = [&id.to_be_bytes()[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in name.split('.').chain(APEX.split('.')) {
        query.push(label.len() as u8);
        query.extend_from_slice(label.as_bytes());
    }
    query.extend_from_slice(&[0, 0, 1, 0, 1]);
    socket.send(&query)?;
    let mut answer = [0; 512];
    loop {
        let len = socket.recv(&mut answer)?;
        // An answer to an earlier question came late.
        if answer.get(..2) == Some(&id.to_be_bytes()) {
            return Ok(len > query.len() && answer[3] & 0xf == 0 && answer[7] > 0);
        }
    }
}

fn wait_for(due: Time) {
    let now = clock::now();
    if due > now {
        std::thread::sleep(due.since(now));
    }
}
