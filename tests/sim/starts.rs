//! Starts, strangers and preferences.

use std::time::Duration;

use gatehouse::election::{Prefer, Role, State, Timing};
use gatehouse::units::{Mac, Priority};

use super::faults::Fault;
use super::random;
use super::stories::{expect, holder, settled, takeovers};
use super::world::{Setup, World};

const STRANGER: Mac = Mac([6, 6, 6, 6, 6, 6]);

fn check(result: Result<(), String>) {
    if let Err(wrong) = result {
        panic!("{wrong}");
    }
}

/// From a start to the first answer on an empty LAN.
fn within(timing: &Timing) -> Duration {
    if timing.beacon <= Duration::from_millis(100) { Duration::from_millis(1_000) } else { timing.beacon * 10 }
}

#[test]
fn a_simultaneous_start_makes_one_holder() {
    for timing in [Timing::DEFAULT, Timing::FAST, Timing::QUIET] {
        for members in 1..=16 {
            let story = || {
                let setup = Setup::plain(u64::try_from(members).unwrap(), timing, members);
                let mut world = World::new(&setup);
                for node in 0..members {
                    world.apply(Fault::Start { node, forget: false });
                }
                let agreed = world.run_until_so(within(&timing), random::agreed)?;
                expect(&world, agreed, "everyone agrees soon after the start")?;
                random::settle(&mut world)?;
                expect(&world, takeovers(&world) == 1, "exactly one ever holds")?;
                expect(&world, world.check.overlapped.is_zero(), "two never answer")
            };
            check(story());
        }
    }
}

#[test]
fn observers_never_hold() {
    let mut setup = Setup::plain(1, Timing::DEFAULT, 4);
    setup.members.iter_mut().for_each(|member| member.role = Role::Observer);
    let story = || {
        let mut world = World::new(&setup);
        for node in 0..4 {
            world.apply(Fault::Start { node, forget: false });
        }
        world.run_for(Duration::from_secs(3))?;
        expect(&world, holder(&world) == usize::MAX && takeovers(&world) == 0, "nobody holds")
    };
    check(story());
}

#[test]
fn a_stranger_stops_every_claim_until_it_leaves() {
    for timing in [Timing::DEFAULT, Timing::FAST] {
        let story = || {
            let setup = Setup::plain(3, timing, 3);
            let mut world = World::new(&setup);
            world.apply(Fault::Stranger { mac: STRANGER, there: true });
            for node in 0..3 {
                world.apply(Fault::Start { node, forget: false });
            }
            world.run_for(Duration::from_secs(5))?;
            let conflict = world.nodes.iter().all(|node| node.state() == Some(State::Conflict));
            expect(&world, conflict && takeovers(&world) == 0, "everyone sees the conflict and nobody claims")?;
            world.apply(Fault::Stranger { mac: STRANGER, there: false });
            random::settle(&mut world)?;
            expect(&world, takeovers(&world) == 1, "one claims when the stranger has left")
        };
        check(story());
    }
}

#[test]
fn a_holder_stays_although_a_stranger_comes() {
    let story = || {
        let mut world = settled(&Setup::plain(4, Timing::DEFAULT, 3))?;
        let old = holder(&world);
        world.apply(Fault::Stranger { mac: STRANGER, there: true });
        world.run_for(Duration::from_secs(5))?;
        expect(&world, holder(&world) == old && takeovers(&world) == 0, "the holder stays")?;
        world.apply(Fault::Stranger { mac: STRANGER, there: false });
        random::settle(&mut world)
    };
    check(story());
}

#[test]
fn a_preferred_member_gets_the_address_after_its_delay() {
    for timing in [Timing::DEFAULT, Timing::FAST] {
        let story = || {
            let mut setup = Setup::plain(5, timing, 3);
            let delay = Duration::from_secs(2);
            setup.members.iter_mut().for_each(|member| member.prefer = Prefer::Priority { delay });
            setup.members[2].priority = Priority(200);
            let mut world = World::new(&setup);
            for node in 0..2 {
                world.apply(Fault::Start { node, forget: false });
            }
            world.run_for(Duration::from_secs(2))?;
            world.apply(Fault::Start { node: 2, forget: false });
            world.run_for(delay)?;
            expect(&world, holder(&world) < 2, "the preferred member waits for its delay")?;
            world.run_for(Duration::from_millis(1_500))?;
            expect(&world, holder(&world) == 2, "the preferred member holds")?;
            random::settle(&mut world)?;
            expect(&world, takeovers(&world) == 2, "it is handed over once")?;
            expect(&world, world.check.overlapped.is_zero(), "two never answer")
        };
        check(story());
    }
}

#[test]
fn members_that_come_and_go_quickly_change_nothing() {
    let story = || {
        let mut world = settled(&Setup::plain(6, Timing::DEFAULT, 7))?;
        let old = holder(&world);
        for round in 0..40 {
            let node = (old + 1 + round % 6) % 7;
            world.apply(if round % 3 == 0 { Fault::Stop(node) } else { Fault::Crash(node) });
            world.run_for(Duration::from_millis(30))?;
            world.apply(Fault::Start { node, forget: false });
            world.run_for(Duration::from_millis(70))?;
        }
        expect(&world, holder(&world) == old && takeovers(&world) == 0, "the holder never changes")?;
        random::settle(&mut world)
    };
    check(story());
}
