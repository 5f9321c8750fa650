//! Our answers beside those of Knot and NSD, for the same zone: plain, signed, and signed with hashed names.
//!
//! Every name of the zone, names around it and names below it are asked for with every usual type. Where the two agree we
//! must agree with them; where they do not, with one of them. Without the programs the test says so, and fails under
//! `LAB=require`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

mod peers;

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dns::answer::Served;
use dns::guard::{Cookies, Secret};
use dns::name::Name;
use dns::record::{Record, Rtype};
use dns::server::{Front, Policy, Udp};
use dns::text::{Source, no_include, read_zone};
use dns::wire::{CLASS_IN, Edns, Flags, Header, MAX_MESSAGE, Message, Question, Rcode, Section, Writer};
use dns::zone::Zone;
use peers::Peer;

const APEX: &str = "test";
const ZONE: &str = include_str!("test.zone");

const TYPES: [Rtype; 12] = [
    Rtype::A,
    Rtype::AAAA,
    Rtype::NS,
    Rtype::SOA,
    Rtype::MX,
    Rtype::TXT,
    Rtype::CNAME,
    Rtype::DNAME,
    Rtype::SRV,
    Rtype::DS,
    Rtype::NSEC,
    Rtype::DNSKEY,
];

#[test]
fn a_plain_zone_is_answered_alike() {
    if !peers::are_there(&["knotd", "nsd"]) {
        return;
    }
    let folder = Folder::new("plain");
    let file = folder.0.join("test.zone");
    std::fs::write(&file, ZONE).unwrap();
    compare(&folder.0, &file, &[false]);
}

#[test]
fn a_signed_zone_is_answered_alike() {
    signed("signed", &[]);
}

#[test]
fn a_zone_with_hashed_names_is_answered_alike() {
    signed("hashed", &["-3", "-"]);
    signed("salted", &["-3", "aabbccdd", "-H", "5"]);
    signed("opted-out", &["-3", "-", "-A"]);
}

fn signed(name: &str, arguments: &[&str]) {
    if !peers::are_there(&["knotd", "nsd", "dnssec-keygen", "dnssec-signzone"]) {
        return;
    }
    let folder = Folder::new(name);
    std::fs::write(folder.0.join("test.zone"), ZONE).unwrap();
    run(Command::new("dnssec-keygen").current_dir(&folder.0).args(["-q", "-a", "ED25519", "-f", "KSK", APEX]));
    let mut sign = Command::new("dnssec-signzone");
    sign.current_dir(&folder.0).args(["-q", "-S", "-z", "-O", "full", "-o", APEX, "-f", "signed"]).args(arguments);
    run(sign.arg("test.zone"));
    compare(&folder.0, &folder.0.join("signed"), &[false, true]);
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Asks all servers everything.
fn compare(folder: &Path, file: &Path, dnssec: &[bool]) {
    let text = std::fs::read(file).unwrap();
    let apex: Name = APEX.parse().unwrap();
    let source = Source { file: file.display().to_string().into(), text: &text };
    let zone = read_zone(source, &apex, &mut no_include).unwrap_or_else(|faults| panic!("{faults}"));
    let names = names(&zone);
    let (_udp, ours) = serve(zone);
    let knot = Peer::knot(&folder.join("knot"), APEX, file);
    let nsd = Peer::nsd(&folder.join("nsd"), APEX, file);
    let (mut asked, mut divided) = (0, 0);
    for name in &names {
        for (rtype, dnssec_ok) in TYPES.iter().flat_map(|rtype| dnssec.iter().map(move |dnssec| (*rtype, *dnssec))) {
            let ask = |server: SocketAddr| Seen::ask(server, name, rtype, dnssec_ok);
            let (mine, knot, nsd) = (ask(ours), ask(knot.address()), ask(nsd.address()));
            asked += 1;
            divided += usize::from(knot != nsd);
            let agrees = mine == knot || mine == nsd;
            assert!(agrees, "{name} {rtype} do={dnssec_ok}\nours {mine:#?}\nknot {knot:#?}\nnsd {nsd:#?}");
        }
    }
    println!("{asked} questions, {divided} answered differently by Knot and NSD");
    assert!(divided * 5 < asked, "they differ too often to be a measure: {divided} of {asked}");
}

/// The names of a zone, and others around them.
fn names(zone: &Zone) -> Vec<Name> {
    let mut names = BTreeSet::new();
    for node in zone.nodes() {
        let owner = node.name().to_owned();
        for front in ["x", "*", "zz", "a.b"] {
            let below = Name::parse(front, owner.as_ref());
            names.extend(below.ok().filter(|below| below.as_ref().wire().len() < 200));
        }
        names.insert(owner);
    }
    assert!(names.len() > 100);
    names.into_iter().collect()
}

fn serve(zone: Zone) -> (Udp, SocketAddr) {
    let policy = Policy::new(Cookies::new(Secret([1; 16])));
    let front = Arc::new(Front::new(policy));
    front.publish([Served::new(zone)].into_iter().collect());
    let (slow, _) = tokio::sync::mpsc::channel(1);
    let udp = Udp::start(&[SocketAddr::from(([127, 0, 0, 1], 0))], 1, &front, &slow).unwrap();
    let address = udp.addresses()[0];
    (udp, address)
}

/// What matters of an answer; what servers may add or leave out as they like is left out.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    rcode: Rcode,
    is_authoritative: bool,
    is_truncated: bool,
    /// Sorted, and twice what is there twice.
    answer: Vec<Record>,
    /// All of it in negative answers and referrals, else proofs only.
    authority: BTreeSet<Record>,
    /// The addresses in a referral.
    glue: BTreeSet<Record>,
}

impl Seen {
    fn ask(server: SocketAddr, name: &Name, rtype: Rtype, dnssec_ok: bool) -> Self {
        let mut query = Vec::new();
        let mut writer = Writer::new(&mut query, MAX_MESSAGE, Header { id: 77, ..Header::default() });
        writer.question(Question { name: name.as_ref(), rtype, class: CLASS_IN }).unwrap();
        writer.opt(&Edns::new(1232, dnssec_ok), Rcode::NOERROR, &[]).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send(&query).unwrap();
        let mut octets = [0; 4096];
        let len = socket.recv(&mut octets).unwrap_or_else(|error| panic!("{name} {rtype}: {error}"));
        let message = Message::read(&octets[..len]).unwrap();
        let all = |section| {
            let wanted = message.records(section).filter(|record| record.rtype != Rtype::OPT);
            wanted.map(|record| record.record().unwrap())
        };
        let records = |section| -> BTreeSet<Record> { all(section).collect() };
        let is_authoritative = message.flags().has(Flags::AUTHORITATIVE);
        let is_truncated = message.flags().has(Flags::TRUNCATED);
        let (mut answer, mut authority, mut glue) =
            (all(Section::Answer).collect::<Vec<_>>(), records(Section::Authority), records(Section::Additional));
        answer.sort_unstable();
        if !answer.is_empty() && !authority.iter().any(|record| record.rtype == Rtype::SOA) {
            authority.retain(|record| matches!(signed_type(record), Rtype::NSEC | Rtype::NSEC3));
        }
        glue.retain(|record| !is_authoritative && matches!(record.rtype, Rtype::A | Rtype::AAAA));
        if is_truncated {
            // How much of the answer is left is up to the server.
            (answer, authority, glue) = Default::default();
        }
        Self { rcode: message.flags().rcode(), is_authoritative, is_truncated, answer, authority, glue }
    }
}

/// The type of a record; of a signature, the type that it signs.
fn signed_type(record: &Record) -> Rtype {
    match (record.rtype, &*record.rdata) {
        (Rtype::RRSIG, [high, low, ..]) => Rtype(u16::from_be_bytes([*high, *low])),
        (rtype, _) => rtype,
    }
}

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("agree-{name}"));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
