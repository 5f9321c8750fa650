//! What a run that ended without cleaning up leaves, and how the next one takes it back.

use netconfig::Host;
use netconfig::nft::Protection;
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::lan::{DMZ4, VIRTUAL_MAC, lab, run, state, who_has};

const HERE: &str = module_path!();

#[test]
fn the_next_run_takes_back_what_a_crash_left() {
    lab(&format!("{HERE}::the_next_run_takes_back_what_a_crash_left"), |machine| async move {
        for protection in [Protection::Owned, Protection::Open] {
            let before = state();
            let mut host = machine.open_host(protection).await;
            host.configure().await.unwrap();
            machine.beacon();
            assert_eq!(who_has(DMZ4), Some(VIRTUAL_MAC));
            drop(host);
            assert!(machine.undo.exists());
            let ruleset = run("nft list ruleset");
            assert!(ruleset.contains("gatehouse-eth0"), "a dead daemon's machine stays fenced:\n{ruleset}");
            let host = machine.open_host(protection).await;
            assert!(!run("ip -br address").contains("192.168.1.11"));
            assert_eq!(who_has(DMZ4), None);
            host.remove().await.unwrap();
            assert_eq!(state(), before, "also the settings that the crashed run changed");
        }
    });
}

#[test]
fn a_crash_on_another_interface_is_taken_back_too() {
    lab(&format!("{HERE}::a_crash_on_another_interface_is_taken_back_too"), |machine| async move {
        run("ip link add eth1 type veth peer name eth2");
        run("ip link set eth1 up");
        let before = state();
        let mut wanted = machine.wanted();
        wanted.interface = "eth1".to_owned();
        drop(netconfig::Host::open(wanted, machine.undo.clone()).await.unwrap());
        assert!(run("nft list ruleset").contains("gatehouse-eth1"));
        machine.host().await.remove().await.unwrap();
        assert_eq!(state(), before);
    });
}

#[test]
fn the_address_goes_when_the_undo_file_is_lost() {
    lab(&format!("{HERE}::the_address_goes_when_the_undo_file_is_lost"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        drop(host);
        std::fs::remove_file(&machine.undo).unwrap();
        let mut host = machine.host().await;
        assert!(!run("ip -br address").contains("192.168.1.11"));
        assert_eq!(host.resync().await.unwrap(), []);
        host.remove().await.unwrap();
        assert_eq!(run("nft list ruleset"), "");
    });
}

#[test]
fn without_permission_the_missing_capability_is_named() {
    lab(&format!("{HERE}::without_permission_the_missing_capability_is_named"), |machine| async move {
        let wanted = machine.wanted();
        for (set, named) in
            [(CapabilitySet::NET_RAW, "CAP_NET_ADMIN is missing"), (CapabilitySet::NET_ADMIN, "CAP_NET_RAW is missing")]
        {
            let undo = machine.undo.clone();
            let wanted = wanted.clone();
            // Capabilities belong to a thread.
            let thread = std::thread::spawn(move || {
                let none = CapabilitySet::empty();
                let kept = CapabilitySets { effective: set, permitted: set, inheritable: none };
                rustix::thread::set_capabilities(None, kept).unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                let result = runtime.block_on(Host::open(wanted, undo));
                result.err().map(|error| error.to_string())
            });
            let error = thread.join().unwrap().unwrap_or_default();
            assert!(error.contains(named), "{error}");
        }
        assert_eq!(run("nft list ruleset"), "");
    });
}
