//! Master files: what they say, what is wrong with them, and that they read back as the same zone.

use super::*;
use crate::rdata::{check, names};
use crate::record::Record;
use crate::zone::{Serial, Zone};

/// Data of every type that has a text form: what is read, and what is written where it differs. The origin is `test.`
const DATA: &[(&str, &str, &str)] = &[
    ("A", "192.0.2.1", ""),
    ("AAAA", "2001:DB8::0:1", "2001:db8::1"),
    ("NS", "ns1", "ns1.test."),
    ("CNAME", "@", "test."),
    ("DNAME", "other.example.", ""),
    ("PTR", r"a\.b.test.", ""),
    ("SOA", "ns admin 7 1h 15m 1W 1d", "ns.test. admin.test. 7 3600 900 604800 86400"),
    ("MX", "10 mail", "10 mail.test."),
    ("TXT", r#"plain "two words; \"quoted\" \\ \009""#, r#""plain" "two words; \"quoted\" \\ \009""#),
    ("SPF", r#""v=spf1 -all""#, ""),
    ("SRV", "0 5 5060 sip", "0 5 5060 sip.test."),
    ("HINFO", r#"PDP-10 "ITS 1""#, r#""PDP-10" "ITS 1""#),
    ("RP", "admin.test. txt.test.", ""),
    ("AFSDB", "1 afs.test.", ""),
    (
        "NAPTR",
        r#"100 10 "S" "SIP+D2U" "!^.*$!sip:x@test!" _sip._udp"#,
        r#"100 10 "S" "SIP+D2U" "!^.*$!sip:x@test!" _sip._udp.test."#,
    ),
    ("KX", "1 kx.test.", ""),
    ("CERT", "PKIX 2 RSASHA256 AQID BA==", "1 2 8 AQIDBA=="),
    (
        "LOC",
        "52 22 23.000 N 4 53 32 E -2.00m 0.00m 10000m 10m",
        "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m",
    ),
    ("LOC", "42 N 71 6 W 24", "42 0 0.000 N 71 6 0.000 W 24.00m 1.00m 10000.00m 10.00m"),
    ("APL", "1:192.168.32.0/21 !1:192.168.38.0/28 2:FF00::/8", "1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8"),
    ("DS", "60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118", ""),
    ("CDS", "0 0 0 00", ""),
    ("SSHFP", "4 2 0123abcd 4567", "4 2 0123ABCD4567"),
    ("RRSIG", "A 5 3 86400 20030322173103 20030220173103 2642 test. oJB1W6WNGv+ldvQ3WDG0MQkg5IEhjRip8WTr", ""),
    ("NSEC", "host A MX RRSIG NSEC TYPE1234", "host.test. A MX RRSIG NSEC TYPE1234"),
    ("DNSKEY", "256 3 ECDSAP256SHA256 AQPSKmynfz/5yw==", "256 3 13 AQPSKmynfz/5yw=="),
    ("CDNSKEY", "0 3 0 AA==", ""),
    ("DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=", ""),
    (
        "NSEC3",
        "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS",
        "1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR NS MX DNSKEY",
    ),
    ("NSEC3", "1 0 0 - 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR", ""),
    ("NSEC3PARAM", "1 0 0 -", ""),
    ("TLSA", "3 1 1 d2abde240d7cd3ee6b4b28c54df034b9", "3 1 1 D2ABDE240D7CD3EE6B4B28C54DF034B9"),
    ("SMIMEA", "3 0 0 00FF", ""),
    ("OPENPGPKEY", "AQMD", ""),
    ("CSYNC", "66 3 A NS AAAA", ""),
    ("ZONEMD", "2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE", ""),
    ("SVCB", "16 foo.test. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"", ""),
    ("SVCB", r#"1 . key667="hello\210qoo""#, ""),
    ("HTTPS", "0 pool.test.", ""),
    (
        "HTTPS",
        "1 . ipv6hint=2001:db8::1 mandatory=port,alpn alpn=h2,h3 no-default-alpn port=8443 ipv4hint=192.0.2.1,192.0.2.2 ech=AEX+DQ==",
        r#"1 . mandatory=alpn,port alpn="h2,h3" no-default-alpn port=8443 ipv4hint=192.0.2.1,192.0.2.2 ech=AEX+DQ== ipv6hint=2001:db8::1"#,
    ),
    ("NID", "10 14:4fff:ff20:EE64", "10 0014:4fff:ff20:ee64"),
    ("L32", "10 10.1.2.0", ""),
    ("L64", "10 2001:db8:1140:1000", "10 2001:0db8:1140:1000"),
    ("LP", "10 l64.test.", ""),
    ("EUI48", "00-00-5e-00-53-2a", ""),
    ("EUI64", "00-00-5E-EF-10-00-00-2A", "00-00-5e-ef-10-00-00-2a"),
    ("URI", r#"10 1 "ftp://ftp1.test/public""#, ""),
    ("CAA", r#"0 issue "ca.test; policy=ev""#, ""),
    ("CAA", r#"128 tbs """#, ""),
    ("DSYNC", "CDS 1 5359 notify.test.", ""),
    ("TYPE65400", r"\# 4 0A0b 0c0d", r"\# 4 0A0B0C0D"),
    ("TYPE65400", r"\# 0", ""),
    ("A", r"\# 4 c0000201", "192.0.2.1"),
    // Right lengths, but a value that has no text: the form that always works.
    ("HTTPS", r"\# 11 0001 00 0003 0004 01BB01BB", r"\# 11 000100000300 0401BB01BB"),
];

fn origin() -> Name {
    "test.".parse().expect("a name")
}

fn zone_of(text: &str) -> Result<Zone, Faults> {
    read_zone(Source { file: "z".into(), text: text.as_bytes() }, &origin(), &mut no_include)
}

fn sorted(zone: &Zone) -> Vec<Record> {
    let mut records: Vec<Record> = zone.records().collect();
    records.sort();
    records
}

fn written(zone: &Zone, names: Names<'_>) -> String {
    let mut out = Vec::new();
    write_zone(zone, names, &mut out).expect("memory does not fail");
    String::from_utf8(out).expect("ASCII")
}

/// A zone with all of [`DATA`], each type at its own name.
fn everything() -> Zone {
    let mut text = String::from("$TTL 300\n@ SOA ns admin 1 2 3 4 5\n@ NS ns\n");
    for (index, (rtype, data, _)) in DATA.iter().enumerate() {
        match *rtype {
            "SOA" => {}
            "NSEC3" => text += &format!("2t7b4g4vsa5smi47k61mv5bv1a22bo{index} {rtype} {data}\n"),
            _ => text += &format!("n{index} {rtype} {data}\n"),
        }
    }
    zone_of(&text).unwrap_or_else(|faults| panic!("{faults}"))
}

#[test]
fn data_of_every_type_is_read_and_written() {
    for (rtype, text, canonical) in DATA {
        let (rtype, origin) = (rtype.parse::<Rtype>().expect("a type"), origin());
        let rdata = read_rdata(rtype, text, origin.as_ref()).unwrap_or_else(|why| panic!("{rtype} {text}: {why}"));
        assert_eq!(check(rtype, &rdata), Ok(()), "{rtype} {text}");
        let shown = show_rdata(rtype, &rdata, Names::Absolute);
        let expected = if canonical.is_empty() { text } else { canonical };
        assert_eq!(shown.replace(' ', ""), expected.replace(' ', ""), "{rtype}");
        assert_eq!(read_rdata(rtype, &shown, origin.as_ref()).ok().as_deref(), Some(&*rdata), "{rtype} {shown}");
        let relative = show_rdata(rtype, &rdata, Names::Relative(origin.as_ref()));
        assert_eq!(read_rdata(rtype, &relative, origin.as_ref()).ok().as_deref(), Some(&*rdata), "{rtype} {relative}");
    }
}

/// The table of texts and the table of lengths agree about where names are, in the types whose names count without case.
#[test]
fn names_in_data_are_where_the_other_table_has_them() {
    for (rtype, text, _) in DATA.iter().filter(|(rtype, ..)| !["LP", "DSYNC"].contains(rtype)) {
        let rtype = rtype.parse::<Rtype>().expect("a type");
        let rdata = read_rdata(rtype, text, origin().as_ref()).expect("right data");
        let mine = show_rdata(rtype, &rdata, Names::Absolute).split(' ').filter(|word| word.ends_with("test.")).count();
        let theirs = names(rtype, &rdata).filter(|name| name.to_string().ends_with("test.")).count();
        assert_eq!(mine, theirs, "{rtype} {text}");
    }
}

#[test]
fn whatever_may_be_stored_is_read_as_it_was_written() {
    let mut seed = 7u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let right: Vec<(Rtype, Vec<u8>)> = DATA
        .iter()
        .map(|(rtype, text, _)| rtype.parse().map(|rtype: Rtype| (rtype, text)).expect("a type"))
        .map(|(rtype, text)| (rtype, read_rdata(rtype, text, origin().as_ref()).expect("right data").into_vec()))
        .collect();
    let (mut storable, mut plain) = (0, 0);
    for _ in 0..40_000 {
        let (rtype, mut rdata) = right[random(right.len())].clone();
        for _ in 0..=random(3) {
            match (random(4), rdata.len()) {
                (0, _) => rdata.insert(random(rdata.len() + 1), random(256) as u8),
                (1, 1..) => drop(rdata.remove(random(rdata.len()))),
                (_, 1..) => {
                    let at = random(rdata.len());
                    rdata[at] = if random(2) == 0 { random(256) as u8 } else { rdata[at] ^ (1 << random(8)) };
                }
                _ => {}
            }
        }
        if check(rtype, &rdata).is_ok() {
            let shown = show_rdata(rtype, &rdata, Names::Relative(origin().as_ref()));
            let back =
                read_rdata(rtype, &shown, origin().as_ref()).unwrap_or_else(|why| panic!("{rtype} {shown}: {why}"));
            assert_eq!(*back, *rdata, "{rtype} {shown}");
            storable += 1;
            plain += usize::from(!shown.starts_with("\\#"));
        }
    }
    assert!(storable > 10_000 && plain > 8_000, "too few cases to mean anything: {storable}, {plain}");
}

#[test]
fn a_zone_is_read_as_it_was_written() {
    let zone = everything();
    for names in [Names::Absolute, Names::Relative(origin().as_ref())] {
        let text = written(&zone, names);
        let back = zone_of(&text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        assert_eq!(sorted(&back), sorted(&zone));
        assert_eq!(written(&back, names), text);
    }
}

#[test]
fn a_written_zone_is_in_order_and_in_columns() {
    let zone = zone_of(
        "@ 5 IN SOA ns admin 1 2 3 4 5\n@ 10 A 10.0.0.1\nb 3600 TXT x\na.a 1 A 10.0.0.2\na 1 A 10.0.0.3\n* 1 NS ns.x.",
    );
    let zone = zone.unwrap_or_else(|faults| panic!("{faults}"));
    let expected = "\
$ORIGIN test.
@        5 IN SOA    ns admin 1 2 3 4 5
@       10 IN A      10.0.0.1
*        1 IN NS     ns.x.
a        1 IN A      10.0.0.3
a.a      1 IN A      10.0.0.2
b     3600 IN TXT    \"x\"
";
    assert_eq!(written(&zone, Names::Relative(origin().as_ref())), expected);
}

#[test]
fn entries_take_over_what_they_leave_out() {
    let zone = zone_of(
        "\u{feff}$ORIGIN example.\n$ORIGIN test.\r\n\
         @ IN 1h SOA ns.test. admin.test. ( 1 ; serial\n  2 3 4 5 )\n\
         \tNS ns ; the owner and the TTL of the SOA\n\
         $TTL 1m\nns A 10.0.0.1\n 30 IN A 10.0.0.2\nmail IN 7 A 10.0.0.3\nmail2 CLASS1 TYPE1 \\# 4 0a000004\n\
         sub.test. A 10.0.0.5\n$ORIGIN sub\nwww A 10.0.0.6\n$GENERATE 1-3/2 h${0,2,d} 9 IN A 10.1.0.$\n",
    );
    let zone = zone.unwrap_or_else(|faults| panic!("{faults}"));
    let seen: Vec<String> = written(&zone, Names::Absolute)
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        seen,
        [
            "test. 3600 IN SOA ns.test. admin.test. 1 2 3 4 5",
            "test. 3600 IN NS ns.test.",
            "mail.test. 7 IN A 10.0.0.3",
            "mail2.test. 60 IN A 10.0.0.4",
            "ns.test. 30 IN A 10.0.0.1",
            "ns.test. 30 IN A 10.0.0.2",
            "sub.test. 60 IN A 10.0.0.5",
            "h01.sub.test. 9 IN A 10.1.0.1",
            "h03.sub.test. 9 IN A 10.1.0.3",
            "www.sub.test. 60 IN A 10.0.0.6",
        ]
    );
    let by_minimum = zone_of("@ SOA ns admin 1 2 3 4 77\n@ NS ns").unwrap_or_else(|faults| panic!("{faults}"));
    assert!(by_minimum.records().all(|record| record.ttl == 77));
}

#[test]
fn files_are_included() {
    let read = |text: &str| {
        let mut include = |file: &str| match file {
            "a b" => Ok(b"x A 10.0.0.1\n$ORIGIN other.\n".to_vec()),
            "sub" => Ok(b"$INCLUDE \"a b\"\n@ A 10.0.0.2".to_vec()),
            "loop" => Ok(b"$INCLUDE loop\n$INCLUDE loop".to_vec()),
            "bad" => Ok(b"\ny A\n".to_vec()),
            _ => no_include(file),
        };
        let text = format!("@ 1 SOA ns admin 1 2 3 4 5\n{text}");
        read_zone(Source { file: "z".into(), text: text.as_bytes() }, &origin(), &mut include)
    };
    let zone =
        read("w A 10.0.0.9\n$INCLUDE sub s\n AAAA ::1\nz A 10.0.0.3").unwrap_or_else(|faults| panic!("{faults}"));
    let names: Vec<String> = zone.sorted().iter().map(|node| node.name().to_string()).collect();
    assert_eq!(names, ["test.", "s.test.", "x.s.test.", "w.test.", "z.test."]);
    assert_eq!(
        zone.set("w.test".parse::<Name>().expect("a name").as_ref(), Rtype::AAAA).map(|set| set.count()),
        Some(1)
    );
    let wrong = |text| read(text).map(drop).expect_err("wrong").to_string();
    assert_eq!(wrong("$INCLUDE bad"), "bad:2:4: expected an IPv4 address, found the end of the entry");
    assert_eq!(wrong("$INCLUDE none"), "z:2:10: cannot include `none`: files are not included here");
    let deep = read("$INCLUDE loop").map(drop).expect_err("it never ends");
    assert!(matches!(deep.list[0].why, Why::Includes) && deep.list.len() + deep.more <= 2 * MAX_INCLUDES);
}

#[test]
fn faults_say_where_and_what() {
    for (text, fault) in [
        ("a A 10.0.0.256", "2:5: expected an IPv4 address, found `10.0.0.256`"),
        ("a A 10.0.0.1 10.0.0.2", "2:14: expected the end of the entry, found `10.0.0.2`"),
        ("a MX 10", "2:8: expected a name, found the end of the entry"),
        ("a MX mail 10", "2:6: expected a number up to 65535, found `mail`"),
        ("a MX (\n 10\n b..c )", "4:2: `b..c` is no name: a label is empty"),
        ("a CH A 10.0.0.1", "2:3: only the class IN is served"),
        ("a 99999999999 A 10.0.0.1", "2:3: expected a TTL up to 2147483647, like 3600 or 1h, found `99999999999`"),
        ("a NOPE x", "2:3: expected a record type, found `NOPE`"),
        ("a", "2:2: expected a record type, found the end of the entry"),
        ("a IPSECKEY 1", "2:12: the data of IPSECKEY records is read as `\\# length hex` only"),
        ("a TYPE4711", "2:11: expected the data of the record, found the end of the entry"),
        ("a A \\# 3 010203", "2:5: this is no data of a A record"),
        ("a URI 10 1 \"\"", "2:7: this is no data of a URI record"),
        ("a A \\# 4 0102", "2:5: expected as many octets as the length says, found the end of the entry"),
        ("$TTL", "2:5: expected a TTL, found the end of the entry"),
        ("$NOPE", "2:1: expected $ORIGIN, $TTL, $INCLUDE or $GENERATE, found `$NOPE`"),
        ("$GENERATE 1-4000000 h$ A 10.0.0.1", "2:11: the range has too many steps"),
        ("$GENERATE 0-255 h$ A 10.0.0.$${0,0,q}", "2:11: expected a pattern like host-${1,3,d}, found `$`"),
        ("a.example. A 10.0.0.1", "2:1: a.example. is not in the zone"),
        ("a CNAME b\na A 10.0.0.1", "3:1: a.test. has a CNAME record and other records beside it"),
        ("@ SOA ns admin 1 2 3 4 6", "2:1: test. has more than one SOA record"),
        (
            "a TXT \"x\ny",
            "2:7: a quote is not closed on its line\nz:3:2: expected a record type, found the end of the entry",
        ),
        ("a HTTPS 1 . alpn=h2 alpn=h3", "2:21: expected each parameter once, found `alpn=h3`"),
        ("a TXT a\\300", "2:7: expected text with valid escapes, found `a\\300`"),
    ] {
        let text = format!("@ 1 SOA ns admin 1 2 3 4 5\n{text}");
        let faults = zone_of(&text).map(drop).expect_err("wrong");
        assert_eq!(faults.to_string(), format!("z:{fault}"));
        let shown = &faults.list[0];
        assert_eq!(Some(shown.text.as_str()), text.lines().nth(shown.line as usize - 1));
    }
    let first = |text| zone_of(text).map(drop).expect_err("wrong").to_string();
    assert_eq!(first(" A 10.0.0.1"), "z:1:2: the owner is left out, and there is no record before to take it from");
    assert_eq!(first("a A 10.0.0.1"), "z:1:1: expected a TTL: there is no $TTL, and no record with one before");
}

#[test]
fn faults_are_bounded_and_do_not_repeat_themselves() {
    let text = format!("@ 1 SOA ns admin 1 2 3 4 5\nb..c A 10.0.0.1\n A 10.0.0.2\n{}", "a A x\n".repeat(100));
    let faults = zone_of(&text).map(drop).expect_err("wrong");
    assert_eq!((faults.list.len(), faults.more), (MAX_FAULTS, 101 - MAX_FAULTS));
    assert_eq!((faults.list[1].line, faults.list[1].column), (4, 5));
    assert!(faults.to_string().ends_with("\nand 81 more"));
}

/// No text makes the reader fail otherwise than with faults; what it accepts is read again as it was written.
#[test]
fn any_text_is_read_or_refused() {
    let good = written(&everything(), Names::Relative(origin().as_ref())).into_bytes();
    let mut seed = 11u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut accepted = 0;
    for _ in 0..1_500 {
        let mut text = good.clone();
        for _ in 0..=random(4) {
            let at = random(text.len());
            match random(4) {
                0 => text[at] = random(256) as u8,
                1 => text[at] = b"\"();\\\n\t $@.-0a"[random(13)],
                2 => drop(text.remove(at)),
                _ => text.truncate(text.len() - random(20)),
            }
        }
        let read = read_zone(Source { file: "z".into(), text: &text }, &origin(), &mut no_include);
        if let Ok(zone) = read {
            let again = zone_of(&written(&zone, Names::Absolute)).unwrap_or_else(|faults| panic!("{faults}"));
            assert_eq!(sorted(&again), sorted(&zone));
            accepted += 1;
        }
    }
    assert!(accepted > 100, "too few to mean anything: {accepted}");
}

#[test]
fn a_zone_in_pieces_is_the_same_zone() {
    let zone = everything();
    let mut records = sorted(&zone);
    records.reverse();
    let half = records.len() / 2;
    records.rotate_left(half);
    let again = Zone::new(origin(), records).expect("the same records");
    assert_eq!((sorted(&again), again.name_count(), again.serial()), (sorted(&zone), zone.name_count(), Serial(1)));
}
