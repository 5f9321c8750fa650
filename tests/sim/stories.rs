//! What may happen to a holder, one story each, in both profiles and with 2, 3, 5 and 16 members.
//!
//! A story begins with a settled site and ends with peace. The bounds are the timing's own: T after the last beacon
//! the first successor acts; what tests may add is the LAN's latency and a daemon's slack.

use std::time::Duration;

use gatehouse::election::{Note, State, Timing};
use gatehouse::units::Health;

use super::faults::Fault;
use super::mutants::Mutant;
use super::random;
use super::world::{Setup, World};

/// A story told to a settled world.
pub type Story = fn(&mut World) -> Result<(), String>;

/// Stories that catch mistakes which random runs cannot tell from bad luck.
pub const REVEALING: [Story; 5] = [lost_beacons, partition, blackhole_heals, longer_lease, refused_lease];

const MEMBERS: [usize; 4] = [2, 3, 5, 16];

/// Tells a story in both profiles, to sites of several sizes.
///
/// # Errors
/// The first failure.
pub fn tell(story: Story, mutant: Option<Mutant>) -> Result<(), String> {
    for timing in [Timing::DEFAULT, Timing::FAST] {
        for members in MEMBERS {
            for seed in 0..3 {
                let mut setup = Setup::plain(seed, timing, members);
                setup.mutant = mutant;
                let mut world = settled(&setup)?;
                let phase = world.rng.span(Duration::ZERO, timing.beacon);
                world.run_for(phase)?;
                story(&mut world).map_err(|wrong| format!("{members} members, B = {:?}: {wrong}", timing.beacon))?;
            }
        }
    }
    Ok(())
}

/// A site that has come to rest.
///
/// # Errors
/// When it does not.
pub fn settled(setup: &Setup) -> Result<World, String> {
    let mut world = World::new(setup);
    for node in 0..setup.members.len() {
        world.apply(Fault::Start { node, forget: false });
    }
    random::settle(&mut world)?;
    world.check.notes.clear();
    Ok(world)
}

/// Who answers for the address.
pub fn holder(world: &World) -> usize {
    (0..world.nodes.len()).find(|node| world.nodes[*node].kernel.answers(world.now)).unwrap_or(usize::MAX)
}

/// The longest time that nobody answers, to a tenth of a millisecond.
///
/// # Errors
/// A violation of safety meanwhile.
pub fn longest_silence(world: &mut World, span: Duration) -> Result<Duration, String> {
    let (end, sample) = (world.now + span, Duration::from_micros(100));
    let (mut longest, mut present) = (Duration::ZERO, Duration::ZERO);
    while world.now < end {
        world.run_for(sample)?;
        present = if holder(world) == usize::MAX { present + sample } else { Duration::ZERO };
        longest = longest.max(present);
    }
    Ok(longest)
}

/// How often somebody took over.
pub fn takeovers(world: &World) -> usize {
    world.check.notes.iter().filter(|(_, _, note)| matches!(note, Note::Takeover { .. })).count()
}

/// Fails with the last steps unless `is`.
///
/// # Errors
/// What should have been.
pub fn expect(world: &World, is: bool, what: &str) -> Result<(), String> {
    if is { Ok(()) } else { Err(world.report(&format!("expected that {what}: {}", random::views(world)))) }
}

fn expect_silence(world: &mut World, most: Duration) -> Result<(), String> {
    let span = world.timing.takeover * 3;
    let silence = longest_silence(world, span)?;
    println!("{} members, B = {:?}: nobody answers for {silence:?}", world.nodes.len(), world.timing.beacon);
    expect(world, silence <= most, &format!("nobody answers for at most {most:?}, not {silence:?}"))?;
    expect(world, takeovers(world) == 1, "exactly one takes over")
}

/// What latency and a daemon's work may add to a bound.
fn slack(world: &World) -> Duration {
    world.net.slowest * 2 + world.timing.question / 2 + Duration::from_millis(1)
}

/// The old kernel answers for the rest of its lease, and whoever hears that waits for one question more.
fn after_a_lease(world: &World) -> Duration {
    world.timing.takeover - world.timing.lease + world.timing.question + slack(world)
}

fn kill(world: &mut World) -> Result<(), String> {
    let old = holder(world);
    world.apply(Fault::Crash(old));
    let most = after_a_lease(world);
    expect_silence(world, most)?;
    world.apply(Fault::Start { node: old, forget: true });
    random::settle(world)?;
    expect(world, holder(world) != old && takeovers(world) == 1, "the new holder keeps it")?;
    expect(world, world.check.overlapped.is_zero(), "two never answer")
}

fn freeze_and_back(world: &mut World) -> Result<(), String> {
    let old = holder(world);
    world.apply(Fault::Freeze(old));
    let most = after_a_lease(world);
    expect_silence(world, most)?;
    world.run_for(Duration::from_secs(5))?;
    let new = holder(world);
    world.apply(Fault::Thaw(old));
    let silence = longest_silence(world, world.timing.takeover * 3)?;
    expect(world, silence.is_zero() && holder(world) == new, "nothing is seen of the old holder's return")?;
    random::settle(world)?;
    expect(world, takeovers(world) == 1 && world.check.overlapped.is_zero(), "one takes over, and two never answer")
}

fn cut(world: &mut World) -> Result<(), String> {
    let old = holder(world);
    world.apply(Fault::Link { node: old, up: false });
    let most = world.timing.takeover + slack(world);
    expect_silence(world, most)?;
    world.apply(Fault::Link { node: old, up: true });
    random::settle(world)?;
    expect(world, holder(world) != old && takeovers(world) == 1, "the new holder keeps it")?;
    expect(world, world.check.overlapped.is_zero(), "two never answer")
}

fn blackhole_heals(world: &mut World) -> Result<(), String> {
    let old = holder(world);
    world.apply(Fault::Split(1 << old));
    world.run_for(world.timing.takeover * 5)?;
    let new = (0..world.nodes.len()).find(|node| *node != old && world.nodes[*node].kernel.answers(world.now));
    let new = new.unwrap_or(old);
    // The gateway hears both, and the old holder last.
    world.announce(old);
    world.apply(Fault::Join);
    let silence = longest_silence(world, world.timing.takeover * 3)?;
    expect(world, silence.is_zero(), "somebody answers all the time")?;
    expect(world, new != old && holder(world) == new, "the newer term stays")?;
    random::settle(world)?;
    expect(world, takeovers(world) == 1, "exactly one takes over")
}

fn partition(world: &mut World) -> Result<(), String> {
    // The holder and half of the others on one side, as 2+3 is of 5.
    let old = holder(world);
    let others = (0..world.nodes.len()).filter(|node| *node != old);
    let away: Vec<usize> = others.take(world.nodes.len().div_ceil(2)).collect();
    world.apply(Fault::Split(away.iter().fold(0, |mask, node| mask | 1 << node)));
    world.run_for(world.timing.takeover * 5)?;
    let new = away.iter().copied().find(|node| world.nodes[*node].kernel.answers(world.now));
    world.apply(Fault::Join);
    world.run_for(world.timing.takeover * 3)?;
    expect(world, new == Some(holder(world)), "the newer term stays")?;
    random::settle(world)?;
    expect(world, takeovers(world) == 1, "exactly one takes over")
}

fn sigterm(world: &mut World) -> Result<(), String> {
    let old = holder(world);
    world.apply(Fault::Stop(old));
    expect_silence(world, slack(world))?;
    expect(world, world.nodes[old].daemon.is_none(), "the old daemon has ended")?;
    random::settle(world)?;
    expect(world, world.check.overlapped.is_zero(), "two never answer")
}

fn give_up(world: &mut World) -> Result<(), String> {
    let old = holder(world);
    world.apply(Fault::GiveUp(old));
    expect_silence(world, slack(world))?;
    random::settle(world)?;
    expect(world, world.nodes[old].state() == Some(State::Standby), "the old holder stays as a standby")?;
    expect(world, world.check.overlapped.is_zero(), "two never answer")
}

fn unhealthy(world: &mut World) -> Result<(), String> {
    let old = holder(world);
    world.apply(Fault::Health(old, Health(50)));
    expect_silence(world, slack(world))?;
    expect(world, holder(world) != old, "a healthier member holds")?;
    world.apply(Fault::Health(old, Health::FULL));
    random::settle(world)?;
    expect(world, takeovers(world) == 1 && world.check.overlapped.is_zero(), "it stays where it is")
}

/// A live holder is asked before anybody takes over, so two lost beacons in a row mean nothing.
fn lost_beacons(world: &mut World) -> Result<(), String> {
    for lost in 1..3 {
        // Each goes to the group and to the first successor.
        let enough = world.check.sent.0 + lost * 2;
        world.net.deaf_to_beacons = true;
        world.run_until_so(world.timing.beacon * 4, |world| world.check.sent.0 >= enough)?;
        world.net.deaf_to_beacons = false;
        world.run_for(world.timing.beacon * 5)?;
        expect(world, takeovers(world) == 0, "nobody takes over from a holder that answers")?;
    }
    random::settle(world)
}

fn stalls(world: &mut World) -> Result<(), String> {
    for millis in [100, 180, 190, 250, 500] {
        for stalled in [holder(world), (holder(world) + 1) % world.nodes.len()] {
            world.check.notes.clear();
            let old = holder(world);
            world.apply(Fault::Freeze(stalled));
            world.run_for(Duration::from_millis(millis))?;
            world.apply(Fault::Thaw(stalled));
            world.run_for(world.timing.takeover * 4)?;
            let most = usize::from(stalled == old);
            expect(
                world,
                takeovers(world) <= most,
                "a stall costs one takeover at most, and none if a standby stalls",
            )?;
            expect(world, random::agreed(world), "everyone agrees after a stall")?;
        }
    }
    random::settle(world)?;
    expect(world, world.check.overlapped.is_zero(), "two never answer")
}

fn flush(world: &mut World) -> Result<(), String> {
    let old = holder(world);
    world.apply(Fault::Flush(old));
    let silence = longest_silence(world, world.timing.takeover * 3)?;
    expect(world, silence <= Duration::from_millis(1), "the gate is open again at once")?;
    expect(world, takeovers(world) == 0 && holder(world) == old, "the holder keeps it")?;
    random::settle(world)
}

/// A longer lease is granted once it was announced: for whoever lost the first announcements, and hears no kernel
/// answer, the gate is open for no longer than what was lost before the holder was asked explains.
fn longer_lease(world: &mut World) -> Result<(), String> {
    for lost in 0..4 {
        world.check.notes.clear();
        let old = holder(world);
        world.apply(Fault::Retime(old, 3));
        let (enough, before) = (world.check.sent.0 + lost * 2, world.check.overlapped);
        (world.net.deaf_to_beacons, world.net.deaf_to_answers) = (true, true);
        world.run_until_so(world.timing.beacon * 5, |world| world.check.sent.0 >= enough)?;
        world.apply(Fault::Freeze(old));
        world.net.deaf_to_beacons = false;
        world.run_for(world.timing.takeover * 6)?;
        world.net.deaf_to_answers = false;
        expect(world, takeovers(world) == 1, "another one holds")?;
        let both = world.check.overlapped - before;
        let most = world.timing.suspect;
        expect(world, both <= most, &format!("two answer for {most:?} at most, not {both:?}"))?;
        world.apply(Fault::Thaw(old));
        world.apply(Fault::Retime(old, 1));
        random::settle(world)?;
    }
    // Announced, granted, and taken back, and nobody notices.
    let old = holder(world);
    for slower in [3, 1] {
        world.apply(Fault::Retime(old, slower));
        let silence = longest_silence(world, world.timing.takeover * 6)?;
        let lease = world.timing.lease * slower;
        expect(world, silence.is_zero() && world.nodes[old].kernel.lease == lease, "the gate stays open")?;
    }
    expect(world, holder(world) == old, "the holder stays")
}

/// A shorter lease that the kernel refuses at first is named when it is granted, and the gate stays open.
fn refused_lease(world: &mut World) -> Result<(), String> {
    let old = holder(world);
    world.apply(Fault::Retime(old, 3));
    world.run_for(world.timing.takeover * 6)?;
    world.apply(Fault::Failing(1_000));
    world.apply(Fault::Retime(old, 1));
    world.apply(Fault::Failing(0));
    let lease = world.timing.lease;
    expect(world, world.nodes[old].kernel.lease == lease * 3, "it was refused")?;
    let silence = longest_silence(world, Duration::from_secs(2))?;
    expect(world, silence.is_zero() && holder(world) == old, "nobody notices")?;
    expect(world, world.nodes[old].kernel.lease == lease, "it was asked for again")
}

macro_rules! stories {
    ($($name:ident: $story:ident,)*) => {
        $(#[test]
        fn $name() {
            if let Err(wrong) = tell($story, None) {
                panic!("{wrong}");
            }
        })*
    };
}

stories! {
    a_killed_holder_is_replaced_when_its_lease_has_run_out: kill,
    a_frozen_holder_comes_back_as_a_standby: freeze_and_back,
    a_cut_holder_lets_go_and_is_replaced: cut,
    after_a_blackhole_the_newer_term_stays: blackhole_heals,
    after_a_partition_the_newer_term_stays: partition,
    a_stopped_holder_hands_over: sigterm,
    a_holder_gives_up: give_up,
    an_unhealthy_holder_hands_over: unhealthy,
    lost_beacons_alone_mean_nothing: lost_beacons,
    stalls_do_not_make_the_address_flap: stalls,
    a_flushed_fence_is_nobodys_chance: flush,
    a_longer_lease_is_announced_before_it_is_granted: longer_lease,
    a_lease_that_is_refused_is_not_named: refused_lease,
}
