//! The slot pool as scripts, and under random events.

use hurtig_cluster_api::SlotId;
use hurtig_graph::{JobConfig, JobVertex};
use hurtig_types::{JobId, JobVertexId};
use proptest::prelude::*;

use super::*;

/// A vertex per width, all in one group.
fn graph(widths: &[u32]) -> JobGraph {
    let vertex = |(id, width): (usize, &u32)| JobVertex {
        id: JobVertexId(id as u128),
        name: format!("v{id}"),
        parallelism: *width,
        max_parallelism: 128,
        max_parallelism_derived: true,
        max_allowed_parallelism: None,
        slot_sharing_group: "default".to_owned(),
        co_location_key: None,
        blocking: false,
        operators: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    };
    JobGraph {
        job_id: JobId(1),
        name: "job".into(),
        vertices: widths.iter().enumerate().map(vertex).collect(),
        config: JobConfig::default(),
    }
}

fn slot_on(resource: u128, allocation: u128) -> PhysicalSlot {
    let resource = ResourceId(resource);
    let allocation = AllocationId(allocation);
    PhysicalSlot {
        offer: SlotOffer { allocation, slot: SlotId { resource, index: 0 } },
        data_address: PeerAddress { resource, address: "here".into() },
    }
}

/// A slot on a TaskExecutor of its own.
fn slot(allocation: u128) -> PhysicalSlot {
    slot_on(allocation, allocation)
}

fn takes(pool: &mut SlotPool, slot: PhysicalSlot) -> bool {
    pool.offer(slot, 0) != Offered::Refused
}

fn lose(pool: &mut SlotPool, allocation: u128) -> bool {
    pool.lose(AllocationId(allocation)).is_some()
}

fn grants(pool: &SlotPool) -> Vec<Option<u128>> {
    let shared = pool.groups.iter().flat_map(|(_, shared)| shared);
    shared.map(|shared| shared.slot.map(|allocation| allocation.0)).collect()
}

fn shared(index: u32) -> SharedSlotId {
    SharedSlotId { group: 0, index }
}

#[test]
fn a_slot_that_comes_back_serves_what_it_did_before() {
    let mut pool = SlotPool::new(&graph(&[3]));
    assert!([1, 2, 3].into_iter().all(|allocation| takes(&mut pool, slot(allocation))));
    for allocation in [1, 2, 3] {
        assert!(lose(&mut pool, allocation));
    }
    assert!(takes(&mut pool, slot(3)) && takes(&mut pool, slot(1)));
    assert_eq!(grants(&pool), [Some(1), None, Some(3)]);
    // Another takes the place of the one that stays away.
    assert!(takes(&mut pool, slot(4)));
    assert!(!takes(&mut pool, slot(2)));
    assert_eq!(grants(&pool), [Some(1), Some(4), Some(3)]);
}

#[test]
fn a_new_slot_goes_where_there_never_was_one() {
    let mut pool = SlotPool::new(&graph(&[2]));
    assert!(takes(&mut pool, slot(1)));
    assert!(lose(&mut pool, 1));
    assert!(takes(&mut pool, slot(2)));
    assert_eq!(grants(&pool), [None, Some(2)]);
    assert!(takes(&mut pool, slot(1)));
    assert_eq!(grants(&pool), [Some(1), Some(2)]);
}

#[test]
fn another_slot_of_the_same_task_executor_is_preferred() {
    let mut pool = SlotPool::new(&graph(&[3]));
    for (resource, allocation) in [(1, 1), (2, 2), (3, 3)] {
        assert!(takes(&mut pool, slot_on(resource, allocation)));
    }
    for allocation in [1, 2, 3] {
        assert!(lose(&mut pool, allocation));
    }
    for (resource, allocation) in [(3, 4), (2, 5), (9, 6)] {
        assert!(takes(&mut pool, slot_on(resource, allocation)));
    }
    assert_eq!(grants(&pool), [Some(6), Some(5), Some(4)]);
}

#[test]
fn a_slot_whose_subtasks_have_all_finished_is_returned_after_a_while() {
    let mut pool = SlotPool::new(&graph(&[2, 1]));
    assert!(takes(&mut pool, slot(1)) && takes(&mut pool, slot(2)));
    assert!(!pool.on_finished(shared(0), 10), "its other subtask still runs");
    assert!(pool.on_finished(shared(1), 20));
    assert!(pool.expire_idle(69, 50).is_empty());
    assert_eq!(pool.expire_idle(70, 50), [slot(2).offer]);
    assert_eq!((pool.required(), pool.missing()), (1, 0));
    // A restart needs a slot again, and prefers the one of before.
    assert!(pool.on_started_over(shared(1)));
    assert_eq!((pool.required(), pool.missing()), (2, 1));
    assert_eq!(pool.offer(slot(2), 80), Offered::Serves(shared(1)));
}

#[test]
fn a_slot_that_is_lost_when_all_has_finished_is_not_replaced() {
    let mut pool = SlotPool::new(&graph(&[2]));
    assert!(takes(&mut pool, slot(1)) && takes(&mut pool, slot(2)));
    pool.on_finished(shared(0), 10);
    assert!(lose(&mut pool, 1));
    assert_eq!((pool.required(), pool.missing()), (1, 0));
    assert!(!takes(&mut pool, slot(3)));
}

#[test]
fn a_pool_that_collects_serves_nothing_until_it_is_arranged() {
    let mut pool = SlotPool::new(&graph(&[1]));
    pool.collect(4);
    for allocation in 1..=4 {
        assert_eq!(pool.offer(slot(allocation), 0), Offered::Free);
    }
    assert!(!takes(&mut pool, slot(5)));
    assert!(pool.arrange(&graph(&[3]), false, 7));
    assert_eq!(grants(&pool).iter().flatten().count(), 3);
    assert!(!pool.arrange(&graph(&[5]), false, 7), "five do not fit on four");
}

#[test]
fn another_parallelism_leaves_slots_where_they_were() {
    let mut pool = SlotPool::new(&graph(&[1]));
    pool.collect(4);
    for (resource, allocation) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
        pool.offer(slot_on(resource, allocation), 0);
    }
    assert!(pool.arrange(&graph(&[4]), false, 0));
    let before = grants(&pool);
    assert!(pool.arrange(&graph(&[2]), false, 0));
    assert_eq!(grants(&pool), before[..2]);
    // Who was served last is forgotten with its place; the others stay where they are.
    assert!(pool.arrange(&graph(&[4]), false, 0));
    assert_eq!(grants(&pool)[..2], before[..2]);
    pool.set_target(3);
    let returned = pool.expire_idle(1_000, 50);
    assert!(returned.is_empty(), "all of them serve: {returned:?}");
    assert!(pool.arrange(&graph(&[3]), false, 1_000));
    assert_eq!(pool.expire_idle(1_050, 50).len(), 1);
    assert_eq!(pool.len(), 3);
}

#[test]
fn spare_slots_are_on_one_task_executor_or_on_all() {
    let resources = |evenly| {
        let mut pool = SlotPool::new(&graph(&[1]));
        pool.collect(4);
        for (resource, allocation) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
            pool.offer(slot_on(resource, allocation), 0);
        }
        assert!(pool.arrange(&graph(&[2]), evenly, 0));
        let served = (0..2).filter_map(|index| pool.slot_for(0, index));
        served.map(|slot| slot.offer.slot.resource.0).collect::<BTreeSet<_>>().len()
    };
    assert_eq!((resources(false), resources(true)), (1, 2));
}

fn balanced(mut graph: JobGraph) -> JobGraph {
    graph.config.balance_tasks = true;
    graph
}

/// Tasks on each TaskExecutor.
fn tasks(pool: &SlotPool, graph: &JobGraph) -> BTreeMap<u128, u32> {
    let mut tasks = BTreeMap::new();
    for (position, vertex) in graph.vertices.iter().enumerate() {
        for subtask in 0..vertex.parallelism {
            let slot = pool.slot_for(position, subtask);
            let resource = slot.map_or(0, |slot| slot.offer.slot.resource.0);
            *tasks.entry(resource).or_default() += 1;
        }
    }
    tasks
}

#[test]
fn narrow_vertices_go_round_where_tasks_are_balanced() {
    let indices = |graph: &JobGraph| {
        let placement = Placement::of(graph);
        let first = |position| placement.shared_of(position, 0).map(|shared| shared.index);
        (0..graph.vertices.len()).map(first).collect::<Vec<_>>()
    };
    let mut uneven = graph(&[4, 1, 2, 1, 4, 3]);
    assert_eq!(indices(&uneven), [Some(0); 6]);
    uneven.config.balance_tasks = true;
    assert_eq!(indices(&uneven), [0, 0, 1, 3, 0, 0].map(Some));
    let placement = Placement::of(&uneven);
    assert_eq!(placement.shared_of(2, 1).map(|shared| shared.index), Some(2));
    // Those that must be together are.
    uneven.vertices[1].co_location_key = Some("together".into());
    uneven.vertices[3].co_location_key = Some("together".into());
    assert_eq!(indices(&uneven), [0, 0, 1, 0, 0, 3].map(Some));
}

#[test]
fn task_executors_get_equal_numbers_of_tasks() {
    let offer_all = |graph: &JobGraph| {
        let mut pool = SlotPool::new(graph);
        let mut served = 0;
        for (resource, allocation) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
            assert!(takes(&mut pool, slot_on(resource, allocation)));
            served += pool.serve_waiting().len();
        }
        assert_eq!(pool.unserved.len(), 0);
        (served, tasks(&pool, graph))
    };
    let uneven = graph(&[4, 1, 1, 4]);
    assert_eq!(offer_all(&uneven), (0, BTreeMap::from([(1, 6), (2, 4)])));
    assert_eq!(offer_all(&balanced(uneven)), (4, BTreeMap::from([(1, 5), (2, 5)])));
}

#[test]
fn where_tasks_are_balanced_a_lost_slot_is_replaced_and_the_others_stay() {
    let graph = balanced(graph(&[3, 1]));
    let mut pool = SlotPool::new(&graph);
    for (resource, allocation) in [(1, 1), (2, 2), (3, 3)] {
        assert_eq!(pool.offer(slot_on(resource, allocation), 0), Offered::Free);
    }
    assert_eq!(pool.serve_waiting().len(), 3);
    let before = grants(&pool);
    assert!(lose(&mut pool, 1) && lose(&mut pool, 2));
    assert!(takes(&mut pool, slot_on(4, 4)));
    assert_eq!(pool.serve_waiting(), [], "one is missing still");
    // What comes back serves what it did before.
    assert!(takes(&mut pool, slot_on(1, 1)));
    assert_eq!(pool.serve_waiting().len(), 2);
    let kept = before.iter().zip(grants(&pool)).filter(|(before, after)| *before == after);
    assert_eq!(kept.count(), 2);
    assert!(!pool.has_idle());
}

#[test]
fn an_elastic_job_balances_tasks_over_all_its_slots() {
    let uneven = balanced(graph(&[2, 1, 1]));
    let mut pool = SlotPool::new(&balanced(graph(&[1])));
    pool.collect(4);
    for (resource, allocation) in [(1, 1), (1, 2), (2, 3), (2, 4)] {
        pool.offer(slot_on(resource, allocation), 0);
    }
    assert_eq!(pool.serve_waiting(), [], "it only collects");
    assert!(pool.arrange(&uneven, false, 0));
    assert_eq!(tasks(&pool, &uneven), BTreeMap::from([(1, 2), (2, 2)]));
}

proptest! {
    /// Whatever is offered and lost: what has a slot keeps it until that is lost, and a slot is
    /// refused only if none is missing.
    #[test]
    fn what_has_a_slot_keeps_it(events in prop::collection::vec((any::<bool>(), 0u128..6), 0..40)) {
        let mut pool = SlotPool::new(&graph(&[4]));
        for (offered, allocation) in events {
            let before = grants(&pool);
            if offered {
                let (known, full) = (before.contains(&Some(allocation)), pool.missing() == 0);
                prop_assert_eq!(takes(&mut pool, slot(allocation)), known || !full);
                let kept = before.iter().zip(grants(&pool)).all(|(b, a)| b.is_none() || *b == a);
                prop_assert!(kept);
            } else {
                lose(&mut pool, allocation);
                let left = before.iter().map(|b| b.filter(|b| *b != allocation));
                prop_assert!(left.eq(grants(&pool)));
            }
        }
    }

    /// However often it is arranged for whatever width: everything is served by a slot of its own.
    #[test]
    fn everything_is_served_once(widths in prop::collection::vec(1u32..12, 1..8), slots in 1u128..12) {
        let mut pool = SlotPool::new(&graph(&[1]));
        pool.collect(slots as usize);
        for allocation in 0..slots {
            pool.offer(slot_on(allocation % 3, allocation), 0);
        }
        for width in widths {
            let fits = u128::from(width) <= slots;
            prop_assert_eq!(pool.arrange(&graph(&[width]), width % 2 == 0, 0), fits);
            let served: BTreeSet<_> = grants(&pool).into_iter().flatten().collect();
            prop_assert_eq!(served.len() as u128, slots.min(u128::from(width)));
        }
    }
}
