//! Random schedules of faults: which kinds, when, on whom and for how long.

use std::time::Duration;

use gatehouse::election::Role;
use gatehouse::units::{Health, Mac, Priority, Time};

use super::faults::{Fault, HOLDER, SUCCESSOR, Schedule};
use super::rng::Rng;
use super::world::Setup;

/// A kind of trouble that a random run may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Crash,
    Freeze,
    FreezeAtBeacon,
    Stall,
    Pause,
    Cut,
    Split,
    OneWay,
    Loss,
    Duplicate,
    Reorder,
    Delay,
    Failing,
    Health,
    GiveUp,
    Stop,
    Reload,
    Rerole,
    Retime,
    Flush,
    Stranger,
}

const KINDS: [Kind; 21] = [
    Kind::Crash,
    Kind::Freeze,
    Kind::FreezeAtBeacon,
    Kind::Stall,
    Kind::Pause,
    Kind::Cut,
    Kind::Split,
    Kind::OneWay,
    Kind::Loss,
    Kind::Duplicate,
    Kind::Reorder,
    Kind::Delay,
    Kind::Failing,
    Kind::Health,
    Kind::GiveUp,
    Kind::Stop,
    Kind::Reload,
    Kind::Rerole,
    Kind::Retime,
    Kind::Flush,
    Kind::Stranger,
];

/// A random schedule of one to four kinds of trouble from `from` to `to`.
pub fn random(rng: &mut Rng, setup: &Setup, (from, to): (Time, Time)) -> Schedule {
    let kinds: Vec<Kind> = (0..=rng.below(4)).map(|_| rng.pick(&KINDS)).collect();
    let mut schedule = Vec::new();
    for _ in 0..=rng.below(8) {
        let kind = rng.pick(&kinds);
        let at = from + rng.span(Duration::ZERO, to.since(from));
        // Spans around the timing's own are the interesting ones.
        let short = rng.span(Duration::from_millis(1), setup.timing.takeover * 3);
        let long = rng.span(setup.timing.takeover, to.since(from) / 2);
        let span = if rng.chance(500) { short } else { long };
        schedule.push((at, Fault::Mark));
        trouble(rng, setup, (kind, at, span), &mut schedule);
        // Bad luck seldom comes alone.
        if rng.chance(300) {
            let soon = at + rng.span(Duration::ZERO, setup.timing.question * 4);
            let another = rng.pick(&kinds);
            trouble(rng, setup, (another, soon, span), &mut schedule);
        }
    }
    schedule.retain(|(at, _)| *at < to);
    schedule.sort_by_key(|(at, _)| *at);
    schedule
}

fn trouble(rng: &mut Rng, setup: &Setup, (kind, at, span): (Kind, Time, Duration), schedule: &mut Schedule) {
    let nodes = setup.members.len();
    let node = if rng.chance(500) { rng.pick(&[HOLDER, SUCCESSOR]) } else { rng.below(nodes) };
    let end = at + span;
    let (first, last) = match kind {
        Kind::Crash => (Fault::Crash(node), Some(Fault::Start { node, forget: rng.chance(200) })),
        Kind::Freeze => (Fault::Freeze(node), Some(Fault::Thaw(node))),
        Kind::FreezeAtBeacon => (Fault::FreezeAtBeacon(node), Some(Fault::Thaw(node))),
        Kind::Stall => {
            let stall = rng.span(setup.timing.question, setup.timing.beacon * 5);
            schedule.push((at + stall, Fault::Thaw(node)));
            (Fault::Freeze(node), None)
        }
        Kind::Pause => {
            let (clock_stops, deaf) = (rng.chance(500), rng.chance(500));
            (Fault::Pause { node, clock_stops, deaf }, Some(Fault::Resume(node)))
        }
        Kind::Cut => (Fault::Link { node, up: false }, Some(Fault::Link { node, up: true })),
        Kind::Split => (Fault::Split(rng.bits()), Some(Fault::Join)),
        Kind::OneWay => {
            let to = rng.below(nodes);
            let block = |blocked| Fault::Block { from: node, to, blocked };
            (block(true), Some(block(false)))
        }
        Kind::Loss => {
            let permille = rng.pick(&[10, 50, 200, 500]);
            (Fault::Loss(permille), Some(Fault::Loss(0)))
        }
        Kind::Duplicate => (Fault::Duplicate(300), Some(Fault::Duplicate(0))),
        Kind::Reorder => (Fault::Reorder(true), Some(Fault::Reorder(false))),
        Kind::Delay => (Fault::Delay(setup.timing.lease), Some(Fault::Delay(Duration::ZERO))),
        Kind::Failing => {
            let permille = rng.pick(&[20, 100, 300]);
            (Fault::Failing(permille), Some(Fault::Failing(0)))
        }
        Kind::Health => {
            let health = rng.pick(&[Health::NONE, Health(50), Health(99)]);
            (Fault::Health(node, health), Some(Fault::Health(node, Health::FULL)))
        }
        Kind::GiveUp => (Fault::GiveUp(node), None),
        Kind::Stop => (Fault::Stop(node), Some(Fault::Start { node, forget: false })),
        Kind::Reload => (Fault::Reload(node, Priority(rng.pick(&[1, 100, 200]))), None),
        Kind::Rerole => (Fault::Rerole(node, Role::Observer), Some(Fault::Rerole(node, Role::Candidate))),
        Kind::Retime => (Fault::Retime(node, rng.pick(&[2, 3])), Some(Fault::Retime(node, 1))),
        Kind::Flush => (Fault::Flush(node), None),
        Kind::Stranger => {
            let mac = Mac([6, 6, 6, 6, 6, 6]);
            (Fault::Stranger { mac, there: true }, Some(Fault::Stranger { mac, there: false }))
        }
    };
    schedule.push((at, first));
    schedule.extend(last.map(|fault| (end, fault)));
}
