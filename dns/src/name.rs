//! Domain names in wire form.
//!
//! A name keeps the case it was written in and ignores it when it compares, hashes and sorts; the order is the canonical
//! one (RFC 4034, 6.1). [`Name`] owns its octets, [`NameRef`] borrows them, from a packet as well as from a zone.
//! **Invariant:** the octets are one uncompressed, valid name: labels of 1 to 63 octets, the root's zero at the end, at
//! most [`MAX_LEN`] in all.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The longest name, in octets of wire form, the root's zero included (RFC 1035, 3.1).
pub const MAX_LEN: usize = 255;
/// The longest label, in octets (RFC 1035, 3.1).
pub const MAX_LABEL: usize = 63;
/// The most labels a name can have, the root not counted: every one takes two octets at least.
pub const MAX_LABELS: usize = 127;

/// An owned name.
#[derive(Clone)]
pub struct Name(Box<[u8]>);

/// A borrowed name.
#[derive(Clone, Copy)]
pub struct NameRef<'a>(&'a [u8]);

/// Why octets or text are not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The octets end before the name does.
    #[error("the name is cut off")]
    CutOff,
    /// A compression pointer or a reserved label type where only plain labels may be.
    #[error("the name has a label of an unknown kind")]
    LabelKind,
    /// A label of more than [`MAX_LABEL`] octets.
    #[error("a label is longer than 63 octets")]
    LongLabel,
    /// More than [`MAX_LEN`] octets.
    #[error("the name is longer than 255 octets")]
    Long,
    /// Two dots in a row, or one at the beginning.
    #[error("a label is empty")]
    EmptyLabel,
    /// A backslash that is followed neither by three digits up to 255 nor by another character.
    #[error("a backslash begins no valid escape")]
    Escape,
}

impl Name {
    /// The root.
    pub fn root() -> Self {
        Self(Box::from([0]))
    }

    /// The name at the beginning of `octets`, which holds no compression pointer; see [`NameRef::read`].
    ///
    /// # Errors
    /// When `octets` does not begin with a valid name, or goes on after it.
    pub fn from_wire(octets: &[u8]) -> Result<Self, NameError> {
        match NameRef::read(octets)? {
            (name, []) => Ok(name.to_owned()),
            _ => Err(NameError::LabelKind),
        }
    }

    /// Text in presentation form (RFC 1035, 5.1): without a dot at the end it is relative to `origin`, and `@` is `origin`.
    ///
    /// # Errors
    /// When the text is not a name, or too long together with `origin`.
    pub fn parse(text: impl AsRef<[u8]>, origin: NameRef<'_>) -> Result<Self, NameError> {
        let text = text.as_ref();
        match text {
            b"@" => return Ok(origin.to_owned()),
            b"." => return Ok(Self::root()),
            _ => {}
        }
        let mut octets = Vec::with_capacity(text.len() + 1 + origin.0.len());
        let absolute = labels_of_text(text, &mut octets)?;
        octets.extend_from_slice(if absolute { &[0] } else { origin.0 });
        if octets.len() > MAX_LEN { Err(NameError::Long) } else { Ok(Self(octets.into())) }
    }

    /// This name, borrowed.
    pub fn as_ref(&self) -> NameRef<'_> {
        NameRef(&self.0)
    }

    /// `label` in front of `parent`.
    ///
    /// # Errors
    /// When the label is empty or too long, or the name gets too long.
    pub fn child(label: &[u8], parent: NameRef<'_>) -> Result<Self, NameError> {
        match label.len() {
            0 => return Err(NameError::EmptyLabel),
            1..=MAX_LABEL => {}
            _ => return Err(NameError::LongLabel),
        }
        if label.len() + 1 + parent.0.len() > MAX_LEN {
            return Err(NameError::Long);
        }
        let mut octets = Vec::with_capacity(label.len() + 1 + parent.0.len());
        octets.push(label.len() as u8);
        octets.extend_from_slice(label);
        octets.extend_from_slice(parent.0);
        Ok(Self(octets.into()))
    }
}

/// A name as people write it: without the dot at the end, which is all there is of the root.
pub fn plain(name: &Name) -> String {
    let text = name.to_string();
    match text.strip_suffix('.') {
        Some(front) if !front.is_empty() => front.to_owned(),
        _ => text,
    }
}

impl<'a> NameRef<'a> {
    /// The root.
    pub fn root() -> Self {
        Self(&[0])
    }

    /// The name at the beginning of `octets`, without compression, and the octets after it.
    ///
    /// # Errors
    /// When `octets` does not begin with a valid name.
    pub fn read(octets: &'a [u8]) -> Result<(Self, &'a [u8]), NameError> {
        let mut at = 0;
        loop {
            let &len = octets.get(at).ok_or(NameError::CutOff)?;
            if len & 0xc0 != 0 {
                return Err(NameError::LabelKind);
            }
            at += 1 + usize::from(len);
            if at > MAX_LEN {
                return Err(NameError::Long);
            }
            if len == 0 {
                let (name, rest) = octets.split_at(at);
                return Ok((Self(name), rest));
            }
        }
    }

    /// The octets, the root's zero included.
    pub fn wire(self) -> &'a [u8] {
        self.0
    }

    /// The labels from left to right, the root not included.
    pub fn labels(self) -> Labels<'a> {
        Labels(self.0)
    }

    /// How many labels there are, the root not counted.
    pub fn label_count(self) -> usize {
        self.labels().count()
    }

    /// The name without its first label; nothing for the root.
    pub fn parent(self) -> Option<Self> {
        match self.0 {
            [0, ..] | [] => None,
            [len, rest @ ..] => rest.get(usize::from(*len)..).map(NameRef),
        }
    }

    /// Whether this is the root.
    pub fn is_root(self) -> bool {
        self.0.len() == 1
    }

    /// Whether the first label is `*`, which makes it a wildcard (RFC 4592, 2.1.1).
    pub fn is_wildcard(self) -> bool {
        self.0.starts_with(b"\x01*")
    }

    /// Whether this name is `ancestor` or is below it.
    pub fn is_at_or_below(self, ancestor: NameRef<'_>) -> bool {
        self.strip(ancestor).is_some()
    }

    /// Whether this name is below `ancestor`, and not `ancestor` itself.
    pub fn is_below(self, ancestor: NameRef<'_>) -> bool {
        self.strip(ancestor).is_some_and(|front| !front.is_empty())
    }

    /// The octets of the labels in front of `ancestor`; nothing when this name is not at or below it.
    pub fn strip(self, ancestor: NameRef<'_>) -> Option<&'a [u8]> {
        let cut = self.0.len().checked_sub(ancestor.0.len())?;
        let (front, tail) = self.0.split_at(cut);
        // The tail must begin where a label begins, which equal octets in the middle of a label would not show.
        let mut at = 0;
        while at < cut {
            at += 1 + usize::from(front[at]);
        }
        (at == cut && tail.eq_ignore_ascii_case(ancestor.0)).then_some(front)
    }

    /// An owned copy.
    pub fn to_owned(self) -> Name {
        Name(self.0.into())
    }

    /// Writes the octets in lower case into `buffer` and gives back the part that was written: what hashes are made of.
    pub fn lowered(self, buffer: &mut [u8; MAX_LEN]) -> &[u8] {
        let lowered = &mut buffer[..self.0.len()];
        lowered.copy_from_slice(self.0);
        // A length octet is at most 63, below every letter.
        lowered.make_ascii_lowercase();
        lowered
    }

    /// Octets whose order is the canonical order of names: the labels from the right, in lower case, a pair of zeros
    /// after each; a zero within a label has a one behind it.
    pub fn sort_key(self) -> Box<[u8]> {
        let offsets = Offsets::of(self);
        let mut key = Vec::with_capacity(self.0.len() + offsets.count);
        for label in offsets.backwards(self) {
            for octet in label {
                key.push(octet.to_ascii_lowercase());
                if *octet == 0 {
                    key.push(1);
                }
            }
            key.extend_from_slice(&[0, 0]);
        }
        key.into()
    }

    /// Writes the labels but the last `without`, in presentation form, with dots between and none at the end.
    pub(crate) fn write_relative(self, without: usize, out: &mut impl fmt::Write) -> fmt::Result {
        let count = self.label_count().saturating_sub(without);
        for (index, label) in self.labels().take(count).enumerate() {
            if index > 0 {
                out.write_char('.')?;
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                        out.write_char('\\')?;
                        out.write_char(char::from(octet))?;
                    }
                    b'!'..=b'~' => out.write_char(char::from(octet))?,
                    _ => write!(out, "\\{octet:03}")?,
                }
            }
        }
        Ok(())
    }

    /// A copy in lower case: the canonical form (RFC 4034, 6.2).
    pub fn to_lower(self) -> Name {
        Name(self.0.to_ascii_lowercase().into())
    }
}

/// The labels of a name, from left to right.
#[derive(Clone, Debug)]
pub struct Labels<'a>(&'a [u8]);

impl<'a> Iterator for Labels<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (&len, rest) = self.0.split_first().filter(|(len, _)| **len != 0)?;
        let (label, rest) = rest.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(label)
    }
}

impl FromStr for Name {
    type Err = NameError;

    /// Presentation form, taken as absolute with or without the dot at the end.
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text, NameRef(&[0]))
    }
}

impl PartialEq for NameRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(other.0)
    }
}

impl Eq for NameRef<'_> {}

impl Hash for NameRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.lowered(&mut [0; MAX_LEN]));
    }
}

impl Ord for NameRef<'_> {
    /// Canonical order: label by label from the right, each as lower-case octets (RFC 4034, 6.1).
    fn cmp(&self, other: &Self) -> Ordering {
        let (mine, theirs) = (Offsets::of(*self), Offsets::of(*other));
        for (a, b) in mine.backwards(*self).zip(theirs.backwards(*other)) {
            let order = a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase));
            if order != Ordering::Equal {
                return order;
            }
        }
        mine.count.cmp(&theirs.count)
    }
}

impl PartialOrd for NameRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for NameRef<'_> {
    /// Presentation form with the dot at the end; what is not plain is escaped (RFC 4343, 2.1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_root() {
            self.write_relative(0, f)?;
        }
        f.write_str(".")
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_ref().hash(state);
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_ref().cmp(&other.as_ref())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.as_ref(), f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Where each label of a name begins, for reading it from the right.
struct Offsets {
    starts: [u8; MAX_LABELS],
    count: usize,
}

impl Offsets {
    fn of(name: NameRef<'_>) -> Self {
        let mut offsets = Self { starts: [0; MAX_LABELS], count: 0 };
        let mut at = 0;
        for label in name.labels().take(MAX_LABELS) {
            offsets.starts[offsets.count] = at as u8;
            offsets.count += 1;
            at += 1 + label.len();
        }
        offsets
    }

    fn backwards<'a>(&self, name: NameRef<'a>) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        self.starts[..self.count].iter().rev().map(move |&start| {
            let start = usize::from(start);
            &name.0[start + 1..start + 1 + usize::from(name.0[start])]
        })
    }
}

/// Appends the labels of `text`; whether it ended with a dot.
fn labels_of_text(text: &[u8], octets: &mut Vec<u8>) -> Result<bool, NameError> {
    let (mut at, mut start) = (0, octets.len());
    octets.push(0);
    loop {
        let octet = match text.get(at) {
            Some(b'.') | None => {
                let len = octets.len() - start - 1;
                match len {
                    0 => return Err(NameError::EmptyLabel),
                    1..=MAX_LABEL => octets[start] = len as u8,
                    _ => return Err(NameError::LongLabel),
                }
                if octets.len() >= MAX_LEN {
                    return Err(NameError::Long);
                }
                if at + 1 >= text.len() {
                    return Ok(at < text.len());
                }
                at += 1;
                start = octets.len();
                octets.push(0);
                continue;
            }
            Some(b'\\') => {
                let (octet, used) = escape(&text[at + 1..]).ok_or(NameError::Escape)?;
                at += used;
                octet
            }
            Some(&octet) => octet,
        };
        octets.push(octet);
        at += 1;
    }
}

/// The octet that the text after a backslash means, and how many octets of text that is (RFC 1035, 5.1).
pub(crate) fn escape(text: &[u8]) -> Option<(u8, usize)> {
    match text {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', ..] => {
            let value = [a, b, c].iter().fold(0u16, |value, digit| value * 10 + u16::from(**digit - b'0'));
            u8::try_from(value).ok().map(|octet| (octet, 3))
        }
        [b'0'..=b'9', ..] | [] => None,
        [octet, ..] => Some((*octet, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().expect("a valid name")
    }

    #[test]
    fn text_and_wire_agree() {
        assert_eq!(name("Www.Example.com").as_ref().wire(), b"\x03Www\x07Example\x03com\0");
        assert_eq!(name(r"a\.b\032\\c.x").to_string(), r"a\.b\032\\c.x.");
        assert_eq!(name(".").as_ref().wire(), b"\0");
        let origin = name("example.com.");
        assert_eq!(Name::parse("@", origin.as_ref()), Ok(origin.clone()));
        assert_eq!(Name::parse("www", origin.as_ref()), Ok(name("www.example.com")));
        assert_eq!(Name::parse("www.", origin.as_ref()), Ok(name("www")));
    }

    #[test]
    fn what_is_no_name_says_why() {
        let long = "a".repeat(64);
        for (text, why) in [
            ("", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            (".a", NameError::EmptyLabel),
            (r"a\", NameError::Escape),
            (r"a\25", NameError::Escape),
            (r"a\256", NameError::Escape),
            (long.as_str(), NameError::LongLabel),
            (["abcdefg"; 32].join(".").as_str(), NameError::Long),
        ] {
            assert_eq!(text.parse::<Name>(), Err(why), "{text}");
        }
        assert_eq!(NameRef::read(b"\x03ab"), Err(NameError::CutOff));
        assert_eq!(NameRef::read(b"\xc0\x0c"), Err(NameError::LabelKind));
        assert_eq!(Name::from_wire(&[1; 300]), Err(NameError::Long));
    }

    #[test]
    fn the_longest_name_is_a_name() {
        let longest = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61));
        assert_eq!(name(&longest).as_ref().wire().len(), MAX_LEN);
        assert_eq!(format!("{longest}d").parse::<Name>(), Err(NameError::Long));
        assert_eq!(name(&["a"; MAX_LABELS].join(".")).as_ref().label_count(), MAX_LABELS);
    }

    #[test]
    fn the_order_is_the_canonical_one() {
        // The example of RFC 4034, 6.1.
        let sorted = [
            "example",
            "a.example",
            "yljkjljk.a.example",
            "Z.a.example",
            "zABC.a.EXAMPLE",
            "z.example",
            r"\001.z.example",
            "*.z.example",
            r"\200.z.example",
        ]
        .map(name);
        assert!(sorted.is_sorted_by(|a, b| a < b), "{sorted:?}");
        let odd = [r"\000.a", r"\000\000.a", r"\001.a", r"\001\000.a", "b.a", "b.b.a", "bb.a", "a.aa"].map(name);
        for names in [sorted.as_slice(), &odd] {
            assert!(names.is_sorted_by(|a, b| a < b && a.as_ref().sort_key() < b.as_ref().sort_key()), "{names:?}");
        }
    }

    #[test]
    fn case_does_not_count_and_labels_do() {
        assert_eq!(name("A.b"), name("a.B"));
        assert!(name("x.Example.com").as_ref().is_below(name("example.COM").as_ref()));
        assert!(!name("badexample.com").as_ref().is_at_or_below(name("example.com").as_ref()));
        // The octets of the ancestor at the end, but in the middle of a label.
        let within = Name::from_wire(b"\x05a\x03com\0").expect("a valid name");
        assert!(!within.as_ref().is_at_or_below(name("com").as_ref()));
        assert_eq!(name("a.b.c").as_ref().strip(name("b.c").as_ref()), Some(b"\x01a".as_slice()));
        assert_eq!(name("a.b").as_ref().parent().map(NameRef::to_owned), Some(name("b")));
    }
}
