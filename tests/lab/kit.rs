//! What labs of bad luck share: members whose configurations the test writes, questions to their daemons, and tools
//! run inside a machine.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use gatehouse::api::model::{Event, RoleName, Status};
use gatehouse::clock;
use gatehouse::demo::deed::Deed;
use gatehouse::demo::measure::{BASE, Figures, Stretch, Window};
use gatehouse::demo::member::{Member, MemberSet};
use gatehouse::demo::net::{Lan, Machine};
use gatehouse::demo::site::Site;
use gatehouse::demo::software::{Seat, Software, give_up};
use gatehouse::units::Time;

/// Nothing that works takes longer on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// One member's configuration; the default is the demo's.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its name; none is the member's.
    pub name: Option<String>,
    /// The passphrase.
    pub key: &'static str,
    /// Further lines of `[lan]`.
    pub lan: String,
    /// The lines of `[dmz]`.
    pub dmz: String,
    /// Further tables.
    pub more: String,
}

impl Default for Config {
    fn default() -> Config {
        let dmz = "address = [\"192.168.77.11/24\"]".to_owned();
        Config { name: None, key: "a site of its own", lan: String::new(), dmz, more: String::new() }
    }
}

impl Config {
    /// The default with further lines of `[lan]`.
    pub fn lan(lines: impl Into<String>) -> Config {
        Config { lan: lines.into(), ..Config::default() }
    }

    /// Writes it to the seat's folder.
    pub fn write(&self, seat: &Seat) -> Result<PathBuf> {
        let Config { key, lan, dmz, more, .. } = self;
        let name = self.name.clone().unwrap_or_else(|| seat.member.to_string());
        let interface = if lan.contains("interface =") { "" } else { "interface = \"eth0\"\n" };
        let folder = seat.folder.display();
        let text = format!(
            "name = \"{name}\"\nstate = \"{folder}/state\"\ncontrol = \"{folder}/control.sock\"\n\n\
             [lan]\n{interface}key = {{ passphrase = \"{key}\" }}\n{lan}\n\n[dmz]\n{dmz}\n\n{more}\n"
        );
        let path = seat.file("gatehouse.toml");
        std::fs::write(&path, text).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

/// The daemon under test, each member with a configuration of its own.
struct Daemons<F>(F);

impl<F: Fn(Member) -> Config + Send + Sync> Software for Daemons<F> {
    fn name(&self) -> String {
        "gatehouse".to_owned()
    }

    fn command(&self, seat: &Seat) -> Result<Command> {
        let mut command = Command::new(program());
        command.arg("run").arg("--config").arg(self.0(seat.member).write(seat)?);
        Ok(command)
    }

    fn give_up(&self, seat: &Seat) -> Result<()> {
        give_up(&program(), seat)
    }
}

/// The program under test.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_gatehouse"))
}

/// A site on which nothing runs yet.
pub fn site(members: usize, config: impl Fn(Member) -> Config + Send + Sync + 'static) -> Result<Site> {
    Site::open(members, Box::new(Daemons(config)))
}

/// The member of this number, from 1 as in its name.
pub fn m(number: usize) -> Member {
    Member::new(number - 1).unwrap()
}

/// Starts the daemons of these members.
pub fn start(site: &mut Site, members: &[Member]) -> Result<()> {
    members.iter().try_for_each(|member| site.apply(Deed::Restart, *member))
}

/// Waits until the client has heard only one member for a while.
pub fn holder(site: &mut Site) -> Result<Member> {
    // Answers count once they are 100 ms old: before that, the holder would be the one of a moment ago.
    std::thread::sleep(Duration::from_millis(150));
    site.wait_for_holder(PATIENCE, Duration::from_millis(400))
}

/// Starts all members and waits until one holds and each knows all others.
pub fn settled(site: &mut Site) -> Result<Member> {
    site.start_all()?;
    let all = site.lan().members().to_vec();
    met(site, &all)
}

/// Waits until one holds, and these members know each other and the holder; the holder.
pub fn met(site: &mut Site, members: &[Member]) -> Result<Member> {
    let holding = holder(site)?;
    for member in members {
        let complete = |status: &Status| {
            status.members.len() == members.len() && status.holder.as_deref() == Some(&holding.to_string())
        };
        shows(site, *member, "to know all others", complete)?;
    }
    Ok(holding)
}

/// The first member but this one.
pub fn other(site: &Site, than: Member) -> Result<Member> {
    site.lan().members().iter().copied().find(|member| *member != than).context("there is no other member")
}

/// Waits until somebody else than the holder of before answers the client.
pub fn replaced(site: &Site, before: Member) -> Result<()> {
    until("another holder", || Ok(site.holder().is_some_and(|now| now != before)))
}

/// Waits until a member's status is as it should be; that status.
pub fn shows(site: &Site, member: Member, what: &str, right: impl Fn(&Status) -> bool) -> Result<Status> {
    shows_at(site.seat(member)?, what, right)
}

/// Waits until the status of a seat's daemon is as it should be; that status.
pub fn shows_at(seat: &Seat, what: &str, right: impl Fn(&Status) -> bool) -> Result<Status> {
    let give_up_at = clock::now() + PATIENCE;
    loop {
        let seen = status_at(seat);
        if let Ok(seen) = &seen
            && right(seen)
        {
            return Ok(seen.clone());
        }
        ensure!(clock::now() < give_up_at, "waited for {} {what}: {seen:#?}\n{}", seat.member, words_at(seat));
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a member has a role.
pub fn plays(site: &Site, member: Member, role: RoleName) -> Result<Status> {
    shows(site, member, &format!("to be {role:?}"), |status| status.role == role)
}

/// Waits until something is so.
pub fn until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let give_up_at = clock::now() + PATIENCE;
    while !so()? {
        ensure!(clock::now() < give_up_at, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// What a member says of the site.
pub fn status(site: &Site, member: Member) -> Result<Status> {
    status_at(site.seat(member)?)
}

/// What happened at a member.
pub fn events(site: &Site, member: Member) -> Result<Vec<Event>> {
    let lines = get(site.seat(member)?, "/v1/events?follow=false")?;
    lines.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// Whether a member tells of an event of this kind with these words.
pub fn tells(site: &Site, member: Member, kind: &str, words: &str) -> Result<bool> {
    Ok(events(site, member)?.iter().any(|event| event.kind == kind && event.text.contains(words)))
}

/// One of a member's figures, as `/metrics` names it.
pub fn metric(site: &Site, member: Member, name: &str) -> Result<u64> {
    let page = get(site.seat(member)?, "/metrics")?;
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.with_context(|| format!("no {name} in {page}"))?.parse().context("a number")
}

/// How many datagrams a member dropped for this reason.
pub fn dropped(site: &Site, member: Member, reason: &str) -> Result<u64> {
    metric(site, member, &format!("gatehouse_datagrams_dropped_total{{reason=\"{reason}\"}}"))
}

/// All that a member's daemon said.
pub fn words(site: &Site, member: Member) -> Result<String> {
    Ok(words_at(site.seat(member)?))
}

/// Two never answered since `from`, as far as the witnesses saw.
pub fn never_two(site: &Site, from: Time) -> Result<()> {
    // What began just now shows a moment later.
    std::thread::sleep(Duration::from_millis(200));
    let record = site.record(from);
    ensure!(record.arp.len() > 1, "the witnesses saw nothing");
    match record.arp.iter().find(|round| round.yes.len() > 1) {
        Some(round) => {
            let words: Vec<String> = round.yes.iter().map(|member| words(site, member)).collect::<Result<_>>()?;
            bail!("{} answered at once, {:?} after the begin\n{}", round.yes, round.at.since(from), words.join("\n"))
        }
        None => Ok(()),
    }
}

/// What the client and the witnesses saw since `fault`, but for the last moments, whose answers may be on their way.
pub fn figures(site: &Site, fault: Time, holder: Member) -> Figures {
    std::thread::sleep(Duration::from_millis(150));
    let end = clock::now() - Duration::from_millis(150);
    let calm = Stretch::before(fault, BASE);
    site.record(calm.from).figures(Window { fault, end, holder: Some(holder), calm })
}

/// A set of members.
pub fn set(members: &[Member]) -> MemberSet {
    members.iter().copied().collect()
}

/// Runs a tool in a machine to its end.
pub fn output(lan: &Lan, machine: Machine, program: &str, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    lan.within(machine, move || command.output())?.with_context(|| format!("running {program}"))
}

/// Runs a tool in a machine; what it printed.
///
/// # Errors
/// When it failed.
pub fn run(lan: &Lan, machine: Machine, program: &str, arguments: &[&str]) -> Result<String> {
    let output = output(lan, machine, program, arguments)?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "`{program} {}` failed: {complaint}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn status_at(seat: &Seat) -> Result<Status> {
    serde_json::from_str(&get(seat, "/v1/status")?).context("a status")
}

/// All that the daemon of a seat said.
pub fn words_at(seat: &Seat) -> String {
    String::from_utf8_lossy(&std::fs::read(seat.file("log")).unwrap_or_default()).into_owned()
}

/// What the daemon of a seat answers at a path of its API.
pub fn get(seat: &Seat, path: &str) -> Result<String> {
    let mut stream = UnixStream::connect(seat.file("control.sock")).context("connecting")?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: gatehouse\r\n\r\n").context("asking")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("reading the answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    ensure!(head.contains(" 200 "), "{path}: {head}");
    Ok(body.to_owned())
}
