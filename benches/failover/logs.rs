//! The logs of runs that missed an aim: what a daemon said is worth most where it did worst.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use gatehouse::clock;
use gatehouse::demo::measure::{Figures, Record, millis};
use gatehouse::demo::member::Member;
use gatehouse::demo::site::Site;
use gatehouse::demo::software::Profile;
use gatehouse::units::Time;
use serde_json::json;

use crate::cases::{Case, Fault, Outcome, Subject};

/// Silences of the client that are shorter are not written down.
const WORTH_NOTING: Duration = Duration::from_millis(8);

/// A probe that was answered this late lay in some queue.
const LATE: Duration = Duration::from_millis(50);

/// Where logs are kept, if at all.
#[derive(Clone, Debug)]
pub struct Logs {
    /// The folder that each run gets one of its own in.
    pub folder: Option<PathBuf>,
    /// Tells the lanes' folders apart.
    pub lane: u8,
}

/// When a run's fault was done and undone.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    /// The fault.
    pub fault: Time,
    /// Its end.
    pub undone: Time,
    /// The old holder.
    pub holder: Member,
}

impl Logs {
    /// Keeps the logs of a run that missed an aim; the folder, if it did.
    ///
    /// # Errors
    /// When they cannot be copied.
    pub fn keep(&self, case: &Case, site: &Site, outcome: &Outcome, moments: Moments) -> Result<Option<PathBuf>> {
        let Some(folder) = self.folder.as_deref().filter(|_| missed(case, outcome)) else { return Ok(None) };
        let mut name = case.name();
        name.retain(|letter| letter != ',');
        let number = fs::read_dir(folder).map_or(0, Iterator::count);
        let folder = folder.join(format!("{}-{}-{number}", name.replace(' ', "-"), self.lane));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for member in site.lan().members() {
            let log = site.seat(*member)?.file("log");
            fs::copy(&log, folder.join(format!("{member}.log"))).with_context(|| log.display().to_string())?;
        }
        write_run(&folder, site, outcome, moments)?;
        Ok(Some(folder))
    }
}

/// Whether a run of this project's daemon missed an aim; a gap no longer than that of the calm before shows nothing.
fn missed(case: &Case, outcome: &Outcome) -> bool {
    let Subject::Gatehouse(profile) = case.subject else { return false };
    let fast = profile == Profile::Fast;
    let (first, second) = match case.fault {
        Fault::Cut | Fault::Blackhole => (if fast { 50.0 } else { 230.0 }, 50.0),
        Fault::Term | Fault::GiveUp => (3.0, 0.0),
        Fault::Kill9 | Fault::Stop => (if fast { 20.0 } else { 40.0 }, 5.0),
    };
    let too_long = |figures: &Figures, aim: f64| figures.gap_ms > aim + figures.base_gap_ms;
    outcome.first.lost_after_takeover > 0
        || too_long(&outcome.first, first)
        || outcome.second.is_some_and(|figures| too_long(&figures, second))
}

/// The figures, the probes that were kept waiting somewhere, the client's silences counted from the fault, and what o'clock it was: logs have the time of day.
fn write_run(folder: &Path, site: &Site, outcome: &Outcome, moments: Moments) -> Result<()> {
    let age = clock::now().since(moments.fault);
    let after_fault = |at: Time| {
        if at >= moments.fault { millis(at.since(moments.fault)) } else { -millis(moments.fault.since(at)) }
    };
    let record = site.record(moments.fault - Duration::from_secs(1));
    let late: Vec<_> = record
        .probes
        .iter()
        .filter_map(|probe| Some((probe.sent, probe.answer?)))
        .filter(|(sent, answer)| answer.at.since(*sent) >= LATE)
        .map(|(sent, answer)| {
            json!({ "sent": after_fault(sent), "answered": after_fault(answer.at), "by": answer.by.to_string() })
        })
        .collect();
    let silences: Vec<_> = silences(&record)
        .into_iter()
        .map(|(from, to)| json!({ "from": after_fault(from), "to": after_fault(to) }))
        .collect();
    let run = json!({
        "outcome": outcome,
        "holder": moments.holder.to_string(),
        "fault_at_unix_ms": clock::wall_millis().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(0)),
        "undone": after_fault(moments.undone),
        "silences": silences,
        "late": late,
    });
    let path = folder.join("run.json");
    fs::write(&path, format!("{run:#}\n")).with_context(|| path.display().to_string())
}

/// Spans without an answer.
fn silences(record: &Record) -> Vec<(Time, Time)> {
    let mut answers: Vec<Time> = record.probes.iter().filter_map(|probe| Some(probe.answer?.at)).collect();
    answers.sort_unstable();
    let pairs = answers.iter().zip(answers.iter().skip(1));
    pairs.filter(|(from, to)| to.since(**from) >= WORTH_NOTING).map(|(from, to)| (*from, *to)).collect()
}
