//! What is asked when, and what is lent.

use super::*;

const NOW: u64 = 1_800_000_000;

fn target() -> Name {
    "dyna.example.net".parse().expect("a name")
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

fn targets() -> Targets {
    let mut targets = Targets::default();
    assert_eq!(set(&mut targets, [target()]), []);
    targets
}

fn set<const N: usize>(targets: &mut Targets, wanted: [Name; N]) -> Vec<Effect> {
    let mut effects = Vec::new();
    targets.set(wanted, &mut effects);
    effects
}

fn tick(targets: &mut Targets, now: u64) -> Vec<Effect> {
    let mut effects = Vec::new();
    targets.tick(now, &mut effects);
    effects
}

fn answer(targets: &mut Targets, now: u64, answer: Answer) -> Vec<Effect> {
    let mut effects = Vec::new();
    targets.answered(now, &target(), Family::V4, answer, &mut effects);
    effects
}

fn loan(addresses: &[u8], until: u64) -> Effect {
    let addresses = addresses.iter().copied().map(address).collect();
    Effect::Lend(Loan { target: target(), family: Family::V4, addresses, until })
}

#[test]
fn each_family_is_asked_once_and_again_when_it_gets_old() {
    let mut targets = targets();
    assert_eq!(tick(&mut targets, NOW), Family::ALL.map(|family| Effect::Ask(target(), family)));
    assert_eq!(tick(&mut targets, NOW + 100), [], "still asked");
    assert_eq!(targets.deadline(), None);
    let effects = answer(&mut targets, NOW, Answer::Addresses(vec![address(2), address(1), address(2)], 60));
    assert_eq!(effects, [loan(&[1, 2], NOW + 60)]);
    assert_eq!(targets.deadline(), Some(NOW + 60));
    assert_eq!(tick(&mut targets, NOW + 59), []);
    assert_eq!(tick(&mut targets, NOW + 60), [Effect::Ask(target(), Family::V4)]);
}

#[test]
fn the_last_good_answer_stays_while_nobody_answers() {
    let mut targets = targets();
    tick(&mut targets, NOW);
    answer(&mut targets, NOW, Answer::Addresses(vec![address(1)], 10));
    let mut waits = Vec::new();
    let mut now = NOW + 10;
    for round in 0..9 {
        tick(&mut targets, now);
        let warned = answer(&mut targets, now, Answer::Failed);
        assert_eq!(warned.len(), usize::from(round == 0), "{warned:?}");
        let next = targets.deadline().expect("asks again");
        waits.push(next - now);
        now = next;
    }
    assert_eq!(waits, [2, 4, 8, 16, 32, 64, 120, 120, 120]);
    assert_eq!(set(&mut targets, [target()]), [loan(&[1], NOW + 10)], "what is lent stays");
    tick(&mut targets, now);
    assert_eq!(answer(&mut targets, now, Answer::Addresses(vec![address(7)], 10)), [loan(&[7], now + 10)]);
}

#[test]
fn a_target_that_is_gone_lends_for_a_day_and_one_without_addresses_nothing() {
    let mut targets = targets();
    tick(&mut targets, NOW);
    answer(&mut targets, NOW, Answer::Addresses(vec![address(1)], 10));
    assert_eq!(answer(&mut targets, NOW + 10, Answer::Gone), [Effect::Warn(target(), Family::V4)]);
    assert_eq!(answer(&mut targets, NOW + KEEP, Answer::Gone), []);
    assert_eq!(answer(&mut targets, NOW + 10 + KEEP, Answer::Gone)[0], loan(&[], NOW + 10 + KEEP));
    assert_eq!(
        answer(&mut targets, NOW + 20 + KEEP, Answer::Addresses(vec![address(1)], 0))[0],
        loan(&[1], NOW + 20 + KEEP)
    );
    assert_eq!(answer(&mut targets, NOW + 30 + KEEP, Answer::Empty(30)), [loan(&[], NOW + 60 + KEEP)]);
}

#[test]
fn other_targets_are_forgotten_and_the_same_are_lent_again() {
    let mut targets = targets();
    tick(&mut targets, NOW);
    answer(&mut targets, NOW, Answer::Addresses(vec![address(1)], 10));
    let other: Name = "other.example".parse().expect("a name");
    // There may be a new alias of the target that is known.
    assert_eq!(set(&mut targets, [target(), other.clone()]), [loan(&[1], NOW + 10)]);
    assert_eq!(tick(&mut targets, NOW), Family::ALL.map(|family| Effect::Ask(other.clone(), family)));
    assert_eq!(set(&mut targets, [other]), []);
    assert_eq!(answer(&mut targets, NOW, Answer::Addresses(vec![address(1)], 10)), [], "nobody wants to know any more");
}
