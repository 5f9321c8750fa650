//! Ids and names to places, over all nodes that are known.
//!
//! Two nodes may have an engine of one name, or, while a service moves, of one id. All claims are kept. An own engine
//! goes first, then the one at the node with the lowest id: so all nodes that know the same take the same, in whatever
//! order they learned it; when that one goes, the next takes its place.
//!
//! Its size is that of the tables it is made of.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, News};
use crate::identity::Name;
use crate::transport::EngineId;
use crate::units::NodeId;
use crate::wire::frame::Handle;

/// Where an engine is; the preferred one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// At this node.
    Here(Handle),
    /// At another.
    At(NodeId, Handle),
}

impl Place {
    fn of(node: Option<NodeId>, handle: Handle) -> Place {
        node.map_or(Place::Here(handle), |node| Place::At(node, handle))
    }
}

/// Where the engines of an id or a name are.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    ids: BTreeMap<EngineId, BTreeSet<Place>>,
    names: BTreeMap<Name, BTreeSet<Place>>,
}

impl Directory {
    /// Takes news of an engine at a node, none being this one.
    pub fn apply(&mut self, node: Option<NodeId>, news: &News) {
        match news {
            News::Came(handle, engine) => self.put(Place::of(node, *handle), engine),
            News::Went(handle, engine) => self.take(Place::of(node, *handle), engine),
        }
    }

    /// Where the engine of this id is.
    pub fn by_id(&self, id: EngineId) -> Option<Place> {
        self.ids.get(&id).and_then(BTreeSet::first).copied()
    }

    /// Where the engine of this name is.
    pub fn by_name(&self, name: &Name) -> Option<Place> {
        self.names.get(name).and_then(BTreeSet::first).copied()
    }

    /// All that claim this name, the preferred one first; more than one is a conflict that people want to know of.
    pub fn claims(&self, name: &Name) -> impl Iterator<Item = Place> + '_ {
        self.names.get(name).into_iter().flatten().copied()
    }

    /// How many ids are known.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn put(&mut self, place: Place, engine: &Engine) {
        self.ids.entry(engine.id).or_default().insert(place);
        if let Some(name) = &engine.name {
            self.names.entry(name.clone()).or_default().insert(place);
        }
    }

    fn take(&mut self, place: Place, engine: &Engine) {
        withdraw(&mut self.ids, &engine.id, place);
        if let Some(name) = &engine.name {
            withdraw(&mut self.names, name, place);
        }
    }
}

fn withdraw<K: Ord>(claims: &mut BTreeMap<K, BTreeSet<Place>>, key: &K, place: Place) {
    if let Some(places) = claims.get_mut(key) {
        places.remove(&place);
        if places.is_empty() {
            claims.remove(key);
        }
    }
}
