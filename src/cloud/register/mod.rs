//! Keeps this member's and its site's names true at the main server: what to send, and when. Pure.
//!
//! ```text
//!              wants ≠ told, or half of the lease is over, or something stale may be there
//!   resting ───────────────────────────────────────────────────────────────▶ asking
//!      ▲  ◀──────────────────────────── granted ────────────────────────────  │ │
//!      │                                                                      │ │ refused, or silent
//!      └──────────────── after a pause that doubles, with jitter ◀────────────┘─┘
//! ```
//! One update is on its way at a time. The names of a site may be shared with other sites, so that single records are
//! added and removed there; a member's own name is replaced as a whole. Every record carries a lease (RFC 9664): whoever
//! is cut off or killed needs nobody to clean up.
//!
//! **Invariants:** only the holder tells, and only the holder removes, its site's address; a record that this member may
//! have left behind is removed by each of its updates until its lease has surely ended; nothing is told that is not
//! known; what changes is sent within [`SPACING`] of knowing it unless an update is on its way, and then within
//! [`OVERTAKE`].

mod effect;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use dns::name::Name;

use crate::random::Random;
use crate::units::Time;
pub use effect::{Change, Effect, Failure, Note, Update, UpdateId};

/// Between two updates, so that an address that flaps does not become a flood.
pub const SPACING: Duration = Duration::from_secs(1);
/// A change waits this long for the answer to an older update, then overtakes it.
pub const OVERTAKE: Duration = Duration::from_secs(1);
/// The first wait for an answer; it doubles up to [`MAX_PATIENCE`] for a server that is slow.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// The longest wait for an answer.
pub const MAX_PATIENCE: Duration = Duration::from_secs(24);
/// The first pause after a failure; it doubles up to [`MAX_PAUSE`].
pub const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, and so about how late a server that is back learns what it missed.
pub const MAX_PAUSE: Duration = Duration::from_secs(30);
/// An update that was given up may still arrive, after a newer one: what is true is said once more after this.
pub const AGAIN: Duration = Duration::from_secs(5);
/// The end of the daemon waits this long for the names to be removed.
pub const LAST_WORDS: Duration = Duration::from_millis(1_500);
/// A server that grants less is refreshed as if it granted this.
pub const MIN_LEASE: Duration = Duration::from_secs(4);

/// A name and one of its addresses: one A or AAAA record.
pub type Entry = (Name, IpAddr);

/// Which names are kept, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The name with this member's own addresses.
    pub member: Option<Name>,
    /// The names with the site's public addresses.
    pub site: Vec<Name>,
    /// How long the server shall keep what is not refreshed.
    pub lease: Duration,
}

/// Who holds the DMZ address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This member.
    Me,
    /// Another member.
    Other,
    /// Nobody who is known.
    Nobody,
}

/// What has become known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// This member's own addresses.
    Addresses(BTreeSet<IpAddr>),
    /// The site's public addresses. While their source fails there is no such input: the last ones stay.
    Public(BTreeSet<IpAddr>),
    /// Who holds.
    Holder(Holder),
    /// What came of an update.
    Answer(UpdateId, Answer),
    /// The daemon ends in good order, after any handover.
    Stop,
    /// Nothing but the time.
    Tick,
}

/// What came of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is in the zone; the lease granted, if the server knows leases.
    Done(Option<Duration>),
    /// It is not in the zone; why, for people.
    Refused(String),
    /// No answer, or none that can be believed; why, for people. It may be in the zone or not.
    Silent(String),
}

/// When the machine wants to be stepped next, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// When.
    pub at: Time,
    /// Why.
    pub why: Why,
}

/// Why there is a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The pause before the next update ends.
    Pause,
    /// Half of the lease is over, or what was given up is said again.
    Refresh,
    /// The answer has been waited for long enough.
    Patience,
    /// A change overtakes the update that is on its way.
    Overtake,
    /// The end waits no longer.
    LastWords,
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    settings: Settings,
    addresses: Option<BTreeSet<IpAddr>>,
    public: Option<BTreeSet<IpAddr>>,
    holder: Holder,
    /// Whether this member is the last one that is known to have held.
    held_last: bool,
    /// What the server confirmed, and when that is to be refreshed.
    told: Option<(BTreeSet<Entry>, Time)>,
    /// What may be in the zone at the site's names because of this site.
    perhaps: BTreeMap<Entry, Perhaps>,
    asking: Option<Asking>,
    /// When the last update was sent, if any was.
    spoke: Option<Time>,
    /// No update before this.
    pause: Time,
    failures: u32,
    /// What came of the last update, if that is why the server cannot be told.
    failing: Option<Failure>,
    /// An update was given up since the last one that was confirmed.
    loose: bool,
    stop: Option<Stop>,
    next: UpdateId,
    random: Random,
}

/// What is known of a record that may be in the zone.
#[derive(Clone, Copy, Debug)]
struct Perhaps {
    /// When its lease has surely ended.
    until: Time,
    /// The server confirmed that it is gone; an update given up before may bring it back.
    gone: bool,
}

#[derive(Clone, Debug)]
struct Asking {
    id: UpdateId,
    entries: BTreeSet<Entry>,
    removed: Vec<Entry>,
    sent: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stop {
    until: Time,
    said: bool,
}

impl Machine {
    /// A machine that knows nothing yet but what an earlier run may have left at the server, at `now`.
    pub fn new(settings: Settings, left: BTreeSet<Entry>, now: Time, seed: u64) -> Machine {
        let perhaps = Perhaps { until: now + settings.lease + MAX_PATIENCE, gone: false };
        Machine {
            addresses: None,
            public: None,
            holder: Holder::Nobody,
            held_last: false,
            told: None,
            perhaps: left.into_iter().map(|entry| (entry, perhaps)).collect(),
            asking: None,
            spoke: None,
            pause: now,
            failures: 0,
            failing: None,
            loose: false,
            stop: None,
            next: UpdateId(1),
            random: Random::new(seed),
            settings,
        }
    }

    /// Takes in what happened, and appends what is to be done about it, in order.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) {
        self.perhaps.retain(|_, perhaps| perhaps.until > now);
        let wanted = self.wants();
        match input {
            Input::Addresses(addresses) => self.addresses = Some(addresses),
            Input::Public(public) => self.learn(now, public),
            Input::Holder(holder) => {
                self.holder = holder;
                match holder {
                    Holder::Me => self.held_last = true,
                    Holder::Other => self.held_last = false,
                    Holder::Nobody => {}
                }
            }
            Input::Answer(id, answer) if self.asking.as_ref().is_some_and(|asking| asking.id == id) => {
                self.answered(now, answer, out);
            }
            // An answer that was no longer waited for.
            Input::Answer(..) | Input::Tick => {}
            Input::Stop => self.stop = self.stop.or(Some(Stop { until: now + LAST_WORDS, said: false })),
        }
        if self.wants() != wanted {
            // What is new does not wait for the end of an old failure's pause.
            self.pause = self.pause.min(self.spoke.map_or(now, |spoke| spoke + SPACING));
        }
        if self.asking.as_ref().is_some_and(|asking| now >= asking.sent + self.patience()) {
            self.failed(now, Answer::Silent("no answer".to_owned()), out);
        }
        match self.stop {
            Some(stop) => self.end(now, stop, out),
            None => self.tell(now, out),
        }
    }

    /// When to step again at the latest; none: only when something happens.
    pub fn deadline(&self) -> Option<Deadline> {
        if let Some(stop) = self.stop {
            let waiting = self.asking.as_ref().filter(|_| !stop.said).map(|asking| asking.sent + OVERTAKE / 2);
            return Some(Deadline { at: waiting.map_or(stop.until, |at| at.min(stop.until)), why: Why::LastWords });
        }
        let deadline = |at, why| Some(Deadline { at, why });
        if let Some(asking) = &self.asking {
            let patience = asking.sent + self.patience();
            let overtake = (asking.sent + OVERTAKE).max(self.pause);
            return match self.wants() {
                Some(wants) if wants != asking.entries && overtake < patience => deadline(overtake, Why::Overtake),
                _ => deadline(patience, Why::Patience),
            };
        }
        if self.is_due_now() {
            return deadline(self.pause, Why::Pause);
        }
        let (_, refresh) = self.told.as_ref()?;
        deadline((*refresh).max(self.pause), Why::Refresh)
    }

    /// What shall be in the zone; none while nothing is known that could be told.
    pub fn wants(&self) -> Option<BTreeSet<Entry>> {
        let mine = self.settings.member.iter().zip(&self.addresses);
        let mine = mine.flat_map(|(name, addresses)| addresses.iter().map(|address| (name.clone(), *address)));
        let site = self.public.iter().filter(|_| self.holder == Holder::Me).flat_map(|public| self.site(public));
        let wants: BTreeSet<Entry> = mine.chain(site).collect();
        let known = (self.settings.member.is_some() && self.addresses.is_some())
            || (self.holder == Holder::Me && self.public.is_some());
        (known || self.told.is_some()).then_some(wants)
    }

    /// What the server has confirmed.
    pub fn told(&self) -> Option<&BTreeSet<Entry>> {
        self.told.as_ref().map(|(entries, _)| entries)
    }

    /// Why the server cannot be told now, if so.
    pub fn failing(&self) -> Option<&Failure> {
        self.failing.as_ref()
    }

    fn site<'a>(&'a self, public: &'a BTreeSet<IpAddr>) -> impl Iterator<Item = Entry> + 'a {
        self.settings.site.iter().flat_map(move |name| public.iter().map(move |address| (name.clone(), *address)))
    }

    /// A holder of this site will have told what every member knows: what changes now has to go, whoever holds.
    fn learn(&mut self, now: Time, public: BTreeSet<IpAddr>) {
        let old = self.public.replace(public.clone()).filter(|old| *old != public).unwrap_or_default();
        let perhaps = Perhaps { until: now + self.settings.lease + MAX_PATIENCE, gone: false };
        let left: Vec<Entry> = self.site(&old).collect();
        self.perhaps.extend(left.into_iter().map(|entry| (entry, perhaps)));
    }

    /// Whether an update is due, but for the pause.
    fn is_due_now(&self) -> bool {
        let Some(wants) = self.wants() else { return false };
        match &self.told {
            Some((told, _)) => wants != *told || self.stale(&wants).any(|(_, perhaps)| !perhaps.gone),
            None => true,
        }
    }

    /// What this member takes out of the zone with each update, because it may be there or come back.
    fn stale<'a>(&'a self, wants: &'a BTreeSet<Entry>) -> impl Iterator<Item = (&'a Entry, &'a Perhaps)> {
        let holds = self.holder == Holder::Me;
        self.perhaps.iter().filter(move |(entry, _)| holds && !wants.contains(entry))
    }

    fn tell(&mut self, now: Time, out: &mut Vec<Effect>) {
        let Some(wants) = self.wants() else { return };
        if now < self.pause {
            return;
        }
        if let Some(asking) = &self.asking {
            if asking.entries == wants || now < asking.sent + OVERTAKE {
                return;
            }
            self.loose = true;
        } else if !self.is_due_now() && self.told.as_ref().is_some_and(|(_, refresh)| now < *refresh) {
            return;
        }
        let (changes, removed) = self.changes(&wants);
        if changes.is_empty() {
            // What is not there need not be told.
            self.told = Some((wants, now + self.settings.lease / 2));
            return;
        }
        self.ask(Asking { id: self.next, entries: wants, removed, sent: now }, changes, out);
    }

    /// What makes the zone say these, and nothing else of this member; and what is removed with it.
    fn changes(&self, entries: &BTreeSet<Entry>) -> (Vec<Change>, Vec<Entry>) {
        let mut changes = Vec::new();
        if let (Some(name), Some(addresses)) = (&self.settings.member, &self.addresses) {
            changes.push(Change::Replace(name.clone(), addresses.clone()));
        }
        let removed: Vec<Entry> = self.stale(entries).map(|(entry, _)| entry.clone()).collect();
        changes.extend(removed.iter().map(|(name, address)| Change::Remove(name.clone(), *address)));
        let site = entries.iter().filter(|(name, _)| self.settings.site.contains(name));
        changes.extend(site.map(|(name, address)| Change::Add(name.clone(), *address)));
        (changes, removed)
    }

    fn ask(&mut self, asking: Asking, changes: Vec<Change>, out: &mut Vec<Effect>) {
        self.next = UpdateId(self.next.0 + 1);
        self.spoke = Some(asking.sent);
        self.pause = asking.sent + SPACING;
        let before = self.perhaps.len();
        self.expect(&asking.entries, asking.sent + MAX_PATIENCE + self.settings.lease);
        if self.perhaps.len() != before {
            out.push(Effect::Keep(self.perhaps.keys().cloned().collect()));
        }
        out.push(Effect::Send(Update { id: asking.id, changes, lease: self.settings.lease }));
        self.asking = Some(asking);
    }

    /// Those of the entries that are at the site's names may be in the zone until then.
    fn expect(&mut self, entries: &BTreeSet<Entry>, until: Time) {
        for entry in entries.iter().filter(|(name, _)| self.settings.site.contains(name)) {
            let before = self.perhaps.get(entry).map_or(until, |perhaps| perhaps.until.max(until));
            self.perhaps.insert(entry.clone(), Perhaps { until: before, gone: false });
        }
    }

    fn answered(&mut self, now: Time, answer: Answer, out: &mut Vec<Effect>) {
        let Answer::Done(granted) = answer else { return self.failed(now, answer, out) };
        let Some(Asking { entries, removed, .. }) = self.asking.take() else { return };
        let lease = granted.unwrap_or(self.settings.lease).max(MIN_LEASE);
        self.expect(&entries, now + lease);
        for entry in removed {
            if let Some(perhaps) = self.perhaps.get_mut(&entry) {
                perhaps.gone = true;
            }
        }
        let is_news = self.told().is_none_or(|told| *told != entries) || self.failures > 0;
        if is_news && self.stop.is_none() {
            out.push(Effect::Note(Note::Registered { entries: entries.clone(), lease: granted }));
        }
        let refresh = if self.loose { AGAIN.min(lease / 2) } else { lease / 2 };
        self.loose = false;
        self.failures = 0;
        self.failing = None;
        self.told = Some((entries, now + refresh));
    }

    fn failed(&mut self, now: Time, answer: Answer, out: &mut Vec<Effect>) {
        self.asking = None;
        let failure = match answer {
            Answer::Refused(why) => Failure { why, refused: true },
            Answer::Silent(why) => Failure { why, refused: false },
            Answer::Done(_) => return,
        };
        self.loose |= !failure.refused;
        self.failures = self.failures.saturating_add(1);
        if self.failing.as_ref() != Some(&failure) {
            out.push(Effect::Note(Note::Failing(failure.clone())));
            self.failing = Some(failure);
        }
        let pause = doubled(PAUSE, self.failures - 1, MAX_PAUSE);
        // Between half and all of it, so that many who failed together do not come back together.
        self.pause = self.pause.max(now + pause / 2 + self.random.below(pause / 2));
    }

    fn patience(&self) -> Duration {
        doubled(PATIENCE, self.failures, MAX_PATIENCE)
    }

    /// Takes what is this member's out of the zone: its own name, and its site's address if nobody else tells it now.
    fn end(&mut self, now: Time, stop: Stop, out: &mut Vec<Effect>) {
        let answered = stop.said && self.asking.is_none();
        let waiting = !stop.said && self.asking.as_ref().is_some_and(|asking| now < asking.sent + OVERTAKE / 2);
        if answered || now >= stop.until {
            return out.push(Effect::Done);
        }
        if stop.said || waiting {
            return;
        }
        self.stop = Some(Stop { said: true, ..stop });
        let mut changes = Vec::new();
        if let Some(name) = &self.settings.member {
            changes.push(Change::Replace(name.clone(), BTreeSet::new()));
        }
        if self.held_last {
            changes.extend(self.perhaps.keys().map(|(name, address)| Change::Remove(name.clone(), *address)));
        }
        if changes.is_empty() || self.spoke.is_none() {
            return out.push(Effect::Done);
        }
        self.ask(Asking { id: self.next, entries: BTreeSet::new(), removed: Vec::new(), sent: now }, changes, out);
    }
}

fn doubled(span: Duration, times: u32, most: Duration) -> Duration {
    span.saturating_mul(1u32.checked_shl(times).unwrap_or(u32::MAX)).min(most)
}
