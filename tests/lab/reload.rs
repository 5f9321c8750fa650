//! A configuration that changes under a running daemon, or is wrong from the start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::api::model::RoleName;
use gatehouse::clock;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::Member;
use gatehouse::demo::net::{DMZ, Machine};
use gatehouse::demo::site::Site;

use crate::kit::{
    Config, events, figures, m, never_two, other, output, plays, program, run, settled, shows, site, status, until,
};
use crate::lab;

/// A new DMZ address.
const OTHER: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 12);

#[test]
fn a_reload_loses_no_probe_and_keeps_the_term() {
    lab(|| {
        let mut site = site(2, |_| Config::default())?;
        let holding = settled(&mut site)?;
        let standby = other(&site, holding)?;
        let term = status(&site, holding)?.term;
        let begin = clock::now();
        let steps = ["priority = 150", "priority = 150\nprofile = \"fast\"", "beacon = \"200ms\"", "priority = 7"];
        for lines in steps {
            // Whoever follows goes first: it must not take the new rhythm for silence.
            for member in [standby, holding] {
                let before = news(&site, member)?;
                reload(&mut site, member, &Config::lan(lines))?;
                until("the new configuration", || Ok(news(&site, member)? > before))?;
            }
            std::thread::sleep(Duration::from_millis(300));
        }
        shows(&site, standby, "to know the holder's new priority", |status| {
            status.members.iter().any(|member| member.name == holding.to_string() && member.priority == 7)
        })?;
        let seen = figures(&site, begin, holding);
        ensure!(seen.lost == 0 && seen.takeover_ms.is_none(), "a reload was noticed: {seen:?}");
        ensure!(status(&site, holding)?.term == term, "the holder changed");
        never_two(&site, begin)
    });
}

#[test]
fn an_invalid_new_file_is_refused_and_the_old_one_goes_on() {
    lab(|| {
        let mut site = site(1, |_| Config::default())?;
        let holding = settled(&mut site)?;
        let begin = clock::now();
        reload(&mut site, holding, &Config::lan("prioritty = 3"))?;
        shows(&site, holding, "to say what is wrong", |status| {
            status
                .warnings
                .iter()
                .any(|warning| warning.contains("the new configuration") && warning.contains("prioritty"))
        })?;
        let control = site.seat(holding)?.file("control.sock").display().to_string();
        let command = |site: &Site| {
            let gatehouse = program().display().to_string();
            output(site.lan(), Machine::Member(holding), &gatehouse, &["reload", "--control", &control])
        };
        let refused = command(&site)?;
        ensure!(refused.status.code() == Some(1), "`gatehouse reload` said {refused:?}");
        ensure!(String::from_utf8_lossy(&refused.stderr).contains("prioritty"), "it does not say why: {refused:?}");

        Config::lan("priority = 3").write(site.seat(holding)?)?;
        let taken = command(&site)?;
        ensure!(taken.status.success(), "`gatehouse reload` said {taken:?}");
        let now = status(&site, holding)?;
        ensure!(!now.warnings.iter().any(|warning| warning.contains("the new configuration")), "{:?}", now.warnings);
        ensure!(now.members[0].priority == 3, "the new priority is not in force");
        let seen = figures(&site, begin, holding);
        ensure!(seen.lost == 0, "a reload was noticed: {seen:?}");
        Ok(())
    });
}

#[test]
fn a_new_dmz_address_takes_the_place_of_the_old_one() {
    lab(|| {
        let mut site = site(1, |_| Config::default())?;
        let holding = settled(&mut site)?;
        ensure!((has(&site, holding, DMZ)?, has(&site, holding, OTHER)?) == (true, false), "not the address it had");
        let dmz = format!("address = [\"{OTHER}/24\"]");
        reload(&mut site, holding, &Config { dmz, ..Config::default() })?;
        let status = shows(&site, holding, "to hold the new address", |status| {
            status.dmz == [OTHER.to_string()] && status.role == RoleName::Holder
        })?;
        ensure!(status.members.len() == 1, "it is a member beside itself: {:?}", status.members);
        ensure!((has(&site, holding, DMZ)?, has(&site, holding, OTHER)?) == (false, true), "not the new address");
        let listen = || TcpListener::bind((OTHER, 8080));
        let _listener = site.lan().within(Machine::Member(holding), listen)??;
        let visit = || TcpStream::connect_timeout(&SocketAddr::from((OTHER, 8080)), Duration::from_secs(2)).map(drop);
        site.lan().within(Machine::Router, visit)?.context("nobody answers at the new address")
    });
}

#[test]
fn a_holder_that_shall_only_watch_hands_over_and_lifts_its_fence() {
    lab(|| {
        let mut site = site(2, |_| Config::default())?;
        let first = settled(&mut site)?;
        let second = other(&site, first)?;
        let begin = clock::now();
        reload(&mut site, first, &Config::lan("role = \"observer\""))?;
        plays(&site, first, RoleName::Observer)?;
        plays(&site, second, RoleName::Holder)?;
        let seen = figures(&site, begin, first);
        ensure!(seen.lost_after_takeover == 0, "probes were lost after the handover: {seen:?}");
        let rules = run(site.lan(), Machine::Member(first), "nft", &["list", "ruleset"])?;
        ensure!(rules.is_empty(), "an observer has a fence: {rules}");
        reload(&mut site, first, &Config::default())?;
        plays(&site, first, RoleName::Standby)?;
        site.apply(Deed::Stop, second)?;
        plays(&site, first, RoleName::Holder)?;
        never_two(&site, begin)
    });
}

#[test]
fn a_file_that_is_right_but_cannot_start_leaves_the_old_one_running() {
    lab(|| {
        let mut site = site(1, |_| Config::default())?;
        let holding = settled(&mut site)?;
        // The loopback device carries no macvlan.
        reload(&mut site, holding, &Config::lan("interface = \"lo\""))?;
        shows(&site, holding, "to say what is wrong and hold as before", |status| {
            status.warnings.iter().any(|warning| warning.contains("the new configuration"))
                && status.interface == "eth0"
                && status.role == RoleName::Holder
        })?;
        Ok(())
    });
}

#[test]
fn a_bad_file_at_the_start_is_shown_and_nothing_is_touched() {
    lab(|| {
        let site = site(1, |_| Config::default())?;
        let machine = Machine::Member(m(1));
        let look = || -> Result<[String; 3]> {
            let ip = |what| run(site.lan(), machine, "ip", &["-o", what]);
            Ok([ip("link")?, ip("addr")?, run(site.lan(), machine, "nft", &["list", "ruleset"])?])
        };
        let before = look()?;
        for lines in ["prioritty = 3", "profile = \"fast\"\nbeacon = \"20ms\"", "role = \"boss\""] {
            let file = Config::lan(lines).write(site.seat(m(1))?)?.display().to_string();
            let ended = output(site.lan(), machine, &program().display().to_string(), &["run", "--config", &file])?;
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            ensure!(ended.status.code() == Some(2), "`run` ended with {:?}: {said}", ended.status);
            let culprit = lines.lines().last().and_then(|line| line.split(' ').next()).unwrap_or_default();
            ensure!(said.contains("gatehouse.toml") && said.contains(culprit), "no picture of the place: {said}");
            ensure!(look()? == before, "a bad file changed the machine");
            ensure!(!site.seat(m(1))?.file("state").exists(), "a bad file made a state folder");
        }
        Ok(())
    });
}

/// Writes a new configuration and tells the daemon, as a service manager does.
fn reload(site: &mut Site, member: Member, config: &Config) -> Result<()> {
    config.write(site.seat(member)?)?;
    site.daemon(member).context("no daemon")?.reload();
    Ok(())
}

/// How many configurations a member has taken since its start.
fn news(site: &Site, member: Member) -> Result<usize> {
    Ok(events(site, member)?.iter().filter(|event| event.kind == "config").count())
}

fn has(site: &Site, member: Member, address: Ipv4Addr) -> Result<bool> {
    site.lan().within(Machine::Member(member), || UdpSocket::bind((address, 0)).is_ok())
}
