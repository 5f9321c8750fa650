//! Whether this member is fit to hold: runs its checks and tells the verdict.
//!
//! `verdict` and `dns` are pure, `probes` touches the world. Each check is a task of its own on the
//! daemon's ordinary runtime, so that a slow one delays nobody, least of all the beacons.

pub mod dns;
mod probes;
#[cfg(test)]
mod tests;
mod verdict;

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;

use crate::config::Check;
use crate::units::Health;
use verdict::Verdict;

/// The first tries of all checks are spread over at most this long, so that the first verdicts come soon.
const SPREAD: Duration = Duration::from_secs(1);
/// Results waiting to be taken in; a check whose result does not fit waits, which only delays its next try.
const QUEUE: usize = 32;

/// One check, and how its last try went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    /// Its name.
    pub name: String,
    /// Whether it passes, by its rise and fall.
    pub passing: bool,
    /// What the last try said.
    pub detail: String,
    /// How long the last try took.
    pub took: Duration,
}

/// The verdict and what it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct HealthReport {
    /// How fit the member is.
    pub health: Health,
    /// The checks, in the order of the configuration.
    pub checks: Vec<CheckReport>,
}

/// The running checks; dropping it stops them and kills what they have started.
#[derive(Debug)]
pub struct Checks {
    task: JoinHandle<()>,
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Starts `checks` on the current runtime, for a member whose LAN is at `interface`. The receiver's first value is a
/// member in full health: checks pass until they have failed.
pub fn spawn(checks: Vec<Check>, interface: String) -> (watch::Receiver<HealthReport>, Checks) {
    let untried = |check: &Check| CheckReport {
        name: check.name.clone(),
        passing: true,
        detail: "not tried yet".to_owned(),
        took: Duration::ZERO,
    };
    let report = HealthReport { health: Health::FULL, checks: checks.iter().map(untried).collect() };
    let (publisher, receiver) = watch::channel(report);
    (receiver, Checks { task: tokio::spawn(judge(checks, interface, publisher)) })
}

/// Runs the checks and publishes after each try, until dropped; the checks end with it.
async fn judge(checks: Vec<Check>, interface: String, publisher: watch::Sender<HealthReport>) {
    let mut verdict = Verdict::new(&checks);
    let (results, mut inbox) = mpsc::channel(QUEUE);
    let mut running = JoinSet::new();
    let count = u32::try_from(checks.len()).unwrap_or(u32::MAX);
    for (place, check) in (0..count).zip(checks) {
        let wait = check.interval.min(SPREAD) * place / count;
        running.spawn(repeat(check, interface.clone(), wait, place, results.clone()));
    }
    // `results` stays here, so the inbox never ends and a member without checks keeps its full health.
    while let Some(result) = inbox.recv().await {
        publisher.send_modify(|report| {
            let passing = verdict.tell(result.place, result.succeeded);
            report.health = verdict.health();
            if let Some(status) = report.checks.get_mut(result.place) {
                status.passing = passing;
                status.detail = result.detail;
                status.took = result.took;
            }
        });
    }
}

/// What one try of the check at `place` came to.
struct Result {
    place: usize,
    succeeded: bool,
    detail: String,
    took: Duration,
}

/// Tries `check` again and again, the first time after `wait`.
async fn repeat(check: Check, interface: String, wait: Duration, place: u32, results: mpsc::Sender<Result>) {
    tokio::time::sleep(wait).await;
    let mut ticks = tokio::time::interval(check.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let place = usize::try_from(place).unwrap_or(usize::MAX);
    loop {
        ticks.tick().await;
        let result = attempt(&check, &interface, place).await;
        if results.send(result).await.is_err() {
            return;
        }
    }
}

/// One try in a task of its own: a defect in a probe is a failed try, not the end of the check.
async fn attempt(check: &Check, interface: &str, place: usize) -> Result {
    let (probe, interface, timeout) = (check.probe.clone(), interface.to_owned(), check.timeout);
    let mut task = JoinSet::new();
    task.spawn(async move { probes::try_once(&probe, &interface, timeout).await });
    match task.join_next().await {
        Some(Ok(tried)) => {
            let succeeded = tried.outcome.is_ok();
            let detail = tried.outcome.unwrap_or_else(|error| error.to_string());
            Result { place, succeeded, detail, took: tried.took }
        }
        _ => Result { place, succeeded: false, detail: "the check crashed".to_owned(), took: Duration::ZERO },
    }
}
