//! What kdig of Knot makes of our transports.

use std::process::Stdio;

use dns::server::streams::{Limits, Transport};
use tokio::process::Command;
use tokio::time::timeout;

use crate::kit::{HOST, LONG, Server, kdig_is_missing};

/// Whether kdig gets the address of `www.test` in this way.
async fn kdig(transport: Transport, options: &[&str]) {
    let server = Server::start(Limits::default());
    let address = server.address(transport);
    let ca = format!("+tls-ca={}", server.files.certificate().display());
    let host = format!("+tls-hostname={HOST}");
    let mut command = Command::new("kdig");
    command.arg(format!("@{}", address.ip())).args(["-p", &address.port().to_string(), "www.test", "A"]);
    if transport != Transport::Tcp {
        command.args([&ca, &host]);
    }
    // Behind the certificate, which by itself stands for plain TLS.
    command.args(options).stdin(Stdio::null()).kill_on_drop(true);
    let output = match timeout(LONG, command.output()).await.expect("in time") {
        Ok(output) => output,
        Err(error) => return kdig_is_missing(&error),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("status: NOERROR") && text.contains("192.0.2.2"), "{options:?}: {text}{output:?}");
}

#[tokio::test]
async fn over_tcp() {
    kdig(Transport::Tcp, &["+tcp"]).await;
}

#[tokio::test]
async fn over_tls() {
    kdig(Transport::Tls, &["+tls", "+padding"]).await;
}

#[tokio::test]
async fn over_https() {
    for form in ["+https=/dns-query", "+https-get"] {
        kdig(Transport::Https, &["+https=dns.test/dns-query", form]).await;
    }
}

#[tokio::test]
async fn over_quic() {
    kdig(Transport::Quic, &["+quic"]).await;
}
