//! The shell of `register`: learns addresses and who holds, sends what the machine says, and shows how it goes.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use dns::name::{Name, plain};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::public::Source;
use super::register::{self, Answer, Effect, Entry, Failure, Holder, Input, Machine, Note, UpdateId};
use super::telling;
use crate::clock;
use crate::config::Register;
use crate::durable;

/// The file in the state folder with what may be at the server.
const FILE: &str = "registered.json";
/// The machine counts time while this one sleeps; the runtime's timers do not, so they are looked at this often.
const LOOK: Duration = Duration::from_secs(5);
/// Notes that may wait for the daemon.
const NOTES: usize = 32;

/// What a registration is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `[dns.register]`
    pub register: Register,
    /// The LAN interface, if there is a site.
    pub interface: Option<String>,
    /// The DMZ addresses, which are not a member's own.
    pub dmz: BTreeSet<IpAddr>,
    /// The state folder.
    pub state: PathBuf,
}

/// How the registration goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The main server.
    pub server: SocketAddr,
    /// The zone there.
    pub zone: Name,
    /// What shall be there.
    pub wanted: BTreeSet<Entry>,
    /// What the server has confirmed.
    pub told: BTreeSet<Entry>,
    /// Why the server cannot be told now, if so.
    pub failing: Option<String>,
    /// Why the public address is not known now, if so.
    pub public_failing: Option<String>,
}

impl Progress {
    /// Whether all is known and confirmed.
    pub fn is_good(&self) -> bool {
        self.failing.is_none() && self.public_failing.is_none() && self.wanted == self.told
    }
}

/// A registration at work.
#[derive(Debug)]
pub struct Registration {
    /// How it goes.
    pub progress: watch::Receiver<Progress>,
    /// What people may want to know, in words, and whether it is bad.
    pub notes: mpsc::Receiver<(String, bool)>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Registration {
    /// Without [`Registration::stop`] the names stay until their leases end, or until the next registration goes on.
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Registration {
    /// Begins; `holder` says who holds.
    pub fn start(plan: Plan, holder: watch::Receiver<Holder>) -> Registration {
        let progress = Progress {
            server: plan.register.server,
            zone: plan.register.zone.clone(),
            wanted: BTreeSet::new(),
            told: BTreeSet::new(),
            failing: None,
            public_failing: None,
        };
        let (progress, seen) = watch::channel(progress);
        let (notes, noted) = mpsc::channel(NOTES);
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move { Shell::new(plan, progress, notes).run(holder, stopped).await });
        Registration { progress: seen, notes: noted, stop, task }
    }

    /// Ends in good order: takes this member's names out, and its site's if nobody took them over. Bounded by
    /// [`register::LAST_WORDS`].
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(register::LAST_WORDS * 2, &mut self.task).await;
    }
}

/// An update on its way.
type Telling = Pin<Box<dyn Future<Output = (UpdateId, Answer)> + Send>>;

struct Shell {
    plan: Plan,
    machine: Machine,
    telling: Option<Telling>,
    progress: watch::Sender<Progress>,
    notes: mpsc::Sender<(String, bool)>,
}

impl Shell {
    fn new(plan: Plan, progress: watch::Sender<Progress>, notes: mpsc::Sender<(String, bool)>) -> Shell {
        let Register { member, site, lease, .. } = plan.register.clone();
        let settings = register::Settings { member, site, lease };
        let left = left(&plan.state.join(FILE), &settings);
        let machine = Machine::new(settings, left, clock::now(), clock::seed());
        Shell { plan, machine, telling: None, progress, notes }
    }

    async fn run(mut self, mut holder: watch::Receiver<Holder>, mut stop: watch::Receiver<bool>) {
        let Plan { register, interface, dmz, .. } = &self.plan;
        let own = register.member.as_ref().and_then(|_| register.interface.clone().or_else(|| interface.clone()));
        let own = own.map(|interface| Source::interface(interface, dmz.clone()));
        let public = Source::public(register, dmz);
        let mut own_known = own.as_ref().map(|own| own.known.clone());
        let mut public_known = public.as_ref().map(|public| public.known.clone());
        let mut public_failing = public.as_ref().map(|public| public.failing.clone());
        let first = *holder.borrow_and_update();
        self.step(Input::Holder(first)).await;
        loop {
            let deadline = self.machine.deadline().map_or(LOOK, |deadline| deadline.at.since(clock::now()).min(LOOK));
            // Cancel-safe: the watches keep their newest value, and `telling` is kept when another branch is first.
            let input = tokio::select! {
                Ok(()) = stop.changed() => {
                    // Who goes on decides what is taken back, and may have become known at the same moment.
                    let last = *holder.borrow_and_update();
                    if self.step(Input::Holder(last)).await {
                        break;
                    }
                    Input::Stop
                }
                Ok(()) = holder.changed() => {
                    public.iter().for_each(Source::ask);
                    Input::Holder(*holder.borrow_and_update())
                }
                Some(addresses) = next(own_known.as_mut()) => Input::Addresses(addresses),
                Some(addresses) = next(public_known.as_mut()) => Input::Public(addresses),
                (id, answer) = answer(self.telling.as_mut()) => {
                    self.telling = None;
                    Input::Answer(id, answer)
                }
                why = next(public_failing.as_mut()) => {
                    self.say_of_source(why);
                    Input::Tick
                }
                () = sleep(deadline) => Input::Tick,
            };
            if self.step(input).await {
                break;
            }
        }
    }

    /// Steps the machine and does what it says, in order; whether it has ended.
    async fn step(&mut self, input: Input) -> bool {
        let mut effects = Vec::new();
        self.machine.step(clock::now(), input, &mut effects);
        for effect in effects {
            match effect {
                Effect::Keep(entries) => keep(self.plan.state.join(FILE), entries).await,
                Effect::Send(update) => {
                    let (register, id) = (self.plan.register.clone(), update.id);
                    self.telling = Some(Box::pin(async move { (id, telling::tell(&register, &update).await) }));
                }
                Effect::Note(note) => self.say(note),
                Effect::Done => return true,
            }
        }
        self.progress.send_if_modified(|progress| {
            let now = Progress {
                wanted: self.machine.wants().unwrap_or_default(),
                told: self.machine.told().cloned().unwrap_or_default(),
                failing: self.machine.failing().map(|failure| failure.why.clone()),
                ..progress.clone()
            };
            let changed = *progress != now;
            *progress = now;
            changed
        });
        false
    }

    fn say(&self, note: Note) {
        let Register { server, zone, .. } = &self.plan.register;
        let zone = plain(zone);
        let (text, bad) = match note {
            Note::Registered { entries, lease } => {
                let names: Vec<String> =
                    entries.iter().map(|(name, address)| format!("{} {address}", plain(name))).collect();
                let what = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                let lease = match lease {
                    Some(lease) => format!("for {lease:?} at a time"),
                    None => "for good: the server knows no leases".to_owned(),
                };
                (format!("{server} has {what} in {zone} {lease}"), false)
            }
            Note::Failing(Failure { why, refused }) => {
                let verb = if refused { "refuses" } else { "cannot be told" };
                (format!("{server} {verb} what is to be registered in {zone}: {why}"), true)
            }
        };
        self.tell_people(text, bad);
    }

    fn say_of_source(&self, why: Option<String>) {
        let text = match &why {
            Some(why) => format!("the site's public address is not known: {why}"),
            None => "the site's public address is known again".to_owned(),
        };
        self.tell_people(text, why.is_some());
        self.progress.send_modify(|progress| progress.public_failing = why);
    }

    /// What does not fit is in the progress all the same.
    fn tell_people(&self, text: String, bad: bool) {
        let _ = self.notes.try_send((text, bad));
    }
}

/// What a source says next; never, if there is none or it has ended.
async fn next<T: Clone>(source: Option<&mut watch::Receiver<T>>) -> T {
    let Some(source) = source else { return std::future::pending().await };
    match source.changed().await {
        Ok(()) => source.borrow_and_update().clone(),
        Err(_) => std::future::pending().await,
    }
}

async fn answer(telling: Option<&mut Telling>) -> (UpdateId, Answer) {
    match telling {
        Some(telling) => telling.await,
        None => std::future::pending().await,
    }
}

/// What an earlier run left at the site's names.
fn left(path: &Path, settings: &register::Settings) -> BTreeSet<Entry> {
    let entries = read(path).unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "what was registered before is not known; leases will end by themselves");
        BTreeSet::new()
    });
    entries.into_iter().filter(|(name, _)| settings.site.contains(name)).collect()
}

/// What the file says; nothing, where there is none yet.
fn read(path: &Path) -> io::Result<BTreeSet<Entry>> {
    match std::fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

async fn keep(path: PathBuf, entries: BTreeSet<Entry>) {
    let written = tokio::task::spawn_blocking(move || {
        // Without a site or zones nobody else has made it.
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        durable::replace(&path, &serde_json::to_vec(&entries)?)
    });
    if let Ok(Err(error)) = written.await {
        tracing::warn!(%error, "what is registered could not be written down; leases will end by themselves");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_registered_is_found_again_and_a_damaged_file_is_told_from_none() {
        let path = std::env::temp_dir().join(format!("gatehouse-registered-{}.json", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert_eq!(read(&path).unwrap(), BTreeSet::new(), "the first start");
        let entries: BTreeSet<Entry> = [("cloud.test".parse().unwrap(), IpAddr::from([203, 0, 113, 1]))].into();
        durable::replace(&path, &serde_json::to_vec(&entries).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), entries);
        std::fs::write(&path, "[[\"cloud.test.\",").unwrap();
        assert!(read(&path).is_err());
        std::fs::remove_file(path).unwrap();
    }
}
