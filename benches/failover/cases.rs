//! What is measured: which software, with how many members, under which fault.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use gatehouse::clock;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::measure::{Figures, Stretch, Window};
use gatehouse::demo::site::Site;
use gatehouse::demo::software::{Gatehouse, Profile, Software};
use serde::{Deserialize, Serialize};

use crate::logs::{Logs, Moments};
use crate::peers::{Keepalived, Ucarp};

/// A fault and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// SIGTERM.
    Term,
    /// The holder is asked to hand over.
    GiveUp,
    /// SIGKILL to all of the daemon's processes; the kernel lives.
    Kill9,
    /// SIGSTOP for 5 s, then SIGCONT.
    Stop,
    /// No carrier, then carrier again.
    Cut,
    /// Every frame dropped, carrier stays; then healed.
    Blackhole,
}

impl Fault {
    /// All of them, in the order of the table.
    pub const ALL: [Fault; 6] = [Fault::Cut, Fault::Blackhole, Fault::Term, Fault::GiveUp, Fault::Kill9, Fault::Stop];

    /// Its name in the table and for `--only`.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Term => "term",
            Fault::GiveUp => "give-up",
            Fault::Kill9 => "kill9",
            Fault::Stop => "stop",
            Fault::Cut => "cut",
            Fault::Blackhole => "blackhole",
        }
    }

    fn deeds(self) -> (Deed, Option<Deed>) {
        match self {
            Fault::Term => (Deed::Stop, None),
            Fault::GiveUp => (Deed::GiveUp, None),
            Fault::Kill9 => (Deed::Kill, None),
            Fault::Stop => (Deed::Freeze, Some(Deed::Thaw)),
            Fault::Cut => (Deed::Cut, Some(Deed::Heal)),
            Fault::Blackhole => (Deed::Blackhole, Some(Deed::Heal)),
        }
    }
}

/// One kind of daemon with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// This project.
    Gatehouse(Profile),
    /// keepalived with an interval, and with `use_vmac` or not.
    Keepalived(&'static str, bool),
    /// ucarp with a dead ratio.
    Ucarp(u8),
}

impl Subject {
    /// The software to start.
    pub fn software(self) -> Box<dyn Software> {
        match self {
            Subject::Gatehouse(profile) => {
                let program = PathBuf::from(env!("CARGO_BIN_EXE_gatehouse"));
                Box::new(Gatehouse { program, profile, more: String::new() })
            }
            Subject::Keepalived(interval, virtual_mac) => Box::new(Keepalived { interval, virtual_mac }),
            Subject::Ucarp(dead_ratio) => Box::new(Ucarp { dead_ratio }),
        }
    }

    /// The program that must be installed for it, and the package that has it.
    pub fn needs(self) -> Option<(&'static str, &'static str)> {
        match self {
            Subject::Gatehouse(_) => None,
            Subject::Keepalived(..) => Some(("keepalived", "keepalived")),
            Subject::Ucarp(_) => Some(("ucarp", "ucarp")),
        }
    }

    /// The time between two signs of life of the holder.
    fn period(self) -> Duration {
        match self {
            Subject::Gatehouse(Profile::Fast) | Subject::Keepalived("0.01", _) => Duration::from_millis(10),
            Subject::Gatehouse(Profile::Default) | Subject::Keepalived("0.1", _) => Duration::from_millis(100),
            Subject::Gatehouse(Profile::Quiet) => Duration::from_millis(300),
            Subject::Keepalived(..) | Subject::Ucarp(_) => Duration::from_secs(1),
        }
    }

    /// How long to watch after a fault: longer than its takeover by far.
    fn watch(self) -> Duration {
        match self {
            Subject::Keepalived("1", _) => Duration::from_millis(5_000),
            Subject::Ucarp(_) => Duration::from_millis(6_500),
            Subject::Gatehouse(_) => Duration::from_millis(1_000),
            Subject::Keepalived(..) => Duration::from_millis(1_500),
        }
    }

    /// How long to watch after a fault was undone: the peers come to rest late.
    fn heal_watch(self) -> Duration {
        match self {
            Subject::Gatehouse(_) => Duration::from_millis(2_000),
            Subject::Keepalived(..) | Subject::Ucarp(_) => Duration::from_millis(5_000),
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// What runs.
    pub subject: Subject,
    /// On how many members.
    pub members: usize,
    /// What happens.
    pub fault: Fault,
}

impl Case {
    /// Its name, for `--only` and people.
    pub fn name(&self) -> String {
        format!("{}, {} members, {}", self.subject.software().name(), self.members, self.fault.name())
    }

    /// Every kind of daemon once, for what it costs when nothing happens.
    pub fn subjects() -> Vec<Subject> {
        let ours = [Profile::Default, Profile::Fast, Profile::Quiet].map(Subject::Gatehouse);
        let keepalived = ["1", "0.1", "0.01"].map(|interval| Subject::Keepalived(interval, true));
        ours.into_iter().chain(keepalived).chain([Subject::Ucarp(3)]).collect()
    }

    /// Every case, side by side.
    pub fn all() -> Vec<Case> {
        let mut subjects = Vec::new();
        for profile in [Profile::Default, Profile::Fast] {
            subjects.extend([2, 3, 16].map(|members| (Subject::Gatehouse(profile), members)));
        }
        subjects.extend(["1", "0.1", "0.01"].map(|interval| (Subject::Keepalived(interval, true), 2)));
        subjects.push((Subject::Ucarp(3), 2));
        let case = |(subject, members), fault| Case { subject, members, fault };
        let possible = |case: &Case| case.fault != Fault::GiveUp || matches!(case.subject, Subject::Gatehouse(_));
        Fault::ALL
            .iter()
            .flat_map(|fault| subjects.iter().map(|subject| case(*subject, *fault)))
            .filter(possible)
            .collect()
    }

    /// Runs it once, on a site of its own.
    pub fn run(&self, logs: &Logs) -> Result<Outcome> {
        let mut site = Site::open(self.members, self.subject.software())?;
        site.start_all()?;
        // Some change their minds after a second; the fault is for one who has held all through the calm before it.
        let calm = CALM + Duration::from_millis(100);
        let holder = site.wait_for_holder(Duration::from_secs(30), calm)?;
        let begin = clock::now() - calm;

        // The daemons' rhythm began with the site, so a fault at a fixed time would always meet the same phase of it.
        std::thread::sleep(self.subject.period().mul_f64((clock::seed() % 1_000) as f64 / 1_000.0));

        let (deed, undo) = self.fault.deeds();
        let fault = clock::now();
        site.apply(deed, holder)?;
        std::thread::sleep(if deed == Deed::Freeze { FREEZE } else { self.subject.watch() });
        let undone = clock::now();
        if let Some(undo) = undo {
            site.apply(undo, holder)?;
            std::thread::sleep(self.subject.heal_watch());
        }
        let end = clock::now();
        std::thread::sleep(LATE_ANSWERS);

        let record = site.record(begin);
        // What is compared is watched for equally long: the longer one watches, the longer the longest gap.
        let calm = |watched: Duration| Stretch::before(fault, watched.min(CALM));
        let first = Window { fault, end: undone, holder: Some(holder), calm: calm(undone.since(fault)) };
        let first = record.figures(first);
        let second = Window { fault: undone, end, holder: first.holder_after, calm: calm(end.since(undone)) };
        let outcome = Outcome { first, second: undo.map(|_| record.figures(second)), holders: site.address_on().len() };
        if let Some(folder) = logs.keep(self, &site, &outcome, Moments { fault, undone, holder })? {
            eprintln!("    missed an aim: {}", folder.display());
        }
        Ok(outcome)
    }
}

/// What one run showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// From the fault on.
    pub first: Figures,
    /// From the moment it was undone, where it was.
    pub second: Option<Figures>,
    /// How many members had the address at the end.
    pub holders: usize,
}

/// The calm before a fault, as long as this project's daemon is watched after a fault was undone.
const CALM: Duration = Duration::from_secs(2);
const FREEZE: Duration = Duration::from_secs(5);
/// Probes sent just before the end may still be answered.
const LATE_ANSWERS: Duration = Duration::from_millis(100);
