//! Other ways to carry the address: the NIC's own hardware address, and IPv6.

use std::time::Duration;

use anyhow::{Result, ensure};
use gatehouse::clock;
use gatehouse::demo::client::fetch;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::net::{DMZ_V6, PUBLIC};
use gatehouse::demo::site::Site;

use crate::lab;
use crate::luck::{Tailored, never_two, wait_for};

/// Cuts and kills holders; each time another must answer, and never two.
fn survives(mut site: Site, page: impl Fn(&Site) -> Result<String>) -> Result<()> {
    site.start_all()?;
    for deed in [Deed::Cut, Deed::Kill, Deed::Freeze, Deed::Stop] {
        let holder = site.wait_for_holder(Duration::from_secs(15), Duration::from_millis(500))?;
        ensure!(page(&site)? == holder.to_string(), "the page is not the holder's");
        let begin = clock::now();
        site.apply(deed, holder)?;
        wait_for(&mut site, "a takeover", |site| site.holder().is_some_and(|now| now != holder))?;
        wait_for(&mut site, "the new holder's page", |site| page(site).is_ok_and(|page| page != holder.to_string()))?;
        never_two(&site, begin, holder)?;
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
        let software = Tailored::by(|_, text| text.replace("[dmz]\n", "[dmz]\nmac = \"nic\"\n"));
        survives(Site::open(3, software)?, |site| fetch(site.lan(), PUBLIC))
    });
}

#[test]
fn ipv6_follows_the_holder() {
    lab(|| {
        let software = Tailored::by(|_, text| text.replace("/24\"]", "/24\", \"fd77::11/64\"]"));
        survives(Site::open(3, software)?, |site| fetch(site.lan(), DMZ_V6))
    });
}
