//! The words for members of the demo's site.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// No demo, lab or benchmark has more members.
pub const MAX_MEMBERS: usize = 32;

/// One member of the demo's site, counted from 0; `m1` is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Member(u8);

impl Member {
    /// The member of this index, if a site can have that many.
    pub fn new(index: usize) -> Option<Member> {
        (index < MAX_MEMBERS).then(|| u8::try_from(index).ok().map(Member)).flatten()
    }

    /// The first `count` members, at most [`MAX_MEMBERS`].
    pub fn first(count: usize) -> impl Iterator<Item = Member> {
        (0..count).map_while(Member::new)
    }

    /// Its index, from 0.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Its own address on the LAN: 192.168.77.21 and on.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(192, 168, 77, 21 + self.0)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0 + 1)
    }
}

impl TryFrom<String> for Member {
    type Error = NoSuchMember;
    fn try_from(text: String) -> Result<Member, NoSuchMember> {
        let number = text.strip_prefix('m').and_then(|digits| digits.parse::<usize>().ok());
        number.and_then(|number| number.checked_sub(1)).and_then(Member::new).ok_or(NoSuchMember)
    }
}

impl From<Member> for String {
    fn from(member: Member) -> String {
        member.to_string()
    }
}

/// A text names no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("members are called m1, m2 … m32")]
pub struct NoSuchMember;

/// A set of members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemberSet(u32);

impl MemberSet {
    /// Puts a member in.
    pub fn insert(&mut self, member: Member) {
        self.0 |= 1 << member.0;
    }

    /// Whether a member is in.
    pub fn contains(self, member: Member) -> bool {
        self.0 & (1 << member.0) != 0
    }

    /// How many are in.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether nobody is in.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in, in order.
    pub fn iter(self) -> impl Iterator<Item = Member> {
        Member::first(MAX_MEMBERS).filter(move |member| self.contains(*member))
    }
}

impl FromIterator<Member> for MemberSet {
    fn from_iter<I: IntoIterator<Item = Member>>(members: I) -> MemberSet {
        let mut set = MemberSet::default();
        members.into_iter().for_each(|member| set.insert(member));
        set
    }
}

impl fmt::Display for MemberSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.iter().map(|member| member.to_string()).collect();
        f.write_str(if names.is_empty() { "nobody" } else { "" })?;
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbers_from_one() {
        assert_eq!(Member::try_from("m1".to_owned()), Ok(Member(0)));
        assert_eq!(Member(31).to_string(), "m32");
        for wrong in ["m0", "m33", "1", "m", "mx", ""] {
            assert_eq!(Member::try_from(wrong.to_owned()), Err(NoSuchMember), "{wrong}");
        }
    }

    #[test]
    fn a_set_lists_its_members_in_order() {
        let set: MemberSet = [Member(31), Member(0), Member(0)].into_iter().collect();
        assert_eq!((set.len(), set.to_string()), (2, "m1, m32".to_owned()));
        assert_eq!(MemberSet::default().to_string(), "nobody");
    }
}
