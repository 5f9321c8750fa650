//! `[lan]`: how members find each other, and how fast.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::checking::Checker;
use super::file::{KeyFile, LanFile, Text};
use super::problem::Problem;
use super::settings::{Dmz, KeySource, Lan};
use super::surroundings::{KeyFault, MIN_PASSPHRASE};
use crate::election::{Prefer, Role, Timing, TimingError};
use crate::units::Priority;

/// The group and port that members meet at, IPv4.
const GROUP_V4: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 71, 72), 7172);
/// The group and port that members meet at, IPv6.
const GROUP_V6: SocketAddrV6 = SocketAddrV6::new(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x4748), 7172, 0, 0);
/// Every beacon goes to every peer; more would flood the LAN.
const MAX_PEERS: usize = 64;
/// The kernel takes no longer interface name.
const MAX_INTERFACE: usize = 15;

impl Checker<'_> {
    /// `[lan]`; which groups it meets at by default depends on the DMZ addresses.
    pub fn lan(&mut self, section: Option<Spanned<LanFile>>, dmz: Option<&Dmz>) -> Option<Lan> {
        let Some(section) = section else { return self.missing("", 0..0, "[lan] with interface = \"eth0\"") };
        let span = section.span();
        let section = section.into_inner();
        let interface = self.interface(section.interface.as_ref(), span.clone());
        let groups = self.groups(&section, dmz);
        let port = groups.map_or(GROUP_V4.port(), |(v4, v6)| {
            v4.map(|group| group.port()).or(v6.map(|group| group.port())).unwrap_or(GROUP_V4.port())
        });
        let peers = self.peers(section.peers.as_ref(), port);
        let timing = self.timing(&section);
        let role = self.choice(section.role.as_ref(), &[("candidate", Role::Candidate), ("observer", Role::Observer)]);
        let priority = match &section.priority {
            Some(given) => self.number(given, 0, 255),
            None => Some(100),
        };
        let prefer = self.prefer(&section);
        let key = self.key(section.key.as_ref(), span);
        let (group_v4, group_v6) = groups?;
        let broadcast = section.broadcast.filter(|broadcast| *broadcast.get_ref());
        if let (Some(broadcast), None) = (&broadcast, group_v4) {
            return self.wrong(broadcast.span(), "IPv6 has no broadcast, and no IPv4 group is used", "no effect");
        }
        Some(Lan {
            interface: interface?,
            group_v4,
            group_v6,
            peers: peers?,
            broadcast: broadcast.is_some(),
            timing: timing?,
            role: role?,
            priority: Priority(u8::try_from(priority?).ok()?),
            prefer: prefer?,
            key: key?,
        })
    }

    fn interface(&mut self, interface: Option<&Text>, section: Range<usize>) -> Option<String> {
        let Some(interface) = interface else { return self.missing("lan", section, "interface = \"eth0\"") };
        self.interface_name(interface)
    }

    /// A name that an interface can have.
    pub fn interface_name(&mut self, interface: &Text) -> Option<String> {
        let name = interface.get_ref();
        let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > MAX_INTERFACE || name == "." || name == ".." || name.contains(odd) {
            return self.wrong(interface.span(), "no interface can have this name", "see `ip link`");
        }
        Some(name.clone())
    }

    /// The groups of both families; one of a family is used if it is given, or by default if the DMZ address needs it.
    fn groups(&mut self, section: &LanFile, dmz: Option<&Dmz>) -> Option<(Option<SocketAddrV4>, Option<SocketAddrV6>)> {
        let (v4, mut v6) = match (&section.group, dmz) {
            (Some(text), _) => match self.group(text)? {
                SocketAddr::V4(group) => (Some(group), None),
                SocketAddr::V6(group) => (None, Some(group)),
            },
            (None, Some(Dmz { v4: None, .. })) => (None, Some(GROUP_V6)),
            (None, _) => (Some(GROUP_V4), None),
        };
        if let Some(text) = &section.group_v6 {
            if section.group.is_some() && v6.is_some() {
                return self.wrong(text.span(), "`group` and `group-v6` both name an IPv6 group", "the second one");
            }
            match self.group(text)? {
                SocketAddr::V6(group) => v6 = Some(group),
                SocketAddr::V4(_) => return self.wrong(text.span(), "not an IPv6 group", "put this into `group`"),
            }
            if v4.is_some_and(|group| Some(group.port()) != v6.map(|group| group.port())) {
                // The kernel's fence knows the holder's beacons by one port.
                let problem = Problem::new(text.span(), "both groups must have the same port", "another port");
                self.findings.add(problem.help(format!("`group` is {}", v4.unwrap_or(GROUP_V4))));
                return None;
            }
        }
        Some((v4, v6))
    }

    fn group(&mut self, text: &Text) -> Option<SocketAddr> {
        let group: Option<SocketAddr> = text.get_ref().parse().ok();
        match group.filter(|group| group.ip().is_multicast() && group.port() != 0) {
            Some(group) => Some(group),
            None => {
                let problem = Problem::new(text.span(), "not a multicast group with its port", "not understood");
                self.findings.add(problem.help(format!("the defaults are \"{GROUP_V4}\" and \"{GROUP_V6}\"")));
                None
            }
        }
    }

    fn peers(&mut self, peers: Option<&Spanned<Vec<Text>>>, port: u16) -> Option<Vec<SocketAddr>> {
        let Some(list) = peers else { return Some(Vec::new()) };
        if list.get_ref().len() > MAX_PEERS {
            return self.wrong(list.span(), format!("at most {MAX_PEERS} peers"), "too many");
        }
        let mut peers = Vec::new();
        for text in list.get_ref() {
            peers.push(self.address(text, port));
        }
        peers.into_iter().collect()
    }

    fn timing(&mut self, section: &LanFile) -> Option<Timing> {
        let profiles = [("default", Timing::DEFAULT), ("fast", Timing::FAST), ("quiet", Timing::QUIET)];
        let profile = self.choice(section.profile.as_ref(), &profiles);
        let base = match (&section.profile, &section.beacon) {
            (Some(_), Some(beacon)) => {
                let problem = Problem::new(beacon.span(), "`profile` and `beacon` contradict each other", "remove one");
                self.findings.add(problem.help("a profile is a beacon interval with all that follows from it"));
                return None;
            }
            (None, Some(beacon)) => {
                let interval = self.duration(beacon)?;
                // Where the interval alone is already wrong, the rules below would only repeat it.
                match Timing::from_beacon(interval) {
                    Ok(timing) => timing,
                    Err(error) => return self.wrong(beacon.span(), error.to_string(), "cannot work"),
                }
            }
            _ => profile?,
        };
        let mut set = |given: &Option<Text>, default: Duration| match given {
            Some(text) => self.duration(text),
            None => Some(default),
        };
        let lease = set(&section.lease, base.lease);
        let suspect = set(&section.suspect, base.suspect);
        let question = set(&section.question, base.question);
        let takeover = set(&section.takeover, base.takeover);
        let timing =
            Timing { beacon: base.beacon, lease: lease?, suspect: suspect?, question: question?, takeover: takeover? };
        let Err(error) = timing.checked() else { return self.questions(section, timing) };
        let culprits = match error {
            TimingError::BeaconTooShort | TimingError::BeaconTooLong => [&section.beacon, &section.profile],
            TimingError::LeaseTooShort => [&section.lease, &section.beacon],
            TimingError::TakeoverTooShort => [&section.takeover, &section.lease],
            TimingError::SuspectOutOfRange => [&section.suspect, &section.takeover],
        };
        let span = culprits.iter().find_map(|key| key.as_ref()).map_or(0..0, Spanned::span);
        let problem = Problem::new(span, error.to_string(), "does not fit the others");
        self.findings.add(problem.help(format!(
            "now: beacon {:?}, lease {:?}, suspect {:?}, takeover {:?}",
            timing.beacon, timing.lease, timing.suspect, timing.takeover
        )));
        None
    }

    /// A takeover without a question asked before it would turn every lost beacon into one.
    fn questions(&mut self, section: &LanFile, timing: Timing) -> Option<Timing> {
        let fits = timing.question >= Duration::from_micros(500) && timing.suspect + timing.question <= timing.takeover;
        if fits {
            return Some(timing);
        }
        let keys = [&section.question, &section.takeover, &section.suspect];
        let span = keys.iter().find_map(|key| key.as_ref()).map_or(0..0, Spanned::span);
        let message = "at least one question of 500us or more must fit between suspicion and takeover";
        let problem = Problem::new(span, message, "does not fit the others");
        self.findings.add(problem.help(format!(
            "now: suspect {:?}, question {:?}, takeover {:?}",
            timing.suspect, timing.question, timing.takeover
        )));
        None
    }

    fn prefer(&mut self, section: &LanFile) -> Option<Prefer> {
        let delay = match &section.prefer_delay {
            Some(text) => self.duration(text),
            None => Some(Duration::from_secs(60)),
        };
        let priority = self.choice(section.prefer.as_ref(), &[("stay", false), ("priority", true)])?;
        if let (false, Some(delay)) = (priority, &section.prefer_delay) {
            let problem =
                Problem::new(delay.span(), "`prefer-delay` has no meaning with prefer = \"stay\"", "no effect");
            self.findings.add(problem.help("add prefer = \"priority\", or remove this"));
        }
        Some(if priority { Prefer::Priority { delay: delay? } } else { Prefer::Stay })
    }

    fn key(&mut self, key: Option<&Spanned<KeyFile>>, section: Range<usize>) -> Option<KeySource> {
        const HELP: &str = "key = { passphrase = \"…\" } or key = { file = \"…\" }, the same on all members";
        let Some(key) = key else { return self.missing("lan", section, HELP) };
        let KeyFile { passphrase, file } = key.get_ref();
        match (passphrase, file) {
            (Some(_), Some(_)) => self.wrong(key.span(), "a key is either a passphrase or a file", "both are here"),
            (None, None) => self.missing("lan.key", key.span(), HELP),
            (Some(phrase), None) if phrase.get_ref().trim().chars().count() < MIN_PASSPHRASE => {
                let message = format!("a passphrase has at least {MIN_PASSPHRASE} characters");
                self.wrong(phrase.span(), message, "too short")
            }
            (Some(phrase), None) => Some(KeySource::Passphrase(phrase.get_ref().clone())),
            (None, Some(file)) => {
                let path = self.path(file)?;
                if let Err(fault) = (self.surroundings.inspect_key)(&path) {
                    let help = match &fault {
                        KeyFault::Open => format!("chmod 600 {}", path.display()),
                        KeyFault::Unreadable(_) => "copy the key file that the other members have".to_owned(),
                        KeyFault::TooShort => "make one: head -c 32 /dev/urandom | base64".to_owned(),
                    };
                    self.findings.add(Problem::new(file.span(), fault.to_string(), "this file").help(help));
                }
                Some(KeySource::File(path))
            }
        }
    }
}
