//! Reading values off octets: each step takes what it needs from the front, or says that there is none.

/// Octets that are read from the front.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads `octets`.
    pub fn new(octets: &'a [u8]) -> Reader<'a> {
        Reader(octets)
    }

    /// The next `N` octets.
    pub fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `length` octets.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// One octet.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| *octet)
    }

    /// Two octets, big-endian.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(|octets| u16::from_be_bytes(*octets))
    }

    /// Four octets, big-endian.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(|octets| u32::from_be_bytes(*octets))
    }

    /// Eight octets, big-endian.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(|octets| u64::from_be_bytes(*octets))
    }

    /// A text of at most 255 octets, behind one octet that says how many.
    pub fn text(&mut self) -> Option<&'a str> {
        let length = usize::from(self.u8()?);
        std::str::from_utf8(self.take(length)?).ok()
    }

    /// All that is left.
    pub fn rest(self) -> &'a [u8] {
        self.0
    }

    /// That nothing is left.
    pub fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// Writes a text as [`Reader::text`] reads it; false, and nothing is written, when it is longer than 255 octets.
#[must_use]
pub fn put_text(out: &mut Vec<u8>, text: &str) -> bool {
    let Ok(length) = u8::try_from(text.len()) else { return false };
    out.push(length);
    out.extend_from_slice(text.as_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_no_more() {
        let mut octets = vec![1, 0, 2, 0, 0, 0, 3];
        octets.extend_from_slice(&4_u64.to_be_bytes());
        assert!(put_text(&mut octets, "text") && !put_text(&mut octets, &"x".repeat(256)));
        let mut reader = Reader::new(&octets);
        assert_eq!((reader.u8(), reader.u16(), reader.u32(), reader.u64()), (Some(1), Some(2), Some(3), Some(4)));
        assert_eq!((reader.text(), reader.end(), reader.u8()), (Some("text"), Some(()), None));
        assert_eq!((Reader::new(&[2, b'x']).text(), Reader::new(&[1, 0xff]).text()), (None, None));
        assert_eq!((Reader::new(&[1]).end(), Reader::new(&[1]).rest()), (None, &[1][..]));
    }
}
