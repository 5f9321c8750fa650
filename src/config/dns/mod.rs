//! `[dns]`: what is served to whom, who may change it, and what the main server is told.
//!
//! As everywhere in `config`, each rule reports its problem with its place and the search goes on. Names of zones and keys
//! are absolute with or without the dot at the end; names in a zone are as `words` says.

pub(super) mod file;
mod keys;
mod register;
mod settings;
mod words;
mod zones;

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ::dns::settings::{Algorithm, Forward, Network, Settings, Tls, Upstream};
use toml::Spanned;

use self::file::{DnsFile, ForwardFile, Texts, TlsFile};
use self::keys::Keys;
use super::checking::Checker;
use super::problem::Problem;
pub use settings::{Dns, DnsSettings, Dyndns, PublicSource, Register};

/// The folder in `state` with journals, keys and transferred zones.
const FOLDER: &str = "dns";
/// Answers that are kept for the networks that are forwarded for.
const CACHE: i64 = 10_000;
/// The same answer so often a second to one network over UDP, and five times as many in all: far more than any resolver
/// asks for again, and at most a few megabits a second for whoever is made a victim.
const RATE: i64 = 50;
/// Fits an answer of the least size with the question and a cookie (RFC 5001 has no limit).
const MAX_IDENTITY: usize = 63;
/// More sockets would be a typing error.
const MAX_LISTENERS: usize = 64;

/// What the rest of the file says that `[dns]` may rest on.
#[derive(Clone, Copy)]
pub(super) struct Rest<'a> {
    /// The member's name.
    pub name: Option<&'a str>,
    /// The state folder.
    pub state: Option<&'a Path>,
    /// Whether there is a LAN interface.
    pub lan: bool,
    /// Whether the internet reaches a DMZ address; none if that is not known.
    pub public: Option<bool>,
}

/// Who is asked for what this machine wants to know itself.
struct Resolvers {
    servers: Vec<Upstream>,
    authorities: Option<PathBuf>,
}

/// What a socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Carrier {
    Udp,
    Tcp,
}

/// The sockets that were named so far, with the key that named each.
type Sockets = BTreeMap<(SocketAddr, Carrier), &'static str>;

impl Checker<'_> {
    /// `[dns]`, if it is there and right.
    pub fn dns(&mut self, section: Option<Spanned<DnsFile>>, rest: Rest<'_>) -> Option<Option<Dns>> {
        let Some(section) = section else { return Some(None) };
        let span = section.span();
        let section = section.into_inner();
        let mut sockets = Sockets::new();
        let listen = self.listeners(section.listen.as_ref(), "listen", 53, &[Carrier::Udp, Carrier::Tcp], &mut sockets);
        let tls = self.tls(section.tls.as_ref(), &mut sockets);
        let keys = self.keys(&section.key);
        let zones = self.zones(&section.zone, &keys);
        let forward = self.forward(section.forward.as_ref());
        let authorities = section.authorities.as_ref().map(|path| self.path(path));
        let authorities = authorities.map_or(Some(None), |path| path.map(Some));
        let servers = self.upstreams(section.resolvers.as_ref());
        let resolvers = servers.zip(authorities).map(|(servers, authorities)| Resolvers { servers, authorities });
        let rate = section.rate.as_ref().map_or(Some(RATE), |rate| self.number(rate, 0, 1_000_000));
        let rate_exempt = match &section.rate_exempt {
            Some(list) => self.networks(list),
            None => Some(nearby()),
        };
        let identity = section.identity.as_ref().map(|text| self.identity(text));
        let dyndns2 = self.dyndns2(section.dyndns2.as_ref(), tls.as_ref().map(Option::is_some), &mut sockets);
        let register = self.register(section.register.as_ref(), &keys, rest, resolvers.as_ref());
        let serves = !section.zone.is_empty() || section.forward.is_some();
        if serves && sockets.is_empty() && section.listen.is_none() {
            return self.missing("dns", span, "listen = [\"192.168.1.11:53\"]");
        }
        if !serves && section.listen.as_ref().is_some_and(|list| !list.get_ref().is_empty()) {
            let listen = section.listen.as_ref().map_or(span, Spanned::span);
            let problem = Problem::new(listen, "there is nothing to serve", "listens for nothing");
            self.findings.add_missing("dns", problem.help("add a [[dns.zone]] or [dns.forward], or remove this"));
            return None;
        }
        let resolvers = resolvers?;
        let rate = u32::try_from(rate?).ok().filter(|rate| *rate > 0);
        let server = Settings {
            listen: listen?,
            tls: tls?,
            state: rest.state?.join(FOLDER),
            keys: keys.whole()?,
            zones: zones?,
            forward: forward?,
            resolvers: resolvers.servers,
            authorities: resolvers.authorities,
            rate,
            rate_exempt: rate_exempt?,
            identity: identity.map_or(Some(None), |identity| identity.map(Some))?,
        };
        Some(Some(Dns { server, dyndns2: dyndns2?, register: register? }))
    }

    /// Addresses to listen on, no socket twice.
    fn listeners(
        &mut self,
        list: Option<&Texts>,
        key: &'static str,
        port: u16,
        carriers: &[Carrier],
        sockets: &mut Sockets,
    ) -> Option<Vec<SocketAddr>> {
        let Some(list) = list else { return Some(Vec::new()) };
        if list.get_ref().len() > MAX_LISTENERS {
            return self.wrong(list.span(), format!("at most {MAX_LISTENERS} addresses"), "too many");
        }
        let mut found = Vec::new();
        for text in list.get_ref() {
            let address = self.listener(text, port);
            let before = address.and_then(|address| {
                let before: Vec<_> = carriers.iter().map(|carrier| sockets.insert((address, *carrier), key)).collect();
                before.into_iter().flatten().next()
            });
            if let Some(before) = before {
                let problem = Problem::new(text.span(), "two listeners have this address and port", "the second one");
                self.findings.add(problem.help(format!("`{before}` has it already")));
            }
            found.push(address);
        }
        found.into_iter().collect()
    }

    fn tls(&mut self, section: Option<&Spanned<TlsFile>>, sockets: &mut Sockets) -> Option<Option<Tls>> {
        let Some(section) = section else { return Some(None) };
        let TlsFile { certificate, key, dot, doh, doq } = section.get_ref();
        let dot = self.listeners(dot.as_ref(), "dot", 853, &[Carrier::Tcp], sockets);
        let doh = self.listeners(doh.as_ref(), "doh", 443, &[Carrier::Tcp], sockets);
        let doq = self.listeners(doq.as_ref(), "doq", 853, &[Carrier::Udp], sockets);
        let mut file = |given: Option<&super::file::Text>, example: &str| match given {
            Some(path) => self.path(path),
            None => self.missing("dns.tls", section.span(), example),
        };
        let certificate = file(certificate.as_ref(), "certificate = \"/etc/gatehouse/dns.crt\"");
        let key = file(key.as_ref(), "key = \"/etc/gatehouse/dns.key\"");
        Some(Some(Tls { certificate: certificate?, key: key?, dot: dot?, doh: doh?, doq: doq? }))
    }

    fn forward(&mut self, section: Option<&Spanned<ForwardFile>>) -> Option<Option<Forward>> {
        let Some(section) = section else { return Some(None) };
        let span = section.span();
        let ForwardFile { networks, upstreams, cache } = section.get_ref();
        let networks = match networks {
            Some(list) => self.networks(list),
            None => self.missing("dns.forward", span.clone(), "networks = [\"192.168.1.0/24\"]"),
        };
        let cache = cache.as_ref().map_or(Some(CACHE), |cache| self.number(cache, 0, 10_000_000));
        let upstreams = match upstreams {
            Some(list) if list.get_ref().is_empty() => {
                self.wrong(list.span(), "there is nobody to forward to", "empty")
            }
            Some(list) => self.upstreams(Some(list)),
            None => self.missing("dns.forward", span, "upstreams = [\"192.168.1.1:53\"]"),
        };
        Some(Some(Forward { networks: networks?, upstreams: upstreams?, cache: usize::try_from(cache?).ok()? }))
    }

    /// What the server calls itself.
    fn identity(&mut self, text: &super::file::Text) -> Option<String> {
        let written = text.get_ref();
        if (1..=MAX_IDENTITY).contains(&written.len()) && written.bytes().all(|octet| (0x20..0x7f).contains(&octet)) {
            return Some(written.clone());
        }
        let message = format!("an identity has 1 to {MAX_IDENTITY} printable ASCII characters");
        let problem = Problem::new(text.span(), message, "cannot be sent");
        self.findings.add(problem.help("remove it, and the server does not say who it is"));
        None
    }

    /// A key that is named somewhere must be one of `[[dns.key]]`.
    fn key_named(&mut self, text: &super::file::Text, keys: &Keys) -> Option<::dns::name::Name> {
        let name = self.dns_name(text)?;
        if keys.knows(&name) {
            return Some(name);
        }
        let problem = Problem::new(text.span(), format!("there is no key `{}`", text.get_ref()), "not known here");
        self.findings.add(problem.help(match keys.nearest(text.get_ref()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => "a key is declared by [[dns.key]]; `gatehouse dns key new` makes one".to_owned(),
        }));
        None
    }

    /// The same for a key that this server signs its own messages with: a public key is of no use for that.
    fn secret_named(&mut self, text: &super::file::Text, keys: &Keys) -> Option<::dns::name::Name> {
        let name = self.key_named(text, keys)?;
        if keys.get(&name).is_some_and(|key| key.algorithm == Algorithm::Sig0) {
            let message = format!("`{}` is a public key: messages to another server need a secret", text.get_ref());
            let problem = Problem::new(text.span(), message, "cannot be signed with");
            self.findings.add(problem.help("`gatehouse dns key new` makes a secret that both servers know"));
            return None;
        }
        Some(name)
    }

    fn seconds(&mut self, text: Option<&super::file::Text>, default: u32, least: u32, most: u32) -> Option<u32> {
        let Some(text) = text else { return Some(default) };
        let seconds = self.duration(text)?.as_secs();
        match u32::try_from(seconds) {
            Ok(seconds) if (least..=most).contains(&seconds) => Some(seconds),
            _ => self.wrong(text.span(), format!("must be between {least}s and {most}s"), "out of range"),
        }
    }
}

/// The networks that no router of the internet knows: nobody far away is made a victim through them.
fn nearby() -> Vec<Network> {
    let network = |address: [u8; 4], prefix| Network { address: address.into(), prefix };
    let network_v6 = |first: u16, prefix| Network { address: Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0).into(), prefix };
    vec![
        network([127, 0, 0, 0], 8),
        network([10, 0, 0, 0], 8),
        network([172, 16, 0, 0], 12),
        network([192, 168, 0, 0], 16),
        network([169, 254, 0, 0], 16),
        Network { address: Ipv6Addr::LOCALHOST.into(), prefix: 128 },
        network_v6(0xfc00, 7),
        network_v6(0xfe80, 10),
    ]
}

/// Where a table's key is wanted: at the value that is there, else at the table.
fn place<T>(value: Option<&Spanned<T>>, table: &Range<usize>) -> Range<usize> {
    value.map_or_else(|| table.clone(), Spanned::span)
}
