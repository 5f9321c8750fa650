//! A LAN of its own: a switch, a home router, members, and a client behind the router's other side.
//!
//! ```text
//!   client 203.0.113.2 ── wan [router] lan 192.168.77.1 ──┐
//!                                                     [switch]── m1 192.168.77.21, m2 .22 …
//! ```
//! Each machine is a network namespace of that name; the switch is a bridge without spanning tree or snooping, whose
//! ports have the members' names. The router forwards UDP and TCP ports of its outer address to the DMZ address
//! without changing the client's address, as home routers do. Linux, `ip` and `nft` do the work.
//!
//! A *cut* port is down: the member sees no carrier. A *silent* port drops every frame: the member sees a working
//! link, as a virtual machine does when a switch further away dies.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;

use anyhow::{Context, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::command::{feed, run};
use super::member::Member;

/// The address that the router forwards to.
pub const DMZ: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 11);
/// The same for IPv6, which needs no forwarding.
pub const DMZ_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x11);
/// The router's outer address: what the world knows of the site.
pub const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The forwarded UDP port that answers probes.
pub const PROBE_PORT: u16 = 7070;
/// The forwarded TCP port that answers HTTP.
pub const HTTP_PORT: u16 = 80;

/// One machine of the LAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// The switch, with one port per member.
    Switch,
    /// The home router.
    Router,
    /// Somebody on the internet.
    Client,
    /// A member of the site.
    Member(Member),
}

impl Machine {
    /// Its namespace's name.
    pub fn name(self) -> String {
        match self {
            Machine::Switch => "switch".to_owned(),
            Machine::Router => "router".to_owned(),
            Machine::Client => "client".to_owned(),
            Machine::Member(member) => member.to_string(),
        }
    }
}

/// The LAN; it goes away with the namespaces around it.
#[derive(Debug)]
pub struct Lan {
    members: Vec<Member>,
}

impl Lan {
    /// Builds everything, with `members` members.
    ///
    /// # Errors
    /// When a tool is missing or refuses.
    pub fn build(members: usize) -> Result<Lan> {
        let lan = Lan { members: Member::first(members).collect() };
        for machine in [Machine::Switch, Machine::Router, Machine::Client].into_iter().chain(lan.machines()) {
            run("ip", &["netns", "add", &machine.name()])?;
        }
        lan.sysctl(Machine::Switch, "net/ipv6/conf/default/disable_ipv6", "1")?;
        lan.sysctl(Machine::Router, "net/ipv4/ip_forward", "1")?;
        lan.sysctl(Machine::Router, "net/ipv6/conf/all/forwarding", "1")?;
        lan.configure(Machine::Switch, &lan.switch_script())?;
        lan.configure(Machine::Router, ROUTER)?;
        lan.configure(Machine::Client, CLIENT)?;
        for &member in &lan.members {
            lan.configure(Machine::Member(member), &member_script(member))?;
        }
        lan.within(Machine::Router, || feed("nft", &["-f", "-"], &forwarding()))??;
        lan.within(Machine::Switch, || feed("nft", &["-f", "-"], FAULTS))??;
        Ok(lan)
    }

    /// The members, in order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Runs `work` on a thread inside a machine; processes and sockets it makes stay there.
    ///
    /// # Errors
    /// When the machine cannot be entered.
    pub fn within<T: Send>(&self, machine: Machine, work: impl FnOnce() -> T + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(move || -> Result<T> {
                move_into(machine)?;
                Ok(work())
            });
            inside.join().map_err(|_| anyhow!("the work inside {} panicked", machine.name()))?
        })
    }

    /// Writes a kernel setting of a machine; `key` is its path below `/proc/sys`.
    ///
    /// # Errors
    /// When there is no such setting.
    pub fn sysctl(&self, machine: Machine, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{key}");
        self.within(machine, || std::fs::write(&path, value))?.with_context(|| path.clone())
    }

    /// Runs a batch of `ip` commands in a machine.
    ///
    /// # Errors
    /// With what `ip` said.
    pub fn configure(&self, machine: Machine, script: &str) -> Result<()> {
        feed("ip", &["-n", &machine.name(), "-batch", "-"], script)
    }

    /// Pulls a member's cable: it sees no carrier.
    ///
    /// # Errors
    /// With what `ip` said.
    pub fn cut(&self, member: Member) -> Result<()> {
        run("ip", &["-n", "switch", "link", "set", &member.to_string(), "down"])
    }

    /// Drops every frame from and to a member; it sees a working link.
    ///
    /// # Errors
    /// With what `nft` said.
    pub fn silence(&self, member: Member) -> Result<()> {
        self.fault(&format!("add element bridge faults silent {{ \"{member}\" }}"))
    }

    /// Separates these members from all others and from the router.
    ///
    /// # Errors
    /// With what `nft` said.
    pub fn part(&self, side: &[Member]) -> Result<()> {
        let mut pairs = Vec::new();
        for one in side.iter().map(Member::to_string) {
            let others = self.members.iter().filter(|other| !side.contains(other)).map(Member::to_string);
            for other in others.chain(["router".to_owned()]) {
                pairs.push(format!("\"{one}\" . \"{other}\", \"{other}\" . \"{one}\""));
            }
        }
        self.fault(&format!("add element bridge faults parted {{ {} }}", pairs.join(", ")))
    }

    /// Undoes [`Lan::cut`] and [`Lan::silence`] for a member.
    ///
    /// # Errors
    /// With what the tools said.
    pub fn heal(&self, member: Member) -> Result<()> {
        self.fault(&format!(
            "add element bridge faults silent {{ \"{member}\" }}; delete element bridge faults silent {{ \"{member}\" }}"
        ))?;
        run("ip", &["-n", "switch", "link", "set", &member.to_string(), "up"])
    }

    /// Undoes [`Lan::part`].
    ///
    /// # Errors
    /// With what `nft` said.
    pub fn join(&self) -> Result<()> {
        self.fault("flush set bridge faults parted")
    }

    fn machines(&self) -> impl Iterator<Item = Machine> {
        self.members.iter().copied().map(Machine::Member)
    }

    fn fault(&self, command: &str) -> Result<()> {
        self.within(Machine::Switch, || run("nft", &[command]))?
    }

    fn switch_script(&self) -> String {
        let mut script = String::from(
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\n\
             link set br0 address 02:00:00:00:77:00 up\n\
             link add router type veth peer name lan address 02:00:00:00:77:01 netns router\n\
             link set router master br0 up\n",
        );
        for member in &self.members {
            let last = 0x21 + member.index();
            script.push_str(&format!(
                "link add {member} type veth peer name eth0 address 02:00:00:00:77:{last:02x} netns {member}\n\
                 link set {member} master br0 up\n"
            ));
        }
        script
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for machine in [Machine::Client, Machine::Router, Machine::Switch].into_iter().chain(self.machines()) {
            // The kernel removes what is left when the namespaces around it end.
            let _ = run("ip", &["netns", "del", &machine.name()]);
        }
    }
}

/// Moves the calling thread into a machine for the rest of its life.
///
/// # Errors
/// When there is no such machine.
pub fn move_into(machine: Machine) -> Result<()> {
    enter_namespace(&open_namespace(machine)?)
}

/// A handle on a machine's network namespace.
pub(super) fn open_namespace(machine: Machine) -> Result<File> {
    let path = format!("/run/netns/{}", machine.name());
    File::open(&path).context(path)
}

/// Moves the calling thread into an opened namespace.
pub(super) fn enter_namespace(namespace: &File) -> Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).context("entering a namespace")
}

const ROUTER: &str = "\
    link set lo up\n\
    link set lan up\n\
    addr add 192.168.77.1/24 dev lan\n\
    addr add fd77::1/64 dev lan nodad\n\
    link add wan address 02:00:00:01:13:01 type veth peer name eth0 address 02:00:00:01:13:02 netns client\n\
    link set wan up\n\
    addr add 203.0.113.1/24 dev wan\n\
    addr add 2001:db8:113::1/64 dev wan nodad\n";

const CLIENT: &str = "\
    link set lo up\n\
    link set eth0 up\n\
    addr add 203.0.113.2/24 dev eth0\n\
    addr add 2001:db8:113::2/64 dev eth0 nodad\n\
    route add default via 2001:db8:113::1\n";

fn member_script(member: Member) -> String {
    let address = member.address();
    let last = address.octets()[3];
    format!(
        "link set lo up\n\
         link set eth0 up\n\
         addr add {address}/24 dev eth0\n\
         addr add fd77::{last}/64 dev eth0 nodad\n\
         route add default via 192.168.77.1\n\
         route add default via fd77::1\n"
    )
}

fn forwarding() -> String {
    format!(
        "table ip forwarding {{
            chain inward {{
                type nat hook prerouting priority -100;
                iifname wan udp dport {PROBE_PORT} dnat to {DMZ}
                iifname wan tcp dport {HTTP_PORT} dnat to {DMZ}
            }}
        }}"
    )
}

/// The witnesses' frames carry hardware addresses from 02:47:48::/24 that no port has; they need not be flooded.
const FAULTS: &str = "
    table bridge faults {
        set silent { type ifname; }
        set parted { type ifname . ifname; }
        chain inward {
            type filter hook prerouting priority -300;
            iifname @silent drop
            ether daddr & ff:ff:ff:00:00:00 == 02:47:48:00:00:00 drop
        }
        chain across { type filter hook forward priority 0; iifname . oifname @parted drop; }
        chain outward { type filter hook postrouting priority 300; oifname @silent drop; }
    }";
