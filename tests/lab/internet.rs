//! Two sites of two members each behind home routers, a main server and a client, on an internet of their own.
//!
//! ```text
//!   main 198.51.100.7 ──┐              ┌─ ra 198.51.100.11 ── LAN of a1, a2
//!                   [internet] ────────┤
//!   client 198.51.100.9 ┘              └─ rb 198.51.100.12 ── LAN of b1, b2
//! ```
//! Each machine is a network namespace of that name. Both LANs use the same private addresses, as homes do. The members
//! of site a run a command to learn its public address, those of b have an interface that carries it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use dns::client::{Credentials, Server};
use dns::name::Name;
use dns::record::{Record, Rtype};
use gatehouse::api::dns::model::{DnsStatus, RegisterStatus, Registered};
use gatehouse::api::model::{RoleName, Status};
use gatehouse::clock;
use gatehouse::demo::command::{feed, run};
use gatehouse::demo::inside::FOLDER;
use gatehouse::demo::net::{Machine, move_into};
use gatehouse::demo::software::{Seat, give_up};
use rustix::process::{Pid, Signal, kill_process};

use crate::kit::{Config, get, m, program, words_at};

/// The zone that the main server keeps, and the name of both sites.
pub const ZONE: &str = "cloud.example.com";
/// What begins everywhere must have come about after this, on a machine that is busy.
pub const START: Duration = Duration::from_secs(40);
/// A change is told within two seconds of being known, and this is the slack of a busy machine on top.
pub const AT_ONCE: Duration = Duration::from_secs(2 + 4);

const MAIN: &str = "198.51.100.7:53";
const KEY: &str =
    "[[dns.key]]\nname = \"site\"\nsecret = { base64 = \"YSBzZWNyZXQgb2YgdHdvIHNpdGVzIGFuZCBhIHNlcnZlcg==\" }\n";

/// A site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    A,
    B,
}

impl Home {
    /// Its members.
    pub fn members(self) -> [&'static str; 2] {
        match self {
            Home::A => ["a1", "a2"],
            Home::B => ["b1", "b2"],
        }
    }

    fn router(self) -> &'static str {
        match self {
            Home::A => "ra",
            Home::B => "rb",
        }
    }

    /// Its source of the public address.
    fn source(self) -> String {
        match self {
            Home::A => format!("{{ command = [\"cat\", \"{}\"] }}", public_of_a().display()),
            Home::B => "{ interface = \"wan0\" }".to_owned(),
        }
    }
}

/// All of it; dropping it ends every daemon.
pub struct Internet {
    main: Option<Daemon>,
    members: Vec<(&'static str, Option<Daemon>)>,
}

impl Internet {
    /// Builds it and starts everything; the sites ask for a lease of `lease` seconds. Waits until both are told, at these
    /// public addresses.
    pub fn open(lease: u32, a: &str, b: &[&str]) -> Result<Internet> {
        build().context("building the internet")?;
        fs::write(public_of_a(), a)?;
        for address in b {
            change_b(&[], &[address])?;
        }
        let mut internet = Internet { main: None, members: Vec::new() };
        internet.start_main()?;
        for home in [Home::A, Home::B] {
            for name in home.members() {
                configure(home, name, lease)?;
                internet.start(name)?;
            }
        }
        let sites = addresses(&[&[a], b].concat())?;
        internet.until(START, "both sites are told", |internet| Ok(internet.hears(ZONE)? == sites))?;
        for name in ["a1", "a2", "b1", "b2"] {
            internet.until(START, &format!("{name} is told"), |internet| {
                Ok(internet.hears_of(name)? == own(name)? && internet.register(name)?.good)
            })?;
        }
        Ok(internet)
    }

    /// Starts the main server, and waits until it answers.
    pub fn start_main(&mut self) -> Result<()> {
        let folder = Path::new(FOLDER).join("main");
        fs::create_dir_all(&folder)?;
        let config = folder.join("dns.toml");
        let at = folder.display();
        let text = format!(
            "name = \"main\"\nstate = \"{at}/state\"\ncontrol = \"{at}/control.sock\"\n[dns]\nlisten = [\"{MAIN}\"]\n{KEY}\
             [[dns.zone]]\nname = \"{ZONE}\"\n[[dns.zone.update]]\nkey = \"site\"\nnames = [\"@\", \"*\"]\n\
             types = [\"A\", \"AAAA\"]\n"
        );
        fs::write(&config, text)?;
        self.main = Some(Daemon::start("main", &["dns", "serve", "--config"], &config)?);
        self.until(START, "the main server answers", |internet| {
            Ok(internet.ask(ZONE, Rtype::SOA).is_ok_and(|records| !records.is_empty()))
        })
    }

    /// Kills the main server as a power cut would.
    pub fn kill_main(&mut self) -> Result<()> {
        self.main.take().context("the main server does not run")?.kill()
    }

    /// Starts a member.
    pub fn start(&mut self, name: &'static str) -> Result<()> {
        let daemon = Daemon::start(name, &["run", "--config"], &seat(name)?.file("gatehouse.toml"))?;
        self.members.retain(|(other, _)| *other != name);
        self.members.push((name, Some(daemon)));
        Ok(())
    }

    /// Kills a member.
    pub fn kill(&mut self, name: &str) -> Result<()> {
        self.take(name)?.kill()
    }

    /// Ends a member in good order.
    pub fn end(&mut self, name: &str) -> Result<()> {
        self.take(name)?.end()
    }

    /// The holder of a site and the other member, once one holds and both say so.
    pub fn holder(&self, home: Home) -> Result<(&'static str, &'static str)> {
        let [one, other] = home.members();
        let mut found = None;
        self.until(START, "one member holds", |_| {
            let roles = [status(one)?.role, status(other)?.role];
            found = match roles {
                [RoleName::Holder, RoleName::Standby] => Some((one, other)),
                [RoleName::Standby, RoleName::Holder] => Some((other, one)),
                _ => None,
            };
            Ok(found.is_some())
        })?;
        found.context("nobody holds")
    }

    /// Has the holder hand over to the other.
    pub fn give_up(&self, holder: &str) -> Result<()> {
        give_up(&program(), &seat(holder)?)
    }

    /// The addresses of a name at the main server, as a client on the internet hears them.
    pub fn hears(&self, name: &str) -> Result<BTreeSet<IpAddr>> {
        let mut found = BTreeSet::new();
        for rtype in [Rtype::A, Rtype::AAAA] {
            for record in self.ask(name, rtype)? {
                found.insert(match rtype {
                    Rtype::A => IpAddr::from(<[u8; 4]>::try_from(&*record.rdata)?),
                    _ => IpAddr::from(<[u8; 16]>::try_from(&*record.rdata)?),
                });
            }
        }
        Ok(found)
    }

    /// The addresses of a member's own name.
    pub fn hears_of(&self, member: &str) -> Result<BTreeSet<IpAddr>> {
        self.hears(&format!("{member}.{ZONE}"))
    }

    /// What the main server answers a client.
    pub fn ask(&self, name: &str, rtype: Rtype) -> Result<Vec<Record>> {
        let name: Name = name.parse()?;
        let server = Server { address: MAIN.parse::<SocketAddr>()?, credentials: Credentials::None };
        std::thread::scope(|scope| {
            let asking = scope.spawn(move || -> Result<Vec<Record>> {
                move_into(Machine::Client)?;
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                Ok(runtime.block_on(server.query(name.as_ref(), rtype))?)
            });
            asking.join().map_err(|_| anyhow!("the client panicked"))?
        })
    }

    /// What a member says of its registration.
    pub fn register(&self, name: &str) -> Result<RegisterStatus> {
        let status: DnsStatus = serde_json::from_str(&get(&seat(name)?, "/v1/dns")?)?;
        status.register.context("it registers nothing")
    }

    /// Whether the main server has confirmed to a member that the sites' name has this address.
    pub fn has_told(&self, name: &str, address: &str) -> Result<bool> {
        let entry = Registered { name: ZONE.to_owned(), address: address.to_owned() };
        Ok(self.register(name)?.told.contains(&entry))
    }

    /// Waits until something is so.
    pub fn until(&self, limit: Duration, what: &str, mut so: impl FnMut(&Internet) -> Result<bool>) -> Result<()> {
        let give_up_at = clock::now() + limit;
        loop {
            let seen = so(self);
            if matches!(seen, Ok(true)) {
                return Ok(());
            }
            if clock::now() >= give_up_at {
                bail!("waited {limit:?} in vain: {what} ({seen:?})\n{}", self.picture());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until something is so, while in every answer the sites' name has these addresses.
    pub fn until_with(
        &self,
        limit: Duration,
        always: &BTreeSet<IpAddr>,
        what: &str,
        mut so: impl FnMut(&Internet) -> Result<bool>,
    ) -> Result<()> {
        let mut lost = None;
        self.until(limit, what, |internet| {
            let heard = internet.hears(ZONE)?;
            if !heard.is_superset(always) {
                lost.get_or_insert(heard);
            }
            Ok(lost.is_some() || so(internet)?)
        })?;
        ensure!(lost.is_none(), "until {what}: {lost:?} was answered, without {always:?}\n{}", self.picture());
        Ok(())
    }

    /// For so long, in every answer the sites' name has exactly these addresses.
    pub fn stays(&self, span: Duration, exactly: &BTreeSet<IpAddr>) -> Result<()> {
        let end = clock::now() + span;
        while clock::now() < end {
            let heard = self.hears(ZONE)?;
            ensure!(heard == *exactly, "{heard:?} was answered, not {exactly:?}\n{}", self.picture());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// What is seen now, for people who wonder why nothing works.
    fn picture(&self) -> String {
        let mut picture = format!("the sites: {:?}\n", self.hears(ZONE));
        for (name, daemon) in &self.members {
            let Ok(seat) = seat(name) else { continue };
            let runs = if daemon.is_some() { "runs" } else { "does not run" };
            picture.push_str(&format!("{name} {runs}: {:?}\n{}\n", self.register(name), words_at(&seat)));
        }
        picture
    }

    fn take(&mut self, name: &str) -> Result<Daemon> {
        let member = self.members.iter_mut().find(|(member, _)| *member == name);
        member.and_then(|(_, daemon)| daemon.take()).with_context(|| format!("{name} does not run"))
    }
}

/// The addresses that these texts mean.
pub fn addresses(texts: &[&str]) -> Result<BTreeSet<IpAddr>> {
    Ok(texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?)
}

/// A member's own address.
pub fn own(name: &str) -> Result<BTreeSet<IpAddr>> {
    addresses(&[&format!("192.168.77.2{}", number(name))])
}

/// Site a's gateway has another address from now on.
pub fn change_a(to: &str) -> Result<()> {
    Ok(fs::write(public_of_a(), to)?)
}

/// Takes addresses of site b away, and adds others.
pub fn change_b(from: &[&str], to: &[&str]) -> Result<()> {
    for name in Home::B.members() {
        let added = to.iter().map(|address| format!("addr add {address} dev wan0\n"));
        let removed = from.iter().map(|address| format!("addr del {address} dev wan0\n"));
        script(name, &added.chain(removed).collect::<String>())?;
    }
    Ok(())
}

/// Pulls or plugs the cable between a site's router and the internet.
pub fn uplink(home: Home, state: &str) -> Result<()> {
    script("internet", &format!("link set {} {state}\n", home.router()))
}

/// How many datagrams have come to the main server's machine while nothing listened there.
pub fn knocks() -> Result<u64> {
    let output = Command::new("ip").args(["netns", "exec", "main", "cat", "/proc/net/snmp"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (heads, values) = (lines.next().context("no figures")?, lines.next().context("no figures")?);
    let mut pairs = heads.split(' ').zip(values.split(' '));
    let (_, value) = pairs.find(|(head, _)| *head == "NoPorts").context("no such figure")?;
    Ok(value.parse()?)
}

/// A running daemon; dropping it kills it.
struct Daemon(Child);

impl Daemon {
    /// Starts the program in a machine; what it says goes to `log` beside its configuration.
    fn start(machine: &str, arguments: &[&str], config: &Path) -> Result<Daemon> {
        let log = File::options().create(true).append(true).open(config.with_file_name("log"))?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", machine]).arg(program()).args(arguments).arg(config);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(Daemon(command.spawn().with_context(|| format!("starting the daemon on {machine}"))?))
    }

    fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    fn end(mut self) -> Result<()> {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        kill_process(pid, Signal::TERM)?;
        let give_up_at = clock::now() + START;
        loop {
            match self.0.try_wait()? {
                Some(status) => {
                    ensure!(status.success(), "it ended with {status}");
                    return Ok(());
                }
                None => ensure!(clock::now() < give_up_at, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn public_of_a() -> PathBuf {
    Path::new(FOLDER).join("public-of-a")
}

fn number(name: &str) -> &str {
    name.get(1..).unwrap_or_default()
}

fn seat(name: &str) -> Result<Seat> {
    Ok(Seat { member: m(number(name).parse()?), folder: Path::new(FOLDER).join(name) })
}

fn status(name: &str) -> Result<Status> {
    Ok(serde_json::from_str(&get(&seat(name)?, "/v1/status")?)?)
}

fn configure(home: Home, name: &str, lease: u32) -> Result<()> {
    let seat = seat(name)?;
    fs::create_dir_all(&seat.folder)?;
    let more = format!(
        "{KEY}[dns.register]\nserver = \"{MAIN}\"\nzone = \"{ZONE}\"\nkey = \"site\"\nlease = \"{lease}s\"\npublic = {}\n",
        home.source()
    );
    Config { name: Some(name.to_owned()), more, ..Config::default() }.write(&seat)?;
    Ok(())
}

fn build() -> Result<()> {
    for machine in ["internet", "main", "client", "ra", "rb", "a1", "a2", "b1", "b2"] {
        run("ip", &["netns", "add", machine])?;
    }
    script("internet", "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set br0 up\n")?;
    for (machine, address) in [("main", "198.51.100.7"), ("client", "198.51.100.9")] {
        plug("internet", machine, "eth0")?;
        script(machine, &format!("link set lo up\nlink set eth0 up\naddr add {address}/24 dev eth0\n"))?;
    }
    for (home, address) in [(Home::A, "198.51.100.11"), (Home::B, "198.51.100.12")] {
        let router = home.router();
        plug("internet", router, "wan")?;
        script(
            router,
            &format!(
                "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0\nlink set br0 up\nlink set wan up\n\
                 addr add 192.168.77.1/24 dev br0\naddr add {address}/24 dev wan\n"
            ),
        )?;
        run("ip", &["netns", "exec", router, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])?;
        let translation = format!(
            "table ip translation {{
                chain outward {{
                    type nat hook postrouting priority 100;
                    oifname wan snat to {address}
                }}
            }}"
        );
        feed("ip", &["netns", "exec", router, "nft", "-f", "-"], &translation)?;
        for name in home.members() {
            plug(router, name, "eth0")?;
            script(
                name,
                &format!(
                    "link set lo up\nlink set eth0 up\naddr add 192.168.77.2{}/24 dev eth0\n\
                     route add default via 192.168.77.1\nlink add wan0 type bridge\nlink set wan0 up\n",
                    number(name)
                ),
            )?;
        }
    }
    Ok(())
}

/// A cable from a machine's interface to the switch of another; its port there has the machine's name.
fn plug(switch: &str, machine: &str, interface: &str) -> Result<()> {
    script(
        switch,
        &format!(
            "link add {machine} type veth peer name {interface} netns {machine}\nlink set {machine} master br0 up\n"
        ),
    )
}

/// Runs a batch of `ip` commands in a machine.
fn script(machine: &str, commands: &str) -> Result<()> {
    feed("ip", &["-n", machine, "-batch", "-"], commands)
}
