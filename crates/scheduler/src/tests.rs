//! The scheduler as scripts: events in, states and commands out.

use hurtig_cluster_api::{
    ExecutionState, FailureClass, FailureInfo, JobStatus, PeerAddress, SlotId, SlotOffer,
    TaskIoMetrics, TaskStateUpdate,
};
use hurtig_graph::{
    DistributionPattern, IntermediateDataSet, JobConfig, JobEdge, JobGraph, JobVertex,
    RestartStrategyConfig, ShipStrategy,
};
use hurtig_types::{
    AllocationId, CheckpointId, EdgeId, JobId, JobVertexId, ResourceId, TerminateKind,
};

use crate::{Command, JobScheduler, SchedulerTimer};

fn vertex(id: u128, parallelism: u32) -> JobVertex {
    JobVertex {
        id: JobVertexId(id),
        name: format!("v{id}"),
        parallelism,
        max_parallelism: 128,
        max_parallelism_derived: true,
        max_allowed_parallelism: None,
        slot_sharing_group: "default".to_owned(),
        co_location_key: None,
        blocking: false,
        operators: Vec::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

/// Two vertices of parallelism 2 with a pointwise edge (two regions) or an all-to-all edge (one).
fn scheduler(
    pattern: DistributionPattern,
    restart_strategy: RestartStrategyConfig,
) -> JobScheduler {
    JobScheduler::new(job(pattern, restart_strategy), 1, 0)
}

pub(crate) fn job(
    pattern: DistributionPattern,
    restart_strategy: RestartStrategyConfig,
) -> JobGraph {
    let (ship, edge) = (ShipStrategy::Rebalance, EdgeId(0));
    let mut a = vertex(1, 2);
    let mut b = vertex(2, 2);
    let consumer = b.id;
    a.outputs = vec![IntermediateDataSet { edge, consumer, ship, pattern, buffer_timeout_ms: 1 }];
    b.inputs = vec![JobEdge { edge, producer: a.id, input_index: 0, ship, pattern }];
    let config = JobConfig { restart_strategy, ..JobConfig::default() };
    JobGraph { job_id: JobId(1), name: "job".into(), vertices: vec![a, b], config }
}

fn offer(scheduler: &mut JobScheduler, allocations: &[u128], now_ms: i64) -> Vec<Command> {
    let resource = ResourceId(9);
    let offers: Vec<SlotOffer> = allocations
        .iter()
        .map(|a| SlotOffer {
            allocation: AllocationId(*a),
            slot: SlotId { resource, index: *a as u32 },
        })
        .collect();
    let address = PeerAddress { resource, address: "here".into() };
    scheduler.on_slots_offered(&offers, &address, now_ms).1
}

fn report(
    scheduler: &mut JobScheduler,
    index: usize,
    state: ExecutionState,
    now_ms: i64,
) -> Vec<Command> {
    let attempt = scheduler.graph().execution(index).attempt;
    let failure = (state == ExecutionState::Failed).then(|| FailureInfo {
        class: FailureClass::User,
        message: "boom".into(),
        task: None,
        timestamp_ms: now_ms,
    });
    let metrics = TaskIoMetrics::default();
    let accumulators = Default::default();
    scheduler
        .on_task_state(TaskStateUpdate { attempt, state, failure, metrics, accumulators }, now_ms)
}

/// A subtask fails for a reason of that class, with the class as message.
fn fail(scheduler: &mut JobScheduler, index: usize, class: FailureClass, now_ms: i64) {
    let failure =
        FailureInfo { class, message: format!("{class:?}"), task: None, timestamp_ms: now_ms };
    let update = TaskStateUpdate {
        attempt: scheduler.graph().execution(index).attempt,
        state: ExecutionState::Failed,
        failure: Some(failure),
        metrics: TaskIoMetrics::default(),
        accumulators: Default::default(),
    };
    scheduler.on_task_state(update, now_ms);
}

fn messages(scheduler: &JobScheduler) -> Vec<&str> {
    scheduler.failures().iter().map(|failure| failure.message.as_str()).collect()
}

fn run_all(scheduler: &mut JobScheduler, now_ms: i64) {
    for index in 0..4 {
        report(scheduler, index, ExecutionState::Initializing, now_ms);
        report(scheduler, index, ExecutionState::Running, now_ms);
    }
}

fn count(commands: &[Command], matching: impl Fn(&Command) -> bool) -> usize {
    commands.iter().filter(|command| matching(command)).count()
}

fn deployed(commands: &[Command]) -> usize {
    count(commands, |c| matches!(c, Command::Deploy(_)))
}

fn cancelled(commands: &[Command]) -> usize {
    count(commands, |c| matches!(c, Command::Cancel { .. }))
}

fn fixed_delay() -> RestartStrategyConfig {
    RestartStrategyConfig::FixedDelay { attempts: 1, delay_ms: 10 }
}

#[test]
fn a_region_is_deployed_when_all_its_slots_are_there() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, RestartStrategyConfig::None);
    let commands = scheduler.start(0);
    assert!(matches!(commands[1], Command::DeclareSlots(2)));
    assert_eq!(deployed(&offer(&mut scheduler, &[1], 1)), 0);
    assert_eq!(deployed(&offer(&mut scheduler, &[2], 2)), 4);
    run_all(&mut scheduler, 3);
    for index in 0..4 {
        assert_eq!(scheduler.status(), JobStatus::Running);
        report(&mut scheduler, index, ExecutionState::Finished, 4);
    }
    assert_eq!(scheduler.status(), JobStatus::Finished);
}

#[test]
fn surplus_slots_are_refused_and_known_ones_accepted_again() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, RestartStrategyConfig::None);
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 1);
    let address = PeerAddress { resource: ResourceId(9), address: "here".into() };
    let slot = SlotId { resource: ResourceId(9), index: 0 };
    let offers = [1, 3].map(|a| SlotOffer { allocation: AllocationId(a), slot });
    let (accepted, _) = scheduler.on_slots_offered(&offers, &address, 2);
    assert_eq!(accepted, [AllocationId(1)]);
}

#[test]
fn only_the_failed_region_restarts() {
    let mut scheduler = scheduler(DistributionPattern::Pointwise, fixed_delay());
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 1);
    run_all(&mut scheduler, 2);
    let commands = report(&mut scheduler, 0, ExecutionState::Failed, 3);
    assert_eq!((cancelled(&commands), scheduler.status()), (1, JobStatus::Restarting));
    report(&mut scheduler, 2, ExecutionState::Canceled, 4);
    assert_eq!(scheduler.graph().execution(0).attempt.attempt, 0, "the delay has not passed");
    let commands = scheduler.on_timer(SchedulerTimer::Restart, 13);
    assert_eq!((deployed(&commands), scheduler.status()), (2, JobStatus::Running));
    let attempts: Vec<u32> =
        scheduler.graph().executions().iter().map(|e| e.attempt.attempt).collect();
    assert_eq!(attempts, [1, 0, 1, 0]);
    assert_eq!(scheduler.restarts(), 1);
}

#[test]
fn all_regions_restart_if_a_task_fails_while_the_job_stops() {
    let twice = RestartStrategyConfig::FixedDelay { attempts: 2, delay_ms: 10 };
    let mut scheduler = scheduler(DistributionPattern::Pointwise, twice);
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 0);
    run_all(&mut scheduler, 1);
    scheduler.on_stopping(TerminateKind::Suspend);
    // The first region ends where it stands.
    report(&mut scheduler, 0, ExecutionState::Finished, 2);
    report(&mut scheduler, 2, ExecutionState::Finished, 2);
    let commands = report(&mut scheduler, 1, ExecutionState::Failed, 3);
    assert_eq!(cancelled(&commands), 1);
    report(&mut scheduler, 3, ExecutionState::Canceled, 4);
    let commands = scheduler.on_timer(SchedulerTimer::Restart, 100);
    assert_eq!(count(&commands, |c| matches!(c, Command::ResetSubtask { .. })), 4);
    assert_eq!(deployed(&commands), 4);
    // From then on the job runs as before.
    run_all(&mut scheduler, 101);
    let commands = report(&mut scheduler, 1, ExecutionState::Failed, 102);
    assert_eq!(cancelled(&commands), 1);
    report(&mut scheduler, 3, ExecutionState::Canceled, 103);
    assert_eq!(deployed(&scheduler.on_timer(SchedulerTimer::Restart, 200)), 2);
}

#[test]
fn all_regions_restart_if_state_is_damaged() {
    let twice = RestartStrategyConfig::FixedDelay { attempts: 2, delay_ms: 10 };
    for already_restarting in [false, true] {
        let mut scheduler = scheduler(DistributionPattern::Pointwise, twice.clone());
        scheduler.start(0);
        offer(&mut scheduler, &[1, 2], 1);
        run_all(&mut scheduler, 2);
        if already_restarting {
            // The consumer of the same region fails for a reason of its own.
            fail(&mut scheduler, 2, FailureClass::User, 3);
        }
        fail(&mut scheduler, 0, FailureClass::DamagedState(CheckpointId(7)), 4);
        for index in [1, 2, 3] {
            report(&mut scheduler, index, ExecutionState::Canceled, 5);
        }
        let commands = scheduler.on_timer(SchedulerTimer::Restart, 100);
        assert_eq!(count(&commands, |c| matches!(c, Command::ResetSubtask { .. })), 4);
        assert_eq!((deployed(&commands), scheduler.status()), (4, JobStatus::Running));
        assert_eq!(scheduler.restarts(), 1);
    }
}

#[test]
fn a_drained_job_does_not_start_over() {
    let mut scheduler = scheduler(DistributionPattern::Pointwise, fixed_delay());
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 0);
    run_all(&mut scheduler, 1);
    scheduler.on_stopping(TerminateKind::Drain);
    fail(&mut scheduler, 1, FailureClass::User, 2);
    assert_eq!(scheduler.status(), JobStatus::Failing);
}

#[test]
fn a_job_fails_when_restarts_are_used_up() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, RestartStrategyConfig::None);
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 1);
    run_all(&mut scheduler, 2);
    let commands = report(&mut scheduler, 1, ExecutionState::Failed, 3);
    assert_eq!((cancelled(&commands), scheduler.status()), (3, JobStatus::Failing));
    // A failure on the way down is no second root cause.
    report(&mut scheduler, 0, ExecutionState::Failed, 4);
    report(&mut scheduler, 2, ExecutionState::Canceled, 4);
    let commands = report(&mut scheduler, 3, ExecutionState::Canceled, 4);
    assert_eq!(count(&commands, |c| matches!(c, Command::Ended)), 1);
    assert_eq!(scheduler.status(), JobStatus::Failed);
    assert_eq!(scheduler.root_failure().unwrap().message, "boom");
}

#[test]
fn the_cause_of_a_lost_input_becomes_the_reason_of_the_job() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, RestartStrategyConfig::None);
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 1);
    run_all(&mut scheduler, 2);
    // A consumer sees that its producer is gone before the producer has told why.
    fail(&mut scheduler, 2, FailureClass::InputLost, 3);
    fail(&mut scheduler, 3, FailureClass::InputLost, 3);
    assert_eq!(scheduler.root_failure().unwrap().message, "InputLost");
    fail(&mut scheduler, 0, FailureClass::User, 4);
    assert_eq!(scheduler.root_failure().unwrap().message, "User");
    fail(&mut scheduler, 1, FailureClass::External, 5);
    assert_eq!(scheduler.status(), JobStatus::Failed);
    assert_eq!(scheduler.root_failure().unwrap().message, "User");
    assert_eq!(messages(&scheduler), ["InputLost", "User"]);
}

#[test]
fn the_cause_of_a_lost_input_is_remembered_and_counted_once() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, fixed_delay());
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 1);
    run_all(&mut scheduler, 2);
    fail(&mut scheduler, 2, FailureClass::InputLost, 3);
    fail(&mut scheduler, 0, FailureClass::User, 4);
    fail(&mut scheduler, 1, FailureClass::User, 4);
    report(&mut scheduler, 3, ExecutionState::Canceled, 4);
    assert_eq!(deployed(&scheduler.on_timer(SchedulerTimer::Restart, 13)), 4);
    assert_eq!((scheduler.restarts(), scheduler.status()), (1, JobStatus::Running));
    assert_eq!(messages(&scheduler), ["InputLost", "User"]);
}

#[test]
fn a_fatal_cause_of_a_lost_input_ends_the_restart() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, fixed_delay());
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 1);
    run_all(&mut scheduler, 2);
    fail(&mut scheduler, 2, FailureClass::InputLost, 3);
    fail(&mut scheduler, 0, FailureClass::Fatal, 4);
    assert_eq!(scheduler.status(), JobStatus::Failing);
    for index in [1, 3] {
        report(&mut scheduler, index, ExecutionState::Canceled, 5);
    }
    assert_eq!(scheduler.status(), JobStatus::Failed);
    assert_eq!(scheduler.root_failure().unwrap().message, "Fatal");
}

#[test]
fn late_messages_of_an_old_attempt_are_ignored() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, fixed_delay());
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 1);
    run_all(&mut scheduler, 2);
    let old = scheduler.graph().execution(0).attempt;
    report(&mut scheduler, 1, ExecutionState::Failed, 3);
    for index in [0, 2, 3] {
        report(&mut scheduler, index, ExecutionState::Canceled, 4);
    }
    scheduler.on_timer(SchedulerTimer::Restart, 20);
    let update = TaskStateUpdate {
        attempt: old,
        state: ExecutionState::Failed,
        failure: None,
        metrics: TaskIoMetrics::default(),
        accumulators: Default::default(),
    };
    assert!(scheduler.on_task_state(update, 21).is_empty());
    assert_eq!(scheduler.status(), JobStatus::Running);
}

#[test]
fn missing_slots_are_counted_in_the_error() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, RestartStrategyConfig::None);
    let commands = scheduler.start(0);
    let timer = commands.iter().find_map(|c| match c {
        Command::SetTimer(timer, ms) => Some((*timer, *ms)),
        _ => None,
    });
    offer(&mut scheduler, &[1], 1);
    scheduler.on_timer(timer.unwrap().0, timer.unwrap().1 as i64);
    assert_eq!(scheduler.status(), JobStatus::Failed);
    let message = &scheduler.root_failure().unwrap().message;
    assert!(message.starts_with("1 of 2 slots are missing after 300000 ms"), "{message}");
}

#[test]
fn cancelling_ends_in_canceled_even_if_a_task_executor_is_lost() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, fixed_delay());
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 1);
    run_all(&mut scheduler, 2);
    assert_eq!(cancelled(&scheduler.cancel(3)), 4);
    scheduler.on_resource_lost(ResourceId(9), "gone", 4);
    assert_eq!(scheduler.status(), JobStatus::Canceled);
}

#[test]
fn a_lost_task_executor_restarts_what_ran_on_it_once_there_are_slots_again() {
    let mut scheduler = scheduler(DistributionPattern::AllToAll, fixed_delay());
    scheduler.start(0);
    offer(&mut scheduler, &[1, 2], 1);
    run_all(&mut scheduler, 2);
    scheduler.on_resource_lost(ResourceId(9), "gone", 3);
    assert_eq!(scheduler.status(), JobStatus::Restarting);
    assert_eq!(deployed(&scheduler.on_timer(SchedulerTimer::Restart, 13)), 0);
    assert_eq!(deployed(&offer(&mut scheduler, &[3, 4], 14)), 4);
    assert_eq!(scheduler.status(), JobStatus::Running);
}

#[test]
fn the_execution_graph_can_be_read() {
    let mut scheduler = scheduler(DistributionPattern::Pointwise, RestartStrategyConfig::None);
    scheduler.start(5);
    offer(&mut scheduler, &[1], 6);
    let graph = scheduler.graph();
    expect_test::expect![[r#"
        ExecutionGraph of "job"
        v1 parallelism 2/128
            v1 (1/2)#0 region 0 Deploying since 6 slot 00000000000000000000000000000001
            v1 (2/2)#0 region 1 Scheduled since 5
        v2 parallelism 2/128
            v2 (1/2)#0 region 0 Deploying since 6 slot 00000000000000000000000000000001
            v2 (2/2)#0 region 1 Scheduled since 5
    "#]]
    .assert_eq(&graph.to_text());
    let json = graph.to_json();
    assert_eq!(json["vertices"][1]["subtasks"][0]["status"], "DEPLOYING");
}

#[test]
fn a_job_can_be_read_with_its_state_and_locations() {
    let restart = RestartStrategyConfig::FixedDelay { attempts: 1, delay_ms: 10 };
    let mut scheduler = scheduler(DistributionPattern::Pointwise, restart);
    scheduler.start(5);
    offer(&mut scheduler, &[1, 2], 6);
    run_all(&mut scheduler, 7);
    report(&mut scheduler, 1, ExecutionState::Failed, 8);
    report(&mut scheduler, 3, ExecutionState::Canceled, 9);
    scheduler.on_timer(SchedulerTimer::Restart, 18);
    expect_test::expect![[r#"
        Job "job" Running, 1 restarts
            Created since 0
            Running since 5
            Restarting since 8
            Running since 18
        v1 parallelism 2/128
            v1 (1/2)#0 region 0 Running since 7 slot 00000000000000000000000000000001 at here
            v1 (2/2)#1 region 1 Deploying since 18 slot 00000000000000000000000000000002 at here
        v2 parallelism 2/128
            v2 (1/2)#0 region 0 Running since 7 slot 00000000000000000000000000000001 at here
            v2 (2/2)#1 region 1 Deploying since 18 slot 00000000000000000000000000000002 at here
    "#]]
    .assert_eq(&scheduler.to_text());
    let json = scheduler.to_json();
    assert_eq!(json["state"], "RUNNING");
    assert_eq!(json["restarts"], 1);
    let subtask = &json["vertices"][0]["subtasks"][0];
    assert_eq!(subtask["location"], "here");
    assert_eq!(subtask["attempt"], 0);
    assert_eq!(
        subtask["timestamps"],
        serde_json::json!({
            "CREATED": 0, "SCHEDULED": 5, "DEPLOYING": 6, "INITIALIZING": 7, "RUNNING": 7
        })
    );
}
