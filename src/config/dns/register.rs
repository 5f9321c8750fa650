//! `[dns.register]` and `[dns.dyndns2]`: what this member tells the main server, and how routers may tell this one.

use std::ops::Range;
use std::time::Duration;

use ::dns::name::{Name, NameRef};
use toml::Spanned;

use super::file::{DyndnsFile, PublicFile, RegisterFile};
use super::keys::Keys;
use super::settings::{Dyndns, PublicSource, Register};
use super::{Carrier, Resolvers, Rest, Sockets, place};
use crate::config::checking::Checker;
use crate::config::problem::Problem;

/// How long the main server keeps what is not refreshed: a dead site is gone after this.
const LEASE: u32 = 120;
/// A shorter lease would be lost to one update that has to be sent again.
const MIN_LEASE: u32 = 10;
/// A longer one would outlive every outage it is there to show.
const MAX_LEASE: u32 = 86_400;
/// So that caches follow a change about as fast as the zone does.
const TTL: u32 = 60;
/// Names with the same address beyond this are better an alias.
const MAX_NAMES: usize = 16;
/// Where a site's public address may be learnt.
const SOURCES: &str = "one of dyna = \"…\", interface = \"…\", command = […], or resolver = \"…\" with name = \"…\"";

impl Checker<'_> {
    pub(super) fn register(
        &mut self,
        section: Option<&Spanned<RegisterFile>>,
        keys: &Keys,
        rest: Rest<'_>,
        resolvers: Option<&Resolvers>,
    ) -> Option<Option<Register>> {
        const SECTION: &str = "dns.register";
        let Some(section) = section else { return Some(None) };
        let span = section.span();
        let table = section.get_ref();
        let server = match &table.server {
            Some(server) => self.address(server, 53),
            None => self.missing(SECTION, span.clone(), "server = \"198.51.100.7:53\""),
        };
        let zone = match &table.zone {
            Some(zone) => self.dns_name(zone),
            None => self.missing(SECTION, span.clone(), "zone = \"cloud.example.com\""),
        };
        let key = match &table.key {
            Some(key) => self.secret_named(key, keys).map(|name| keys.get(&name)),
            None => self.missing(SECTION, span.clone(), "key = \"k1\""),
        };
        let lease = self.seconds(table.lease.as_ref(), LEASE, MIN_LEASE, MAX_LEASE);
        let ttl = self.seconds(table.ttl.as_ref(), TTL, 0, 86_400);
        let interface = table.interface.as_ref().map(|name| self.interface_name(name));
        let zone = zone?;
        let member = self.member(table, zone.as_ref(), rest, &span);
        let site = self.site(table, zone.as_ref());
        let public = self.public_of(table, rest);
        let (member, site) = (member?, site?);
        if let Some(name) = &member
            && site.contains(name)
        {
            let span = place(table.member.as_ref(), &span);
            let problem = Problem::new(span, format!("`{name}` names the member and its site"), "both");
            self.findings.add(problem.help("give one of them another name: `member`, `site`"));
        }
        Some(Some(Register {
            server: server?,
            zone,
            key: key??,
            member,
            interface: interface.map_or(Some(None), |name| name.map(Some))?,
            site,
            public: public?,
            resolvers: resolvers?.servers.clone(),
            authorities: resolvers?.authorities.clone(),
            lease: Duration::from_secs(lease?.into()),
            ttl: ttl?,
        }))
    }

    /// The member's name in the zone: its own, unless another or none is given.
    fn member(
        &mut self,
        table: &RegisterFile,
        zone: NameRef<'_>,
        rest: Rest<'_>,
        span: &Range<usize>,
    ) -> Option<Option<Name>> {
        match &table.member {
            Some(text) if text.get_ref().is_empty() => Some(None),
            Some(text) => self.name_in(text, zone).map(Some),
            // Without a LAN, and no interface named, there is no address to tell.
            None if !rest.lan && table.interface.is_none() => Some(None),
            None => match host_label(rest.name?).and_then(|label| Name::child(label.as_bytes(), zone).ok()) {
                Some(name) => Some(Some(name)),
                None => {
                    let message = format!("the member's name `{}` is no host name", rest.name?);
                    let problem = Problem::new(span.clone(), message, "needs a name in the zone");
                    self.findings.add(problem.help("add member = \"…\", or member = \"\" for none"));
                    None
                }
            },
        }
    }

    /// The names with the site's public address; the zone's own where none is given.
    fn site(&mut self, table: &RegisterFile, zone: NameRef<'_>) -> Option<Vec<Name>> {
        let Some(list) = &table.site else { return Some(vec![zone.to_owned()]) };
        if list.get_ref().len() > MAX_NAMES {
            return self.wrong(list.span(), format!("at most {MAX_NAMES} names"), "too many");
        }
        let mut names: Vec<Option<Name>> = Vec::new();
        for text in list.get_ref() {
            let name = self.name_in(text, zone);
            if name.is_some() && names.contains(&name) {
                self.findings.add(Problem::new(text.span(), "this name is here twice", "again"));
            }
            names.push(name);
        }
        names.into_iter().collect()
    }

    /// The source that is given; where none is, the DMZ addresses, or nothing if the internet reaches none of them.
    fn public_of(&mut self, table: &RegisterFile, rest: Rest<'_>) -> Option<Option<PublicSource>> {
        if let Some(public) = &table.public {
            return self.public(public).map(Some);
        }
        if rest.public != Some(false) {
            return Some(Some(PublicSource::Dmz));
        }
        match &table.site {
            Some(site) if !site.get_ref().is_empty() => {
                let problem = Problem::new(site.span(), "nothing says what the site's public address is", "for these");
                self.findings.add_missing("dns.register", problem.help(format!("add public = {{ … }} with {SOURCES}")));
                None
            }
            _ => Some(None),
        }
    }

    fn public(&mut self, table: &Spanned<PublicFile>) -> Option<PublicSource> {
        let span = table.span();
        match table.get_ref() {
            PublicFile { dyna: Some(name), interface: None, command: None, resolver: None, name: None } => {
                self.dns_name(name).map(PublicSource::Dyna)
            }
            PublicFile { dyna: None, interface: Some(name), command: None, resolver: None, name: None } => {
                self.interface_name(name).map(PublicSource::Interface)
            }
            PublicFile { dyna: None, interface: None, command: Some(words), resolver: None, name: None } => {
                self.command_words(words).map(PublicSource::Command)
            }
            PublicFile { dyna: None, interface: None, command: None, resolver: Some(resolver), name: Some(name) } => {
                let (resolver, name) = (self.address(resolver, 53), self.dns_name(name));
                Some(PublicSource::Echo { resolver: resolver?, name: name? })
            }
            PublicFile { dyna: None, interface: None, command: None, resolver: Some(_), name: None } => {
                self.missing("dns.register.public", span, "name = \"myip.example.net\", which is asked for")
            }
            _ => {
                let problem = Problem::new(span, "not one source of the public address", "which one?");
                self.findings.add_missing("dns.register.public", problem.help(SOURCES));
                None
            }
        }
    }

    pub(super) fn dyndns2(
        &mut self,
        section: Option<&Spanned<DyndnsFile>>,
        tls: Option<bool>,
        sockets: &mut Sockets,
    ) -> Option<Option<Dyndns>> {
        let Some(section) = section else { return Some(None) };
        let DyndnsFile { listen, tls: encrypted, ttl } = section.get_ref();
        let encrypted_port = encrypted.as_ref().is_some_and(|encrypted| *encrypted.get_ref());
        if let (Some(encrypted), true, Some(false)) = (encrypted, encrypted_port, tls) {
            let problem = Problem::new(encrypted.span(), "there is no certificate", "needs one");
            self.findings.add_missing("dns", problem.help("add [dns.tls] with certificate and key"));
        }
        let port = if encrypted_port { 443 } else { 80 };
        let ttl = self.seconds(ttl.as_ref(), TTL, 0, 86_400);
        let listen = match listen {
            Some(list) if !list.get_ref().is_empty() => {
                self.listeners(Some(list), "dyndns2", port, &[Carrier::Tcp], sockets)
            }
            other => {
                let span = place(other.as_ref(), &section.span());
                self.missing("dns.dyndns2", span, &format!("listen = [\"192.168.1.11:{port}\"]"))
            }
        };
        Some(Some(Dyndns { listen: listen?, tls: encrypted_port, ttl: ttl? }))
    }
}

/// The first label of a host name (RFC 1123, 2.1).
fn host_label(name: &str) -> Option<String> {
    let label = name.split('.').next()?.to_ascii_lowercase();
    let fits = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    (fits && !label.is_empty() && !label.starts_with('-')).then_some(label)
}
