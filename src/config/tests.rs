//! The corners that the cases do not show: surroundings and files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::file::sections;
use super::*;

/// Keys of the example whose line shows what could be, not what is without it.
const NOT_DEFAULTS: [&str; 5] = ["group-v6", "prefer-delay", "key", "file", "address"];

#[test]
fn the_example_is_right_and_its_defaults_are_the_defaults() {
    let settings = parse_within(EXAMPLE, "/etc/gatehouse.toml", &machine()).unwrap();
    assert_eq!(settings.checks.len(), 5);
    for (number, line) in EXAMPLE.lines().enumerate() {
        let Some((key, _)) = line.strip_prefix('#').and_then(|line| line.split_once(" = ")) else { continue };
        if key.starts_with(' ') || NOT_DEFAULTS.contains(&key) {
            continue;
        }
        let with_line: Vec<&str> =
            EXAMPLE.lines().enumerate().map(|(at, other)| if at == number { &other[1..] } else { other }).collect();
        let changed = parse_within(&with_line.join("\n"), "/etc/gatehouse.toml", &machine());
        assert_eq!(changed.map_err(|error| error.to_string()).as_ref(), Ok(&settings), "line {}: {line}", number + 1);
    }
}

#[test]
fn the_dns_example_is_right_and_its_defaults_are_the_defaults() {
    let parse = |text: &str| parse_dns_within(text, "/etc/gatehouse.toml", &machine());
    let settings = parse(EXAMPLE_DNS).unwrap();
    assert_eq!((settings.dns.server.zones.len(), settings.dns.server.keys.len()), (2, 2));
    for (number, line) in EXAMPLE_DNS.lines().enumerate() {
        let Some((key, _)) = line.strip_prefix('#').and_then(|line| line.split_once(" = ")) else { continue };
        if key.starts_with(' ')
            || ["member", "interface", "public", "resolvers", "authorities", "identity"].contains(&key)
        {
            continue;
        }
        let lines: Vec<&str> =
            EXAMPLE_DNS.lines().enumerate().map(|(at, other)| if at == number { &other[1..] } else { other }).collect();
        let changed = parse(&lines.join("\n")).map_err(|error| error.to_string());
        assert_eq!(changed.as_ref(), Ok(&settings), "line {}: {line}", number + 1);
    }
}

#[test]
fn a_member_serves_dns_too() {
    let settings = parse_within(&format!("{EXAMPLE}{EXAMPLE_DNS}"), "/etc/gatehouse.toml", &machine()).unwrap();
    let register = settings.dns.unwrap().register.unwrap();
    assert_eq!(register.member.unwrap().to_string(), "a.cloud.example.com.");
    let without = parse_within(EXAMPLE_DNS, "/etc/gatehouse.toml", &machine()).unwrap_err();
    assert!(without.to_string().contains("`[lan]` is missing"), "{without}");
}

#[test]
fn the_examples_show_every_key() {
    let mut shown = BTreeSet::new();
    let mut section = "";
    for line in EXAMPLE.lines().chain(EXAMPLE_DNS.lines()) {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            section = line.split(']').next().unwrap().trim_start_matches('[');
            let parent = section.rsplit_once('.').unwrap_or(("", section));
            shown.insert(parent);
        } else if let Some((key, value)) = line.split_once(" = ") {
            shown.insert((section, key));
            let inner = sections().into_iter().find(|inner| inner.path == format!("{section}.{key}"));
            let keys = inner.into_iter().flat_map(|inner| inner.keys.iter().map(move |key| (inner.path, *key)));
            shown.extend(keys.filter(|(_, key)| value.contains(&format!("{key} = "))));
        }
    }
    for section in sections() {
        assert!(!section.keys.is_empty(), "{}", section.title);
        for key in section.keys {
            assert!(shown.contains(&(section.path, *key)), "no example shows `{key}` of {}", section.title);
        }
    }
}

#[test]
fn no_text_makes_it_panic() {
    let mut refused = 0;
    for cut in (0..EXAMPLE.len()).step_by(13).filter(|cut| EXAMPLE.is_char_boundary(*cut)) {
        let (head, tail) = EXAMPLE.split_at(cut);
        for text in [head.to_owned(), tail.to_owned(), format!("{head}\"\u{1f6aa}{tail}"), format!("{head}[{tail}")] {
            if let Err(error) = parse_within(&text, "x", &machine()) {
                refused += 1;
                assert!(!error.to_string().is_empty() && !error.picture(true).is_empty());
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn secrets_are_not_shown() {
    for wrong in [
        "[lan]\nkey = { passphrase = \"hunter2\" }",
        "[lan]\nkey = \"hunter2-hunter2\"",
        "[lan]\nkey.passphrase = \"hunter2-hunter2\nrole = 5",
        "[lan.key]\npassphrase='hunter2-hunter2'\nsalt = 1",
    ] {
        let error = parse_within(wrong, "x", &machine()).unwrap_err();
        assert!(!error.picture(false).contains("hunter2"), "{}", error.picture(false));
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn defaults_for_other_users_are_in_their_home() {
    let user = Surroundings { root: false, ..machine() };
    let settings = parse_within(EXAMPLE, "gatehouse.toml", &user).unwrap();
    assert_eq!(settings.state, Path::new("/home/user/.local/state/gatehouse"));
    assert_eq!(settings.control, Path::new("/home/user/.local/state/gatehouse/control.sock"));
}

#[test]
fn a_file_that_is_no_text_or_not_there() {
    let folder = std::env::temp_dir().join(format!("gatehouse-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    assert!(matches!(load(&folder.join("none")), Err(ConfigError::Unreadable { .. })));
    std::fs::write(folder.join("binary"), [0xff, 0xfe]).unwrap();
    assert!(matches!(load(&folder.join("binary")), Err(ConfigError::Unreadable { .. })));
    std::fs::write(folder.join("good"), EXAMPLE).unwrap();
    assert!(load(&folder.join("good")).is_ok());
    std::fs::remove_dir_all(&folder).unwrap();
}

fn machine() -> Surroundings {
    Surroundings {
        hostname: "a".to_owned(),
        root: true,
        state_home: PathBuf::from("/home/user/.local/state"),
        inspect_key: |_| Ok(()),
        read: |_| Ok("c2VjcmV0IHRoYXQgbm9ib2R5IG11c3Qga25vdyE=".to_owned()),
    }
}
