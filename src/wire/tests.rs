//! The datagrams as a whole: out of one member, over a hostile LAN, into another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::decode::{self, DecodeError};
use super::layout::{FLAGS, HEADER, KIND, SIGNATURE, VERSION, kind};
use super::*;
use crate::units::{KeyId, Time};

const SITE: SiteTag = SiteTag([1, 2, 3, 4]);
const HERE: NodeId = NodeId([0xAA; 16]);
const THERE: NodeId = NodeId([0xBB; 16]);
const EPOCH: BootEpoch = BootEpoch(7);
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 2));
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 1, 66));
const NOW: Time = Time::from_millis(1_000);

fn key() -> SiteKey {
    SiteKey::from_seed(&[9; 32])
}

fn outbox() -> Outbox {
    Outbox::new(key(), SITE, THERE, EPOCH)
}

fn intake() -> Intake {
    Intake::new(key().public(), SITE, HERE, BootEpoch(1))
}

const HELLO: Message = Message::Query(Nonce(42));

/// Numbers that differ, the same at every run (Marsaglia's xorshift64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn node(&mut self) -> NodeId {
        NodeId(std::array::from_fn(|_| self.next().to_be_bytes()[0]))
    }

    fn name(&mut self) -> String {
        let letters = ['a', 'Z', '-', '9', 'ü', '家', '🚪', ' '];
        let mut name = String::new();
        for _ in 0..self.below(16) {
            name.push(letters[self.below(8) as usize]);
        }
        name
    }

    fn member(&mut self) -> MemberInfo {
        let (priority, health) = (Priority(self.below(256) as u8), Health(self.below(101) as u8));
        MemberInfo { name: self.name(), priority, health }
    }

    fn dmz(&mut self) -> DmzAddresses {
        let v4 = Some(Ipv4Addr::from_bits(self.next() as u32 | 1));
        let v6 = Some(Ipv6Addr::from_bits(u128::from(self.next()) << 64 | 1));
        match self.below(3) {
            0 => DmzAddresses { v4, v6: None },
            1 => DmzAddresses { v4: None, v6 },
            _ => DmzAddresses { v4, v6 },
        }
    }

    fn message(&mut self) -> Message {
        match self.below(9) {
            0 => Message::Beacon(Beacon {
                dmz: self.dmz(),
                member: self.member(),
                mac: Mac(std::array::from_fn(|_| self.next() as u8)),
                interval: Duration::from_micros(1 + self.below(60_000_000)),
                lease: Duration::from_micros(1 + self.below(60_000_000)),
                members: self.next() as u16,
                successors: (0..self.below(MAX_SUCCESSORS as u64 + 1)).map(|_| self.node()).collect(),
            }),
            1 => Message::Presence(Presence {
                member: self.member(),
                stance: [Stance::Observer, Stance::Probing, Stance::Standby, Stance::Conflict][self.below(4) as usize],
                next_within: Duration::from_millis(1 + self.below(3_600_000)),
            }),
            2 => Message::Query(Nonce(self.next())),
            3 => Message::Answer { nonce: Nonce(self.next()), holding: self.below(2) == 1 },
            4 => Message::Prepare(Nonce(self.next())),
            5 => Message::Ready(Nonce(self.next())),
            6 => Message::Go { to: self.node(), term: Term(self.next()) },
            7 => Message::Released { leaving: self.below(2) == 1 },
            _ => Message::Stale { about: self.node(), epoch: BootEpoch(self.next()) },
        }
    }
}

/// One of each kind, each as long as it can be.
fn longest() -> Vec<Message> {
    let mut numbers = Numbers(3);
    let mut found: std::collections::BTreeMap<u8, (usize, Message)> = std::collections::BTreeMap::new();
    for _ in 0..2_000 {
        let message = numbers.message();
        let bytes = outbox().seal(Term(1), &message);
        let best = found.entry(bytes[KIND.start]).or_insert((0, message.clone()));
        if bytes.len() > best.0 {
            *best = (bytes.len(), message);
        }
    }
    assert_eq!(found.len(), usize::from(kind::STALE), "every kind was made");
    found.into_values().map(|(_, message)| message).collect()
}

#[test]
fn what_is_sealed_is_taken() {
    let (mut outbox, mut intake, mut numbers) = (outbox(), intake(), Numbers(1));
    for count in 1..=1_000_u64 {
        let (term, message) = (Term(numbers.next()), numbers.message());
        let bytes = outbox.seal(term, &message);
        assert!(bytes.len() <= MAX_DATAGRAM);
        let now = Time::from_millis(count * 10);
        let expected = Datagram { site: SITE, node: THERE, epoch: EPOCH, sequence: Sequence(count), term, message };
        assert_eq!(intake.take(now, FROM, &bytes), Ok(expected));
    }
}

#[test]
fn what_does_not_fit_is_brought_into_bounds() {
    let mut beacon = Beacon {
        dmz: DmzAddresses { v4: Some(Ipv4Addr::LOCALHOST), v6: None },
        member: MemberInfo { name: "家".repeat(22), priority: Priority(1), health: Health(200) },
        mac: Mac([1; 6]),
        interval: Duration::ZERO,
        lease: Duration::MAX,
        members: 1,
        successors: vec![HERE; MAX_SUCCESSORS + 1],
    };
    let bytes = outbox().seal(Term(1), &Message::Beacon(beacon.clone()));
    let taken = intake().take(NOW, FROM, &bytes).unwrap().message;
    beacon.member = MemberInfo { name: "家".repeat(21), health: Health::FULL, ..beacon.member };
    (beacon.interval, beacon.lease) = (Duration::from_micros(1), MAX_LEASE);
    beacon.successors.truncate(MAX_SUCCESSORS);
    assert_eq!(taken, Message::Beacon(beacon));
}

#[test]
fn a_terminal_is_not_told_what_to_do() {
    let member = MemberInfo { name: "a\u{1b}[2J\n".into(), priority: Priority(1), health: Health::FULL };
    let presence = Presence { member, stance: Stance::Standby, next_within: Duration::from_secs(1) };
    let bytes = outbox().seal(Term(1), &Message::Presence(presence));
    let Message::Presence(taken) = intake().take(NOW, FROM, &bytes).unwrap().message else { panic!("another kind") };
    assert_eq!(taken.member.name, "a?[2J?");
}

#[test]
fn every_truncation_is_rejected() {
    for message in longest() {
        let bytes = outbox().seal(Term(1), &message);
        for length in 0..bytes.len() {
            let short = &bytes[..length];
            assert!(intake().take(NOW, FROM, short).is_err(), "{message:?} cut to {length}");
            let whole = decode::parts(short).and_then(|parts| parts.datagram());
            assert!(whole.is_err(), "{message:?} cut to {length} decodes");
        }
    }
}

#[test]
fn every_flipped_bit_is_rejected() {
    for message in longest() {
        let bytes = outbox().seal(Term(1), &message);
        let truth = decode::parts(&bytes).and_then(|parts| parts.datagram()).unwrap();
        let meaning = bytes.len() - SIGNATURE;
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let key_id = (layout::KEY_ID.start..layout::KEY_ID.end).contains(&(bit / 8));
            if let Ok(other) = decode::parts(&flipped).and_then(|parts| parts.datagram()) {
                assert_eq!(other == truth, key_id || bit / 8 >= meaning, "two byte strings mean the same, bit {bit}");
            }
            // Verifying every flip takes a minute; one in seven meets each field.
            if bit % 7 == 0 {
                assert!(intake().take(NOW, FROM, &flipped).is_err(), "{message:?} with bit {bit} flipped");
            }
        }
    }
}

/// Bytes that are signed, but not as the encoder would write them.
fn signed(change: Change, message: &Message) -> Vec<u8> {
    let mut bytes = outbox().seal(Term(1), message);
    bytes.truncate(bytes.len() - SIGNATURE);
    change(&mut bytes);
    bytes.resize(bytes.len().min(MAX_DATAGRAM), 0);
    let signature = key().sign(&bytes);
    bytes.extend_from_slice(&signature);
    bytes
}

type Change = fn(&mut Vec<u8>);

#[test]
fn each_mistake_has_its_name() {
    let mut numbers = Numbers(5);
    let member = MemberInfo { name: "ab".into(), priority: Priority(1), health: Health::FULL };
    let presence = Message::Presence(Presence {
        member: member.clone(),
        stance: Stance::Standby,
        next_within: Duration::from_secs(1),
    });
    let beacon = Message::Beacon(Beacon {
        dmz: numbers.dmz(),
        member,
        mac: Mac([1; 6]),
        interval: Duration::from_millis(100),
        lease: Duration::from_millis(180),
        members: 1,
        successors: vec![],
    });
    let cases: [(DecodeError, &Message, Change); 18] = [
        (DecodeError::TooLong, &HELLO, |bytes| bytes.resize(MAX_DATAGRAM, 0)),
        (DecodeError::TooShort, &HELLO, |bytes| bytes.truncate(HEADER - 1)),
        (DecodeError::Magic, &HELLO, |bytes| bytes[20] = 0),
        (DecodeError::Version(2), &HELLO, |bytes| bytes[VERSION.start] = 2),
        (DecodeError::Kind(10), &HELLO, |bytes| bytes[KIND.start] = 10),
        (DecodeError::Kind(0), &HELLO, |bytes| bytes[KIND.start] = 0),
        (DecodeError::Flags(0x8001), &HELLO, |bytes| bytes[FLAGS].copy_from_slice(&[0x80, 1])),
        (DecodeError::AddressOutsideBeacon, &HELLO, |bytes| bytes[3] = 1),
        (DecodeError::AddressOutsideBeacon, &HELLO, |bytes| bytes[19] = 1),
        (DecodeError::NoAddress, &beacon, |bytes| bytes[..20].fill(0)),
        (DecodeError::Truncated, &HELLO, |bytes| bytes.truncate(HEADER + 7)),
        (DecodeError::Trailing, &HELLO, |bytes| bytes.push(0)),
        (DecodeError::Stance(4), &presence, |bytes| bytes[HEADER] = 4),
        (DecodeError::Duration, &presence, |bytes| bytes[HEADER + 1..HEADER + 5].fill(0)),
        (DecodeError::Duration, &presence, |bytes| bytes[HEADER + 1..HEADER + 5].fill(0xFF)),
        (DecodeError::Health(101), &presence, |bytes| bytes[HEADER + 6] = 101),
        (DecodeError::Name, &presence, |bytes| bytes[HEADER + 8] = 0xFF),
        (DecodeError::Successors(9), &beacon, |bytes| bytes[HEADER + 21] = 9),
    ];
    for (expected, message, change) in cases {
        let taken = intake().take(NOW, FROM, &signed(change, message));
        assert_eq!(taken, Err(Drop::Malformed(expected)));
    }
    let answer = Message::Answer { nonce: Nonce(1), holding: true };
    let taken = intake().take(NOW, FROM, &signed(|bytes| bytes[HEADER + 8] = 2, &answer));
    assert_eq!(taken, Err(Drop::Malformed(DecodeError::Bool(2))));
}

#[test]
fn strangers_are_told_apart() {
    let mut intake = intake();
    let mut other_key = Outbox::new(SiteKey::from_seed(&[8; 32]), SITE, THERE, EPOCH);
    assert_eq!(intake.take(NOW, FROM, &other_key.seal(Term(1), &HELLO)), Err(Drop::ForeignKey));
    let mut other_site = Outbox::new(key(), SiteTag([0; 4]), THERE, EPOCH);
    assert_eq!(intake.take(NOW, FROM, &other_site.seal(Term(1), &HELLO)), Err(Drop::OtherSite));
    let mut forged = outbox().seal(Term(1), &HELLO);
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(intake.take(NOW, FROM, &forged), Err(Drop::Forged));
}

#[test]
fn a_datagram_counts_once_and_an_old_epoch_is_named() {
    let (mut intake, mut outbox) = (intake(), outbox());
    let first = outbox.seal(Term(1), &HELLO);
    assert!(intake.take(NOW, FROM, &first).is_ok());
    assert_eq!(intake.take(NOW, FROM, &first), Err(Drop::Copy));
    assert!(intake.take(NOW, FROM, &outbox.seal(Term(1), &HELLO)).is_ok());
    assert_eq!(intake.take(NOW, FROM, &first), Err(Drop::Replayed));
    outbox.raise_epoch(BootEpoch(8));
    assert!(intake.take(NOW, FROM, &outbox.seal(Term(1), &HELLO)).is_ok());
    let old = Outbox::new(key(), SITE, THERE, EPOCH).seal(Term(1), &HELLO);
    assert_eq!(intake.take(NOW, FROM, &old), Err(Drop::OldEpoch { node: THERE, newest: BootEpoch(8) }));
}

#[test]
fn a_state_that_comes_late_is_dropped_unchecked_but_a_late_answer_is_believed() {
    let (mut intake, mut outbox) = (intake(), outbox());
    let mut released = outbox.seal(Term(1), &Message::Released { leaving: false });
    let query = outbox.seal(Term(1), &HELLO);
    let newest = outbox.seal(Term(1), &HELLO);
    assert!(intake.take(NOW, FROM, &newest).is_ok());
    assert!(intake.take(NOW, FROM, &query).is_ok());
    assert_eq!(intake.take(NOW, FROM, &released), Err(Drop::Replayed));
    *released.last_mut().unwrap() ^= 1;
    assert_eq!(intake.take(NOW, FROM, &released), Err(Drop::Replayed), "nobody looked at the signature");
}

#[test]
fn the_own_echo_is_silent_and_a_clone_is_not() {
    let mut intake = intake();
    let mut own = Outbox::new(key(), SITE, HERE, BootEpoch(1));
    assert_eq!(intake.take(NOW, FROM, &own.seal(Term(1), &HELLO)), Err(Drop::Echo));
    own.raise_epoch(BootEpoch(3));
    intake.raise_epoch(BootEpoch(3));
    assert_eq!(intake.take(NOW, FROM, &own.seal(Term(1), &HELLO)), Err(Drop::Echo));
    let mut clone = Outbox::new(key(), SITE, HERE, BootEpoch(2));
    let said = clone.seal(Term(1), &HELLO);
    assert_eq!(intake.take(NOW, FROM, &said), Err(Drop::Clone { epoch: BootEpoch(2) }));
    assert_eq!(intake.take(NOW, FROM, &said), Err(Drop::Copy), "one recording is no clone");
}

/// A flood in a known member's name, from another address, as fast as 20,000/s for a second, beside the real one.
#[test]
fn a_flood_does_not_starve_a_known_sender() {
    let (mut intake, mut outbox) = (intake(), outbox());
    assert!(intake.take(NOW, FROM, &outbox.seal(Term(1), &HELLO)).is_ok());
    let mut forged = Outbox::new(key(), SITE, THERE, BootEpoch(900)).seal(Term(1), &HELLO);
    *forged.last_mut().unwrap() ^= 1;
    let (mut heard, mut verified, mut overload) = (0, 0, 0);
    for packet in 0..20_000_u64 {
        let now = NOW + Duration::from_micros(50 * packet);
        match intake.take(now, ELSEWHERE, &forged) {
            Err(Drop::Forged) => verified += 1,
            Err(Drop::Overload) => overload += 1,
            other => panic!("{other:?}"),
        }
        if packet % 200 == 0 {
            heard += usize::from(intake.take(now, FROM, &outbox.seal(Term(1), &HELLO)).is_ok());
        }
    }
    assert_eq!(heard, 100, "every beacon of the real member");
    assert!((500..=600).contains(&verified), "the burst of 100 and 500 a second, not {verified}");
    assert_eq!(verified + overload, 20_000);
}

#[test]
fn the_longest_unheard_sender_is_forgotten_at_the_limit() {
    let mut intake = intake();
    let mut first = Vec::new();
    for number in 0..=MAX_SENDERS {
        let node = NodeId(u128::try_from(number + 1).unwrap().to_be_bytes());
        let bytes = Outbox::new(key(), SITE, node, EPOCH).seal(Term(1), &HELLO);
        assert!(intake.take(Time::from_millis(10_000 + 10 * number as u64), FROM, &bytes).is_ok());
        first.push(bytes);
    }
    let later = Time::from_millis(100_000);
    assert_eq!(intake.take(later, FROM, &first[1]), Err(Drop::Copy));
    assert!(intake.take(later, FROM, &first[0]).is_ok(), "forgotten, so heard as new");
}

#[test]
fn the_site_tag_follows_from_the_addresses() {
    let dual = DmzAddresses { v4: Some(Ipv4Addr::new(192, 168, 1, 11)), v6: Some(Ipv6Addr::LOCALHOST) };
    let tags = [dual, DmzAddresses { v6: None, ..dual }, DmzAddresses { v4: None, ..dual }].map(DmzAddresses::site_tag);
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
    assert_eq!(dual.site_tag(), tags[0]);
}

#[test]
fn a_ring_may_hold_several_keys() {
    let node_key = SiteKey::from_seed(&[3; 32]);
    let ring: Keyring = [key().public(), node_key.public()].into_iter().collect();
    let mut intake = Intake::new(ring, SITE, HERE, BootEpoch(1));
    assert!(intake.take(NOW, FROM, &outbox().seal(Term(1), &HELLO)).is_ok());
    let mut other = Outbox::new(node_key.clone(), SITE, NodeId([2; 16]), EPOCH);
    assert!(intake.take(NOW, FROM, &other.seal(Term(1), &HELLO)).is_ok());
    assert_ne!(node_key.id(), KeyId([0; 8]));
}
