//! Where addresses are learnt: a member's own from its interface, a site's public one from what the configuration names.
//!
//! Each source is a task that publishes into a watch; none is published until one was found, and while a source does not
//! answer the last address stays. The gateway protocols (PCP, NAT-PMP, UPnP) come in here as further sources.
//!
//! **Invariant:** a site's address that the internet cannot reach is never published, whichever source names it.

use std::collections::BTreeSet;
use std::net::IpAddr;
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
use crate::reach::{is_public, is_usable};

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
        start(Kind::Own { not }, |publish, _| follow(name, publish))
    }

    /// A site's public addresses; no source, where no name shall have them.
    pub fn public(register: &Register, dmz: &BTreeSet<IpAddr>) -> Option<Source> {
        if register.site.is_empty() {
            return None;
        }
        let (register, dmz) = (register.clone(), dmz.clone());
        Some(start(Kind::Public, |publish, ask| async move {
            match register.public.clone() {
                None => publish.failed(NOWHERE.to_owned()),
                Some(PublicSource::Dmz) => publish.found(dmz),
                Some(PublicSource::Interface(name)) => follow(name, publish).await,
                Some(source) => poll(source, register, publish, ask).await,
            }
            // The watches stay as they are.
            std::future::pending().await
        }))
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

/// Nothing says what a site's address is.
const NOWHERE: &str = "nothing says where it is learnt: [dns.register] has no `public`, and no DMZ address is public";

/// Whose addresses a source finds.
enum Kind {
    /// A member's, but for these.
    Own { not: BTreeSet<IpAddr> },
    /// A site's.
    Public,
}

impl Kind {
    fn takes(&self, address: IpAddr) -> bool {
        match self {
            Kind::Own { not } => is_usable(address) && !not.contains(&address),
            Kind::Public => is_public(address),
        }
    }
}

struct Publish {
    kind: Kind,
    known: watch::Sender<Known>,
    failing: watch::Sender<Option<String>>,
}

impl Publish {
    /// The source's word: a site that it says has no public address has none from now on.
    fn found(&self, addresses: BTreeSet<IpAddr>) {
        let taken: BTreeSet<IpAddr> = addresses.iter().copied().filter(|address| self.kind.takes(*address)).collect();
        let none = matches!(self.kind, Kind::Public) && taken.is_empty();
        self.fails(none.then(|| words_of_none(&addresses)));
        let taken = Some(taken);
        self.known.send_if_modified(|known| {
            let changed = *known != taken;
            *known = taken;
            changed
        });
    }

    fn failed(&self, why: String) {
        self.fails(Some(why));
    }

    fn fails(&self, why: Option<String>) {
        self.failing.send_if_modified(|known| {
            let changed = *known != why;
            *known = why;
            changed
        });
    }
}

fn words_of_none(found: &BTreeSet<IpAddr>) -> String {
    let found: Vec<String> = found.iter().map(IpAddr::to_string).collect();
    match found.len() {
        0 => "no address was found".to_owned(),
        _ => format!("the internet cannot reach {}", found.join(", ")),
    }
}

fn start<F: Future<Output = ()> + Send + 'static>(kind: Kind, work: impl FnOnce(Publish, Arc<Notify>) -> F) -> Source {
    let (known, seen) = watch::channel(None);
    let (failing, failure) = watch::channel(None);
    let ask = Arc::new(Notify::new());
    let task = tokio::spawn(work(Publish { kind, known, failing }, Arc::clone(&ask)));
    Source { known: seen, failing: failure, ask, task }
}

async fn follow(interface: String, publish: Publish) {
    let mut watch = loop {
        match Watch::open(interface.clone()) {
            Ok(watch) => break watch,
            Err(error) => publish.failed(format!("{interface} cannot be watched: {error}")),
        }
        sleep(AGAIN).await;
    };
    loop {
        publish.found(watch.addresses().collect());
        while watch.event().await != Event::AddressesChanged {}
    }
}

async fn poll(source: PublicSource, register: Register, publish: Publish, ask: Arc<Notify>) {
    let Register { resolvers, authorities, .. } = &register;
    loop {
        let pause = match find(&source, resolvers, authorities.as_deref()).await {
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
        // These are followed, and not asked.
        PublicSource::Dmz | PublicSource::Interface(_) => Ok((BTreeSet::new(), POLL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(public: Option<PublicSource>) -> Register {
        let algorithm = dns::settings::Algorithm::HmacSha256;
        Register {
            server: "192.0.2.53:53".parse().unwrap(),
            zone: "cloud.test".parse().unwrap(),
            key: dns::settings::Key { name: "k".parse().unwrap(), algorithm, secret: Box::from([0; 32]) },
            member: None,
            interface: None,
            site: vec!["cloud.test".parse().unwrap()],
            public,
            resolvers: Vec::new(),
            authorities: None,
            lease: Duration::from_secs(120),
            ttl: 60,
        }
    }

    fn addresses(list: &[&str]) -> BTreeSet<IpAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    /// What a source for these DMZ addresses says first: the addresses, and what is wrong.
    async fn said(public: Option<PublicSource>, dmz: &[&str]) -> (Known, Option<String>) {
        let source = Source::public(&register(public), &addresses(dmz)).unwrap();
        let (mut known, mut failing) = (source.known.clone(), source.failing.clone());
        tokio::select! {
            Ok(()) = known.changed() => {}
            Ok(()) = failing.changed() => {}
        }
        let failing = failing.borrow().clone();
        (known.borrow().clone(), failing)
    }

    #[tokio::test]
    async fn what_the_internet_cannot_reach_is_never_published_and_said() {
        let command = |script: &str| Some(PublicSource::Command(["sh", "-c", script].map(str::to_owned).to_vec()));
        let (mixed, private) = (command("echo 10.0.0.1 198.51.100.7 fe80::1"), command("echo 192.168.1.1"));
        assert_eq!(said(mixed, &[]).await, (Some(addresses(&["198.51.100.7"])), None));
        let (known, why) = said(private, &[]).await;
        assert_eq!((known, why.as_deref()), (Some(BTreeSet::new()), Some("the internet cannot reach 192.168.1.1")));
        let both = ["192.168.1.11", "2001:db8::11"];
        assert_eq!(said(Some(PublicSource::Dmz), &both).await, (Some(addresses(&both[1..])), None));
        let (known, why) = said(Some(PublicSource::Dmz), &["192.168.1.11"]).await;
        assert!(known == Some(BTreeSet::new()) && why.is_some_and(|why| why.contains("192.168.1.11")));
        let (known, why) = said(None, &["192.168.1.11"]).await;
        assert!(known.is_none() && why.is_some_and(|why| why.contains("`public`")));
    }

    #[tokio::test]
    async fn a_source_is_not_needed_where_no_name_has_the_address() {
        let register = Register { site: Vec::new(), ..register(None) };
        assert!(Source::public(&register, &BTreeSet::new()).is_none());
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
