//! A LAN that falls into two and heals.

use std::time::Duration;

use anyhow::{Result, ensure};
use gatehouse::api::model::RoleName;
use gatehouse::clock;

use crate::kit::{Config, holder, m, plays, set, settled, shows, site};
use crate::lab;

/// What two holders may overlap after they hear each other: one beacon, and the slack of a busy machine.
const OVERLAP: Duration = Duration::from_millis(300);

#[test]
fn five_members_fall_into_two_sides_and_find_back() {
    lab(|| {
        let mut site = site(5, |_| Config::default())?;
        let first = settled(&mut site)?;
        let (one, other): (Vec<_>, Vec<_>) =
            [m(1), m(2), m(3), m(4), m(5)].into_iter().partition(|member| *member == first);
        let (small, large) = ([one[0], other[0]], [other[1], other[2], other[3]]);
        let term = plays(&site, first, RoleName::Holder)?.term;

        // The holder is on the side without the router: the side with it needs a holder of its own.
        site.lan().part(&small)?;
        let second = holder_among(&mut site, &large)?;
        ensure!(site.address_on() == set(&[first, second]), "{} have the address", site.address_on());
        let there = plays(&site, second, RoleName::Holder)?.term;
        ensure!(there > term, "a side of its own has no term of its own");
        plays(&site, first, RoleName::Holder)?;

        let healed = clock::now();
        site.lan().join()?;
        let last = holder(&mut site)?;
        for member in [m(1), m(2), m(3), m(4), m(5)] {
            let role = if member == last { RoleName::Holder } else { RoleName::Standby };
            shows(&site, member, "to find back", |status| {
                status.role == role && status.holder == Some(last.to_string()) && status.term >= there
            })?;
        }
        ensure!(last == second, "the younger term did not stay");
        let record = site.record(healed);
        let two = record.arp.iter().filter(|round| round.yes.len() > 1).count();
        let two = record.arp_period * u32::try_from(two)?;
        ensure!(two <= OVERLAP, "two answered for {two:?} after they heard each other");
        Ok(())
    });
}

/// Waits until the client hears one of these; who.
fn holder_among(
    site: &mut gatehouse::demo::site::Site,
    members: &[gatehouse::demo::member::Member],
) -> Result<gatehouse::demo::member::Member> {
    crate::kit::until("a holder on the side of the router", || {
        Ok(site.holder().is_some_and(|holder| members.contains(&holder)))
    })?;
    std::thread::sleep(Duration::from_millis(300));
    site.holder().ok_or_else(|| anyhow::anyhow!("nobody answers: {}", site.picture()))
}
