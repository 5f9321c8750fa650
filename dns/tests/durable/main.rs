//! What survives: a server in a process of its own that is killed under load, whose disk is full, whose journal is damaged.
//!
//! A test runs this program again with its own name and `SERVE` set; there it is the server and nothing else.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]

mod kit;

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dns::wire::Rcode;
use kit::{Folder, Process, SERVE, Updater, serve};

/// Kills in a row, each on the state that the one before left.
const KILLS: u32 = 12;

#[test]
fn what_was_acknowledged_survives_kills_under_load() {
    if std::env::var_os(SERVE).is_some() {
        return serve();
    }
    let folder = Folder::new();
    let mut acknowledged = BTreeSet::new();
    let mut sent = 0;
    for round in 0..KILLS {
        let mut process = Process::start("what_was_acknowledged_survives_kills_under_load", &folder.0);
        let mut updater = Updater::new(process.address);
        for number in &acknowledged {
            assert!(updater.exists(*number), "round {round}: n{number} was acknowledged and is gone");
        }
        // The kill comes from another thread, at another point of the work each time.
        let (pid, is_over) = (process.pid(), AtomicBool::new(false));
        let (done, next) = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(u64::from(30 + round * 37 % 200)));
                kit::kill(pid);
                is_over.store(true, Ordering::Release);
            });
            updater.storm(sent, 20, &is_over)
        });
        process.wait();
        assert!(!done.is_empty(), "round {round}: nothing was done");
        acknowledged.extend(done);
        sent = next;
    }
    let process = Process::start("what_was_acknowledged_survives_kills_under_load", &folder.0);
    let mut updater = Updater::new(process.address);
    let there = (0..sent).filter(|number| updater.exists(*number)).collect::<BTreeSet<_>>();
    assert!(acknowledged.is_subset(&there), "{:?}", acknowledged.difference(&there).collect::<Vec<_>>());
    // What was on its way when the server died may be there or not; each round had so many at most.
    assert!(there.len() - acknowledged.len() <= KILLS as usize * 20);
}

#[test]
fn a_full_disk_refuses_updates_and_answers_queries() {
    if std::env::var_os(SERVE).is_some() {
        return serve();
    }
    let test = "a_full_disk_refuses_updates_and_answers_queries";
    let folder = Folder::new();
    let Some(mut process) = Process::start_on_small_disk(test, &folder.0) else { return };
    let mut updater = Updater::new(process.address);
    assert_eq!(updater.update(0), Some(Rcode::NOERROR));
    // The disk is only there for the server's processes.
    let filler = process.seen_by_it(&folder.0.join("filler"));
    fs::write(&filler, vec![1; 4 << 20]).expect_err("the disk gets full");
    let refused = (1..2_000).find(|number| updater.update(*number) == Some(Rcode::SERVFAIL));
    let refused = refused.expect("an update finds no room");
    assert_eq!(updater.update(5_000), Some(Rcode::SERVFAIL));
    assert!(updater.exists(0) && !updater.exists(refused) && !updater.exists(5_000));
    fs::remove_file(&filler).expect("removed");
    assert_eq!(updater.update(refused), Some(Rcode::NOERROR));
    kit::kill(process.pid());
    process.next();
    let mut updater = Updater::new(process.address);
    assert!(updater.exists(0) && updater.exists(refused) && !updater.exists(5_000));
    assert_eq!(updater.update(5_001), Some(Rcode::NOERROR));
}

#[test]
fn a_damaged_journal_keeps_the_server_from_starting() {
    if std::env::var_os(SERVE).is_some() {
        return serve();
    }
    let test = "a_damaged_journal_keeps_the_server_from_starting";
    let folder = Folder::new();
    let mut process = Process::start(test, &folder.0);
    let mut updater = Updater::new(process.address);
    for number in 0..20 {
        assert_eq!(updater.update(number), Some(Rcode::NOERROR));
    }
    kit::kill(process.pid());
    process.wait();
    let journal = folder.0.join("zones/dyn.test/journal");
    let whole = fs::read(&journal).expect("a journal");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x40;
    fs::write(&journal, &damaged).expect("written");
    let said = Process::fails_to_start(test, &folder.0);
    for part in ["zones/dyn.test/journal is damaged at octet ", "a good one follows at octet ", "restore the file"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(fs::read(&journal).expect("a journal"), damaged, "nothing is changed");
    // A second server on the same folder says what is wrong, too.
    fs::write(&journal, &whole).expect("written");
    let first = Process::start(test, &folder.0);
    assert!(Process::fails_to_start(test, &folder.0).contains("another server uses the state folder"));
    drop(first);
    // What was cut off in the middle of its last entry goes on without it.
    fs::write(&journal, &whole[..whole.len() - 3]).expect("written");
    let process = Process::start(test, &folder.0);
    let mut updater = Updater::new(process.address);
    assert!(updater.exists(18) && !updater.exists(19));
}
