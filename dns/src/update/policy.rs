//! Who may change what.

use super::Operation;
use crate::name::NameRef;
use crate::record::Rtype;
use crate::settings::{Alias, Rule, ZoneSettings};
use crate::zone::{Node, Zone};

/// The rights in a zone: what no rule permits is refused.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// Who may.
    pub rules: &'a [Rule],
    /// Names whose addresses are another name's.
    pub aliases: &'a [Alias],
    /// Whether the server signs the zone.
    pub is_signed: bool,
}

impl<'a> Policy<'a> {
    /// What a zone's settings say.
    pub fn of(settings: &'a ZoneSettings) -> Self {
        Self { rules: &settings.update, aliases: &settings.aliases, is_signed: settings.dnssec.is_some() }
    }

    /// Whether the key may change anything at all.
    pub fn knows(&self, signer: NameRef<'_>) -> bool {
        self.rules.iter().any(|rule| rule.key.as_ref() == signer)
    }

    /// Whether the key may do this. To delete a name takes the right to every type that goes with it.
    pub(super) fn allows(&self, signer: NameRef<'_>, operation: &Operation, zone: &Zone) -> bool {
        let (name, apex) = (operation.name(), zone.apex().as_ref());
        if let Some(rtype) = operation.rtype() {
            return !self.keeps(name, rtype, apex) && self.may(signer, name, Some(rtype));
        }
        let entries = zone.node(name).map(Node::entries).unwrap_or_default();
        let mut going = entries.iter().map(|entry| entry.set.rtype()).filter(|rtype| !self.stays(name, *rtype, apex));
        self.may(signer, name, None) && going.all(|rtype| self.may(signer, name, Some(rtype)))
    }

    /// Whether these records are left when all of the name are deleted. A zone keeps its SOA and NS records (RFC 2136,
    /// 3.4.2.3).
    pub(super) fn stays(&self, name: NameRef<'_>, rtype: Rtype, apex: NameRef<'_>) -> bool {
        matches!(rtype, Rtype::SOA | Rtype::NS) && name == apex || self.keeps(name, rtype, apex)
    }

    /// Whether no update touches these records, whoever sends it, since the server makes them: signatures and their
    /// chains (in any zone, where they would be taken for the server's), the keys of a zone that it signs, the addresses of
    /// an alias. A CNAME record would leave an alias no place.
    fn keeps(&self, name: NameRef<'_>, rtype: Rtype, apex: NameRef<'_>) -> bool {
        let is_key = matches!(rtype, Rtype::DNSKEY | Rtype::CDS | Rtype::CDNSKEY);
        let is_address = matches!(rtype, Rtype::A | Rtype::AAAA | Rtype::CNAME);
        rtype.is_made_by_signing()
            || is_key && self.is_signed && name == apex
            || is_address && self.aliases.iter().any(|alias| alias.name.as_ref() == name)
    }

    /// Whether a rule gives the key this type at this name, or with no type anything there.
    fn may(&self, signer: NameRef<'_>, name: NameRef<'_>, rtype: Option<Rtype>) -> bool {
        self.rules.iter().any(|rule| {
            rule.key.as_ref() == signer
                && rule.names.iter().any(|pattern| pattern.matches(name))
                && rtype.is_none_or(|rtype| rule.types.as_ref().is_none_or(|types| types.contains(&rtype)))
        })
    }
}
