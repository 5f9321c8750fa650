//! kea-dhcp-ddns, which turns a DHCP server's leases into updates with the prerequisites of RFC 4703.

use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::server::{KEYS, Server};
use super::tools::{Background, here};

/// What a DHCP server tells the daemon: add or remove, a name and its address.
const ADD: u8 = 0;
const REMOVE: u8 = 1;

#[test]
fn kea_adds_and_removes_what_dhcp_leased() {
    if !here("kea_adds_and_removes_what_dhcp_leased", &["kea-dhcp-ddns", "dig"]) {
        return;
    }
    let server = Server::start();
    let inbox = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let configuration = server.file("kea.json", &configuration(server.port, inbox));
    let _kea = start(Path::new(&configuration));
    let ask = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tell = |change| {
        let request = request(change);
        let length = u16::try_from(request.len()).unwrap().to_be_bytes();
        ask.send_to(&[&length, request.as_bytes()].concat(), ("127.0.0.1", inbox)).unwrap();
    };
    // The daemon may not listen yet, and to ask again does no harm.
    for _ in 0..100 {
        tell(ADD);
        std::thread::sleep(Duration::from_millis(100));
        if !server.dig("laptop.dyn.test", "A").is_empty() {
            break;
        }
    }
    server.wait_for("laptop.dyn.test", "A", &["10.7.7.7"]);
    assert_eq!(server.dig("laptop.dyn.test", "DHCID").len(), 1);
    tell(REMOVE);
    server.wait_for("laptop.dyn.test", "A", &[]);
    server.wait_for("laptop.dyn.test", "DHCID", &[]);
}

fn start(configuration: &Path) -> Background {
    let folder = configuration.parent().unwrap();
    let mut command = Command::new("kea-dhcp-ddns");
    command.arg("-c").arg(configuration).env("KEA_PIDFILE_DIR", folder).env("KEA_LOCKFILE_DIR", folder);
    Background::start(&mut command, folder.join("kea.log"))
}

fn configuration(port: u16, inbox: u16) -> String {
    let (_, key, secret) = KEYS[0];
    format!(
        r#"{{ "DhcpDdns": {{
            "ip-address": "127.0.0.1", "port": {inbox}, "dns-server-timeout": 2000,
            "tsig-keys": [ {{ "name": "{key}", "algorithm": "HMAC-SHA256", "secret": "{secret}" }} ],
            "forward-ddns": {{ "ddns-domains": [ {{
                "name": "dyn.test.", "key-name": "{key}",
                "dns-servers": [ {{ "ip-address": "127.0.0.1", "port": {port} }} ] }} ] }},
            "reverse-ddns": {{ }} }} }}"#
    )
}

fn request(change: u8) -> String {
    format!(
        r#"{{ "change-type": {change}, "forward-change": true, "reverse-change": false,
            "fqdn": "laptop.dyn.test.", "ip-address": "10.7.7.7",
            "dhcid": "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122",
            "lease-expires-on": "20990101000000", "lease-length": 3600, "use-conflict-resolution": true }}"#
    )
}
