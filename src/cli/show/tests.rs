//! What people read, whole.

use super::*;
use crate::cli::fixture::standby;

#[test]
fn a_quiet_standby() {
    let expected = "\
garage holds 192.168.1.11 (since 2 h 5 min ago, term 12)
  this machine is attic: standby on eth0, health 100, up 1 min 30 s
  this machine takes over if the holder fails

Members
     NAME      ROLE     ADDRESS       HEARD      HEALTH      IN LINE
  *  attic     standby  192.168.1.25  this one   100         1
     basement  standby  192.168.1.28  42 ms ago  40 failing  2
     garage    holder   192.168.1.26  42 ms ago  100
";
    assert_eq!(status(&standby(), Paint::PLAIN), expected);
}

#[test]
fn a_site_in_trouble_says_the_worst_first() {
    let check = |name: &str, passing, detail: &str| CheckStatus {
        name: name.into(),
        passing,
        detail: detail.into(),
        took_ms: 1_000,
    };
    let troubled = Status {
        role: RoleName::Conflict,
        state: "conflict".into(),
        holder: None,
        holder_node: None,
        held_ms: None,
        members: Vec::new(),
        checks: vec![check("gateway", true, "answers"), check("web", false, "connection refused")],
        warnings: vec!["no CAP_NET_RAW:\x1b[2J probes are off".into()],
        ..standby()
    };
    let expected = "\
CONFLICT: a machine that is no member uses 192.168.1.11
  this machine is attic: conflict on eth0, health 100, up 1 min 30 s
  a member takes the address by itself when that machine lets go of it

Warnings
  ! no CAP_NET_RAW:\u{fffd}[2J probes are off

Failing checks
  web: connection refused (1.0 s)

Passing checks
  gateway: answers (1.0 s)

Members
    NAME  ROLE  ADDRESS  HEARD  HEALTH  IN LINE
";
    assert_eq!(status(&troubled, Paint::PLAIN), expected);
}

#[test]
fn what_happens_next_is_said_for_every_role() {
    let line = |change: &dyn Fn(&mut Status)| {
        let mut changed = standby();
        change(&mut changed);
        outlook(&changed).text
    };
    let role = |role| move |status: &mut Status| status.role = role;
    assert_eq!(line(&role(RoleName::Holder)), "attic takes over if it fails");
    assert_eq!(line(&role(RoleName::Observer)), "this machine never takes over: it is an observer");
    assert_eq!(line(&|status| status.members[0].successor = Some(3)), "this machine is number 3 in line to take over");
    let lonely = |status: &mut Status| {
        status.role = RoleName::Holder;
        status.members.clear();
    };
    assert_eq!(line(&lonely), "nobody takes over if it fails: no standby is known");
    let unfit = |status: &mut Status| {
        status.health = 0;
        status.members[0].successor = None;
    };
    assert_eq!(line(&unfit), "this machine does not take over: its checks fail");
}

#[test]
fn an_event_is_one_line() {
    let happened = Event {
        id: 9,
        at_ms: 1_709_251_199_999,
        kind: "role".into(),
        text: "standby to holding: the holder fell silent".into(),
        term: 13,
        gap_ms: Some(187.52),
    };
    assert_eq!(
        event(&happened, Paint::PLAIN),
        "2024-02-29 23:59:59.999Z  role         standby to holding: the holder fell silent  #9 term 13"
    );
    assert!(event(&Event { text: "a\nb".into(), ..happened }, Paint::PLAIN).lines().count() == 1);
}
