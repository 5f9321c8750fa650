//! What somebody may do, as certificates say it.
//!
//! A certificate's capabilities stand in the organizational unit of its subject, as words: `call serve spawn`. Nobody
//! may pass on what it does not have: the capabilities of a certificate are a part of those of its issuer.

use std::fmt;
use std::str::FromStr;

/// One thing that somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Send messages to engines on other nodes.
    Call,
    /// Have engines that others send messages to, and register services.
    Serve,
    /// Make further nodes, ask other spawners to, and manage what they run.
    Spawn,
}

const ALL: [(Capability, &str); 3] =
    [(Capability::Call, "call"), (Capability::Serve, "serve"), (Capability::Spawn, "spawn")];

/// A set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Capabilities(u8);

impl Capabilities {
    /// Everything.
    pub const ALL: Capabilities = Capabilities(0b111);
    /// What a node needs that makes no others.
    pub const MEMBER: Capabilities = Capabilities(0b011);
    /// What somebody needs who only asks.
    pub const CLIENT: Capabilities = Capabilities(0b001);

    /// Whether one is among them.
    pub fn has(self, one: Capability) -> bool {
        self.0 & bit(one) != 0
    }

    /// These and one more.
    #[must_use]
    pub fn with(self, one: Capability) -> Capabilities {
        Capabilities(self.0 | bit(one))
    }

    /// Whether all of them are among `others`.
    pub fn within(self, others: Capabilities) -> bool {
        self.0 & !others.0 == 0
    }
}

fn bit(one: Capability) -> u8 {
    match one {
        Capability::Call => 1,
        Capability::Serve => 2,
        Capability::Spawn => 4,
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = ALL.iter().filter(|(one, _)| self.has(*one)).map(|(_, word)| *word).collect();
        f.write_str(if words.is_empty() { "none" } else { "" })?;
        f.write_str(&words.join(" "))
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Not capabilities: the words are `call`, `serve` and `spawn`, in this order, or `none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("capabilities are some of `call serve spawn`, in this order, or `none`")]
pub struct CapabilityError;

impl FromStr for Capabilities {
    type Err = CapabilityError;

    fn from_str(text: &str) -> Result<Capabilities, CapabilityError> {
        let word = |word: &str| ALL.iter().find(|(_, known)| *known == word).map(|(one, _)| *one);
        let known = text.split(' ').filter_map(word);
        let found = known.fold(Capabilities::default(), Capabilities::with);
        // One text for one set: whatever else there is was not understood.
        if found.to_string() == text { Ok(found) } else { Err(CapabilityError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_one_text() {
        for bits in 0..8 {
            assert_eq!(Capabilities(bits).to_string().parse(), Ok(Capabilities(bits)));
        }
        assert_eq!(Capabilities::ALL.to_string(), "call serve spawn");
        for wrong in ["", "spawn call", "call call", "call  serve", "Call", "call root", " call"] {
            assert_eq!(wrong.parse::<Capabilities>(), Err(CapabilityError), "{wrong}");
        }
    }

    #[test]
    fn a_part_is_within_the_whole() {
        assert!(Capabilities::CLIENT.within(Capabilities::MEMBER) && Capabilities::MEMBER.within(Capabilities::ALL));
        assert!(!Capabilities::ALL.within(Capabilities::MEMBER));
        assert!(Capabilities::MEMBER.has(Capability::Serve) && !Capabilities::MEMBER.has(Capability::Spawn));
    }
}
