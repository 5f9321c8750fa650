//! Who is known: the engines of this node, those of each other node, and where an id or a name leads.
//!
//! * [`Local`]: this node's engines. Each change has a version; what changed since one is a [`Difference`].
//! * [`Foreign`]: what another node has said, which outlives a link, so that the next one needs only the difference.
//! * [`Directory`]: ids and names to places, over all nodes.
//!
//! Engines are named on links by a [`Handle`]: a slot and which of its tenants, so that a message takes an index and no
//! search, and what was meant for an engine that has gone never reaches the one that came into its slot.
//!
//! **Invariant:** a peer cannot make a table larger than [`MAX_ENGINES`]; what it says is taken whole or not at all.

mod difference;
mod directory;
mod foreign;
mod local;

pub use difference::{Change, Difference, MAX_BURST};
pub use directory::{Directory, Place};
pub use foreign::Foreign;
pub use local::{Local, MAX_CHANGES};

use super::{EngineId, Proof};
use crate::identity::Name;
use crate::wire::frame::Handle;

/// Engines of one node at most: slots are 16 bits of a handle.
pub const MAX_ENGINES: usize = 32_768;

/// Why a table was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// There are as many engines as there may be.
    #[error("too many engines")]
    Full,
    /// The node has an engine of this id.
    #[error("an engine of this id is known already")]
    Id,
    /// The node has an engine of this name.
    #[error("an engine of this name is known already")]
    Name,
    /// Not what a node says of its engines.
    #[error("not a list of engines")]
    Malformed,
    /// A difference from another version than what is known.
    #[error("a difference from another version")]
    Version,
}

/// What a node says of one of its engines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Names it everywhere, for as long as it is kept.
    pub id: EngineId,
    /// What people call it.
    pub name: Option<Name>,
    /// How its messages are proven.
    pub proof: Proof,
    /// The octets of its public key; looked at when a signature is to be verified.
    pub key: [u8; 32],
}

/// How far somebody's engines are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Which start of the other node's router; zero when nothing is known.
    pub incarnation: u64,
    /// Up to which change.
    pub version: u64,
}

/// An engine came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It is there now.
    Came(Handle, Engine),
    /// It is there no longer.
    Went(Handle, Engine),
}

/// Values by handle.
#[derive(Clone, Debug)]
pub struct ByHandle<T>(Vec<Option<(Handle, T)>>);

impl<T> Default for ByHandle<T> {
    fn default() -> ByHandle<T> {
        ByHandle(Vec::new())
    }
}

impl<T> ByHandle<T> {
    /// The value of this handle.
    #[inline]
    pub fn get(&self, handle: Handle) -> Option<&T> {
        self.0.get(slot(handle))?.as_ref().filter(|(owner, _)| *owner == handle).map(|(_, value)| value)
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        self.0.get_mut(slot(handle))?.as_mut().filter(|(owner, _)| *owner == handle).map(|(_, value)| value)
    }

    /// Puts a value in; whatever is in the slot, of any tenant, goes. Slots above [`MAX_ENGINES`] take nothing.
    pub fn insert(&mut self, handle: Handle, value: T) {
        let slot = slot(handle);
        if slot > MAX_ENGINES {
            return;
        }
        if self.0.len() <= slot {
            self.0.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.0.get_mut(slot) {
            *place = Some((handle, value));
        }
    }

    /// Takes the value of this handle out.
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        self.0.get_mut(slot(handle))?.take_if(|(owner, _)| *owner == handle).map(|(_, value)| value)
    }

    /// Who is in the slot of this handle, of any tenant.
    pub fn tenant(&self, handle: Handle) -> Option<Handle> {
        self.0.get(slot(handle))?.as_ref().map(|(owner, _)| *owner)
    }

    /// All of them, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (Handle, &T)> {
        self.0.iter().flatten().map(|(handle, value)| (*handle, value))
    }
}

/// The place of a handle's values: its lower half; the upper one says which tenant.
fn slot(handle: Handle) -> usize {
    usize::from((handle.0 & 0xffff) as u16)
}

#[cfg(test)]
mod tests;
