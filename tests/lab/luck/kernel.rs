//! Another program changes what the daemon set up, or the interface is not there.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::clock;
use gatehouse::demo::command::run;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::Member;
use gatehouse::demo::net::{DMZ, Machine};
use gatehouse::demo::site::Site;
use gatehouse::demo::software::Profile;

use super::{member, never_two, status, undisturbed, wait_for};
use crate::faults::{gatehouse, started};
use crate::lab;

/// The device that carries the DMZ address on a member.
fn device(holder: Member) -> Result<String> {
    let output = Command::new("ip")
        .args(["-n", &holder.to_string(), "-o", "addr", "show", "to"])
        .arg(DMZ.to_string())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let name = text.split_whitespace().nth(1).with_context(|| format!("{DMZ} is not on {holder}"))?;
    Ok(name.split('@').next().unwrap_or(name).to_owned())
}

#[test]
fn a_flushed_ruleset_does_not_make_two_answer() {
    lab(|| {
        let (mut site, holder) = started(3, Profile::Default)?;
        let begin = clock::now();
        for member in site.lan().members().to_vec() {
            site.lan().within(Machine::Member(member), || run("nft", &["flush", "ruleset"]))??;
        }
        std::thread::sleep(Duration::from_millis(1000));
        undisturbed(&site, begin, holder)?;
        // Were the fence gone, the dead holder's kernel would go on answering.
        let killed = clock::now();
        site.apply(Deed::Kill, holder)?;
        wait_for(&mut site, "a takeover", |site| site.holder().is_some_and(|now| now != holder))?;
        std::thread::sleep(Duration::from_millis(500));
        never_two(&site, killed, holder)
    });
}

#[test]
fn a_deleted_address_comes_back() {
    lab(|| {
        let (site, holder) = started(2, Profile::Default)?;
        let begin = clock::now();
        run("ip", &["-n", &holder.to_string(), "addr", "del", &format!("{DMZ}/24"), "dev", &device(holder)?])?;
        std::thread::sleep(Duration::from_millis(1500));
        undisturbed(&site, begin, holder)
    });
}

#[test]
fn a_deleted_device_comes_back() {
    lab(|| {
        let (site, holder) = started(2, Profile::Default)?;
        let begin = clock::now();
        run("ip", &["-n", &holder.to_string(), "link", "del", &device(holder)?])?;
        std::thread::sleep(Duration::from_millis(1500));
        undisturbed(&site, begin, holder)
    });
}

#[test]
fn an_interface_that_appears_later_is_used() {
    lab(|| {
        let mut site = Site::open(2, Box::new(gatehouse(Profile::Default)))?;
        let (first, late) = (member(0), member(1));
        site.lan().configure(Machine::Member(late), "link set eth0 down\nlink set eth0 name away\n")?;
        site.start_all()?;
        let holder = site.wait_for_holder(Duration::from_secs(15), Duration::from_millis(500))?;
        ensure!(holder == first, "{holder} holds without an interface");
        let begin = clock::now();
        site.lan().configure(
            Machine::Member(late),
            "link set away name eth0\nlink set eth0 up\nroute replace default via 192.168.77.1\n",
        )?;
        wait_for(&mut site, "the late member is known", |site| {
            status(site, first).is_ok_and(|status| status.members.len() == 2)
        })?;
        undisturbed(&site, begin, holder)?;
        let cut = clock::now();
        site.apply(Deed::Cut, first)?;
        wait_for(&mut site, "the late member takes over", |site| site.holder() == Some(late))?;
        never_two(&site, cut, first)
    });
}
