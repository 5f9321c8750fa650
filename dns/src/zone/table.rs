//! The names of a zone, found by hash, copied on write by part.
//!
//! The nodes are spread over a power of two of shards, and these over groups. A copy of the table shares all of them; a
//! write copies the one group and the one shard it falls into, if they are shared. So a new version of a zone of a million
//! names costs a copy of a list of groups and a few hundred pointers for each name that changed.

use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::Node;
use crate::name::{MAX_LEN, NameRef};

/// Nodes a shard has on average when the table grows: what one write copies.
const SHARD_LEN: usize = 256;
/// Shards of a group at most: a zone of a million names has about as many groups.
const GROUP_LEN: usize = 64;
/// The bits of the hash that choose the shard begin here: the lowest and the highest choose the place within it.
const SHARD_SHIFT: u32 = 24;

#[derive(Clone)]
pub(super) struct Table {
    /// All of one length; more than one when they are full.
    groups: Vec<Arc<Group>>,
    len: usize,
    hasher: RandomState,
}

type Group = Vec<Arc<Shard>>;
type Shard = HashTable<Arc<Node>>;

impl Table {
    pub(super) fn new() -> Self {
        Self { groups: groups(vec![Shard::default()]), len: 0, hasher: RandomState::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, name: NameRef<'_>) -> Option<&Node> {
        let hash = self.hash(name);
        self.shard(hash).find(hash, |node| node.name() == name).map(Arc::as_ref)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.shards().flat_map(|shard| shard.iter()).map(Arc::as_ref)
    }

    /// Puts a node in the place of the one with its name, if any.
    pub(super) fn put(&mut self, node: Node) {
        let hash = self.hash(node.name());
        let shard = shard_mut(&mut self.groups, hash);
        if let Some(place) = shard.find_mut(hash, |other| other.name() == node.name()) {
            *place = Arc::new(node);
            return;
        }
        let hasher = &self.hasher;
        shard.insert_unique(hash, Arc::new(node), |node| hash_of(hasher, node.name()));
        self.len += 1;
        if self.len > self.shard_count() * SHARD_LEN {
            self.grow();
        }
    }

    /// Changes the node of a name, if there is one: in its place when no other zone has it.
    pub(super) fn change(&mut self, name: NameRef<'_>, change: impl FnOnce(&mut Node)) -> bool {
        let hash = self.hash(name);
        if self.shard(hash).find(hash, |node| node.name() == name).is_none() {
            return false;
        }
        let node = shard_mut(&mut self.groups, hash).find_mut(hash, |node| node.name() == name);
        node.map(|node| change(Arc::make_mut(node))).is_some()
    }

    pub(super) fn remove(&mut self, name: NameRef<'_>) {
        let hash = self.hash(name);
        if let Ok(entry) = shard_mut(&mut self.groups, hash).find_entry(hash, |node| node.name() == name) {
            entry.remove();
            self.len -= 1;
        }
    }

    /// Spreads the nodes over four times the shards.
    fn grow(&mut self) {
        let mut shards = vec![Shard::default(); self.shard_count() * 4];
        let last = shards.len() - 1;
        for node in self.shards().flat_map(|shard| shard.iter()) {
            let hash = self.hash(node.name());
            let shard = &mut shards[number(hash) & last];
            shard.insert_unique(hash, node.clone(), |node| self.hash(node.name()));
        }
        self.groups = groups(shards);
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.groups.iter().flat_map(|group| group.iter()).map(Arc::as_ref)
    }

    fn shard_count(&self) -> usize {
        self.groups.iter().map(|group| group.len()).sum()
    }

    fn shard(&self, hash: u64) -> &Shard {
        let (group, shard) = place(&self.groups, hash);
        &self.groups[group][shard]
    }

    fn hash(&self, name: NameRef<'_>) -> u64 {
        hash_of(&self.hasher, name)
    }
}

/// The shards, in groups.
fn groups(shards: Vec<Shard>) -> Vec<Arc<Group>> {
    let mut shards = shards.into_iter().map(Arc::new).peekable();
    let groups = std::iter::from_fn(|| shards.peek().is_some().then(|| shards.by_ref().take(GROUP_LEN).collect()));
    groups.map(Arc::new).collect()
}

/// The shard for a hash, as nobody else has it.
fn shard_mut(groups: &mut [Arc<Group>], hash: u64) -> &mut Shard {
    let (group, shard) = place(groups, hash);
    Arc::make_mut(&mut Arc::make_mut(&mut groups[group])[shard])
}

/// The group and the shard in it for a hash.
fn place(groups: &[Arc<Group>], hash: u64) -> (usize, usize) {
    let (number, len) = (number(hash), groups[0].len());
    // Both are powers of two.
    ((number / len) & (groups.len() - 1), number & (len - 1))
}

/// The part of a hash that chooses the shard.
fn number(hash: u64) -> usize {
    (hash >> SHARD_SHIFT) as usize
}

fn hash_of(hasher: &RandomState, name: NameRef<'_>) -> u64 {
    hasher.hash_one(name.lowered(&mut [0; MAX_LEN]))
}
