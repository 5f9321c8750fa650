//! Machines that stand still for a moment, and members that come and go quickly: nobody flaps, two never answer.

use std::time::Duration;

use anyhow::{Result, ensure};
use gatehouse::clock;
use gatehouse::demo::command::{feed, run};
use gatehouse::demo::daemon::Life;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::Member;
use gatehouse::demo::site::Site;

use crate::kit::{
    Config, PATIENCE, figures, holder, m, met, metric, never_two, other, set, settled, site, status, words,
};
use crate::{lab, rtnl};

fn stall(site: &mut Site, member: Member, millis: u64) -> Result<()> {
    site.apply(Deed::Freeze, member)?;
    std::thread::sleep(Duration::from_millis(millis));
    site.apply(Deed::Thaw, member)
}

#[test]
fn a_standby_that_stalls_changes_nothing() {
    lab(|| {
        let mut site = site(3, |_| Config::default())?;
        let holding = settled(&mut site)?;
        let term = status(&site, holding)?.term;
        let begin = clock::now();
        for round in 0..10 {
            let standbys: Vec<Member> = [m(1), m(2), m(3)].into_iter().filter(|member| *member != holding).collect();
            stall(&mut site, standbys[round % 2], 100 + 100 * (round as u64 % 5))?;
            std::thread::sleep(Duration::from_millis(150));
        }
        never_two(&site, begin)?;
        let seen = figures(&site, begin, holding);
        ensure!(seen.takeover_ms.is_none(), "somebody else answered: {seen:?}");
        let now = status(&site, holding)?;
        ensure!((now.holder, now.term) == (Some(holding.to_string()), term), "the holder changed");
        Ok(())
    });
}

#[test]
fn a_holder_does_not_wait_for_the_kernels_network_lock() {
    lab(|| {
        let mut site = site(2, |_| Config::default())?;
        let holding = settled(&mut site)?;
        let begin = clock::now();
        for _ in 0..3 {
            // Longer than a lease, and than the time between two renewals of the address.
            if !rtnl::hold(Duration::from_millis(800))? {
                busy_lock()?;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        let seen = figures(&site, begin, holding);
        ensure!(seen.takeover_ms.is_none() && seen.lost == 0, "the holder was held up: {seen:?}");
        let late = metric(&site, holding, "gatehouse_late_beacons_total")?;
        ensure!(late == 0, "{late} beacons were late\n{}", words(&site, holding)?);
        never_two(&site, begin)
    });
}

/// What can be done without privilege: many interfaces go at once.
fn busy_lock() -> Result<()> {
    let interfaces: String = (0..100).map(|n| format!("link add a{n} type veth peer name b{n}\n")).collect();
    run("ip", &["netns", "add", "busy"])?;
    feed("ip", &["-n", "busy", "-batch", "-"], &interfaces)?;
    run("ip", &["netns", "del", "busy"])
}

#[test]
fn a_holder_that_stalls_is_replaced_once_at_most() {
    lab(|| {
        let mut site = site(3, |_| Config::default())?;
        settled(&mut site)?;
        let begin = clock::now();
        let mut moved = 0;
        for millis in [100, 200, 300, 400, 500, 250, 185] {
            let before = holder(&mut site)?;
            let term = status(&site, before)?.term;
            stall(&mut site, before, millis)?;
            std::thread::sleep(Duration::from_millis(700));
            let after = holder(&mut site)?;
            let grown = status(&site, after)?.term - term;
            ensure!(grown <= 1, "{grown} new terms by one stall of {millis} ms");
            moved += u32::from(after != before);
            ensure!(site.address_on() == set(&[after]), "{} have the address", site.address_on());
        }
        ensure!(moved >= 1, "a holder that stood still for half a second kept the address");
        never_two(&site, begin)
    });
}

#[test]
fn members_that_come_and_go_quickly_never_answer_together() {
    lab(|| {
        let mut site = site(4, |_| Config::default())?;
        let first = settled(&mut site)?;
        let begin = clock::now();
        let mut dice = Dice(7);
        while clock::now().since(begin) < Duration::from_secs(15) {
            let member = m(1 + dice.below(4));
            match site.life(member) {
                Some(Life::Running) if site.daemon(member).is_some_and(|daemon| !daemon.is_ending()) => {
                    site.apply(if dice.below(2) == 0 { Deed::Kill } else { Deed::Stop }, member)?;
                }
                _ => site.apply(Deed::Restart, member)?,
            }
            std::thread::sleep(Duration::from_millis(50 + dice.below(500) as u64));
        }
        never_two(&site, begin)?;
        let seen = figures(&site, begin, first);
        let asked = clock::now().since(begin).as_millis() as usize;
        ensure!(seen.lost * 2 < asked, "nobody answered most of the time: {seen:?}");
        for member in [m(1), m(2), m(3), m(4)] {
            let over = site.daemon(member).is_none_or(|daemon| {
                daemon.is_ending() && daemon.wait(PATIENCE).is_over() || daemon.wait(Duration::ZERO).is_over()
            });
            if over {
                site.apply(Deed::Restart, member)?;
            }
        }
        holder(&mut site)?;
        never_two(&site, begin)
    });
}

#[test]
fn a_standby_that_comes_and_goes_disturbs_nobody() {
    lab(|| {
        let mut site = site(3, |_| Config::default())?;
        let holding = settled(&mut site)?;
        let guest = other(&site, holding)?;
        let begin = clock::now();
        for round in 0..8 {
            site.apply(if round % 2 == 0 { Deed::Kill } else { Deed::Stop }, guest)?;
            ensure!(site.daemon(guest).is_some_and(|daemon| daemon.wait(PATIENCE).is_over()), "it does not end");
            site.apply(Deed::Restart, guest)?;
            std::thread::sleep(Duration::from_millis(50 + 100 * round));
        }
        ensure!(met(&mut site, &[m(1), m(2), m(3)])? == holding, "another holder");
        let seen = figures(&site, begin, holding);
        ensure!(seen.takeover_ms.is_none() && seen.lost == 0, "the holder was disturbed: {seen:?}");
        never_two(&site, begin)
    });
}

/// Numbers that look random and are the same each time (Knuth's MMIX generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}
