//! Single decisions of the registration machine.

use std::net::Ipv4Addr;

use super::*;

const LEASE: Duration = Duration::from_secs(120);

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, last))
}

fn machine() -> Machine {
    let settings = Settings { member: Some(name("a.test")), site: vec![name("test")], lease: LEASE };
    Machine::new(settings, BTreeSet::new(), at(0), 1)
}

fn at(seconds: u64) -> Time {
    Time::from_millis(1_000_000 + seconds * 1_000)
}

fn step(machine: &mut Machine, seconds: u64, input: Input) -> Vec<Effect> {
    let mut out = Vec::new();
    machine.step(at(seconds), input, &mut out);
    out
}

fn sent(effects: &[Effect]) -> Option<&Update> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send(update) => Some(update),
        _ => None,
    })
}

#[test]
fn a_standby_tells_its_own_address_only_and_a_holder_its_sites_too() {
    let mut machine = machine();
    assert!(step(&mut machine, 0, Input::Public([address(1)].into())).is_empty(), "nothing to tell before it holds");
    let effects = step(&mut machine, 0, Input::Addresses([address(9)].into()));
    let own = Change::Replace(name("a.test"), [address(9)].into());
    assert_eq!(sent(&effects).map(|update| update.changes.clone()), Some(vec![own.clone()]));
    let id = sent(&effects).unwrap().id;
    step(&mut machine, 0, Input::Answer(id, Answer::Done(Some(LEASE))));
    assert_eq!(machine.deadline(), Some(Deadline { at: at(60), why: Why::Refresh }));
    let effects = step(&mut machine, 10, Input::Holder(Holder::Me));
    let changes = sent(&effects).map(|update| update.changes.clone());
    assert_eq!(changes, Some(vec![own, Change::Add(name("test"), address(1))]));
    assert_eq!(effects[0], Effect::Keep([(name("test"), address(1))].into()), "kept before it is sent");
}

#[test]
fn a_lease_is_refreshed_at_half_of_what_was_granted() {
    let mut machine = machine();
    let effects = step(&mut machine, 0, Input::Addresses([address(9)].into()));
    let id = sent(&effects).unwrap().id;
    step(&mut machine, 1, Input::Answer(id, Answer::Done(Some(Duration::from_secs(30)))));
    assert_eq!(machine.deadline(), Some(Deadline { at: at(16), why: Why::Refresh }));
    assert!(step(&mut machine, 15, Input::Tick).is_empty());
    assert!(sent(&step(&mut machine, 16, Input::Tick)).is_some());
}

#[test]
fn a_successor_removes_what_the_holder_before_told() {
    let mut machine = machine();
    step(&mut machine, 0, Input::Holder(Holder::Other));
    step(&mut machine, 0, Input::Public([address(1)].into()));
    step(&mut machine, 100, Input::Holder(Holder::Me));
    let effects = step(&mut machine, 100, Input::Public([address(2)].into()));
    assert_eq!(sent(&effects), None, "an update is on its way");
    let changes = sent(&step(&mut machine, 102, Input::Tick)).map(|update| update.changes.clone());
    let wanted = vec![Change::Remove(name("test"), address(1)), Change::Add(name("test"), address(2))];
    assert_eq!(changes, Some(wanted));
}

#[test]
fn a_change_does_not_wait_for_the_pause_after_a_failure() {
    let mut machine = machine();
    let mut effects = step(&mut machine, 0, Input::Addresses([address(9)].into()));
    for _ in 0..8 {
        let id = sent(&effects).unwrap().id;
        let seconds = machine.pause.since(at(0)).as_secs() + 1;
        let told = step(&mut machine, seconds, Input::Answer(id, Answer::Refused("NOTAUTH".to_owned())));
        assert!(told.iter().all(|effect| !matches!(effect, Effect::Note(_))) || id == UpdateId(1), "said once");
        assert_eq!(machine.failing().map(|failure| failure.why.as_str()), Some("NOTAUTH"));
        effects = step(&mut machine, seconds + 60, Input::Tick);
    }
    let seconds = machine.pause.since(at(0)).as_secs() + 1;
    let id = sent(&effects).unwrap().id;
    step(&mut machine, seconds, Input::Answer(id, Answer::Refused("NOTAUTH".to_owned())));
    assert!(machine.deadline().unwrap().at > at(seconds + 5), "it pauses");
    assert!(sent(&step(&mut machine, seconds + 2, Input::Addresses([address(8)].into()))).is_some());
}

#[test]
fn another_failure_is_told_and_the_newest_one_is_shown() {
    let mut machine = machine();
    let mut effects = step(&mut machine, 0, Input::Addresses([address(9)].into()));
    let silent = |why: &str| (Answer::Silent(why.to_owned()), Failure { why: why.to_owned(), refused: false });
    let refused = (Answer::Refused("REFUSED".to_owned()), Failure { why: "REFUSED".to_owned(), refused: true });
    let mut seconds = 0;
    for (answer, failure) in [silent("unreachable"), silent("no answer"), refused] {
        let id = sent(&effects).unwrap().id;
        let told = step(&mut machine, seconds, Input::Answer(id, answer));
        assert_eq!(
            (&told[..], machine.failing()),
            (&[Effect::Note(Note::Failing(failure.clone()))][..], Some(&failure))
        );
        seconds += 60;
        effects = step(&mut machine, seconds, Input::Tick);
    }
    let id = sent(&effects).unwrap().id;
    let told = step(&mut machine, seconds, Input::Answer(id, Answer::Done(Some(LEASE))));
    assert!(matches!(told[..], [Effect::Note(Note::Registered { .. })]), "{told:?}");
    assert_eq!(machine.failing(), None);
}

#[test]
fn a_site_without_a_public_address_leaves_the_zone_and_is_not_told_again_and_again() {
    let settings = Settings { member: None, site: vec![name("test")], lease: LEASE };
    let mut machine = Machine::new(settings, BTreeSet::new(), at(0), 1);
    step(&mut machine, 0, Input::Holder(Holder::Me));
    assert_eq!(step(&mut machine, 0, Input::Public(BTreeSet::new())), [], "nothing is there, and nothing shall be");
    assert!(machine.deadline().unwrap().at > at(30), "it does not spin");
    let effects = step(&mut machine, 1, Input::Public([address(1)].into()));
    let id = sent(&effects).unwrap().id;
    step(&mut machine, 1, Input::Answer(id, Answer::Done(Some(LEASE))));
    let effects = step(&mut machine, 9, Input::Public(BTreeSet::new()));
    let removed = vec![Change::Remove(name("test"), address(1))];
    assert_eq!(sent(&effects).map(|update| update.changes.clone()), Some(removed));
    let id = sent(&effects).unwrap().id;
    step(&mut machine, 9, Input::Answer(id, Answer::Done(Some(LEASE))));
    assert_eq!(machine.told(), Some(&BTreeSet::new()));
    for minute in 1..10 {
        step(&mut machine, minute * 60, Input::Tick);
        let answer = Input::Answer(UpdateId(machine.next.0 - 1), Answer::Done(Some(LEASE)));
        step(&mut machine, minute * 60, answer);
        assert!(machine.deadline().unwrap().at > at(minute * 60), "it does not spin");
    }
    assert_eq!(step(&mut machine, 700, Input::Tick), [], "its lease has long ended");
}

#[test]
fn the_end_removes_the_site_only_if_nobody_took_it_over() {
    for (last, removes) in [(Holder::Nobody, true), (Holder::Other, false)] {
        let mut machine = machine();
        step(&mut machine, 0, Input::Addresses([address(9)].into()));
        step(&mut machine, 0, Input::Answer(UpdateId(1), Answer::Done(Some(LEASE))));
        step(&mut machine, 5, Input::Holder(Holder::Me));
        let effects = step(&mut machine, 5, Input::Public([address(1)].into()));
        let id = sent(&effects).unwrap().id;
        step(&mut machine, 5, Input::Answer(id, Answer::Done(Some(LEASE))));
        step(&mut machine, 5, Input::Holder(last));
        step(&mut machine, 7, Input::Tick);
        let id = UpdateId(machine.next.0 - 1);
        step(&mut machine, 7, Input::Answer(id, Answer::Done(Some(LEASE))));
        let effects = step(&mut machine, 9, Input::Stop);
        let changes = &sent(&effects).unwrap().changes;
        assert_eq!(changes[0], Change::Replace(name("a.test"), BTreeSet::new()));
        assert_eq!(changes.contains(&Change::Remove(name("test"), address(1))), removes);
        let id = sent(&effects).unwrap().id;
        assert_eq!(step(&mut machine, 9, Input::Answer(id, Answer::Done(Some(LEASE)))), [Effect::Done]);
    }
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let mut machine = machine();
    step(&mut machine, 0, Input::Addresses([address(9)].into()));
    assert_eq!(step(&mut machine, 0, Input::Stop), [], "the first update may still arrive");
    assert!(sent(&step(&mut machine, 1, Input::Tick)).is_some());
    assert_eq!(step(&mut machine, 2, Input::Tick), [Effect::Done]);
    let mut silent = self::machine();
    assert_eq!(step(&mut silent, 0, Input::Stop), [Effect::Done], "nothing was ever told");
}
