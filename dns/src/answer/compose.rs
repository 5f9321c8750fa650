//! The sections of an answer, written as the names are found.

use super::lookup::{Found, find, is_authoritative, names_in, targets};
use super::proof::Proofs;
use super::{Served, Zones};
use crate::guard::Kind;
use crate::name::NameRef;
use crate::record::{RecordSet, Rtype};
use crate::wire::{CLASS_IN, Flags, Full, NameBuffer, Question, Rcode, Section, Writer};
use crate::zone::{Entry, Node};

/// Aliases that one answer follows; a chain that is longer ends there and the client may go on. A circle ends where it closes.
pub const MAX_CHAIN: usize = 16;

/// An answer being found and written.
pub(super) struct Answer<'z, 'q, 'b> {
    zones: &'z Zones,
    question: Question<'q>,
    now: u64,
    dnssec: bool,
    writer: Writer<'b>,
    proofs: Proofs<'z>,
    kind: Kind,
    /// The octets at the end of the question's name that the answer is counted by.
    counted: usize,
    /// The name that the last alias leads to.
    next: Option<NameBuffer>,
}

/// What one name of a chain led to.
enum Step<'z> {
    End(End<'z>),
    /// The same question about another name, [`Answer::next`].
    Next,
}

/// What the answer section ends with.
pub(super) enum End<'z> {
    /// A set, whose targets' addresses are added.
    Set(&'z Served, &'z RecordSet),
    /// Nothing more to say.
    Enough,
    /// The name is there, and no such records.
    NoData(&'z Served),
    NoName(&'z Served),
    /// Another zone has it.
    Referral(&'z Served, &'z Node),
    /// The next name of the chain is in no zone here.
    Elsewhere,
    /// The next name of the chain would be too long (RFC 6672, 2.2).
    TooLong,
}

impl End<'_> {
    /// The result that the answer has.
    pub(super) fn rcode(&self) -> Rcode {
        match self {
            Self::NoName(_) => Rcode::NXDOMAIN,
            Self::TooLong => Rcode::YXDOMAIN,
            _ => Rcode::NOERROR,
        }
    }
}

impl<'z, 'q, 'b> Answer<'z, 'q, 'b> {
    /// An answer to `question`, begun by `writer`; `now` in seconds since 1970.
    pub(super) fn new(zones: &'z Zones, question: Question<'q>, now: u64, writer: Writer<'b>) -> Self {
        Self {
            zones,
            question,
            now,
            dnssec: false,
            writer,
            proofs: Proofs::default(),
            kind: Kind::Answer,
            counted: question.name.wire().len(),
            next: None,
        }
    }

    /// Adds signatures and proofs, where there are any.
    pub(super) fn want_proofs(&mut self) {
        self.dnssec = true;
    }

    /// What is written, and what it counts as: about the end of the question's name that is so many octets long.
    pub(super) fn into_parts(self) -> (Writer<'b>, Kind, usize) {
        (self.writer, self.kind, self.counted)
    }

    /// Takes everything back and says that it did not fit.
    pub(super) fn truncate(&mut self) {
        self.writer.clear_records();
        self.writer.set_flags(self.writer.flags().with(Flags::TRUNCATED));
    }

    /// Writes all sections, beginning in the zone `first`.
    pub(super) fn resolve(&mut self, first: &'z Served) -> Result<End<'z>, Full> {
        let (mut served, mut followed) = (first, None::<NameBuffer>);
        for hop in 0..=MAX_CHAIN {
            let name = followed.as_ref().map_or(self.question.name, NameBuffer::name);
            if let Step::End(end) = self.step(served, name, hop == 0)? {
                return self.close(&end).map(|()| end);
            }
            followed = self.next.take();
            if followed.as_ref().is_some_and(|next| self.writer.has_answer(next.name(), Rtype::CNAME)) {
                break;
            }
            let next = followed.as_ref().and_then(|next| self.zones.for_question(next.name(), self.question.rtype));
            let Some(next) = next.filter(|served| !served.expired) else {
                return self.close(&End::Elsewhere).map(|()| End::Elsewhere);
            };
            served = next;
        }
        self.close(&End::Enough).map(|()| End::Enough)
    }

    /// Looks one name up and writes what the answer section gets from it.
    fn step(&mut self, served: &'z Served, name: NameRef<'_>, is_first: bool) -> Result<Step<'z>, Full> {
        let found = find(served, name, self.question.rtype);
        if is_first && !matches!(found, Found::Cut(..)) {
            self.writer.set_flags(self.writer.flags().with(Flags::AUTHORITATIVE));
        }
        let (end, kind, counted) = match found {
            Found::Node(node) => {
                let step = self.take(served, name, node, is_first)?;
                if let Step::End(End::NoData(_)) = step {
                    self.prove(served, |proofs| proofs.of_no_data(served, name));
                    (End::NoData(served), Kind::NoData, name)
                } else {
                    return Ok(step);
                }
            }
            Found::Wildcard(node, encloser) => {
                let step = self.take(served, name, node, is_first)?;
                if is_first {
                    self.counted = encloser.wire().len();
                }
                if let Step::End(End::NoData(_)) = step {
                    self.prove(served, |proofs| proofs.of_no_name(served, name, encloser));
                    (End::NoData(served), Kind::NoData, encloser)
                } else {
                    self.prove(served, |proofs| proofs.of_wildcard(served, name, encloser));
                    return Ok(step);
                }
            }
            Found::Nothing(encloser) => {
                self.prove(served, |proofs| proofs.of_no_name(served, name, encloser));
                (End::NoName(served), Kind::NoName, served.zone.apex().as_ref())
            }
            Found::Cut(node, cut) => (End::Referral(served, node), Kind::Referral, cut),
            Found::Dname(node, above) => return self.redirect(served, node, (name, above), is_first),
        };
        if is_first {
            (self.kind, self.counted) = (kind, counted.wire().len());
        }
        Ok(Step::End(end))
    }

    /// What a node, or a wildcard's, has for the question.
    fn take(
        &mut self,
        served: &'z Served,
        name: NameRef<'_>,
        node: &'z Node,
        is_first: bool,
    ) -> Result<Step<'z>, Full> {
        let owner = (!is_first).then_some(name);
        match self.question.rtype {
            // One set is enough of an answer (RFC 8482, 4.1), and of signatures no more is asked for in earnest.
            Rtype::ANY => {
                let Some(entry) = node.entries().first() else { return Ok(Step::End(End::NoData(served))) };
                self.put(served, Section::Answer, owner, entry)?;
                return Ok(Step::End(End::Enough));
            }
            Rtype::RRSIG => {
                let mut signed = node.entries().iter().filter_map(|entry| entry.signatures.as_deref());
                let Some(signatures) = signed.next() else { return Ok(Step::End(End::NoData(served))) };
                self.write(Section::Answer, owner, signatures)?;
                return Ok(Step::End(End::Enough));
            }
            _ => {}
        }
        if let Some(entry) = node.entry(self.question.rtype) {
            self.put(served, Section::Answer, owner, entry)?;
            return Ok(Step::End(End::Set(served, &entry.set)));
        }
        let Some(alias) = node.entry(Rtype::CNAME) else { return Ok(Step::End(End::NoData(served))) };
        self.put(served, Section::Answer, owner, alias)?;
        self.next = NameRef::read(alias.set.first()).ok().map(|(target, _)| NameBuffer::of(target));
        Ok(Step::Next)
    }

    /// The DNAME record and the CNAME record that it makes for this name (RFC 6672, 3.1).
    fn redirect(
        &mut self,
        served: &'z Served,
        node: &'z Node,
        (name, above): (NameRef<'_>, NameRef<'_>),
        is_first: bool,
    ) -> Result<Step<'z>, Full> {
        let Some(entry) = node.entry(Rtype::DNAME) else { return Ok(Step::End(End::NoData(served))) };
        // A chain may come by the same tree twice; its record is said once.
        if is_first || !self.writer.has_answer(above, Rtype::DNAME) {
            self.put(served, Section::Answer, Some(above), entry)?;
        }
        if is_first {
            self.counted = above.wire().len();
        }
        let front = name.strip(above).unwrap_or_default();
        let mut target = NameBuffer::new();
        let joined = NameRef::read(entry.set.first()).ok().and_then(|(tree, _)| target.join(front, tree));
        let Some(joined) = joined else { return Ok(Step::End(End::TooLong)) };
        let alias = (Rtype::CNAME, CLASS_IN, entry.set.ttl());
        self.writer.raw(Section::Answer, name, alias, joined.wire())?;
        let wants_alias = matches!(self.question.rtype, Rtype::CNAME | Rtype::ANY);
        self.next = Some(target);
        Ok(if wants_alias { Step::End(End::Enough) } else { Step::Next })
    }

    /// Writes the authority and the additional section.
    fn close(&mut self, end: &End<'z>) -> Result<(), Full> {
        match end {
            End::NoData(served) | End::NoName(served) => self.put_negative(served)?,
            End::Referral(served, node) => return self.refer(served, node),
            End::Set(..) | End::Enough | End::Elsewhere | End::TooLong => {}
        }
        self.put_proofs()?;
        if let End::Set(served, set) = end {
            let mut ours = targets(set).filter(|target| is_authoritative(served, *target));
            // What is asked for next is welcome, but nothing is missing without it.
            let _ = ours.try_for_each(|target| self.put_addresses(served, target));
        }
        Ok(())
    }

    fn put_negative(&mut self, served: &'z Served) -> Result<(), Full> {
        let Some(negative) = &served.negative else { return Ok(()) };
        let apex = served.zone.apex().as_ref();
        self.writer.set(Section::Authority, apex, &negative.set)?;
        match &negative.signatures {
            Some(signatures) if self.dnssec => self.writer.set(Section::Authority, apex, signatures),
            _ => Ok(()),
        }
    }

    /// The servers of the zone below a cut, whether it is signed, and the addresses that nobody else could tell
    /// (RFC 9471, 3.1).
    fn refer(&mut self, served: &'z Served, node: &'z Node) -> Result<(), Full> {
        let Some(servers) = node.set(Rtype::NS) else { return Ok(()) };
        self.writer.set(Section::Authority, node.name(), servers)?;
        if self.dnssec && served.zone.is_signed() {
            match node.entry(Rtype::DS) {
                Some(entry) => self.put(served, Section::Authority, Some(node.name()), entry)?,
                None => self.prove(served, |proofs| proofs.of_no_data(served, node.name())),
            }
        }
        self.put_proofs()?;
        let is_glue = |target: &NameRef<'_>| target.is_at_or_below(node.name());
        let mut glue = names_in(servers).filter(is_glue);
        glue.try_for_each(|target| self.put_addresses(served, target))?;
        let mut others = targets(servers).filter(|target| !is_glue(target));
        let _ = others.try_for_each(|target| self.put_addresses(served, target));
        Ok(())
    }

    /// The addresses of a name that is in the zone.
    fn put_addresses(&mut self, served: &'z Served, name: NameRef<'_>) -> Result<(), Full> {
        let Some(node) = served.zone.node(name) else { return Ok(()) };
        for entry in [Rtype::A, Rtype::AAAA].into_iter().filter_map(|rtype| node.entry(rtype)) {
            self.put(served, Section::Additional, Some(name), entry)?;
        }
        Ok(())
    }

    fn prove(&mut self, served: &Served, add: impl FnOnce(&mut Proofs<'z>)) {
        if self.dnssec && served.zone.is_signed() {
            add(&mut self.proofs);
        }
    }

    fn put_proofs(&mut self) -> Result<(), Full> {
        for (owner, entry) in self.proofs.entries() {
            self.writer.set(Section::Authority, owner, &entry.set)?;
            if let Some(signatures) = &entry.signatures {
                self.writer.set(Section::Authority, owner, signatures)?;
            }
        }
        Ok(())
    }

    /// A set with its signatures, where they are wanted; no `owner` is the question's name.
    fn put(
        &mut self,
        served: &Served,
        section: Section,
        owner: Option<NameRef<'_>>,
        entry: &Entry,
    ) -> Result<(), Full> {
        let fades = served.fades(owner.unwrap_or(self.question.name), entry.set.rtype(), self.now);
        let signatures = entry.signatures.as_deref().filter(|_| self.dnssec);
        for set in std::iter::once(&entry.set).chain(signatures) {
            self.write(section, owner, set)?;
            if let Some(ttl) = fades {
                self.writer.cap_ttl(ttl);
            }
        }
        Ok(())
    }

    fn write(&mut self, section: Section, owner: Option<NameRef<'_>>, set: &RecordSet) -> Result<(), Full> {
        match owner {
            Some(owner) => self.writer.set(section, owner, set),
            None => self.writer.answer(section, set),
        }
    }
}
