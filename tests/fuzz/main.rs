//! Every decoder against input that nobody would send by mistake.
//!
//! Each target of `targets.rs` first replays its corpus, `tests/fuzz/corpus/<target>/`, then mutations of it for
//! `FUZZ_SECONDS` (2 unless given) from the seed `FUZZ_SEED`. An input that breaks a promise is written into the corpus,
//! so that it is replayed from then on.
//! `cargo-fuzz/` runs the same targets under libFuzzer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod mutate;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use gatehouse::clock;
use mutate::Mutator;
use targets::{TARGETS, Target};

#[test]
fn wire_decode() {
    fuzz("wire-decode");
}

#[test]
fn intake_take() {
    fuzz("intake-take");
}

#[test]
fn config_parse() {
    fuzz("config-parse");
}

#[test]
fn duration_parse() {
    fuzz("duration-parse");
}

#[test]
fn dns_reply() {
    fuzz("dns-reply");
}

#[test]
fn frame_claim() {
    fuzz("frame-claim");
}

#[test]
fn election_step() {
    fuzz("election-step");
}

#[test]
fn dns_message() {
    fuzz("dns-message");
}

#[test]
fn dns_question() {
    fuzz("dns-question");
}

#[test]
fn dns_update() {
    fuzz("dns-update");
}

#[test]
fn dns_signature() {
    fuzz("dns-signature");
}

#[test]
fn dns_transfer() {
    fuzz("dns-transfer");
}

#[test]
fn dns_cookie() {
    fuzz("dns-cookie");
}

#[test]
fn dns_name() {
    fuzz("dns-name");
}

#[test]
fn dns_data() {
    fuzz("dns-data");
}

#[test]
fn dns_zone_file() {
    fuzz("dns-zone-file");
}

#[test]
fn dns_key_file() {
    fuzz("dns-key-file");
}

#[test]
fn dns_journal() {
    fuzz("dns-journal");
}

#[test]
fn dns_router() {
    fuzz("dns-router");
}

#[test]
fn fabric_certificate() {
    fuzz("fabric-certificate");
}

#[test]
fn fabric_files() {
    fuzz("fabric-files");
}

#[test]
fn fabric_names() {
    fuzz("fabric-names");
}

#[test]
fn fabric_replay() {
    fuzz("fabric-replay");
}

#[test]
fn fabric_request() {
    fuzz("fabric-request");
}

#[test]
fn fabric_revocation() {
    fuzz("fabric-revocation");
}

/// No target is forgotten here.
#[test]
fn every_target_has_its_test() {
    let tests = include_str!("main.rs");
    TARGETS.iter().for_each(|(name, _)| assert!(tests.contains(&format!("fuzz(\"{name}\");")), "{name}"));
}

/// A broken promise is found, and the input that shows it is kept.
#[test]
fn the_fuzzer_bites() {
    let corpus = vec![b"a seed".to_vec()];
    let mut mutator = Mutator::new(1);
    let found = (0..100_000).any(|_| {
        let input = mutator.mutate(&corpus);
        survives(|bytes| assert_ne!(bytes.first(), Some(&0xFF)), &input).is_err()
    });
    assert!(found);
}

/// Replays the corpus of a target, then mutates it.
fn fuzz(name: &str) {
    let target = TARGETS.iter().find(|(known, _)| *known == name).map(|(_, target)| *target).unwrap();
    let seed = number("FUZZ_SEED", 0x6761_7465_686f_7573);
    let span = Duration::from_secs(number("FUZZ_SECONDS", 2));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let corpus = corpus(&folder);
    corpus.iter().for_each(|input| check(target, input, &folder));
    let (mut mutator, start, mut runs) = (Mutator::new(seed), clock::now(), 0_u64);
    while clock::now().since(start) < span {
        check(target, &mutator.mutate(&corpus), &folder);
        runs += 1;
    }
    println!("{name}: {} inputs and {runs} mutations of them, FUZZ_SEED={seed}", corpus.len());
}

/// Runs a target on an input; if it breaks, keeps the input and fails.
fn check(target: Target, input: &[u8], folder: &Path) {
    if let Err(reason) = survives(target, input) {
        let sum = input
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        let path = folder.join(format!("crash-{sum:016x}"));
        fs::write(&path, input).unwrap();
        panic!("{reason}; the input is kept in {}\n{:?}", path.display(), String::from_utf8_lossy(input));
    }
}

/// What a target says of an input when it breaks.
fn survives(target: Target, input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| target(input))).map_err(|reason| {
        let text = reason.downcast_ref::<String>().map(String::as_str);
        text.or(reason.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
    })
}

/// The inputs in a folder, in order; there is at least one.
fn corpus(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "no corpus in {}", folder.display());
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}
