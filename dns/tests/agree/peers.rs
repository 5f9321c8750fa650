//! Other servers, started for one zone on loopback and ended with the test.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server.
pub struct Peer {
    child: Child,
    address: SocketAddr,
}

/// Whether these programs can be started; says so where they cannot, and fails where they must be there.
pub fn are_there(programs: &[&str]) -> bool {
    let is_there = |program: &&&str| {
        let paths = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
        paths.split(':').any(|folder| Path::new(folder).join(program).exists())
    };
    let missing: Vec<_> = programs.iter().filter(|program| !is_there(program)).collect();
    if missing.is_empty() {
        return true;
    }
    eprintln!("NOT TESTED: {missing:?} missing; `.ci/setup test` installs what is missing");
    assert!(std::env::var_os("LAB").is_none_or(|lab| lab != "require"), "LAB=require, but {missing:?} missing");
    false
}

impl Peer {
    /// Knot DNS.
    pub fn knot(folder: &Path, apex: &str, zone: &Path) -> Self {
        let (place, port, zone) = (folder.display(), free_port(), zone.display());
        let config = format!(
            "server:\n    rundir: {place}\n    listen: 127.0.0.1@{port}\n    udp-workers: 1\n    tcp-workers: 1\n    \
             background-workers: 1\nlog:\n  - target: stderr\n    any: error\ndatabase:\n    storage: {place}/db\n\
             zone:\n  - domain: {apex}\n    file: {zone}\n    zonefile-sync: -1\n    journal-content: none\n"
        );
        Self::start("knotd", &["-c"], folder, &config, port)
    }

    /// NSD.
    pub fn nsd(folder: &Path, apex: &str, zone: &Path) -> Self {
        let (place, port, zone) = (folder.display(), free_port(), zone.display());
        let config = format!(
            "server:\n    server-count: 1\n    ip-address: 127.0.0.1@{port}\n    username: \"\"\n    chroot: \"\"\n    \
             zonesdir: {place}\n    database: \"\"\n    pidfile: {place}/pid\n    xfrdfile: {place}/xfrd\n    \
             zonelistfile: {place}/list\n    xfrdir: {place}\n    rrl-ratelimit: 0\n\
             remote-control:\n    control-enable: no\nzone:\n    name: {apex}\n    zonefile: {zone}\n"
        );
        Self::start("nsd", &["-d", "-c"], folder, &config, port)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(program: &str, arguments: &[&str], folder: &Path, config: &str, port: u16) -> Self {
        std::fs::create_dir_all(folder.join("db")).unwrap();
        let file = folder.join("config");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/local/sbin:/usr/sbin:/sbin";
        let mut command = Command::new(program);
        command.env("PATH", path).args(arguments).arg(file).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let mut peer = Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        // A question for the root: any answer will do.
        let question = b"\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\x02\0\x01";
        for _ in 0..200 {
            let _ = socket.send_to(question, peer.address);
            if socket.recv(&mut [0; 512]).is_ok() {
                return peer;
            }
            let ended = peer.child.try_wait().unwrap();
            assert!(ended.is_none(), "{program}: {}", std::fs::read_to_string(folder.join("log")).unwrap());
        }
        panic!("{program} does not answer");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // With SIGTERM the children of the server go as well.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
