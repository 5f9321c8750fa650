//! Members that stall, come and go.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::clock;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::Member;
use gatehouse::demo::site::Site;
use gatehouse::demo::software::Profile;

use super::{never_two, status, undisturbed, wait_for};
use crate::faults::started;
use crate::lab;

/// Stops a daemon for a while, again and again.
fn stall(site: &mut Site, member: Member, times: u64) -> Result<()> {
    for round in 0..times {
        site.apply(Deed::Freeze, member)?;
        std::thread::sleep(Duration::from_millis(100 + 400 * round / times));
        site.apply(Deed::Thaw, member)?;
        std::thread::sleep(Duration::from_millis(150));
    }
    Ok(())
}

#[test]
fn a_standby_that_stalls_does_not_take_over() {
    lab(|| {
        let (mut site, holder) = started(3, Profile::Default)?;
        let term = status(&site, holder)?.term;
        let begin = clock::now();
        for standby in site.lan().members().to_vec().into_iter().filter(|member| *member != holder) {
            stall(&mut site, standby, 6)?;
        }
        std::thread::sleep(Duration::from_millis(500));
        undisturbed(&site, begin, holder)?;
        ensure!(status(&site, holder)?.term == term, "the term moved");
        Ok(())
    });
}

#[test]
fn a_holder_that_stalls_never_answers_beside_another() {
    lab(|| {
        let (mut site, holder) = started(3, Profile::Default)?;
        let begin = clock::now();
        for _ in 0..8 {
            let victim = site.holder().context("nobody holds")?;
            stall(&mut site, victim, 1)?;
            std::thread::sleep(Duration::from_millis(200));
        }
        site.wait_for_holder(Duration::from_secs(10), Duration::from_millis(500))?;
        never_two(&site, begin, holder)
    });
}

#[test]
fn members_that_come_and_go_disturb_nobody() {
    lab(|| {
        let (mut site, holder) = started(3, Profile::Default)?;
        let guest = site.lan().members().iter().copied().rfind(|member| *member != holder).context("a standby")?;
        let begin = clock::now();
        for round in 0..8 {
            site.apply(if round % 2 == 0 { Deed::Kill } else { Deed::Stop }, guest)?;
            std::thread::sleep(Duration::from_millis(50));
            site.daemon(guest).map(|daemon| daemon.wait(Duration::from_secs(5)));
            site.apply(Deed::Restart, guest)?;
            std::thread::sleep(Duration::from_millis(50 + 100 * round));
        }
        wait_for(&mut site, "everybody knows everybody", |site| {
            site.lan()
                .members()
                .iter()
                .all(|member| status(site, *member).is_ok_and(|status| status.members.len() == 3))
        })?;
        undisturbed(&site, begin, holder)
    });
}
