//! The house rules as tests: who may know whom, what pure code must not touch, how files look.
//!
//! The rules are tables at the top of each section; the checkers are plain text scans, and each is shown to bite on a
//! bad snippet.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

// --- Layers: words -> pure -> shell -> api -> cli/web -> wiring; nothing points back. ---

/// Each module of the root package and what it may use of the others. `main` and `daemon` are the wiring and may use all.
const LAYERS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("clock", &["units"]),
    ("random", &[]),
    ("wire", &["units"]),
    ("election", &["random", "units", "wire"]),
    ("config", &["units", "reach", "wire", "election"]),
    ("cloud", &["units", "causes", "clock", "command", "durable", "random", "reach", "config"]),
    ("causes", &[]),
    ("durable", &[]),
    ("reach", &[]),
    ("command", &[]),
    ("notify", &[]),
    ("api", &["units", "clock"]),
    ("lan", &["units", "causes", "clock", "command", "durable", "wire", "election", "config"]),
    ("cli", &["units", "clock", "config", "api", "demo"]),
    ("demo", &["units", "clock", "config", "api"]),
    ("lib", &[]),
];
const WIRING: &[&str] = &["main", "daemon"];

/// The same for the modules of `dns`: words, then what a zone is, then what changes it and answers from it; `server` wires.
const DNS_LAYERS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("name", &[]),
    ("record", &["name"]),
    ("rdata", &["name", "record"]),
    ("settings", &["name", "record"]),
    ("zone", &["name", "rdata", "record"]),
    ("wire", &["name", "rdata", "record"]),
    ("text", &["name", "rdata", "record", "zone"]),
    ("answer", &["guard", "name", "rdata", "record", "wire", "zone"]),
    ("guard", &["name", "settings", "wire"]),
    ("sign", &["name", "rdata", "record", "settings", "wire"]),
    ("update", &["name", "rdata", "record", "settings", "wire", "zone"]),
    ("dnssec", &["name", "rdata", "record", "settings", "zone"]),
    ("journal", &["clock", "name", "rdata", "record", "zone"]),
    ("transfer", &["name", "rdata", "record", "settings", "wire", "zone"]),
    ("client", &["clock", "name", "rdata", "record", "settings", "sign", "transfer", "update", "wire", "zone"]),
    ("upstream", &["settings"]),
    ("alias", &["clock", "name", "record", "settings", "upstream"]),
    ("forward", &["settings", "upstream", "wire"]),
    (
        "store",
        &[
            "alias", "answer", "clock", "dnssec", "journal", "name", "rdata", "record", "settings", "text", "update",
            "wire", "zone",
        ],
    ),
    ("lib", &[]),
];
const DNS_WIRING: &[&str] = &["server"];

/// The same for the modules of `fabric`: words, what is said, who says it, how it gets there, who is known, who is started.
const FABRIC_LAYERS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("clock", &["units"]),
    ("durable", &[]),
    ("random", &[]),
    ("wire", &["units"]),
    ("identity", &["clock", "durable", "random", "units", "wire"]),
    ("transport", &["clock", "identity", "random", "units", "wire"]),
    ("registry", &["clock", "identity", "random", "transport", "units", "wire"]),
    ("connect", &["clock", "identity", "random", "transport", "units", "wire"]),
    ("bootstrap", &["clock", "connect", "identity", "random", "registry", "transport", "units", "wire"]),
    ("services", &["bootstrap", "clock", "connect", "identity", "random", "registry", "transport", "units", "wire"]),
    ("lib", &[]),
];

/// Where the modules of a crate lie, what they may know, and which may know everything.
type Layers = (&'static str, &'static [(&'static str, &'static [&'static str])], &'static [&'static str]);
const CRATES: &[Layers] =
    &[("src", LAYERS, WIRING), ("dns/src", DNS_LAYERS, DNS_WIRING), ("fabric/src", FABRIC_LAYERS, &[])];

/// The crates below the root package, none of which knows another or the root.
const APART: &[&str] = &["dns", "fabric", "netconfig"];

#[test]
fn modules_only_use_the_layers_below() {
    let mut wrong = Vec::new();
    for (folder, layers, wiring) in CRATES {
        for file in rust_files(&[folder]) {
            let module = module_of(folder, &file.name);
            if wiring.contains(&module) {
                continue;
            }
            match layers.iter().find(|(name, _)| *name == module) {
                None => wrong.push(format!("{}: the module `{module}` is not in the table of layers", file.name)),
                Some((_, may)) => wrong.extend(
                    crate_uses(&code_of(&file.text))
                        .into_iter()
                        .filter(|used| used != module && !may.contains(&used.as_str()))
                        .map(|used| format!("{}: `{module}` must not know `{used}`", file.name)),
                ),
            }
        }
    }
    for one in APART {
        for file in rust_files(&[&format!("{one}/src")]) {
            let code = code_of(&file.text);
            let others = APART.iter().filter(|other| *other != one).chain(&["gatehouse"]);
            wrong.extend(
                others
                    .filter(|other| crate_named(&code, other))
                    .map(|other| format!("{}: {one} must not know {other}", file.name)),
            );
        }
    }
    none(&wrong);
}

/// The top-level module of the crate in `folder` that a file belongs to.
fn module_of<'a>(folder: &str, name: &'a str) -> &'a str {
    let inner = name.strip_prefix(folder).unwrap_or(name).trim_start_matches('/');
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

/// Whether some code uses the crate `name`; modules of that name follow a `::`.
fn crate_named(code: &str, name: &str) -> bool {
    let uses =
        |at: usize| !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':');
    code.match_indices(&format!("{name}::")).any(|(at, _)| uses(at))
}

/// Every `x` of `crate::x` and `crate::{x, y::z}` in some code.
fn crate_uses(code: &str) -> Vec<String> {
    let mut uses = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => uses.extend(heads(group)),
            None => uses.extend(word(rest)),
        }
    }
    uses.sort();
    uses.dedup();
    uses
}

/// The first words of the items of a use group, whose opening brace is already gone.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut item, mut heads) = (1, String::new(), Vec::new());
    for letter in group.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (depth == 1 && letter == ',') {
            heads.extend(word(item.trim()));
            item.clear();
        } else {
            item.push(letter);
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

/// The identifier that a text starts with.
fn word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
    (!word.is_empty()).then_some(word)
}

#[test]
fn the_layer_check_bites() {
    let code = code_of("use crate::{lan, wire::{self, Datagram}, units};\n// crate::web\nlet x = crate::api::Door;");
    assert_eq!(crate_uses(&code), ["api", "lan", "units", "wire"]);
    assert_eq!(module_of("src", "src/wire/mod.rs"), "wire");
    assert_eq!(module_of("dns/src", "dns/src/zone/edit.rs"), "zone");
}

// --- Purity: decisions own no socket, clock, thread, file or random source. ---

/// Folders and files that only compute; a name without `.rs` stands for the folder and the file of that name.
const PURE: &[&str] = &[
    "src/units.rs",
    "src/wire",
    "src/election",
    "src/config/duration",
    "src/config/settings",
    "src/config/checking",
    "src/config/checks",
    "src/config/lan",
    "src/config/dns",
    "src/cloud/dyndns2/limit",
    "src/cloud/dyndns2/protocol",
    "src/cloud/register",
    "src/reach",
    "src/lan/health/dns",
    "src/lan/health/verdict",
    "dns/src/answer",
    "dns/src/dnssec",
    "dns/src/guard",
    "dns/src/name",
    "dns/src/rdata",
    "dns/src/record",
    "dns/src/settings",
    "dns/src/sign",
    "dns/src/text",
    "dns/src/transfer",
    "dns/src/update",
    "dns/src/wire",
    "dns/src/zone",
    "fabric/src/identity/capability",
    "fabric/src/identity/certificate",
    "fabric/src/identity/chain",
    "fabric/src/identity/key",
    "fabric/src/identity/mint",
    "fabric/src/identity/name",
    "fabric/src/identity/node",
    "fabric/src/identity/password",
    "fabric/src/identity/pem",
    "fabric/src/identity/renewal",
    "fabric/src/identity/request",
    "fabric/src/identity/revocation",
    "fabric/src/identity/sealed",
    "fabric/src/identity/trust",
    "fabric/src/identity/verify",
    "fabric/src/random",
    "fabric/src/transport/filter",
    "fabric/src/transport/table",
    "fabric/src/units",
    "fabric/src/wire",
    "netconfig/src/plan",
    "netconfig/src/frame",
    "src/demo/deed",
    "src/demo/measure",
    "src/demo/member",
    "src/demo/story",
    "src/demo/timeline",
];

/// What the hands of a machine look like, and maps whose order differs from run to run.
const IMPURE: &[&str] = &[
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "socket2",
    "rustix",
    "libc::",
    "tokio",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "Instant::now",
    "rand::",
    "crate::clock",
    "clock::",
    "HashMap",
    "HashSet",
    "println!",
    "tracing::",
];

#[test]
fn pure_modules_are_pure() {
    let files = rust_files(&["src", "dns/src", "fabric/src", "netconfig/src"]);
    let mut wrong = Vec::new();
    for file in files.iter().filter(|file| PURE.iter().any(|pure| belongs(&file.name, pure))) {
        wrong.extend(impurities(&file.text).into_iter().map(|what| format!("{}: pure, but has `{what}`", file.name)));
    }
    none(&wrong);
}

/// Whether a file is the named one or lies in the named folder.
fn belongs(name: &str, place: &str) -> bool {
    name.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}

fn impurities(text: &str) -> Vec<&'static str> {
    let code = code_of(text);
    IMPURE.iter().copied().filter(|what| code.contains(what)).collect()
}

#[test]
fn the_purity_check_bites() {
    assert_eq!(
        impurities("use std::net::UdpSocket;\nlet now = crate::clock::now();"),
        ["UdpSocket", "crate::clock", "clock::"]
    );
    assert_eq!(impurities("/// A `HashMap` would not do.\nuse std::collections::BTreeMap;"), [""; 0]);
    assert!(belongs("src/wire/mod.rs", "src/wire") && belongs("src/demo/story.rs", "src/demo/story"));
    assert!(!belongs("src/wired/mod.rs", "src/wire"));
}

// --- Files: one job each, said at the top, small enough to read. ---

/// No file is longer, unless it is listed with a reason.
const MAX_LINES: usize = 600;
const LONG: &[(&str, &str)] = &[];

/// The only files that may allow `unsafe`, which the workspace's lints deny; clippy asks for a SAFETY comment at each use.
const UNSAFE: &[&str] = &[
    "dns/src/server/batch.rs",
    "netconfig/src/packet.rs",
    "netconfig/src/ready.rs",
    "src/demo/packet.rs",
    "src/lan/realtime.rs",
    "src/lan/timer.rs",
    "tests/lab/rtnl.rs",
];

#[test]
fn files_are_small_say_their_job_and_are_safe() {
    let mut wrong = Vec::new();
    for file in rust_files(&["src", "dns", "fabric", "netconfig", "tests", "benches"]) {
        let listed = LONG.iter().any(|(name, _)| *name == file.name);
        wrong.extend(
            faults(&file.text, listed, UNSAFE.contains(&file.name.as_str()))
                .into_iter()
                .map(|fault| format!("{}: {fault}", file.name)),
        );
    }
    for name in LONG.iter().map(|(name, _)| name).chain(UNSAFE) {
        if !root().join(name).exists() {
            wrong.push(format!("{name}: listed as an exception, but gone"));
        }
    }
    none(&wrong);
}

fn faults(text: &str, may_be_long: bool, may_be_unsafe: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES && !may_be_long {
        faults.push(format!("{lines} lines; split it by concern before {MAX_LINES}"));
    }
    if !text.starts_with("//!") {
        faults.push("does not start with its job (`//!`)".into());
    }
    if !may_be_unsafe && code_of(text).contains(concat!("allow(", "unsafe_code")) {
        faults.push("`unsafe` outside the list of files that may".into());
    }
    faults
}

#[test]
fn the_file_check_bites() {
    assert_eq!(faults(&"//! x\n".repeat(MAX_LINES + 1), false, false).len(), 1);
    assert_eq!(faults("fn main() {}", false, false).len(), 1);
    let allowing = concat!("//! x\n#![allow(", "unsafe_code)]");
    assert_eq!((faults(allowing, false, false).len(), faults(allowing, false, true).len()), (1, 0));
}

// --- Words: what must not be left lying about, in any text of the project. ---

/// Endings of text files.
const TEXTS: &[&str] = &["rs", "md", "toml", "sh", "mk", "service", "yml", "yaml"];

/// Written in two halves, so that this file does not find itself.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("TO", "DO"), "do it, or file it"),
    (concat!("FIX", "ME"), "mend it, or file it"),
    (concat!("XX", "X"), "say what is meant"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/tmp/", "wt"), "a path of one machine"),
];

#[test]
fn nothing_is_left_lying_about() {
    let mut wrong = Vec::new();
    for file in files(&["."], TEXTS) {
        wrong.extend(leftovers(&file.text).into_iter().map(|fault| format!("{}:{fault}", file.name)));
    }
    none(&wrong);
}

fn leftovers(text: &str) -> Vec<String> {
    let lines = text.lines().enumerate();
    let found = lines.flat_map(|(index, line)| {
        let words = FORBIDDEN.iter().filter(move |(word, _)| line.contains(word));
        words.map(move |(word, advice)| format!("{}: `{word}`: {advice}", index + 1))
    });
    found.collect()
}

#[test]
fn the_word_check_bites() {
    let text = concat!("fine\n// TO", "DO: later\nopen(\"/ro", "ot/x\")\n");
    assert_eq!(leftovers(text).len(), 2);
}

// --- The map is the land. ---

#[test]
fn the_map_names_every_folder() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let mut folders: Vec<String> = ["dns/", "netconfig/", "tests/"].map(String::from).to_vec();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            folders.push(format!("{}/", entry.file_name().to_str().unwrap()));
        }
    }
    none(&unnamed(&map, &folders));
}

fn unnamed(map: &str, folders: &[String]) -> Vec<String> {
    let absent = folders.iter().filter(|folder| !map.contains(&format!("`{folder}`")));
    absent.map(|folder| format!("ARCHITECTURE.md says nothing of `{folder}`")).collect()
}

#[test]
fn the_map_check_bites() {
    assert_eq!(unnamed("`wire/` is pure", &["wire/".into(), "lan/".into()]).len(), 1);
}

/// What a reader copies from the README works.
#[test]
fn the_readme_has_a_right_configuration() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let parsed = gatehouse::config::check_text(block, "README.md");
        assert!(parsed.is_ok(), "{}", parsed.unwrap_err().picture(false));
    }
}

/// A file's path below the root and its text.
struct File {
    name: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below some folders, in order; there is at least one.
fn rust_files(folders: &[&str]) -> Vec<File> {
    files(folders, &["rs"])
}

fn files(folders: &[&str], endings: &[&str]) -> Vec<File> {
    let mut found = BTreeMap::new();
    for folder in folders {
        walk(&root().join(folder), endings, &mut found);
    }
    assert!(!found.is_empty(), "no file in {folders:?}");
    found.into_iter().map(|(name, text)| File { name, text }).collect()
}

fn walk(folder: &Path, endings: &[&str], found: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden && !path.ends_with("target") {
            walk(&path, endings, found);
        } else if path.extension().is_some_and(|ending| endings.iter().any(|known| ending == *known)) {
            let name = path.strip_prefix(root()).unwrap_or(&path).to_string_lossy().trim_start_matches("./").to_owned();
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// A Rust file without its comments.
fn code_of(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
