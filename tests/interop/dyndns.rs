//! inadyn, one of the clients that speak dyndns2 only.

use super::server::{KEYS, Server};
use super::tools::{here, run};

#[test]
fn inadyn_keeps_a_name() {
    if !here("inadyn_keeps_a_name", &["inadyn", "dig"]) {
        return;
    }
    let server = Server::start();
    for (address, expected) in [("198.51.100.7", "198.51.100.7"), ("198.51.100.8", "198.51.100.8")] {
        update(&server, "home.dyn.test", KEYS[0].2, address);
        assert_eq!(server.dig("home.dyn.test", "A"), [expected]);
    }
    // The key for challenges is no key for addresses, and a wrong secret is none at all.
    update(&server, "other.dyn.test", KEYS[3].2, "198.51.100.9");
    assert_eq!(server.dig("other.dyn.test", "A"), [""; 0]);
}

/// One run of the client, with a cache of its own so that it always asks.
fn update(server: &Server, name: &str, secret: &str, address: &str) {
    let configuration = format!(
        "period = 300\n\
         custom here {{\n\
             ssl = false\n\
             username = k256\n\
             password = \"{secret}\"\n\
             checkip-command = \"/bin/echo {address}\"\n\
             ddns-server = \"127.0.0.1:{}\"\n\
             ddns-path = \"/nic/update?hostname=%h&myip=%i\"\n\
             hostname = {name}\n\
         }}\n",
        server.http
    );
    let path = server.file(&format!("inadyn-{address}.conf"), &configuration);
    let cache = path.with_extension("cache");
    let (path, cache) = (path.to_str().unwrap(), cache.to_str().unwrap());
    let said = run("inadyn", &["--once", "--foreground", "--no-pidfile", "-f", path, "--cache-dir", cache], "");
    println!("{said:?}");
}
