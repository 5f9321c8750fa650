//! Recognises the fence's rules by their comments.
//!
//! Comparing rules expression by expression would depend on how each kernel writes them back; a comment comes back as
//! it went in, and whoever changes a rule loses it.

use super::{RULE_TABLE, RULE_USERDATA, attribute};
use crate::netlink::Message;
use crate::plan::SeenFence;

/// What each rule's comment says: which of how many it is, for which device, and the tag of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// How many rules there are.
    pub(super) of: usize,
    /// The LAN interface's index.
    pub(super) index: u32,
    /// [`FenceSpec::tag`](crate::plan::FenceSpec::tag).
    pub(super) tag: u64,
}

impl Mark {
    /// The user data of rule `number`: a comment that `nft` shows, as type, length and text with a zero byte.
    pub(super) fn comment(self, number: usize) -> Vec<u8> {
        let text = format!("gatehouse {number} {} {} {:016x}\0", self.of, self.index, self.tag);
        let length = u8::try_from(text.len()).unwrap_or(0);
        [&[UDATA_COMMENT, length], text.as_bytes()].concat()
    }

    fn parse(userdata: &[u8]) -> Option<(usize, Mark)> {
        let text = std::str::from_utf8(userdata.get(2..)?.strip_suffix(&[0])?).ok()?;
        let mut words = text.strip_prefix("gatehouse ")?.split(' ');
        let number = words.next()?.parse().ok()?;
        let of = words.next()?.parse().ok()?;
        let index = words.next()?.parse().ok()?;
        let tag = u64::from_str_radix(words.next()?, 16).ok()?;
        Some((number, Mark { of, index, tag }))
    }
}

/// Intact when each rule is there once and all say the same of the whole.
pub(super) fn recognise(rules: &[Message], table: &str) -> SeenFence {
    let marks = rules.iter().filter(|rule| is_in(rule, table));
    judge(marks.map(|rule| attribute(rule, RULE_USERDATA).and_then(Mark::parse)).collect())
}

fn judge(marks: Vec<Option<(usize, Mark)>>) -> SeenFence {
    let Some(Some((_, first))) = marks.first().copied() else { return SeenFence::Broken };
    let mut seen = vec![false; first.of.min(marks.len())];
    for mark in &marks {
        match mark {
            Some((number, mark)) if *mark == first => match seen.get_mut(*number) {
                Some(slot) if !*slot => *slot = true,
                _ => return SeenFence::Broken,
            },
            _ => return SeenFence::Broken,
        }
    }
    if seen.len() == first.of && seen.iter().all(|slot| *slot) {
        SeenFence::Intact { index: first.index, tag: first.tag }
    } else {
        SeenFence::Broken
    }
}

fn is_in(rule: &Message, table: &str) -> bool {
    attribute(rule, RULE_TABLE).and_then(|name| name.strip_suffix(&[0])) == Some(table.as_bytes())
}

/// `NFTNL_UDATA_RULE_COMMENT` (libnftnl/udata.h).
const UDATA_COMMENT: u8 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { of: 3, index: 2, tag: 0x0123_4567_89ab_cdef };

    #[test]
    fn a_comment_is_read_back() {
        assert_eq!(Mark::parse(&MARK.comment(1)), Some((1, MARK)));
        assert_eq!(Mark::parse(b"\0\x04abc\0"), None);
        assert_eq!(Mark::parse(b""), None);
    }

    #[test]
    fn only_all_rules_once_are_whole() {
        let whole = SeenFence::Intact { index: 2, tag: MARK.tag };
        let rule = |number| Some((number, MARK));
        assert_eq!(judge(vec![rule(2), rule(0), rule(1)]), whole);
        assert_eq!(judge(vec![]), SeenFence::Broken);
        assert_eq!(judge(vec![rule(0), rule(1)]), SeenFence::Broken, "one is missing");
        assert_eq!(judge(vec![rule(0), rule(1), rule(1)]), SeenFence::Broken, "one is there twice");
        assert_eq!(judge(vec![rule(0), rule(1), rule(2), None]), SeenFence::Broken, "one is not ours");
        let other = Mark { tag: 1, ..MARK };
        assert_eq!(judge(vec![rule(0), rule(1), Some((2, other))]), SeenFence::Broken, "one is of another fence");
    }
}
