//! What members record replays to the same decisions.

use anyhow::{Context, Result, ensure};
use gatehouse::demo::daemon::Life;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::net::Machine;
use serde_json::Value;

use crate::kit::{Config, PATIENCE, m, met, program, replaced, run, settled, site};
use crate::lab;

#[test]
fn a_record_of_a_lab_replays_without_differences() {
    lab(|| {
        let mut site = site(3, |member| Config {
            more: format!("[record]\nfile = \"/run/gatehouse-lab/{member}/inputs\""),
            ..Config::default()
        })?;
        let first = settled(&mut site)?;
        site.apply(Deed::Cut, first)?;
        replaced(&site, first)?;
        site.apply(Deed::Heal, first)?;
        let second = met(&mut site, &[m(1), m(2), m(3)])?;
        site.apply(Deed::Stop, second)?;
        replaced(&site, second)?;
        for member in [m(1), m(2), m(3)] {
            site.apply(Deed::Stop, member)?;
            let life = site.daemon(member).context("no daemon")?.wait(PATIENCE);
            ensure!(life == Life::Ended(0), "{member}: {life:?}");
            let file = site.seat(member)?.file("inputs").display().to_string();
            let replayed = replay(&site, &file)?;
            ensure!(replayed["steps"].as_u64() > Some(20), "a short record: {replayed}");
            ensure!(replayed["differences"].as_array().is_some_and(Vec::is_empty), "{replayed:#}");
            ensure!(replayed["end"] == "stopped", "it ends as {}", replayed["end"]);
        }
        Ok(())
    });
}

fn replay(site: &gatehouse::demo::site::Site, file: &str) -> Result<Value> {
    let text = run(site.lan(), Machine::Router, &program().display().to_string(), &["replay", file, "--json"])?;
    serde_json::from_str(&text).context("a replay")
}
