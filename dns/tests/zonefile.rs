//! Our master files in the eyes of others: BIND, ldns and Knot read what we write, and what they make of a file is what we
//! make of it. A tool that is not there is said on standard error; with `LAB=require` it fails the test instead.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests are tests")]

use std::io::Write;
use std::process::{Command, Stdio};

use dns::name::Name;
use dns::record::Record;
use dns::text::{Names, Source, no_include, read_zone, write_zone};
use dns::zone::Zone;

const HAND_WRITTEN: &str = r#"$TTL 1h
@           IN SOA  ns1 admin\.zones ( 2026112201 ; serial
                    2h 30m              ; refresh, retry
                    2w 5m )             ; expire, minimum
            IN NS   ns1
                    NS   ns2.example.net.
            MX 10 mail
$ORIGIN hosts.test.
ns1.test.   60 IN A 192.0.2.1
ns2      90 IN A 192.0.2.2
         AAAA 2001:db8::2
odd\032name TXT "a \"quoted\" word" plain \100ecimal "two
"#;

/// All types that the three tools of Debian's stable release know.
const EVERYTHING: &str = r#"
@ 300 SOA ns admin 7 1h 15m 1W 1d
@ 300 NS ns
ns 300 A 192.0.2.1
ns 300 AAAA 2001:DB8::0:1
cname 300 CNAME @
dname 300 DNAME other.example.
ptr 300 PTR a\.b
mx 300 MX 10 ns
txt 300 TXT plain "two words; \"quoted\" \\ \009" ""
spf 300 SPF "v=spf1 -all"
_sip._udp 300 SRV 0 5 5060 ns
hinfo 300 HINFO PDP-10 "ITS 1"
rp 300 RP admin txt
afsdb 300 AFSDB 1 ns
naptr 300 NAPTR 100 10 "S" "SIP+D2U" "!^.*$!sip:x@test!" _sip._udp
kx 300 KX 1 ns
cert 300 CERT 1 2 8 AQIDBA==
loc 300 LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
apl 300 APL 1:192.168.32.0/21 !1:192.168.38.0/28 2:FF00::/8
sub 300 NS ns.sub
ns.sub 300 A 192.0.2.9
sub 300 DS 60485 8 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A
sshfp 300 SSHFP 4 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
_25._tcp 300 TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
smimea 300 SMIMEA 3 0 0 00FF
openpgpkey 300 OPENPGPKEY AQMD
dhcid 300 DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
csync 300 CSYNC 66 3 A NS AAAA
nid 300 NID 10 0014:4fff:ff20:EE64
l32 300 L32 10 10.1.2.0
l64 300 L64 10 2001:0db8:1140:1000
lp 300 LP 10 l64
eui48 300 EUI48 00-00-5e-00-53-2a
eui64 300 EUI64 00-00-5e-ef-10-00-00-2a
uri 300 URI 10 1 "ftp://ftp1.test/public"
caa 300 CAA 0 issue "ca.test; policy=ev"
svcb 300 SVCB 16 ns alpn=h2,h3 port=8443
https 300 HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1
unknown 300 TYPE65400 \# 4 0A0b0c0d
*.wild 300 A 192.0.2.3
odd\032na\.me 300 A 192.0.2.4
"#;

fn zone(text: &str) -> Zone {
    let apex: Name = "test.".parse().expect("a name");
    read_zone(Source { file: "text".into(), text: text.as_bytes() }, &apex, &mut no_include)
        .unwrap_or_else(|faults| panic!("{faults}"))
}

fn written(zone: &Zone, names: Names<'_>) -> String {
    let mut out = Vec::new();
    write_zone(zone, names, &mut out).expect("memory does not fail");
    String::from_utf8(out).expect("ASCII")
}

fn sorted(zone: &Zone) -> Vec<Record> {
    let mut records: Vec<Record> = zone.records().collect();
    records.sort();
    records
}

/// Runs a tool on a zone's text, given as a file; its output, or nothing when it is not installed.
fn run(tool: &str, args: &[&str], text: &str) -> Option<String> {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("zonefile-{}-{number}", std::process::id()));
    std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
    let args = args.iter().map(|arg| arg.replace("FILE", &path.to_string_lossy()));
    let output = Command::new(tool).args(args).stdin(Stdio::null()).output();
    std::fs::remove_file(&path).expect("removed");
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var("LAB").as_deref() != Ok("require"), "{tool} cannot run: {error}");
            eprintln!("NOT TESTED: {tool} cannot run: {error}");
            return None;
        }
    };
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{tool} refuses:\n{err}{out}");
    Some(out.into_owned())
}

/// What the tool makes of our text, whichever way names are written, and of the original, is what we make of them.
fn agrees(tool: &str, args: &[&str], original: &str) {
    let mine = zone(original);
    let apex = mine.apex().clone();
    let full = format!("$ORIGIN test.\n{original}");
    for text in [written(&mine, Names::Absolute), written(&mine, Names::Relative(apex.as_ref())), full] {
        let Some(theirs) = run(tool, args, &text) else { return };
        assert_eq!(sorted(&zone(&theirs)), sorted(&mine), "{tool} reads otherwise:\n{text}");
    }
}

#[test]
fn bind_reads_the_same() {
    let args = ["-q", "-k", "ignore", "-i", "none", "-o", "-", "test.", "FILE"];
    for text in [hand_written().as_str(), EVERYTHING] {
        agrees("named-compilezone", &args, text);
    }
}

#[test]
fn ldns_reads_the_same() {
    for text in [hand_written().as_str(), EVERYTHING] {
        agrees("ldns-read-zone", &["FILE"], text);
    }
}

#[test]
fn knot_finds_no_fault() {
    for text in [hand_written().as_str(), EVERYTHING] {
        let mine = zone(text);
        for names in [Names::Absolute, Names::Relative(mine.apex().as_ref())] {
            run("kzonecheck", &["-v", "-o", "test.", "FILE"], &written(&mine, names));
        }
    }
}

fn hand_written() -> String {
    format!("{}\"\n", HAND_WRITTEN.trim_end())
}
