//! Stories are read, refused, aimed and judged as they say.

use super::*;

#[test]
fn every_builtin_story_is_one() {
    for (name, text) in BUILTIN {
        let story = Story::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(story.acts[0].to, Target::Holder, "{name} begins with the holder");
    }
}

#[test]
fn an_act_says_whom_it_is_about() {
    let story = Story::parse("[[act]]\ndo = 'blackhole'\nto = 'm2'\nwatch = '1.5s'\n").unwrap();
    let act = &story.acts[0];
    let second = Member::new(1).unwrap();
    assert_eq!((act.deed, act.to, act.watch), (Deed::Blackhole, Target::Member(second), Duration::from_millis(1500)));
}

#[test]
fn what_is_no_story_is_refused() {
    let long = format!("act = [{}]", "{ do = 'cut' },".repeat(MAX_ACTS + 1));
    let cases = [
        ("act = []", "at least one"),
        (long.as_str(), "at most 100 acts"),
        ("[[act]]\ndo = 'cut'\nwatch = '2m'", "at most 60s"),
        ("[[act]]\ndo = 'explode'", "explode"),
        ("[[act]]\ndo = 'cut'\nto = 'm99'", "m1, m2"),
        ("[[act]]\ndo = 'cut'\nwatch = '2'", "unit"),
        ("[[act]]\ndo = 'cut'\nwhen = '2s'", "when"),
    ];
    for (text, expected) in cases {
        let error = Story::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn targets_are_found_among_the_members_there_are() {
    let members: Vec<Member> = Member::first(2).collect();
    let [first, second] = [members[0], members[1]];
    assert_eq!(Target::Standby.resolve(Some(first), None, &members), Some(second));
    assert_eq!(Target::Standby.resolve(None, None, &members), Some(first));
    assert_eq!(Target::Last.resolve(Some(first), Some(second), &members), Some(second));
    assert_eq!(Target::Holder.resolve(None, Some(second), &members), None);
    assert_eq!(Target::Member(Member::new(5).unwrap()).resolve(None, None, &members), None);
}

#[test]
fn a_story_that_leaves_nobody_did_not_end_well() {
    let story = Story::parse("[[act]]\ndo = 'kill'").unwrap();
    let result = |holder_after, error| ActResult {
        act: story.acts[0].clone(),
        at_ms: 1500.0,
        member: Member::new(0),
        error,
        figures: Figures { gap_ms: 34.25, lost: 12, takeover_ms: Some(35.0), holder_after, ..Figures::default() },
    };
    let fine = result(Member::new(1), None);
    let text = table(std::slice::from_ref(&fine));
    let row: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row.join(" "), "1.50 s kill m1 0.0 ms 34.2 ms 12 35.0 ms 0 ms m2");
    assert!(ended_well(std::slice::from_ref(&fine)));
    assert!(!ended_well(&[fine.clone(), result(None, None)]));
    assert!(!ended_well(&[result(Member::new(1), Some("no".into())), fine]));
    assert!(!ended_well(&[]));
}
