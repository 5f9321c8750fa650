//! The engines of another node, as it has told them.

use std::collections::BTreeMap;

use super::{ByHandle, Change, Difference, Engine, Known, MAX_ENGINES, News, TableError, slot};
use crate::transport::EngineId;
use crate::wire::frame::Handle;

/// What another node has said of its engines.
#[derive(Clone, Debug, Default)]
pub struct Foreign {
    known: Known,
    engines: ByHandle<Engine>,
    ids: BTreeMap<EngineId, Handle>,
}

impl Foreign {
    /// Takes what the node says now, and adds to `news` what really changed: an engine that was known and is told again
    /// is no news.
    ///
    /// # Errors
    /// When it cannot be true. Then the node is not to be believed: nothing is known of it any more, and `news` says so.
    pub fn apply(&mut self, difference: Difference, news: &mut Vec<News>) -> Result<(), TableError> {
        let applied = self.try_apply(difference, news);
        if applied.is_err() {
            self.clear(news);
        }
        applied
    }

    /// Nothing is known any more.
    pub fn clear(&mut self, news: &mut Vec<News>) {
        let old = std::mem::take(self);
        news.extend(old.engines.iter().map(|(handle, engine)| News::Went(handle, engine.clone())));
    }

    /// How far it is known.
    pub fn known(&self) -> Known {
        self.known
    }

    /// The engine of this handle.
    #[inline]
    pub fn get(&self, handle: Handle) -> Option<&Engine> {
        self.engines.get(handle)
    }

    /// All of them, by slot.
    pub fn engines(&self) -> impl Iterator<Item = (Handle, &Engine)> {
        self.engines.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    fn try_apply(&mut self, difference: Difference, news: &mut Vec<News>) -> Result<(), TableError> {
        let Difference { from, to, changes } = difference;
        if to.incarnation == 0 || to.version < from {
            return Err(TableError::Version);
        }
        if from == 0 {
            self.keep_only(&changes, news);
        } else if from != self.known.version || to.incarnation != self.known.incarnation {
            return Err(TableError::Version);
        }
        for change in changes {
            match change {
                Change::Forget(handle) => self.forget(handle, news).ok_or(TableError::Malformed)?,
                Change::Learn(handle, engine) => self.learn(handle, engine, news)?,
            }
        }
        self.known = to;
        Ok(())
    }

    /// Before all are told again: forgets those that are not told, or told otherwise.
    fn keep_only(&mut self, told: &[Change], news: &mut Vec<News>) {
        let mut again = ByHandle::default();
        for change in told {
            if let Change::Learn(handle, engine) = change {
                again.insert(*handle, engine);
            }
        }
        let differs = |handle, engine: &Engine| again.get(handle).is_none_or(|told: &&Engine| *told != engine);
        let gone = self.engines.iter().filter(|(handle, engine)| differs(*handle, engine)).map(|(handle, _)| handle);
        for handle in gone.collect::<Vec<_>>() {
            let _ = self.forget(handle, news);
        }
    }

    fn forget(&mut self, handle: Handle, news: &mut Vec<News>) -> Option<()> {
        let engine = self.engines.remove(handle)?;
        self.ids.remove(&engine.id);
        news.push(News::Went(handle, engine));
        Some(())
    }

    fn learn(&mut self, handle: Handle, engine: Engine, news: &mut Vec<News>) -> Result<(), TableError> {
        if self.engines.get(handle) == Some(&engine) {
            return Ok(());
        }
        if !(1..=MAX_ENGINES).contains(&slot(handle)) || self.engines.tenant(handle).is_some() {
            return Err(TableError::Malformed);
        }
        if self.ids.contains_key(&engine.id) {
            return Err(TableError::Id);
        }
        self.ids.insert(engine.id, handle);
        self.engines.insert(handle, engine.clone());
        news.push(News::Came(handle, engine));
        Ok(())
    }
}
