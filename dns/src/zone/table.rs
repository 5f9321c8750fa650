//! The names of a zone, found by hash, copied on write by part.
//!
//! The nodes are spread over a power of two of shards. A copy of the table shares all of them; a write copies the one
//! shard it falls into, if it is shared. So a new version of a zone of a million names costs one copy of a list of shards
//! and a few hundred pointers for each name that changed.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Node;
use crate::name::{MAX_LEN, NameRef};

/// Nodes a shard has on average when the table grows: what one write copies.
const SHARD_LEN: usize = 256;
/// The bits of the hash that choose the shard begin here: the lowest and the highest choose the place within it.
const SHARD_SHIFT: u32 = 24;

#[derive(Clone)]
pub(super) struct Table {
    shards: Vec<Arc<Shard>>,
    len: usize,
    hasher: RandomState,
}

type Shard = HashTable<Arc<Node>>;

impl Table {
    pub(super) fn new() -> Self {
        Self { shards: vec![Arc::default()], len: 0, hasher: RandomState::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, name: NameRef<'_>) -> Option<&Node> {
        let hash = self.hash(name);
        self.shards[self.shard(hash)].find(hash, |node| node.name() == name).map(Arc::as_ref)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.shards.iter().flat_map(|shard| shard.iter()).map(Arc::as_ref)
    }

    /// Puts a node in the place of the one with its name, if any.
    pub(super) fn put(&mut self, node: Node) {
        let hash = self.hash(node.name());
        let shard = self.shard(hash);
        let shard = Arc::make_mut(&mut self.shards[shard]);
        if let Some(place) = shard.find_mut(hash, |other| other.name() == node.name()) {
            *place = Arc::new(node);
            return;
        }
        let hasher = &self.hasher;
        shard.insert_unique(hash, Arc::new(node), |node| hash_of(hasher, node.name()));
        self.len += 1;
        if self.len > self.shards.len() * SHARD_LEN {
            self.grow();
        }
    }

    /// Changes the node of a name, if there is one: in its place when no other zone has it.
    pub(super) fn change(&mut self, name: NameRef<'_>, change: impl FnOnce(&mut Node)) -> bool {
        let hash = self.hash(name);
        let shard = self.shard(hash);
        if self.shards[shard].find(hash, |node| node.name() == name).is_none() {
            return false;
        }
        let node = Arc::make_mut(&mut self.shards[shard]).find_mut(hash, |node| node.name() == name);
        node.map(|node| change(Arc::make_mut(node))).is_some()
    }

    pub(super) fn remove(&mut self, name: NameRef<'_>) {
        let hash = self.hash(name);
        let shard = self.shard(hash);
        if let Ok(entry) = Arc::make_mut(&mut self.shards[shard]).find_entry(hash, |node| node.name() == name) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// Spreads the nodes over four times the shards.
    fn grow(&mut self) {
        let mut larger =
            Self { shards: vec![Arc::default(); self.shards.len() * 4], len: self.len, hasher: self.hasher.clone() };
        for node in self.shards.iter().flat_map(|shard| shard.iter()) {
            let hash = larger.hash(node.name());
            let shard = larger.shard(hash);
            let hasher = &self.hasher;
            let shard = Arc::make_mut(&mut larger.shards[shard]);
            shard.insert_unique(hash, node.clone(), |node| hash_of(hasher, node.name()));
        }
        *self = larger;
    }

    fn hash(&self, name: NameRef<'_>) -> u64 {
        hash_of(&self.hasher, name)
    }

    fn shard(&self, hash: u64) -> usize {
        (hash >> SHARD_SHIFT) as usize & (self.shards.len() - 1)
    }
}

fn hash_of(hasher: &RandomState, name: NameRef<'_>) -> u64 {
    hasher.hash_one(name.lowered(&mut [0; MAX_LEN]))
}
