//! What dyndns2 requests mean and how they are answered; pure.
//!
//! The protocol is that of `members.dyndns.org`, which routers and update clients speak to many services: a GET with
//! `hostname`, `myip` and basic authentication, answered with one word for each name.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use dns::name::Name;
use dns::record::{Record, Rtype};
use dns::settings::{Algorithm, Key, Settings, Source};
use dns::update::{Operation, Update};
use dns::wire::Rcode;

/// The most names of one request; the service that the protocol comes from takes as many.
pub const MAX_NAMES: usize = 20;

/// What one request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The names; nothing for what is no name with a domain.
    pub names: Vec<Option<Name>>,
    /// What they shall have. A family that is not there is left as it is.
    pub v4: Option<Ipv4Addr>,
    /// The same.
    pub v6: Option<Ipv6Addr>,
    /// Whether the names shall have no address at all.
    pub is_offline: bool,
}

/// How it went with one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has the addresses now.
    Good(String),
    /// It had them already.
    NoChange(String),
    /// No such key, or another secret.
    BadAuth,
    /// Not a name with a domain, or none was given.
    NotFqdn,
    /// No zone of ours, or not for this key.
    NoHost,
    /// More than [`MAX_NAMES`].
    TooMany,
    /// Too many requests; come back later.
    Abuse,
    /// The zone cannot be changed now.
    DnsError,
    /// Something is wrong here; come back later.
    Failure,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(addresses) => write!(f, "good {addresses}"),
            Self::NoChange(addresses) => write!(f, "nochg {addresses}"),
            Self::BadAuth => f.write_str("badauth"),
            Self::NotFqdn => f.write_str("notfqdn"),
            Self::NoHost => f.write_str("nohost"),
            Self::TooMany => f.write_str("numhost"),
            Self::Abuse => f.write_str("abuse"),
            Self::DnsError => f.write_str("dnserr"),
            Self::Failure => f.write_str("911"),
        }
    }
}

impl Request {
    /// Reads the parameters of a request that came from `peer`, whose address counts when none is given. Unknown
    /// parameters, which routers send many of, are left alone.
    ///
    /// # Errors
    /// The one answer to a request that is about no name or about too many.
    pub fn read(parameters: &[(String, String)], peer: IpAddr) -> Result<Self, Answer> {
        let all = |wanted: &'static [&str]| {
            let mine = parameters.iter().filter(move |(key, _)| wanted.contains(&key.as_str()));
            mine.flat_map(|(_, value)| value.split(',')).map(str::trim).filter(|word| !word.is_empty())
        };
        let names: Vec<Option<Name>> = all(&["hostname"]).take(MAX_NAMES + 1).map(name).collect();
        match names.len() {
            0 => return Err(Answer::NotFqdn),
            1..=MAX_NAMES => {}
            _ => return Err(Answer::TooMany),
        }
        let given: Vec<IpAddr> = all(&["myip", "myipv6", "ip", "ipv6"]).filter_map(|word| word.parse().ok()).collect();
        let addresses = if given.is_empty() { vec![peer] } else { given };
        let addresses = || addresses.iter().map(IpAddr::to_canonical);
        Ok(Self {
            names,
            v4: addresses().find_map(|address| if let IpAddr::V4(v4) = address { Some(v4) } else { None }),
            v6: addresses().find_map(|address| if let IpAddr::V6(v6) = address { Some(v6) } else { None }),
            is_offline: all(&["offline"]).any(|word| word.eq_ignore_ascii_case("yes")),
        })
    }

    /// The update that gives `name` what is asked for.
    pub fn update(&self, zone: &Name, name: &Name, ttl: u32) -> Update {
        let mut operations = Vec::new();
        for (rtype, address) in [(Rtype::A, self.v4.map(IpAddr::V4)), (Rtype::AAAA, self.v6.map(IpAddr::V6))] {
            if address.is_some() || self.is_offline {
                operations.push(Operation::DeleteSet(name.clone(), rtype));
            }
            if let Some(address) = address.filter(|_| !self.is_offline) {
                operations.push(Operation::Add(Record::of_address(name.clone(), ttl, address)));
            }
        }
        Update { zone: zone.clone(), prerequisites: Vec::new(), operations, lease: None }
    }

    /// What to say about an update: whether it changed anything, or why not.
    pub fn answer(&self, done: Result<bool, Rcode>) -> Answer {
        let v4 = self.v4.iter().map(ToString::to_string);
        let addresses: Vec<String> = v4.chain(self.v6.iter().map(ToString::to_string)).collect();
        match done {
            Ok(true) => Answer::Good(addresses.join(",")),
            Ok(false) => Answer::NoChange(addresses.join(",")),
            Err(Rcode::REFUSED | Rcode::NOTAUTH | Rcode::NOTZONE) => Answer::NoHost,
            Err(Rcode::SERVFAIL) => Answer::DnsError,
            Err(_) => Answer::Failure,
        }
    }
}

/// The key that a user name and a password stand for: its name and its secret in base64.
pub fn key<'a>(settings: &'a Settings, user: &str, password: &str) -> Option<&'a Key> {
    let name: Name = user.parse().ok()?;
    let key = settings.key(name.as_ref()).filter(|key| key.algorithm != Algorithm::Sig0)?;
    let secret = data_encoding::BASE64.decode(password.trim().as_bytes()).ok()?;
    is_equal(&secret, &key.secret).then_some(key)
}

/// The zone of ours that a name belongs to.
pub fn zone<'a>(settings: &'a Settings, name: &Name) -> Option<&'a Name> {
    let ours = settings.zones.iter().filter(|zone| name.as_ref().is_at_or_below(zone.apex.as_ref()));
    let nearest = ours.max_by_key(|zone| zone.apex.as_ref().label_count())?;
    matches!(nearest.source, Source::Primary { .. }).then_some(&nearest.apex)
}

/// A name with a domain.
fn name(text: &str) -> Option<Name> {
    text.parse::<Name>().ok().filter(|name| name.as_ref().label_count() > 1)
}

/// Compares in the same time wherever they differ.
fn is_equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use dns::settings::ZoneSettings;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

    fn read(query: &[(&str, &str)]) -> Result<Request, Answer> {
        let owned: Vec<_> = query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Request::read(&owned, PEER)
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_both_families_come_in_many_ways() {
        let (v4, v6) = (Some("192.0.2.7".parse().unwrap()), Some("2001:db8::7".parse().unwrap()));
        for (query, expected) in [
            (vec![("myip", "192.0.2.7")], (v4, None)),
            (vec![("myip", "192.0.2.7,2001:db8::7")], (v4, v6)),
            (vec![("myip", "192.0.2.7"), ("myipv6", "2001:db8::7")], (v4, v6)),
            (vec![("myip", "2001:db8::7")], (None, v6)),
            (vec![("myip", "::ffff:192.0.2.7"), ("myipv6", "")], (v4, None)),
            (vec![], (Some(Ipv4Addr::new(198, 51, 100, 1)), None)),
            (vec![("myip", "nonsense"), ("wildcard", "NOCHG")], (Some(Ipv4Addr::new(198, 51, 100, 1)), None)),
        ] {
            let query = [query, vec![("hostname", "a.dyn.test")]].concat();
            let request = read(&query).unwrap();
            assert_eq!((request.v4, request.v6), expected, "{query:?}");
        }
    }

    #[test]
    fn names_are_many_but_not_too_many() {
        let request = read(&[("hostname", "a.dyn.test, b.dyn.test,localhost")]).unwrap();
        assert_eq!(request.names, [Some(name("a.dyn.test")), Some(name("b.dyn.test")), None]);
        assert_eq!(read(&[("myip", "192.0.2.7")]), Err(Answer::NotFqdn));
        assert_eq!(read(&[("hostname", &vec!["a.b"; MAX_NAMES].join(","))]).map(|all| all.names.len()), Ok(MAX_NAMES));
        assert_eq!(read(&[("hostname", &vec!["a.b"; MAX_NAMES + 1].join(","))]), Err(Answer::TooMany));
    }

    #[test]
    fn a_family_that_is_not_named_is_left() {
        let request = read(&[("hostname", "a.dyn.test"), ("myip", "192.0.2.7")]).unwrap();
        let (zone, host) = (name("dyn.test"), name("a.dyn.test"));
        let record = Record { name: host.clone(), rtype: Rtype::A, ttl: 60, rdata: Box::from([192, 0, 2, 7]) };
        let operations = vec![Operation::DeleteSet(host.clone(), Rtype::A), Operation::Add(record)];
        assert_eq!(request.update(&zone, &host, 60).operations, operations);
        let request = read(&[("hostname", "a.dyn.test"), ("offline", "YES")]).unwrap();
        let both = [Rtype::A, Rtype::AAAA].map(|rtype| Operation::DeleteSet(host.clone(), rtype));
        assert_eq!(request.update(&zone, &host, 60).operations, both);
    }

    #[test]
    fn each_end_has_its_word() {
        let request = read(&[("hostname", "a.dyn.test"), ("myip", "192.0.2.7,2001:db8::7")]).unwrap();
        for (done, word) in [
            (Ok(true), "good 192.0.2.7,2001:db8::7"),
            (Ok(false), "nochg 192.0.2.7,2001:db8::7"),
            (Err(Rcode::REFUSED), "nohost"),
            (Err(Rcode::SERVFAIL), "dnserr"),
            (Err(Rcode::NOTIMP), "911"),
        ] {
            assert_eq!(request.answer(done).to_string(), word);
        }
    }

    #[test]
    fn the_nearest_zone_counts_and_only_a_primary_one() {
        let zone_of = |apex: &str, source| ZoneSettings {
            apex: name(apex),
            source,
            transfer: Default::default(),
            notify: Vec::new(),
            update: Vec::new(),
            aliases: Vec::new(),
            dnssec: None,
        };
        let here = Source::Primary { file: None };
        let there = Source::Secondary { primaries: Vec::new() };
        let zones = vec![zone_of("test", here.clone()), zone_of("dyn.test", here), zone_of("far.test", there)];
        let settings = Settings { zones, ..Settings::default() };
        let found = |text: &str| zone(&settings, &name(text)).map(ToString::to_string);
        assert_eq!(found("a.dyn.test").as_deref(), Some("dyn.test."));
        assert_eq!(found("b.test").as_deref(), Some("test."));
        assert_eq!((found("a.far.test"), found("a.other")), (None, None));
    }

    #[test]
    fn a_key_logs_in_with_its_secret() {
        let mine = Key { name: name("k1"), algorithm: Algorithm::HmacSha256, secret: Box::from(*b"0123456789abcdef") };
        let public = Key { name: name("pub"), algorithm: Algorithm::Sig0, ..mine.clone() };
        let settings = Settings { keys: vec![mine, public], ..Settings::default() };
        let secret = "MDEyMzQ1Njc4OWFiY2RlZg==";
        assert!(key(&settings, "K1", secret).is_some());
        for (user, password) in [("k1", "MDEyMzQ1Njc4OWFiY2RlZQ=="), ("k1", ""), ("k2", secret), ("pub", secret)] {
            assert!(key(&settings, user, password).is_none(), "{user} {password}");
        }
    }
}
