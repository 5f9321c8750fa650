//! What nodes know of each other's engines agrees with what there is, by whatever differences it was told.

use super::*;
use crate::random::Random;
use crate::units::NodeId;

fn engine(number: u64) -> Engine {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_be_bytes());
    let name = (!number.is_multiple_of(3)).then(|| format!("engine-{number}").parse().unwrap());
    Engine { id: EngineId(id), name, proof: Proof::Mac, key: [7; 32] }
}

fn told(local: &Local, foreign: &mut Foreign) -> Vec<News> {
    let difference = local.since(foreign.known());
    let read = Difference::decode(&difference.encode()).unwrap();
    assert_eq!(read, difference);
    let mut news = Vec::new();
    foreign.apply(read, &mut news).unwrap();
    assert_eq!(foreign.known(), local.known());
    assert_eq!(
        foreign.engines().map(|(handle, engine)| (handle, engine.clone())).collect::<Vec<_>>(),
        local.engines().map(|(handle, engine)| (handle, engine.clone())).collect::<Vec<_>>()
    );
    news
}

#[test]
fn what_is_told_is_what_there_is_whenever_it_is_told() {
    for seed in 0..20 {
        let (mut random, mut local, mut foreign) = (Random::new(seed), Local::new(1), Foreign::default());
        let (mut handles, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        for number in 0..400 {
            if random.draw() % 5 < 3 || handles.is_empty() {
                handles.push(local.learn(engine(number)).unwrap());
            } else {
                let place = (random.draw() % handles.len() as u64) as usize;
                assert!(local.forget(handles.swap_remove(place)));
            }
            if random.draw().is_multiple_of(10) {
                for news in told(&local, &mut foreign) {
                    match news {
                        News::Came(handle, engine) => assert!(seen.insert((handle, engine.id)), "came twice"),
                        News::Went(handle, engine) => assert!(seen.remove(&(handle, engine.id)), "never came"),
                    }
                }
                let there: std::collections::BTreeSet<_> =
                    foreign.engines().map(|(handle, engine)| (handle, engine.id)).collect();
                assert_eq!(seen, there);
            }
        }
    }
}

#[test]
fn who_comes_back_is_told_the_difference_and_who_was_away_too_long_everything() {
    let (mut local, mut foreign) = (Local::new(1), Foreign::default());
    let first = local.learn(engine(1)).unwrap();
    assert_eq!(told(&local, &mut foreign), [News::Came(first, engine(1))]);
    let second = local.learn(engine(2)).unwrap();
    assert_eq!(local.since(foreign.known()).changes, [Change::Learn(second, engine(2))]);
    assert_eq!(told(&local, &mut foreign), [News::Came(second, engine(2))]);
    for number in 0..MAX_CHANGES as u64 {
        let handle = local.learn(engine(10 + number)).unwrap();
        assert!(local.forget(handle));
    }
    assert_eq!(local.since(foreign.known()).from, 0);
    assert_eq!(told(&local, &mut foreign), [], "what was known and is told again is no news");
    let mut restarted = Local::new(2);
    restarted.learn(engine(1)).unwrap();
    restarted.learn(engine(5)).unwrap();
    assert_eq!(told(&restarted, &mut foreign), [News::Went(second, engine(2)), News::Came(second, engine(5))]);
}

#[test]
fn one_node_has_one_engine_of_an_id_or_name_and_not_too_many() {
    let mut local = Local::new(1);
    local.learn(engine(1)).unwrap();
    assert_eq!(local.learn(engine(1)), Err(TableError::Id));
    assert_eq!(local.learn(Engine { id: EngineId([9; 16]), ..engine(1) }), Err(TableError::Name));
    let nameless = |number| Engine { name: None, ..engine(number) };
    for number in 2..=MAX_ENGINES as u64 {
        local.learn(nameless(number)).unwrap();
    }
    assert_eq!(local.learn(nameless(0)), Err(TableError::Full));
    let burst = local.since(Known::default()).encode();
    assert!(burst.len() + MAX_ENGINES * 63 <= MAX_BURST);
    let gone = local.by_id(engine(7).id).unwrap();
    assert!(local.forget(gone) && !local.forget(gone));
    let next = local.learn(nameless(0)).unwrap();
    assert_eq!((slot(next), local.get(gone)), (slot(gone), None), "the next tenant is another");
    assert_ne!(next, gone);
}

#[test]
fn a_node_that_lies_of_its_engines_is_forgotten() {
    let mut known = Foreign::default();
    let mut local = Local::new(1);
    let first = local.learn(engine(1)).unwrap();
    told(&local, &mut known);
    let from = |from, changes| Difference { from, to: Known { incarnation: 1, version: 9 }, changes };
    let other = Handle(2);
    let lies = [
        (from(7, Vec::new()), TableError::Version),
        (Difference { to: Known { incarnation: 2, version: 9 }, ..from(1, Vec::new()) }, TableError::Version),
        (Difference { to: Known { incarnation: 0, version: 9 }, ..from(0, Vec::new()) }, TableError::Version),
        (from(10, Vec::new()), TableError::Version),
        (from(1, vec![Change::Forget(other)]), TableError::Malformed),
        (from(1, vec![Change::Learn(first, engine(2))]), TableError::Malformed),
        (from(1, vec![Change::Learn(Handle(0), engine(2))]), TableError::Malformed),
        (from(1, vec![Change::Learn(Handle(MAX_ENGINES as u32 + 1), engine(2))]), TableError::Malformed),
        (from(1, vec![Change::Learn(other, engine(1))]), TableError::Id),
    ];
    for (lie, error) in lies {
        let (mut foreign, mut news) = (known.clone(), Vec::new());
        assert_eq!(foreign.apply(lie.clone(), &mut news), Err(error), "{lie:?}");
        assert!(foreign.is_empty() && foreign.known() == Known::default());
        assert_eq!(news, [News::Went(first, engine(1))]);
    }
}

#[test]
fn no_other_octets_are_a_difference() {
    let mut local = Local::new(1);
    let gone = local.learn(engine(1)).unwrap();
    local.learn(engine(2)).unwrap();
    local.forget(gone);
    let octets = local.since(Known { incarnation: 1, version: 1 }).encode();
    assert!(Difference::decode(&octets).is_ok());
    for cut in 0..octets.len() {
        assert_eq!(Difference::decode(&octets[..cut]), Err(TableError::Malformed));
    }
    assert_eq!(Difference::decode(&[&octets[..], &[0]].concat()), Err(TableError::Malformed));
    let mut huge = octets[..24].to_vec();
    huge.extend_from_slice(&[0xff; 4]);
    assert_eq!(Difference::decode(&huge), Err(TableError::Malformed), "a count without changes");
    assert_eq!(Difference::decode(&vec![0; MAX_BURST + 1]), Err(TableError::Full));
}

#[test]
fn two_that_claim_one_name_are_told_apart_alike_everywhere() {
    let name: Name = "engine-1".parse().unwrap();
    let (low, high) = (NodeId([1; 16]), NodeId([2; 16]));
    let came = |handle| News::Came(Handle(handle), engine(1));
    let claims = [(None, came(1)), (Some(low), came(2)), (Some(high), came(3))];
    let places = [Place::Here(Handle(1)), Place::At(low, Handle(2)), Place::At(high, Handle(3))];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let mut directory = Directory::default();
        order.iter().for_each(|at| directory.apply(claims[*at].0, &claims[*at].1));
        assert_eq!(directory.claims(&name).collect::<Vec<_>>(), places);
        for (place, (node, came)) in places.into_iter().zip(&claims) {
            assert_eq!((directory.by_name(&name), directory.by_id(engine(1).id)), (Some(place), Some(place)));
            let News::Came(handle, engine) = came else { panic!("{came:?}") };
            directory.apply(*node, &News::Went(*handle, engine.clone()));
        }
        assert!(directory.is_empty() && directory.by_name(&name).is_none());
    }
}
