//! The checks that need a LAN: the gateway is found, answers, falls mute, and answers again.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use gatehouse::config::{Check, CheckProbe, Cost};
use gatehouse::demo::member::Member;
use gatehouse::demo::net::{Lan, Machine};
use gatehouse::lan::health::{self, HealthReport};
use gatehouse::units::Health;
use tokio::sync::watch;

use crate::lab;

/// No verdict takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_gateway_is_found_and_missed() {
    lab(|| {
        let lan = Lan::build(1)?;
        let member = Member::new(0).context("no member")?;
        lan.within(Machine::Member(member), || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let checks = vec![
                    gateway("found", None, 10),
                    gateway("v4", Some("192.168.77.1".parse()?), 20),
                    gateway("v6", Some("fd77::1".parse()?), 30),
                    gateway("nobody", Some("192.168.77.250".parse()?), 40),
                ];
                let (mut reports, _checks) = health::spawn(checks, "eth0".to_owned());
                passing(&mut reports, [true, true, true, false], Health(60)).await?;
                lan.silence(member)?;
                passing(&mut reports, [false; 4], Health(0)).await?;
                lan.heal(member)?;
                passing(&mut reports, [true, true, true, false], Health(60)).await
            })
        })?
    });
}

fn gateway(name: &str, address: Option<IpAddr>, weight: u8) -> Check {
    let probe = CheckProbe::Gateway(address);
    let (interval, timeout) = (Duration::from_millis(400), Duration::from_millis(300));
    Check { name: name.to_owned(), probe, interval, timeout, rise: 1, fall: 2, cost: Cost::Weight(weight) }
}

async fn passing(reports: &mut watch::Receiver<HealthReport>, wanted: [bool; 4], health: Health) -> Result<()> {
    let told = |report: &HealthReport| {
        let tried = report.checks.iter().all(|check| check.detail != "not tried yet");
        tried && report.health == health && report.checks.iter().map(|check| check.passing).eq(wanted)
    };
    let reached = tokio::time::timeout(PATIENCE, reports.wait_for(told)).await.map(|report| report.map(|_| ()));
    reached.with_context(|| format!("wanted {wanted:?}, got {:#?}", reports.borrow()))??;
    Ok(())
}
