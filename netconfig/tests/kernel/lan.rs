//! A LAN in two namespaces: this process's own has the machine with `eth0`, the other, `lan`, has a bridge with the
//! router's addresses.

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use netconfig::nft::Protection;
use netconfig::{Carrier, Event, Fence, Host, MacBytes, Wanted};
use socket2::{Domain, Socket, Type};

pub const DMZ4: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 11);
pub const DMZ6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x11);
pub const VIRTUAL_MAC: MacBytes = [2, 0, 0x5e, 0, 1, 0x11];
pub const MARK: u32 = 0x4748;
pub const LEASE: Duration = Duration::from_millis(1000);
const PORT: u16 = 7172;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 71, 72);
const INSIDE: &str = "NETCONFIG_LAB_INSIDE";

/// Runs the test's body in namespaces of its own; `name` is the test's path.
pub fn lab<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Machine) -> F) {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(async { body(Machine::new()).await });
    }
    let program = std::env::current_exe().unwrap();
    let test = name.split_once("::").unwrap().1;
    let prepare = "mount -t tmpfs tmpfs /run && exec \"$0\" --exact \"$1\" --nocapture --test-threads 1";
    let isolate = ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child"];
    let possible = Command::new("unshare").args(isolate).args(["mount", "-t", "tmpfs", "tmpfs", "/run"]).output();
    if !possible.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var("LAB").as_deref() != Ok("require"), "cannot make namespaces, and LAB=require");
        // Not `eprintln!`, which the test runner would keep to itself.
        let message = format!("{test}: DID NOT RUN: namespaces cannot be made here\n");
        std::io::stderr().write_all(message.as_bytes()).unwrap();
        return;
    }
    let output = Command::new("unshare")
        .args(isolate)
        .args(["sh", "-c", prepare])
        .arg(program)
        .arg(test)
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "inside the namespaces:\n{said}");
    print!("{}", said.lines().filter(|line| line.starts_with("measured")).collect::<Vec<_>>().join("\n"));
}

/// The machine under test.
pub struct Machine {
    pub undo: PathBuf,
}

impl Machine {
    fn new() -> Machine {
        run("ip link set lo up");
        run("ip netns add lan");
        run("ip -n lan link set lo up");
        run("ip -n lan link add br0 type bridge");
        run("ip netns exec lan sysctl -q net.ipv6.conf.br0.accept_dad=0");
        run("ip -n lan link set br0 up");
        run("ip -n lan address add 192.168.1.1/24 dev br0");
        run("ip -n lan address add fd00::1/64 dev br0 nodad");
        let machine = Machine { undo: PathBuf::from("/run/undo.json") };
        machine.plug("eth0");
        machine
    }

    /// Puts a network card of this name into the machine, with addresses of its own.
    pub fn plug(&self, name: &str) {
        run(&format!("ip link add {name} type veth peer name port netns lan"));
        run("ip -n lan link set port master br0 up");
        run(&format!("sysctl -q net.ipv6.conf.{name}.accept_dad=0"));
        run(&format!("ip link set {name} up"));
        run(&format!("ip address add 192.168.1.2/24 dev {name}"));
        run(&format!("ip address add fd00::2/64 dev {name} nodad"));
    }

    pub fn wanted(&self) -> Wanted {
        Wanted {
            interface: "eth0".to_owned(),
            carrier: Carrier::Macvlan { name: "gh-eth0".to_owned(), mac: VIRTUAL_MAC },
            v4: Some((DMZ4, 24)),
            v6: Some((DMZ6, 64)),
            configured: false,
            fence: Fence { port: PORT, mark: MARK, lease: LEASE },
        }
    }

    pub async fn host(&self) -> Host {
        Host::open(self.wanted(), self.undo.clone()).await.unwrap()
    }

    pub async fn open_host(&self, protection: Protection) -> Host {
        Host::open_with(self.wanted(), self.undo.clone(), protection).await.unwrap()
    }

    /// Sends what looks like a beacon for the DMZ addresses.
    pub fn beacon(&self) {
        self.datagram(Some(MARK), DMZ4, DMZ6, SocketAddr::new(GROUP.into(), PORT));
    }

    /// Sends a datagram whose first bytes are these addresses.
    pub fn datagram(&self, mark: Option<u32>, v4: Ipv4Addr, v6: Ipv6Addr, to: SocketAddr) {
        datagram_from("eth0", mark, [&v4.octets()[..], &v6.octets()].concat(), to);
    }
}

/// Sends what looks like a beacon for the DMZ addresses through another interface.
pub fn beacon_from(interface: &str) {
    let addresses = [&DMZ4.octets()[..], &DMZ6.octets()].concat();
    datagram_from(interface, Some(MARK), addresses, SocketAddr::new(GROUP.into(), PORT));
}

fn datagram_from(interface: &str, mark: Option<u32>, addresses: Vec<u8>, to: SocketAddr) {
    let socket = Socket::new(Domain::for_address(to), Type::DGRAM, None).unwrap();
    if let Some(mark) = mark {
        socket.set_mark(mark).unwrap();
    }
    socket.bind_device(Some(interface.as_bytes())).unwrap();
    let payload = [&addresses[..], &[7; 60]].concat();
    socket.send_to(&payload, &to.into()).unwrap();
}

/// Runs something in the router's namespace, on a thread of its own.
pub fn in_lan<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let space = File::open("/run/netns/lan").unwrap();
            rustix::thread::move_into_link_name_space(space.as_fd(), Some(rustix::thread::LinkNameSpaceType::Network))
                .unwrap();
            work()
        });
        thread.join().unwrap()
    })
}

/// Who answers the router's ARP or neighbour discovery for an address.
pub fn who_has(address: impl Into<IpAddr>) -> Option<MacBytes> {
    let address = address.into();
    in_lan(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(netconfig::arp_resolve("br0", address, Duration::from_millis(150))).unwrap()
    })
}

/// Whether the machine takes in and answers what the router sends to the virtual hardware address without asking first:
/// a datagram to a closed port comes back as "unreachable".
pub fn answers_ip(address: impl Into<IpAddr>) -> bool {
    let address = address.into();
    let [a, b, c, d, e, f] = VIRTUAL_MAC;
    let mac = format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
    run(&format!("ip -n lan neighbour replace {address} lladdr {mac} dev br0 nud permanent"));
    let refused = in_lan(|| {
        let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = std::net::UdpSocket::bind((any, 0)).unwrap();
        socket.connect((address, 9)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(250))).unwrap();
        socket.send(b"anybody there?").unwrap();
        socket.recv(&mut [0; 16]).is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
    });
    run(&format!("ip -n lan neighbour delete {address} dev br0"));
    refused
}

/// Waits for an event that is `expected`; others are let through. Fails after 3 s.
pub async fn expect(host: &mut Host, expected: impl Fn(&Event) -> bool) {
    expect_within(Duration::from_secs(3), host, expected).await;
}

/// Waits for an event that is `expected`; others are let through.
pub async fn expect_within(time: Duration, host: &mut Host, expected: impl Fn(&Event) -> bool) {
    let wait = async {
        loop {
            let event = host.event().await;
            if expected(&event) {
                return;
            }
        }
    };
    tokio::time::timeout(time, wait).await.unwrap();
}

/// Runs a command line; answers with what it printed.
pub fn run(line: &str) -> String {
    let mut words = line.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that this crate could have changed, as text.
pub fn state() -> String {
    let addresses = run("ip -br address");
    let rules = run("nft list ruleset");
    let sysctls: String = ["arp_ignore", "arp_announce", "promote_secondaries"]
        .map(|name| run(&format!("sysctl net.ipv4.conf.eth0.{name}")))
        .concat();
    format!("{addresses}\n{rules}\n{sysctls}")
}
