//! What certificates name: a fabric, and who somebody is in it.
//!
//! The fabric's id is made of its first key, so that nobody can make another fabric of that name; it is the trust domain
//! of every SPIFFE id (SPIFFE-ID specification, section 2).

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};

/// Letters in a fabric's id.
const FABRIC_LETTERS: usize = 32;
/// The longest name of a node or an app, in octets; it fits the common name of a certificate (RFC 5280, `ub-common-name`).
pub const MAX_NAME: usize = 63;

/// Why a text names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not a fabric's id.
    #[error("a fabric's id is 32 letters and digits, a to z and 2 to 7")]
    Fabric,
    /// Not a name.
    #[error("a name is 1 to 63 letters, digits, dots, dashes and underscores")]
    Name,
    /// Not one of the SPIFFE ids that a fabric has.
    #[error("not a SPIFFE id of a fabric")]
    Spiffe,
}

/// Names a fabric: the first 20 bytes of the SHA-256 of its first public key, written as 32 letters in base 32.
///
/// The fabric keeps it when its key is rotated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FabricId(pub [u8; 20]);

impl fmt::Display for FabricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE32_NOPAD.encode(&self.0).to_ascii_lowercase())
    }
}

impl fmt::Debug for FabricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for FabricId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<FabricId, NameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte);
        if text.len() != FABRIC_LETTERS || !text.bytes().all(plain) {
            return Err(NameError::Fabric);
        }
        let bytes = BASE32_NOPAD.decode(text.to_ascii_uppercase().as_bytes()).map_err(|_| NameError::Fabric)?;
        bytes.try_into().map(FabricId).map_err(|_| NameError::Fabric)
    }
}

impl Serialize for FabricId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FabricId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<FabricId, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What people call a node, an engine or an app: 1 to [`MAX_NAME`] letters, digits, dots, dashes and underscores.
///
/// Names are not unique: what cannot be claimed by others is a [`NodeId`](crate::units::NodeId).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// As a text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        // The letters of a path segment (SPIFFE-ID, section 2.2); a segment of dots only would be a relative path.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        let fits = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(plain);
        if fits && text != "." && text != ".." { Ok(Name(text.to_owned())) } else { Err(NameError::Name) }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Name, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

/// Who a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The fabric itself: what signs certificates (X509-SVID, section 3.1: such an id has no path).
    Fabric,
    /// A node.
    Node(Name),
    /// An engine that signs for third parties.
    Engine(Name),
    /// An app.
    App(Name),
}

/// A SPIFFE id of a fabric, such as `spiffe://<fabric>/node/attic`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    /// The trust domain.
    pub fabric: FabricId,
    /// Who in it.
    pub subject: Subject,
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpiffeId { fabric, subject } = self;
        match subject {
            Subject::Fabric => write!(f, "spiffe://{fabric}"),
            Subject::Node(name) => write!(f, "spiffe://{fabric}/node/{name}"),
            Subject::Engine(name) => write!(f, "spiffe://{fabric}/engine/{name}"),
            Subject::App(name) => write!(f, "spiffe://{fabric}/app/{name}"),
        }
    }
}

impl FromStr for SpiffeId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<SpiffeId, NameError> {
        let rest = text.strip_prefix("spiffe://").ok_or(NameError::Spiffe)?;
        let (fabric, path) = rest.split_once('/').map_or((rest, None), |(fabric, path)| (fabric, Some(path)));
        let subject = match path.map(|path| path.split_once('/')) {
            None => Subject::Fabric,
            Some(Some(("node", name))) => Subject::Node(name.parse()?),
            Some(Some(("engine", name))) => Subject::Engine(name.parse()?),
            Some(Some(("app", name))) => Subject::App(name.parse()?),
            Some(_) => return Err(NameError::Spiffe),
        };
        Ok(SpiffeId { fabric: fabric.parse()?, subject })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_text() {
        let fabric = FabricId([0xA5; 20]);
        let text = fabric.to_string();
        assert_eq!(text.len(), FABRIC_LETTERS);
        assert_eq!(text.parse(), Ok(fabric));
        for wrong in [text.to_uppercase(), text[1..].to_owned(), text.replace(&text[..1], "1"), String::new()] {
            assert_eq!(wrong.parse::<FabricId>(), Err(NameError::Fabric), "{wrong}");
        }
    }

    #[test]
    fn a_spiffe_id_has_one_text() {
        let fabric = FabricId([7; 20]);
        let name: Name = "attic-2".parse().unwrap();
        let subjects =
            [Subject::Fabric, Subject::Node(name.clone()), Subject::Engine(name.clone()), Subject::App(name)];
        for subject in subjects {
            let id = SpiffeId { fabric, subject };
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for path in ["/", "/node", "/node/", "/node/a/b", "/node/..", "/nodes/a", "/node/a?b", "/node/a%20b", "?x"] {
            assert!(format!("spiffe://{fabric}{path}").parse::<SpiffeId>().is_err(), "{path}");
        }
        assert!(format!("SPIFFE://{fabric}/node/a").parse::<SpiffeId>().is_err());
    }

    #[test]
    fn names_are_short_and_plain() {
        assert!("a".repeat(MAX_NAME).parse::<Name>().is_ok());
        for wrong in ["", ".", "..", "a b", "a/b", "ä", &"a".repeat(MAX_NAME + 1)] {
            assert_eq!(wrong.parse::<Name>(), Err(NameError::Name), "{wrong}");
        }
    }
}
