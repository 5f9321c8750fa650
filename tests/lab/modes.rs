//! Other ways to carry the address: the NIC's own hardware address, and IPv6.

use std::time::Duration;

use anyhow::{Context, Result};
use gatehouse::api::model::RoleName;
use gatehouse::clock;
use gatehouse::demo::client::fetch;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::net::{DMZ_V6, Machine, PUBLIC};
use gatehouse::demo::site::Site;

use crate::kit::{Config, m, never_two, plays, replaced, run, shows, site, start, until};
use crate::lab;

/// Cuts and kills holders; each time another must answer, and never two.
fn survives(mut site: Site, page: impl Fn(&Site) -> Result<String>) -> Result<()> {
    site.start_all()?;
    for deed in [Deed::Cut, Deed::Kill, Deed::Freeze, Deed::Stop] {
        let holder = site.wait_for_holder(Duration::from_secs(15), Duration::from_millis(500))?;
        // Right after its start a machine has no link-local address yet to ask for its IPv6 neighbours from.
        until("the holder's page", || Ok(page(&site).is_ok_and(|page| page == holder.to_string())))?;
        let begin = clock::now();
        site.apply(deed, holder)?;
        replaced(&site, holder)?;
        until("the new holder's page", || Ok(page(&site).is_ok_and(|page| page != holder.to_string())))?;
        never_two(&site, begin)?;
        match deed {
            Deed::Cut => site.apply(Deed::Heal, holder)?,
            Deed::Freeze => site.apply(Deed::Thaw, holder)?,
            _ => site.apply(Deed::Restart, holder)?,
        }
        std::thread::sleep(Duration::from_millis(2500));
    }
    Ok(())
}

#[test]
fn the_nic_s_own_hardware_address_will_do() {
    lab(|| {
        let dmz = "address = [\"192.168.77.11/24\"]\nmac = \"nic\"";
        survives(site(3, move |_| Config { dmz: dmz.to_owned(), ..Config::default() })?, |site| {
            fetch(site.lan(), PUBLIC)
        })
    });
}

#[test]
fn ipv6_follows_the_holder() {
    lab(|| {
        let dmz = "address = [\"192.168.77.11/24\", \"fd77::11/64\"]";
        survives(site(3, move |_| Config { dmz: dmz.to_owned(), ..Config::default() })?, |site| {
            fetch(site.lan(), DMZ_V6)
        })
    });
}

#[test]
fn a_site_may_have_ipv6_alone() {
    lab(|| {
        let dmz = "address = [\"fd77::11/64\"]";
        let mut site = site(3, move |_| Config { dmz: dmz.to_owned(), ..Config::default() })?;
        let page = |site: &Site| fetch(site.lan(), DMZ_V6).ok();
        let stranger = Machine::Member(m(3));
        site.lan().configure(stranger, "addr add fd77::11/64 dev eth0 nodad\n")?;
        start(&mut site, &[m(1), m(2)])?;
        for member in [m(1), m(2)] {
            plays(&site, member, RoleName::Conflict)?;
        }
        site.lan().configure(stranger, "addr del fd77::11/64 dev eth0\n")?;
        start(&mut site, &[m(3)])?;
        for deed in [Deed::Cut, Deed::Kill] {
            until("a page", || Ok(page(&site).is_some()))?;
            let holder = page(&site);
            let member = [m(1), m(2), m(3)].into_iter().find(|member| Some(member.to_string()) == holder);
            let member = member.context("nobody's page")?;
            for follower in [m(1), m(2), m(3)] {
                shows(&site, follower, "to know all others", |status| {
                    status.members.len() == 3 && status.holder == holder
                })?;
            }
            site.apply(deed, member)?;
            until("another page", || Ok(page(&site).is_some_and(|page| Some(page) != holder)))?;
            // Whoever has forgotten where the address is asks, and one answers.
            run(site.lan(), Machine::Router, "ip", &["-6", "neigh", "flush", "dev", "lan"])?;
            until("another page", || Ok(page(&site).is_some_and(|page| Some(page) != holder)))?;
            site.apply(if deed == Deed::Cut { Deed::Heal } else { Deed::Restart }, member)?;
            plays(&site, member, RoleName::Standby)?;
        }
        Ok(())
    });
}
