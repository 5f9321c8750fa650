//! The small words of `[dns]`: names, addresses, networks, servers.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use ::dns::name::{Name, NameRef};
use ::dns::settings::{Network, Peer, Transport, Upstream};
use toml::Spanned;

use super::file::{Or, PeerFile, Texts, UpstreamFile};
use super::keys::Keys;
use crate::config::checking::Checker;
use crate::config::file::Text;
use crate::config::problem::Problem;

/// More servers in one list are not tried in a useful time.
const MAX_SERVERS: usize = 32;
/// More networks in one list would slow every question down.
const MAX_NETWORKS: usize = 256;

impl Checker<'_> {
    /// A name, absolute with or without the dot at the end.
    pub fn dns_name(&mut self, text: &Text) -> Option<Name> {
        match text.get_ref().parse() {
            Ok(name) => Some(name),
            Err(error) => self.wrong(text.span(), format!("not a DNS name: {error}"), "not a name"),
        }
    }

    /// A name in a zone: `@` is the zone's own, one label is below it, anything else is written in full.
    pub fn name_in(&mut self, text: &Text, apex: NameRef<'_>) -> Option<Name> {
        let written = text.get_ref();
        let one_label = !written.is_empty() && !written.contains('.');
        let parsed = if one_label { Name::parse(written, apex) } else { written.parse() };
        let name = match parsed {
            Ok(name) => name,
            Err(error) => return self.wrong(text.span(), format!("not a DNS name: {error}"), "not a name"),
        };
        if name.as_ref().is_at_or_below(apex) {
            return Some(name);
        }
        let problem = Problem::new(text.span(), format!("`{written}` is not in the zone `{apex}`"), "outside its zone");
        let dot = if written.ends_with('.') { "" } else { "." };
        self.findings.add(problem.help(format!(
            "write names in full, as \"{written}{dot}{}\"; \"@\" is the zone's own name",
            apex.to_string().trim_end_matches('.')
        )));
        None
    }

    /// An address to listen on.
    pub(super) fn listener(&mut self, text: &Text, port: u16) -> Option<SocketAddr> {
        let whole = text.get_ref();
        let bare = || whole.parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, port));
        let parsed: Option<SocketAddr> = whole.parse().ok().or_else(bare);
        let found = parsed.filter(|found| found.port() != 0 && !found.ip().is_multicast());
        if found.is_none() {
            let problem = Problem::new(text.span(), "not an address with its port to listen on", "not understood");
            self.findings.add(problem.help(format!(
                "numbers only, as 192.168.1.11:{port} or [fd00::11]:{port}; 0.0.0.0 and [::] are all addresses"
            )));
        }
        found
    }

    pub(super) fn networks(&mut self, list: &Texts) -> Option<Vec<Network>> {
        if list.get_ref().len() > MAX_NETWORKS {
            return self.wrong(list.span(), format!("at most {MAX_NETWORKS} networks"), "too many");
        }
        let mut networks = Vec::new();
        for text in list.get_ref() {
            networks.push(self.network(text));
        }
        networks.into_iter().collect()
    }

    fn network(&mut self, text: &Text) -> Option<Network> {
        let written = text.get_ref();
        let (address, prefix) = written.split_once('/').map_or((written.as_str(), None), |(a, p)| (a, Some(p)));
        let parsed = address.parse::<IpAddr>().ok().and_then(|address| {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
            (prefix <= longest).then_some(Network { address, prefix })
        });
        let Some(network) = parsed else {
            let problem = Problem::new(text.span(), "not a network", "not understood");
            self.findings.add(problem.help("as in \"192.168.1.0/24\", \"fd00::/8\" or one address"));
            return None;
        };
        let first = first_address(network);
        if first != network.address {
            let problem = Problem::new(text.span(), "the address has bits beyond its prefix", "which is meant?");
            self.findings.add(problem.help(format!("the network is {first}/{}", network.prefix)));
            return None;
        }
        Some(network)
    }

    pub(super) fn servers(&mut self, list: &Spanned<Vec<Spanned<Or<PeerFile>>>>, keys: &Keys) -> Option<Vec<Peer>> {
        if list.get_ref().len() > MAX_SERVERS {
            return self.wrong(list.span(), format!("at most {MAX_SERVERS} servers"), "too many");
        }
        let mut peers = Vec::new();
        for peer in list.get_ref() {
            peers.push(match peer.get_ref() {
                Or::Text(text) => {
                    let text = Spanned::new(peer.span(), text.clone());
                    self.address(&text, 53).map(|address| Peer { address, key: None })
                }
                Or::Table(PeerFile { address, key }) => {
                    let address = match address {
                        Some(address) => self.address(address, 53),
                        None => self.missing("dns.zone", peer.span(), "address = \"192.0.2.53:53\""),
                    };
                    let key = key.as_ref().map(|key| self.secret_named(key, keys));
                    match (address, key) {
                        (Some(address), None) => Some(Peer { address, key: None }),
                        (Some(address), Some(Some(key))) => Some(Peer { address, key: Some(key) }),
                        _ => None,
                    }
                }
            });
        }
        peers.into_iter().collect()
    }

    pub(super) fn upstreams(
        &mut self,
        list: Option<&Spanned<Vec<Spanned<Or<UpstreamFile>>>>>,
    ) -> Option<Vec<Upstream>> {
        let Some(list) = list else { return Some(Vec::new()) };
        if list.get_ref().len() > MAX_SERVERS {
            return self.wrong(list.span(), format!("at most {MAX_SERVERS} servers"), "too many");
        }
        let mut upstreams = Vec::new();
        for upstream in list.get_ref() {
            upstreams.push(match upstream.get_ref() {
                Or::Text(text) => {
                    let text = Spanned::new(upstream.span(), text.clone());
                    self.address(&text, 53).map(|address| Upstream { address, transport: Transport::Plain })
                }
                Or::Table(table) => self.upstream(table, upstream.span()),
            });
        }
        upstreams.into_iter().collect()
    }

    fn upstream(&mut self, table: &UpstreamFile, span: Range<usize>) -> Option<Upstream> {
        let Some(address) = &table.address else {
            return self.missing("dns.resolvers", span, "address = \"9.9.9.9\"");
        };
        let (transport, port) = match (&table.tls, &table.https) {
            (Some(_), Some(https)) => {
                return self.wrong(https.span(), "a resolver is asked over TLS or over HTTPS", "the second one");
            }
            (Some(name), None) => (Transport::Tls(self.host(name)?), 853),
            (None, Some(name)) => (Transport::Https(self.host(name)?), 443),
            (None, None) => (Transport::Plain, 53),
        };
        Some(Upstream { address: self.address(address, port)?, transport })
    }

    /// The name on a resolver's certificate.
    fn host(&mut self, text: &Text) -> Option<String> {
        let name = self.dns_name(text)?;
        Some(name.to_string().trim_end_matches('.').to_owned())
    }
}

fn first_address(network: Network) -> IpAddr {
    match network.address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(network.prefix)).unwrap_or(0);
            IpAddr::from((v4.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(network.prefix)).unwrap_or(0);
            IpAddr::from((v6.to_bits() & mask).to_be_bytes())
        }
    }
}
