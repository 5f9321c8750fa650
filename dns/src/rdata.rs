//! What record data is made of, for the types that are known (RFC 1035, RFC 3597, section 4, and the types' own RFCs).
//!
//! One table says, type by type, where the names lie in the RDATA and which lengths are right. Everything that looks into
//! RDATA without caring for its meaning walks that table: reading and writing messages, the canonical form, checks of what
//! others want stored. A type that is not in the table is any octets (RFC 3597, 3).

use std::borrow::Cow;

use crate::name::NameRef;
use crate::record::Rtype;

/// One part of the data of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// So many octets.
    Octets(u8),
    /// A domain name.
    Name(Compression),
    /// One octet with a length, and so many octets.
    Text,
    /// One [`Field::Text`] or more, to the end.
    Texts,
    /// What is left, at least so many octets.
    Rest(u8),
    /// The types that exist (RFC 4034, 4.1.2), to the end.
    Bitmap,
    /// Parameters of a service (RFC 9460, 2.2), to the end.
    Params,
}

/// Whether a name within RDATA may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// It may be: the types of RFC 1035.
    Sent,
    /// We do not, but others did (RFC 3597, 4).
    Received,
    /// Never.
    None,
}

/// The octets are not the data of a record of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the data is not that of a record of this type")]
pub struct BadData;

/// A part of a record's data as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A name.
    Name(NameRef<'a>, Compression),
    /// Anything else.
    Octets(&'a [u8]),
}

/// The parts that records of this type are made of, in order.
pub fn layout(rtype: Rtype) -> &'static [Field] {
    use Field::{Bitmap, Name, Octets, Params, Rest, Text, Texts};
    const NAME: Field = Name(Compression::Sent);
    const OLD: Field = Name(Compression::Received);
    const PLAIN: Field = Name(Compression::None);
    match rtype.0 {
        1 => &[Octets(4)],                         // A
        2..=5 | 7..=9 | 12 => &[NAME],             // NS MD MF CNAME MB MG MR PTR
        6 => &[NAME, NAME, Octets(20)],            // SOA
        11 => &[Rest(5)],                          // WKS
        13 => &[Text, Text],                       // HINFO
        14 => &[NAME, NAME],                       // MINFO
        15 => &[Octets(2), NAME],                  // MX
        16 | 99 => &[Texts],                       // TXT SPF
        17 => &[OLD, OLD],                         // RP
        18 | 21 | 36 => &[Octets(2), OLD],         // AFSDB RT KX
        24 => &[Octets(18), OLD, Rest(1)],         // SIG
        25 => &[Octets(4), Rest(0)],               // KEY
        26 => &[Octets(2), OLD, OLD],              // PX
        28 => &[Octets(16)],                       // AAAA
        29 => &[Octets(16)],                       // LOC
        30 => &[OLD, Rest(0)],                     // NXT
        33 => &[Octets(6), OLD],                   // SRV
        35 => &[Octets(4), Text, Text, Text, OLD], // NAPTR
        37 => &[Octets(5), Rest(1)],               // CERT
        39 => &[OLD],                              // DNAME
        43 | 59 => &[Octets(4), Rest(1)],          // DS CDS
        44 => &[Octets(2), Rest(1)],               // SSHFP
        46 => &[Octets(18), PLAIN, Rest(1)],       // RRSIG
        47 => &[PLAIN, Bitmap],                    // NSEC
        48 | 60 => &[Octets(4), Rest(1)],          // DNSKEY CDNSKEY
        49 => &[Rest(3)],                          // DHCID
        50 => &[Octets(4), Text, Text, Bitmap],    // NSEC3
        51 => &[Octets(4), Text],                  // NSEC3PARAM
        52 | 53 => &[Octets(3), Rest(1)],          // TLSA SMIMEA
        61 => &[Rest(1)],                          // OPENPGPKEY
        62 => &[Octets(6), Bitmap],                // CSYNC
        63 => &[Octets(6), Rest(12)],              // ZONEMD
        64 | 65 => &[Octets(2), PLAIN, Params],    // SVCB HTTPS
        108 => &[Octets(6)],                       // EUI48
        109 => &[Octets(8)],                       // EUI64
        256 => &[Octets(4), Rest(1)],              // URI
        257 => &[Octets(1), Text, Rest(0)],        // CAA
        _ => &[Rest(0)],
    }
}

impl Field {
    /// How many of the first octets of `rest` are this field, which is no name; nothing when they are not one.
    pub fn len_in(self, rest: &[u8]) -> Option<usize> {
        let len = match self {
            Self::Octets(len) => usize::from(len),
            Self::Text => 1 + usize::from(*rest.first()?),
            Self::Name(_) => NameRef::read(rest).ok()?.0.wire().len(),
            Self::Texts => texts(rest)?,
            Self::Rest(least) => (rest.len() >= usize::from(least)).then_some(rest.len())?,
            Self::Bitmap => bitmap(rest)?,
            Self::Params => params(rest)?,
        };
        (len <= rest.len()).then_some(len)
    }
}

/// Whether octets are stored data of this type: names plain, every length right, nothing after the end.
///
/// # Errors
/// When they are not.
pub fn check(rtype: Rtype, rdata: &[u8]) -> Result<(), BadData> {
    let mut rest = rdata;
    for field in layout(rtype) {
        rest = &rest[field.len_in(rest).ok_or(BadData)?..];
    }
    let fits = rest.is_empty() && rdata.len() <= usize::from(u16::MAX);
    if fits { Ok(()) } else { Err(BadData) }
}

/// The names within stored data and what is between them. Data that is not of its type is one piece.
pub fn pieces(rtype: Rtype, rdata: &[u8]) -> Pieces<'_> {
    Pieces { fields: layout(rtype), rest: rdata }
}

/// The names within stored data.
pub fn names(rtype: Rtype, rdata: &[u8]) -> impl Iterator<Item = NameRef<'_>> {
    pieces(rtype, rdata).filter_map(|piece| match piece {
        Piece::Name(name, _) => Some(name),
        Piece::Octets(_) => None,
    })
}

/// Whether records of this type have a name that may be compressed.
pub fn is_compressible(rtype: Rtype) -> bool {
    layout(rtype).contains(&Field::Name(Compression::Sent))
}

/// Stored data with its names in lower case, for signatures and for comparing (RFC 4034, 6.2; RFC 6840, 5.1).
pub fn canonical(rtype: Rtype, rdata: &[u8]) -> Cow<'_, [u8]> {
    let lowers = |piece: &Piece<'_>| match piece {
        Piece::Name(_, Compression::None) => rtype == Rtype::RRSIG,
        Piece::Name(..) => true,
        Piece::Octets(_) => false,
    };
    let is_low = |piece: Piece<'_>| match piece {
        Piece::Name(name, _) if lowers(&piece) => !name.wire().iter().any(u8::is_ascii_uppercase),
        _ => true,
    };
    if pieces(rtype, rdata).all(is_low) {
        return Cow::Borrowed(rdata);
    }
    let mut canonical = Vec::with_capacity(rdata.len());
    for piece in pieces(rtype, rdata) {
        match piece {
            Piece::Name(name, _) if lowers(&piece) => canonical.extend(name.wire().to_ascii_lowercase()),
            Piece::Name(name, _) => canonical.extend_from_slice(name.wire()),
            Piece::Octets(octets) => canonical.extend_from_slice(octets),
        }
    }
    Cow::Owned(canonical)
}

/// Whether both are the same data, the case of names aside: what one set of records cannot have twice (RFC 3597, 6).
pub fn is_same(rtype: Rtype, a: &[u8], b: &[u8]) -> bool {
    a == b || a.eq_ignore_ascii_case(b) && canonical(rtype, a) == canonical(rtype, b)
}

/// See [`pieces`].
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    fields: &'static [Field],
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((field, fields)) = self.fields.split_first() else {
            return Some(Piece::Octets(std::mem::take(&mut self.rest)));
        };
        self.fields = fields;
        if let (Field::Name(compression), Ok((name, rest))) = (field, NameRef::read(self.rest)) {
            self.rest = rest;
            return Some(Piece::Name(name, *compression));
        }
        let Some(len) = field.len_in(self.rest) else {
            self.fields = &[];
            return Some(Piece::Octets(std::mem::take(&mut self.rest)));
        };
        let (octets, rest) = self.rest.split_at(len);
        self.rest = rest;
        Some(Piece::Octets(octets))
    }
}

fn texts(rest: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < rest.len() {
        at += 1 + usize::from(rest[at]);
    }
    (at > 0).then_some(at)
}

/// Windows in rising order, each with 1 to 32 octets, the last of them not zero.
fn bitmap(rest: &[u8]) -> Option<usize> {
    let (mut at, mut last) = (0, None);
    while let Some(&[window, len]) = rest.get(at..at + 2) {
        let bits = rest.get(at + 2..at + 2 + usize::from(len))?;
        let rises = last.is_none_or(|last| window > last);
        if !rises || len > 32 || bits.last().is_none_or(|last| *last == 0) {
            return None;
        }
        last = Some(window);
        at += 2 + bits.len();
    }
    (at == rest.len()).then_some(at)
}

/// Keys in rising order, each with a length and so many octets.
fn params(rest: &[u8]) -> Option<usize> {
    let (mut at, mut last) = (0, None);
    while let Some(&[k1, k2, l1, l2]) = rest.get(at..at + 4) {
        let key = u16::from_be_bytes([k1, k2]);
        if last.is_some_and(|last| key <= last) {
            return None;
        }
        last = Some(key);
        at += 4 + usize::from(u16::from_be_bytes([l1, l2]));
    }
    (at == rest.len()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_right_or_not() {
        let (https, nsec) = (Rtype(65), Rtype::NSEC);
        for (rtype, rdata, right) in [
            (Rtype::A, b"\x01\x02\x03\x04".as_slice(), true),
            (Rtype::A, b"\x01\x02\x03", false),
            (Rtype::A, b"\x01\x02\x03\x04\x05", false),
            (Rtype::NS, b"\x01a\0", true),
            (Rtype::NS, b"\x01a\0\0", false),
            (Rtype::NS, b"\xc0\x0c", false),
            (Rtype::MX, b"\0\x0a\x01a\0", true),
            (Rtype::TXT, b"", false),
            (Rtype::TXT, b"\0", true),
            (Rtype::TXT, b"\x01a\x02bc", true),
            (Rtype::TXT, b"\x01a\x03bc", false),
            (Rtype::SOA, b"\0\0\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\x01", true),
            (Rtype::SOA, b"\0\0\0\0\0\x01", false),
            (https, b"\0\x01\0\0\x01\0\x03\x02h2\0\x03\0\x02\x01\xbb", true),
            (https, b"\0\x01\0\0\x03\0\x02\x01\xbb\0\x01\0\x03\x02h2", false),
            (https, b"\0\x01\0\0\x03\0\x09\x01\xbb", false),
            (nsec, b"\0\0\x01\x40", true),
            (nsec, b"\0\0\x01\0", false),
            (nsec, b"\0\x01\x01\x40\0\x01\x40", false),
            (Rtype(65_400), b"", true),
        ] {
            assert_eq!(check(rtype, rdata).is_ok(), right, "{rtype} {rdata:?}");
        }
    }

    #[test]
    fn names_are_found_and_lowered() {
        let mx = b"\0\x0a\x02MX\x04Test\0".as_slice();
        let found: Vec<String> = names(Rtype::MX, mx).map(|name| name.to_string()).collect();
        assert_eq!(found, ["MX.Test."]);
        assert_eq!(*canonical(Rtype::MX, mx), *b"\0\x0a\x02mx\x04test\0");
        // RFC 6840, 5.1; RFC 9460, 2.2 is not in the list of RFC 4034 either.
        assert_eq!(*canonical(Rtype::NSEC, b"\x01A\0\0\x01\x40"), *b"\x01A\0\0\x01\x40");
        assert_eq!(*canonical(Rtype(65), b"\0\x01\x01A\0"), *b"\0\x01\x01A\0");
        assert!(is_same(Rtype::NS, b"\x01A\0", b"\x01a\0") && !is_same(Rtype::TXT, b"\x01A", b"\x01a"));
        assert!(matches!(canonical(Rtype::TXT, b"\x01A"), Cow::Borrowed(_)));
        assert_eq!(pieces(Rtype::NS, b"\xff").collect::<Vec<_>>(), [Piece::Octets(b"\xff")]);
    }
}
