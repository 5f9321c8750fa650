//! Side by side: how long a client waits, and how long two machines answer, when the holder fails.
//!
//! `cargo bench --bench failover -- [--runs 10] [--only TEXT]… [--quick]`; see `benches/README.md` for the method.
//! Everything happens in namespaces that are gone when this program ends, however it ends.

mod cases;
mod idle;
mod lanes;
mod logs;
mod peers;
mod report;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use gatehouse::clock;
use gatehouse::demo::inside;

use cases::{Case, Subject};
use logs::Logs;
use report::Row;

/// Measures fail-over, side by side with keepalived and ucarp.
#[derive(Debug, Parser)]
struct Args {
    /// Runs of each case.
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Runs of each case of the other daemons; as many as of the others if not given.
    #[arg(long)]
    peer_runs: Option<usize>,
    /// Only cases whose name contains this text; more than one must all be contained.
    #[arg(long)]
    only: Vec<String>,
    /// One run of each case with two members.
    #[arg(long)]
    quick: bool,
    /// Begins no further run after this many minutes, and reports what there is.
    #[arg(long)]
    minutes: Option<u64>,
    /// Sites at a time, each with its share of the cases; more is quicker and noisier.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    lanes: u8,
    /// Measures this share only and prints it; how the lanes are started.
    #[arg(long, hide = true)]
    lane: Option<u8>,
    /// Names the cases and ends.
    #[arg(long)]
    list: bool,
    /// Where the table, the JSON and the picture go.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results"))]
    results: PathBuf,
    /// Keeps the logs of the runs that missed an aim in this folder.
    #[arg(long)]
    logs: Option<PathBuf>,
    /// Given by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let (cases, idle) = (chosen(&args), chosen_idle(&args));
    if args.list {
        cases.iter().for_each(|case| println!("{}", case.name()));
        idle.iter().for_each(|subject| println!("{}", idle::name(*subject)));
        return Ok(ExitCode::SUCCESS);
    }
    if cases.is_empty() && idle.is_empty() {
        bail!("no case has a name that contains {:?}; --list names them", args.only);
    }
    require(cases.iter().map(|case| case.subject).chain(idle.iter().copied()))?;
    let runs = if args.quick { 1 } else { args.runs.max(1) };
    let runs = Runs { ours: runs, peers: args.peer_runs.unwrap_or(runs).min(runs) };
    let logs = Logs { folder: args.logs.clone(), lane: args.lane.unwrap_or(0) };
    let limit = args.minutes.map_or(Duration::MAX, |minutes| Duration::from_secs(minutes * 60));
    if args.lanes > 1 && args.lane.is_none() {
        let rows = lanes::measure(&cases, args.lanes)?;
        report::write(&args.results, &rows).with_context(|| args.results.display().to_string())?;
        print!("{}", report::table(&rows));
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(code) = inside::enter()?.exit_code() {
        return Ok(code);
    }
    if let Some(lane) = args.lane {
        lanes::print(&measure(&lanes::share(&cases, lane, args.lanes), runs, limit, &logs))?;
        return Ok(ExitCode::SUCCESS);
    }
    std::fs::create_dir_all(&args.results).with_context(|| args.results.display().to_string())?;
    if !idle.is_empty() {
        let table = idle::measure(&idle)?;
        std::fs::write(args.results.join("idle.md"), &table).context("the table of idle costs")?;
        println!("{table}");
    }
    if !cases.is_empty() {
        let rows = measure(&cases, runs, limit, &logs);
        report::write(&args.results, &rows).with_context(|| args.results.display().to_string())?;
        print!("{}", report::table(&rows));
    }
    Ok(ExitCode::SUCCESS)
}

/// How often each case is run.
#[derive(Clone, Copy, Debug)]
struct Runs {
    ours: usize,
    peers: usize,
}

impl Runs {
    fn of(self, case: &Case) -> usize {
        if matches!(case.subject, Subject::Gatehouse(_)) { self.ours } else { self.peers }
    }
}

fn chosen(args: &Args) -> Vec<Case> {
    let mut cases = Case::all();
    cases.retain(|case| args.only.iter().all(|text| case.name().contains(text.as_str())));
    cases.retain(|case| !args.quick || case.members == 2);
    cases
}

fn chosen_idle(args: &Args) -> Vec<Subject> {
    let mut subjects = Case::subjects();
    subjects.retain(|subject| args.only.iter().all(|text| idle::name(*subject).contains(text.as_str())));
    subjects
}

/// A comparison without the peers would be none; so a missing one ends the run at once.
fn require(subjects: impl Iterator<Item = Subject>) -> Result<()> {
    for (program, package) in subjects.filter_map(Subject::needs) {
        let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            bail!("`{program}` is missing: install the package {package}, or leave it out with --only gatehouse");
        }
    }
    Ok(())
}

/// All runs: the first of every case, then the second, so that a busy minute of the machine hits all alike.
fn measure(cases: &[Case], runs: Runs, limit: Duration, logs: &Logs) -> Vec<Row> {
    let mut rows: Vec<Row> = cases.iter().map(|case| Row::new(*case)).collect();
    let total: usize = cases.iter().map(|case| runs.of(case)).sum();
    let begin = clock::now();
    let mut begun = 0;
    for run in 0..runs.ours {
        for row in rows.iter_mut().filter(|row| run < runs.of(&row.case)) {
            let done = begun;
            begun += 1;
            let spent = clock::now().since(begin);
            if spent > limit {
                return rows;
            }
            let left = u32::try_from(done).ok().filter(|done| *done > 0).map(|done| spent / done);
            let eta = left.map(|each| each * u32::try_from(total - done).unwrap_or(0)).unwrap_or(Duration::ZERO);
            eprintln!("[{}/{total}, {} s left] {}", done + 1, eta.as_secs(), row.case.name());
            match row.case.run(logs) {
                Ok(outcome) => row.outcomes.push(outcome),
                Err(error) => {
                    eprintln!("    failed: {error:#}");
                    row.failures.push(format!("{error:#}"));
                }
            }
        }
    }
    rows
}
