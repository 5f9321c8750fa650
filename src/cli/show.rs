//! Status, members and events for people: short, and the worst first. Pure.

use super::paint::{Paint, clean, moment, span, table};
use crate::api::model::{CheckStatus, Event, Member, RoleName, Status};

/// The screen for somebody whose site is down.
pub fn status(status: &Status, paint: Paint) -> String {
    let well = status.holder.is_some() && status.role != RoleName::Conflict;
    let headline = if well { paint.good(&headline(status)) } else { paint.bad(&headline(status)) };
    let next = outlook(status);
    let next = if next.well { next.text } else { paint.warn(&next.text) };
    let mut lines = vec![headline, format!("  {}", this_machine(status)), format!("  {next}")];
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
        "late-beacon" | "health" => paint.warn(&kind),
        "takeover" | "holder" => paint.bold(&kind),
        _ => kind,
    };
    let rest = paint.dim(&format!("#{} term {}", event.id, event.term));
    format!("{}  {kind}  {}  {rest}", paint.dim(&moment(event.at_ms)), clean(&event.text))
}

/// Who answers for the address now.
pub fn headline(status: &Status) -> String {
    let dmz = clean(&status.dmz.join(" and "));
    let since = status.held_ms.map_or(String::new(), |held| format!("since {} ago, ", span(held)));
    let holds = |who: &str| format!("{who} holds {dmz} ({since}term {})", status.term);
    match (&status.holder, status.role) {
        (_, RoleName::Conflict) => format!("CONFLICT: a machine that is no member uses {dmz}"),
        (_, RoleName::Holder) => holds("this machine"),
        (Some(holder), _) => holds(&clean(holder)),
        (None, _) => format!("nobody is known to hold {dmz}"),
    }
}

/// What this machine is and does.
pub fn this_machine(status: &Status) -> String {
    let role = role(status.role);
    let state = match status.state.as_str() {
        "holding" => String::new(),
        state if state == role => String::new(),
        state => format!(" ({state})"),
    };
    let (name, interface, up) = (&status.name, &status.interface, span(status.uptime_ms));
    clean(&format!("this machine is {name}: {role}{state} on {interface}, health {}, up {up}", status.health))
}

/// What happens if the holder fails now.
#[derive(Debug)]
pub struct Outlook {
    /// One sentence.
    pub text: String,
    /// Whether it is as it should be.
    pub well: bool,
}

/// What happens if the holder fails now.
pub fn outlook(status: &Status) -> Outlook {
    let first = status.members.iter().find(|member| member.successor == Some(1));
    let me = status.members.iter().find(|member| member.me);
    let (well, text) = match (status.role, me.and_then(|me| me.successor), first) {
        (RoleName::Holder, _, Some(next)) => (true, &*format!("{} takes over if it fails", clean(&next.name))),
        (RoleName::Holder, _, None) => (false, "nobody takes over if it fails: no standby is known"),
        (RoleName::Observer, ..) => (true, "this machine never takes over: it is an observer"),
        (RoleName::Conflict, ..) => (false, "a member takes the address by itself when that machine lets go of it"),
        (RoleName::Probing, ..) => (true, "it is finding out whether the address is taken"),
        (RoleName::Standby, Some(1), _) => (true, "this machine takes over if the holder fails"),
        (RoleName::Standby, Some(place), _) => (true, &*format!("this machine is number {place} in line to take over")),
        (RoleName::Standby, None, _) if status.health == 0 => {
            (false, "this machine does not take over: its checks fail")
        }
        (RoleName::Standby, None, _) => {
            (false, "this machine is not in line to take over: the holder does not name it")
        }
    };
    Outlook { text: text.to_owned(), well }
}

fn check_line(check: &CheckStatus) -> String {
    format!("{}: {} ({})", clean(&check.name), clean(&check.detail), span(check.took_ms))
}

/// The columns of [`member_cells`].
pub const MEMBER_COLUMNS: [&str; 7] = ["", "NAME", "ROLE", "ADDRESS", "HEARD", "HEALTH", "IN LINE"];

/// One member's row in a table.
pub fn member_cells(member: &Member) -> [String; 7] {
    [
        if member.me { "*" } else { "" }.to_owned(),
        clean(&member.name),
        role(member.role).to_owned(),
        clean(&member.address),
        if member.me { "this one".to_owned() } else { format!("{} ago", span(member.last_seen_ms)) },
        if member.healthy { member.health.to_string() } else { format!("{} failing", member.health) },
        member.successor.map_or(String::new(), |place| place.to_string()),
    ]
}

fn members_table(members: &[Member], paint: Paint) -> Vec<String> {
    let title = MEMBER_COLUMNS.map(str::to_owned);
    let lines = table(&std::iter::once(title).chain(members.iter().map(member_cells)).collect::<Vec<_>>());
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
fn role(role: RoleName) -> &'static str {
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
