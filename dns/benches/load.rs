//! How long a zone of a million names takes to read and to write, and what it needs: `cargo bench -p dns --bench load`.

use std::io::Write;

use dns::name::Name;
use dns::text::{Names, Source, no_include, read_zone, write_zone};
use rustix::time::{ClockId, clock_gettime};

const NAMES: usize = 1_000_000;

fn main() {
    let mut text = String::from("$TTL 300\n@ SOA ns admin 1 7200 900 604800 300\n@ NS ns\nns A 192.0.2.1\n");
    for i in 0..NAMES {
        text += &format!("host{i} A 10.{}.{}.{}\n", i >> 16, i >> 8 & 255, i & 255);
    }
    let apex: Name = match "example.test.".parse() {
        Ok(apex) => apex,
        Err(error) => return eprintln!("{error}"),
    };
    let before = resident_kib();
    let start = seconds();
    let zone = match read_zone(Source { file: "bench".into(), text: text.as_bytes() }, &apex, &mut no_include) {
        Ok(zone) => zone,
        Err(faults) => return eprintln!("{faults}"),
    };
    let read = seconds() - start;
    println!("read:  {} names in {read:.2} s, {} MiB", zone.name_count(), (resident_kib() - before) / 1024);
    let start = seconds();
    let mut sink = Count(0);
    match write_zone(&zone, Names::Relative(apex.as_ref()), &mut sink) {
        Ok(()) => println!("write: {} MiB of text in {:.2} s", sink.0 >> 20, seconds() - start),
        Err(error) => eprintln!("{error}"),
    }
    println!("peak:  {} MiB with the text", field_kib("VmHWM:") / 1024);
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0 += octets.len();
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn seconds() -> f64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

fn resident_kib() -> usize {
    field_kib("VmRSS:")
}

fn field_kib(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
