//! Batches on their way, with losses.
use hurtig_operator_api::{
    CoordinatorAction, EventGateway, ListStateData, OperatorRestore, Output, Progress,
};
use hurtig_types::{BoxedPayload, LatencyMarker, SideTag, StreamStatus, Watermark};
use parking_lot::Mutex;

use super::*;
use crate::{connectors::DataGeneratorSource, prelude::*};

/// What a sink has sent.
#[derive(Default)]
struct Outbox(Mutex<Vec<Vec<u8>>>);

impl EventGateway for Outbox {
    fn send_to_coordinator(&self, event: Vec<u8>) -> FlowResult {
        self.0.lock().push(event);
        Ok(())
    }
}

struct Nowhere;

impl Output for Nowhere {
    fn emit(&mut self, _: BoxedPayload) -> FlowResult {
        Ok(())
    }
    fn emit_side(&mut self, _: &SideTag, _: BoxedPayload) -> FlowResult {
        Ok(())
    }
    fn emit_watermark(&mut self, _: Watermark) -> FlowResult {
        Ok(())
    }
    fn emit_status(&mut self, _: StreamStatus) -> FlowResult {
        Ok(())
    }
    fn emit_latency(&mut self, _: LatencyMarker) -> FlowResult {
        Ok(())
    }
    fn is_blocked(&self) -> bool {
        false
    }
}

/// One sink, its coordinator, and the client.
struct Conversation {
    sink: CollectOperator,
    sent: Arc<Outbox>,
    coordinator: CollectCoordinator,
    received: Received,
    values: Vec<i64>,
}

fn sink(job: u128, attempt: u32, window: usize) -> (CollectOperator, Arc<Outbox>) {
    let sent = Arc::new(Outbox::default());
    let stream = BatchStream { job: JobId(job), subtask: 0, attempt };
    let mut sink = CollectOperator::new(sent.clone(), stream, true);
    sink.window = window;
    (sink, sent)
}

impl Conversation {
    fn new(window: usize) -> Self {
        let (sink, sent) = sink(1, 0, window);
        let coordinator = CollectCoordinator::new(true, 1);
        Self { sink, sent, coordinator, received: Received::default(), values: Vec::new() }
    }

    fn process(&mut self, value: i64) {
        self.sink.process(0, Batch::new(vec![value]).boxed(), &mut Nowhere).unwrap();
    }

    fn deliver(&mut self) {
        for event in std::mem::take(&mut *self.sent.0.lock()) {
            self.coordinator.on_event(0, &event, &mut Vec::new()).unwrap();
        }
    }

    /// The client asks; the answer, or what the sink is told, may get lost.
    fn ask(&mut self, answered: bool, told: bool) {
        self.deliver();
        let (mut actions, question) = (Vec::new(), self.received.question().unwrap());
        let answer = self.coordinator.on_request(&question, &mut actions).unwrap();
        for action in actions.into_iter().filter(|_| told) {
            let CoordinatorAction::SendToSubtask { event, .. } = action else {
                panic!("{action:?}")
            };
            self.sink.on_event(&event).unwrap();
        }
        if answered {
            for batch in self.received.accept(&answer).unwrap() {
                self.values.extend(Batch::<i64>::decode(&batch).unwrap().values);
            }
        }
    }

    fn checkpoint(&mut self, id: u64) -> Vec<ListStateData> {
        let id = CheckpointId(id);
        let captured = self.sink.begin_capture(id, None).unwrap();
        self.deliver();
        self.sink.checkpoint_complete(id).unwrap();
        self.coordinator.checkpoint_complete(id).unwrap();
        captured.operator_states
    }

    /// Another attempt, or another job, goes on.
    fn restore(&mut self, id: u64, state: &[ListStateData], job: u128, attempt: u32) {
        (self.sink, self.sent) = sink(job, attempt, 100);
        self.coordinator.subtask_reset(0, Some(CheckpointId(id)), &mut Vec::new()).unwrap();
        let restored = OperatorRestore {
            checkpoint_id: CheckpointId(id),
            operator_states: state.to_vec(),
            ..OperatorRestore::default()
        };
        self.sink.restore(&restored).unwrap();
        self.sink.on_event(&codec::encode(&ToSink::Arrived(Vec::new())).unwrap()).unwrap();
    }
}

#[test]
fn what_has_not_arrived_is_restored_and_counts_once() {
    let mut all = Conversation::new(100);
    (1..=3).for_each(|value| all.process(value));
    all.ask(true, true);
    assert!(all.values.is_empty(), "nothing is seen before a checkpoint");
    let state = all.checkpoint(1);
    all.ask(false, true);
    all.ask(true, true);
    assert_eq!(all.values, [1, 2, 3]);
    all.process(4);
    // The coordinator and the attempt are lost before they know that anything has arrived.
    all.coordinator = CollectCoordinator::new(true, 1);
    all.restore(1, &state, 1, 1);
    all.process(4);
    all.ask(true, true);
    assert_eq!(all.values, [1, 2, 3], "all were sent again, and dropped");
    let state = all.checkpoint(2);
    // The answer is lost with the JobMaster.
    all.ask(false, true);
    all.coordinator = CollectCoordinator::new(true, 1);
    all.restore(2, &state, 1, 2);
    all.ask(true, true);
    assert_eq!(all.values, [1, 2, 3, 4]);
    assert_eq!(all.sink.finish(&mut Nowhere).unwrap(), Progress::Done);
    assert!(all.sink.awaits_checkpoint(), "it does not know yet that all has arrived");
    all.ask(true, true);
    assert!(!all.sink.awaits_checkpoint());
}

#[test]
fn a_coordinator_in_the_place_of_a_lost_one_gets_again_what_is_under_way() {
    let mut all = Conversation::new(100);
    (1..=2).for_each(|value| all.process(value));
    all.checkpoint(1);
    all.ask(true, true);
    all.process(3);
    // The client has the first two, and nobody else knows it; the third one is lost on its way.
    all.sent.0.lock().clear();
    all.coordinator = CollectCoordinator::new(true, 1);
    assert!(all.coordinator.can_resume() && all.coordinator.is_stateless());
    let mut actions = Vec::new();
    all.coordinator.resume(CheckpointId(1), &[], &mut actions).unwrap();
    for action in actions {
        let CoordinatorAction::SendToSubtask { subtask: 0, event } = action else {
            panic!("{action:?}")
        };
        all.sink.on_event(&event).unwrap();
    }
    all.ask(true, true);
    assert_eq!(all.values, [1, 2], "the third one waits for a checkpoint");
    all.checkpoint(2);
    all.ask(true, true);
    all.ask(true, true);
    assert_eq!(all.values, [1, 2, 3]);
    assert!(all.sink.finish(&mut Nowhere).is_ok() && !all.sink.awaits_checkpoint());
}

#[test]
fn a_job_that_is_resumed_sends_what_the_one_before_has_not_sent() {
    let mut all = Conversation::new(1);
    (1..=2).for_each(|value| all.process(value));
    let state = all.checkpoint(1);
    assert_eq!(all.sink.stop().unwrap(), Progress::More);
    all.ask(true, true);
    all.ask(true, true);
    assert_eq!(all.values, [1]);
    assert_eq!(all.sink.stop().unwrap(), Progress::Done);
    all.received = Received::default();
    all.coordinator = CollectCoordinator::new(true, 1);
    all.restore(1, &state, 2, 0);
    all.ask(true, true);
    assert_eq!(all.values, [1, 2]);
}

#[test]
fn a_job_that_goes_on_behind_a_savepoint_sends_what_it_has_held() {
    let mut all = Conversation::new(1);
    (1..=2).for_each(|value| all.process(value));
    all.checkpoint(1);
    all.ask(true, true);
    all.ask(true, true);
    assert_eq!(all.values, [1], "the second one is the savepoint's");
    assert!(all.sink.next_processing_timer_ms().is_some());
    let progress = all.sink.on_processing_time(0, &mut Nowhere).unwrap();
    assert_eq!((progress, all.sink.next_processing_timer_ms()), (Progress::Done, None));
    all.ask(true, true);
    all.ask(true, true);
    assert_eq!(all.values, [1, 2]);
}

#[test]
fn batches_count_once_in_any_order() {
    let stream = BatchStream { job: JobId(1), subtask: 0, attempt: 0 };
    let mut received = Received::default();
    let mut arrive = |numbers: &[u64]| {
        let batch = |number: &u64| (BatchId { stream, number: *number }, vec![*number as u8]);
        let answer: Answer = numbers.iter().map(batch).collect();
        received.accept(&codec::encode(&answer).unwrap()).unwrap().concat()
    };
    assert_eq!(arrive(&[3, 2]), [3, 2]);
    assert_eq!(arrive(&[0, 3, 1]), [0, 1]);
    assert_eq!(arrive(&[0, 1, 2, 3, 4]), [4]);
}

/// JobMasters are lost again and again, each time with batches that wait in them and with an answer
/// of which they do not know that it has arrived.
#[test]
fn no_record_is_lost_or_repeated_when_job_masters_are_lost() {
    let env = StreamExecutionEnvironment::new();
    env.set_parallelism(2);
    env.enable_checkpointing(20);
    // Slow enough to last for a few losses, however many there are in the end.
    let source = DataGeneratorSource::new(|number| number as i64, Some(1_500), Some(1_000.0));
    let numbers =
        env.from_source(source, WatermarkStrategy::no_watermarks(), "Numbers").rebalance();
    let job = numbers.collected("losses").unwrap();
    let (mut seen, mut losses) = (Vec::new(), 0);
    let result = job.run(|mut values: Vec<i64>| {
        seen.append(&mut values);
        // The sinks wait for the word that this has arrived: the job is not over.
        if losses < 3 && job.cluster.kill_job_master(job.graph.job_id) {
            losses += 1;
        }
    });
    assert_eq!(result.unwrap().name, "losses");
    assert!(losses > 0, "the first answer comes from a JobMaster");
    seen.sort_unstable();
    assert!(seen.into_iter().eq(0..1_500));
}
