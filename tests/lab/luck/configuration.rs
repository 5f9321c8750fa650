//! Files, disks and permissions that are not as they should be.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::clock;
use gatehouse::demo::command::run;
use gatehouse::demo::daemon::{Daemon, Life};
use gatehouse::demo::deed::Deed;
use gatehouse::demo::site::Site;
use gatehouse::demo::software::{Profile, Seat, Software};

use super::{Tailored, member, never_two, status, undisturbed, wait_for};
use crate::faults::{gatehouse, started};
use crate::lab;

#[test]
fn a_reload_changes_what_is_right_and_refuses_what_is_wrong() {
    lab(|| {
        let (mut site, holder) = started(2, Profile::Default)?;
        let begin = clock::now();
        let file = site.seat(holder)?.file("gatehouse.toml");
        let right = fs::read_to_string(&file)?;

        fs::write(&file, right.replace("[lan]\n", "[lan]\npriority = 150\n"))?;
        site.daemon(holder).context("a daemon")?.reload();
        let priority = |site: &Site| -> Option<u8> {
            let status = status(site, holder).ok()?;
            status.members.iter().find(|member| member.me).map(|member| member.priority)
        };
        wait_for(&mut site, "the new priority counts", |site| priority(site) == Some(150))?;

        fs::write(&file, right.replace("[lan]\n", "[lan]\npriority = 1000\n"))?;
        site.daemon(holder).context("a daemon")?.reload();
        wait_for(&mut site, "the wrong file is complained of", |site| {
            status(site, holder).is_ok_and(|status| !status.warnings.is_empty())
        })?;
        ensure!(priority(&site) == Some(150), "a wrong file changed something");
        undisturbed(&site, begin, holder)
    });
}

#[test]
fn a_full_disk_stops_nobody() {
    lab(|| {
        let with_record = |seat: &Seat, text: String| {
            format!("{text}\n[record]\nfile = \"{}\"\n", seat.file("state/inputs").display())
        };
        let mut site = Site::open(2, Tailored::by(with_record))?;
        for member in site.lan().members().to_vec() {
            let state = site.seat(member)?.file("state");
            fs::create_dir_all(&state)?;
            run("mount", &["-t", "tmpfs", "-o", "size=64k,mode=700", "small", &state.display().to_string()])?;
        }
        site.start_all()?;
        let holder = site.wait_for_holder(Duration::from_secs(15), Duration::from_millis(500))?;
        for member in site.lan().members().to_vec() {
            // Fills what the record has left, if anything.
            let _ = fs::write(site.seat(member)?.file("state/ballast"), vec![0; 128 * 1024]);
        }
        std::thread::sleep(Duration::from_secs(1));
        let begin = clock::now();
        site.apply(Deed::Kill, holder)?;
        wait_for(&mut site, "a takeover", |site| site.holder().is_some_and(|now| now != holder))?;
        site.apply(Deed::Restart, holder)?;
        wait_for(&mut site, "the killed one is back, on a full disk", |site| {
            site.holder()
                .and_then(|now| status(site, now).ok())
                .is_some_and(|status| status.members.iter().filter(|member| member.last_seen_ms < 2000).count() == 2)
        })?;
        never_two(&site, begin, holder)
    });
}

/// Gatehouse without the right to change the network.
struct Powerless;

impl Software for Powerless {
    fn name(&self) -> String {
        "gatehouse without CAP_NET_ADMIN".to_owned()
    }

    fn command(&self, seat: &Seat) -> Result<Command> {
        let able = gatehouse(Profile::Default).command(seat)?;
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-net_admin", "--inh-caps=-net_admin", "--"]);
        command.arg(able.get_program()).args(able.get_args());
        Ok(command)
    }
}

#[test]
fn a_daemon_without_permission_says_which_one_and_touches_nothing() {
    lab(|| {
        let mut site = Site::open(1, Box::new(Powerless))?;
        site.start_all()?;
        let daemon = site.daemon(member(0)).context("a daemon")?;
        let life = Daemon::wait(daemon, Duration::from_secs(10));
        let said = daemon.last_words(20);
        ensure!(matches!(life, Life::Ended(code) if code != 0), "{life:?}: {said}");
        ensure!(said.contains("CAP_NET_ADMIN"), "it does not say what is missing: {said}");
        let links = Command::new("ip").args(["-n", "m1", "-o", "link"]).output()?;
        let links = String::from_utf8(links.stdout)?;
        ensure!(links.lines().count() == 2, "something is left: {links}");
        Ok(())
    });
}
