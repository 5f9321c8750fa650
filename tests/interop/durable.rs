//! What survives: the server is killed under load, its disk is full, its journal is damaged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;

use dns::wire::Rcode;

use super::server::{Server, kill};
use super::tools::{free_port, skips, wait_until};
use super::updater::{Storm, Updater};

/// Kills in a row, each on the state that the one before left.
const KILLS: u32 = 12;
/// Updates that are on their way at once.
const OUTSTANDING: u32 = 20;

#[test]
fn what_was_acknowledged_survives_kills_under_load() {
    let mut server = Server::start();
    let mut acknowledged = BTreeSet::new();
    let mut sent = 0;
    for round in 0..KILLS {
        let mut updater = Updater::new(server.port);
        for number in &acknowledged {
            assert!(updater.exists(*number), "round {round}: n{number} was acknowledged and is gone");
        }
        // The kill comes from another thread, at another point of the work each time.
        let (pid, storm) = (server.pid(), Storm::default());
        let (done, next) = std::thread::scope(|scope| {
            scope.spawn(|| {
                wait_until(|| storm.done.load(Ordering::Acquire) > 0, || "nothing is done".to_owned());
                std::thread::sleep(Duration::from_millis(u64::from(round * 37 % 200)));
                kill(pid);
                storm.is_over.store(true, Ordering::Release);
            });
            updater.storm(sent, OUTSTANDING, &storm)
        });
        acknowledged.extend(done);
        sent = next;
        server.restart();
    }
    let mut updater = Updater::new(server.port);
    let there = (0..sent).filter(|number| updater.exists(*number)).collect::<BTreeSet<_>>();
    assert!(acknowledged.is_subset(&there), "{:?}", acknowledged.difference(&there).collect::<Vec<_>>());
    // What was on its way when the server died may be there or not; each round had so many at most.
    assert!(there.len() - acknowledged.len() <= (KILLS * OUTSTANDING) as usize);
}

#[test]
fn a_full_disk_refuses_updates_and_answers_queries() {
    let unshare = ["--user", "--map-root-user", "--mount"];
    let possible = Command::new("unshare").args(unshare).arg("true").stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        return skips("a_full_disk_refuses_updates_and_answers_queries", "no private disk can be made here");
    }
    // A disk of 512 KiB that nobody else sees, and the server on it once more when it has ended.
    let script = "mkdir -p FOLDER/state && mount -t tmpfs -o size=512k,mode=700 tmpfs FOLDER/state && \
                  for i in 1 2; do \"$@\"; done";
    let wrapper = [&["unshare"][..], &unshare, &["sh", "-c", script, "sh"]].concat();
    let server = Server::start_by(&wrapper);
    let mut updater = Updater::new(server.port);
    assert_eq!(updater.update(0), Some(Rcode::NOERROR));
    // The disk is only there for the server's processes.
    let inner = server.path("state/filler");
    let filler = Path::new("/proc").join(server.pid().to_string()).join("root").join(inner.trim_start_matches('/'));
    fs::write(&filler, vec![1; 4 << 20]).unwrap_err();
    let refused = (1..2_000).find(|number| updater.update(*number) == Some(Rcode::SERVFAIL));
    let refused = refused.unwrap();
    assert_eq!(updater.update(5_000), Some(Rcode::SERVFAIL));
    assert!(updater.exists(0) && !updater.exists(refused) && !updater.exists(5_000));
    fs::remove_file(&filler).unwrap();
    assert_eq!(updater.update(refused), Some(Rcode::NOERROR));
    kill(server.pid());
    server.wait_until_up();
    let mut updater = Updater::new(server.port);
    assert!(updater.exists(0) && updater.exists(refused) && !updater.exists(5_000));
    assert_eq!(updater.update(5_001), Some(Rcode::NOERROR));
}

#[test]
fn a_damaged_journal_keeps_the_server_from_starting() {
    let mut server = Server::start();
    let mut updater = Updater::new(server.port);
    for number in 0..20 {
        assert_eq!(updater.update(number), Some(Rcode::NOERROR));
    }
    server.kill();
    let journal = server.path("state/dns/zones/dyn.test/journal");
    let whole = fs::read(&journal).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x40;
    fs::write(&journal, &damaged).unwrap();
    let said = server.fails_to_start("gatehouse.toml");
    for part in ["zones/dyn.test/journal is damaged at octet ", "a good one follows at octet ", "restore the file"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(fs::read(&journal).unwrap(), damaged, "nothing is changed");
    // A second server on the same folder says what is wrong, too.
    fs::write(&journal, &whole).unwrap();
    server.restart();
    let second = fs::read_to_string(server.path("gatehouse.toml")).unwrap();
    let second =
        second.replace("control.sock", "second.sock").replace(&server.port.to_string(), &free_port().to_string());
    server.file("second.toml", &second);
    let said = server.fails_to_start("second.toml");
    assert!(said.contains("uses the state folder"), "{said}");
    server.kill();
    // What was cut off in the middle of its last entry goes on without it.
    fs::write(&journal, &whole[..whole.len() - 3]).unwrap();
    server.restart();
    let mut updater = Updater::new(server.port);
    assert!(updater.exists(18) && !updater.exists(19));
}
