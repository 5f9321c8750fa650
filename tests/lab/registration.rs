//! Two sites under one name: what a client on the internet hears from the main server when members and sites come and go,
//! addresses change and the server itself dies.

use std::time::Duration;

use anyhow::ensure;
use dns::record::Rtype;
use gatehouse::clock;

use crate::internet::{AT_ONCE, Home, Internet, START, ZONE, addresses, change_a, change_b, knocks, own, uplink};
use crate::lab;

/// The shortest lease that the configuration takes.
const SHORT: u32 = 10;
const LEASE: Duration = Duration::from_secs(10);
/// How often a command is run; see `cloud`.
const POLL: Duration = Duration::from_secs(15);
/// The longest pause of a member that cannot reach the server; see `cloud`.
const MAX_PAUSE: Duration = Duration::from_secs(30);

const A: &str = "203.0.113.1";
const B: [&str; 2] = ["203.0.113.2", "2001:db8:b::2"];

#[test]
fn only_sites_that_live_are_answered() {
    lab(|| {
        let mut internet = Internet::open(SHORT, A, &B)?;
        let (both, only_b) = (addresses(&[&[A], &B[..]].concat())?, addresses(&B)?);

        // A holder dies: its successor goes on with the site, and its own name leaves with its lease.
        let (holder, other) = internet.holder(Home::A)?;
        internet.kill(holder)?;
        internet.until_with(AT_ONCE, &both, "the successor tells the site", |internet| internet.has_told(other, A))?;
        internet.stays(LEASE + LEASE / 2, &both)?;
        internet.until_with(AT_ONCE, &both, "a dead member leaves", |internet| {
            Ok(internet.hears_of(holder)?.is_empty() && internet.hears_of(other)? == own(other)?)
        })?;

        // The whole site dies: the other one's addresses are all that is answered, until it is back.
        internet.kill(other)?;
        let gone = |internet: &Internet| Ok(internet.hears(ZONE)? == only_b && internet.hears_of(other)?.is_empty());
        internet.until_with(LEASE + AT_ONCE, &only_b, "a dead site leaves", gone)?;
        internet.stays(LEASE, &only_b)?;
        internet.start(holder)?;
        internet.until_with(START, &only_b, "the site is back", |internet| Ok(internet.hears(ZONE)? == both))
    });
}

#[test]
fn what_changes_is_answered_at_once() {
    lab(|| {
        // Nothing here is left to the end of a lease.
        let mut internet = Internet::open(3_600, A, &B)?;
        let both = addresses(&[&[A], &B[..]].concat())?;

        // A handover moves the duty, and nobody notices.
        let (before, after) = internet.holder(Home::A)?;
        internet.give_up(before)?;
        internet.until_with(AT_ONCE, &both, "the new holder tells the site", |internet| internet.has_told(after, A))?;
        ensure!(internet.holder(Home::A)? == (after, before), "it did not hand over");
        internet.until_with(AT_ONCE, &both, "the old holder tells its own name only", |internet| {
            let register = internet.register(before)?;
            Ok(register.good && register.told.iter().all(|entry| entry.name != ZONE))
        })?;

        // An interface gets other addresses; what a command says is known when it is asked next.
        change_b(&B, &["203.0.113.22", "2001:db8:b::22"])?;
        let changed = addresses(&[A, "203.0.113.22", "2001:db8:b::22"])?;
        let always = addresses(&[A])?;
        internet
            .until_with(AT_ONCE, &always, "b has other addresses", |internet| Ok(internet.hears(ZONE)? == changed))?;
        change_a("203.0.113.11")?;
        let always = addresses(&["203.0.113.22", "2001:db8:b::22"])?;
        let changed = addresses(&["203.0.113.11", "203.0.113.22", "2001:db8:b::22"])?;
        internet.until_with(POLL + AT_ONCE, &always, "a has another address", |internet| {
            Ok(internet.hears(ZONE)? == changed)
        })?;
        // Every member of a knows it, whoever will hold.
        std::thread::sleep(POLL);

        // A member ends in good order: its name goes at once, and the site's with the last member.
        internet.end(after)?;
        internet.until_with(AT_ONCE, &changed, "the name of a member that ended", |internet| {
            Ok(internet.hears_of(after)?.is_empty() && internet.has_told(before, "203.0.113.11")?)
        })?;
        ensure!(internet.hears_of(before)? == own(before)?, "another member's name went, too");
        internet.end(before)?;
        internet.until_with(AT_ONCE, &always, "the last member takes its site along", |internet| {
            Ok(internet.hears(ZONE)? == always && internet.hears_of(before)?.is_empty())
        })
    });
}

#[test]
fn a_main_server_that_dies_forgets_nothing_and_learns_what_it_missed() {
    lab(|| {
        let mut internet = Internet::open(120, A, &B)?;

        // What is confirmed is there after a crash, although nobody can say it again.
        change_b(&B, &["203.0.113.22"])?;
        let (holder, _) = internet.holder(Home::B)?;
        internet.until(AT_ONCE, "it is confirmed", |internet| {
            Ok(internet.register(holder)?.good && internet.has_told(holder, "203.0.113.22")?)
        })?;
        internet.kill_main()?;
        uplink(Home::A, "down")?;
        uplink(Home::B, "down")?;
        internet.start_main()?;
        ensure!(internet.hears(ZONE)? == addresses(&[A, "203.0.113.22"])?, "it forgot: {:?}", internet.hears(ZONE));
        for name in ["a1", "a2", "b1", "b2"] {
            ensure!(internet.hears_of(name)? == own(name)?, "it forgot {name}");
        }
        let serial = |internet: &Internet| internet.ask(ZONE, Rtype::SOA);
        let before = serial(&internet)?;
        internet.stays(Duration::from_secs(1), &addresses(&[A, "203.0.113.22"])?)?;
        ensure!(serial(&internet)? == before, "it changes although nobody can tell it anything");
        uplink(Home::A, "up")?;
        uplink(Home::B, "up")?;

        // While it is away nobody hammers it, and once it is back it learns what it missed.
        internet.kill_main()?;
        let (begin, knocked) = (clock::now(), knocks()?);
        change_b(&["203.0.113.22"], &["203.0.113.23"])?;
        internet.until(START, "the failure is shown", |internet| Ok(internet.register(holder)?.failing.is_some()))?;
        std::thread::sleep(Duration::from_secs(10));
        let (span, knocks) = (clock::now().since(begin), knocks()? - knocked);
        ensure!(knocks > 0, "nobody tried");
        ensure!(knocks <= 4 * (span.as_secs() + 1), "{knocks} datagrams of four members in {span:?}");
        internet.start_main()?;
        internet.until(MAX_PAUSE + START, "it learns what it missed", |internet| {
            Ok(internet.hears(ZONE)? == addresses(&[A, "203.0.113.23"])? && internet.register(holder)?.good)
        })
    });
}
