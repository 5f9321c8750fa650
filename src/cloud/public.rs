//! Where addresses are learnt: a member's own from its interface, a site's public one from what the configuration names.
//!
//! Each source is a task that publishes into a watch; none is published until one was found, and while a source fails
//! the last address stays. The gateway protocols (PCP, NAT-PMP, UPnP) come in here as further sources.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dns::settings::Upstream;
use netconfig::{Event, Watch};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::lookup;
use crate::command;
use crate::config::{PublicSource, Register};

/// How often a name whose records may be kept longer is asked for, at least and at most.
const ASK_AT_LEAST: Duration = Duration::from_secs(30);
const ASK_AT_MOST: Duration = Duration::from_secs(2);
/// How often a command or an echoing resolver is asked; also whenever the holder changes.
const POLL: Duration = Duration::from_secs(15);
/// What a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failure.
const AGAIN: Duration = Duration::from_secs(5);

/// Addresses as they are known.
pub type Known = Option<BTreeSet<IpAddr>>;

/// A source at work; it ends when this is dropped.
#[derive(Debug)]
pub struct Source {
    /// What it found last.
    pub known: watch::Receiver<Known>,
    /// Why it finds nothing now, if so.
    pub failing: watch::Receiver<Option<String>>,
    ask: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Source {
    /// The addresses of an interface, but for those that are `not` its own.
    pub fn interface(name: String, not: BTreeSet<IpAddr>) -> Source {
        start(|publish, _| follow(name, not, publish))
    }

    /// A site's public addresses.
    pub fn public(register: &Register, dmz: &BTreeSet<IpAddr>) -> Source {
        let register = register.clone();
        let dmz: BTreeSet<IpAddr> = dmz.iter().copied().filter(|address| is_public(*address)).collect();
        start(|publish, ask| async move {
            match register.public.clone() {
                PublicSource::Dmz => {
                    publish.found(dmz);
                    std::future::pending().await
                }
                PublicSource::Interface(name) => follow(name, BTreeSet::new(), publish).await,
                _ => poll(register, publish, ask).await,
            }
        })
    }

    /// Asks again now, if the source has to be asked.
    pub fn ask(&self) {
        self.ask.notify_one();
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Publish {
    known: watch::Sender<Known>,
    failing: watch::Sender<Option<String>>,
}

impl Publish {
    fn found(&self, addresses: BTreeSet<IpAddr>) {
        self.failing.send_if_modified(|why| why.take().is_some());
        let addresses = Some(addresses);
        self.known.send_if_modified(|known| {
            let changed = *known != addresses;
            *known = addresses;
            changed
        });
    }

    fn failed(&self, why: String) {
        self.failing.send_if_modified(|known| known.replace(why.clone()).is_none_or(|before| before != why));
    }
}

fn start<F: Future<Output = ()> + Send + 'static>(work: impl FnOnce(Publish, Arc<Notify>) -> F) -> Source {
    let (known, seen) = watch::channel(None);
    let (failing, failure) = watch::channel(None);
    let ask = Arc::new(Notify::new());
    let task = tokio::spawn(work(Publish { known, failing }, Arc::clone(&ask)));
    Source { known: seen, failing: failure, ask, task }
}

async fn follow(interface: String, not: BTreeSet<IpAddr>, publish: Publish) {
    let mut watch = loop {
        match Watch::open(interface.clone()) {
            Ok(watch) => break watch,
            Err(error) => publish.failed(format!("{interface} cannot be watched: {error}")),
        }
        sleep(AGAIN).await;
    };
    loop {
        let usable = |address: &IpAddr| is_usable(*address) && !not.contains(address);
        publish.found(watch.addresses().filter(usable).collect());
        while watch.event().await != Event::AddressesChanged {}
    }
}

async fn poll(register: Register, publish: Publish, ask: Arc<Notify>) {
    loop {
        let Register { public, resolvers, authorities, .. } = &register;
        let pause = match find(public, resolvers, authorities.as_deref()).await {
            Ok((found, _)) if found.is_empty() => {
                publish.failed("it names no address".to_owned());
                AGAIN
            }
            Ok((found, pause)) => {
                publish.found(found);
                pause
            }
            Err(why) => {
                publish.failed(why);
                AGAIN
            }
        };
        let _ = timeout(pause, ask.notified()).await;
    }
}

/// What the source says, and when to ask it again; why it says nothing, for people.
async fn find(
    from: &PublicSource,
    resolvers: &[Upstream],
    authorities: Option<&Path>,
) -> Result<(BTreeSet<IpAddr>, Duration), String> {
    match from {
        PublicSource::Dyna(name) => {
            let answer = lookup::addresses(name, resolvers, authorities).await.map_err(|error| error.to_string())?;
            Ok((answer.found, answer.ttl.clamp(ASK_AT_MOST, ASK_AT_LEAST)))
        }
        PublicSource::Echo { resolver, name } => {
            let found = lookup::echo(name, *resolver).await.map_err(|error| error.to_string())?;
            Ok((found, POLL))
        }
        PublicSource::Command(words) => {
            let program = words.first().cloned().unwrap_or_default();
            let done = timeout(COMMAND_TIMEOUT, command::output(words)).await;
            let (status, printed) = done
                .map_err(|_| format!("{program} has not ended after {COMMAND_TIMEOUT:?}"))?
                .map_err(|error| format!("{program} cannot be run: {error}"))?;
            if !status.success() {
                return Err(format!("{program} failed: {status}"));
            }
            let found = printed.split_whitespace().map(str::parse).collect::<Result<BTreeSet<IpAddr>, _>>();
            Ok((found.map_err(|_| format!("{program} prints what is no address"))?, POLL))
        }
        PublicSource::Dmz | PublicSource::Interface(_) => Ok((BTreeSet::new(), POLL)),
    }
}

/// Whether others can use the address at all: not only on this machine or this link.
fn is_usable(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

/// Whether the internet can reach the address (the registries of RFC 6890).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = Ipv4Addr::new(100, 64, 0, 0).to_bits() >> 22 == v4.to_bits() >> 22;
            is_usable(address) && !v4.is_private() && !v4.is_broadcast() && !v4.is_multicast() && !shared
        }
        // 2000::/3 is what is given out.
        IpAddr::V6(v6) => v6.to_bits() >> 125 == Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0).to_bits() >> 125,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_not_public() {
        for (address, usable, public) in [
            ("192.168.1.11", true, false),
            ("100.64.1.1", true, false),
            ("100.128.1.1", true, true),
            ("203.0.113.1", true, true),
            ("169.254.1.1", false, false),
            ("fd00::1", true, false),
            ("fe80::1", false, false),
            ("2001:db8::1", true, true),
            ("::1", false, false),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!((is_usable(address), is_public(address)), (usable, public), "{address}");
        }
    }

    #[tokio::test]
    async fn a_command_says_the_address_or_why_not() {
        let words = |script: &str| PublicSource::Command(["sh", "-c", script].map(str::to_owned).to_vec());
        let found = find(&words("echo 198.51.100.7; echo 2001:db8::7"), &[], None).await.unwrap().0;
        assert_eq!(found, ["198.51.100.7", "2001:db8::7"].map(|address| address.parse().unwrap()).into());
        for (script, why) in [("exit 2", "failed"), ("echo here", "no address")] {
            let error = find(&words(script), &[], None).await.unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
