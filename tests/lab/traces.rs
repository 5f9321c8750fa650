//! A daemon that has ended leaves the machine as it was, whatever happened before.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::demo::daemon::Life;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::Member;
use gatehouse::demo::net::Machine;
use gatehouse::demo::site::Site;
use gatehouse::demo::software::Profile;

use crate::faults::gatehouse;
use crate::kit::{m, replaced, until};
use crate::lab;

/// Waits until the kernel is done with what it does by itself: the link-local addresses are no longer tentative.
pub fn at_rest(site: &Site) -> Result<()> {
    until("settled addresses", || {
        let tentative = |member: &Member| network(site, *member).is_ok_and(|network| network.contains("tentative"));
        Ok(!site.lan().members().iter().any(tentative))
    })
}

/// Everything of a machine's network that a daemon could have changed.
pub fn network(site: &Site, member: Member) -> Result<String> {
    let tell = |program: &str, arguments: &[&str]| -> Result<String> {
        let output = Command::new(program).args(arguments).output().context(program.to_owned())?;
        Ok(format!("{program} {}:\n{}", arguments.join(" "), String::from_utf8_lossy(&output.stdout)))
    };
    site.lan().within(Machine::Member(member), || {
        let settings = ["all", "default", "eth0"].map(|interface| format!("net.ipv4.conf.{interface}"));
        Ok([
            tell("ip", &["-o", "link"])?,
            tell("ip", &["-o", "addr"])?,
            tell("ip", &["route", "show", "table", "all"])?,
            tell("nft", &["list", "ruleset"])?,
            tell("sysctl", &["-a", "--pattern", &settings.join("|").replace('.', "\\.")])?,
        ]
        .join("\n"))
    })?
}

fn end(site: &mut Site, member: Member) -> Result<()> {
    site.apply(Deed::Stop, member)?;
    let daemon = site.daemon(member).context("no daemon")?;
    let life = daemon.wait(Duration::from_secs(8));
    ensure!(life == Life::Ended(0), "{life:?}: {}", daemon.last_words(10));
    Ok(())
}

/// The lines that are in one text only.
fn difference(before: &str, after: &str) -> Vec<String> {
    let gone = before.lines().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.lines().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

#[test]
fn a_stopped_holder_leaves_the_machine_as_it_was() {
    lab(|| {
        let mut site = Site::open(1, Box::new(gatehouse(Profile::Default)))?;
        at_rest(&site)?;
        let before = network(&site, m(1))?;
        site.start_all()?;
        site.wait_for_holder(Duration::from_secs(15), Duration::from_millis(300))?;
        ensure!(!difference(&before, &network(&site, m(1))?).is_empty(), "a holder that changes nothing");
        end(&mut site, m(1))?;
        let left = difference(&before, &network(&site, m(1))?);
        ensure!(left.is_empty(), "left behind:\n{}", left.join("\n"));
        Ok(())
    });
}

#[test]
fn what_a_crash_left_behind_is_gone_after_the_next_stop() {
    lab(|| {
        let mut site = Site::open(2, Box::new(gatehouse(Profile::Default)))?;
        at_rest(&site)?;
        let before = [network(&site, m(1))?, network(&site, m(2))?];
        site.start_all()?;
        let holder = site.wait_for_holder(Duration::from_secs(15), Duration::from_millis(500))?;
        site.apply(Deed::Kill, holder)?;
        replaced(&site, holder)?;
        site.apply(Deed::Restart, holder)?;
        until("one address", || Ok(site.address_on().len() == 1))?;
        std::thread::sleep(Duration::from_secs(1));
        for (index, member) in [m(1), m(2)].into_iter().enumerate() {
            end(&mut site, member)?;
            let left = difference(&before[index], &network(&site, member)?);
            ensure!(left.is_empty(), "left behind on {}:\n{}", member, left.join("\n"));
        }
        Ok(())
    });
}
