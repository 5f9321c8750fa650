//! Every fault of the demo on three members: what a client may notice, and that two never answer.
//!
//! Safety is exact: two that can be reached never answer at once. Times have a second of slack, because machines that
//! run tests are busy; the benchmark has the exact figures.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::clock;
use gatehouse::demo::measure::Figures;
use gatehouse::demo::member::Member;
use gatehouse::demo::site::Site;
use gatehouse::demo::software::{Gatehouse, Profile};
use gatehouse::demo::stage::perform;
use gatehouse::demo::story::Story;

use crate::lab;

/// The daemon under test.
pub fn gatehouse(profile: Profile) -> Gatehouse {
    Gatehouse { program: PathBuf::from(env!("CARGO_BIN_EXE_gatehouse")), profile, more: String::new() }
}

/// A site whose members have all found each other, and its holder.
pub fn started(members: usize, profile: Profile) -> Result<(Site, Member)> {
    let mut site = Site::open(members, Box::new(gatehouse(profile)))?;
    site.start_all()?;
    let holder = site.wait_for_holder(Duration::from_secs(20), Duration::from_millis(500))?;
    Ok((site, holder))
}

/// Performs a story on a new site; what came of each act.
fn told(members: usize, profile: Profile, story: &str) -> Result<Vec<Figures>> {
    let (mut site, _) = started(members, profile)?;
    let text = Story::builtin(story).context("no such story")?;
    let book = perform(&mut site, &Story::parse(text)?, |_, _| ());
    let end = clock::now();
    let results = book.results(&site.record(book.begin), end);
    println!("{story}, {}:\n{}", profile.name(), gatehouse::demo::story::table(&results));
    for result in &results {
        ensure!(result.error.is_none(), "{} could not be done: {:?}", result.act.deed.name(), result.error);
        ensure!(result.figures.holder_after.is_some(), "nobody answers after {}", result.act.deed.name());
    }
    ensure!(site.address_on().len() == 1, "{} have the address in the end", site.address_on());
    Ok(results.into_iter().map(|result| result.figures).collect())
}

/// Two never answered, and the client waited no longer than `gap` milliseconds.
fn safe_and_short(figures: &[Figures], gap: f64) -> Result<()> {
    for seen in figures {
        ensure!(seen.dual_arp_ms == 0.0, "two answered: {seen:?}");
        ensure!(seen.gap_ms <= gap, "a gap longer than {gap} ms: {seen:?}");
    }
    Ok(())
}

/// Somebody else answered after the first act.
fn taken_over(figures: &[Figures]) -> Result<()> {
    ensure!(figures.first().is_some_and(|first| first.takeover_ms.is_some()), "nobody took over: {figures:?}");
    Ok(())
}

#[test]
fn a_cut_holder_is_replaced() {
    lab(|| {
        let figures = told(3, Profile::Default, "cut")?;
        taken_over(&figures)?;
        safe_and_short(&figures, 1200.0)
    });
}

#[test]
fn a_cut_holder_is_replaced_fast() {
    lab(|| {
        let figures = told(3, Profile::Fast, "cut")?;
        taken_over(&figures)?;
        safe_and_short(&figures, 1000.0)
    });
}

#[test]
fn a_holder_in_a_blackhole_is_replaced_and_yields_when_it_is_back() {
    lab(|| {
        let figures = told(3, Profile::Default, "blackhole")?;
        taken_over(&figures)?;
        ensure!(figures[0].dual_arp_ms == 0.0, "two that can be reached answered: {figures:?}");
        ensure!(figures[1].dual_arp_ms <= 1000.0, "two answered long after they heard each other: {figures:?}");
        ensure!(figures.iter().all(|seen| seen.gap_ms <= 1200.0), "a long gap: {figures:?}");
        Ok(())
    });
}

#[test]
fn a_killed_daemon_stops_answering_before_another_begins() {
    lab(|| {
        let figures = told(3, Profile::Default, "kill")?;
        taken_over(&figures)?;
        safe_and_short(&figures, 1000.0)
    });
}

#[test]
fn a_frozen_holder_stops_answering_and_asks_when_it_wakes() {
    lab(|| {
        let figures = told(3, Profile::Default, "freeze")?;
        taken_over(&figures)?;
        safe_and_short(&figures, 1000.0)
    });
}

#[test]
fn a_stopped_holder_hands_over_first() {
    lab(|| {
        let figures = told(3, Profile::Default, "stop")?;
        taken_over(&figures)?;
        safe_and_short(&figures, 500.0)
    });
}

#[test]
fn a_holder_gives_up_when_it_is_asked() {
    lab(|| {
        let figures = told(3, Profile::Default, "give-up")?;
        taken_over(&figures)?;
        taken_over(&figures[1..])?;
        safe_and_short(&figures, 500.0)
    });
}
