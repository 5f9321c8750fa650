//! DNS in Prometheus' exposition format. Pure.

use super::model::{DnsStatus, RegisterStatus, SecondaryStatus, ZoneRole};
use crate::api::metrics::{Number, Page};

/// What became of a query, as the hot path counts it and as people read it.
const OUTCOMES: [(&str, &str); 6] = [
    ("answers", "answered"),
    ("slipped", "slipped"),
    ("limited", "limited"),
    ("dropped", "dropped"),
    ("slow", "slow"),
    ("slow_lost", "lost"),
];

/// A time in the state of a secondary, in milliseconds since 1970.
type Moment = fn(&SecondaryStatus) -> Option<u64>;

/// Appends what is known of DNS.
pub(in crate::api) fn add(page: &mut Page, dns: &DnsStatus) {
    page.gauge("gatehouse_dns_zones", "The zones served, by role.");
    for (role, label) in [(ZoneRole::Primary, "primary"), (ZoneRole::Secondary, "secondary")] {
        let count = dns.zones.iter().filter(|zone| zone.role == role).count();
        page.sample(&[("role", label)], Number::from(count));
    }
    page.gauge("gatehouse_dns_zone_serial", "A zone's version.");
    for zone in &dns.zones {
        page.sample(&[("zone", &zone.name)], Number::Count(zone.serial.unwrap_or_default().into()));
    }
    page.gauge("gatehouse_dns_zone_names", "How many names a zone has.");
    for zone in &dns.zones {
        page.sample(&[("zone", &zone.name)], Number::Count(zone.names));
    }
    page.gauge(
        "gatehouse_dns_zone_expired",
        "Whether a secondary zone is not answered from, because nobody confirms it.",
    );
    for zone in &dns.zones {
        page.sample(&[("zone", &zone.name)], Number::from(zone.expired));
    }
    let times: [(_, _, Moment); 2] = [
        (
            "gatehouse_dns_zone_confirmed_seconds",
            "When a primary last confirmed a secondary zone, since 1970.",
            |zone| zone.confirmed_at_ms,
        ),
        (
            "gatehouse_dns_zone_expires_seconds",
            "When a secondary zone expires unless it is confirmed, since 1970.",
            |zone| zone.expires_at_ms,
        ),
    ];
    for (name, help, time) in times {
        page.gauge(name, help);
        for zone in &dns.zones {
            if let Some(at) = zone.secondary.as_ref().and_then(time) {
                page.sample(&[("zone", &zone.name)], Number::Seconds(at));
            }
        }
    }
    let count = |name: &str| Number::Count(dns.counters.get(name).copied().unwrap_or_default());
    page.family("gatehouse_dns_udp_queries_total", "Queries over UDP, by what became of them.", "counter");
    for (name, outcome) in OUTCOMES {
        page.sample(&[("outcome", outcome)], count(name));
    }
    page.family("gatehouse_dns_udp_answers_total", "Answers over UDP, by result code.", "counter");
    for (name, value) in &dns.counters {
        if let Some(rcode) = name.strip_prefix("rcode_") {
            page.sample(&[("rcode", rcode)], Number::Count(*value));
        }
    }
    if let Some(register) = &dns.register {
        registration(page, register);
    }
}

fn registration(page: &mut Page, register: &RegisterStatus) {
    page.gauge("gatehouse_dns_registered", "Whether the main server has confirmed all that it shall be told.");
    page.plain(Number::from(register.good));
    page.gauge("gatehouse_dns_registered_records", "The records that the main server has confirmed.");
    page.plain(Number::from(register.told.len()));
}
