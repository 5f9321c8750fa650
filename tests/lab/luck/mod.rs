//! Bad luck: what other programs, people and machines do to a site; two never answer, and the site goes on.

mod configuration;
mod kernel;
mod neighbours;
mod scheduling;

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gatehouse::api::model::Status;
use gatehouse::clock;
use gatehouse::demo::measure::{Figures, Window};
use gatehouse::demo::member::Member;
use gatehouse::demo::site::Site;
use gatehouse::demo::software::{Gatehouse, Profile, Seat, Software};
use gatehouse::demo::status::ask;
use gatehouse::units::Time;

use crate::faults::gatehouse;

/// Gatehouse with another configuration on each member.
pub struct Tailored {
    base: Gatehouse,
    tailor: fn(&Seat, String) -> String,
}

impl Tailored {
    pub fn by(tailor: fn(&Seat, String) -> String) -> Box<Tailored> {
        Box::new(Tailored { base: gatehouse(Profile::Default), tailor })
    }
}

impl Software for Tailored {
    fn name(&self) -> String {
        self.base.name()
    }

    fn command(&self, seat: &Seat) -> Result<Command> {
        let command = self.base.command(seat)?;
        fs::write(seat.file("gatehouse.toml"), (self.tailor)(seat, self.base.configuration(seat)))?;
        Ok(command)
    }
}

pub fn member(index: usize) -> Member {
    Member::new(index).unwrap()
}

fn status(site: &Site, member: Member) -> Result<Status> {
    ask(&site.seat(member)?.file("control.sock")).with_context(|| format!("asking {member}"))
}

/// Waits until something holds.
pub fn wait_for(site: &mut Site, what: &str, holds: impl Fn(&Site) -> bool) -> Result<()> {
    let give_up_at = clock::now() + PATIENCE;
    while !holds(site) {
        if clock::now() > give_up_at {
            bail!("{what}: not within {PATIENCE:?}; {}", site.picture());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

const PATIENCE: Duration = Duration::from_secs(15);

/// What was seen since `from`, where `holder` held.
fn seen(site: &Site, from: Time, holder: Member) -> Figures {
    let end = clock::now();
    std::thread::sleep(Duration::from_millis(100));
    site.record(from).figures(Window { fault: from, end, holder: Some(holder) })
}

/// Since `from` two never answered, and nobody but `holder` did; the client waited less than a second.
fn undisturbed(site: &Site, from: Time, holder: Member) -> Result<()> {
    let figures = seen(site, from, holder);
    ensure!(figures.takeover_ms.is_none(), "{holder} was replaced: {figures:?}");
    ensure!(figures.dual_arp_ms == 0.0, "two answered: {figures:?}");
    ensure!(figures.gap_ms < 1000.0, "a long gap: {figures:?}");
    Ok(())
}

/// Since `from` two never answered.
pub fn never_two(site: &Site, from: Time, holder: Member) -> Result<()> {
    let figures = seen(site, from, holder);
    ensure!(figures.dual_arp_ms == 0.0, "two answered: {figures:?}");
    Ok(())
}
