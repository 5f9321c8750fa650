//! `election/*.case`: a story told to one member's election machine, and everything it answers.
//!
//! A line is a command; what is indented below it is the complete answer, rewritten by `UPDATE=1`. `me` begins a
//! story; `at 110ms …` hands an input over; `until 500ms` ticks at every deadline up to then, and `quietly 500ms` does
//! so without a word of what another story tells already. The member is n1; a
//! message's options are `from n2 term 3 successors n1,n3 priority 100 health 100 within 3000ms`. A `ready` carries
//! the nonce of the last `prepare`. Every answer ends with the state and what the machine waits for.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use gatehouse::election::{Effect, Failure, Input, Machine, Prefer, Role, Settings, Timing};
use gatehouse::units::{BootEpoch, Health, Mac, NodeId, Priority, Sequence, SiteTag, Term, Time};
use gatehouse::wire::{Beacon, Datagram, DmzAddresses, MemberInfo, Message, Nonce, Presence, Stance};

use super::{case_file, golden, transcript};

const DMZ: DmzAddresses = DmzAddresses { v4: Some(Ipv4Addr::new(192, 168, 1, 11)), v6: None };
const ME: u32 = 1;

#[test]
fn election_stories() {
    let files = std::fs::read_dir(case_file("election")).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|end| end == "case")).collect();
    cases.sort();
    assert!(!cases.is_empty());
    for path in cases {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        golden(&format!("election/{name}"), &tell(&text));
    }
}

/// The story with all answers written anew.
fn tell(text: &str) -> String {
    let mut story = None;
    let mut told = String::new();
    for line in text.lines().filter(|line| !line.starts_with(' ')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        told.push_str(line);
        told.push('\n');
        match words[..] {
            [] | ["#", ..] => {}
            ["me", ..] => story = Some(Story::new(&options(&words[1..]))),
            ["quietly", end] => story.as_mut().unwrap().until(time(end), &mut String::new()),
            ["until", end] => story.as_mut().unwrap().until(time(end), &mut told),
            ["at", at, ..] => {
                let story = story.as_mut().unwrap();
                let input = story.input(&words[2..]);
                story.step(time(at), input, &mut told);
            }
            _ => panic!("not a command: {line}"),
        }
    }
    told
}

struct Story {
    machine: Machine,
    now: Time,
    nonce: Nonce,
}

impl Story {
    fn new(options: &HashMap<&str, &str>) -> Story {
        let term = Term(options.get("term").map_or(0, |term| term.parse().unwrap()));
        Story { machine: Machine::new(settings(options), term, 1), now: Time::ZERO, nonce: Nonce(0) }
    }

    fn step(&mut self, now: Time, input: Input, told: &mut String) {
        assert!(now >= self.now, "time goes back to {now:?}");
        self.now = now;
        let mut out = Vec::new();
        self.machine.step(now, input, &mut out);
        for effect in &out {
            if let Effect::Send { message: Message::Prepare(nonce), .. } = effect {
                self.nonce = *nonce;
            }
            writeln!(told, "    {}", transcript::effect(effect)).unwrap();
        }
        let waits = self.machine.deadline().map_or("waits for nothing".into(), |deadline| {
            format!("waits until {} ({:?})", transcript::millis(deadline.at.as_nanos()), deadline.why)
        });
        writeln!(told, "  = {:?}, term {}, {waits}", self.machine.state(), self.machine.term()).unwrap();
    }

    fn until(&mut self, end: Time, told: &mut String) {
        while let Some(deadline) = self.machine.deadline().filter(|deadline| deadline.at <= end) {
            writeln!(told, "  {} tick", transcript::millis(deadline.at.as_nanos())).unwrap();
            self.step(deadline.at.max(self.now), Input::Tick, told);
        }
        self.now = end;
    }

    fn input(&self, words: &[&str]) -> Input {
        match *words {
            ["tick"] => Input::Tick,
            ["link", way] => Input::Link { up: way == "up" },
            ["fence", "restored"] => Input::FenceRestored,
            ["health", health] => Input::Health(Health(health.parse().unwrap())),
            ["give-up"] => Input::GiveUp,
            ["stop"] => Input::Stop,
            ["reload", ref rest @ ..] => Input::Reload(Box::new(settings(&options(rest)))),
            ["failed", what] => Input::Failed(failure(what)),
            ["address", "seen", "at", who] => Input::AddressSeen { mac: mac(number(who)) },
            _ => self.message(words),
        }
    }

    fn message(&self, words: &[&str]) -> Input {
        let at = words.iter().position(|word| *word == "from").unwrap_or_else(|| panic!("from whom? {words:?}"));
        let options = options(&words[at..]);
        let from = number(options["from"]);
        let message = match words[..at] {
            ["beacon"] => Message::Beacon(beacon(from, &options)),
            ["presence", stance] => Message::Presence(Presence {
                member: member(from, &options),
                stance: stance_of(stance),
                next_within: span(options.get("within").unwrap_or(&"3000ms")),
            }),
            ["query"] => Message::Query(Nonce(7)),
            ["answer", holding] => Message::Answer { nonce: Nonce(7), holding: holding == "holding" },
            ["prepare"] => Message::Prepare(Nonce(7)),
            ["ready"] => Message::Ready(self.nonce),
            ["go", to, term] => Message::Go { to: id(number(to)), term: Term(term.parse().unwrap()) },
            ["released"] => Message::Released { leaving: false },
            ["released", "leaving"] => Message::Released { leaving: true },
            _ => panic!("not a message: {words:?}"),
        };
        let term = Term(options.get("term").map_or(0, |term| term.parse().unwrap()));
        let (site, epoch, sequence) = (SiteTag([1, 2, 3, 4]), BootEpoch(1), Sequence(1));
        Input::Received {
            from: address(from),
            datagram: Datagram { site, node: id(from), epoch, sequence, term, message },
        }
    }
}

fn settings(options: &HashMap<&str, &str>) -> Settings {
    let prefer = options.get("prefer").map(|delay| Prefer::Priority { delay: span(delay) });
    Settings {
        node: id(ME),
        name: "n1".into(),
        site: SiteTag([1, 2, 3, 4]),
        dmz: DMZ,
        mac: mac(ME),
        role: if options.get("role") == Some(&"observer") { Role::Observer } else { Role::Candidate },
        priority: Priority(options.get("priority").map_or(100, |priority| priority.parse().unwrap())),
        prefer: prefer.unwrap_or(Prefer::Stay),
        timing: match options.get("profile") {
            Some(&"fast") => Timing::FAST,
            Some(&"quiet") => Timing::QUIET,
            _ => Timing::DEFAULT,
        },
    }
}

fn beacon(from: u32, options: &HashMap<&str, &str>) -> Beacon {
    let order = options.get("successors").map_or(Vec::new(), |order| order.split(',').map(number).map(id).collect());
    Beacon {
        dmz: DMZ,
        member: member(from, options),
        mac: mac(from),
        interval: Timing::DEFAULT.beacon,
        lease: Timing::DEFAULT.lease,
        members: 2,
        successors: order,
    }
}

fn member(from: u32, options: &HashMap<&str, &str>) -> MemberInfo {
    let number = |name: &str| options.get(name).map_or(100, |value| value.parse().unwrap());
    MemberInfo { name: format!("n{from}"), priority: Priority(number("priority")), health: Health(number("health")) }
}

fn options<'a>(words: &[&'a str]) -> HashMap<&'a str, &'a str> {
    assert!(words.len().is_multiple_of(2), "options come in pairs: {words:?}");
    words.chunks(2).map(|pair| (pair[0], pair[1])).collect()
}

fn stance_of(word: &str) -> Stance {
    match word {
        "observer" => Stance::Observer,
        "probing" => Stance::Probing,
        "standby" => Stance::Standby,
        "conflict" => Stance::Conflict,
        _ => panic!("not a stance: {word}"),
    }
}

fn failure(word: &str) -> Failure {
    match word {
        "configure" => Failure::Configure,
        "shut-gate" => Failure::ShutGate,
        "deconfigure" => Failure::Deconfigure,
        "set-lease" => Failure::SetLease,
        "beacon" => Failure::Beacon,
        _ => panic!("not a failure: {word}"),
    }
}

fn number(name: &str) -> u32 {
    name.strip_prefix('n').and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("not a node: {name}"))
}

fn id(number: u32) -> NodeId {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    NodeId(bytes)
}

fn mac(number: u32) -> Mac {
    let [.., last] = number.to_be_bytes();
    Mac([2, 0, 0, 0, 0, last])
}

fn address(number: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from(0x0a00_0001 + number).into(), 7172)
}

fn span(text: &str) -> Duration {
    let millis = text.strip_suffix("ms").and_then(|digits| digits.parse::<f64>().ok());
    Duration::from_secs_f64(millis.unwrap_or_else(|| panic!("not a time: {text}")) / 1e3)
}

fn time(text: &str) -> Time {
    Time::ZERO + span(text)
}
