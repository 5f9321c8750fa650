//! A whole site: LAN, servers, daemons, client and witnesses, and what can be done to its members.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::client::Client;
use super::daemon::{Daemon, Life};
use super::deed::Deed;
use super::inside::FOLDER;
use super::measure::{Probe, Record, Silence};
use super::member::{MAX_MEMBERS, Member, MemberSet};
use super::net::Lan;
use super::server;
use super::software::{Seat, Software};
use super::witness::Witness;
use super::worker::Worker;
use crate::clock;
use crate::units::Time;

/// The time between two ARP questions to each member.
pub const ARP_PERIOD: Duration = Duration::from_millis(5);
/// The time between two looks at each member's addresses.
pub const ADDRESS_PERIOD: Duration = Duration::from_millis(5);

/// An answer that takes longer does not count as one where a steady holder is wanted.
const PROMPT: Duration = Duration::from_millis(100);

/// A running site; dropping it ends and removes everything.
pub struct Site {
    seats: Vec<Place>,
    software: Box<dyn Software>,
    client: Client,
    arp: Witness,
    address: Witness,
    silences: Vec<Silence>,
    lan: Lan,
}

/// What a member's cable does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cable {
    /// It carries frames.
    #[default]
    Whole,
    /// It is pulled: no carrier.
    Cut,
    /// It loses every frame.
    Silent,
}

struct Place {
    seat: Seat,
    cable: Cable,
    daemon: Option<Daemon>,
    _server: Worker,
}

impl Site {
    /// Builds a site of `members` members on which nothing runs yet but the servers, the client and the witnesses.
    ///
    /// # Errors
    /// When the number is out of range or the LAN cannot be built.
    pub fn open(members: usize, software: Box<dyn Software>) -> Result<Site> {
        if !(1..=MAX_MEMBERS).contains(&members) {
            bail!("a site has 1 to {MAX_MEMBERS} members, not {members}");
        }
        let lan = Lan::build(members)?;
        let seats = lan.members().iter().map(|member| Place::open(*member)).collect::<Result<_>>()?;
        let client = Client::start(&lan)?;
        let arp = Witness::arp(&lan, ARP_PERIOD)?;
        let address = Witness::address(&lan, ADDRESS_PERIOD)?;
        Ok(Site { seats, software, client, arp, address, silences: Vec::new(), lan })
    }

    /// Starts the daemons of all members, in order.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start_all(&mut self) -> Result<()> {
        let members = self.lan.members().to_vec();
        members.into_iter().try_for_each(|member| self.apply(Deed::Restart, member))
    }

    /// Waits until exactly one member has the address, and the client has heard only that one for `steady`.
    ///
    /// # Errors
    /// When that does not come about within `patience`, with what is seen instead and what the daemons said last.
    pub fn wait_for_holder(&mut self, patience: Duration, steady: Duration) -> Result<Member> {
        let give_up_at = clock::now() + patience;
        loop {
            if let Some(holder) = self.steady_holder(steady) {
                return Ok(holder);
            }
            if clock::now() >= give_up_at {
                bail!("no single holder within {patience:?}: {}", self.picture());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Who answered the client last, if anybody did in the last 100 ms.
    pub fn holder(&self) -> Option<Member> {
        self.client.last_answer(Duration::from_millis(100)).map(|answer| answer.by)
    }

    /// Who has the address now.
    pub fn address_on(&self) -> MemberSet {
        self.address.latest()
    }

    /// Whose kernel answers ARP for the address now.
    pub fn arp_on(&self) -> MemberSet {
        self.arp.latest()
    }

    /// The LAN.
    pub fn lan(&self) -> &Lan {
        &self.lan
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A member's seat.
    ///
    /// # Errors
    /// When there is no such member.
    pub fn seat(&self, member: Member) -> Result<&Seat> {
        Ok(&self.place(member)?.seat)
    }

    /// A member's daemon, if one was started.
    pub fn daemon(&mut self, member: Member) -> Option<&mut Daemon> {
        self.seats.get_mut(member.index())?.daemon.as_mut()
    }

    /// What a member's daemon does; none if none was started.
    pub fn life(&mut self, member: Member) -> Option<Life> {
        self.daemon(member).map(Daemon::life)
    }

    /// What a member's cable does.
    pub fn cable(&self, member: Member) -> Cable {
        self.place(member).map_or(Cable::Whole, |place| place.cable)
    }

    /// Does something to a member.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn apply(&mut self, deed: Deed, member: Member) -> Result<()> {
        match deed {
            Deed::Cut => self.lan.cut(member).map(|()| self.note_cable(member, Cable::Cut)),
            Deed::Blackhole => self.lan.silence(member).map(|()| self.note_cable(member, Cable::Silent)),
            Deed::Heal => self.lan.heal(member).map(|()| self.note_cable(member, Cable::Whole)),
            Deed::GiveUp => self.software.give_up(&self.place(member)?.seat),
            Deed::Restart => self.restart(member),
            Deed::Kill => self.signal(member, Signal::KILL),
            Deed::Freeze => self.signal(member, Signal::STOP),
            Deed::Thaw => self.signal(member, Signal::CONT),
            Deed::Stop => {
                self.daemon(member).map(Daemon::terminate);
                Ok(())
            }
        }
    }

    /// Everything seen since `from`.
    pub fn record(&self, from: Time) -> Record {
        Record {
            probes: self.client.since(from),
            arp: self.arp.since(from),
            arp_period: self.arp.period,
            address: self.address.since(from),
            address_period: self.address.period,
            silences: self.silences.clone(),
        }
    }

    /// What is seen now, for people who wonder why nothing works.
    pub fn picture(&mut self) -> String {
        let mut picture = format!(
            "the client hears {}; {} has the address; {} answers ARP",
            self.holder().map_or_else(|| "nobody".to_owned(), |holder| holder.to_string()),
            self.address_on(),
            self.arp_on(),
        );
        for member in self.lan.members().to_vec() {
            let Some(daemon) = self.daemon(member) else { continue };
            picture.push_str(&format!("\n{member} ({:?}) said last:\n{}", daemon.life(), daemon.last_words(8)));
        }
        picture
    }

    fn steady_holder(&self, steady: Duration) -> Option<Member> {
        let now = clock::now();
        let from = now - steady - PROMPT;
        let probes = self.client.since(from);
        // A client that has not asked for that long cannot know.
        probes.first().filter(|first| first.sent < from + PROMPT)?;
        // A router keeps probes while it looks for the address; one that was answered late was not answered then.
        let promptly = |probe: &Probe| probe.answer.filter(|answer| answer.at.since(probe.sent) < PROMPT);
        let settled = probes.iter().filter(|probe| probe.sent + PROMPT < now);
        let mut answers = settled.map(|probe| promptly(probe).map(|answer| answer.by));
        let holder = answers.next()??;
        let alone = self.address_on() == [holder].into_iter().collect();
        (alone && answers.all(|by| by == Some(holder))).then_some(holder)
    }

    fn place(&self, member: Member) -> Result<&Place> {
        self.seats.get(member.index()).with_context(|| format!("there is no {member}"))
    }

    fn note_cable(&mut self, member: Member, cable: Cable) {
        let now = clock::now();
        if let Some(place) = self.seats.get_mut(member.index()) {
            place.cable = cable;
        }
        for silence in self.silences.iter_mut().filter(|silence| silence.member == member) {
            silence.to.get_or_insert(now);
        }
        if cable == Cable::Silent {
            self.silences.push(Silence { member, from: now, to: None });
        }
    }

    fn signal(&mut self, member: Member, signal: Signal) -> Result<()> {
        self.daemon(member).map_or(Ok(()), |daemon| daemon.signal(signal))
    }

    fn restart(&mut self, member: Member) -> Result<()> {
        if let Some(daemon) = self.daemon(member) {
            let patience = if daemon.is_ending() { Duration::from_secs(5) } else { Duration::ZERO };
            if !daemon.wait(patience).is_over() {
                bail!("{member} runs already");
            }
        }
        let seat = self.seat(member)?.clone();
        let daemon = Daemon::start(&self.lan, self.software.as_ref(), &seat)?;
        if let Some(place) = self.seats.get_mut(member.index()) {
            place.daemon = Some(daemon);
        }
        Ok(())
    }
}

impl Place {
    fn open(member: Member) -> Result<Place> {
        let folder = Path::new(FOLDER).join(member.to_string());
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Place { seat: Seat { member, folder }, cable: Cable::Whole, daemon: None, _server: server::start(member)? })
    }
}
