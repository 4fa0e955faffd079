//! What slots serve is decided anew: at the start, and when an elastic job changes its parallelism.

use std::collections::{BTreeMap, HashMap};

use hurtig_graph::JobGraph;
use hurtig_types::ResourceId;

use super::{Served, Shared, SharedSlotId, SlotPool, Unserved};

impl SlotPool {
    /// Takes over the needs of a graph. Who served what is remembered, and nothing is served.
    pub(super) fn lay_out(&mut self, graph: &JobGraph) {
        let mut before: HashMap<(String, u32), Served> = HashMap::new();
        for (name, shared) in &self.groups {
            for (index, shared) in shared.iter().enumerate() {
                if let Some(served) = shared.before {
                    before.insert((name.clone(), index as u32), served);
                }
            }
        }
        let mut positions: HashMap<&str, usize> = HashMap::new();
        self.groups.clear();
        self.group_of.clear();
        for vertex in &graph.vertices {
            let name = vertex.slot_sharing_group.as_str();
            let group = *positions.entry(name).or_insert_with(|| {
                self.groups.push((name.to_owned(), Vec::new()));
                self.groups.len() - 1
            });
            self.group_of.push(group as u32);
            let shared = &mut self.groups[group].1;
            let width = shared.len().max(vertex.parallelism as usize);
            shared.resize_with(width, Shared::default);
            for shared in &mut shared[..vertex.parallelism as usize] {
                shared.unfinished += 1;
            }
        }
        self.unserved = Unserved::default();
        for (group, (name, shared)) in self.groups.iter_mut().enumerate() {
            for (index, shared) in shared.iter_mut().enumerate() {
                let id = SharedSlotId { group: group as u32, index: index as u32 };
                shared.before = before.get(&(name.clone(), index as u32)).copied();
                self.unserved.insert(id, shared.before);
            }
        }
    }

    /// The job wants to have that many slots, more than it serves at the moment. From now on they
    /// are only collected, until [`SlotPool::arrange`].
    pub fn collect(&mut self, target: usize) {
        self.target = target;
        self.collecting = true;
    }

    /// The job wants to have another number of slots.
    pub fn set_target(&mut self, target: usize) {
        self.target = target;
    }

    /// Distributes the slots over the needs of a graph, with as little change as possible. Slots
    /// that are not needed are free; `evenly` leaves them on all TaskExecutors, otherwise on as few
    /// as can be, so that whole TaskExecutors can go. False if there are too few slots.
    pub fn arrange(&mut self, graph: &JobGraph, evenly: bool, now_ms: i64) -> bool {
        self.lay_out(graph);
        self.collecting = true;
        for pooled in self.slots.values_mut() {
            pooled.serves = None;
            pooled.idle_since_ms.get_or_insert(now_ms);
        }
        let mut free: BTreeMap<ResourceId, Vec<Served>> = BTreeMap::new();
        for pooled in self.slots.values() {
            let offer = pooled.slot.offer;
            let by = Served { allocation: offer.allocation, resource: offer.slot.resource };
            free.entry(by.resource).or_default().push(by);
        }
        // First what does not change, then what stays on its TaskExecutor.
        let mut used: BTreeMap<ResourceId, usize> = BTreeMap::new();
        for (resource, slots) in &mut free {
            slots.retain(|by| match self.unserved.by_allocation(by.allocation) {
                Some(id) => {
                    self.serve(id, *by);
                    *used.entry(*resource).or_default() += 1;
                    false
                }
                None => true,
            });
        }
        for (resource, slots) in &mut free {
            while !slots.is_empty()
                && let Some(id) = self.unserved.by_resource(*resource)
                && let Some(by) = slots.pop()
            {
                self.serve(id, by);
                *used.entry(*resource).or_default() += 1;
            }
        }
        while let Some(id) = self.unserved.any() {
            let with_room = free.iter().filter(|(_, slots)| !slots.is_empty());
            let load = |resource: &ResourceId| used.get(resource).copied().unwrap_or(0);
            let resource = if evenly {
                with_room.min_by_key(|(resource, _)| load(resource)).map(|(resource, _)| *resource)
            } else {
                // Where most is used already, and there most can be.
                with_room
                    .max_by_key(|(resource, slots)| (load(resource) > 0, slots.len()))
                    .map(|(resource, _)| *resource)
            };
            let Some(resource) = resource else { return false };
            let Some(by) = free.get_mut(&resource).and_then(Vec::pop) else { return false };
            self.serve(id, by);
            *used.entry(resource).or_default() += 1;
        }
        true
    }
}
