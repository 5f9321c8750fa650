//! Others on the LAN: a stranger with the address, another site, noise, and a LAN that falls apart.

use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::api::model::RoleName;
use gatehouse::clock;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::member::MemberSet;
use gatehouse::demo::net::{DMZ, Machine};
use gatehouse::demo::site::Site;
use gatehouse::demo::software::Profile;

use super::{Tailored, member, never_two, seen, status, undisturbed, wait_for};
use crate::faults::{gatehouse, started};
use crate::lab;

#[test]
fn a_stranger_with_the_address_is_left_alone_until_it_leaves() {
    lab(|| {
        let mut site = Site::open(3, Box::new(gatehouse(Profile::Default)))?;
        let stranger = member(2);
        site.lan().configure(Machine::Member(stranger), &format!("addr add {DMZ}/24 dev eth0\n"))?;
        wait_for(&mut site, "the stranger answers", |site| site.holder() == Some(stranger))?;
        let begin = clock::now();
        site.apply(Deed::Restart, member(0))?;
        site.apply(Deed::Restart, member(1))?;
        wait_for(&mut site, "both see the conflict", |site| {
            let in_conflict = |index| status(site, member(index)).is_ok_and(|status| status.role == RoleName::Conflict);
            in_conflict(0) && in_conflict(1)
        })?;
        std::thread::sleep(Duration::from_secs(2));
        undisturbed(&site, begin, stranger)?;
        site.lan().configure(Machine::Member(stranger), &format!("addr del {DMZ}/24 dev eth0\n"))?;
        wait_for(&mut site, "a member claims the address", |site| site.holder().is_some_and(|now| now != stranger))?;
        std::thread::sleep(Duration::from_millis(500));
        never_two(&site, begin, stranger)
    });
}

#[test]
fn two_sites_with_different_keys_share_a_lan() {
    lab(|| {
        let software = Tailored::by(|seat, text| match seat.member.index() {
            0 | 1 => text,
            _ => text.replace("a site of its own", "another site").replace("192.168.77.11/24", "192.168.77.12/24"),
        });
        let mut site = Site::open(4, software)?;
        site.start_all()?;
        let holder = site.wait_for_holder(Duration::from_secs(15), Duration::from_millis(500))?;
        let begin = clock::now();
        wait_for(&mut site, "both sites have their holder and know their members", |site| {
            let pair = |a, b| -> Result<(usize, usize)> {
                let both = [status(site, member(a))?, status(site, member(b))?];
                let holders = both.iter().filter(|status| status.role == RoleName::Holder).count();
                Ok((holders, both.iter().map(|status| status.members.len()).sum()))
            };
            [pair(0, 1), pair(2, 3)].into_iter().all(|pair| pair.is_ok_and(|pair| pair == (1, 4)))
        })?;
        std::thread::sleep(Duration::from_secs(1));
        undisturbed(&site, begin, holder)
    });
}

#[test]
fn garbage_does_not_move_the_address() {
    const PER_MILLISECOND: usize = 20;
    const SPAN: Duration = Duration::from_secs(10);
    lab(|| {
        let mut site = Site::open(3, Box::new(gatehouse(Profile::Default)))?;
        site.apply(Deed::Restart, member(0))?;
        site.apply(Deed::Restart, member(1))?;
        let holder = site.wait_for_holder(Duration::from_secs(15), Duration::from_millis(500))?;
        let term = status(&site, holder)?.term;
        let begin = clock::now();
        let sent = site.lan().within(Machine::Member(member(2)), || -> Result<usize> {
            let socket = UdpSocket::bind((member(2).address(), 0))?;
            socket.connect("239.255.71.72:7172").context("the group")?;
            let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
            let mut datagram = [0; 1400];
            let mut sent = 0;
            while clock::now().since(begin) < SPAN {
                let due = usize::try_from(clock::now().since(begin).as_millis())? * PER_MILLISECOND;
                while sent < due {
                    for chunk in datagram.chunks_mut(8) {
                        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        chunk.copy_from_slice(&(noise ^ (noise >> 31)).to_le_bytes());
                    }
                    let length = usize::try_from(noise >> 32)? % datagram.len();
                    // A full queue is no reason to stop.
                    let _ = socket.send(&datagram[..length]);
                    sent += 1;
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            Ok(sent)
        })??;
        ensure!(sent > 150_000, "only {sent} datagrams could be sent");
        undisturbed(&site, begin, holder)?;
        ensure!(status(&site, holder)?.term == term, "the term moved");
        Ok(())
    });
}

#[test]
fn two_members_with_one_name_are_two_members() {
    lab(|| {
        let mut site =
            Site::open(2, Tailored::by(|seat, text| text.replace(&format!("\"{}\"", seat.member), "\"twin\"")))?;
        site.start_all()?;
        let holder = site.wait_for_holder(Duration::from_secs(15), Duration::from_millis(500))?;
        wait_for(&mut site, "both say that they share a name", |site| {
            let says = |index| {
                status(site, member(index)).is_ok_and(|status| status.warnings.iter().any(|text| text.contains("twin")))
            };
            says(0) && says(1)
        })?;
        let cut = clock::now();
        site.apply(Deed::Cut, holder)?;
        wait_for(&mut site, "the twin takes over", |site| site.holder().is_some_and(|now| now != holder))?;
        never_two(&site, cut, holder)
    });
}

#[test]
fn a_parted_lan_has_a_holder_on_each_side_and_one_when_it_is_joined() {
    lab(|| {
        let (mut site, holder) = started(5, Profile::Default)?;
        let with_it =
            site.lan().members().iter().copied().find(|member| *member != holder).context("a second member")?;
        site.lan().part(&[holder, with_it])?;
        wait_for(&mut site, "the router's side finds a holder", |site| {
            site.holder().is_some_and(|now| now != holder && now != with_it)
        })?;
        std::thread::sleep(Duration::from_millis(500));
        ensure!(site.address_on().contains(holder), "{holder} gave up although it has a side of its own");
        ensure!(site.address_on().len() == 2, "{} hold on two sides", site.address_on());
        let joined = clock::now();
        site.lan().join()?;
        wait_for(&mut site, "one holder is left", |site| site.address_on().len() == 1)?;
        std::thread::sleep(Duration::from_secs(1));
        let left: MemberSet = site.address_on();
        ensure!(left.len() == 1 && site.holder().is_some_and(|now| left.contains(now)), "{}", site.picture());
        let figures = seen(&site, joined, holder);
        ensure!(figures.dual_arp_ms <= 1000.0, "two answered long after they heard each other: {figures:?}");
        Ok(())
    });
}
