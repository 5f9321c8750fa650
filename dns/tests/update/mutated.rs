//! Updates with octets changed, cut off or doubled: whatever is let in leaves a zone, and nothing panics.

use super::encode::message;
use super::random::{Sequence, Step};
use super::rng::Rng;
use super::subject::Subject;

/// Sequences whose messages are mutated.
const SEQUENCES: u64 = 3_000;

#[test]
fn mutated_updates_do_no_harm() {
    let mut accepted = 0;
    for seed in 0..SEQUENCES {
        let (sequence, rng) = (Sequence::random(seed), &mut Rng::new(seed));
        let mut subject = Subject::new(&sequence, None);
        for step in &sequence.steps {
            let Step::Update(update) = step else { continue };
            let mut octets = message(update);
            for _ in 0..1 + rng.below(4) {
                mutate(&mut octets, rng);
            }
            // The subject finishes every edit that is accepted, and compares it with its difference.
            accepted += u64::from(subject.receive(&octets, update.signer).is_ok());
        }
    }
    assert!(accepted > SEQUENCES / 10, "only {accepted} got through");
}

fn mutate(octets: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.below(octets.len());
    match rng.below(8) {
        0 => octets.truncate(at.max(1)),
        1 => octets.extend_from_within(at..),
        2 => octets[at] = rng.pick(&[0, 1, 0x3f, 0x40, 0xc0, 0xff]),
        3 => drop(octets.remove(at)),
        4 => octets.insert(at, octets[at]),
        _ => octets[at] ^= 1 << rng.below(8),
    }
    if octets.is_empty() {
        octets.push(0);
    }
}
