//! How zones, keys and records look to people. Pure but for the colours.

use std::fmt::Write as _;

use crate::api::dns::model::{
    DnsStatus, DnssecRole, DnssecStage, DnssecStatus, KeyStatus, RegisterStatus, ShownRecord, ZoneRole, ZoneStatus,
};
use crate::cli::paint::{Paint, clean, span, table};

/// The whole status; `now_ms` is the time since 1970.
pub fn status(status: &DnsStatus, now_ms: u64, paint: Paint) -> String {
    let mut text = String::new();
    let listen = if status.listen.is_empty() { "nowhere".to_owned() } else { status.listen.join(", ") };
    let log = if status.query_log { "; each query is logged" } else { "" };
    let _ = writeln!(text, "DNS at {listen}{log}");
    for warning in &status.warnings {
        let _ = writeln!(text, "{}", paint.warn(&format!("! {}", clean(warning))));
    }
    if let Some(register) = &status.register {
        registration(&mut text, register, paint);
    }
    if !status.zones.is_empty() {
        let _ = write!(text, "\nZones\n{}", zones(&status.zones, now_ms, paint));
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

/// A line for each zone; `now_ms` is the time since 1970.
pub fn zones(zones: &[ZoneStatus], now_ms: u64, paint: Paint) -> String {
    let mut rows = vec![["ZONE", "ROLE", "SERIAL", "NAMES", "REFRESH", "EXPIRES", ""].map(str::to_owned)];
    rows.extend(zones.iter().map(|zone| {
        let serial = zone.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string());
        let (role, refresh, expires) = match (zone.role, &zone.secondary) {
            (ZoneRole::Secondary, Some(secondary)) => {
                let refresh = secondary.refresh_at_ms.map_or_else(|| "now".to_owned(), |at| until(at, now_ms));
                ("secondary", refresh, secondary.expires_at_ms.map_or_else(|| "-".to_owned(), |at| until(at, now_ms)))
            }
            (ZoneRole::Secondary, None) => ("secondary", "-".to_owned(), "-".to_owned()),
            (ZoneRole::Primary, _) => ("primary", "-".to_owned(), "-".to_owned()),
        };
        let names = zone.names.to_string();
        [clean(&zone.name), role.to_owned(), serial, names, refresh, expires, remark(zone, paint)]
    }));
    lines(&rows)
}

/// What is wrong with a zone, or special.
fn remark(zone: &ZoneStatus, paint: Paint) -> String {
    let error = zone.secondary.as_ref().and_then(|secondary| secondary.error.as_deref()).map(clean);
    match (zone.expired, error, zone.signed) {
        (true, Some(error), _) => paint.bad(&format!("not answered from: {error}")),
        (true, None, _) => paint.bad("not answered from: no primary has confirmed it"),
        (false, Some(error), _) => paint.warn(&error),
        (false, None, true) => "signed".to_owned(),
        (false, None, false) => String::new(),
    }
}

/// How long it is until then, or was since.
fn until(at_ms: u64, now_ms: u64) -> String {
    match at_ms.checked_sub(now_ms) {
        Some(left) => format!("in {}", span(left)),
        None => format!("{} ago", span(now_ms - at_ms)),
    }
}

/// The keys that a zone is signed with, and what each waits for.
pub fn dnssec(status: &DnssecStatus, now_ms: u64, paint: Paint) -> String {
    let zone = clean(&status.zone);
    if status.keys.is_empty() {
        return format!("{}\n", not_signed(&zone));
    }
    let mut rows = vec![["TAG", "SIGNS", "ALGORITHM", "STAGE", "SINCE", ""].map(str::to_owned)];
    rows.extend(status.keys.iter().map(|key| {
        let signs = match key.role {
            DnssecRole::KeySigning => "keys",
            DnssecRole::ZoneSigning => "zone",
        };
        let (stage, remark) = match (key.stage, key.role) {
            (DnssecStage::Published, _) => ("published", "until every cache knows it".to_owned()),
            (DnssecStage::Ready, _) => {
                let text =
                    format!("put its DS record into the parent zone, then: dns dnssec ds-seen {zone} {}", key.tag);
                ("ready", paint.warn(&text))
            }
            (DnssecStage::Active, DnssecRole::KeySigning) if key.announced => {
                ("active", "the parent zone has its DS record, or is to have it".to_owned())
            }
            (DnssecStage::Active, _) => ("active", String::new()),
            (DnssecStage::Retired, _) => ("retired", "until no cache needs it".to_owned()),
        };
        let since = until(key.since_at_ms, now_ms);
        [key.tag.to_string(), signs.to_owned(), clean(&key.algorithm), stage.to_owned(), since, remark]
    }));
    let mut text = lines(&rows);
    if let Some(next) = status.next_at_ms.filter(|next| *next > now_ms) {
        let _ = writeln!(text, "the next step comes by itself {}", until(next, now_ms));
    }
    text + &status
        .keys
        .iter()
        .filter(|key| key.announced)
        .filter_map(|key| key.ds.as_ref())
        .map(|data| ds(&zone, data))
        .collect::<String>()
}

/// A DS record as the parent zone has it.
pub fn ds(zone: &str, data: &str) -> String {
    format!("{}. DS {}\n", clean(zone), clean(data))
}

/// What there is to say of a zone without keys.
pub fn not_signed(zone: &str) -> String {
    format!("{} is not signed here; [dns.zone.dnssec] in the configuration signs it", clean(zone))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::dns::model::{DnssecKey, SecondaryStatus};

    const NOW: u64 = 1_700_000_000_000;

    fn zone(name: &str, secondary: Option<SecondaryStatus>) -> ZoneStatus {
        ZoneStatus {
            name: name.to_owned(),
            role: if secondary.is_some() { ZoneRole::Secondary } else { ZoneRole::Primary },
            serial: Some(7),
            names: 3,
            leases: 0,
            signed: secondary.is_none(),
            expired: false,
            secondary,
        }
    }

    #[test]
    fn a_zone_says_how_it_follows_its_primaries() {
        let fine = SecondaryStatus {
            refresh_at_ms: Some(NOW + 600_000),
            expires_at_ms: Some(NOW + 7_500_000),
            ..SecondaryStatus::default()
        };
        let failing = SecondaryStatus { error: Some("192.0.2.1:53 does not\x1b answer".to_owned()), ..fine.clone() };
        let expired = SecondaryStatus { refresh_at_ms: None, expires_at_ms: Some(NOW - 2_000), ..failing.clone() };
        let mut gone = ZoneStatus { expired: true, ..zone("d.test", Some(expired)) };
        gone.serial = None;
        let all = [zone("a.test", None), zone("b.test", Some(fine)), zone("c.test", Some(failing)), gone];
        let expected = [
            "  ZONE    ROLE       SERIAL  NAMES  REFRESH    EXPIRES",
            "  a.test  primary    7       3      -          -             signed",
            "  b.test  secondary  7       3      in 10 min  in 2 h 5 min",
            "  c.test  secondary  7       3      in 10 min  in 2 h 5 min  192.0.2.1:53 does not\u{fffd} answer",
            "  d.test  secondary  -       3      now        2.0 s ago     not answered from: 192.0.2.1:53 does not\u{fffd} answer",
        ];
        assert_eq!(zones(&all, NOW, Paint::PLAIN).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_key_says_what_it_waits_for() {
        let key = |tag, role, stage, announced| DnssecKey {
            tag,
            role,
            algorithm: "ed25519".to_owned(),
            stage,
            since_at_ms: NOW - 3_600_000,
            ds: (role == DnssecRole::KeySigning).then(|| format!("{tag} 15 2 AB")),
            announced,
        };
        let keys = vec![
            key(1, DnssecRole::KeySigning, DnssecStage::Active, false),
            key(2, DnssecRole::ZoneSigning, DnssecStage::Active, false),
            key(3, DnssecRole::KeySigning, DnssecStage::Ready, true),
        ];
        let mut status = DnssecStatus { zone: "a.test".to_owned(), keys, next_at_ms: Some(NOW + 60_000) };
        let shown = dnssec(&status, NOW, Paint::PLAIN);
        for part in [
            "  1    keys   ed25519    active  1 h ago\n",
            "3    keys   ed25519    ready   1 h ago  put its DS record into the parent zone, then: dns dnssec ds-seen a.test 3\n",
            "the next step comes by itself in 1 min\na.test. DS 3 15 2 AB\n",
        ] {
            assert!(shown.contains(part), "{shown}");
        }
        status.keys.clear();
        assert!(dnssec(&status, NOW, Paint::PLAIN).starts_with("a.test is not signed here"));
    }
}
