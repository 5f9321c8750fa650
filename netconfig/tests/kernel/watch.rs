//! A member that only watches: it needs no capability, changes nothing, and hears of the link and the addresses.

use std::time::Duration;

use netconfig::{Event, Watch};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::lan::{lab, run, state};

const HERE: &str = module_path!();

#[test]
fn the_link_is_watched_without_a_capability() {
    lab(&format!("{HERE}::the_link_is_watched_without_a_capability"), |machine| async move {
        let before = state();
        // Capabilities belong to a thread: the watcher's has none, this one changes the machine.
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let none = CapabilitySet::empty();
            let kept = CapabilitySets { effective: none, permitted: none, inheritable: none };
            rustix::thread::set_capabilities(None, kept).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut watch = Watch::open("eth0".to_owned()).unwrap();
                assert!(watch.link_up() && watch.index().is_some() && watch.nic_mac().is_some());
                tell.send(None).unwrap();
                while tell.send(Some(watch.event().await)).is_ok() {}
            });
        });
        let next = || told.recv_timeout(Duration::from_secs(5)).unwrap();
        let link = |up| {
            // A device that has just come may not carry packets yet.
            assert!(std::iter::repeat_with(next).any(|event| event == Some(Event::Link { up })));
        };
        assert_eq!(next(), None);
        assert_eq!(state(), before, "watching changed the machine");
        run("ip address add 192.168.1.3/24 dev eth0");
        assert_eq!(next(), Some(Event::AddressesChanged));
        run("ip link set eth0 down");
        link(false);
        run("ip link set eth0 name away");
        link(false);
        run("ip link set away up");
        run("ip link set away name eth0");
        link(true);
        run("ip link delete eth0");
        link(false);
        machine.plug("eth0");
        link(true);
    });
}

#[test]
fn what_a_crashed_candidate_left_is_undone_by_a_run_that_only_watches() {
    lab(&format!("{HERE}::what_a_crashed_candidate_left_is_undone_by_a_run_that_only_watches"), |machine| async move {
        let before = state();
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        drop(host);
        netconfig::undo_left_over(&machine.undo).unwrap();
        assert_eq!(state(), before);
        assert!(!machine.undo.exists());
        netconfig::undo_left_over(&machine.undo).unwrap();
    });
}
