//! Record types: their numbers and their names (the registry of RFC 6895).

use std::fmt;
use std::str::FromStr;

/// A record type by its number, known or not (RFC 3597).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rtype(pub u16);

/// A constant for each type, and the list of their names; sorted by number.
macro_rules! types {
    ($($name:ident = $number:literal)*) => {
        #[allow(missing_docs)]
        impl Rtype {
            $(pub const $name: Self = Self($number);)*
        }

        const MNEMONICS: &[(u16, &str)] = &[$(($number, stringify!($name))),*];
    };
}

types! {
    A = 1 NS = 2 MD = 3 MF = 4 CNAME = 5 SOA = 6 MB = 7 MG = 8 MR = 9 NULL = 10 WKS = 11 PTR = 12 HINFO = 13 MINFO = 14
    MX = 15 TXT = 16 RP = 17 AFSDB = 18 X25 = 19 ISDN = 20 RT = 21 NSAP = 22 SIG = 24 KEY = 25 PX = 26 GPOS = 27
    AAAA = 28 LOC = 29 NXT = 30 SRV = 33 NAPTR = 35 KX = 36 CERT = 37 A6 = 38 DNAME = 39 SINK = 40 OPT = 41 APL = 42
    DS = 43 SSHFP = 44 IPSECKEY = 45 RRSIG = 46 NSEC = 47 DNSKEY = 48 DHCID = 49 NSEC3 = 50 NSEC3PARAM = 51 TLSA = 52
    SMIMEA = 53 HIP = 55 NINFO = 56 TALINK = 58 CDS = 59 CDNSKEY = 60 OPENPGPKEY = 61 CSYNC = 62 ZONEMD = 63 SVCB = 64
    HTTPS = 65 DSYNC = 66 SPF = 99 NID = 104 L32 = 105 L64 = 106 LP = 107 EUI48 = 108 EUI64 = 109 TKEY = 249 TSIG = 250
    IXFR = 251 AXFR = 252 MAILB = 253 MAILA = 254 ANY = 255 URI = 256 CAA = 257 AVC = 258 DOA = 259 AMTRELAY = 260
    RESINFO = 261 WALLET = 262 TA = 32768 DLV = 32769
}

impl Rtype {
    /// Whether this number never names data in a zone: OPT, the query types 128 to 255 (RFC 6895, 3.1), and zero.
    pub fn is_meta(self) -> bool {
        matches!(self.0, 0 | 41 | 128..=255)
    }

    /// Whether the server makes and keeps these records itself in a zone that it signs (RFC 4034, RFC 5155).
    pub fn is_made_by_signing(self) -> bool {
        matches!(self, Self::RRSIG | Self::NSEC | Self::NSEC3 | Self::NSEC3PARAM)
    }
}

impl fmt::Display for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match MNEMONICS.binary_search_by_key(&self.0, |(number, _)| *number) {
            Ok(at) => f.pad(MNEMONICS[at].1),
            Err(_) => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text names no record type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a record type")]
pub struct UnknownType;

impl FromStr for Rtype {
    type Err = UnknownType;

    /// A mnemonic in any case, or `TYPE` and a number (RFC 3597, 5).
    fn from_str(text: &str) -> Result<Self, UnknownType> {
        if let Some((number, _)) = MNEMONICS.iter().find(|(_, name)| name.eq_ignore_ascii_case(text)) {
            return Ok(Self(*number));
        }
        let (word, digits) = text.split_at_checked(4).ok_or(UnknownType)?;
        match word.eq_ignore_ascii_case("TYPE") && digits.bytes().all(|digit| digit.is_ascii_digit()) {
            true => digits.parse().map(Self).map_err(|_| UnknownType),
            false => Err(UnknownType),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_names_and_numbers() {
        for (text, rtype) in [("A", Rtype::A), ("aaaa", Rtype::AAAA), ("TYPE65400", Rtype(65_400)), ("type1", Rtype::A)]
        {
            assert_eq!(text.parse(), Ok(rtype), "{text}");
        }
        assert_eq!(Rtype(65_400).to_string(), "TYPE65400");
        assert_eq!(Rtype::NSEC3PARAM.to_string(), "NSEC3PARAM");
        for text in ["NOPE", "TYPE70000", "TYPE+1", "TYPE", "", "TYPÉ1"] {
            assert_eq!(text.parse::<Rtype>(), Err(UnknownType), "{text}");
        }
    }

    #[test]
    fn the_list_is_sorted_and_agrees_with_the_library() {
        assert!(MNEMONICS.is_sorted_by(|a, b| a.0 < b.0));
        for (number, name) in MNEMONICS {
            let known = hickory_proto::rr::RecordType::from(*number);
            if !matches!(known, hickory_proto::rr::RecordType::Unknown(_)) {
                assert_eq!(known.to_string(), *name);
            }
        }
    }
}
