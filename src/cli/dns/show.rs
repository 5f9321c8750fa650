//! How zones, keys and records look to people. Pure but for the colours.

use std::fmt::Write as _;

use crate::api::dns::model::{DnsStatus, KeyStatus, RegisterStatus, ShownRecord, ZoneRole, ZoneStatus};
use crate::cli::paint::{Paint, clean, table};

/// The whole status.
pub fn status(status: &DnsStatus, paint: Paint) -> String {
    let mut text = String::new();
    let listen = if status.listen.is_empty() { "nowhere".to_owned() } else { status.listen.join(", ") };
    let log = if status.query_log { "; each query is logged" } else { "" };
    let _ = writeln!(text, "DNS at {listen}{log}");
    if let Some(register) = &status.register {
        registration(&mut text, register, paint);
    }
    if !status.zones.is_empty() {
        let _ = write!(text, "\nZones\n{}", zones(&status.zones, paint));
    }
    text
}

fn registration(text: &mut String, register: &RegisterStatus, paint: Paint) {
    let (server, zone) = (clean(&register.server), clean(&register.zone));
    if register.failing.is_none() && register.wanted == register.told {
        let _ = writeln!(text, "registered in {zone} at {server}:");
    } else {
        let why = register.failing.as_deref().unwrap_or("not confirmed yet");
        let _ = writeln!(text, "{}", paint.bad(&format!("not registered in {zone} at {server}: {}", clean(why))));
    }
    for entry in &register.wanted {
        let confirmed = if register.told.contains(entry) { "" } else { "  (not yet)" };
        let _ = writeln!(text, "  {} {}{confirmed}", clean(&entry.name), clean(&entry.address));
    }
    if let Some(why) = &register.public_failing {
        let why = clean(why);
        let _ = writeln!(text, "  {}", paint.bad(&format!("the site's public address is not known: {why}")));
    }
}

/// A line for each zone.
pub fn zones(zones: &[ZoneStatus], paint: Paint) -> String {
    let mut rows = vec![["ZONE", "ROLE", "SERIAL", "NAMES", ""].map(str::to_owned)];
    rows.extend(zones.iter().map(|zone| {
        let role = match zone.role {
            ZoneRole::Primary => "primary",
            ZoneRole::Secondary => "secondary",
        };
        let serial = zone.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string());
        let remark = match (zone.expired, zone.signed) {
            (true, _) => paint.bad("expired: its primary has not been heard for too long"),
            (false, true) => "signed".to_owned(),
            (false, false) => String::new(),
        };
        [clean(&zone.name), role.to_owned(), serial, zone.names.to_string(), remark]
    }));
    lines(&rows)
}

/// A line for each key.
pub fn keys(keys: &[KeyStatus]) -> String {
    if keys.is_empty() {
        return "no keys; `gatehouse dns key new NAME` makes one for [[dns.key]]\n".to_owned();
    }
    let list = |zones: &[String]| if zones.is_empty() { "-".to_owned() } else { clean(&zones.join(" ")) };
    let mut rows = vec![["KEY", "ALGORITHM", "UPDATES", "TRANSFERS"].map(str::to_owned)];
    rows.extend(
        keys.iter().map(|key| [clean(&key.name), key.algorithm.clone(), list(&key.updates), list(&key.transfers)]),
    );
    lines(&rows)
}

/// A record as in a zone file.
pub fn record(record: &ShownRecord) -> String {
    let ShownRecord { name, ttl, r#type, data } = record;
    format!("{:<32} {ttl:>7} {type:<8} {}", clean(name), clean(data))
}

fn lines<const N: usize>(rows: &[[String; N]]) -> String {
    table(rows).iter().map(|line| format!("  {line}\n")).collect()
}
