//! Addresses, carrier and link: put on, taken off, lost, and gone in the end.

use std::time::Duration;

use netconfig::{ApplyError, Event, OpenError, Step};

use crate::lan::{DMZ4, DMZ6, VIRTUAL_MAC, expect, expect_within, lab, run, state, who_has};

const HERE: &str = module_path!();

#[test]
fn only_the_configured_machine_has_the_address() {
    lab(&format!("{HERE}::only_the_configured_machine_has_the_address"), |machine| async move {
        let mut host = machine.host().await;
        assert!(!run("ip -br address").contains("192.168.1.11"));
        assert!(run("ip -d link show gh-eth0").contains("macvlan mode private"));
        host.configure().await.unwrap();
        let shown = run("ip address show dev gh-eth0");
        assert!(shown.contains("192.168.1.11/24") && shown.contains("fd00::11/64"), "{shown}");
        assert!(!shown.contains("fe80"), "no address of its own:\n{shown}");
        assert!(!shown.contains("tentative"), "{shown}");
        assert_eq!(host.resync().await.unwrap(), [], "what was done is what was wanted");
        host.deconfigure().await.unwrap();
        assert!(!run("ip -br address").contains("192.168.1.11"));
        assert_eq!(host.resync().await.unwrap(), []);
    });
}

#[test]
fn an_address_that_nobody_renews_goes_by_itself() {
    lab(&format!("{HERE}::an_address_that_nobody_renews_goes_by_itself"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            host.renew();
        }
        assert!(run("ip -br address").contains("192.168.1.11"), "renewed");
        expect(&mut host, |event| *event == Event::AddressLost).await;
    });
}

#[test]
fn a_removed_address_or_carrier_is_told_and_put_back() {
    lab(&format!("{HERE}::a_removed_address_or_carrier_is_told_and_put_back"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        let before = state();
        for damage in
            ["ip address delete 192.168.1.11/24 dev gh-eth0", "ip link delete gh-eth0", "ip link set gh-eth0 down"]
        {
            run(damage);
            expect(&mut host, |event| *event == Event::AddressLost).await;
            let steps = host.resync().await.unwrap();
            assert!(steps.iter().any(|step| matches!(step, Step::AddAddress(_))), "after `{damage}`: {steps:?}");
            assert_eq!(host.resync().await.unwrap(), [], "after `{damage}`");
            machine.beacon();
            assert_eq!((who_has(DMZ4), who_has(DMZ6)), (Some(VIRTUAL_MAC), Some(VIRTUAL_MAC)), "after `{damage}`");
            host.shut_gate().unwrap();
        }
        let parts = |text: &str| text.lines().filter(|line| !line.contains("gh-eth0")).collect::<Vec<_>>().join("\n");
        assert_eq!(parts(&state()), parts(&before));
    });
}

#[test]
fn nothing_is_left_after_the_end() {
    lab(&format!("{HERE}::nothing_is_left_after_the_end"), |machine| async move {
        run("sysctl -q net.ipv4.conf.eth0.arp_ignore=2");
        let before = state();
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        assert_ne!(state(), before);
        host.remove().await.unwrap();
        assert_eq!(state(), before);
        assert_eq!(run("nft list ruleset"), "");
        assert!(!machine.undo.exists());
    });
}

#[test]
fn an_interface_that_appears_later_is_set_up_then() {
    lab(&format!("{HERE}::an_interface_that_appears_later_is_set_up_then"), |machine| async move {
        run("ip link delete eth0");
        let mut host = machine.host().await;
        assert!(!host.link_up());
        assert!(host.configure().await.is_err(), "nowhere to put it");
        machine.plug("eth0");
        expect(&mut host, |event| *event == Event::Link { up: true }).await;
        host.configure().await.unwrap();
        assert_eq!(who_has(DMZ4), None);
        machine.beacon();
        assert_eq!(who_has(DMZ4), Some(VIRTUAL_MAC));
        run("ip -n lan link set port down");
        expect(&mut host, |event| *event == Event::Link { up: false }).await;
        run("ip link delete eth0");
        machine.plug("eth0");
        expect(&mut host, |event| *event == Event::Link { up: true }).await;
        host.resync().await.unwrap();
        assert_eq!(who_has(DMZ4), None, "the new card has a fence before the address");
        machine.beacon();
        assert_eq!(who_has(DMZ4), Some(VIRTUAL_MAC));
    });
}

#[test]
fn a_link_that_is_back_before_anybody_looked_was_lost_all_the_same() {
    lab(&format!("{HERE}::a_link_that_is_back_before_anybody_looked_was_lost_all_the_same"), |machine| async move {
        let mut host = machine.host().await;
        for (down, up) in [
            ("ip link set eth0 down", "ip link set eth0 up"),
            ("ip -n lan link set port down", "ip -n lan link set port up"),
        ] {
            run(down);
            run(up);
            expect(&mut host, |event| *event == Event::Link { up: false }).await;
            expect(&mut host, |event| *event == Event::Link { up: true }).await;
            assert!(host.link_up());
        }
    });
}

#[test]
fn a_new_own_address_is_told() {
    lab(&format!("{HERE}::a_new_own_address_is_told"), |machine| async move {
        let mut host = machine.host().await;
        run("ip address add 192.168.1.3/24 dev eth0");
        expect(&mut host, |event| *event == Event::AddressesChanged).await;
    });
}

#[test]
fn lost_notifications_are_made_up_for() {
    lab(&format!("{HERE}::lost_notifications_are_made_up_for"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(300), host.event()).await;
        // More than the socket's buffer holds, while nobody reads; the loss that matters comes last.
        let noise = "address add 127.1.0.1/32 dev lo\naddress delete 127.1.0.1/32 dev lo\n".repeat(3000);
        std::fs::write("/run/noise", noise).unwrap();
        run("ip -batch /run/noise");
        run("ip address delete 192.168.1.11/24 dev gh-eth0");
        // Before the other address leaves by itself, which would be told.
        expect_within(Duration::from_millis(500), &mut host, |event| *event == Event::AddressLost).await;
    });
}

#[test]
fn a_device_of_somebody_else_is_not_touched() {
    lab(&format!("{HERE}::a_device_of_somebody_else_is_not_touched"), |machine| async move {
        run("ip link add gh-eth0 type bridge");
        let error = netconfig::Host::open(machine.wanted(), machine.undo.clone()).await.err();
        assert!(
            matches!(&error, Some(OpenError::Apply(ApplyError::NameTaken { name })) if name == "gh-eth0"),
            "{error:?}"
        );
        assert!(run("ip -d link show gh-eth0").contains("bridge"));
        assert_eq!(run("nft list ruleset"), "", "what was done before is taken back");
        assert!(!machine.undo.exists());
    });
}
