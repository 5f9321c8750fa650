//! The endpoint over real sockets, in front of a zone in memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use dns::name::Name;
use dns::record::{Record, Rtype};
use dns::settings::{Algorithm, Key, Pattern, Rule, Settings, Source, ZoneSettings};
use dns::update::{Ground, Policy, decide};
use dns::zone::{Leases, Serial, Soa, Zone};

use super::limit::MAX_REQUESTS;
use super::*;
use crate::config::Dyndns;

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZg==";

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn settings() -> Settings {
    let rule = Rule { key: name("k1"), names: vec![Pattern::Below(name("dyn.test"))], types: None };
    let zone = ZoneSettings {
        apex: name("dyn.test"),
        source: Source::Primary { file: None },
        transfer: Default::default(),
        notify: Vec::new(),
        update: vec![rule],
        aliases: Vec::new(),
        dnssec: None,
    };
    let key = Key { name: name("k1"), algorithm: Algorithm::HmacSha256, secret: Box::from(*b"0123456789abcdef") };
    let other = Key { name: name("k2"), ..key.clone() };
    Settings { keys: vec![key, other], zones: vec![zone], ..Settings::default() }
}

/// An endpoint in front of a zone that is judged as the server would.
async fn endpoint() -> (Endpoint, Arc<Mutex<Zone>>) {
    let soa = Soa { serial: Serial(1), ..Soa::default() };
    let top = Record { name: name("dyn.test"), rtype: Rtype::SOA, ttl: 60, rdata: soa.write() };
    let zone = Arc::new(Mutex::new(Zone::new(name("dyn.test"), [top]).unwrap()));
    let held = zone.clone();
    let submit = move |update: Update, key: Name| -> BoxFuture<'static, Result<bool, Rcode>> {
        let (settings, mut zone) = (settings(), held.lock().unwrap());
        let ground = Ground { zone: &zone, leases: &Leases::default(), policy: Policy::of(&settings.zones[0]) };
        let done = decide(&update, Some(key.as_ref()), 0, &ground).map(|outcome| {
            let is_changed = outcome.is_changed;
            (is_changed, outcome.edit.finish().unwrap().0)
        });
        let done = done.map(|(is_changed, after)| {
            *zone = after;
            is_changed
        });
        Box::pin(async move { done })
    };
    let names = Names { settings: Arc::new(settings()), submit: Arc::new(submit), ttl: 60 };
    let mut endpoint = Endpoint::default();
    let prepared = endpoint.prepare(&at("127.0.0.1:0"), None).unwrap();
    endpoint.apply(prepared, names).await;
    (endpoint, zone)
}

fn at(address: &str) -> Dyndns {
    Dyndns { listen: vec![address.parse().unwrap()], tls: false, ttl: 60 }
}

/// What a GET of `path` is answered with: the status and the body.
async fn get(endpoint: &Endpoint, path: &str, login: Option<(&str, &str)>) -> (u16, String) {
    let login = login.map(|(user, password)| BASE64.encode(format!("{user}:{password}").as_bytes()));
    let login = login.map(|token| format!("Authorization: Basic {token}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nUser-Agent: test\r\n{login}\r\n");
    let address = endpoint.addresses().next().unwrap();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn a_router_keeps_its_names() {
    let (endpoint, zone) = endpoint().await;
    let login = Some(("k1", SECRET));
    let path = "/nic/update?hostname=home.dyn.test&myip=192.0.2.7";
    assert_eq!(get(&endpoint, path, login).await, (200, "good 192.0.2.7\n".to_owned()));
    assert_eq!(get(&endpoint, path, login).await, (200, "nochg 192.0.2.7\n".to_owned()));
    assert_eq!(zone.lock().unwrap().serial(), Serial(2));
    let path = "/nic/update?hostname=home.dyn.test,nas.dyn.test&myip=192.0.2.7,2001:db8::7&system=dyndns";
    let body = "good 192.0.2.7,2001:db8::7\ngood 192.0.2.7,2001:db8::7\n";
    assert_eq!(get(&endpoint, path, login).await, (200, body.to_owned()));
    let path = "/nic/update?hostname=home.dyn.test";
    assert_eq!(get(&endpoint, path, login).await, (200, "good 127.0.0.1\n".to_owned()));
    let now = zone.lock().unwrap().clone();
    let set = |host: &str, rtype| now.set(name(host).as_ref(), rtype).map(|set| set.first().to_vec());
    assert_eq!(set("home.dyn.test", Rtype::A), Some(vec![127, 0, 0, 1]));
    assert_eq!(set("nas.dyn.test", Rtype::A), Some(vec![192, 0, 2, 7]));
    assert!(set("home.dyn.test", Rtype::AAAA).is_some());
    let path = "/nic/update?hostname=home.dyn.test&offline=YES";
    assert_eq!(get(&endpoint, path, login).await, (200, "good 127.0.0.1\n".to_owned()));
    assert!(zone.lock().unwrap().node(name("home.dyn.test").as_ref()).is_none());
}

#[tokio::test]
async fn who_may_not_is_told_the_word_for_it() {
    let (endpoint, zone) = endpoint().await;
    let path = "/nic/update?hostname=home.dyn.test&myip=192.0.2.7";
    for login in [None, Some(("k1", "bm8=")), Some(("nobody", SECRET)), Some(("", ""))] {
        assert_eq!(get(&endpoint, path, login).await, (401, "badauth\n".to_owned()), "{login:?}");
    }
    // The second key is known, and no rule lets it do anything.
    assert_eq!(get(&endpoint, path, Some(("k2", SECRET))).await, (200, "nohost\n".to_owned()));
    let login = Some(("k1", SECRET));
    for (query, body) in [
        ("hostname=home.elsewhere.test", "nohost\n"),
        ("hostname=dyn.test", "nohost\n"),
        ("hostname=home", "notfqdn\n"),
        ("hostname=a..b", "notfqdn\n"),
        ("", "notfqdn\n"),
        ("hostname=%ff%00", "notfqdn\n"),
    ] {
        let path = format!("/nic/update?{query}");
        assert_eq!(get(&endpoint, &path, login).await, (200, body.to_owned()), "{query}");
    }
    assert_eq!(get(&endpoint, "/", login).await.0, 404);
    assert_eq!(zone.lock().unwrap().serial(), Serial(1));
}

#[tokio::test]
async fn a_client_in_a_loop_is_told_to_stop() {
    let (endpoint, _) = endpoint().await;
    let login = Some(("k1", SECRET));
    for _ in 0..MAX_REQUESTS {
        assert_eq!(get(&endpoint, "/nic/update", login).await.1, "notfqdn\n");
    }
    assert_eq!(get(&endpoint, "/nic/update", login).await.1, "abuse\n");
    assert_eq!(get(&endpoint, "/nic/checkip", None).await, (200, "Current IP Address: 127.0.0.1\n".to_owned()));
}

#[tokio::test]
async fn other_settings_close_no_socket_that_stays_and_bad_ones_change_nothing() {
    let (mut endpoint, _) = endpoint().await;
    let before: Vec<_> = endpoint.addresses().collect();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = at(&taken.local_addr().unwrap().to_string());
    let (path, login) = ("/nic/update?hostname=home.dyn.test&myip=192.0.2.7", Some(("k1", SECRET)));

    assert!(matches!(endpoint.prepare(&taken, None), Err(StartError::Listen(..))));
    assert_eq!(get(&endpoint, path, login).await, (200, "good 192.0.2.7\n".to_owned()));

    let prepared = endpoint.prepare(&at("127.0.0.1:0"), None).unwrap();
    let names = Names {
        settings: Arc::new(Settings { keys: Vec::new(), ..settings() }),
        submit: Arc::new(|_, _| Box::pin(async { Ok(false) })),
        ttl: 60,
    };
    endpoint.apply(prepared, names).await;
    assert_eq!(endpoint.addresses().collect::<Vec<_>>(), before);
    assert_eq!(get(&endpoint, path, login).await, (401, "badauth\n".to_owned()), "the key is gone");

    endpoint.close().await;
    assert!(TcpStream::connect(before[0]).is_err());
}
