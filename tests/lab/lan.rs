//! The lab itself: the LAN is as drawn, the client reaches who has the address, faults are what they are called.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use gatehouse::clock;
use gatehouse::demo::client::fetch;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::Member;
use gatehouse::demo::net::{DMZ, Machine, PUBLIC};
use gatehouse::demo::site::Site;
use gatehouse::demo::software::{Seat, Software};

use crate::lab;

/// A daemon that does nothing, so that the address stays where the test puts it.
struct Nothing;

impl Software for Nothing {
    fn name(&self) -> String {
        "nothing".to_owned()
    }

    fn command(&self, _seat: &Seat) -> Result<Command> {
        let mut command = Command::new("sleep");
        command.arg("1000");
        Ok(command)
    }
}

fn member(index: usize) -> Member {
    Member::new(index).unwrap()
}

fn static_site(holder: Member) -> Result<Site> {
    let mut site = Site::open(3, Box::new(Nothing))?;
    site.start_all()?;
    site.lan().configure(Machine::Member(holder), &format!("addr add {DMZ}/24 dev eth0\n"))?;
    ensure!(site.wait_for_holder(Duration::from_secs(10), Duration::from_millis(200))? == holder, "another holder");
    Ok(site)
}

/// Whether the client hears anybody, and whether the holder's kernel answers ARP, some time after now.
fn heard_and_answered(site: &Site) -> (bool, bool) {
    std::thread::sleep(Duration::from_millis(200));
    let begin = clock::now();
    std::thread::sleep(Duration::from_millis(300));
    let record = site.record(begin);
    (record.probes.iter().any(|probe| probe.answer.is_some()), record.arp.iter().any(|round| !round.yes.is_empty()))
}

#[test]
fn the_client_reaches_who_has_the_address() {
    lab(|| {
        let holder = member(1);
        let site = static_site(holder)?;
        ensure!(fetch(site.lan(), PUBLIC)? == holder.to_string(), "the web page of another member");
        ensure!(site.address_on() == [holder].into_iter().collect(), "{} has the address", site.address_on());
        ensure!(site.arp_on() == [holder].into_iter().collect(), "{} answers ARP", site.arp_on());
        Ok(())
    });
}

#[test]
fn two_with_the_address_are_seen_as_two() {
    lab(|| {
        let site = static_site(member(0))?;
        site.lan().configure(Machine::Member(member(2)), &format!("addr add {DMZ}/24 dev eth0\n"))?;
        std::thread::sleep(Duration::from_millis(100));
        let both = [member(0), member(2)].into_iter().collect();
        ensure!(site.address_on() == both, "{} has the address", site.address_on());
        ensure!(site.arp_on() == both, "{} answers ARP", site.arp_on());
        Ok(())
    });
}

#[test]
fn a_cut_member_is_gone_and_a_silent_one_does_not_know_it() {
    lab(|| {
        let holder = member(0);
        let mut site = static_site(holder)?;
        site.apply(Deed::Cut, holder)?;
        ensure!(heard_and_answered(&site) == (false, false), "a cut member answers");
        site.apply(Deed::Heal, holder)?;
        ensure!(heard_and_answered(&site) == (true, true), "a healed member does not answer");
        site.apply(Deed::Blackhole, holder)?;
        ensure!(heard_and_answered(&site) == (false, true), "silence is not what it should be");
        site.apply(Deed::Heal, holder)?;
        ensure!(heard_and_answered(&site) == (true, true), "a healed member does not answer");
        Ok(())
    });
}

#[test]
fn a_parted_side_does_not_hear_the_other() {
    lab(|| {
        let holder = member(0);
        let site = static_site(holder)?;
        site.lan().part(&[holder, member(1)])?;
        ensure!(heard_and_answered(&site) == (false, true), "the router reaches the other side");
        site.lan().join()?;
        ensure!(heard_and_answered(&site) == (true, true), "the sides are not joined");
        Ok(())
    });
}
