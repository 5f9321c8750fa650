//! What the server says of itself and its zones, in the API's words.

use std::sync::atomic::Ordering;

use dns::answer::Zones;
use dns::name::NameRef;
use dns::server::Server;
use dns::settings::Source;
use dns::zone::Serial;

use super::model::{DnsStatus, SecondaryStatus, ZoneRole, ZoneStatus};
use super::{DnsDoor, plain};

/// The published status with what the zones are at this moment.
pub(in crate::api) fn current(door: &DnsDoor) -> DnsStatus {
    let mut status = DnsStatus::clone(&door.status.borrow());
    let Some(server) = &door.server else { return status };
    status.query_log = server.front().log_queries.load(Ordering::Relaxed);
    status.counters = server.counts().into_iter().collect();
    let zones = server.front().zones();
    status.zones = server.status().into_iter().map(|zone| shown(zone, &zones, server)).collect();
    status
}

/// One zone at this moment.
pub(super) fn zone(server: &Server, apex: NameRef<'_>) -> Option<ZoneStatus> {
    let zone = server.status().into_iter().find(|zone| zone.apex.as_ref() == apex)?;
    Some(shown(zone, &server.front().zones(), server))
}

/// Milliseconds since 1970 of seconds since then.
pub(super) fn at_ms(secs: u64) -> u64 {
    secs.saturating_mul(1000)
}

fn shown(zone: dns::store::ZoneStatus, zones: &Zones, server: &Server) -> ZoneStatus {
    let served = zones.at(zone.apex.as_ref());
    // Zero is the version of a secondary that is not there yet.
    let is_there = served.is_some() && !(zone.is_secondary && zone.serial == Serial(0));
    ZoneStatus {
        name: plain(&zone.apex),
        role: if zone.is_secondary { ZoneRole::Secondary } else { ZoneRole::Primary },
        serial: is_there.then_some(zone.serial.0),
        names: zone.names as u64,
        leases: zone.leases as u64,
        signed: served.is_some_and(|served| served.zone.is_signed()),
        expired: zone.is_expired,
        secondary: secondary(server, zone.apex.as_ref()),
    }
}

fn secondary(server: &Server, apex: NameRef<'_>) -> Option<SecondaryStatus> {
    let status = server.secondary(apex)?;
    let settings = server.store().settings(apex)?;
    let Source::Secondary { primaries } = &settings.source else { return None };
    Some(SecondaryStatus {
        primaries: primaries.iter().map(|primary| primary.address.to_string()).collect(),
        asked: status.asked.map(|address| address.to_string()),
        confirmed_at_ms: status.confirmed.map(at_ms),
        refresh_at_ms: status.asks.map(at_ms),
        expires_at_ms: status.expires.map(at_ms),
        error: status.problem,
    })
}
