//! Chains of operators that misbehave.

use std::sync::atomic::AtomicU32;

use hurtig_env::{Clock, Runtimes, Signal};
use hurtig_graph::ChainedOperator;
use hurtig_metrics::{MetricGroup, SharedAccumulators};
use hurtig_operator_api::{EventGateway, OperatorFactory};
use hurtig_types::{JobId, JobVertexId};

use super::*;

struct NoCoordinator;

impl EventGateway for NoCoordinator {
    fn send_to_coordinator(&self, _: Vec<u8>) -> FlowResult {
        Ok(())
    }
}

/// Panics when it is closed, if told so.
struct Closing(bool, Arc<AtomicU32>);

impl Operator for Closing {
    fn process(&mut self, _: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        out.emit(batch)
    }

    fn close(&mut self) -> FlowResult {
        assert!(!self.0, "stuck");
        self.1.fetch_add(1, Relaxed);
        Ok(())
    }
}

impl OperatorFactory for Closing {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(Box::new(Closing(self.0, self.1.clone())))
    }
}

fn vertex(names: &[&str]) -> JobVertex {
    let operators = names.iter().enumerate().map(|(index, name)| ChainedOperator {
        id: OperatorId(index as u128),
        name: (*name).to_owned(),
        uid: None,
        kind: OperatorKind::Operator,
        has_coordinator: false,
        outputs: Vec::new(),
    });
    JobVertex {
        id: JobVertexId(0),
        name: names.join(" -> "),
        parallelism: 1,
        max_parallelism: 128,
        max_parallelism_derived: true,
        max_allowed_parallelism: None,
        slot_sharing_group: "default".to_owned(),
        co_location_key: None,
        blocking: false,
        operators: operators.collect(),
        inputs: Vec::new(),
        outputs: Vec::new(),
    }
}

fn context(operator: &ChainedOperator) -> OperatorContext {
    OperatorContext {
        job: JobId(1),
        job_name: "test".into(),
        operator: operator.id,
        operator_name: operator.name.as_str().into(),
        subtask: 0,
        parallelism: 1,
        max_parallelism: 128,
        attempt: 0,
        clock: Clock::starting_at(0),
        signal: Signal::new(),
        events: Arc::new(NoCoordinator),
        runtimes: Runtimes::current(),
        metrics: MetricGroup::detached(),
        accumulators: SharedAccumulators::default(),
        auto_watermark_interval_ms: 200,
        checkpoints: false,
        cached_files: Arc::default(),
        restored: None,
    }
}

#[tokio::test]
async fn a_panic_in_close_is_an_error_of_its_operator_and_the_others_are_closed_all_the_same() {
    let closed = Arc::new(AtomicU32::new(0));
    let mut program = Program::default();
    for (index, panics) in [false, true, false].into_iter().enumerate() {
        let factory = Arc::new(Closing(panics, closed.clone()));
        program.operators.insert(OperatorId(index as u128), factory);
    }
    let vertex = vertex(&["First", "Second", "Third"]);
    let metrics = TaskMetrics::shared(false);
    let latency = LatencyTracking { group: MetricGroup::detached(), interval_ms: 0 };
    let mut chain =
        OperatorChain::build(&vertex, &program, context, Vec::new(), metrics, latency).unwrap();
    chain.open().unwrap();
    let error = chain.close().unwrap_err();
    assert_eq!(error.to_string(), "operator \"Second\": panicked: stuck");
    assert_eq!(closed.load(Relaxed), 2);
}
