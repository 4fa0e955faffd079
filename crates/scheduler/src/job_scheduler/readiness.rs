//! Which regions have all the slots that they need. Kept by counting, so that neither an offer nor
//! a loss looks at all subtasks.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    execution_graph::ExecutionGraph,
    slot_pool::{SharedSlotId, SlotPool},
};

#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    /// Regions that need a shared slot.
    regions_of: BTreeMap<SharedSlotId, Vec<usize>>,
    /// Shared slots that each region lacks.
    lacking: Vec<usize>,
    /// Regions of which a subtask waits to be deployed, and those of them that lack nothing.
    waiting: BTreeSet<usize>,
    ready: BTreeSet<usize>,
}

impl Readiness {
    pub(super) fn new(graph: &ExecutionGraph, pool: &SlotPool) -> Self {
        let mut regions_of: BTreeMap<SharedSlotId, Vec<usize>> = BTreeMap::new();
        let mut lacking = vec![0; graph.regions().len()];
        for (region, members) in graph.regions().iter().enumerate() {
            let shared = members.iter().filter_map(|index| {
                let attempt = graph.execution(*index).attempt;
                pool.shared_of(graph.position_of(attempt.vertex)?, attempt.subtask)
            });
            for id in shared.collect::<BTreeSet<_>>() {
                lacking[region] += usize::from(!pool.is_served(id));
                regions_of.entry(id).or_default().push(region);
            }
        }
        Self { regions_of, lacking, ..Self::default() }
    }

    /// A region has been scheduled.
    pub(super) fn wait(&mut self, region: usize) {
        self.waiting.insert(region);
        if self.lacking[region] == 0 {
            self.ready.insert(region);
        }
    }

    /// A shared slot has got a slot.
    pub(crate) fn served(&mut self, id: SharedSlotId) {
        for region in self.regions_of.get(&id).into_iter().flatten() {
            self.lacking[*region] -= 1;
            if self.lacking[*region] == 0 && self.waiting.contains(region) {
                self.ready.insert(*region);
            }
        }
    }

    /// A shared slot has lost its slot.
    pub(super) fn lost(&mut self, id: SharedSlotId) {
        for region in self.regions_of.get(&id).into_iter().flatten() {
            self.lacking[*region] += 1;
            self.ready.remove(region);
        }
    }

    /// Takes the regions that wait and lack nothing.
    pub(super) fn take_ready(&mut self) -> BTreeSet<usize> {
        let ready = std::mem::take(&mut self.ready);
        ready.iter().for_each(|region| {
            self.waiting.remove(region);
        });
        ready
    }

    /// True if a region waits for slots.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}
