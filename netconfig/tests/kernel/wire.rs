//! What is heard and said on the wire.

use std::net::IpAddr;
use std::time::Duration;

use netconfig::{Carrier, Event, Host, Wanted};

use crate::lan::{DMZ4, DMZ6, VIRTUAL_MAC, beacon_from, expect, in_lan, lab, run, who_has};

const HERE: &str = module_path!();

#[test]
fn a_stranger_with_the_address_is_seen() {
    lab(&format!("{HERE}::a_stranger_with_the_address_is_seen"), |machine| async move {
        let mut host = machine.host().await;
        host.probe().unwrap();
        let nobody = tokio::time::timeout(Duration::from_millis(200), host.event()).await;
        assert!(!matches!(nobody, Ok(Event::AddressSeen { .. })), "{nobody:?}");
        for address in ["192.168.1.11/24", "fd00::11/64"] {
            run(&format!("ip -n lan address add {address} dev br0"));
            tokio::time::sleep(Duration::from_millis(50)).await;
            host.probe().unwrap();
            expect(&mut host, |event| matches!(event, Event::AddressSeen { mac } if *mac != VIRTUAL_MAC)).await;
            run(&format!("ip -n lan address delete {address} dev br0"));
        }
    });
}

#[test]
fn another_holder_with_the_same_hardware_address_is_seen() {
    lab(&format!("{HERE}::another_holder_with_the_same_hardware_address_is_seen"), |machine| async move {
        let mut host = machine.host().await;
        run("ip -n lan link add vmac link br0 address 02:00:5e:00:01:11 type macvlan mode private");
        run("ip -n lan link set vmac up");
        run("ip -n lan address add 192.168.1.11/32 dev vmac");
        host.probe().unwrap();
        expect(&mut host, |event| *event == Event::AddressSeen { mac: VIRTUAL_MAC }).await;
    });
}

#[test]
fn own_announcements_are_not_heard() {
    lab(&format!("{HERE}::own_announcements_are_not_heard"), |machine| async move {
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        machine.beacon();
        host.announce().unwrap();
        let heard = async {
            loop {
                if let Event::AddressSeen { mac } = host.event().await {
                    return mac;
                }
            }
        };
        let heard = tokio::time::timeout(Duration::from_millis(200), heard).await;
        assert!(heard.is_err(), "{heard:?}");
    });
}

#[test]
fn an_announcement_moves_the_routers_cache() {
    lab(&format!("{HERE}::an_announcement_moves_the_routers_cache"), |machine| async move {
        for address in [IpAddr::from(DMZ4), IpAddr::from(DMZ6)] {
            run(&format!("ip -n lan neighbour replace {address} lladdr 02:00:00:00:00:99 dev br0 nud stale"));
        }
        let mut host = machine.host().await;
        host.configure().await.unwrap();
        machine.beacon();
        host.announce().unwrap();
        for address in [IpAddr::from(DMZ4), IpAddr::from(DMZ6)] {
            let cache = run(&format!("ip -n lan neighbour show {address} dev br0"));
            assert!(cache.contains("02:00:5e:00:01:11"), "{cache}");
        }
    });
}

#[test]
fn the_gateway_is_found_and_asked() {
    lab(&format!("{HERE}::the_gateway_is_found_and_asked"), |_machine| async move {
        assert_eq!(netconfig::default_gateway("eth0").await.unwrap(), None);
        run("ip route add default via 192.168.1.1 dev eth0");
        let gateway = netconfig::default_gateway("eth0").await.unwrap();
        assert_eq!(gateway, Some(IpAddr::from([192, 168, 1, 1])));
        let timeout = Duration::from_millis(90);
        let asked = |target: IpAddr| netconfig::arp_resolve("eth0", target, timeout);
        assert!(asked(gateway.unwrap()).await.unwrap().is_some());
        assert!(asked("fd00::1".parse().unwrap()).await.unwrap().is_some());
        assert_eq!(asked([192, 168, 1, 77].into()).await.unwrap(), None);
        assert!(who_has([192, 168, 1, 2]).is_some(), "the machine's own address answers as ever");
    });
}

#[test]
fn a_candidate_is_a_member_of_the_solicited_node_group_before_it_holds() {
    lab(
        &format!("{HERE}::a_candidate_is_a_member_of_the_solicited_node_group_before_it_holds"),
        |machine| async move {
            let mut wanted = machine.wanted();
            wanted.v6 = Some(("fd00::aa:bbcc".parse().unwrap(), 64));
            let host = netconfig::Host::open(wanted, machine.undo.clone()).await.unwrap();
            assert!(run("ip -6 maddress show dev eth0").contains("ff02::1:ffaa:bbcc"));
            drop(host);
            assert!(!run("ip -6 maddress show dev eth0").contains("ff02::1:ffaa:bbcc"));
        },
    );
}

#[test]
fn a_standby_learns_from_the_holders_announcement() {
    lab(&format!("{HERE}::a_standby_learns_from_the_holders_announcement"), |machine| async move {
        let by_nic = Wanted { carrier: Carrier::Nic, ..machine.wanted() };
        let mut standby = Host::open(by_nic.clone(), machine.undo.clone()).await.unwrap();
        run("ip neighbour replace 192.168.1.11 lladdr 02:00:00:00:00:99 dev eth0 nud stale");
        let wanted = Wanted { interface: "br0".to_owned(), ..by_nic.clone() };
        let mac = in_lan(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut holder = Host::open(wanted, "/run/other-undo.json".into()).await.unwrap();
                holder.configure().await.unwrap();
                beacon_from("br0");
                holder.announce().unwrap();
                let mac = holder.carrier_mac().unwrap();
                holder.remove().await.unwrap();
                mac
            })
        });
        expect(&mut standby, |event| *event == Event::AddressSeen { mac }).await;
        let [a, b, c, d, e, f] = mac;
        let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
        let cache = run("ip neighbour show 192.168.1.11 dev eth0");
        assert!(cache.contains(&mac), "{cache}");
    });
}
