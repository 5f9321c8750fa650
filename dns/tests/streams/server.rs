//! A whole server: zones leave it by every transport that can carry them, and other settings disturb nobody.

use std::process::Stdio;
use std::time::Duration;

use dns::name::Name;
use dns::server::Server;
use dns::server::streams::Transport;
use dns::settings::{Access, Network, Settings, Source, ZoneSettings};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::kit::{ANY, Files, HOST, LONG, answered, ask, kdig_is_missing, query};

/// Names enough for a transfer of several messages.
const NAMES: usize = 20_000;

fn settings(files: &Files) -> Settings {
    let mut text = String::from("$TTL 60\n@ SOA ns admin 1 2 3 4 30\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n");
    (0..NAMES).for_each(|number| text += &format!("host-{number} A 192.0.2.3\n"));
    std::fs::write(files.path("test.zone"), text).expect("written");
    let apex: Name = "test.".parse().expect("a name");
    let networks = vec![Network { address: [127, 0, 0, 0].into(), prefix: 8 }];
    let zone = ZoneSettings {
        apex,
        source: Source::Primary { file: Some(files.path("test.zone")) },
        transfer: Access { keys: vec![], networks },
        notify: Vec::new(),
        update: Vec::new(),
        aliases: Vec::new(),
        dnssec: None,
    };
    let (listen, tls) = (vec![ANY], Some(files.tls(&[ANY])));
    Settings { listen, tls, state: files.path("state"), zones: vec![zone], ..Settings::default() }
}

async fn start(settings: Settings) -> Server {
    let start = move || Server::start(settings, &Handle::current());
    tokio::task::spawn_blocking(start).await.expect("no panic").unwrap_or_else(|error| panic!("{error:?}"))
}

fn address(server: &Server, transport: Transport) -> std::net::SocketAddr {
    let found = server.stream_addresses().into_iter().find(|(known, _)| *known == transport);
    found.expect("it is served").1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_is_transferred_over_each_transport() {
    let files = Files::new();
    let server = start(settings(&files)).await;
    assert_eq!(server.addresses(), [address(&server, Transport::Tcp)], "the same port as over UDP");
    let ca = format!("+tls-ca={}", files.certificate().display());
    let host = format!("+tls-hostname={HOST}");
    let all = NAMES + 5;
    for (transport, options, records) in [
        (Transport::Tcp, vec!["+tcp"], all),
        (Transport::Tls, vec![&ca, &host, "+tls"], all),
        (Transport::Quic, vec![&ca, &host, "+quic"], all),
        (Transport::Https, vec![&ca, &host, "+https=/dns-query"], 0),
    ] {
        let address = address(&server, transport);
        let mut command = Command::new("kdig");
        command.arg(format!("@{}", address.ip())).args(["-p", &address.port().to_string(), "test", "AXFR"]);
        command.args(options).stdin(Stdio::null()).kill_on_drop(true);
        let output = match timeout(LONG, command.output()).await.expect("in time") {
            Ok(output) => output,
            Err(error) => return kdig_is_missing(&error),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        let seen = text.lines().filter(|line| line.contains("\tIN\t") || line.contains(" IN ")).count();
        let end = text.len().saturating_sub(500);
        assert_eq!(seen, records, "{transport:?}: {}{}", &text[end..], String::from_utf8_lossy(&output.stderr));
    }
    let count = |name: &str| server.counts().into_iter().find(|(known, _)| known == name).map(|(_, count)| count);
    assert_eq!((count("stream_slow"), count("stream_connections_cut")), (Some(3), Some(0)));
    timeout(LONG, server.stop()).await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_disturb_nobody() {
    let files = Files::new();
    let mut settings = settings(&files);
    let server = start(settings.clone()).await;
    let (plain, encrypted) = (address(&server, Transport::Tcp), address(&server, Transport::Tls));
    let mut stream = TcpStream::connect(plain).await.expect("connected");
    assert_eq!(answered(&ask(&mut stream, &query(1)).await.expect("an answer")), 1);
    settings.tls = None;
    let reload = move || server.reload(&settings).map(|()| server);
    let server =
        tokio::task::spawn_blocking(reload).await.expect("no panic").unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(server.stream_addresses(), [(Transport::Tcp, plain)]);
    assert_eq!(answered(&ask(&mut stream, &query(2)).await.expect("an answer")), 2);
    let gone = async {
        while TcpStream::connect(encrypted).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(LONG, gone).await.expect("it goes");
    timeout(LONG, server.stop()).await.expect("it ends");
    assert!(ask(&mut stream, &query(3)).await.is_none());
}
