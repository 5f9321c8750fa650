//! Other programs on the members' machines: whatever they take away comes back, and two never answer meanwhile.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::clock;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::Member;
use gatehouse::demo::net::Machine;
use gatehouse::demo::site::Site;

use crate::kit::{Config, figures, holder, m, never_two, other, output, run, set, settled, site, status, until};
use crate::lab;

/// A hundred milliseconds, and the slack of a busy machine.
const BACK_WITHIN_MS: f64 = 150.0;

/// What another program may do; refused or not, the address has to stay.
const MEDDLING: [&str; 6] = [
    "nft flush ruleset",
    "nft delete table netdev {table}",
    "ip addr del 192.168.77.11/24 dev dmz-eth0",
    "ip addr flush dev dmz-eth0",
    "ip link del dmz-eth0",
    "ip link set dmz-eth0 down",
];

#[test]
fn what_another_program_takes_away_comes_back() {
    lab(|| {
        let mut site = site(2, |_| Config::default())?;
        let holding = settled(&mut site)?;
        let standby = other(&site, holding)?;
        let term = status(&site, holding)?.term;
        let begin = clock::now();
        for victim in [holding, standby] {
            for deed in MEDDLING {
                let fault = clock::now();
                meddle(&site, victim, deed)?;
                std::thread::sleep(Duration::from_millis(450));
                let seen = figures(&site, fault, holding);
                println!("  a gap of {:.1} ms", seen.gap_ms);
                ensure!(seen.gap_ms <= BACK_WITHIN_MS, "after `{deed}` on {victim}: {seen:?}");
                ensure!(seen.takeover_ms.is_none(), "`{deed}` on {victim} moved the address: {seen:?}");
                ensure!(site.address_on() == set(&[holding]), "{} have the address", site.address_on());
                whole(&site, victim).with_context(|| format!("after `{deed}` on {victim}"))?;
            }
        }
        ensure!(holder(&mut site)? == holding && status(&site, holding)?.term == term, "the holder changed");
        // What came back works: without its fence a dead holder's kernel would go on answering until its address
        // expires, and the standby would wait for that.
        let killed = clock::now();
        site.apply(Deed::Kill, holding)?;
        until("a takeover", || Ok(site.holder() == Some(standby)))?;
        let seen = figures(&site, killed, holding);
        let soon = seen.takeover_ms.is_some_and(|takeover| takeover < 1_000.0);
        ensure!(soon, "the fence does not work any more: {seen:?}");
        never_two(&site, begin)
    });
}

#[test]
fn an_address_that_somebody_adds_to_a_standby_does_not_answer() {
    lab(|| {
        let mut site = site(2, |_| Config::default())?;
        let holding = settled(&mut site)?;
        let standby = other(&site, holding)?;
        let begin = clock::now();
        for device in ["eth0", "dmz-eth0"] {
            let script = format!("addr add 192.168.77.11/24 dev {device}\n");
            site.lan().configure(Machine::Member(standby), &script)?;
            until("the address to be taken off again", || Ok(site.address_on() == set(&[holding])))?;
        }
        std::thread::sleep(Duration::from_millis(300));
        let seen = figures(&site, begin, holding);
        ensure!(seen.takeover_ms.is_none(), "the standby answered: {seen:?}");
        never_two(&site, begin)
    });
}

#[test]
fn kernel_settings_that_somebody_changes_are_set_again_and_put_back_at_the_end() {
    lab(|| {
        let mut site = site(1, |_| Config::default())?;
        let machine = Machine::Member(m(1));
        let read =
            |site: &Site, key: &str| run(site.lan(), machine, "cat", &[&format!("/proc/sys/net/ipv4/conf/{key}")]);
        let before = read(&site, "eth0/arp_ignore")?;
        settled(&mut site)?;
        let ours = read(&site, "eth0/arp_ignore")?;
        ensure!(before != ours, "the daemon has nothing to set here, so this shows nothing");
        for key in ["eth0/arp_ignore", "dmz-eth0/arp_ignore"] {
            site.lan().sysctl(machine, &format!("net/ipv4/conf/{key}"), "0")?;
            until(&format!("{key} to be set again"), || Ok(read(&site, key)? == ours))?;
        }
        site.apply(Deed::Stop, m(1))?;
        until("the daemon to end", || Ok(site.life(m(1)).is_some_and(|life| life.is_over())))?;
        ensure!(read(&site, "eth0/arp_ignore")? == before, "the setting was not put back");
        Ok(())
    });
}

fn meddle(site: &Site, member: Member, deed: &str) -> Result<()> {
    let deed = deed.replace("{table}", &table(site, member)?);
    let words: Vec<&str> = deed.split(' ').collect();
    let done = output(site.lan(), Machine::Member(member), words[0], &words[1..])?;
    println!("{member}: {deed}: {}", if done.status.success() { "done" } else { "refused" });
    Ok(())
}

/// The fence and the macvlan stand, and the latter is up.
fn whole(site: &Site, member: Member) -> Result<()> {
    table(site, member)?;
    let link = run(site.lan(), Machine::Member(member), "ip", &["link", "show", "dmz-eth0"])?;
    ensure!(link.contains(",UP"), "the carrier is down: {link}");
    Ok(())
}

/// The name of the fence's table.
fn table(site: &Site, member: Member) -> Result<String> {
    let tables = run(site.lan(), Machine::Member(member), "nft", &["list", "tables", "netdev"])?;
    let name = tables.lines().find_map(|line| line.strip_prefix("table netdev "));
    name.map(str::to_owned).with_context(|| format!("no fence: {tables:?}"))
}
