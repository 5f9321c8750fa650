//! `[[dns.zone]]`: where the records come from, who may have them, and who may change what.

use std::ops::Range;

use ::dns::name::{Name, NameRef};
use ::dns::record::Rtype;
use ::dns::settings::{Access, Alias, Dnssec, Pattern, Rule, SigningAlgorithm, Source, ZoneSettings};
use toml::Spanned;

use super::file::{AccessFile, AliasFile, DnssecFile, Texts, UpdateFile, ZoneFile};
use super::keys::Keys;
use super::place;
use crate::config::checking::Checker;
use crate::config::file::Text;
use crate::config::problem::Problem;

/// Far more than one machine is asked for; each costs a thread and files.
const MAX_ZONES: usize = 10_000;
/// Rules and aliases of one zone; an update looks at every rule.
const MAX_RULES: usize = 1_000;
/// An alias's answer is kept at most this long unless told otherwise, in seconds.
const ALIAS_TTL: u32 = 60;
/// Keys younger than a day would never be seen by all caches.
const MIN_ROLL: u64 = 24 * 60 * 60;

impl Checker<'_> {
    /// The zones, if all are right.
    pub(super) fn zones(&mut self, tables: &[Spanned<ZoneFile>], keys: &Keys) -> Option<Vec<ZoneSettings>> {
        if let Some(table) = tables.get(MAX_ZONES) {
            return self.wrong(table.span(), format!("at most {MAX_ZONES} zones"), "one too many");
        }
        let mut apexes = std::collections::BTreeSet::new();
        let mut zones = Vec::new();
        for table in tables {
            let zone = self.zone(table.get_ref(), table.span(), keys);
            if let Some(zone) = &zone
                && !apexes.insert(zone.apex.clone())
            {
                let span = place(table.get_ref().name.as_ref(), &table.span());
                self.findings.add(Problem::new(span, format!("the zone `{}` is here twice", zone.apex), "again"));
            }
            zones.push(zone);
        }
        zones.into_iter().collect()
    }

    fn zone(&mut self, table: &ZoneFile, span: Range<usize>, keys: &Keys) -> Option<ZoneSettings> {
        let Some(name) = &table.name else { return self.missing("dns.zone", span, "name = \"cloud.example.com\"") };
        let apex = self.dns_name(name)?;
        let source = self.source(table, keys);
        let transfer = match &table.transfer {
            Some(access) => self.access(access.get_ref(), keys),
            None => Some(Access::default()),
        };
        let notify = match &table.notify {
            Some(list) => self.servers(list, keys),
            None => Some(Vec::new()),
        };
        for (table, count) in [("dns.zone.update", table.update.len()), ("dns.zone.alias", table.alias.len())] {
            if count > MAX_RULES {
                return self.wrong(name.span(), format!("at most {MAX_RULES} tables [[{table}]]"), "this zone");
            }
        }
        let mut update = Vec::new();
        for rule in &table.update {
            update.push(self.rule(rule.get_ref(), rule.span(), apex.as_ref(), keys));
        }
        let aliases = self.aliases(&table.alias, apex.as_ref());
        let dnssec = match &table.dnssec {
            Some(section) => self.dnssec(section.get_ref()).map(Some),
            None => Some(None),
        };
        Some(ZoneSettings {
            apex: apex.clone(),
            source: source?,
            transfer: transfer?,
            notify: notify?,
            update: update.into_iter().collect::<Option<_>>()?,
            aliases: aliases?,
            dnssec: dnssec?,
        })
    }

    fn source(&mut self, table: &ZoneFile, keys: &Keys) -> Option<Source> {
        let Some(primaries) = &table.primaries else {
            let file = match &table.file {
                Some(file) => Some(self.path(file)?),
                None => None,
            };
            return Some(Source::Primary { file });
        };
        const ELSEWHERE: &str = "a zone with `primaries` has its records from there";
        let own = [
            table.file.as_ref().map(|file| (file.span(), "a file")),
            table.update.first().map(|rule| (rule.span(), "an update rule")),
            table.alias.first().map(|alias| (alias.span(), "an alias")),
            table.dnssec.as_ref().map(|section| (section.span(), "signing")),
        ];
        for (span, what) in own.into_iter().flatten() {
            let problem = Problem::new(span, format!("{ELSEWHERE}: {what} has no effect here"), "no effect");
            self.findings.add(problem.help("remove it, or remove `primaries`"));
        }
        if primaries.get_ref().is_empty() {
            return self.wrong(primaries.span(), "there is nobody to have the zone from", "empty");
        }
        self.servers(primaries, keys).map(|primaries| Source::Secondary { primaries })
    }

    fn access(&mut self, table: &AccessFile, keys: &Keys) -> Option<Access> {
        let mut named = Vec::new();
        for key in table.keys.iter().flat_map(Spanned::get_ref) {
            named.push(self.key_named(key, keys));
        }
        let networks = match &table.networks {
            Some(list) => self.networks(list),
            None => Some(Vec::new()),
        };
        Some(Access { keys: named.into_iter().collect::<Option<_>>()?, networks: networks? })
    }

    fn rule(&mut self, table: &UpdateFile, span: Range<usize>, apex: NameRef<'_>, keys: &Keys) -> Option<Rule> {
        const SECTION: &str = "dns.zone.update";
        let key = match &table.key {
            Some(key) => self.key_named(key, keys),
            None => self.missing(SECTION, span.clone(), "key = \"k1\""),
        };
        let names = match &table.names {
            Some(list) => self.patterns(list, apex),
            None => self.missing(SECTION, span.clone(), "names = [\"@\", \"*\"]"),
        };
        let types = match &table.types {
            Some(list) => self.types(list),
            None => self.missing(SECTION, span, "types = [\"any\"]"),
        };
        Some(Rule { key: key?, names: names?, types: types? })
    }

    fn patterns(&mut self, list: &Texts, apex: NameRef<'_>) -> Option<Vec<Pattern>> {
        if list.get_ref().is_empty() {
            return self.wrong(list.span(), "a rule without names allows nothing", "empty");
        }
        let mut patterns = Vec::new();
        for text in list.get_ref() {
            patterns.push(self.pattern(text, apex));
        }
        patterns.into_iter().collect()
    }

    fn pattern(&mut self, text: &Text, apex: NameRef<'_>) -> Option<Pattern> {
        let name = self.name_in(text, apex)?;
        if !name.as_ref().is_wildcard() {
            return Some(Pattern::Exactly(name));
        }
        match name.as_ref().parent() {
            // The zone's own name may itself begin with a star; what is below it is meant then, too.
            Some(parent) if parent.is_at_or_below(apex) => Some(Pattern::Below(parent.to_owned())),
            _ => Some(Pattern::Exactly(name)),
        }
    }

    /// Nothing for any type.
    fn types(&mut self, list: &Texts) -> Option<Option<Vec<Rtype>>> {
        if list.get_ref().is_empty() {
            return self.wrong(list.span(), "a rule without types allows nothing", "empty");
        }
        if list.get_ref().iter().any(|text| text.get_ref().eq_ignore_ascii_case("any")) {
            return Some(None);
        }
        let mut types = Vec::new();
        for text in list.get_ref() {
            types.push(match text.get_ref().parse::<Rtype>() {
                Ok(rtype) if !rtype.is_meta() && !rtype.is_made_by_signing() => Some(rtype),
                Ok(rtype) => self.wrong(text.span(), format!("no update can touch {rtype}"), "no effect"),
                Err(_) => {
                    let problem = Problem::new(text.span(), "not a record type", "not known here");
                    self.findings.add(problem.help("as in \"A\", \"AAAA\", \"TXT\", \"TYPE65280\", or \"any\""));
                    None
                }
            });
        }
        types.into_iter().collect::<Option<Vec<Rtype>>>().map(Some)
    }

    fn aliases(&mut self, tables: &[Spanned<AliasFile>], apex: NameRef<'_>) -> Option<Vec<Alias>> {
        let mut aliases: Vec<Option<Alias>> = Vec::new();
        for table in tables {
            let alias = self.alias(table.get_ref(), table.span(), apex);
            let name = alias.as_ref().map(|alias: &Alias| &alias.name);
            if name.is_some_and(|name| aliases.iter().flatten().any(|other| other.name == *name)) {
                let span = place(table.get_ref().name.as_ref(), &table.span());
                self.findings.add(Problem::new(span, "two aliases have this name", "the second one"));
            }
            aliases.push(alias);
        }
        aliases.into_iter().collect()
    }

    fn alias(&mut self, table: &AliasFile, span: Range<usize>, apex: NameRef<'_>) -> Option<Alias> {
        let name = match &table.name {
            Some(name) => self.name_in(name, apex),
            None => self.missing("dns.zone.alias", span.clone(), "name = \"@\""),
        };
        let target = match &table.target {
            Some(target) => self.dns_name(target),
            None => self.missing("dns.zone.alias", span.clone(), "target = \"cloudns.example.net\""),
        };
        let ttl = self.seconds(table.ttl.as_ref(), ALIAS_TTL, 1, 86_400);
        let (name, target): (Name, Name) = (name?, target?);
        if name == target {
            return self.wrong(place(table.target.as_ref(), &span), "an alias of itself has no address", "itself");
        }
        Some(Alias { name, target, ttl: ttl? })
    }

    fn dnssec(&mut self, table: &DnssecFile) -> Option<Dnssec> {
        let algorithms =
            [SigningAlgorithm::EcdsaP256, SigningAlgorithm::Ed25519].map(|algorithm| (algorithm.name(), algorithm));
        let algorithm = self.choice(table.algorithm.as_ref(), &algorithms);
        let nsec3 = self.choice(table.denial.as_ref(), &[("nsec", false), ("nsec3", true)]);
        let roll_after = match &table.roll_after {
            Some(text) => match self.duration(text) {
                Some(age) if age.as_secs() < MIN_ROLL => {
                    self.wrong(text.span(), "a key is used for at least a day (1d)", "too short")
                }
                age => age.map(Some),
            },
            None => Some(None),
        };
        Some(Dnssec { algorithm: algorithm?, nsec3: nsec3?, roll_after: roll_after? })
    }
}
