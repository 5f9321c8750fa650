//! DNS as people and scripts see it: settings and progress in the API's words. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use dns::name::Name;
use dns::settings::Settings;
use dns::zone::Serial;

use crate::api::dns::model::{KeyStatus, RegisterStatus, Registered};
use crate::api::dns::plain;
use crate::cloud::Progress;
use crate::config;

/// More zones that changed together are counted, not named.
const MAX_NAMED: usize = 20;

/// What is served, in one line.
pub(super) fn line(settings: &config::Dns) -> String {
    let count = settings.server.zones.len();
    let zones = match count {
        0 => "forwarding".to_owned(),
        1 => "serving 1 zone".to_owned(),
        _ => format!("serving {count} zones"),
    };
    match settings.serves() {
        true => format!("{zones} at {}", listen(&settings.server).join(", ")),
        false => "registering elsewhere, serving nothing".to_owned(),
    }
}

pub(super) fn listen(settings: &Settings) -> Vec<String> {
    settings.listen.iter().map(ToString::to_string).collect()
}

/// Which zones changed; with none, more than could be heard of.
pub(super) fn changes(changed: &BTreeMap<Name, Serial>) -> String {
    if changed.is_empty() {
        return "many zones changed".to_owned();
    }
    let named: Vec<String> = changed
        .iter()
        .take(MAX_NAMED)
        .map(|(apex, serial)| format!("{} is at serial {}", plain(apex), serial.0))
        .collect();
    match changed.len().saturating_sub(MAX_NAMED) {
        0 => named.join(", "),
        more => format!("{}, and {more} more zones changed", named.join(", ")),
    }
}

pub(super) fn keys(settings: &Settings) -> Vec<KeyStatus> {
    let status = |key: &dns::settings::Key| {
        let updates = settings.zones.iter().filter(|zone| zone.update.iter().any(|rule| rule.key == key.name));
        let transfers = settings.zones.iter().filter(|zone| zone.transfer.keys.contains(&key.name));
        KeyStatus {
            name: plain(&key.name),
            algorithm: key.algorithm.name().to_owned(),
            updates: updates.map(|zone| plain(&zone.apex)).collect(),
            transfers: transfers.map(|zone| plain(&zone.apex)).collect(),
        }
    };
    settings.keys.iter().map(status).collect()
}

pub(super) fn register(progress: &Progress) -> RegisterStatus {
    let entries = |entries: &BTreeSet<(Name, IpAddr)>| {
        let shown = |(name, address): &(Name, IpAddr)| Registered { name: plain(name), address: address.to_string() };
        entries.iter().map(shown).collect()
    };
    RegisterStatus {
        server: progress.server.to_string(),
        zone: plain(&progress.zone),
        wanted: entries(&progress.wanted),
        told: entries(&progress.told),
        good: progress.is_good(),
        failing: progress.failing.clone(),
        public_failing: progress.public_failing.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_changes_are_counted() {
        let changed = |count: usize| {
            (0..count).map(|zone| (format!("z{zone:02}.test").parse().unwrap(), Serial(7))).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(changes(&changed(2)), "z00.test is at serial 7, z01.test is at serial 7");
        assert!(changes(&changed(MAX_NAMED + 3)).ends_with("z19.test is at serial 7, and 3 more zones changed"));
    }
}
