//! What is offered, and what becomes of it.

use hurtig_cluster_api::{SlotId, SlotOffer};
use hurtig_graph::{
    ChainedOperator, DistributionPattern, IntermediateDataSet, JobConfig, JobEdge, JobGraph,
    JobVertex, OperatorKind, ShipStrategy,
};
use hurtig_types::{EdgeId, JobId, OperatorId};

use super::*;

const JOB: JobId = JobId(1);
const LATEST: CheckpointId = CheckpointId(5);
/// Attempts of the new JobMaster are counted from here.
const FIRST: u32 = 1000;

fn vertex(id: u128, has_coordinator: bool) -> JobVertex {
    let operator = ChainedOperator {
        id: OperatorId(id),
        name: format!("o{id}"),
        uid: None,
        kind: OperatorKind::Source,
        has_coordinator,
        outputs: Vec::new(),
    };
    JobVertex {
        id: JobVertexId(id),
        name: format!("v{id}"),
        parallelism: 2,
        max_parallelism: 128,
        max_parallelism_derived: true,
        max_allowed_parallelism: None,
        slot_sharing_group: "default".to_owned(),
        co_location_key: None,
        blocking: false,
        operators: vec![operator],
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

/// A source with a coordinator, and a vertex behind it; two subtasks each, in one region.
fn scheduler() -> JobScheduler {
    let (ship, edge, pattern) = (ShipStrategy::Rebalance, EdgeId(0), DistributionPattern::AllToAll);
    let (mut a, mut b) = (vertex(1, true), vertex(2, false));
    let consumer = b.id;
    a.outputs = vec![IntermediateDataSet { edge, consumer, ship, pattern, buffer_timeout_ms: 1 }];
    b.inputs = vec![JobEdge { edge, producer: a.id, input_index: 0, ship, pattern }];
    let config = JobConfig::default();
    let graph = JobGraph { job_id: JOB, name: "job".into(), vertices: vec![a, b], config };
    JobScheduler::counting_from(FIRST, graph, 1, 0)
}

fn reclaim(scheduler: &JobScheduler) -> Reclaim {
    Reclaim::new(scheduler.graph(), Some(LATEST), true, &BTreeSet::new())
}

fn attempt(vertex: u128, subtask: u32, attempt: u32) -> ExecutionAttemptId {
    ExecutionAttemptId { job: JOB, vertex: JobVertexId(vertex), subtask, attempt }
}

fn task(vertex: u128, subtask: u32) -> SurvivingTask {
    SurvivingTask {
        attempt: attempt(vertex, subtask, 3),
        state: ExecutionState::Running,
        began: vec![LATEST],
        quiet_since: BTreeMap::new(),
        under_way: Vec::new(),
    }
}

/// The slot of that number, on a TaskExecutor of its own.
fn slot(number: u32, tasks: Vec<SurvivingTask>) -> (OccupiedSlot, PeerAddress) {
    let resource = ResourceId(u128::from(number));
    let offer = SlotOffer {
        allocation: AllocationId(u128::from(number)),
        slot: SlotId { resource, index: 0 },
    };
    (OccupiedSlot { offer, tasks }, PeerAddress { resource, address: format!("te{number}") })
}

fn offer(
    reclaim: &mut Reclaim,
    scheduler: &JobScheduler,
    number: u32,
    tasks: Vec<SurvivingTask>,
) -> Verdict {
    let (slot, address) = slot(number, tasks);
    reclaim.on_offer(&[slot], &address, scheduler.graph()).clone()
}

fn reason(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Restart(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// All is as it should be, but for what the test does to the tasks of the second slot.
fn verdict_with(change: impl FnOnce(&mut Vec<SurvivingTask>)) -> Verdict {
    let scheduler = scheduler();
    let mut reclaim = reclaim(&scheduler);
    offer(&mut reclaim, &scheduler, 0, vec![task(1, 0), task(2, 0)]);
    let mut second = vec![task(1, 1), task(2, 1)];
    change(&mut second);
    offer(&mut reclaim, &scheduler, 1, second)
}

#[test]
fn tasks_go_on_when_all_of_them_run() {
    let mut scheduler = scheduler();
    let mut reclaim = reclaim(&scheduler);
    let first = || vec![task(1, 0), task(2, 0)];
    assert_eq!(offer(&mut reclaim, &scheduler, 0, first()), Verdict::Wait);
    // An answer was lost.
    assert_eq!(offer(&mut reclaim, &scheduler, 0, first()), Verdict::Wait);
    let second = vec![task(1, 1), task(2, 1)];
    assert_eq!(offer(&mut reclaim, &scheduler, 1, second), Verdict::GoOn);
    let commands = scheduler.take_over(&reclaim, 10);
    assert!(
        matches!(
            commands[..],
            [Command::StatusChanged(JobStatus::Running), Command::DeclareSlots(2)]
        ),
        "{commands:?}"
    );
    for execution in scheduler.graph().executions() {
        assert_eq!((execution.attempt.attempt, execution.state), (3, ExecutionState::Running));
        let slot = AllocationId(u128::from(execution.attempt.subtask));
        assert_eq!(execution.allocation, Some(slot));
    }
    assert_eq!(scheduler.pool().missing(), 0);
    // A late repetition is accepted, since it says what is so.
    let (slot, address) = slot(0, vec![task(1, 0), task(2, 0)]);
    assert_eq!(scheduler.on_occupied_slots(&[slot], &address, 11).0, [AllocationId(0)]);
}

#[test]
fn tasks_restart_when_that_is_not_certain_to_be_right() {
    assert_eq!(verdict_with(|_| {}), Verdict::GoOn);
    let not_running = verdict_with(|tasks| tasks[1].state = ExecutionState::Finished);
    assert!(reason(&not_running).contains("is Finished"), "{not_running:?}");
    let spoken_to = |operator| {
        verdict_with(move |tasks| {
            tasks[0].quiet_since = BTreeMap::from([(OperatorId(operator), vec![CheckpointId(6)])]);
        })
    };
    let spoken = spoken_to(1);
    assert!(reason(&spoken).contains("a coordinator has spoken"), "{spoken:?}");
    assert_eq!(spoken_to(9), Verdict::GoOn, "that one's coordinator owns nothing");
    // Of a task without coordinator it makes no difference.
    assert_eq!(verdict_with(|tasks| tasks[1].began.clear()), Verdict::GoOn);
    let half = verdict_with(|tasks| tasks[1].attempt.attempt = 4);
    assert_eq!(reason(&half), "a region was being restarted");
    let twice = verdict_with(|tasks| tasks.push(task(1, 0)));
    assert_eq!(reason(&twice), "tasks do not share slots as they should");
    let stranger = verdict_with(|tasks| tasks[0].attempt.job = JobId(2));
    assert!(reason(&stranger).contains("is not of this job"), "{stranger:?}");
    let older = verdict_with(|tasks| {
        let mut other = task(1, 0);
        other.attempt.attempt = 2;
        tasks.push(other);
    });
    assert!(reason(&older).contains("is not the only attempt"), "{older:?}");
}

#[test]
fn without_a_checkpoint_or_with_other_coordinators_nothing_goes_on() {
    let scheduler = scheduler();
    for (latest, resumable, expected) in [
        (None, true, "there is no checkpoint that coordinators could go on from"),
        (Some(LATEST), false, "a coordinator cannot go on beside running tasks"),
    ] {
        let mut reclaim = Reclaim::new(scheduler.graph(), latest, resumable, &BTreeSet::new());
        let verdict = offer(&mut reclaim, &scheduler, 0, vec![task(1, 0)]);
        assert_eq!(reason(&verdict), expected);
    }
}

#[test]
fn a_task_that_ends_before_its_offer_arrives_is_known_to_have_ended() {
    let scheduler = scheduler();
    let mut reclaim = reclaim(&scheduler);
    reclaim.on_task_state(attempt(2, 1, 3), ExecutionState::Failed, scheduler.graph());
    offer(&mut reclaim, &scheduler, 0, vec![task(1, 0), task(2, 0)]);
    let verdict = offer(&mut reclaim, &scheduler, 1, vec![task(1, 1), task(2, 1)]);
    assert!(reason(&verdict).contains("is Failed"), "{verdict:?}");
}

#[test]
fn what_restarts_is_cancelled_first_and_gets_numbers_of_the_new_job_master() {
    let mut scheduler = scheduler();
    let mut reclaim = reclaim(&scheduler);
    offer(&mut reclaim, &scheduler, 0, vec![task(1, 0), task(2, 0)]);
    let verdict = reclaim.on_timeout().clone();
    assert_eq!(reason(&verdict), "2 of 4 tasks were found in time");
    let commands = scheduler.take_over(&reclaim, 10);
    let cancelled: Vec<_> = commands
        .iter()
        .filter_map(|command| match command {
            Command::Cancel { attempt, .. } => Some(*attempt),
            _ => None,
        })
        .collect();
    assert_eq!(cancelled, [attempt(1, 0, 3), attempt(2, 0, 3)]);
    assert!(!commands.iter().any(|command| matches!(command, Command::ResetSubtask { .. })));
    let mut commands = Vec::new();
    for ended in cancelled {
        let update = hurtig_cluster_api::TaskStateUpdate {
            attempt: ended,
            state: ExecutionState::Canceled,
            failure: None,
            metrics: Default::default(),
            accumulators: Default::default(),
        };
        commands.extend(scheduler.on_task_state(update, 11));
    }
    let resets = commands.iter().filter(|c| matches!(c, Command::ResetSubtask { .. })).count();
    assert_eq!(resets, 4);
    let numbers: Vec<u32> =
        scheduler.graph().executions().iter().map(|e| e.attempt.attempt).collect();
    assert_eq!(numbers, [FIRST, FIRST + 1, FIRST, FIRST + 1]);
    // The slot stays, and what is found later in others is refused.
    assert_eq!(scheduler.pool().missing(), 1);
    let (late, address) = slot(1, vec![task(1, 1)]);
    assert!(scheduler.on_occupied_slots(&[late], &address, 12).0.is_empty());
}

#[test]
fn a_lost_task_executor_takes_its_tasks_along() {
    let mut scheduler = scheduler();
    let mut reclaim = reclaim(&scheduler);
    offer(&mut reclaim, &scheduler, 0, vec![task(1, 0), task(2, 0)]);
    reclaim.on_lost(ResourceId(7));
    assert_eq!(*reclaim.verdict(), Verdict::Wait);
    reclaim.on_lost(ResourceId(0));
    assert_eq!(reclaim.found().count(), 0);
    let commands = scheduler.take_over(&reclaim, 10);
    assert!(!commands.iter().any(|command| matches!(command, Command::Cancel { .. })));
    assert_eq!(scheduler.pool().missing(), 2);
}
