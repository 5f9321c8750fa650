//! Members that only watch: they never hold, need no privilege, and stand beside a candidate on one machine.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::api::model::{RoleName, Status};
use gatehouse::clock;
use gatehouse::demo::daemon::{Daemon, Life};
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::{Member, MemberSet};
use gatehouse::demo::site::Site;
use gatehouse::demo::software::{Seat, Software};

use crate::kit::{
    Config, PATIENCE, dropped, holder, m, met, never_two, other, plays, program, replaced, shows, shows_at, site,
    start, status,
};
use crate::lab;
use crate::traces::{at_rest, network};

const OBSERVER: &str = "role = \"observer\"";

/// An observer without any capability.
struct Powerless {
    name: &'static str,
    lan: String,
}

impl Software for Powerless {
    fn name(&self) -> String {
        "a powerless observer".to_owned()
    }

    fn command(&self, seat: &Seat) -> Result<Command> {
        let config = Config { name: Some(self.name.to_owned()), ..Config::lan(format!("{OBSERVER}\n{}", self.lan)) };
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs", "--"]);
        command.arg(program()).arg("run").arg("--config").arg(config.write(seat)?);
        Ok(command)
    }
}

impl Powerless {
    /// Starts it on a member's machine, beside whatever runs there.
    fn beside(&self, site: &Site, member: Member) -> Result<(Seat, Daemon)> {
        let seat = Seat { member, folder: site.seat(member)?.file("observer") };
        let daemon = Daemon::start(site.lan(), self, &seat)?;
        Ok((seat, daemon))
    }
}

#[test]
fn an_observer_never_holds() {
    lab(|| {
        let mut site = site(2, |member| Config::lan(if member == m(1) { OBSERVER } else { "" }))?;
        start(&mut site, &[m(1)])?;
        plays(&site, m(1), RoleName::Observer)?;
        std::thread::sleep(Duration::from_secs(1));
        ensure!(site.address_on().is_empty(), "an observer alone has the address");
        start(&mut site, &[m(2)])?;
        ensure!(met(&mut site, &[m(1), m(2)])? == m(2), "another holder");
        let begin = clock::now();
        site.apply(Deed::Kill, m(2))?;
        shows(&site, m(1), "to see that nobody holds", |status| status.holder.is_none())?;
        std::thread::sleep(Duration::from_secs(2));
        ensure!(site.record(begin).address.iter().all(|round| !round.yes.contains(m(1))), "an observer took over");
        ensure!(site.address_on() == MemberSet::default(), "a dead member's address did not go");
        plays(&site, m(1), RoleName::Observer).map(drop)
    });
}

#[test]
fn an_observer_needs_no_privilege_and_touches_nothing() {
    lab(|| {
        let mut site = site(3, |_| Config::default())?;
        at_rest(&site)?;
        let before = network(&site, m(3))?;
        start(&mut site, &[m(1), m(2)])?;
        let (seat, mut daemon) = Powerless { name: "watcher", lan: String::new() }.beside(&site, m(3))?;
        let first = holder(&mut site)?;
        let seen = knows(&seat, 3, first)?;
        ensure!(seen.role == RoleName::Observer && seen.warnings.is_empty(), "{seen:#?}");
        let now = network(&site, m(3))?;
        ensure!(now == before, "an observer changed its machine:\n{before}\n{now}");

        // It follows a takeover, loses its cable, and finds back.
        let begin = clock::now();
        site.apply(Deed::Kill, first)?;
        replaced(&site, first)?;
        let second = other(&site, first)?;
        follows(&seat, second)?;
        site.apply(Deed::Cut, m(3))?;
        shows_at(&seat, "to miss its link", |status| status.state == "down")?;
        site.apply(Deed::Heal, m(3))?;
        knows(&seat, 2, second)?;

        // It cannot become a candidate, says why, and goes on watching.
        Config { name: Some("watcher".to_owned()), ..Config::default() }.write(&seat)?;
        daemon.reload();
        shows_at(&seat, "to say why it is no candidate", |status| {
            let said = |warning: &String| warning.contains("not used") && warning.contains("CAP_NET_");
            status.role == RoleName::Observer && status.warnings.iter().any(said)
        })?;
        daemon.terminate();
        let life = daemon.wait(PATIENCE);
        ensure!(life == Life::Ended(0), "{life:?}: {}", daemon.last_words(10));
        never_two(&site, begin)
    });
}

#[test]
fn an_observer_and_a_candidate_share_a_machine_and_hear_each_other() {
    lab(|| share_a_machine(""));
}

#[test]
fn an_observer_and_a_candidate_share_a_machine_where_broadcasts_replace_multicast() {
    lab(|| share_a_machine("broadcast = true"));
}

/// With the observer started before the candidate and after it, a handover by single datagrams must reach the latter.
fn share_a_machine(lan: &'static str) -> Result<()> {
    let mut site = site(2, move |_| Config::lan(lan))?;
    let (seat, _daemon) = Powerless { name: "watcher", lan: lan.to_owned() }.beside(&site, m(1))?;
    shows_at(&seat, "to watch", |status| status.role == RoleName::Observer)?;
    start(&mut site, &[m(1)])?;
    ensure!(holder(&mut site)? == m(1), "another holder");
    start(&mut site, &[m(2)])?;
    let later = Powerless { name: "latecomer", lan: lan.to_owned() };
    let begin = clock::now();
    for members in [3, 4] {
        let _latecomer = (members == 4).then(|| later.beside(&site, m(2))).transpose()?;
        for (from, to) in [(m(1), m(2)), (m(2), m(1))] {
            let complete = |status: &Status| {
                let observers = status.members.iter().filter(|member| member.role == RoleName::Observer);
                let next = status.members.iter().find(|member| member.successor == Some(1));
                let in_line = next.is_some_and(|next| next.name == to.to_string());
                status.members.len() == members && observers.count() == members - 2 && in_line
            };
            for member in [m(1), m(2)] {
                shows(&site, member, &format!("to hear everybody, and {to} to be next"), complete)?;
            }
            knows(&seat, members, from)?;
            site.apply(Deed::GiveUp, from)?;
            plays(&site, to, RoleName::Holder)?;
            knows(&seat, members, to)?;
        }
    }
    for member in [m(1), m(2)] {
        ensure!(status(&site, member)?.counters.handovers == 2, "{member} was not reached by single datagrams");
        // By broadcast every datagram comes twice, as its second copy does by another path.
        let replayed = dropped(&site, member, "replayed")?;
        ensure!(!lan.is_empty() || replayed == 0, "{member} took {replayed} echoes for replays");
        ensure!(status(&site, member)?.warnings.is_empty(), "{:?}", status(&site, member)?.warnings);
    }
    site.apply(Deed::Kill, m(1))?;
    follows(&seat, m(2)).context("on the machine of a dead candidate")?;
    never_two(&site, begin)
}

/// Waits until the daemon of a seat knows who holds.
fn follows(seat: &Seat, holder: Member) -> Result<Status> {
    shows_at(seat, &format!("to follow {holder}"), |status| status.holder == Some(holder.to_string()))
}

/// Waits until the daemon of a seat knows so many members, and who holds.
fn knows(seat: &Seat, members: usize, holder: Member) -> Result<Status> {
    shows_at(seat, &format!("to know {members} members and that {holder} holds"), |status| {
        status.members.len() == members && status.holder == Some(holder.to_string())
    })
}
