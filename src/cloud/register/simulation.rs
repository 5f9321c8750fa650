//! A main server, sites of members, and bad luck: away, slow, refusing and late servers, addresses that change, holders
//! that change, members that are killed or end in good order, and start again.
//!
//! After every step: nobody but a holder told a site's address, and no name has an address that nobody can be blamed
//! for. After healing: the zone says exactly what is true, soon, and a dead site is gone when its lease is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dns::name::Name;

use super::*;

const LEASE: Duration = Duration::from_secs(60);
const SITES: usize = 2;
const MEMBERS: usize = 2;
const STEPS: usize = 400;

/// The zone: each record with the end of its lease, and the moment it was added for.
type Zone = BTreeMap<Entry, Time>;

struct Member {
    site: usize,
    name: Name,
    machine: Option<Machine>,
    address: IpAddr,
    kept: BTreeSet<Entry>,
    /// What the machine was last told of its site.
    knows: IpAddr,
}

struct World {
    now: Time,
    random: Random,
    seed: u64,
    zone: Zone,
    members: Vec<Member>,
    /// Each site's public address and holder.
    public: Vec<IpAddr>,
    holder: Vec<Option<usize>>,
    server: Server,
    /// Updates on their way to the server, and answers on their way back: arrival, member, update or answer.
    there: Vec<(Time, usize, Update)>,
    back: Vec<(Time, usize, UpdateId, Answer)>,
    log: Vec<String>,
    fresh: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Well,
    /// Nothing arrives.
    Away,
    /// Does it, and answers after this many seconds.
    Slow(u64),
    Refusing,
    /// Does it, and the answer is lost.
    Mute,
    /// The update itself takes long, and others overtake it.
    Late,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

impl World {
    fn new(seed: u64) -> World {
        let members = (0..SITES * MEMBERS).map(|index| Member {
            site: index / MEMBERS,
            name: name(&format!("m{index}.cloud.test")),
            machine: None,
            address: IpAddr::V4(Ipv4Addr::new(192, 168, 1, index as u8)),
            kept: BTreeSet::new(),
            knows: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        });
        let public = |site| IpAddr::V4(Ipv4Addr::new(203, 0, 113, site as u8));
        let mut world = World {
            now: Time::from_millis(1_000_000),
            random: Random::new(seed),
            seed,
            zone: Zone::new(),
            members: members.collect(),
            public: (0..SITES).map(public).collect(),
            holder: vec![None; SITES],
            server: Server::Well,
            there: Vec::new(),
            back: Vec::new(),
            log: Vec::new(),
            fresh: 100,
        };
        for member in 0..world.members.len() {
            world.start(member);
        }
        for site in 0..SITES {
            world.hold(site, Some(site * MEMBERS));
        }
        world
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random.draw() % below
    }

    fn say(&mut self, what: String) {
        let line = format!("{:>9.3} {what}", self.now.since(Time::from_millis(1_000_000)).as_secs_f64());
        self.log.push(line);
    }

    fn settings(&self, member: usize) -> Settings {
        let Member { name: own, site, .. } = &self.members[member];
        let site = vec![name("cloud.test"), name(&format!("s{site}.cloud.test"))];
        Settings { member: Some(own.clone()), site, lease: LEASE }
    }

    fn start(&mut self, member: usize) {
        let settings = self.settings(member);
        let seed = self.draw(u64::MAX);
        let left = self.members[member].kept.clone();
        self.members[member].machine = Some(Machine::new(settings, left, self.now, seed));
        self.say(format!("m{member} starts"));
        self.tell_all(member);
    }

    fn tell_all(&mut self, member: usize) {
        let Member { address, site, .. } = self.members[member];
        let public = self.public[site];
        self.members[member].knows = public;
        let holder = match self.holder[site] {
            Some(holder) if holder == member => Holder::Me,
            Some(_) => Holder::Other,
            None => Holder::Nobody,
        };
        self.step(member, Input::Addresses([address].into()));
        self.step(member, Input::Holder(holder));
        self.step(member, Input::Public([public].into()));
    }

    /// The members of a site learn who holds, in an order that differs.
    fn hold(&mut self, site: usize, holder: Option<usize>) {
        self.holder[site] = holder;
        self.say(format!("s{site} is held by {holder:?}"));
        let mut members: Vec<usize> = (0..MEMBERS).map(|index| site * MEMBERS + index).collect();
        if self.draw(2) == 0 {
            members.reverse();
        }
        members.into_iter().for_each(|member| self.tell_all(member));
    }

    fn step(&mut self, member: usize, input: Input) {
        let Some(machine) = &mut self.members[member].machine else { return };
        let mut out = Vec::new();
        machine.step(self.now, input, &mut out);
        for effect in out {
            match effect {
                Effect::Keep(entries) => self.members[member].kept = entries,
                Effect::Send(update) => self.send(member, update),
                Effect::Note(_) => {}
                Effect::Done => {
                    self.members[member].machine = None;
                    self.say(format!("m{member} has ended"));
                }
            }
        }
    }

    fn send(&mut self, member: usize, update: Update) {
        self.say(format!("m{member} sends {} {:?}", update.id.0, update.changes));
        let site = self.members[member].site;
        let tells = update.changes.iter().any(|change| matches!(change, Change::Add(..)));
        assert!(!tells || self.holder[site] == Some(member), "m{member} tells its site's address and does not hold");
        // A newer update takes the place of what is on its way, but for what already left.
        self.back.retain(|(_, whose, ..)| *whose != member);
        let travel = match self.server {
            Server::Away => return,
            Server::Late => 500 + self.draw(4_000),
            _ => 1 + self.draw(30),
        };
        self.there.push((self.now + Duration::from_millis(travel), member, update));
    }

    fn arrive(&mut self, member: usize, update: Update) {
        let answer = match self.server {
            Server::Away => return,
            Server::Refusing => Answer::Refused("REFUSED".to_owned()),
            _ => {
                for change in &update.changes {
                    self.apply(change, self.now + update.lease);
                }
                Answer::Done(Some(update.lease))
            }
        };
        let travel = match self.server {
            Server::Mute => return,
            Server::Slow(seconds) => seconds * 1_000,
            _ => 1 + self.draw(30),
        };
        self.back.push((self.now + Duration::from_millis(travel), member, update.id, answer));
    }

    fn apply(&mut self, change: &Change, until: Time) {
        match change {
            Change::Replace(name, addresses) => {
                self.zone.retain(|(other, _), _| other != name);
                self.zone.extend(addresses.iter().map(|address| ((name.clone(), *address), until)));
            }
            Change::Add(name, address) => drop(self.zone.insert((name.clone(), *address), until)),
            Change::Remove(name, address) => drop(self.zone.remove(&(name.clone(), *address))),
        }
    }

    /// Lets time pass up to `end`, event by event.
    fn run(&mut self, end: Time) {
        for _ in 0..100_000 {
            let deadlines = self.members.iter().filter_map(|member| Some(member.machine.as_ref()?.deadline()?.at));
            let travels = self.there.iter().map(|(at, ..)| *at).chain(self.back.iter().map(|(at, ..)| *at));
            let next = deadlines.chain(travels).min().unwrap_or(end).max(self.now);
            if next > end {
                break;
            }
            self.now = next;
            self.zone.retain(|_, until| *until > self.now);
            if let Some(index) = self.there.iter().position(|(at, ..)| *at <= self.now) {
                let (_, member, update) = self.there.remove(index);
                self.arrive(member, update);
            } else if let Some(index) = self.back.iter().position(|(at, ..)| *at <= self.now) {
                let (_, member, id, answer) = self.back.remove(index);
                self.step(member, Input::Answer(id, answer));
            } else {
                let due = |member: &Member| {
                    member.machine.as_ref().and_then(Machine::deadline).is_some_and(|deadline| deadline.at <= self.now)
                };
                let Some(member) = self.members.iter().position(due) else { break };
                self.step(member, Input::Tick);
            }
        }
        assert!(self.now <= end, "time went too far");
        self.now = end;
        self.zone.retain(|_, until| *until > end);
    }

    fn pass(&mut self, millis: u64) {
        self.run(self.now + Duration::from_millis(millis));
    }

    /// What the zone should say when everybody has been heard.
    fn truth(&self) -> BTreeSet<Entry> {
        let mut truth = BTreeSet::new();
        for (index, member) in self.members.iter().enumerate().filter(|(_, member)| member.machine.is_some()) {
            truth.insert((member.name.clone(), member.address));
            if self.holder[member.site] == Some(index) {
                let names = self.settings(index).site.into_iter();
                truth.extend(names.map(|name| (name, self.public[member.site])));
            }
        }
        truth
    }

    fn assert_true(&self, when: &str) {
        let zone: BTreeSet<Entry> = self.zone.keys().cloned().collect();
        let truth = self.truth();
        let last = self.log[self.log.len().saturating_sub(60)..].join("\n");
        assert_eq!(zone, truth, "seed {}, {when}:\n{last}", self.seed);
    }

    fn trouble(&mut self) {
        match self.draw(12) {
            0 => {
                self.server = match self.draw(6) {
                    0 => Server::Away,
                    1 => Server::Slow(1 + self.draw(9)),
                    2 => Server::Refusing,
                    3 => Server::Mute,
                    4 => Server::Late,
                    _ => Server::Well,
                };
                self.say(format!("the server is {:?}", self.server));
            }
            1 => {
                let site = self.draw(SITES as u64) as usize;
                self.fresh = self.fresh.wrapping_add(1);
                self.public[site] = IpAddr::V4(Ipv4Addr::new(198, 51, 100, self.fresh));
                self.say(format!("s{site} is at {}", self.public[site]));
                (0..MEMBERS).for_each(|index| self.tell_all(site * MEMBERS + index));
            }
            2 => {
                let member = self.draw((SITES * MEMBERS) as u64) as usize;
                self.fresh = self.fresh.wrapping_add(1);
                self.members[member].address = IpAddr::V4(Ipv4Addr::new(192, 168, 2, self.fresh));
                self.say(format!("m{member} is at {}", self.members[member].address));
                self.tell_all(member);
            }
            3 | 4 => {
                let site = self.draw(SITES as u64) as usize;
                let living: Vec<usize> = (0..MEMBERS)
                    .map(|index| site * MEMBERS + index)
                    .filter(|member| self.members[*member].machine.is_some())
                    .collect();
                let holder = living.get(self.draw(3) as usize).copied();
                self.hold(site, holder);
            }
            5 => self.kill(),
            6 => self.end(),
            7 => {
                let dead = self.members.iter().position(|member| member.machine.is_none());
                dead.into_iter().for_each(|member| self.start(member));
            }
            _ => {}
        }
    }

    fn kill(&mut self) {
        let member = self.draw((SITES * MEMBERS) as u64) as usize;
        if self.members[member].machine.take().is_none() {
            return;
        }
        self.say(format!("m{member} is killed"));
        self.replace_holder(member);
    }

    /// A member that ends hands over first, if there is somebody.
    fn end(&mut self) {
        let member = self.draw((SITES * MEMBERS) as u64) as usize;
        if self.members[member].machine.is_some() {
            self.say(format!("m{member} ends"));
            self.replace_holder(member);
            self.step(member, Input::Stop);
        }
    }

    fn replace_holder(&mut self, member: usize) {
        let site = self.members[member].site;
        if self.holder[site] == Some(member) {
            let mut others = (0..MEMBERS).map(|index| site * MEMBERS + index).filter(|other| *other != member);
            let successor = others.find(|other| self.members[*other].machine.is_some());
            self.hold(site, successor);
        }
    }
}

#[test]
fn whatever_happens_the_zone_comes_to_say_what_is_true() {
    for seed in 0..100 {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.trouble();
            let millis = world.draw(3_000);
            world.pass(millis);
        }
        world.server = Server::Well;
        world.say("all is well".to_owned());
        // Who is ending has ended.
        world.pass(2_000);
        for member in 0..SITES * MEMBERS {
            if world.members[member].machine.is_none() {
                world.start(member);
            }
        }
        for site in 0..SITES {
            world.hold(site, Some(site * MEMBERS));
        }
        // The longest wait for an answer, and the longest pause, and what a late update brought back is gone.
        let pause = MAX_PATIENCE + MAX_PAUSE + AGAIN + Duration::from_secs(3);
        world.run(world.now + pause + LEASE);
        world.assert_true("after everything has healed");

        // With a server that is well, a change is in the zone within two seconds, holder and address at once.
        for turn in 0..4 {
            for site in 0..SITES {
                world.fresh = world.fresh.wrapping_add(1);
                world.public[site] = IpAddr::V4(Ipv4Addr::new(198, 51, 100, world.fresh));
                world.hold(site, Some(site * MEMBERS + turn % MEMBERS));
            }
            world.pass(2_000);
            world.assert_true("two seconds after a change");
            let calm = world.draw(40_000);
            world.pass(calm);
            world.assert_true("later");
        }

        // A whole site dies: its records leave with the lease, the other's stay.
        for member in 0..MEMBERS {
            world.members[member].machine = None;
        }
        world.holder[0] = None;
        world.run(world.now + LEASE + Duration::from_secs(1));
        world.assert_true("after the lease of a dead site");
    }
}

#[test]
fn a_site_that_ends_in_good_order_leaves_at_once() {
    let mut world = World::new(7);
    world.pass(5_000);
    world.assert_true("at the beginning");
    for member in 0..MEMBERS {
        world.replace_holder(member);
        world.step(member, Input::Stop);
        world.pass(1_600);
    }
    assert!(world.members[..MEMBERS].iter().all(|member| member.machine.is_none()), "it has not ended");
    world.assert_true("after the end of a site");
    assert!(!world.zone.is_empty(), "the other site is gone, too");
}

#[test]
fn a_server_that_is_away_is_not_hammered_and_learns_what_it_missed() {
    let mut world = World::new(11);
    world.pass(5_000);
    world.server = Server::Away;
    world.pass(1_800_000);
    let sends = world.log.iter().filter(|line| line.contains("m0 sends")).count();
    assert!(sends < 60, "{sends} updates in half an hour");
    assert!(world.zone.is_empty());
    world.server = Server::Well;
    world.pass((MAX_PATIENCE + MAX_PAUSE).as_millis() as u64 + 1_000);
    world.assert_true("after the server came back");
}
