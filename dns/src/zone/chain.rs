//! Names in canonical order, copied on write by part.
//!
//! A list of runs, each a sorted list of at most [`RUN_LEN`] names: a copy shares all, a write copies the list and one run.

use std::sync::Arc;

use crate::name::{Name, NameRef};

/// The names of a run at most; it is split in two beyond.
const RUN_LEN: usize = 512;

#[derive(Clone, Default)]
pub(super) struct Chain(Arc<Vec<Arc<Vec<Name>>>>);

impl Chain {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last name that is not after `name`, around the beginning.
    pub(super) fn at_or_before(&self, name: NameRef<'_>) -> Option<NameRef<'_>> {
        self.last_of(|each| each <= name)
    }

    /// The last name before `name`, around the beginning.
    pub(super) fn before(&self, name: NameRef<'_>) -> Option<NameRef<'_>> {
        self.last_of(|each| each < name)
    }

    /// The last name that is one of the `low` ones, which come first; the last of all when there are none.
    fn last_of(&self, low: impl Fn(NameRef<'_>) -> bool) -> Option<NameRef<'_>> {
        let run = self.0.partition_point(|run| low(run[0].as_ref()));
        let found = match run.checked_sub(1) {
            Some(run) => {
                let run = &self.0[run];
                run.get(run.partition_point(|each| low(each.as_ref())) - 1)
            }
            None => self.0.last().and_then(|run| run.last()),
        };
        found.map(Name::as_ref)
    }

    /// The first name after `name`, around the end.
    pub(super) fn after(&self, name: NameRef<'_>) -> Option<NameRef<'_>> {
        let next = self.0.partition_point(|run| run.last().is_some_and(|last| last.as_ref() <= name));
        let run = self.0.get(next).or(self.0.first())?;
        let at = run.partition_point(|each| each.as_ref() <= name);
        run.get(at).or(run.first()).map(Name::as_ref)
    }

    pub(super) fn insert(&mut self, name: &Name) {
        let at = self.0.partition_point(|run| run[0] <= *name).saturating_sub(1);
        let Err(place) = self.0.get(at).map_or(Err(0), |run| run.binary_search(name)) else { return };
        let runs = Arc::make_mut(&mut self.0);
        let Some(run) = runs.get_mut(at) else { return runs.push(Arc::new(vec![name.clone()])) };
        let names = Arc::make_mut(run);
        names.insert(place, name.clone());
        if names.len() > RUN_LEN {
            let tail = names.split_off(RUN_LEN / 2);
            runs.insert(at + 1, Arc::new(tail));
        }
    }

    pub(super) fn remove(&mut self, name: &Name) {
        let Some(at) = self.0.partition_point(|run| run[0] <= *name).checked_sub(1) else { return };
        let Ok(place) = self.0[at].binary_search(name) else { return };
        let runs = Arc::make_mut(&mut self.0);
        let names = Arc::make_mut(&mut runs[at]);
        names.remove(place);
        if names.is_empty() {
            runs.remove(at);
        }
    }
}
