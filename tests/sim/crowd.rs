//! A thousand members on one LAN: how much they say, and that a takeover works as among two.

use std::time::Duration;

use gatehouse::election::Timing;

use super::faults::Fault;
use super::network::Network;
use super::random;
use super::stories::{expect, holder, longest_silence, takeovers};
use super::world::{Setup, What, World};

const MEMBERS: usize = 1_000;
/// Members that come at once; each says twice at most that it is there before the group's pace is found.
const STORM: usize = 300;

/// Datagrams that are no beacons, per second, over a span.
fn quiet_rate(world: &mut World, span: Duration) -> Result<f64, String> {
    let before = world.check.sent.1;
    world.run_for(span)?;
    Ok((world.check.sent.1 - before) as f64 / span.as_secs_f64())
}

/// Everybody starts within `spread`, the first one first.
fn crowd(members: usize, spread: Duration) -> World {
    let mut setup = Setup::plain(7, Timing::DEFAULT, members);
    setup.log = false;
    let mut world = World::new(&setup);
    world.net = Network::new(members, world.net.fastest, world.net.slowest);
    world.apply(Fault::Start { node: 0, forget: false });
    for node in 1..members {
        let at = world.now + world.rng.span(Duration::ZERO, spread);
        world.at(at, What::Fault(Fault::Start { node, forget: false }));
    }
    world
}

#[test]
fn a_thousand_members_are_quiet_and_take_over_like_two() {
    let story = || {
        let mut world = crowd(MEMBERS, Duration::from_millis(500));
        world.run_for(Duration::from_secs(4))?;
        expect(&world, random::agreed(&world), "everyone agrees")?;
        let rate = quiet_rate(&mut world, Duration::from_secs(3))?;
        println!("{MEMBERS} members: {rate:.1} datagrams/s besides the beacons");
        expect(&world, rate <= 20.0, &format!("at most 20 datagrams/s besides the beacons, not {rate}"))?;
        world.check.notes.clear();
        let old = holder(&world);
        world.apply(Fault::Crash(old));
        let span = world.timing.takeover * 2;
        let silence = longest_silence(&mut world, span)?;
        println!("{MEMBERS} members: {} steps, {silence:?} of silence when the holder is killed", world.steps);
        expect(&world, takeovers(&world) == 1 && silence < world.timing.question * 4, "one takes over in time")?;
        expect(&world, world.check.overlapped.is_zero(), "two never answer")
    };
    if let Err(wrong) = story() {
        panic!("{}", wrong.chars().take(2_000).collect::<String>());
    }
}

#[test]
fn a_storm_of_joins_is_bounded() {
    let story = || {
        let mut world = crowd(STORM, Duration::from_millis(500));
        world.run_for(Duration::from_secs(2))?;
        let said = world.check.sent.1;
        println!("{STORM} members at once: {said} datagrams in two seconds besides the beacons");
        let most = u64::try_from(STORM).unwrap() * 8;
        expect(&world, said <= most, &format!("at most eight datagrams a member, not {said}"))?;
        world.run_for(Duration::from_secs(1))?;
        expect(&world, random::agreed(&world), "everyone agrees")?;
        let rate = quiet_rate(&mut world, Duration::from_secs(2))?;
        println!("{STORM} members at once: then {rate:.1} datagrams/s");
        expect(&world, rate <= 60.0, &format!("the storm has passed, not {rate} datagrams/s"))
    };
    if let Err(wrong) = story() {
        panic!("{}", wrong.chars().take(2_000).collect::<String>());
    }
}
