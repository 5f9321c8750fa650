//! BIND, Knot and NSD, each as a secondary and as a primary of ours: the real servers on loopback, with TSIG.
//!
//! What is not installed is said loudly; with `LAB=require` it is a failure.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]

mod clients;
mod kit;

use std::net::SocketAddr;

use dns::client::{Credentials, Server as Asked};
use dns::record::{Record, Rtype};
use dns::server::Server;
use dns::settings::{self, Access, Key, Pattern, Rule, Settings, Source, ZoneSettings};
use dns::zone::Serial;
use kit::{Folder, Make, Peer, Role, ZONE, add, free_address, is_here, key, name, wait_for, zone_text};
use tokio::runtime::Handle;

#[tokio::test(flavor = "multi_thread")]
async fn bind_is_a_secondary() {
    secondary(Make::Bind, &["received notify for zone 'dyn.test': TSIG 'k1'"], &["got incremental response"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn knot_is_a_secondary() {
    secondary(Make::Knot, &["notify, incoming"], &["IXFR, incoming"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nsd_is_a_secondary() {
    secondary(Make::Nsd, &["notify for dyn.test. from 127.0.0.1 serial 2"], &["serial 1 is updated to 2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bind_is_a_primary() {
    primary(Make::Bind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn knot_is_a_primary() {
    primary(Make::Knot).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nsd_is_a_primary() {
    primary(Make::Nsd).await;
}

/// Ours as the primary: the other gets the zone, and then what changes, told by a signed NOTIFY.
async fn secondary(make: Make, told: &[&str], changes: &[&str]) {
    if !is_here(make) {
        return;
    }
    let (folder, address) = (Folder::new("ours"), free_address());
    let peer = Peer::start(make, Role::Secondary, address);
    let file = folder.0.join("seed");
    std::fs::write(&file, zone_text(1, "")).expect("written");
    let server = start(&folder, address, Source::Primary { file: Some(file) }, Some(peer.address)).await;
    wait_for(peer.address, "host7", &[192, 0, 2, 7]).await;

    let record = Record { name: name(&format!("new.{ZONE}")), rtype: Rtype::A, ttl: 60, rdata: [10, 0, 0, 1].into() };
    let asked = Asked { address, credentials: Credentials::Shared(key()) };
    asked.update(&add(record)).await.expect("updated");
    wait_for(peer.address, "new", &[10, 0, 0, 1]).await;
    peer.wait_for_log(told).await;
    peer.wait_for_log(changes).await;
    if make == Make::Nsd {
        // It does not name the form, but says how long each answer was.
        let sizes = peer.sizes();
        assert!(matches!(*sizes, [whole, changes] if changes < whole / 2), "{sizes:?}");
    }
    server.stop().await;
}

/// Ours as the secondary: it gets the zone, and then what changes, told by a signed NOTIFY.
async fn primary(make: Make) {
    if !is_here(make) {
        return;
    }
    let (folder, address) = (Folder::new("ours"), free_address());
    let peer = Peer::start(make, Role::Primary, address);
    let primaries = vec![settings::Peer { address: peer.address, key: Some(name("k1")) }];
    let server = start(&folder, address, Source::Secondary { primaries }, None).await;
    wait_for(address, "host7", &[192, 0, 2, 7]).await;

    peer.change(2, "new", [10, 0, 0, 1]).await;
    wait_for(address, "new", &[10, 0, 0, 1]).await;
    // What came as changes is known as changes; a zone that came as a whole has no past.
    let (zone, changes) = server.store().since(name(ZONE).as_ref(), Serial(1)).await.expect("a zone");
    assert_eq!(changes.map(|changes| changes.len()), Some(1), "{zone:?}");
    let status = server.secondary(name(ZONE).as_ref()).expect("a secondary");
    assert!(status.confirmed.is_some() && status.problem.is_none(), "{status:?}");
    server.stop().await;

    // What it got it still has, and serves at once.
    drop(peer);
    let primaries = vec![settings::Peer { address: free_address(), key: Some(name("k1")) }];
    let server = start(&folder, address, Source::Secondary { primaries }, None).await;
    wait_for(address, "new", &[10, 0, 0, 1]).await;
    server.stop().await;
}

async fn start(folder: &Folder, address: SocketAddr, source: Source, notify: Option<SocketAddr>) -> Server {
    start_with(folder, address, source, notify, key()).await
}

/// Ours, with a key that may do everything.
async fn start_with(
    folder: &Folder,
    address: SocketAddr,
    source: Source,
    notify: Option<SocketAddr>,
    key: Key,
) -> Server {
    let peer = |address| settings::Peer { address, key: Some(name("k1")) };
    let zone = ZoneSettings {
        apex: name(ZONE),
        source,
        transfer: Access { keys: vec![key.name.clone()], networks: Vec::new() },
        notify: notify.into_iter().map(peer).collect(),
        update: vec![Rule { key: key.name.clone(), names: vec![Pattern::Below(name(ZONE))], types: None }],
        aliases: Vec::new(),
        dnssec: None,
    };
    let settings = Settings {
        listen: vec![address],
        state: folder.0.clone(),
        keys: vec![key],
        zones: vec![zone],
        ..Settings::default()
    };
    let runtime = Handle::current();
    let started = tokio::task::spawn_blocking(move || Server::start(settings, &runtime)).await.expect("it ran");
    started.unwrap_or_else(|error| panic!("{error}"))
}
