//! The lease: who can open the gate, for how long, and what passes while it is shut.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use netconfig::nft::Protection;
use netconfig::{Carrier, Event, Wanted};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::lan::{DMZ4, DMZ6, LEASE, MARK, VIRTUAL_MAC, answers_ip, expect, lab, run, who_has};

const HERE: &str = module_path!();

#[test]
fn a_configured_machine_without_beacon_is_silent() {
    lab(&format!("{HERE}::a_configured_machine_without_beacon_is_silent"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        assert_eq!(who_has(DMZ4), None);
        assert_eq!(who_has(DMZ6), None);
        assert!(!answers_ip(DMZ4), "a packet to the address is dropped");
        assert!(!answers_ip(DMZ6), "a packet to the address is dropped");
        host.remove().await.unwrap();
    });
}

#[test]
fn a_beacon_opens_the_gate_until_the_lease_ends() {
    lab(&format!("{HERE}::a_beacon_opens_the_gate_until_the_lease_ends"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        machine.beacon();
        assert_eq!(who_has(DMZ4), Some(VIRTUAL_MAC));
        machine.beacon();
        assert_eq!(who_has(DMZ6), Some(VIRTUAL_MAC));
        machine.beacon();
        assert!(answers_ip(DMZ4));
        machine.beacon();
        assert!(answers_ip(DMZ6));
        machine.beacon();
        tokio::time::sleep(LEASE + Duration::from_millis(20)).await;
        assert_eq!(who_has(DMZ4), None, "the lease ended by itself");
        assert_eq!(who_has(DMZ6), None, "the lease ended by itself");
        machine.beacon();
        assert_eq!(who_has(DMZ4), Some(VIRTUAL_MAC), "the next beacon opens it again");
    });
}

#[test]
fn only_a_marked_beacon_for_this_address_opens_the_gate() {
    lab(&format!("{HERE}::only_a_marked_beacon_for_this_address_opens_the_gate"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        let group = SocketAddr::from(([239, 255, 71, 72], 7172));
        let other4 = Ipv4Addr::new(192, 168, 1, 12);
        let other6 = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x12);
        machine.datagram(None, DMZ4, DMZ6, group);
        machine.datagram(Some(MARK + 1), DMZ4, DMZ6, group);
        machine.datagram(Some(MARK), other4, other6, group);
        machine.datagram(Some(MARK), DMZ4, DMZ6, SocketAddr::from(([239, 255, 71, 72], 7173)));
        assert_eq!((who_has(DMZ4), who_has(DMZ6)), (None, None));
        machine.datagram(Some(MARK), DMZ4, other6, group);
        assert_eq!((who_has(DMZ4), who_has(DMZ6)), (Some(VIRTUAL_MAC), None), "each address has its own lease");
        host.shut_gate().unwrap();
        machine.datagram(Some(MARK), DMZ4, DMZ6, SocketAddr::from(([192, 168, 1, 1], 7172)));
        assert_eq!(who_has(DMZ4), Some(VIRTUAL_MAC), "a unicast beacon counts");
        host.shut_gate().unwrap();
        machine.datagram(Some(MARK), DMZ4, DMZ6, "[fd00::1]:7172".parse().unwrap());
        assert_eq!(who_has(DMZ6), Some(VIRTUAL_MAC), "an IPv6 datagram counts");
    });
}

#[test]
fn shutting_the_gate_takes_effect_at_once() {
    lab(&format!("{HERE}::shutting_the_gate_takes_effect_at_once"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        machine.beacon();
        assert!(answers_ip(DMZ4));
        machine.beacon();
        host.shut_gate().unwrap();
        assert_eq!((who_has(DMZ4), who_has(DMZ6)), (None, None));
        assert!(!answers_ip(DMZ4));
    });
}

#[test]
fn the_interface_itself_can_carry_the_address() {
    lab(&format!("{HERE}::the_interface_itself_can_carry_the_address"), |machine| async move {
        let wanted = Wanted { carrier: Carrier::Nic, ..machine.wanted() };
        let mut host = netconfig::Host::open(wanted, machine.undo.clone()).await.unwrap();
        host.configure().await.unwrap();
        assert_eq!((who_has(DMZ4), who_has(DMZ6)), (None, None));
        machine.beacon();
        assert_eq!(who_has(DMZ4), host.nic_mac());
        machine.beacon();
        assert_eq!(who_has(DMZ6), host.nic_mac());
        host.deconfigure().await.unwrap();
        machine.beacon();
        assert_eq!((who_has(DMZ4), who_has(DMZ6)), (None, None));
    });
}

#[test]
fn a_new_lease_length_keeps_the_gate_open() {
    lab(&format!("{HERE}::a_new_lease_length_keeps_the_gate_open"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        machine.beacon();
        host.set_lease(Duration::from_millis(60)).await.unwrap();
        assert_eq!(who_has(DMZ4), Some(VIRTUAL_MAC), "the lease that was given still runs");
        machine.beacon();
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert_eq!(who_has(DMZ4), None, "the new one is shorter");
        assert_eq!(host.resync().await.unwrap(), []);
    });
}

#[test]
fn an_owned_fence_cannot_be_flushed() {
    lab(&format!("{HERE}::an_owned_fence_cannot_be_flushed"), |machine| async move {
        let host = machine.host().await;
        let before = run("nft list ruleset");
        assert!(before.contains("table netdev gatehouse-eth0"), "{before}");
        run("nft flush ruleset");
        assert_eq!(run("nft list ruleset"), before);
        drop(host);
        assert!(run("nft list ruleset").contains("gatehouse-eth0"), "it outlives its owner");
    });
}

#[test]
fn a_flushed_fence_is_put_back() {
    lab(&format!("{HERE}::a_flushed_fence_is_put_back"), |machine| async move {
        let mut host = machine.open_host(Protection::Open).await;
        host.configure().await.unwrap();
        for damage in [
            "nft flush ruleset",
            "nft flush chain netdev gatehouse-eth0 ingress",
            "nft delete table netdev gatehouse-eth0",
            "nft add table netdev gatehouse-eth0 { flags dormant ; }",
        ] {
            machine.beacon();
            run(damage);
            expect(&mut host, |event| *event == Event::FenceLost).await;
            assert_eq!(who_has(DMZ4), None, "after `{damage}` the gate is there, and shut");
            assert_eq!(host.resync().await.unwrap(), [], "after `{damage}` nothing is left to repair");
        }
    });
}

#[test]
fn a_second_daemon_is_refused() {
    lab(&format!("{HERE}::a_second_daemon_is_refused"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        let second = netconfig::Host::open(machine.wanted(), machine.undo.clone()).await;
        let error = second.err().expect("the interface is taken");
        assert!(matches!(error, netconfig::OpenError::Fence(netconfig::NftError::Taken(_))), "{error:?}");
        machine.beacon();
        assert_eq!(who_has(DMZ4), Some(VIRTUAL_MAC), "the first one is not disturbed");
    });
}

#[test]
fn a_lease_that_was_refused_is_granted_when_it_is_asked_for_again() {
    lab(&format!("{HERE}::a_lease_that_was_refused_is_granted_when_it_is_asked_for_again"), |machine| async move {
        let mut host = machine.host().await;
        let all = rustix::thread::capabilities(None).unwrap();
        let none = CapabilitySets { effective: CapabilitySet::empty(), ..all };
        rustix::thread::set_capabilities(None, none).unwrap();
        host.set_lease(LEASE / 2).await.expect_err("without permission");
        rustix::thread::set_capabilities(None, all).unwrap();
        assert!(run("nft list ruleset").contains("timeout 1s"), "the old one is in force");
        host.set_lease(LEASE / 2).await.unwrap();
        assert!(run("nft list ruleset").contains("timeout 500ms"));
    });
}

#[test]
fn a_shut_gate_teaches_the_lan_nothing() {
    lab(&format!("{HERE}::a_shut_gate_teaches_the_lan_nothing"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        assert!(host.announce().is_err(), "dropped by the fence");
        host.probe().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let table = run("ip netns exec lan bridge fdb show br br0");
        assert!(!table.contains("02:00:5e:00:01:11"), "no switch has learned the virtual address:\n{table}");
        machine.beacon();
        host.announce().unwrap();
        let table = run("ip netns exec lan bridge fdb show br br0");
        assert!(table.contains("02:00:5e:00:01:11"), "the announcement moves it here:\n{table}");
    });
}

#[test]
fn the_kernel_shows_the_rules_that_were_meant() {
    lab(&format!("{HERE}::the_kernel_shows_the_rules_that_were_meant"), |machine| async move {
        let _host = machine.host().await;
        let shown = run("nft list ruleset");
        let meant = [
            "type filter hook ingress device \"eth0\" priority -500; policy accept;",
            "arp saddr ip != 192.168.1.11 arp daddr ip 192.168.1.11 arp daddr ip != @lease4 drop",
            "ip daddr 192.168.1.11 ip daddr != @lease4 drop",
            "ip6 daddr fd00::11 ip6 daddr != @lease6 drop",
            "icmpv6 type nd-neighbor-solicit @th,64,128 0xfd000000000000000000000000000011 @th,64,128 != @lease6 drop",
            "type filter hook egress device \"eth0\" priority 500; policy accept;",
            "meta mark 0x00004748 udp dport 7172 @th,64,32 0xc0a8010b update @lease4 { @th,64,32 timeout 1s }",
            "meta mark 0x00004748 udp dport 7172 @th,96,128 0xfd000000000000000000000000000011 update @lease6 { @th,96,128 timeout 1s }",
            "@ll,48,48 0x2005e000111 0xc0a8010b",
            "arp saddr ip 192.168.1.11 arp saddr ip != @lease4 drop",
            "ip saddr 192.168.1.11 ip saddr != @lease4 drop",
            "ip6 saddr fd00::11 ip6 saddr != @lease6 drop",
            "icmpv6 type nd-neighbor-advert @th,64,128 0xfd000000000000000000000000000011 @th,64,128 != @lease6 drop",
        ];
        let lines: Vec<&str> = shown.lines().map(str::trim).filter(|line| line.contains(' ')).collect();
        let rules: Vec<&str> = lines
            .into_iter()
            .filter(|line| line.contains("drop") || line.contains("update") || line.contains("hook"))
            .collect();
        assert_eq!(rules.len(), meant.len(), "{shown}");
        for (rule, meant) in rules.iter().zip(meant) {
            assert!(rule.starts_with(meant), "expected `{meant}`, the kernel has `{rule}`");
        }
    });
}

#[test]
fn an_address_does_not_get_ahead_of_a_lost_fence() {
    lab(&format!("{HERE}::an_address_does_not_get_ahead_of_a_lost_fence"), |machine| async move {
        let mut host = machine.open_host(Protection::Open).await;
        run("nft flush ruleset");
        host.configure().await.unwrap();
        assert_eq!((who_has(DMZ4), who_has(DMZ6)), (None, None));
    });
}

#[test]
fn an_address_does_not_outlive_a_fence_that_cannot_be_put_back() {
    lab(&format!("{HERE}::an_address_does_not_outlive_a_fence_that_cannot_be_put_back"), |machine| async move {
        let mut host = machine.open_host(Protection::Open).await;
        host.configure().await.unwrap();
        run("nft flush ruleset");
        // Somebody else takes the name, and keeps it.
        let mut usurper =
            std::process::Command::new("nft").arg("-i").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let line = b"add table netdev gatehouse-eth0 { flags owner; }\n";
        usurper.stdin.as_mut().unwrap().write_all(line).unwrap();
        while !run("nft list ruleset").contains("gatehouse-eth0") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        expect(&mut host, |event| *event == Event::AddressLost).await;
        assert!(!run("ip -br address").contains("192.168.1.11"));
        usurper.kill().unwrap();
        usurper.wait().unwrap();
        expect(&mut host, |event| *event == Event::FenceLost).await;
        host.resync().await.unwrap();
        assert_eq!((who_has(DMZ4), who_has(DMZ6)), (None, None), "back, fenced");
    });
}
