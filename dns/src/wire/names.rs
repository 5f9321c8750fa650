//! Names within messages, which may be compressed (RFC 1035, 4.1.4).

use super::WireError;
use crate::name::{MAX_LABEL, MAX_LEN, Name, NameRef};

/// Pointers that one name may follow. A sensible name has no more of them than labels; a chain of pointers to pointers
/// could be as long as the message.
pub const MAX_JUMPS: usize = 127;

/// Room for one decompressed name, to be used again and again.
#[derive(Clone)]
pub struct NameBuffer {
    octets: [u8; MAX_LEN],
    len: usize,
}

impl NameBuffer {
    /// The root.
    pub fn new() -> Self {
        Self { octets: [0; MAX_LEN], len: 1 }
    }

    /// A copy of `name`.
    pub fn of(name: NameRef<'_>) -> Self {
        let mut buffer = Self::new();
        buffer.join(&[], name);
        buffer
    }

    /// What is in the buffer.
    pub fn name(&self) -> NameRef<'_> {
        NameRef::read(&self.octets[..self.len]).map_or(NameRef::root(), |(name, _)| name)
    }

    /// Puts the labels `front` before `end`; nothing, and the root in the buffer, when that is too long.
    pub fn join(&mut self, front: &[u8], end: NameRef<'_>) -> Option<NameRef<'_>> {
        let len = front.len() + end.wire().len();
        let Some(place) = self.octets.get_mut(..len) else {
            *self = Self::new();
            return None;
        };
        place[..front.len()].copy_from_slice(front);
        place[front.len()..].copy_from_slice(end.wire());
        self.len = len;
        Some(self.name())
    }

    /// Decompresses the name at `at` of a message; gives back the name and where the message goes on after it.
    ///
    /// # Errors
    /// When it is cut off or malformed; a pointer must point before the part of the name that it ends.
    pub fn read(&mut self, message: &[u8], at: usize) -> Result<(NameRef<'_>, usize), WireError> {
        let (mut at, mut begin, mut end) = (at, at, None);
        let (mut len, mut jumps) = (0, 0);
        loop {
            let &first = message.get(at).ok_or(WireError::CutOff)?;
            if first & 0xc0 == 0xc0 {
                let &low = message.get(at + 1).ok_or(WireError::CutOff)?;
                let target = usize::from(u16::from_be_bytes([first & 0x3f, low]));
                jumps += 1;
                if target >= begin || jumps > MAX_JUMPS {
                    return Err(WireError::Name);
                }
                end = end.or(Some(at + 2));
                (at, begin) = (target, target);
                continue;
            }
            if usize::from(first) > MAX_LABEL {
                return Err(WireError::Name);
            }
            let octets = message.get(at..=at + usize::from(first)).ok_or(WireError::CutOff)?;
            let place = self.octets.get_mut(len..len + octets.len()).ok_or(WireError::Name)?;
            place.copy_from_slice(octets);
            len += octets.len();
            at += octets.len();
            if first == 0 {
                self.len = len;
                return Ok((self.name(), end.unwrap_or(at)));
            }
        }
    }
}

impl Default for NameBuffer {
    fn default() -> Self {
        Self::new()
    }
}

/// Where a message goes on after the name at `at`, whose pointer (if it has one) is not followed.
pub(super) fn skip(message: &[u8], at: usize) -> Result<usize, WireError> {
    let mut next = at;
    loop {
        let &first = message.get(next).ok_or(WireError::CutOff)?;
        let (step, is_end) = match first {
            0xc0.. => (2, true),
            0 => (1, true),
            1..=0x3f => (1 + usize::from(first), false),
            _ => return Err(WireError::Name),
        };
        next += step;
        if next > message.len() {
            return Err(WireError::CutOff);
        }
        if next - at > MAX_LEN + 1 {
            return Err(WireError::Name);
        }
        if is_end {
            return Ok(next);
        }
    }
}

/// An owned copy of the name at `at`.
pub(super) fn owned(message: &[u8], at: usize) -> Result<Name, WireError> {
    NameBuffer::new().read(message, at).map(|(name, _)| name.to_owned())
}
