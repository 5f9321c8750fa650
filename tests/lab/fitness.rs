//! Who shall hold: health checks and preference.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::api::model::RoleName;
use gatehouse::clock;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::Member;
use gatehouse::demo::net::Machine;
use gatehouse::demo::site::Site;

use crate::kit::{
    Config, figures, holder, m, met, never_two, other, plays, replaced, settled, shows, site, start, status,
};
use crate::lab;

/// The port of a service that the members check on themselves.
const PORT: u16 = 9999;

fn checked(cost: &'static str) -> impl Fn(Member) -> Config {
    move |_| Config {
        more: format!(
            "[[check]]\nname = \"service\"\nkind = \"tcp\"\naddress = \"127.0.0.1:{PORT}\"\n\
             interval = \"200ms\"\ntimeout = \"100ms\"\nrise = 2\nfall = 2\n{cost}\n"
        ),
        ..Config::default()
    }
}

/// Starts the service on a member; dropping it ends it.
fn service(site: &Site, member: Member) -> Result<TcpListener> {
    let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, PORT));
    site.lan().within(Machine::Member(member), listen)?.context("the service's port")
}

/// Waits until a member is as fit as this.
fn fit(site: &Site, member: Member, health: u8) -> Result<()> {
    shows(site, member, &format!("to have health {health}"), |status| status.health == health).map(drop)
}

#[test]
fn a_holder_whose_service_fails_hands_over_to_one_whose_service_works() {
    lab(|| {
        let mut site = site(2, checked("weight = 40"))?;
        let mut services = [Some(service(&site, m(1))?), Some(service(&site, m(2))?)];
        let first = settled(&mut site)?;
        let other = other(&site, first)?;
        for member in [m(1), m(2)] {
            fit(&site, member, 100)?;
        }
        let begin = clock::now();
        services[first.index()] = None;
        plays(&site, other, RoleName::Holder)?;
        fit(&site, first, 60)?;
        let seen = figures(&site, begin, first);
        ensure!(seen.lost_after_takeover == 0, "probes were lost after the handover: {seen:?}");

        // As unfit as the other one: there is nothing to gain by a move.
        let term = status(&site, other)?.term;
        services[other.index()] = None;
        fit(&site, other, 60)?;
        std::thread::sleep(Duration::from_secs(1));
        ensure!(status(&site, other)?.term == term, "the address moved to one that is no fitter");

        services[first.index()] = Some(service(&site, first)?);
        plays(&site, first, RoleName::Holder)?;
        never_two(&site, begin)
    });
}

#[test]
fn a_veto_keeps_a_member_from_holding_while_anybody_else_can() {
    lab(|| {
        let mut site = site(3, checked("veto = true"))?;
        // The third member's service does not run.
        let _services = [service(&site, m(1))?, service(&site, m(2))?];
        start(&mut site, &[m(1), m(2)])?;
        met(&mut site, &[m(1), m(2)])?;
        start(&mut site, &[m(3)])?;
        fit(&site, m(3), 0)?;
        let first = met(&mut site, &[m(1), m(2), m(3)])?;
        let second = other(&site, first)?;
        let begin = clock::now();
        site.apply(Deed::Kill, first)?;
        replaced(&site, first)?;
        ensure!(site.holder() == Some(second), "the unfit one took over");
        std::thread::sleep(Duration::from_secs(1));
        ensure!(holder(&mut site)? == second, "the unfit one took over");
        // Nobody else is left: better unfit than nobody.
        site.apply(Deed::Kill, second)?;
        replaced(&site, second)?;
        ensure!(holder(&mut site)? == m(3), "another holder");
        never_two(&site, begin)
    });
}

#[test]
fn a_preferred_member_gets_the_address_after_its_delay_and_may_give_it_up() {
    lab(|| {
        let mut site = site(2, |member| {
            let priority = if member == m(2) { 200 } else { 100 };
            Config::lan(format!("priority = {priority}\nprefer = \"priority\"\nprefer-delay = \"1s\""))
        })?;
        start(&mut site, &[m(1)])?;
        ensure!(holder(&mut site)? == m(1), "another holder");
        let begin = clock::now();
        start(&mut site, &[m(2)])?;
        plays(&site, m(2), RoleName::Standby)?;
        let joined = clock::now();
        plays(&site, m(2), RoleName::Holder)?;
        // It has been heard a little before it said that it is a standby.
        ensure!(clock::now().since(joined) > Duration::from_millis(500), "it did not wait");
        let seen = figures(&site, begin, m(1));
        ensure!(seen.lost_after_takeover == 0 && seen.gap_ms < 300.0, "the move was noticed: {seen:?}");

        plays(&site, m(1), RoleName::Standby)?;
        site.apply(Deed::GiveUp, m(2))?;
        plays(&site, m(1), RoleName::Holder)?;
        std::thread::sleep(Duration::from_secs(3));
        ensure!(holder(&mut site)? == m(1), "what was given up came back at once");
        never_two(&site, begin)
    });
}
