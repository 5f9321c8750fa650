//! What a daemon costs when nothing happens: processor, memory, and how long until somebody holds on an empty LAN.
//!
//! No client and no witnesses run, because they would be part of what is measured.

use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use gatehouse::clock;
use gatehouse::demo::daemon::Daemon;
use gatehouse::demo::inside::FOLDER;
use gatehouse::demo::measure::millis;
use gatehouse::demo::member::Member;
use gatehouse::demo::net::{DMZ, Lan, Machine};
use gatehouse::demo::software::Seat;

use crate::cases::Subject;

/// The name of the measurement, for `--only` and people.
pub fn name(subject: Subject) -> String {
    format!("{}, {MEMBERS} members, idle", subject.software().name())
}

/// Measures every subject; a table for people.
pub fn measure(subjects: &[Subject]) -> Result<String> {
    let mut text = String::from(
        "| daemon | start to holding | holder's CPU | standby's CPU | holder's RSS | standby's RSS |\n|---|---|---|---|---|---|\n",
    );
    for subject in subjects {
        eprintln!("{}", name(*subject));
        match cost(*subject) {
            // Writing to a string cannot fail.
            Ok([start, holder, standby]) => {
                let _ = writeln!(text, "| {} | {start} | {holder} | {standby} |", subject.software().name());
            }
            Err(error) => eprintln!("    failed: {error:#}"),
        }
    }
    Ok(text)
}

const MEMBERS: usize = 3;
const SETTLE: Duration = Duration::from_secs(3);
const WATCH: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the first one took to hold, and processor and memory of the holder and of the dearest standby.
fn cost(subject: Subject) -> Result<[String; 3]> {
    let lan = Lan::build(MEMBERS)?;
    let software = subject.software();
    let mut daemons = Vec::new();
    let mut start = Duration::ZERO;
    for &member in lan.members() {
        let folder = Path::new(FOLDER).join(member.to_string());
        if folder.exists() {
            fs::remove_dir_all(&folder).context("an old folder")?;
        }
        let begin = clock::now();
        daemons.push((member, Daemon::start(&lan, software.as_ref(), &Seat { member, folder })?));
        if daemons.len() == 1 {
            while !has_address(&lan, member)? {
                if clock::now().since(begin) > PATIENCE {
                    bail!("nobody holds within {PATIENCE:?}");
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            start = clock::now().since(begin);
        }
    }
    std::thread::sleep(SETTLE);
    let before = daemons.iter().map(|(_, daemon)| processor(daemon)).collect::<Result<Vec<_>>>()?;
    std::thread::sleep(WATCH);
    let (mut holder, mut standby) = (Cost::default(), Cost::default());
    for ((member, daemon), before) in daemons.iter().zip(before) {
        let spent = processor(daemon)?.saturating_sub(before);
        let cost = Cost { percent: 100.0 * spent.as_secs_f64() / WATCH.as_secs_f64(), megabytes: memory(daemon)? };
        let slot = if has_address(&lan, *member)? { &mut holder } else { &mut standby };
        *slot = Cost { percent: slot.percent.max(cost.percent), megabytes: slot.megabytes.max(cost.megabytes) };
    }
    Ok([
        format!("{:.0} ms", millis(start)),
        format!("{:.2} % | {:.2} %", holder.percent, standby.percent),
        format!("{:.1} MB | {:.1} MB", holder.megabytes, standby.megabytes),
    ])
}

#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    percent: f64,
    megabytes: f64,
}

fn has_address(lan: &Lan, member: Member) -> Result<bool> {
    lan.within(Machine::Member(member), || UdpSocket::bind((DMZ, 0)).is_ok())
}

/// The processor time of all threads of all processes.
fn processor(daemon: &Daemon) -> Result<Duration> {
    let mut nanos = 0;
    for pid in daemon.processes()? {
        for task in fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).context("the threads")?.flatten() {
            let statistics = fs::read_to_string(task.path().join("schedstat")).context("a thread's processor time")?;
            nanos += statistics.split(' ').next().unwrap_or_default().parse::<u64>().context("a processor time")?;
        }
    }
    Ok(Duration::from_nanos(nanos))
}

/// The resident memory of all processes in megabytes.
fn memory(daemon: &Daemon) -> Result<f64> {
    let mut kilobytes = 0.0;
    for pid in daemon.processes()? {
        let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).context("a process")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        kilobytes += line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or_default();
    }
    Ok(kilobytes / 1024.0)
}
