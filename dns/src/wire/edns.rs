//! The OPT record (RFC 6891).

use super::WireError;

/// What an OPT record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns<'a> {
    /// The longest UDP message its sender can receive, as written: less than 512 means 512.
    pub udp_size: u16,
    /// The upper eight bits of the result.
    pub extended_rcode: u8,
    /// Zero; anything else is answered with BADVERS.
    pub version: u8,
    /// Whether signatures are wanted (the DO bit, RFC 3225).
    pub dnssec_ok: bool,
    options: &'a [u8],
}

/// One option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdnsOption<'a> {
    /// Its number.
    pub code: u16,
    /// Its data.
    pub data: &'a [u8],
}

#[allow(missing_docs)]
impl EdnsOption<'_> {
    pub const UPDATE_LEASE: u16 = 2;
    pub const NSID: u16 = 3;
    pub const EXPIRE: u16 = 9;
    pub const COOKIE: u16 = 10;
    pub const TCP_KEEPALIVE: u16 = 11;
    pub const PADDING: u16 = 12;
    pub const EXTENDED_ERROR: u16 = 15;
}

impl<'a> Edns<'a> {
    /// What we say about ourselves: version 0, no options.
    pub fn new(udp_size: u16, dnssec_ok: bool) -> Self {
        Self { udp_size, extended_rcode: 0, version: 0, dnssec_ok, options: &[] }
    }

    /// Reads the class, TTL and data of an OPT record.
    ///
    /// # Errors
    /// When an option is cut off.
    pub(super) fn read(class: u16, ttl: u32, options: &'a [u8]) -> Result<Self, WireError> {
        let [extended_rcode, version, high, _] = ttl.to_be_bytes();
        let edns = Self { udp_size: class, extended_rcode, version, dnssec_ok: high & 0x80 != 0, options };
        let mut all = edns.options();
        while all.next().is_some() {}
        if all.0.is_empty() { Ok(edns) } else { Err(WireError::Opt) }
    }

    /// The options in the order they were written.
    pub fn options(&self) -> Options<'a> {
        Options(self.options)
    }

    /// The data of the first option with this number.
    pub fn option(&self, code: u16) -> Option<&'a [u8]> {
        self.options().find(|option| option.code == code).map(|option| option.data)
    }
}

/// The options of an OPT record.
#[derive(Clone, Debug)]
pub struct Options<'a>(&'a [u8]);

impl<'a> Iterator for Options<'a> {
    type Item = EdnsOption<'a>;

    fn next(&mut self) -> Option<EdnsOption<'a>> {
        let (&[c1, c2, l1, l2], rest) = self.0.split_first_chunk::<4>()?;
        let (data, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([l1, l2])))?;
        self.0 = rest;
        Some(EdnsOption { code: u16::from_be_bytes([c1, c2]), data })
    }
}
