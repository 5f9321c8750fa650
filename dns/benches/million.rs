//! What the journal of a zone of a million names costs: `cargo bench -p dns --bench million [-- leased]`.
//!
//! Opening it from its file and from its journal, with a short and a long log; the first update after each; updates while
//! a snapshot is written; memory. With `leased` every name was registered with a lease.

#![allow(clippy::expect_used, reason = "a measurement that cannot be made says why and ends")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dns::journal::{Item, State};
use dns::name::Name;
use dns::record::{Record, Rtype};
use dns::settings::{Access, Pattern, Rule, Settings, Source, ZoneSettings};
use dns::store::{Plan, Store};
use dns::update::{LeaseTimes, Operation, Update};
use dns::zone::Lease;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

const NAMES: u32 = 1_000_000;
/// Updates of the long log: about as many as there are before a snapshot takes their place.
const UPDATES: u32 = 100_000;
/// What a server is left in peace for after its start.
const AHEAD: Duration = Duration::from_secs(3);
/// Leases that one plan sets.
const AT_ONCE: u32 = 20_000;

fn main() {
    let is_leased = std::env::args().any(|argument| argument == "leased");
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("million-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    measure(&folder, is_leased);
    std::fs::remove_dir_all(&folder).expect("removed");
}

fn measure(folder: &Path, is_leased: bool) {
    let file = folder.join("zone");
    std::fs::write(&file, zone_text()).expect("a zone file");
    let settings = settings(&folder.join("state"), file);
    let runtime = Runtime::new().expect("a runtime");
    println!("without a zone: {}", memory());
    let store = open("from its file", &settings, &runtime);
    // The first journal is written ahead; who comes sooner waits for it.
    std::thread::sleep(AHEAD);
    updates(&store, &runtime, 0);
    if is_leased {
        let start = seconds();
        (0..NAMES).step_by(AT_ONCE as usize).for_each(|first| lease(&store, &runtime, first));
        println!("{NAMES} leases in {:.2} s, {}", seconds() - start, memory());
    }
    close(store);
    let store = open("from its journal", &settings, &runtime);
    updates(&store, &runtime, 10);
    let start = seconds();
    storm(&store, &runtime);
    println!("{UPDATES} updates, 50 open: {:.0} /s, {}", f64::from(UPDATES) / (seconds() - start), memory());
    close(store);
    let store = open("with a long log", &settings, &runtime);
    updates(&store, &runtime, 20);
    close(store);
    println!("peak {} MiB", field_kib("VmHWM:") / 1024);
}

fn open(how: &str, settings: &Settings, runtime: &Runtime) -> Arc<Store> {
    let start = seconds();
    let store = Store::open(settings, runtime.handle(), |_| {}).expect("opened");
    println!("open {how}: {:.2} s, {}", seconds() - start, memory());
    store
}

/// The first updates, one after the other.
fn updates(store: &Arc<Store>, runtime: &Runtime, from: u32) {
    let mut took = Vec::new();
    for number in from..from + 10 {
        let start = seconds();
        runtime.block_on(store.update(update(number), Some(name("k1")))).expect("done");
        took.push((seconds() - start) * 1e3);
    }
    let size = store.status()[0].journal.unwrap_or_default() >> 20;
    let rest = took[1..].iter().copied().fold(0.0, f64::max);
    println!("first update {:.1} ms, the next nine at most {rest:.1} ms; journal {size} MiB, {}", took[0], memory());
}

fn storm(store: &Arc<Store>, runtime: &Runtime) {
    let worst = runtime.block_on(async {
        let each = (0..50).map(|part| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut worst = 0.0_f64;
                for number in (part..UPDATES).step_by(50) {
                    let start = seconds();
                    store.update(update(number), Some(name("k1"))).await.expect("done");
                    worst = worst.max(seconds() - start);
                }
                worst
            })
        });
        let mut worst = 0.0_f64;
        for each in each.collect::<Vec<_>>() {
            worst = worst.max(each.await.expect("not cancelled"));
        }
        worst
    });
    println!("the slowest of {UPDATES} updates: {:.1} ms", worst * 1e3);
}

/// Gives names a lease, as registering them would.
fn lease(store: &Arc<Store>, runtime: &Runtime, first: u32) {
    let leases = (first..first + AT_ONCE).map(|number| Lease {
        name: owner(number),
        rtype: Rtype::A,
        rdata: number.to_be_bytes().into(),
        expires: Some(wall_secs() + 86_400 + u64::from(number % 3_600)),
    });
    let items = leases.map(Item::Lease).collect();
    let plan = move |_: &State| Ok((Plan::Change { edit: None, items }, ()));
    runtime.block_on(store.plan(name("example.test").as_ref(), plan)).expect("done");
}

fn close(store: Arc<Store>) {
    store.close();
    // What else holds it looks at it once a second.
    while Arc::strong_count(&store) > 1 {
        std::thread::yield_now();
    }
}

/// Replaces the address of one name; so registers it with a lease.
fn update(number: u32) -> Update {
    let owner = owner(number.wrapping_mul(7919) % NAMES);
    let record = Record { name: owner.clone(), rtype: Rtype::A, ttl: 300, rdata: (number + 1).to_be_bytes().into() };
    let operations = vec![Operation::DeleteSet(owner, Rtype::A), Operation::Add(record)];
    let lease = Some(LeaseTimes { lease: 86_400, key_lease: None });
    Update { zone: name("example.test"), prerequisites: Vec::new(), operations, lease }
}

fn zone_text() -> String {
    let mut text = String::from("$TTL 300\n@ SOA ns admin 1 7200 900 604800 300\n@ NS ns\nns A 192.0.2.1\n");
    for number in 0..NAMES {
        let [a, b, c, d] = number.to_be_bytes();
        text += &format!("host{number} A {a}.{b}.{c}.{d}\n");
    }
    text
}

fn settings(state: &Path, file: PathBuf) -> Settings {
    let apex = name("example.test");
    let rule = Rule { key: name("k1"), names: vec![Pattern::Below(apex.clone())], types: None };
    let zone = ZoneSettings {
        apex,
        source: Source::Primary { file: Some(file) },
        transfer: Access::default(),
        notify: Vec::new(),
        update: vec![rule],
        aliases: Vec::new(),
        dnssec: None,
    };
    Settings { state: state.to_owned(), zones: vec![zone], ..Settings::default() }
}

fn owner(number: u32) -> Name {
    name(&format!("host{number}.example.test"))
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn seconds() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn wall_secs() -> u64 {
    u64::try_from(clock_gettime(ClockId::Realtime).tv_sec).unwrap_or_default()
}

fn memory() -> String {
    format!("{} MiB", field_kib("VmRSS:") / 1024)
}

fn field_kib(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
