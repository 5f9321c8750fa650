//! Several sites at a time: each lane is this program again, in a private machine of its own, with its share of the cases.
//!
//! The lanes disturb each other as a busy machine would; the base gap of each run shows by how much.

use std::io::Read as _;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use gatehouse::demo::inside::Run;
use serde::{Deserialize, Serialize};

use crate::cases::{Case, Outcome};
use crate::report::Row;

/// What a lane prints of one case.
#[derive(Serialize, Deserialize)]
struct Printed {
    outcomes: Vec<Outcome>,
    failures: Vec<String>,
}

/// The cases of one lane: every `lanes`th, so that each has some of every kind.
pub fn share(cases: &[Case], lane: u8, lanes: u8) -> Vec<Case> {
    cases.iter().skip(usize::from(lane)).step_by(usize::from(lanes)).copied().collect()
}

/// Prints what a lane has measured, for [`measure`].
pub fn print(rows: &[Row]) -> Result<()> {
    let printed: Vec<Printed> =
        rows.iter().map(|row| Printed { outcomes: row.outcomes.clone(), failures: row.failures.clone() }).collect();
    println!("{}", serde_json::to_string(&printed)?);
    Ok(())
}

/// Starts all lanes and puts their rows together, in the order of the cases.
pub fn measure(cases: &[Case], lanes: u8) -> Result<Vec<Row>> {
    let mut running = Vec::new();
    for lane in 0..lanes {
        let mut run = Run::of_this_program()?;
        run.command.args(std::env::args_os().skip(1)).args(["--lane", &lane.to_string()]).stdout(Stdio::piped());
        let child = run.command.spawn().context("starting a lane")?;
        running.push((lane, run, child));
    }
    let mut rows: Vec<Row> = cases.iter().map(|case| Row::new(*case)).collect();
    for (lane, _run, mut child) in running {
        let mut text = String::new();
        child.stdout.take().context("a lane's output")?.read_to_string(&mut text)?;
        if !child.wait()?.success() {
            bail!("lane {lane} failed");
        }
        let printed: Vec<Printed> = serde_json::from_str(&text).context("what a lane printed")?;
        let places = rows.iter_mut().skip(usize::from(lane)).step_by(usize::from(lanes));
        for (row, printed) in places.zip(printed) {
            (row.outcomes, row.failures) = (printed.outcomes, printed.failures);
        }
    }
    Ok(rows)
}
