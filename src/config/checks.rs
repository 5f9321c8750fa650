//! `[[check]]` tables to [`Check`]s.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;

use super::checking::Checker;
use super::file::{CheckFile, Text};
use super::problem::Problem;
use super::settings::{Check, CheckProbe, Cost};

/// More checks would cost more than they tell.
const MAX_CHECKS: usize = 32;
/// A DNS name has at most this many bytes in text (RFC 1035, 2.3.4).
const MAX_DNS_NAME: usize = 253;

/// The kinds and the keys that only they know.
const KINDS: [(&str, &[&str]); 5] = [
    ("gateway", &["address"]),
    ("tcp", &["address"]),
    ("http", &["url", "host", "expect"]),
    ("dns", &["server", "query"]),
    ("command", &["command"]),
];

impl Checker<'_> {
    /// The checks, if all are right.
    pub fn checks(&mut self, tables: Vec<Spanned<CheckFile>>) -> Option<Vec<Check>> {
        if let Some(table) = tables.get(MAX_CHECKS) {
            return self.wrong(table.span(), format!("at most {MAX_CHECKS} checks"), "one too many");
        }
        let mut names = BTreeSet::new();
        let mut checks = Vec::new();
        for table in &tables {
            let check = self.check(table.get_ref(), table.span());
            let doubled = check.as_ref().is_some_and(|check| !names.insert(check.name.clone()));
            if doubled {
                let span = table.get_ref().name.as_ref().map_or(table.span(), Spanned::span);
                self.findings.add(Problem::new(span, "two checks have this name", "the second one").help("add a name"));
            }
            checks.push(check);
        }
        checks.into_iter().collect()
    }

    fn check(&mut self, table: &CheckFile, span: Range<usize>) -> Option<Check> {
        let interval = match &table.interval {
            Some(text) => self.duration(text).and_then(|interval| self.interval(interval, text)),
            None => Some(Duration::from_secs(1)),
        };
        let timeout = match (&table.timeout, interval) {
            (Some(text), _) => self.duration(text),
            (None, interval) => interval.map(|interval| (interval / 2).min(Duration::from_millis(500))),
        };
        if let (Some(interval), Some(timeout)) = (interval, timeout)
            && (timeout >= interval || timeout.is_zero())
        {
            let span = table.timeout.as_ref().map_or(span.clone(), Spanned::span);
            self.findings.add(Problem::new(span, "the timeout must be more than 0 and less than the interval", "here"));
        }
        let rise = table.rise.as_ref().map_or(Some(2), |given| self.number(given, 1, 100));
        let fall = table.fall.as_ref().map_or(Some(3), |given| self.number(given, 1, 100));
        let cost = self.cost(table);
        let (kind, probe) = self.probe(table, span)?;
        let name = match &table.name {
            Some(name) => self.given_name(name),
            None => Some(kind.to_owned()),
        };
        Some(Check {
            name: name?,
            probe: probe?,
            interval: interval?,
            timeout: timeout?,
            rise: u32::try_from(rise?).ok()?,
            fall: u32::try_from(fall?).ok()?,
            cost: cost?,
        })
    }

    fn interval(&mut self, interval: Duration, text: &Text) -> Option<Duration> {
        let range = Duration::from_millis(50)..=Duration::from_secs(3600);
        if range.contains(&interval) {
            return Some(interval);
        }
        self.wrong(text.span(), "a check runs every 50ms to 1h", "out of range")
    }

    fn cost(&mut self, table: &CheckFile) -> Option<Cost> {
        let veto = table.veto.as_ref().filter(|veto| *veto.get_ref());
        match (&table.weight, veto) {
            (Some(_), Some(veto)) => {
                self.wrong(veto.span(), "a check has a weight or a veto, not both", "costs all of the health")
            }
            (None, Some(_)) => Some(Cost::Veto),
            (Some(weight), None) => {
                let weight = self.number(weight, 1, 100)?;
                Some(Cost::Weight(u8::try_from(weight).ok()?))
            }
            (None, None) => Some(Cost::Weight(50)),
        }
    }

    /// The kind's name and, if its keys are right, what it tries.
    fn probe(&mut self, table: &CheckFile, span: Range<usize>) -> Option<(&'static str, Option<CheckProbe>)> {
        let Some(word) = &table.kind else {
            return self.missing("check", span, "kind = \"gateway\", \"tcp\", \"http\", \"dns\" or \"command\"");
        };
        let kinds: Vec<(&'static str, &'static str)> = KINDS.iter().map(|(name, _)| (*name, *name)).collect();
        let kind = self.choice(Some(word), &kinds)?;
        self.refuse_foreign_keys(table, kind);
        let probe = match kind {
            "gateway" => match &table.address {
                None => Some(CheckProbe::Gateway(None)),
                Some(text) => self.gateway(text).map(|address| CheckProbe::Gateway(Some(address))),
            },
            "tcp" => match &table.address {
                Some(text) => self.address(text, 0).map(CheckProbe::Tcp),
                None => self.missing("check", span, "address = \"192.168.1.20:80\""),
            },
            "http" => match &table.url {
                Some(url) => self.http(url, table),
                None => self.missing("check", span, "url = \"http://127.0.0.1:8080/health\""),
            },
            "dns" => match (&table.server, &table.query) {
                (Some(server), Some(query)) => self.question(server, query),
                (None, _) => self.missing("check", span, "server = \"192.168.1.1\""),
                (_, None) => self.missing("check", span, "query = \"example.org\""),
            },
            _ => self.command(table.command.as_ref(), span),
        };
        Some((kind, probe))
    }

    fn refuse_foreign_keys(&mut self, table: &CheckFile, kind: &str) {
        let given = [
            ("address", table.address.as_ref().map(Spanned::span)),
            ("url", table.url.as_ref().map(Spanned::span)),
            ("host", table.host.as_ref().map(Spanned::span)),
            ("expect", table.expect.as_ref().map(Spanned::span)),
            ("server", table.server.as_ref().map(Spanned::span)),
            ("query", table.query.as_ref().map(Spanned::span)),
            ("command", table.command.as_ref().map(Spanned::span)),
        ];
        let own = KINDS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, keys)| *keys);
        for (key, span) in given {
            if let (false, Some(span)) = (own.contains(&key), span) {
                let message = format!("`{key}` has no meaning for a check of kind \"{kind}\"");
                let help = format!("kind \"{kind}\" knows {}", own.join(", "));
                self.findings.add(Problem::new(span, message, "no effect").help(help));
            }
        }
    }

    fn gateway(&mut self, text: &Text) -> Option<IpAddr> {
        match text.get_ref().parse::<IpAddr>() {
            Ok(address) if !address.is_multicast() && !address.is_unspecified() => Some(address),
            _ => {
                let problem = Problem::new(text.span(), "not the address of a gateway", "not understood");
                self.findings.add(problem.help("as in \"192.168.1.1\"; without it, the default route's gateway"));
                None
            }
        }
    }

    fn http(&mut self, url: &Text, table: &CheckFile) -> Option<CheckProbe> {
        let parsed = parse_url(url.get_ref());
        if parsed.is_none() {
            let problem = Problem::new(url.span(), "not a URL that can be checked", "not understood");
            self.findings.add(problem.help(
                "http:// with an address, as \"http://127.0.0.1:8080/health\"; names are not looked up (give one as \
                 host), https is not spoken (use kind \"tcp\" or \"command\")",
            ));
        }
        let mut expect = Vec::new();
        for status in table.expect.iter().flat_map(|list| list.get_ref()) {
            expect.push(self.number(status, 100, 599).and_then(|status| u16::try_from(status).ok()));
        }
        let expect: Option<Vec<u16>> =
            if table.expect.is_none() { Some(vec![200]) } else { expect.into_iter().collect() };
        if let (Some(list), Some(true)) = (&table.expect, expect.as_ref().map(Vec::is_empty)) {
            return self.wrong(list.span(), "without an expected status the check can never pass", "empty");
        }
        let (address, authority, path) = parsed?;
        let host = match &table.host {
            Some(host) if host.get_ref().is_empty() || !host.get_ref().chars().all(|c| c.is_ascii_graphic()) => {
                return self.wrong(host.span(), "not a host name", "not understood");
            }
            Some(host) => host.get_ref().clone(),
            None => authority,
        };
        Some(CheckProbe::Http { address, host, path, expect: expect? })
    }

    fn question(&mut self, server: &Text, query: &Text) -> Option<CheckProbe> {
        let server = self.address(server, 53);
        let name = query.get_ref().trim_end_matches('.');
        let label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_graphic());
        if name.len() > MAX_DNS_NAME || !name.split('.').all(label) {
            return self.wrong(query.span(), "not a DNS name", "not understood");
        }
        Some(CheckProbe::Dns { server: server?, name: name.to_owned() })
    }

    fn command(&mut self, command: Option<&Spanned<Vec<Text>>>, span: Range<usize>) -> Option<CheckProbe> {
        let Some(command) = command else {
            return self.missing("check", span, "command = [\"/usr/bin/test\", \"-e\", \"/ok\"]");
        };
        self.command_words(command).map(CheckProbe::Command)
    }

    /// A program and its arguments.
    pub fn command_words(&mut self, command: &Spanned<Vec<Text>>) -> Option<Vec<String>> {
        let words: Vec<String> = command.get_ref().iter().map(|word| word.get_ref().clone()).collect();
        if words.first().is_none_or(String::is_empty) || words.iter().any(|word| word.contains('\0')) {
            return self.wrong(command.span(), "a command starts with a program", "not a command");
        }
        Some(words)
    }
}

/// Address, authority and path of an `http` URL whose host is a number.
fn parse_url(url: &str) -> Option<(SocketAddr, String, String)> {
    let rest = url.strip_prefix("http://")?;
    let split = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(split);
    let bare = authority.trim_start_matches('[').trim_end_matches(']');
    let with_port = || bare.parse().ok().map(|address: IpAddr| SocketAddr::new(address, 80));
    let address: SocketAddr = authority.parse().ok().or_else(with_port)?;
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let fits = address.port() != 0 && path.chars().all(|c| c.is_ascii_graphic() && c != '#');
    fits.then(|| (address, authority.to_owned(), path))
}
