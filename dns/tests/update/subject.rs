//! The crate, driven as a server would: octets in, a zone and its leases kept.

use dns::name::Name;
use dns::record::{Record, Rtype};
use dns::settings::{Alias, Pattern, Rule};
use dns::update::{Ground, Outcome, Policy, Update, decide, expire};
use dns::wire::{Message, Rcode};
use dns::zone::{Leases, Zone};

use super::encode::{message, name_wire, wire};
use super::model::{Model, Reply, start};
use super::mutants::Mutant;
use super::random::{ALIAS, APEX, Sequence, Step};

/// A zone of the crate.
pub struct Subject {
    zone: Zone,
    leases: Leases,
    rules: Vec<Rule>,
    aliases: Vec<Alias>,
    is_signed: bool,
    now: u64,
    mutant: Option<Mutant>,
}

impl Subject {
    /// A zone with the records of a sequence.
    pub fn new(sequence: &Sequence, mutant: Option<Mutant>) -> Self {
        let mut records = Vec::new();
        for rr in start(sequence.serial).iter().chain(&sequence.records) {
            let rdata = wire(rr.data.as_ref().unwrap()).into();
            records.push(Record { name: name(rr.name), rtype: Rtype(rr.rtype), ttl: rr.ttl, rdata });
        }
        let rule = |key, names: &[Pattern], types: Option<&[u16]>| Rule {
            key: name(key),
            names: names.to_vec(),
            types: types.map(|types| types.iter().map(|number| Rtype(*number)).collect()),
        };
        let (at, below) = (|text| Pattern::Exactly(name(text)), |text| Pattern::Below(name(text)));
        Self {
            zone: Zone::new(name(APEX), records).unwrap(),
            leases: Leases::default(),
            rules: vec![
                rule("all.", &[at("t."), below("t.")], None),
                rule("acme.", &[at("_acme-challenge.t.")], Some(&[16])),
                rule("part.", &[at("a.t."), below("a.t.")], Some(&[1, 5, 16])),
            ],
            aliases: vec![Alias { name: name(ALIAS), target: name("n2.elsewhere."), ttl: 60 }],
            is_signed: sequence.is_signed,
            now: 0,
            mutant,
        }
    }

    /// Does a step and answers.
    pub fn step(&mut self, step: &Step) -> Reply {
        match step {
            Step::Wait(seconds) => {
                self.now += seconds;
                if let Some(outcome) = expire(&self.zone, &self.leases, self.now).unwrap() {
                    self.take(outcome);
                }
                Reply { rcode: 0, lease: None }
            }
            Step::Update(update) => match self.receive(&message(update), update.signer) {
                Ok(lease) => Reply { rcode: 0, lease },
                Err(rcode) => Reply { rcode: rcode.0, lease: None },
            },
        }
    }

    /// Does what a message says; the lease that is granted.
    ///
    /// # Errors
    /// The result code.
    pub fn receive(&mut self, octets: &[u8], signer: Option<&str>) -> Result<Option<(u32, Option<u32>)>, Rcode> {
        let message = Message::read(octets).map_err(|_| Rcode::FORMERR)?;
        let mut update = Update::read(&message)?;
        let (mut signer, zone) = (signer.map(name), self.zone.clone());
        if let Some(mutant) = self.mutant {
            mutant.before(&zone, &mut update, &mut signer);
        }
        let policy = Policy { rules: &self.rules, aliases: &self.aliases, is_signed: self.is_signed };
        let ground = Ground { zone: &zone, leases: &self.leases, policy };
        let mut outcome = decide(&update, signer.as_ref().map(Name::as_ref), self.now, &ground)?;
        if let Some(mutant) = self.mutant {
            mutant.after(&update, &mut outcome);
        }
        let granted = outcome.granted.map(|times| (times.lease, times.key_lease));
        self.take(outcome);
        Ok(granted)
    }

    fn take(&mut self, outcome: Outcome) {
        let (zone, change) = outcome.edit.finish().unwrap();
        assert_eq!(outcome.is_changed, !change.is_empty());
        assert_eq!(outcome.is_changed, change.to().is_some(), "every change has a serial");
        let again: Vec<_> = sorted(&self.zone.apply(&change).unwrap());
        assert_eq!(again, sorted(&zone), "the change is the difference");
        self.leases.follow(&change);
        for lease in outcome.leases {
            self.leases.set(lease);
        }
        self.zone = zone;
    }

    /// Whether the zone and its leases are those of the model.
    ///
    /// # Errors
    /// What differs.
    pub fn compare(&self, model: &Model) -> Result<(), String> {
        let (mine, theirs) = (sorted(&self.zone), model.records());
        let theirs: Vec<_> =
            theirs.into_iter().map(|(name, rtype, ttl, rdata)| (name_wire(&name), rtype, ttl, rdata)).collect();
        let mut theirs = theirs;
        theirs.sort();
        if mine != theirs {
            return Err(format!("the zone has\n{mine:?}\nand the model\n{theirs:?}"));
        }
        let key = |name: Vec<u8>, rtype: u16, rdata: Vec<u8>, expires: u64| (name, rtype, rdata, expires);
        let mut mine: Vec<_> = self
            .leases
            .iter()
            .map(|lease| key(lower(&lease.name), lease.rtype.0, lease.rdata.to_vec(), lease.expires.unwrap()))
            .collect();
        mine.sort();
        let mut theirs: Vec<_> =
            model.leases().map(|((name, rtype, rdata), at)| key(name_wire(name), *rtype, rdata.clone(), at)).collect();
        theirs.sort();
        if mine == theirs { Ok(()) } else { Err(format!("the leases are\n{mine:?}\nand the model's\n{theirs:?}")) }
    }
}

fn sorted(zone: &Zone) -> Vec<(Vec<u8>, u16, u32, Vec<u8>)> {
    let records = zone.records();
    let mut all: Vec<_> =
        records.map(|record| (lower(&record.name), record.rtype.0, record.ttl, record.rdata.to_vec())).collect();
    all.sort();
    all
}

fn lower(name: &Name) -> Vec<u8> {
    name.as_ref().wire().to_ascii_lowercase()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}
