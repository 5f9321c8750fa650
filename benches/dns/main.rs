//! Side by side: what a query costs, how many a core answers, what a large zone costs, how fast updates are.
//!
//! `cargo bench --bench dns -- [--rounds 5] [--only TEXT]… [--quick]`; see `benches/README.md` for the method. The servers
//! listen on loopback and are gone when this program ends.

mod cases;
mod load;
mod peers;
mod process;
mod report;
mod zones;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Parser;

use cases::Case;
use peers::Subject;
use report::Row;

/// Measures the DNS server, side by side with Knot, NSD, BIND and (where it is installed) Hickory.
#[derive(Debug, Parser)]
struct Args {
    /// Rounds; each has every case once.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only cases whose name contains this text; more than one must all be contained.
    #[arg(long)]
    only: Vec<String>,
    /// One round, short loads, a tenth of the names.
    #[arg(long)]
    quick: bool,
    /// Names of the large zone.
    #[arg(long, default_value_t = 1_000_000)]
    names: usize,
    /// Our program.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_gatehouse"))]
    ours: PathBuf,
    /// Names the cases and ends.
    #[arg(long)]
    list: bool,
    /// Where the table, the JSON and the picture go.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results"))]
    results: PathBuf,
    /// Given by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let mut cases = Case::all();
    cases.retain(|case| args.only.iter().all(|text| case.name().contains(text.as_str())));
    if args.list {
        cases.iter().for_each(|case| println!("{}", case.name()));
        return Ok(ExitCode::SUCCESS);
    }
    if cases.is_empty() {
        bail!("no case has a name that contains {:?}; --list names them", args.only);
    }
    // A comparison without the peers would be none; Hickory is no package of Debian's, and left out where it is not.
    cases.retain(|case| case.subject.is_required() || is_there(case.subject.program()));
    for program in cases.iter().map(|case| case.subject).filter(|subject| subject.is_required()).map(Subject::program) {
        if !program.is_empty() && !is_there(program) {
            bail!("`{program}` is missing: `.ci/setup bench` installs it, or leave it out with --only gatehouse");
        }
    }
    if !is_there("dnsperf") || !is_there("taskset") {
        bail!("`dnsperf` or `taskset` is missing: `.ci/setup bench` installs them");
    }
    let plan = cases::Plan::prepare(args.ours, if args.quick { args.names / 10 } else { args.names }, args.quick)?;
    let rows = measure(&cases, &plan, if args.quick { 1 } else { args.rounds.max(1) });
    report::write(&args.results, &rows).with_context(|| args.results.display().to_string())?;
    print!("{}", report::table(&rows));
    let has_failed = rows.iter().any(|row| row.figures.is_empty());
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Whether a program can be started.
fn is_there(program: &str) -> bool {
    let mut command = Command::new("which");
    command.arg(program).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// All rounds; within one, the cases take turns, so that a busy minute of the machine hits all alike.
fn measure(cases: &[Case], plan: &cases::Plan, rounds: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = cases.iter().map(|case| Row::new(*case)).collect();
    for round in 1..=rounds {
        for row in &mut rows {
            eprintln!("[{round}/{rounds}] {}", row.case.name());
            match row.case.run(plan) {
                Ok(figures) => row.figures.push(figures),
                Err(error) => eprintln!("    failed: {error:#}"),
            }
        }
    }
    rows
}
