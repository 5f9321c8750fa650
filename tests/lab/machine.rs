//! The machine under a member: an interface that comes and goes, missing permission, a full disk, a damaged file, a
//! name that two have, a clock that was wrong.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use gatehouse::api::model::RoleName;
use gatehouse::clock;
use gatehouse::demo::command::run as tool;
use gatehouse::demo::daemon::Life;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::Member;
use gatehouse::demo::net::Machine;
use gatehouse::demo::site::Site;
use gatehouse::demo::software::{Seat, Software};

use crate::kit::{
    Config, PATIENCE, holder, m, met, metric, never_two, other, plays, program, replaced, run, settled, shows, site,
    start, status, until, words,
};
use crate::lab;

#[test]
fn an_interface_may_come_late_go_and_come_back() {
    lab(|| {
        let mut site = site(2, |_| Config::default())?;
        let first = Machine::Member(m(1));
        site.lan().configure(first, "link set eth0 down\nlink set eth0 name away\n")?;
        start(&mut site, &[m(1)])?;
        let waiting = |status: &gatehouse::api::model::Status| {
            let said = |warning: &String| warning.contains("the LAN interface eth0 does not exist");
            status.role == RoleName::Probing && status.warnings.iter().any(said)
        };
        shows(&site, m(1), "to wait for its interface", waiting)?;
        const UP: &str = "link set eth0 up\nroute replace default via 192.168.77.1\n";
        site.lan().configure(first, &format!("link set away name eth0\n{UP}"))?;
        ensure!(holder(&mut site)? == m(1), "another holder");
        ensure!(status(&site, m(1))?.warnings.iter().all(|warning| !warning.contains("eth0")), "it still complains");

        // Down on the holder: the other one takes over; up again: it follows.
        start(&mut site, &[m(2)])?;
        met(&mut site, &[m(1), m(2)])?;
        let begin = clock::now();
        site.lan().configure(first, "link set eth0 down\n")?;
        plays(&site, m(2), RoleName::Holder)?;
        plays(&site, m(1), RoleName::Probing)?;
        site.lan().configure(first, UP)?;
        plays(&site, m(1), RoleName::Standby)?;
        ensure!(met(&mut site, &[m(1), m(2)])? == m(2), "the address went back by itself");
        never_two(&site, begin)?;

        // Deleted under the holder and made again, as when a card is unplugged.
        let mac = "02:00:00:00:77:22";
        site.lan().configure(Machine::Switch, "link del m2\n")?;
        plays(&site, m(1), RoleName::Holder)?;
        shows(&site, m(2), "to wait for its interface", waiting)?;
        let port = format!("link add m2 type veth peer name eth0 address {mac} netns m2\nlink set m2 master br0 up\n");
        site.lan().configure(Machine::Switch, &port)?;
        let second = format!("addr add 192.168.77.22/24 dev eth0\n{UP}");
        site.lan().configure(Machine::Member(m(2)), &second)?;
        plays(&site, m(2), RoleName::Standby)?;
        ensure!(met(&mut site, &[m(1), m(2)])? == m(1), "the address went back by itself");
        site.apply(Deed::Stop, m(1))?;
        plays(&site, m(2), RoleName::Holder).map(drop)
    });
}

/// Gatehouse without one capability.
struct Without(&'static str);

impl Software for Without {
    fn name(&self) -> String {
        format!("gatehouse without {}", self.0)
    }

    fn command(&self, seat: &Seat) -> Result<Command> {
        let mut command = Command::new("setpriv");
        command.arg(format!("--bounding-set=-{}", self.0)).arg(format!("--inh-caps=-{}", self.0)).arg("--");
        command.arg(program()).arg("run").arg("--config").arg(Config::default().write(seat)?);
        Ok(command)
    }
}

#[test]
fn a_daemon_without_permission_says_which_and_touches_nothing() {
    lab(|| {
        for (capability, name) in [("net_admin", "CAP_NET_ADMIN"), ("net_raw", "CAP_NET_RAW")] {
            let mut site = Site::open(1, Box::new(Without(capability)))?;
            let machine = Machine::Member(m(1));
            let links = run(site.lan(), machine, "ip", &["-o", "link"])?;
            start(&mut site, &[m(1)])?;
            let life = site.daemon(m(1)).context("no daemon")?.wait(PATIENCE);
            let said = words(&site, m(1))?;
            ensure!(life == Life::Ended(1), "{life:?}: {said}");
            ensure!(said.contains(&format!("no permission: {name} is missing")), "it does not say which: {said}");
            ensure!(run(site.lan(), machine, "ip", &["-o", "link"])? == links, "a device was touched");
            ensure!(run(site.lan(), machine, "nft", &["list", "ruleset"])?.is_empty(), "a rule is left");
        }
        Ok(())
    });
}

#[test]
fn without_real_time_priority_it_works_and_warns() {
    lab(|| {
        let mut site = Site::open(1, Box::new(Without("sys_nice")))?;
        start(&mut site, &[m(1)])?;
        holder(&mut site)?;
        let warned = status(&site, m(1))?.warnings;
        ensure!(warned.iter().any(|warning| warning.contains("CAP_SYS_NICE")), "no warning: {warned:?}");
        Ok(())
    });
}

#[test]
fn a_full_disk_stops_nobody() {
    lab(|| {
        let folder = "/run/gatehouse-lab";
        let mut site = site(2, move |member| Config {
            more: format!("[record]\nfile = \"{folder}/{member}/state/inputs\""),
            ..Config::default()
        })?;
        for member in [m(1), m(2)] {
            let state = site.seat(member)?.file("state");
            fs::create_dir_all(&state)?;
            tool("mount", &["-t", "tmpfs", "-o", "size=64k,mode=700", "small", &state.display().to_string()])?;
        }
        // The first one's disk is full from the start, the second one's fills while it runs.
        fill(&site, m(1))?;
        let first = settled(&mut site)?;
        shows(&site, m(1), "to say that its disk is full", |status| {
            status.warnings.iter().any(|warning| warning.contains("is the disk full?"))
        })?;
        fill(&site, m(2))?;
        until("inputs that are not recorded", || Ok(metric(&site, m(2), "gatehouse_record_dropped_total")? > 0))?;
        let begin = clock::now();
        site.apply(Deed::Kill, first)?;
        replaced(&site, first)?;
        site.apply(Deed::Restart, first)?;
        met(&mut site, &[m(1), m(2)])?;
        never_two(&site, begin)
    });
}

#[test]
fn a_damaged_state_file_is_named_and_left_alone() {
    lab(|| {
        let mut site = site(1, |_| Config::default())?;
        let file = site.seat(m(1))?.file("state/node.json");
        fs::create_dir_all(site.seat(m(1))?.file("state"))?;
        fs::write(&file, "{\"secret\":")?;
        start(&mut site, &[m(1)])?;
        let life = site.daemon(m(1)).context("no daemon")?.wait(PATIENCE);
        let said = words(&site, m(1))?;
        ensure!(life == Life::Ended(1) && said.contains("node.json is damaged"), "{life:?}: {said}");
        ensure!(fs::read_to_string(&file)? == "{\"secret\":", "the damaged file was changed");
        Ok(())
    });
}

#[test]
fn two_members_with_one_name_are_told_apart() {
    lab(|| {
        let mut site = site(2, |_| Config { name: Some("twin".to_owned()), ..Config::default() })?;
        site.start_all()?;
        let first = holder(&mut site)?;
        for (member, other) in [(m(1), m(2)), (m(2), m(1))] {
            let words = format!("twin at {} has this member's name", other.address());
            shows(&site, member, "to warn of the other's name", |status| {
                status.warnings.iter().any(|warning| warning.contains(&words)) && status.members.len() == 2
            })?;
        }
        let begin = clock::now();
        site.apply(Deed::Kill, first)?;
        replaced(&site, first)?;
        never_two(&site, begin)
    });
}

#[test]
fn a_clock_that_was_ahead_and_is_right_again_is_no_obstacle() {
    lab(|| {
        let mut site = site(2, |_| Config::default())?;
        let first = settled(&mut site)?;
        let other = other(&site, first)?;
        // As after a start with a clock years ahead, and one with an older copy of the state folder.
        restart_with_epoch(&mut site, other, u64::MAX / 4)?;
        met(&mut site, &[m(1), m(2)])?;
        restart_with_epoch(&mut site, other, 0)?;
        let begin = clock::now();
        shows(&site, first, "to hear it again", |status| {
            let it = status.members.iter().find(|member| member.name == other.to_string());
            it.is_some_and(|it| it.role == RoleName::Standby && it.successor == Some(1) && it.last_seen_ms < 1_500)
        })?;
        site.apply(Deed::Stop, first)?;
        plays(&site, other, RoleName::Holder)?;
        never_two(&site, begin)
    });
}

fn restart_with_epoch(site: &mut Site, member: Member, epoch: u64) -> Result<()> {
    site.apply(Deed::Stop, member)?;
    ensure!(site.daemon(member).context("no daemon")?.wait(PATIENCE).is_over(), "{member} does not end");
    let path = site.seat(member)?.file("state/node.json");
    let mut file: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
    file["epoch"] = epoch.into();
    fs::write(&path, serde_json::to_vec(&file)?)?;
    site.apply(Deed::Restart, member)
}

/// Fills what is left of a member's state folder.
fn fill(site: &Site, member: Member) -> Result<()> {
    let ballast = site.seat(member)?.file("state/ballast");
    ensure!(fs::write(ballast, vec![0; 128 * 1024]).is_err(), "the disk is too large");
    Ok(())
}
