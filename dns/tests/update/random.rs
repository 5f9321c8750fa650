//! Random sequences over few names, types and data, so that they meet each other often.

use super::rng::Rng;

/// The apex of the zone that is updated.
pub const APEX: &str = "t.";
/// A name whose addresses are another name's.
pub const ALIAS: &str = "al.t.";
/// The names that updates are about.
const NAMES: &[&str] =
    &[APEX, "a.t.", "A.T.", "b.t.", "x.a.t.", "deep.down.t.", "*.t.", "_acme-challenge.t.", ALIAS, "down.t."];
/// No names of the zone.
const OUTSIDE: &[&str] = &["t.other.", "at.", "."];

/// Class numbers.
pub const IN: u16 = 1;
/// RFC 2136.
pub const NONE: u16 = 254;
/// RFC 2136.
pub const ANY: u16 = 255;

/// One run: a zone and what happens to it.
#[derive(Clone, Debug)]
pub struct Sequence {
    /// The serial that the zone begins with.
    pub serial: u32,
    /// Whether the server is said to sign the zone.
    pub is_signed: bool,
    /// Records of the zone besides SOA, NS and the alias's address.
    pub records: Vec<Rr>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// What happens next.
#[derive(Clone, Debug)]
pub enum Step {
    /// A message arrives.
    Update(Update),
    /// So many seconds pass, and the server looks for leases that have ended.
    Wait(u64),
}

/// The parts of a message.
#[derive(Clone, Debug)]
pub struct Update {
    /// The key that signed it.
    pub signer: Option<&'static str>,
    /// Name, type and class of the zone section.
    pub zone: (&'static str, u16, u16),
    /// The first section.
    pub prerequisites: Vec<Rr>,
    /// The second.
    pub updates: Vec<Rr>,
    /// The Update Lease option.
    pub lease: Option<(u32, Option<u32>)>,
}

/// A record of a message, as it would be written: perhaps wrong in form.
#[derive(Clone, Debug)]
pub struct Rr {
    pub name: &'static str,
    pub class: u16,
    pub ttl: u32,
    pub rtype: u16,
    pub data: Option<Data>,
}

/// The data of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    Address(u8),
    /// NS, CNAME, DNAME.
    Name(&'static str),
    Mx(u16, &'static str),
    Txt(&'static str),
    Soa(u32),
    Raw(&'static [u8]),
}

impl Sequence {
    /// The sequence of this seed.
    pub fn random(seed: u64) -> Self {
        let rng = &mut Rng::new(seed);
        let serial = rng.pick(&[1, 7, 0x7fff_ffff, u32::MAX - 1, u32::MAX]);
        // The zone begins with plain data; what cannot be beside something else is for the updates.
        let records = (0..rng.below(5))
            .map(|_| {
                let (rtype, data) = rng.pick(&[(1, Data::Address(1)), (1, Data::Address(2)), (16, Data::Txt("one"))]);
                let name = rng.pick(&NAMES[..6]);
                Rr { name, class: IN, ttl: 60, rtype, data: Some(data) }
            })
            .collect();
        let mut sequence = Self { serial, is_signed: rng.chance(30), records, steps: Vec::new() };
        for _ in 0..2 + rng.below(8) {
            let step = match rng.chance(15) {
                true => Step::Wait(rng.pick(&[1, 10, 100])),
                false => Step::Update(update(rng, serial)),
            };
            sequence.steps.push(step);
        }
        sequence
    }
}

fn update(rng: &mut Rng, serial: u32) -> Update {
    let zone = match rng.below(60) {
        0 => ("a.t.", 6, IN),
        1 => ("other.", 6, IN),
        2 => (APEX, 1, IN),
        3 => (APEX, 6, 3),
        _ => (rng.pick(&[APEX, "T."]), 6, IN),
    };
    let signer = match rng.below(20) {
        0 => None,
        1 => Some("nobody."),
        2 | 3 => Some("acme."),
        4..=7 => Some("part."),
        _ => Some("all."),
    };
    let is_conditional = rng.chance(40);
    let prerequisites = (0..1 + rng.below(3)).filter(|_| is_conditional).map(|_| prerequisite(rng, serial)).collect();
    let updates = (0..rng.below(5)).map(|_| change(rng, serial)).collect();
    let lease = rng.chance(30).then(|| {
        let seconds = |rng: &mut Rng| rng.pick(&[0, 5, 50, u32::MAX]);
        (seconds(rng), rng.chance(40).then(|| seconds(rng)))
    });
    Update { signer, zone, prerequisites, updates, lease }
}

fn prerequisite(rng: &mut Rng, serial: u32) -> Rr {
    let name = name(rng);
    let (rtype, data) = data(rng, serial);
    let ttl = if rng.chance(2) { 60 } else { 0 };
    let wrong = rng.chance(2);
    match rng.below(6) {
        0 => Rr { name, class: ANY, ttl, rtype: 255, data: wrong.then_some(data) },
        1 => Rr { name, class: NONE, ttl, rtype: 255, data: wrong.then_some(data) },
        2 => Rr { name, class: ANY, ttl, rtype, data: wrong.then_some(data) },
        3 => Rr { name, class: NONE, ttl, rtype, data: wrong.then_some(data) },
        _ => Rr { name, class: if wrong { 3 } else { IN }, ttl, rtype, data: Some(data) },
    }
}

fn change(rng: &mut Rng, serial: u32) -> Rr {
    let name = name(rng);
    let (rtype, data) = data(rng, serial);
    let wrong = rng.chance(2);
    let zero = if rng.chance(2) { 60 } else { 0 };
    match rng.below(10) {
        0 => Rr { name, class: ANY, ttl: zero, rtype: 255, data: wrong.then_some(data) },
        1 => Rr { name, class: ANY, ttl: zero, rtype, data: wrong.then_some(data) },
        2 | 3 => Rr { name, class: NONE, ttl: zero, rtype, data: (!wrong).then_some(data) },
        _ => {
            let ttl = rng.pick(&[0, 60, 60, 60, 300, 0x8000_0000]);
            let class = if rng.chance(1) { 3 } else { IN };
            Rr { name, class, ttl, rtype: if wrong { 252 } else { rtype }, data: Some(data) }
        }
    }
}

fn name(rng: &mut Rng) -> &'static str {
    if rng.chance(2) { rng.pick(OUTSIDE) } else { rng.pick(NAMES) }
}

/// A type and data that fits it.
fn data(rng: &mut Rng, serial: u32) -> (u16, Data) {
    let host = rng.pick(&["n1.t.", "N1.T.", "n2.elsewhere."]);
    match rng.below(32) {
        0..=9 => (1, Data::Address(1 + rng.below(3) as u8)),
        10..=14 => (5, Data::Name(host)),
        15..=18 => (2, Data::Name(host)),
        19..=21 => (16, Data::Txt(rng.pick(&["one", "two", "One"]))),
        22 => (15, Data::Mx(rng.pick(&[10, 20]), host)),
        23..=25 => (6, Data::Soa(serial.wrapping_add(rng.pick(&[0, 1, 2, 5, 1 << 31, u32::MAX])))),
        26 => (25, Data::Raw(b"\x02\x00\x03\x0fkey")),
        27 => (39, Data::Name(host)),
        28 => (65_400, Data::Raw(b"any")),
        29 => (
            11,
            Data::Raw(rng.pick(&[
                b"\x0a\0\0\x01\x06\x01".as_slice(),
                b"\x0a\0\0\x01\x06\x02",
                b"\x0a\0\0\x01\x11\x01",
            ])),
        ),
        30 => (48, Data::Raw(b"\x01\x01\x03\x0fkey")),
        _ => (47, Data::Raw(b"\x01t\0\0\x01\x40")),
    }
}
