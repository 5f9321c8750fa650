//! A site of three, as a standby's daemon describes it, for tests of what people see.

use crate::api::model::{Counters, Member, RoleName, Status};

/// A standby, first in line, of a site whose other standby has a failing check.
pub(super) fn standby() -> Status {
    let me = Member { me: true, ..member("attic", RoleName::Standby, Some(1)) };
    let broken = Member { healthy: false, health: 40, ..member("basement", RoleName::Standby, Some(2)) };
    Status {
        name: "attic".into(),
        node: "00".repeat(16),
        role: RoleName::Standby,
        state: "standby".into(),
        holder: Some("garage".into()),
        holder_node: Some("00".repeat(16)),
        held_ms: Some(7_500_000),
        term: 12,
        dmz: vec!["192.168.1.11".into()],
        interface: "eth0".into(),
        members: vec![me, broken, member("garage", RoleName::Holder, None)],
        health: 100,
        checks: Vec::new(),
        warnings: Vec::new(),
        counters: Counters::default(),
        uptime_ms: 90_000,
    }
}

fn member(name: &str, role: RoleName, successor: Option<u8>) -> Member {
    Member {
        name: name.into(),
        node: "00".repeat(16),
        role,
        address: format!("192.168.1.2{}", name.len()),
        last_seen_ms: 42,
        healthy: true,
        health: 100,
        priority: 100,
        successor,
        me: false,
    }
}
