//! The engines of this node.

use std::collections::{BTreeMap, VecDeque};

use super::{ByHandle, Change, Difference, Engine, Known, MAX_ENGINES, TableError};
use crate::identity::Name;
use crate::transport::EngineId;
use crate::wire::frame::Handle;

/// Changes that are remembered, so that who was away for a while needs only those; about a megabyte.
pub const MAX_CHANGES: usize = 8_192;

/// The engines of this node, and what changed lately.
#[derive(Clone, Debug)]
pub struct Local {
    known: Known,
    engines: ByHandle<Engine>,
    ids: BTreeMap<EngineId, Handle>,
    names: BTreeMap<Name, Handle>,
    changes: VecDeque<Change>,
    /// Handles whose tenants have gone, the longest gone first.
    free: VecDeque<Handle>,
    slots: u32,
}

impl Local {
    /// No engines; `incarnation` differs from that of every earlier start and is not zero.
    pub fn new(incarnation: u64) -> Local {
        Local {
            known: Known { incarnation, version: 0 },
            engines: ByHandle::default(),
            ids: BTreeMap::new(),
            names: BTreeMap::new(),
            changes: VecDeque::new(),
            free: VecDeque::new(),
            slots: 0,
        }
    }

    /// An engine came.
    ///
    /// # Errors
    /// When there are too many, or one of its id or name; nothing was changed.
    pub fn learn(&mut self, engine: Engine) -> Result<Handle, TableError> {
        if self.ids.contains_key(&engine.id) {
            return Err(TableError::Id);
        }
        if engine.name.as_ref().is_some_and(|name| self.names.contains_key(name)) {
            return Err(TableError::Name);
        }
        let handle = self.vacant().ok_or(TableError::Full)?;
        self.ids.insert(engine.id, handle);
        if let Some(name) = &engine.name {
            self.names.insert(name.clone(), handle);
        }
        self.engines.insert(handle, engine.clone());
        self.remember(Change::Learn(handle, engine));
        Ok(handle)
    }

    /// An engine went; whether it was there.
    pub fn forget(&mut self, handle: Handle) -> bool {
        let Some(engine) = self.engines.remove(handle) else { return false };
        self.ids.remove(&engine.id);
        if let Some(name) = &engine.name {
            self.names.remove(name);
        }
        self.free.push_back(handle);
        self.remember(Change::Forget(handle));
        true
    }

    /// What is to be told to somebody who knows so much: what changed since, or all when that is not remembered.
    pub fn since(&self, known: Known) -> Difference {
        let missing = self.known.version.checked_sub(known.version).and_then(|missing| usize::try_from(missing).ok());
        let missing = missing.filter(|missing| {
            known.incarnation == self.known.incarnation && known.version > 0 && *missing <= self.changes.len()
        });
        let (from, changes) = match missing {
            Some(missing) => (known.version, self.changes.iter().skip(self.changes.len() - missing).cloned().collect()),
            None => (0, self.engines.iter().map(|(handle, engine)| Change::Learn(handle, engine.clone())).collect()),
        };
        Difference { from, to: self.known, changes }
    }

    /// The engine of this handle.
    pub fn get(&self, handle: Handle) -> Option<&Engine> {
        self.engines.get(handle)
    }

    /// All of them, by slot.
    pub fn engines(&self) -> impl Iterator<Item = (Handle, &Engine)> {
        self.engines.iter()
    }

    /// Where the engine of this id is.
    pub fn by_id(&self, id: EngineId) -> Option<Handle> {
        self.ids.get(&id).copied()
    }

    /// Which start of the router this is, and up to which change.
    pub fn known(&self) -> Known {
        self.known
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// A handle that nobody had. All slots are used before one is used again, the one that rested longest
    /// first: its next tenant is 65,536 tenants away from being mistaken for this one.
    fn vacant(&mut self) -> Option<Handle> {
        if self.ids.len() >= MAX_ENGINES {
            return None;
        }
        if usize::try_from(self.slots).ok()? < MAX_ENGINES {
            self.slots += 1;
            return Some(Handle(self.slots));
        }
        self.free.pop_front().map(|Handle(old)| Handle(old.wrapping_add(1 << 16)))
    }

    fn remember(&mut self, change: Change) {
        self.known.version += 1;
        if self.changes.len() >= MAX_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
    }
}
