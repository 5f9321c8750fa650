//! Shapes to [`Settings`]: what is missing, out of range or contradictory.
//!
//! Every rule reports its problem and answers `None`; the settings exist only if no rule did.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::dns::{DnsSettings, Rest};
use super::duration::parse_duration;
use super::file::{DmzFile, File, Text};
use super::problem::{Findings, Problem};
use super::reading::nearest;
use super::settings::{Dmz, MacMode, Settings};
use super::surroundings::Surroundings;
use crate::wire::MAX_NAME;

/// The kernel takes no longer path for a Unix socket.
const MAX_SOCKET_PATH: usize = 107;

/// Checks one file; what it finds goes to `findings`.
pub(super) struct Checker<'a> {
    pub findings: &'a mut Findings,
    pub surroundings: &'a Surroundings,
    /// Where relative paths start.
    pub folder: PathBuf,
}

impl Checker<'_> {
    /// The settings that `file` means; if some are returned but something was found, they are not to be used.
    pub fn settings(&mut self, file: File) -> Option<Settings> {
        let name = self.name(file.name);
        let state = file.state.map_or_else(|| Some(self.surroundings.state()), |path| self.path(&path));
        let control = self.control(file.control, state.as_deref());
        let dmz = self.dmz(file.dmz);
        let lan = self.lan(file.lan, dmz.as_ref());
        let checks = self.checks(file.check);
        let record = file.record.and_then(|section| match &section.get_ref().file {
            Some(path) => self.path(path),
            None => self.missing("record", section.span(), "file = \"/var/lib/gatehouse/inputs\""),
        });
        let public = dmz.as_ref().map(Dmz::is_public);
        let rest = Rest { name: name.as_deref(), state: state.as_deref(), lan: true, public };
        let dns = self.dns(file.dns, rest);
        Some(Settings {
            name: name?,
            state: state?,
            control: control?,
            lan: lan?,
            dmz: dmz?,
            checks: checks?,
            record,
            dns: dns?,
        })
    }

    /// What a DNS server without a site needs of `file`; the rest of it is not looked at.
    pub fn dns_alone(&mut self, file: File) -> Option<DnsSettings> {
        let name = self.name(file.name);
        let state = file.state.map_or_else(|| Some(self.surroundings.state()), |path| self.path(&path));
        let control = self.control(file.control, state.as_deref());
        let public = file.dmz.is_none().then_some(false);
        let rest = Rest { name: name.as_deref(), state: state.as_deref(), lan: false, public };
        let Some(dns) = self.dns(file.dns, rest)? else {
            return self.missing("", 0..0, "[dns] with listen = [\"192.0.2.53:53\"] and [[dns.zone]]");
        };
        Some(DnsSettings { name: name?, state: state?, control: control?, dns })
    }

    fn name(&mut self, name: Option<Text>) -> Option<String> {
        let Some(name) = name else {
            let hostname = self.surroundings.hostname.clone();
            if !is_name(&hostname) {
                let problem = Problem::new(0..0, "this machine's host name cannot serve as the member's name", "here");
                self.findings.add_missing("", problem.help("give one: name = \"…\""));
                return None;
            }
            return Some(hostname);
        };
        self.given_name(&name)
    }

    /// A name for people, of a member or a check.
    pub fn given_name(&mut self, name: &Text) -> Option<String> {
        if is_name(name.get_ref()) {
            return Some(name.get_ref().clone());
        }
        let message = format!("a name has 1 to {MAX_NAME} bytes and no control characters");
        self.wrong(name.span(), message, "not a name")
    }

    fn control(&mut self, control: Option<Text>, state: Option<&Path>) -> Option<PathBuf> {
        let span = control.as_ref().map_or(0..0, Spanned::span);
        let path = match control {
            Some(path) => self.path(&path)?,
            None => self.surroundings.control(state?),
        };
        if path.as_os_str().len() > MAX_SOCKET_PATH {
            let message = format!("the path of a socket has at most {MAX_SOCKET_PATH} bytes");
            return self.wrong(span, message, "the control socket's path is too long");
        }
        Some(path)
    }

    fn dmz(&mut self, section: Option<Spanned<DmzFile>>) -> Option<Dmz> {
        const HELP: &str = "[dmz] with address = [\"192.168.1.11/24\"]";
        let Some(section) = section else { return self.missing("", 0..0, HELP) };
        let span = section.span();
        let section = section.into_inner();
        let mac = self.choice(section.mac.as_ref(), &[("virtual", MacMode::Virtual), ("nic", MacMode::Nic)]);
        let mode = self.choice(section.mode.as_ref(), &[("standby", true), ("direct", false), ("shared", false)]);
        if let (Some(false), Some(mode)) = (mode, &section.mode) {
            let message = format!("mode `{}` is not available yet in this version", mode.get_ref());
            self.findings.add(Problem::new(mode.span(), message, "not yet").help("use mode = \"standby\""));
        }
        let Some(addresses) = section.address else {
            return self.missing("dmz", span, "address = [\"192.168.1.11/24\"]");
        };
        let mut dmz = Dmz { v4: None, v6: None, mac: mac? };
        let mut good = true;
        for address in addresses.get_ref() {
            let doubled = match self.cidr(address) {
                Some((IpAddr::V4(v4), prefix)) => dmz.v4.replace((v4, prefix)).is_some(),
                Some((IpAddr::V6(v6), prefix)) => dmz.v6.replace((v6, prefix)).is_some(),
                None => {
                    good = false;
                    continue;
                }
            };
            if doubled {
                let problem =
                    Problem::new(address.span(), "a site has one DMZ address of each family", "the second one");
                self.findings.add(problem.help("the gateway forwards to one address; remove the other"));
            }
        }
        if addresses.get_ref().is_empty() {
            return self.wrong(addresses.span(), "at least one DMZ address is needed", "none here");
        }
        good.then_some(dmz)
    }

    fn cidr(&mut self, text: &Text) -> Option<(IpAddr, u8)> {
        const HELP: &str = "write address and prefix length as on the LAN interface: 192.168.1.11/24";
        let parsed = text.get_ref().split_once('/').and_then(|(address, prefix)| {
            let address: IpAddr = address.parse().ok()?;
            let prefix: u8 = prefix.parse().ok()?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            (1..=longest).contains(&prefix).then_some((address, prefix))
        });
        let Some((address, prefix)) = parsed else {
            let problem = Problem::new(text.span(), "not an address with its prefix length", "not understood");
            self.findings.add(problem.help(HELP));
            return None;
        };
        if let Some(kind) = unfit(address, prefix) {
            let problem = Problem::new(text.span(), format!("no machine can hold {kind}"), kind);
            self.findings.add(problem.help("name the one LAN address that the gateway forwards to"));
            return None;
        }
        Some((address, prefix))
    }

    /// A path of the file: relative ones start at the file's folder.
    pub fn path(&mut self, text: &Text) -> Option<PathBuf> {
        if text.get_ref().is_empty() || text.get_ref().contains('\0') {
            return self.wrong(text.span(), "not a path", "not understood");
        }
        Some(self.folder.join(text.get_ref()))
    }

    /// An address of one machine with its port, which is `port` unless given.
    pub fn address(&mut self, text: &Text, port: u16) -> Option<SocketAddr> {
        let whole = text.get_ref();
        let bare = || whole.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
        let parsed: Option<SocketAddr> = whole.parse().ok().or_else(bare);
        let fits = |found: &SocketAddr| found.port() != 0 && !found.ip().is_multicast() && !found.ip().is_unspecified();
        let found = parsed.filter(fits);
        if found.is_none() {
            let problem = Problem::new(text.span(), "not an address with its port", "not understood");
            self.findings
                .add(problem.help("numbers only, as 192.168.1.20:80 or [fd00::20]:80; names are not looked up"));
        }
        found
    }

    /// A span of time.
    pub fn duration(&mut self, text: &Text) -> Option<Duration> {
        match parse_duration(text.get_ref()) {
            Ok(duration) => Some(duration),
            Err(error) => {
                let problem = Problem::new(text.span(), error.to_string(), "not a duration");
                self.findings.add(problem.help("as in \"100ms\", \"1.5s\" or \"2m\""));
                None
            }
        }
    }

    /// A number from `least` to `most`.
    pub fn number(&mut self, given: &Spanned<i64>, least: i64, most: i64) -> Option<i64> {
        let number = *given.get_ref();
        if (least..=most).contains(&number) {
            return Some(number);
        }
        self.wrong(given.span(), format!("must be between {least} and {most}"), "out of range")
    }

    /// What the word stands for; the first one if none is given.
    pub fn choice<T: Copy>(&mut self, word: Option<&Text>, known: &[(&'static str, T)]) -> Option<T> {
        let Some(word) = word else { return known.first().map(|(_, meaning)| *meaning) };
        if let Some((_, meaning)) = known.iter().find(|(name, _)| name == word.get_ref()) {
            return Some(*meaning);
        }
        let names: Vec<&'static str> = known.iter().map(|(name, _)| *name).collect();
        let help = match nearest(word.get_ref(), &names) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("one of: {}", names.join(", ")),
        };
        let message = format!("unknown value `{}`", word.get_ref());
        self.findings.add(Problem::new(word.span(), message, "not known here").help(help));
        None
    }

    /// Reports a problem that has no better help than its message.
    pub fn wrong<T>(&mut self, span: Range<usize>, message: impl Into<String>, label: &str) -> Option<T> {
        self.findings.add(Problem::new(span, message, label));
        None
    }

    /// Reports what is missing: the key or section that `example` starts with.
    pub fn missing<T>(&mut self, section: &str, span: Range<usize>, example: &str) -> Option<T> {
        let what = example.split(' ').next().unwrap_or(example);
        let problem = Problem::new(span, format!("`{what}` is missing"), "needed here");
        self.findings.add_missing(section, problem.help(format!("add {example}")));
        None
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && !text.chars().any(char::is_control)
}

/// Why no machine can hold the address, if so.
fn unfit(address: IpAddr, prefix: u8) -> Option<&'static str> {
    if address.is_unspecified() {
        return Some("the unspecified address");
    }
    if address.is_loopback() {
        return Some("a loopback address");
    }
    if address.is_multicast() {
        return Some("a multicast address");
    }
    match address {
        IpAddr::V4(v4) => {
            let host = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            match v4.to_bits() & host {
                _ if v4.is_broadcast() => Some("a broadcast address"),
                // RFC 3021: a /31 has neither a network nor a broadcast address.
                _ if prefix >= 31 => None,
                0 => Some("a network address"),
                bits if bits == host => Some("a broadcast address"),
                _ => None,
            }
        }
        IpAddr::V6(v6) => {
            let host = u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
            match v6.to_bits() & host {
                _ if v6.to_ipv4_mapped().is_some() => Some("an IPv4-mapped address"),
                // RFC 4291, 2.6.1; RFC 6164 frees /127.
                0 if prefix < 127 => Some("the subnet-router anycast address"),
                _ => None,
            }
        }
    }
}
