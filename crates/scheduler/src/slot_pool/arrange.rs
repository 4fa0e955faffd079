//! What slots serve is decided anew: at the start, and when an elastic job changes its parallelism.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use hurtig_graph::JobGraph;
use hurtig_types::ResourceId;

use super::{Placement, Served, Shared, SharedSlotId, SlotPool, Unserved};

/// Which TaskExecutors are chosen, where there is a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// As few as can be.
    Few,
    /// Those with the fewest slots in use.
    Slots,
    /// Those with the fewest tasks.
    Tasks,
}

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
        self.placement = Placement::of(graph);
        self.balance_tasks = graph.config.balance_tasks;
        let group = |(name, width): &(String, u32)| {
            (name.clone(), vec![Shared::default(); *width as usize])
        };
        self.groups = self.placement.groups().iter().map(group).collect();
        for (position, vertex) in graph.vertices.iter().enumerate() {
            for subtask in 0..vertex.parallelism {
                let id = self.placement.shared_of(position, subtask);
                if let Some(shared) = id.and_then(|id| self.shared_mut(id)) {
                    shared.tasks += 1;
                    shared.unfinished += 1;
                }
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
        let spread = match (graph.config.balance_tasks, evenly) {
            (true, _) => Spread::Tasks,
            (false, true) => Spread::Slots,
            (false, false) => Spread::Few,
        };
        self.assign(spread);
        self.unserved.is_empty()
    }

    /// Where tasks are balanced: what the slots serve that wait, once there are enough of them. Tells
    /// what has got one.
    pub fn serve_waiting(&mut self) -> Vec<SharedSlotId> {
        let waiting = self.unserved.len();
        if !self.balance_tasks || self.collecting || waiting == 0 {
            return Vec::new();
        }
        let free = self.slots.values().filter(|pooled| pooled.serves.is_none()).count();
        if free < waiting { Vec::new() } else { self.assign(Spread::Tasks) }
    }

    /// Lets slots that serve nothing serve what waits: first what does not change, then what stays
    /// on its TaskExecutor, then by `spread`.
    fn assign(&mut self, spread: Spread) -> Vec<SharedSlotId> {
        let mut free: BTreeMap<ResourceId, Vec<Served>> = BTreeMap::new();
        let mut used: BTreeMap<ResourceId, u32> = BTreeMap::new();
        for pooled in self.slots.values() {
            let offer = pooled.slot.offer;
            let by = Served { allocation: offer.allocation, resource: offer.slot.resource };
            match pooled.serves {
                None => free.entry(by.resource).or_default().push(by),
                Some(id) => *used.entry(by.resource).or_default() += self.weight(id, spread),
            }
        }
        let mut served = Vec::new();
        let mut serve = |pool: &mut Self, id: SharedSlotId, by: Served| {
            *used.entry(by.resource).or_default() += pool.weight(id, spread);
            pool.serve(id, by);
            served.push(id);
        };
        for slots in free.values_mut() {
            slots.retain(|by| match self.unserved.by_allocation(by.allocation) {
                Some(id) => {
                    serve(self, id, *by);
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
                serve(self, id, by);
            }
        }
        let mut waiting = self.unserved.in_order();
        // What weighs most goes first: the rest evens out what it has left uneven.
        waiting.sort_by_key(|id| Reverse(self.weight(*id, spread)));
        for id in waiting {
            let with_room = free.iter().filter(|(_, slots)| !slots.is_empty());
            let load = |resource: &ResourceId| used.get(resource).copied().unwrap_or(0);
            let resource = match spread {
                // Where most is used already, and there most can be.
                Spread::Few => with_room
                    .max_by_key(|(resource, slots)| (load(resource) > 0, slots.len()))
                    .map(|(resource, _)| *resource),
                Spread::Slots | Spread::Tasks => with_room
                    .min_by_key(|(resource, _)| load(resource))
                    .map(|(resource, _)| *resource),
            };
            let Some(resource) = resource else { break };
            let Some(by) = free.get_mut(&resource).and_then(Vec::pop) else { break };
            *used.entry(resource).or_default() += self.weight(id, spread);
            self.serve(id, by);
            served.push(id);
        }
        served
    }

    /// What a shared slot counts for, where loads are compared.
    fn weight(&self, id: SharedSlotId, spread: Spread) -> u32 {
        match spread {
            Spread::Few | Spread::Slots => 1,
            Spread::Tasks => self.shared(id).map_or(0, |shared| shared.tasks),
        }
    }
}
