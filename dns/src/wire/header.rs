//! The first twelve octets of a message.

use std::fmt;

use super::HEADER_LEN;

/// The header of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Chosen by who asks, repeated by who answers.
    pub id: u16,
    /// What kind of message, and how it went.
    pub flags: Flags,
    /// The entries of the question, answer, authority and additional section; of an update: zone, prerequisites,
    /// updates, additional.
    pub counts: [u16; 4],
}

/// The third and fourth octet of a message.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u16);

/// The kind of a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opcode(pub u8);

/// How it went: 4 bits in the header, 8 more in an OPT record; 16 in TSIG.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

impl Header {
    /// The header of some octets; nothing when they are fewer than twelve.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let fixed = octets.first_chunk::<HEADER_LEN>()?;
        let number = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
        Some(Self { id: number(0), flags: Flags(number(2)), counts: [number(4), number(6), number(8), number(10)] })
    }

    /// The twelve octets.
    pub fn write(&self) -> [u8; HEADER_LEN] {
        let mut octets = [0; HEADER_LEN];
        let numbers = [self.id, self.flags.0].into_iter().chain(self.counts);
        for (place, number) in octets.chunks_exact_mut(2).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        octets
    }
}

#[allow(missing_docs)]
impl Flags {
    pub const RESPONSE: Self = Self(0x8000);
    pub const AUTHORITATIVE: Self = Self(0x0400);
    pub const TRUNCATED: Self = Self(0x0200);
    pub const RECURSION_DESIRED: Self = Self(0x0100);
    pub const RECURSION_AVAILABLE: Self = Self(0x0080);
    pub const AUTHENTIC_DATA: Self = Self(0x0020);
    pub const CHECKING_DISABLED: Self = Self(0x0010);
}

impl Flags {
    /// The flags of a message of this kind, nothing else set.
    pub fn of(opcode: Opcode) -> Self {
        Self(u16::from(opcode.0 & 0xf) << 11)
    }

    /// The flags of an answer to a message with these: the opcode and RD are repeated (RFC 1035, 4.1.1), and CD
    /// (RFC 4035, 3.2.2).
    pub fn reply(self) -> Self {
        Self(Self::RESPONSE.0 | self.0 & (0x7800 | Self::RECURSION_DESIRED.0 | Self::CHECKING_DISABLED.0))
    }

    /// Whether all bits of `flag` are set.
    pub fn has(self, flag: Self) -> bool {
        self.0 & flag.0 == flag.0
    }

    /// With `flag` set.
    #[must_use]
    pub fn with(self, flag: Self) -> Self {
        Self(self.0 | flag.0)
    }

    /// With the lower four bits of `rcode`.
    #[must_use]
    pub fn with_rcode(self, rcode: Rcode) -> Self {
        Self(self.0 & !0xf | rcode.0 & 0xf)
    }

    /// The kind of the message.
    pub fn opcode(self) -> Opcode {
        Opcode((self.0 >> 11) as u8 & 0xf)
    }

    /// The lower four bits of the result.
    pub fn rcode(self) -> Rcode {
        Rcode(self.0 & 0xf)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.opcode(), self.rcode())?;
        for (flag, name) in [
            (Self::RESPONSE, "qr"),
            (Self::AUTHORITATIVE, "aa"),
            (Self::TRUNCATED, "tc"),
            (Self::RECURSION_DESIRED, "rd"),
            (Self::RECURSION_AVAILABLE, "ra"),
            (Self::AUTHENTIC_DATA, "ad"),
            (Self::CHECKING_DISABLED, "cd"),
        ] {
            if self.has(flag) {
                write!(f, " {name}")?;
            }
        }
        Ok(())
    }
}

#[allow(missing_docs)]
impl Opcode {
    pub const QUERY: Self = Self(0);
    pub const NOTIFY: Self = Self(4);
    pub const UPDATE: Self = Self(5);
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::QUERY => f.write_str("QUERY"),
            Self::NOTIFY => f.write_str("NOTIFY"),
            Self::UPDATE => f.write_str("UPDATE"),
            Self(number) => write!(f, "OPCODE{number}"),
        }
    }
}

impl fmt::Debug for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[allow(missing_docs)]
impl Rcode {
    pub const NOERROR: Self = Self(0);
    pub const FORMERR: Self = Self(1);
    pub const SERVFAIL: Self = Self(2);
    pub const NXDOMAIN: Self = Self(3);
    pub const NOTIMP: Self = Self(4);
    pub const REFUSED: Self = Self(5);
    pub const YXDOMAIN: Self = Self(6);
    pub const YXRRSET: Self = Self(7);
    pub const NXRRSET: Self = Self(8);
    pub const NOTAUTH: Self = Self(9);
    pub const NOTZONE: Self = Self(10);
    /// In an OPT record.
    pub const BADVERS: Self = Self(16);
    /// In a TSIG record.
    pub const BADSIG: Self = Self(16);
    pub const BADKEY: Self = Self(17);
    pub const BADTIME: Self = Self(18);
    pub const BADTRUNC: Self = Self(22);
    pub const BADCOOKIE: Self = Self(23);
}

impl Rcode {
    /// Its name in a TSIG record, where 16 is another error than in an OPT record (RFC 8945, 3).
    pub fn in_tsig(self) -> impl fmt::Display {
        InTsig(self)
    }
}

struct InTsig(Rcode);

impl fmt::Display for InTsig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Rcode::BADSIG { f.write_str("BADSIG") } else { self.0.fmt(f) }
    }
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 11] = [
            "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
            "NOTAUTH", "NOTZONE",
        ];
        match NAMES.get(usize::from(self.0)) {
            Some(name) => f.write_str(name),
            None => match self.0 {
                16 => f.write_str("BADVERS"),
                17 => f.write_str("BADKEY"),
                18 => f.write_str("BADTIME"),
                22 => f.write_str("BADTRUNC"),
                23 => f.write_str("BADCOOKIE"),
                number => write!(f, "RCODE{number}"),
            },
        }
    }
}

impl fmt::Debug for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
