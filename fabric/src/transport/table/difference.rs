//! What changed between two versions of a node's engines, and its octets.
//!
//! ```text
//!  0      incarnation (8)
//!  8      from which version, 0: forget all that was known (8)
//! 16      to which version (8)
//! 24      number of changes (4)
//! 28      each: handle (4), 0 forget | 1 learn (1); learn: id (16), proof (1), key (32), name (1 + n)
//! ```

use super::{Engine, Known, MAX_ENGINES, TableError};
use crate::identity::Name;
use crate::transport::{EngineId, Proof};
use crate::wire::frame::Handle;
use crate::wire::octets::{Reader, put_text};

/// Octets of a difference at most: all engines that a node can have, with the longest names, and all changes that are
/// remembered.
pub const MAX_BURST: usize = 8 * 1024 * 1024;

/// One change of a node's engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An engine came.
    Learn(Handle, Engine),
    /// An engine went.
    Forget(Handle),
}

/// What changed between two versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// From which version; zero: forget all that was known.
    pub from: u64,
    /// What is known with it.
    pub to: Known,
    /// In their order.
    pub changes: Vec<Change>,
}

impl Difference {
    /// Its octets.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(28 + self.changes.len() * 64);
        out.extend_from_slice(&self.to.incarnation.to_be_bytes());
        out.extend_from_slice(&self.from.to_be_bytes());
        out.extend_from_slice(&self.to.version.to_be_bytes());
        out.extend_from_slice(&u32::try_from(self.changes.len()).unwrap_or(u32::MAX).to_be_bytes());
        for change in &self.changes {
            match change {
                Change::Forget(handle) => {
                    out.extend_from_slice(&handle.0.to_be_bytes());
                    out.push(0);
                }
                Change::Learn(handle, engine) => {
                    out.extend_from_slice(&handle.0.to_be_bytes());
                    out.push(1);
                    out.extend_from_slice(&engine.id.0);
                    out.push(engine.proof.code());
                    out.extend_from_slice(&engine.key);
                    let name = engine.name.as_ref().map_or("", Name::as_str);
                    // A name is at most 63 octets.
                    let _ = put_text(&mut out, name);
                }
            }
        }
        out
    }

    /// Reads one.
    ///
    /// # Errors
    /// When the octets are none, or too many.
    pub fn decode(octets: &[u8]) -> Result<Difference, TableError> {
        if octets.len() > MAX_BURST { Err(TableError::Full) } else { read(octets).ok_or(TableError::Malformed) }
    }
}

fn read(octets: &[u8]) -> Option<Difference> {
    let mut reader = Reader::new(octets);
    let (incarnation, from, version) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let count = reader.u32()?;
    // What is not there is not allocated for: a change has at least five octets.
    let mut changes = Vec::with_capacity(usize::try_from(count).ok()?.min(octets.len() / 5).min(MAX_ENGINES));
    for _ in 0..count {
        let handle = Handle(reader.u32()?);
        changes.push(match reader.u8()? {
            0 => Change::Forget(handle),
            1 => Change::Learn(handle, engine(&mut reader)?),
            _ => return None,
        });
    }
    reader.end()?;
    Some(Difference { from, to: Known { incarnation, version }, changes })
}

fn engine(reader: &mut Reader<'_>) -> Option<Engine> {
    let id = EngineId(*reader.array()?);
    let proof = Proof::from_code(reader.u8()?)?;
    let key = *reader.array()?;
    let name = match reader.text()? {
        "" => None,
        name => Some(name.parse().ok()?),
    };
    Some(Engine { id, name, proof, key })
}
