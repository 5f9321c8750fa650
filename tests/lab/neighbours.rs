//! Bad neighbours: a stranger at the address, other sites on the same LAN, forged and useless datagrams.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gatehouse::api::model::RoleName;
use gatehouse::clock;
use gatehouse::demo::member::Member;
use gatehouse::demo::net::{DMZ, Machine};
use gatehouse::demo::site::Site;
use gatehouse::units::Time;
use gatehouse::wire::{MAX_DATAGRAM, layout};

use crate::kit::{
    Config, PATIENCE, dropped, figures, holder, m, met, metric, never_two, plays, set, shows, site, start, status,
    tells, until,
};
use crate::lab;

const GROUP: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 71, 72), 7172);

/// The hardware address of the third member's machine.
const STRANGER: &str = "02:00:00:00:77:23";

#[test]
fn a_stranger_keeps_the_address_until_it_leaves() {
    lab(|| {
        let mut site = site(3, |_| Config::default())?;
        let stranger = Machine::Member(m(3));
        site.lan().configure(stranger, "addr add 192.168.77.11/24 dev eth0\n")?;
        let begin = clock::now();
        start(&mut site, &[m(1), m(2)])?;
        for member in [m(1), m(2)] {
            plays(&site, member, RoleName::Conflict)?;
            ensure!(tells(&site, member, "stranger", STRANGER)?, "{member} does not say who the stranger is");
        }
        std::thread::sleep(Duration::from_secs(2));
        let claimed = site.record(begin).address.into_iter().find(|round| round.yes != set(&[m(3)]));
        ensure!(claimed.is_none(), "claimed beside a stranger: {claimed:?}");

        site.lan().configure(stranger, "addr del 192.168.77.11/24 dev eth0\n")?;
        until("the stranger to be gone", || Ok(!site.address_on().contains(m(3))))?;
        let holding = met(&mut site, &[m(1), m(2)])?;
        ensure!([m(1), m(2)].contains(&holding), "{holding} holds");
        Ok(())
    });
}

#[test]
fn a_stranger_that_comes_later_is_named_and_does_not_get_the_address() {
    lab(|| {
        let mut site = site(3, |_| Config::default())?;
        start(&mut site, &[m(1), m(2)])?;
        let holding = met(&mut site, &[m(1), m(2)])?;
        let term = status(&site, holding)?.term;
        let stranger = Machine::Member(m(3));
        site.lan().configure(stranger, "addr add 192.168.77.11/24 dev eth0\n")?;
        // It asks for somebody in the address's name, as a machine does that wants to talk.
        let talk = || UdpSocket::bind((DMZ, 0)).and_then(|socket| socket.send_to(b"?", ("192.168.77.240", 9)));
        site.lan().within(stranger, talk)?.context("talking from the address")?;
        until("the holder to name the stranger", || tells(&site, holding, "stranger", STRANGER))?;
        site.lan().configure(stranger, "addr del 192.168.77.11/24 dev eth0\n")?;
        ensure!(holder(&mut site)? == holding, "the holder gave in to a stranger");
        ensure!(status(&site, holding)?.term == term, "the holder changed");
        Ok(())
    });
}

#[test]
fn sites_of_other_keys_and_addresses_share_a_lan() {
    lab(|| {
        // m1: the site. m2: another key. m3: the same key. m4: the site's address with a wrong passphrase.
        let mut site = site(4, |member| {
            let of =
                |key, last| Config { key, dmz: format!("address = [\"192.168.77.{last}/24\"]"), ..Config::default() };
            match member.index() {
                0 => of("a site of its own", 11),
                1 => of("quite another site", 12),
                2 => of("a site of its own", 13),
                _ => of("a site of its oWn", 11),
            }
        })?;
        start(&mut site, &[m(1)])?;
        plays(&site, m(1), RoleName::Holder)?;
        let begin = clock::now();
        start(&mut site, &[m(2), m(3), m(4)])?;
        plays(&site, m(2), RoleName::Holder)?;
        plays(&site, m(3), RoleName::Holder)?;
        plays(&site, m(4), RoleName::Conflict)?;
        shows(&site, m(1), "to warn of both others", |status| {
            let warns = |words: &str| status.warnings.iter().any(|warning| warning.contains(words));
            warns("192.168.77.22 speaks on our group with another key")
                && warns("192.168.77.23 has our key but other DMZ addresses")
        })?;
        shows(&site, m(4), "to warn of the other key", |status| {
            status.warnings.iter().any(|warning| warning.contains("192.168.77.21 speaks on our group with another key"))
        })?;
        for (member, reason) in [(m(1), "foreign-key"), (m(1), "other-site"), (m(2), "foreign-key")] {
            ensure!(dropped(&site, member, reason)? > 0, "{member} counts no {reason}");
        }
        ensure!(plays(&site, m(1), RoleName::Holder)?.members.len() == 1, "members of other sites are members");
        never_two(&site, begin)
    });
}

#[test]
fn forged_replayed_and_damaged_datagrams_change_nothing() {
    lab(|| {
        let (mut site, calm) = attacked_site()?;
        let real = overheard(&site)?;
        ensure!(real.len() >= 10, "{} datagrams overheard", real.len());
        let mouth = site.lan().within(Machine::Member(m(3)), || UdpSocket::bind(("192.168.77.23", 0)))??;
        let send = |bytes: &[u8]| mouth.send_to(bytes, GROUP).map(drop);
        for datagram in &real {
            send(datagram)?;
            send(&forged(datagram, u64::MAX / 2))?;
            let mut longer = datagram.clone();
            longer.resize(MAX_DATAGRAM + 1, 0);
            send(&longer)?;
            for length in [0, 1, 19, layout::HEADER, datagram.len() - 1] {
                send(&datagram[..length.min(datagram.len())])?;
            }
        }
        for reason in ["replayed", "forged", "malformed"] {
            until(reason, || Ok(dropped(&site, m(1), reason)? > 0 && dropped(&site, m(2), reason)? > 0))?;
        }
        calm.still(&mut site)
    });
}

#[test]
fn a_flood_of_garbage_does_not_move_the_address() {
    lab(|| {
        let (mut site, calm) = attacked_site()?;
        let real = overheard(&site)?;
        let (packets, span) = site.lan().within(Machine::Member(m(3)), || flood(&real))??;
        println!("{packets} packets in {span:?}");
        ensure!(packets >= 100_000, "too slow a machine to flood: {packets} packets in {span:?}");
        for member in [m(1), m(2)] {
            ensure!(dropped(&site, member, "malformed")? > 1_000, "{member} heard no noise");
            ensure!(dropped(&site, member, "forged")? > 100, "{member} heard no forgeries");
            ensure!(dropped(&site, member, "overload")? > 1_000, "{member} spent itself on forgeries");
        }
        calm.still(&mut site)
    });
}

/// How the site was before somebody tried to disturb it.
struct Calm {
    holder: Member,
    term: u64,
    takeovers: u64,
    begin: Time,
}

impl Calm {
    fn takeovers(site: &Site) -> Result<u64> {
        let of = |member| metric(site, member, "gatehouse_takeovers_total");
        Ok(of(m(1))? + of(m(2))?)
    }

    /// Nothing has changed.
    fn still(&self, site: &mut Site) -> Result<()> {
        let seen = figures(site, self.begin, self.holder);
        ensure!(seen.takeover_ms.is_none(), "somebody else answered: {seen:?}");
        ensure!(holder(site)? == self.holder, "another holder");
        for member in [m(1), m(2)] {
            let now = status(site, member)?;
            ensure!(now.term == self.term, "{member} is in term {} instead of {}", now.term, self.term);
            ensure!(now.members.len() == 2, "{member} knows {:?}", now.members);
        }
        ensure!(Calm::takeovers(site)? == self.takeovers, "somebody took over");
        never_two(site, self.begin)
    }
}

/// Two members and, on the third machine, room for an attacker.
fn attacked_site() -> Result<(Site, Calm)> {
    let mut site = site(3, |_| Config::default())?;
    start(&mut site, &[m(1), m(2)])?;
    let holder = met(&mut site, &[m(1), m(2)])?;
    let (term, takeovers) = (status(&site, holder)?.term, Calm::takeovers(&site)?);
    Ok((site, Calm { holder, term, takeovers, begin: clock::now() }))
}

/// What the attacker hears of the members: more than the newest of each, as that is known to come by two paths.
fn overheard(site: &Site) -> Result<Vec<Vec<u8>>> {
    site.lan().within(Machine::Member(m(3)), || {
        let ears = UdpSocket::bind(GROUP)?;
        ears.join_multicast_v4(GROUP.ip(), &m(3).address())?;
        ears.set_read_timeout(Some(PATIENCE))?;
        let mut heard = Vec::new();
        let mut buffer = [0; MAX_DATAGRAM];
        let more_than_one = |heard: &[Vec<u8>]| {
            let of = |one: &Vec<u8>| heard.iter().filter(|other| other[layout::NODE] == one[layout::NODE]).count() > 1;
            heard.iter().all(of) && heard.iter().any(|one| one[layout::NODE] != heard[0][layout::NODE])
        };
        while heard.len() < 15 || !more_than_one(&heard) {
            let length = ears.recv(&mut buffer)?;
            heard.push(buffer[..length].to_vec());
        }
        Ok(heard)
    })?
}

/// A datagram that looks new and has a signature of something else.
fn forged(datagram: &[u8], sequence: u64) -> Vec<u8> {
    let mut forged = datagram.to_vec();
    forged[layout::SEQUENCE].copy_from_slice(&sequence.to_be_bytes());
    forged[layout::TERM].copy_from_slice(&u64::MAX.to_be_bytes());
    forged
}

/// Twenty thousand packets a second for ten seconds, from several ports: noise, and forgeries in the names of members
/// and of nobody. How many left, in which time.
fn flood(real: &[Vec<u8>]) -> Result<(u64, Duration)> {
    const BATCH: u64 = 200;
    const PERIOD: Duration = Duration::from_millis(10);
    let mouths: Vec<UdpSocket> =
        (0..8).map(|_| UdpSocket::bind(("192.168.77.23", 0))).collect::<std::io::Result<_>>()?;
    let begin = clock::now();
    let mut number = 0_u64;
    let mut next = begin;
    while clock::now().since(begin) < Duration::from_secs(10) {
        for _ in 0..BATCH {
            number += 1;
            let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            let pick = (noise[0] as usize) % real.len();
            let packet = match number % 4 {
                0 => noise.repeat(1 + usize::from(noise[1]) % 100),
                1 => real[pick].iter().zip(noise.iter().cycle()).map(|(byte, noise)| byte ^ noise).collect(),
                2 => forged(&real[pick], number + 1_000_000),
                _ => {
                    let mut forged = forged(&real[pick], number);
                    forged[layout::NODE].copy_from_slice(&[noise, noise].concat());
                    forged
                }
            };
            // A full queue is part of a flood.
            let _ = mouths[(noise[2] % 8) as usize].send_to(&packet, GROUP);
        }
        next = next + PERIOD;
        std::thread::sleep(next.since(clock::now()));
    }
    Ok((number, clock::now().since(begin)))
}
