//! What the site looks like to people: the site's snapshots and notes in the API's words. Pure.

use crate::api::model::{CheckStatus, Counters, Event, Member as Shown, RoleName, Status};
use crate::config::Settings;
use crate::election::{Doing, Member, Note, Reason, Role, State};
use crate::lan::health::CheckReport;
use crate::lan::{Counts, Noted, Snapshot};
use crate::units::{Health, NodeId, Priority, Time};
use crate::wire::Stance;

/// What is known beside the snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    pub started: Time,
    pub checks: Vec<CheckStatus>,
    pub warnings: Vec<String>,
    /// Why the configuration is not in force, while it is so.
    pub problems: Vec<String>,
    /// Since when the holder is known to hold.
    pub holder_since: Option<Time>,
}

pub(super) fn status(settings: &Settings, snapshot: &Snapshot, beside: &Beside) -> Status {
    let me = me(settings, snapshot);
    let mut members: Vec<Shown> = snapshot.members.iter().map(|member| shown(member, snapshot)).collect();
    let namesakes: Vec<&Shown> = members.iter().filter(|member| member.name == me.name).collect();
    let mut warnings: Vec<String> = snapshot.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(beside.warnings.iter().chain(&beside.problems).cloned());
    warnings.extend(namesakes.iter().map(|other| {
        format!(
            "{} at {} has this member's name; give each its own `name` to tell them apart",
            other.name, other.address
        )
    }));
    let role = me.role;
    members.push(me);
    members.sort_by(|a, b| (&a.name, &a.node).cmp(&(&b.name, &b.node)));
    Status {
        name: settings.name.clone(),
        node: snapshot.node.map(|node| node.to_string()).unwrap_or_default(),
        role,
        state: word(snapshot.state),
        holder: snapshot.holder.map(|node| name(settings, snapshot, node)),
        holder_node: snapshot.holder.map(|node| node.to_string()),
        held_ms: beside.holder_since.map(|since| millis(snapshot.at.since(since))),
        term: snapshot.term.0,
        dmz: dmz(settings),
        interface: settings.lan.interface.clone(),
        members,
        health: snapshot.health.0,
        checks: beside.checks.clone(),
        warnings,
        counters: counters(&snapshot.counts),
        uptime_ms: millis(snapshot.at.since(beside.started)),
    }
}

/// The event that people read for a note; `id` is filled in by the log.
pub(super) fn event(settings: &Settings, snapshot: &Snapshot, noted: &Noted) -> Event {
    let (kind, text, gap_ms) = match &noted.note {
        Note::Role { from, to, reason } => {
            ("role", format!("{} -> {}: {}", word(*from), word(*to), because(*reason)), None)
        }
        Note::Takeover { silence, reason } => {
            let gap = silence.map(|silence| silence.as_secs_f64() * 1e3);
            let after = gap.map(|gap| format!(", {gap:.0} ms after the last holder was heard")).unwrap_or_default();
            (
                "takeover",
                format!("this machine answers now for {}{after}: {}", dmz(settings).join(", "), because(*reason)),
                gap,
            )
        }
        Note::Holder { node: Some(node), .. } => {
            ("holder", format!("{} holds the DMZ address", name(settings, snapshot, *node)), None)
        }
        Note::Holder { node: None, .. } => ("holder", "nobody is known to hold the DMZ address".into(), None),
        Note::Joined { name, .. } => ("joined", format!("{name} is there"), None),
        Note::Left { name, announced: true, .. } => ("left", format!("{name} said goodbye"), None),
        Note::Left { name, announced: false, .. } => ("left", format!("{name} is no longer heard"), None),
        Note::Stranger { mac, .. } => {
            let text = format!(
                "a machine that is no member uses {}: hardware address {mac}; find it and give it another address",
                dmz(settings).join(", ")
            );
            ("stranger", text, None)
        }
        Note::LateBeacon { shut_micros } => {
            let shut = *shut_micros as f64 / 1e3;
            ("late-beacon", format!("this machine stood still: the gate was shut for at least {shut:.1} ms"), None)
        }
        Note::GiveUpRefused => ("role", "no other healthy member is there to take the address".into(), None),
    };
    Event { id: 0, at_ms: noted.at_millis, kind: kind.into(), text, term: noted.term.0, gap_ms }
}

/// Whether an operator should be woken by the note rather than told.
pub(super) fn is_alarm(note: &Note) -> bool {
    matches!(note, Note::Stranger { .. } | Note::LateBeacon { .. })
}

pub(super) fn check(report: &CheckReport) -> CheckStatus {
    let CheckReport { name, passing, detail, took } = report.clone();
    CheckStatus { name, passing, detail, took_ms: millis(took) }
}

fn me(settings: &Settings, snapshot: &Snapshot) -> Shown {
    let holds = snapshot.node.is_some() && snapshot.holder == snapshot.node;
    let role = match snapshot.state {
        _ if holds => RoleName::Holder,
        _ if settings.lan.role == Role::Observer => RoleName::Observer,
        State::Conflict => RoleName::Conflict,
        State::Standby | State::Suspecting | State::Prepared | State::HandingOver => RoleName::Standby,
        State::Down | State::Observer | State::Probing | State::Asking | State::Holding | State::Stopped => {
            RoleName::Probing
        }
    };
    Shown {
        name: settings.name.clone(),
        node: snapshot.node.map(|node| node.to_string()).unwrap_or_default(),
        role,
        address: snapshot.address.map(|address| address.to_string()).unwrap_or_default(),
        last_seen_ms: 0,
        healthy: snapshot.health == Health::FULL,
        health: snapshot.health.0,
        priority: settings.lan.priority.0,
        successor: place(snapshot, snapshot.node),
        me: true,
    }
}

fn shown(member: &Member, snapshot: &Snapshot) -> Shown {
    let Member { node, health, priority: Priority(priority), .. } = *member;
    let role = match member.doing {
        _ if snapshot.holder == Some(node) => RoleName::Holder,
        Doing::Waiting(Stance::Standby) => RoleName::Standby,
        Doing::Waiting(Stance::Observer) => RoleName::Observer,
        // One that held and was silent since, or has not said more than that it lives.
        Doing::Holding | Doing::Waiting(Stance::Probing) => RoleName::Probing,
        Doing::Waiting(Stance::Conflict) => RoleName::Conflict,
    };
    Shown {
        name: member.name.clone(),
        node: node.to_string(),
        role,
        address: member.address.ip().to_canonical().to_string(),
        last_seen_ms: millis(snapshot.at.since(member.heard)),
        healthy: health == Health::FULL,
        health: health.0,
        priority,
        successor: place(snapshot, Some(node)),
        me: false,
    }
}

fn place(snapshot: &Snapshot, node: Option<NodeId>) -> Option<u8> {
    let place = snapshot.successors.iter().position(|successor| Some(*successor) == node)?;
    u8::try_from(place + 1).ok()
}

fn name(settings: &Settings, snapshot: &Snapshot, node: NodeId) -> String {
    if snapshot.node == Some(node) {
        return settings.name.clone();
    }
    let member = snapshot.members.iter().find(|member| member.node == node);
    member.map_or_else(|| node.to_string(), |member| member.name.clone())
}

fn counters(counts: &Counts) -> Counters {
    Counters {
        sent: counts.sent,
        send_failed: counts.send_failed,
        received: counts.received,
        malformed: counts.malformed,
        foreign_key: counts.foreign_key,
        other_site: counts.other_site,
        forged: counts.forged,
        replayed: counts.replayed,
        overload: counts.overload,
        late_beacons: counts.late_beacons,
        takeovers: counts.takeovers,
        handovers: counts.handovers,
        fence_restored: counts.fence_restored,
        address_restored: counts.address_restored,
        record_dropped: counts.record_dropped,
    }
}

fn dmz(settings: &Settings) -> Vec<String> {
    let v4 = settings.dmz.v4.map(|(address, _)| address.to_string());
    let v6 = settings.dmz.v6.map(|(address, _)| address.to_string());
    v4.into_iter().chain(v6).collect()
}

fn millis(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The state's name as scripts see it.
pub(super) fn word(state: State) -> String {
    let word = match state {
        State::Down => "down",
        State::Observer => "observer",
        State::Probing => "probing",
        State::Standby => "standby",
        State::Suspecting => "suspecting",
        State::Prepared => "prepared",
        State::Holding => "holding",
        State::HandingOver => "handing-over",
        State::Asking => "asking",
        State::Conflict => "conflict",
        State::Stopped => "stopped",
    };
    word.into()
}

/// The reason as people read it.
pub(super) fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Start => "the link is up, watching who is there",
        Reason::AddressFree => "nobody answers for the address",
        Reason::HolderHeard => "the holder was heard",
        Reason::HolderSilent => "the holder fell silent",
        Reason::HolderAnswered => "the holder answered when asked",
        Reason::HolderReleased => "the holder released the address",
        Reason::HandedOver => "the holder hands it over",
        Reason::GiveUp => "somebody asked for it",
        Reason::Health => "a healthier member is there",
        Reason::Priority => "a member of higher priority is there",
        Reason::Stop => "the daemon is stopping",
        Reason::OutrankedByHolder => "another holder with a newer claim was heard",
        Reason::Frozen => "this machine stood still for longer than its lease",
        Reason::LinkDown => "the LAN interface has no link",
        Reason::Stranger => "a machine that is no member uses the address",
        Reason::StrangerGone => "the stranger is gone",
        Reason::CannotConfigure => "the address could not be put on this machine",
    }
}
