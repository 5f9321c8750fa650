//! `config/*.toml`: the settings it means, or what is wrong with it in lines and in pictures.

use std::path::PathBuf;

use gatehouse::config::{KeyFault, Surroundings, parse_dns_within, parse_within};

use super::{case_file, golden};

#[test]
fn configurations() {
    let surroundings = Surroundings {
        hostname: "box".to_owned(),
        root: true,
        state_home: PathBuf::from("/home/user/.local/state"),
        inspect_key: |path| match path.file_name().and_then(|name| name.to_str()) {
            Some("open.key") => Err(KeyFault::Open),
            Some("none.key") => Err(KeyFault::Unreadable(std::io::ErrorKind::NotFound.into())),
            Some("short.key") => Err(KeyFault::TooShort),
            _ => Ok(()),
        },
        read: |path| match path.file_name().and_then(|name| name.to_str()) {
            Some("bind.key") => {
                Ok("key \"k1\" {\n\talgorithm hmac-sha256;\n\tsecret \"MDEyMzQ1Njc4OWFiY2RlZg==\";\n};\n".to_owned())
            }
            Some("damaged.key") => Ok("key \"k1\" {\n\talgorithm hmac-sha256;\n\tsecret !\n".to_owned()),
            Some("public.key") => {
                Ok("host.test. IN KEY 512 3 15 sVPeMbVBbzirbgoHrpDJ4TStV9i47EGwLhl6DQTZO9o=\n".to_owned())
            }
            Some("bare.key") => Ok("MDEyMzQ1Njc4OWFiY2RlZg==\n".to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        },
    };
    let entries = std::fs::read_dir(case_file("config")).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    inputs.sort();
    assert!(!inputs.is_empty());
    for path in inputs {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let file = format!("/etc/{name}.toml");
        // A file of DNS alone says so in its name.
        let parsed = if name.contains("dns-") {
            parse_dns_within(&text, &file, &surroundings).map(|settings| format!("{settings:#?}\n"))
        } else {
            parse_within(&text, &file, &surroundings).map(|settings| format!("{settings:#?}\n"))
        };
        assert_eq!(parsed.is_ok(), name.starts_with("good-"), "{name}: {parsed:#?}");
        let outcome = parsed.unwrap_or_else(|error| format!("{error}\n\n{}", error.picture(false)));
        golden(&format!("config/{name}.expected"), &outcome);
    }
}
