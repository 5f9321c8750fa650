//! A LAN that does not carry multicast.

use anyhow::{Context, Result, ensure};
use gatehouse::clock;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::net::Machine;

use crate::kit::{Config, m, met, never_two, replaced, run, settled, site};
use crate::lab;

/// Members find each other and replace a holder on a switch that drops the group's frames.
fn meet_without_multicast(lan: &'static str) -> Result<()> {
    let mut site = site(3, move |_| Config::lan(lan))?;
    let nft = |arguments: &[&str]| run(site.lan(), Machine::Switch, "nft", arguments);
    nft(&["insert", "rule", "bridge", "faults", "inward", "ip", "daddr", "239.255.71.72", "counter", "drop"])?;
    settled(&mut site)?;
    let rules = run(site.lan(), Machine::Switch, "nft", &["list", "chain", "bridge", "faults", "inward"])?;
    ensure!(rules.contains("239.255.71.72") && !rules.contains("packets 0 "), "nothing was filtered: {rules}");
    let begin = clock::now();
    for (deed, undo) in [(Deed::Cut, Deed::Heal), (Deed::Kill, Deed::Restart)] {
        let before = site.holder().context("nobody holds")?;
        site.apply(deed, before)?;
        replaced(&site, before)?;
        site.apply(undo, before)?;
        met(&mut site, &[m(1), m(2), m(3)])?;
    }
    never_two(&site, begin)
}

#[test]
fn peers_by_address_do_without_multicast() {
    lab(|| meet_without_multicast("peers = [\"192.168.77.21\", \"192.168.77.22\", \"192.168.77.23\"]"));
}

#[test]
fn broadcast_does_without_multicast() {
    lab(|| meet_without_multicast("broadcast = true"));
}
