//! Handles of list states.

use std::marker::PhantomData;

use hurtig_types::Record;

use super::{List, OperatorStateStore};
use crate::store::StateError;

/// Handle of a list of one subtask.
pub struct OperatorListState<T> {
    slot: usize,
    types: PhantomData<fn() -> T>,
}

impl<T> Clone for OperatorListState<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for OperatorListState<T> {}

impl<T: Record> OperatorListState<T> {
    pub(super) fn new(slot: usize) -> Self {
        Self { slot, types: PhantomData }
    }

    /// The elements.
    pub fn get<'a>(&self, store: &'a OperatorStateStore) -> Result<&'a [T], StateError> {
        Ok(&store.state::<List<T>>(self.slot)?.0)
    }

    /// Adds an element.
    pub fn add(&self, store: &mut OperatorStateStore, element: T) -> Result<(), StateError> {
        store.state_mut::<List<T>>(self.slot)?.0.push(element);
        Ok(())
    }

    /// Adds elements, in order.
    pub fn add_all(
        &self,
        store: &mut OperatorStateStore,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        store.state_mut::<List<T>>(self.slot)?.0.extend(elements);
        Ok(())
    }

    /// Replaces all elements.
    pub fn update(
        &self,
        store: &mut OperatorStateStore,
        elements: Vec<T>,
    ) -> Result<(), StateError> {
        store.state_mut::<List<T>>(self.slot)?.0 = elements;
        Ok(())
    }

    /// Takes all elements out.
    pub fn clear(&self, store: &mut OperatorStateStore) -> Result<Vec<T>, StateError> {
        Ok(std::mem::take(&mut store.state_mut::<List<T>>(self.slot)?.0))
    }
}
