//! Status and counts in Prometheus' text exposition format 0.0.4. Pure.

use std::fmt::{self, Write};

use super::dns::{self, model::DnsStatus};
use super::model::{Counters, RoleName, Status};

/// Every metric, each family with its help and type.
pub(super) fn render(status: Option<&Status>, dns: Option<&DnsStatus>) -> String {
    let mut page = Page::default();
    if let Some(status) = status {
        gauges(&mut page, status);
        counts(&mut page, &status.counters);
    }
    if let Some(dns) = dns {
        dns::metrics::add(&mut page, dns);
    }
    page.text
}

const ROLES: [(RoleName, &str); 5] = [
    (RoleName::Holder, "holder"),
    (RoleName::Standby, "standby"),
    (RoleName::Observer, "observer"),
    (RoleName::Probing, "probing"),
    (RoleName::Conflict, "conflict"),
];

fn gauges(page: &mut Page, status: &Status) {
    page.gauge("gatehouse_holder", "Whether this member answers for the DMZ address.");
    page.plain(Number::from(status.role == RoleName::Holder));
    page.gauge("gatehouse_role", "What this member does: 1 for its role, 0 for the others.");
    for (role, label) in ROLES {
        page.sample(&[("role", label)], Number::from(status.role == role));
    }
    page.gauge("gatehouse_term", "The site's term: counts the holderships.");
    page.plain(Number::Count(status.term));
    page.gauge("gatehouse_holder_known", "Whether this member knows who holds.");
    page.plain(Number::from(status.holder_node.is_some()));
    page.gauge("gatehouse_health", "This member's health, 0 to 100.");
    page.plain(Number::Count(status.health.into()));
    page.gauge("gatehouse_members", "The members this one knows, itself included, by role.");
    for (role, label) in ROLES {
        let count = status.members.iter().filter(|member| member.role == role).count();
        page.sample(&[("role", label)], Number::from(count));
    }
    page.gauge("gatehouse_members_unhealthy", "The members that have a failing check.");
    page.plain(Number::from(status.members.iter().filter(|member| !member.healthy).count()));
    page.gauge("gatehouse_check_passing", "Whether a health check of this member passes.");
    for check in &status.checks {
        page.sample(&[("check", &check.name)], Number::from(check.passing));
    }
    page.gauge("gatehouse_check_duration_seconds", "How long a check's last try took.");
    for check in &status.checks {
        page.sample(&[("check", &check.name)], Number::Seconds(check.took_ms));
    }
    page.gauge("gatehouse_warnings", "Warnings that `gatehouse status` shows.");
    page.plain(Number::from(status.warnings.len()));
    page.gauge("gatehouse_uptime_seconds", "Time since the daemon started.");
    page.plain(Number::Seconds(status.uptime_ms));
}

fn counts(page: &mut Page, counters: &Counters) {
    page.counter("gatehouse_datagrams_sent_total", "Datagrams sent.", counters.sent);
    let refused = "Datagrams that the kernel refused to send.";
    page.counter("gatehouse_datagrams_send_failed_total", refused, counters.send_failed);
    page.counter("gatehouse_datagrams_received_total", "Datagrams accepted.", counters.received);
    page.family("gatehouse_datagrams_dropped_total", "Datagrams dropped, by reason.", "counter");
    let dropped = [
        ("malformed", counters.malformed),
        ("foreign-key", counters.foreign_key),
        ("other-site", counters.other_site),
        ("forged", counters.forged),
        ("replayed", counters.replayed),
        ("overload", counters.overload),
    ];
    for (reason, count) in dropped {
        page.sample(&[("reason", reason)], Number::Count(count));
    }
    let plain = [
        ("gatehouse_late_beacons_total", "Beacons that left after the lease had run out.", counters.late_beacons),
        ("gatehouse_takeovers_total", "Times this member took the address over.", counters.takeovers),
        ("gatehouse_handovers_total", "Times this member handed the address over.", counters.handovers),
        ("gatehouse_fence_restored_total", "Times the fence had to be put back.", counters.fence_restored),
        ("gatehouse_address_restored_total", "Times the address had to be put back.", counters.address_restored),
        ("gatehouse_record_dropped_total", "Inputs that could not be recorded.", counters.record_dropped),
    ];
    for (name, help, count) in plain {
        page.counter(name, help, count);
    }
}

/// A page under way, and the family that its next samples belong to.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) {
        self.family(name, help, "gauge");
    }

    pub(super) fn counter(&mut self, name: &'static str, help: &str, count: u64) {
        self.family(name, help, "counter");
        self.plain(Number::Count(count));
    }

    pub(super) fn family(&mut self, name: &'static str, help: &str, kind: &str) {
        self.family = name;
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    pub(super) fn plain(&mut self, number: Number) {
        let name = self.family;
        self.put(format_args!("{name} {number}\n"));
    }

    pub(super) fn sample(&mut self, labels: &[(&str, &str)], number: Number) {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let (name, labels) = (self.family, labels.join(","));
        self.put(format_args!("{name}{{{labels}}} {number}\n"));
    }

    fn put(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(text);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// A sample's value.
pub(super) enum Number {
    Count(u64),
    /// Milliseconds, shown as seconds.
    Seconds(u64),
}

impl From<bool> for Number {
    fn from(value: bool) -> Number {
        Number::Count(value.into())
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Number {
        Number::Count(value as u64)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Count(count) => count.fmt(f),
            Number::Seconds(millis) => write!(f, "{}.{:03}", millis / 1000, millis % 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::tests::status;

    /// Reads the exposition format strictly: every sample belongs to the family announced last, every family has
    /// help and type, no sample comes twice.
    fn parse(page: &str) -> BTreeMap<String, f64> {
        let mut samples = BTreeMap::new();
        let (mut helped, mut family) = (String::new(), String::new());
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').expect("a help text");
                assert!(help.ends_with('.'), "{line}");
                name.clone_into(&mut helped);
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a type");
                assert!(name == helped && ["gauge", "counter"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                name.clone_into(&mut family);
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a value");
                assert_eq!(series.split('{').next(), Some(family.as_str()), "{line}");
                let before = samples.insert(series.to_owned(), value.parse().expect("a number"));
                assert_eq!(before, None, "{line} comes twice");
            }
        }
        samples
    }

    #[test]
    fn the_page_says_what_the_status_says() {
        let counters = Counters { sent: 1 << 60, send_failed: 5, takeovers: 3, forged: 7, ..Counters::default() };
        let samples = parse(&render(Some(&Status { counters, ..status() }), None));
        let value = |series: &str| samples.get(series).copied();
        assert_eq!(value("gatehouse_holder"), Some(1.0));
        assert_eq!(value("gatehouse_role{role=\"holder\"}"), Some(1.0));
        assert_eq!(value("gatehouse_role{role=\"standby\"}"), Some(0.0));
        assert_eq!(value("gatehouse_term"), Some(7.0));
        assert_eq!(value("gatehouse_members{role=\"standby\"}"), Some(1.0));
        assert_eq!(value("gatehouse_members_unhealthy"), Some(1.0));
        assert_eq!(value("gatehouse_takeovers_total"), Some(3.0));
        assert_eq!(value("gatehouse_datagrams_send_failed_total"), Some(5.0));
        assert_eq!(value("gatehouse_datagrams_dropped_total{reason=\"forged\"}"), Some(7.0));
        assert_eq!(value("gatehouse_uptime_seconds"), Some(61.005));
    }

    #[test]
    fn a_name_cannot_break_out_of_its_label() {
        let mut status = status();
        status.checks[0].name = "a\"} 1\nb\\".to_owned();
        let page = render(Some(&status), None);
        assert!(page.contains(r#"gatehouse_check_passing{check="a\"} 1\nb\\"} 1"#), "{page}");
        parse(&page);
    }
}
