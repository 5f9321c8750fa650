//! Updates against a model: random sequences of updates, as the octets that an independent encoder makes of them, judged
//! by the crate and by a simple model of RFC 2136. Both must give the same answers and end with the same records.
//!
//! `UPDATE_SEQUENCES=n` runs more sequences, `UPDATE_SEED=n` one of them. A failure prints the seed and the shortest
//! sequence found that still fails. `mutants.rs` shows that the comparison bites.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod encode;
mod model;
mod mutants;
mod mutated;
mod random;
mod rng;
mod subject;

use random::{Sequence, Step};

/// Sequences of one run.
const SEQUENCES: u64 = 10_000;

#[test]
fn the_server_agrees_with_the_model() {
    let (first, count) = match wanted("UPDATE_SEED") {
        Some(seed) => (seed, 1),
        None => (0, wanted("UPDATE_SEQUENCES").unwrap_or(SEQUENCES)),
    };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for seed in (first + thread..first + count).step_by(threads as usize) {
                    if let Err(why) = run(&Sequence::random(seed), None) {
                        fail(seed, &why);
                    }
                }
            });
        }
    });
}

/// Every rcode and every kind of end is reached: a generator that lost one would prove less.
#[test]
fn the_sequences_reach_everything() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..500 {
        let sequence = Sequence::random(seed);
        let mut model = model::Model::new(&sequence);
        for step in &sequence.steps {
            seen.insert(model.step(step).rcode);
        }
        if model.leases().next().is_some() {
            seen.insert(u16::MAX);
        }
    }
    let all = [0, 1, 3, 5, 6, 7, 8, 9, 10, u16::MAX];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), all);
}

/// Runs a sequence on both; why they differ, if they do.
fn run(sequence: &Sequence, mutant: Option<mutants::Mutant>) -> Result<(), String> {
    let mut model = model::Model::new(sequence);
    let mut subject = subject::Subject::new(sequence, mutant);
    subject.compare(&model)?;
    for (index, step) in sequence.steps.iter().enumerate() {
        let (expected, found) = (model.step(step), subject.step(step));
        if expected != found {
            return Err(format!("step {index}: the model answers {expected:?}, the server {found:?}"));
        }
        subject.compare(&model).map_err(|why| format!("after step {index}: {why}"))?;
    }
    Ok(())
}

fn fail(seed: u64, why: &str) -> ! {
    let shrunk = shrink(Sequence::random(seed));
    let last = run(&shrunk, None).err().unwrap_or_default();
    panic!("seed {seed}: {why}\nshrunk to: {last}\n{shrunk:#?}\n");
}

/// Leaves out steps, and records of steps, as long as it still fails.
fn shrink(mut sequence: Sequence) -> Sequence {
    loop {
        let smaller = smaller(&sequence).into_iter().find(|smaller| run(smaller, None).is_err());
        match smaller {
            Some(smaller) => sequence = smaller,
            None => return sequence,
        }
    }
}

fn smaller(sequence: &Sequence) -> Vec<Sequence> {
    let mut all = Vec::new();
    for index in 0..sequence.steps.len() {
        let mut less = sequence.clone();
        less.steps.remove(index);
        all.push(less);
        if let Step::Update(update) = &sequence.steps[index] {
            let (conditions, changes) = (update.prerequisites.len(), update.updates.len());
            for record in 0..conditions + changes {
                let mut less = sequence.clone();
                if let Step::Update(update) = &mut less.steps[index] {
                    match record < conditions {
                        true => drop(update.prerequisites.remove(record)),
                        false => drop(update.updates.remove(record - conditions)),
                    }
                }
                all.push(less);
            }
        }
    }
    for index in 0..sequence.records.len() {
        let mut less = sequence.clone();
        less.records.remove(index);
        all.push(less);
    }
    all
}

fn wanted(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
