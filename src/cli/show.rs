//! Status, members and events for people: short, and the worst first. Pure.

use super::paint::{Paint, clean, moment, span, table};
use crate::api::model::{CheckStatus, Event, Member, RoleName, Status};

/// The screen for somebody whose site is down.
pub fn status(status: &Status, paint: Paint) -> String {
    let mut lines =
        vec![headline(status, paint), format!("  {}", clean(&this_machine(status))), outlook(status, paint)];
    section(
        &mut lines,
        paint,
        "Warnings",
        status.warnings.iter().map(|text| paint.warn(&format!("! {}", clean(text)))),
    );
    let (passing, failing): (Vec<_>, Vec<_>) = status.checks.iter().partition(|check| check.passing);
    section(&mut lines, paint, "Failing checks", failing.iter().map(|check| paint.bad(&check_line(check))));
    section(&mut lines, paint, "Passing checks", passing.iter().map(|check| check_line(check)));
    section(&mut lines, paint, "Members", members_table(&status.members, paint));
    lines.join("\n") + "\n"
}

/// The members alone.
pub fn members(members: &[Member], paint: Paint) -> String {
    members_table(members, paint).join("\n") + "\n"
}

/// One event on one line.
pub fn event(event: &Event, paint: Paint) -> String {
    let kind = format!("{:<11}", clean(&event.kind));
    let kind = match event.kind.as_str() {
        "stranger" | "missed" => paint.bad(&kind),
        "late-beacon" | "warning" | "health" => paint.warn(&kind),
        "role" | "holder" => paint.bold(&kind),
        _ => kind,
    };
    let gap = event.gap_ms.map_or(String::new(), |gap| format!(", {gap:.1} ms after the last beacon"));
    let rest = paint.dim(&format!("#{} term {}{gap}", event.id, event.term));
    format!("{}  {kind}  {}  {rest}", paint.dim(&moment(event.at_ms)), clean(&event.text))
}

/// Who answers for the address now.
fn headline(status: &Status, paint: Paint) -> String {
    let dmz = clean(&status.dmz.join(" and "));
    let since = status.held_ms.map_or(String::new(), |held| format!("since {} ago, ", span(held)));
    let holds = |who: &str| paint.good(&format!("{who} holds {dmz} ({since}term {})", status.term));
    match (&status.holder, status.role) {
        (_, RoleName::Conflict) => {
            paint.bad(&format!("CONFLICT: a machine that is no member uses {dmz}; no member answers for it"))
        }
        (_, RoleName::Holder) => holds("this machine"),
        (Some(holder), _) => holds(&clean(holder)),
        (None, _) => paint.bad(&format!("nobody is known to hold {dmz}")),
    }
}

fn this_machine(status: &Status) -> String {
    let role = role(status.role);
    let state =
        if status.state == role || status.state == "holding" { String::new() } else { format!(" ({})", status.state) };
    let (name, interface) = (&status.name, &status.interface);
    format!(
        "this machine is {name}: {role}{state} on {interface}, health {}, up {}",
        status.health,
        span(status.uptime_ms)
    )
}

/// What happens if the holder fails now.
fn outlook(status: &Status, paint: Paint) -> String {
    let first = status.members.iter().find(|member| member.successor == Some(1));
    let me = status.members.iter().find(|member| member.me);
    let good = |text: &str| format!("  {text}");
    let bad = |text: &str| format!("  {}", paint.warn(text));
    match (status.role, me.and_then(|me| me.successor), first) {
        (RoleName::Holder, _, Some(next)) => good(&format!("{} takes over if it fails", clean(&next.name))),
        (RoleName::Holder, _, None) => bad("nobody takes over if it fails: no standby is known"),
        (RoleName::Observer, ..) => good("this machine never takes over: it is an observer"),
        (RoleName::Conflict, ..) => bad("it takes the address by itself when the other machine leaves it"),
        (RoleName::Probing, ..) => good("it is finding out whether the address is taken"),
        (RoleName::Standby, Some(1), _) => good("this machine takes over if the holder fails"),
        (RoleName::Standby, Some(place), _) => good(&format!("this machine is number {place} in line to take over")),
        (RoleName::Standby, None, _) if status.health == 0 => bad("this machine does not take over: its checks fail"),
        (RoleName::Standby, None, _) => bad("this machine is not in line to take over: the holder does not name it"),
    }
}

fn check_line(check: &CheckStatus) -> String {
    format!("{}: {} ({})", clean(&check.name), clean(&check.detail), span(check.took_ms))
}

fn members_table(members: &[Member], paint: Paint) -> Vec<String> {
    let title = ["", "NAME", "ROLE", "ADDRESS", "HEARD", "HEALTH", "IN LINE"].map(str::to_owned).to_vec();
    let rows = members.iter().map(|member| {
        vec![
            if member.me { "*" } else { "" }.to_owned(),
            clean(&member.name),
            role(member.role).to_owned(),
            clean(&member.address),
            if member.me { "this one".to_owned() } else { format!("{} ago", span(member.last_seen_ms)) },
            if member.healthy { member.health.to_string() } else { format!("{} failing", member.health) },
            member.successor.map_or(String::new(), |place| place.to_string()),
        ]
    });
    let lines = table(&std::iter::once(title).chain(rows).collect::<Vec<_>>());
    let painted = lines.into_iter().enumerate().map(|(index, line)| {
        let member = index.checked_sub(1).and_then(|index| members.get(index));
        match member {
            None => paint.dim(&line),
            Some(member) if !member.healthy => paint.warn(&line),
            Some(member) if member.role == RoleName::Holder => paint.good(&line),
            Some(_) => line,
        }
    });
    painted.collect()
}

/// A role in the word that scripts see, too.
pub fn role(role: RoleName) -> &'static str {
    match role {
        RoleName::Holder => "holder",
        RoleName::Standby => "standby",
        RoleName::Observer => "observer",
        RoleName::Probing => "probing",
        RoleName::Conflict => "conflict",
    }
}

fn section(lines: &mut Vec<String>, paint: Paint, title: &str, body: impl IntoIterator<Item = String>) {
    let mut body = body.into_iter().peekable();
    if body.peek().is_some() {
        lines.extend([String::new(), paint.bold(title)]);
        lines.extend(body.map(|line| format!("  {line}")));
    }
}

#[cfg(test)]
mod tests;
