//! Bringing a stream's records to the client.
//!
//! 1. The sink sends each batch, encoded, to its coordinator in the JobMaster; it keeps at most
//!    [`WINDOW`] batches under way and counts as unavailable beyond that.
//! 2. The client asks the coordinator, which hands out what it has and acknowledges it to the
//!    sinks.
//! 3. A sink finishes when everything was acknowledged, so a job that has ended has nothing left. A
//!    savepoint that stops the job also waits for that, as far as batches were sent before it; those
//!    that were not are in it, and are not sent before it is known that the job goes on.
//!
//! With checkpoints each record reaches the client once: a batch carries the checkpoint behind
//! which it was sent, and is handed out when a later one is complete, or when its sink has seen
//! the end of its input. What was sent behind the checkpoint that a failed sink goes on from is
//! forgotten, since it will be sent again.

use std::{collections::VecDeque, marker::PhantomData, sync::Arc, time::Duration};

use hurtig_cluster_api::{DispatcherGateway, RpcError};
use hurtig_graph::OperatorKind;
use hurtig_minicluster::MiniCluster;
use hurtig_operator_api::{
    Captured, CoordinatorAction, CoordinatorContext, EventGateway, ListStateData, Operator,
    OperatorContext, OperatorCoordinator, OperatorFactory, Output, Progress,
};
use hurtig_types::{
    Batch, BoxedPayload, CheckpointId, FlowResult, JobId, OperatorId, Record, RedistributionMode,
    codec,
};
use serde::{Deserialize, Serialize};

use crate::{
    DataStream, ExecuteError,
    builder::OperatorSpec,
    execution::{finished, start_cluster},
};

/// Batches of one subtask that may wait for the client.
const WINDOW: usize = 8;
/// The same with checkpoints, when they also wait for the next one to complete.
const WINDOW_WITH_CHECKPOINTS: usize = 1024;
/// The state that holds batches that were not sent yet.
const WAITING: &str = "waiting";
/// Batches that are handed out at once.
const BATCHES_PER_ANSWER: usize = 64;
/// Longest pause between two questions of the client.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

struct CollectFactory<T> {
    checkpoints: bool,
    types: PhantomData<fn() -> T>,
}

/// The code of a sink whose batches are fetched by the client.
pub(crate) fn collect_factory(checkpoints: bool) -> Arc<dyn OperatorFactory> {
    Arc::new(CollectFactory::<()> { checkpoints, types: PhantomData })
}

/// From a sink to its coordinator.
#[derive(Serialize, Deserialize)]
enum ToCoordinator {
    /// A batch that was sent behind this checkpoint.
    Batch(CheckpointId, Vec<u8>),
    /// The sink has seen the end of its input.
    End,
}

impl<T: Record> OperatorFactory for CollectFactory<T> {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(Box::new(CollectOperator {
            events: context.events.clone(),
            waiting: VecDeque::new(),
            under_way: 0,
            window: if self.checkpoints { WINDOW_WITH_CHECKPOINTS } else { WINDOW },
            behind: CheckpointId(0),
            held: false,
            released: false,
            finishing: false,
        }))
    }

    fn has_coordinator(&self) -> bool {
        true
    }

    fn create_coordinator(
        &self,
        _: &CoordinatorContext,
    ) -> FlowResult<Option<Box<dyn OperatorCoordinator>>> {
        let checkpoints = self.checkpoints;
        Ok(Some(Box::new(CollectCoordinator { checkpoints, ..CollectCoordinator::default() })))
    }
}

struct CollectOperator {
    events: Arc<dyn EventGateway>,
    waiting: VecDeque<Vec<u8>>,
    under_way: usize,
    window: usize,
    /// The last checkpoint that was taken.
    behind: CheckpointId,
    /// What waits is in a checkpoint, behind which the job may stop.
    held: bool,
    /// It did not: what waits is sent with the next timer, which a job that stops never fires.
    released: bool,
    finishing: bool,
}

impl CollectOperator {
    fn send(&mut self) -> FlowResult {
        while !self.held
            && self.under_way < self.window
            && let Some(batch) = self.waiting.pop_front()
        {
            let batch = ToCoordinator::Batch(self.behind, batch);
            self.events.send_to_coordinator(codec::encode(&batch)?)?;
            self.under_way += 1;
        }
        if self.finishing && self.waiting.is_empty() {
            self.events.send_to_coordinator(codec::encode(&ToCoordinator::End)?)?;
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }

    fn release(&mut self) {
        if std::mem::take(&mut self.released) {
            self.held = false;
        }
    }
}

impl Operator for CollectOperator {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        if let Some(restored) = &context.restored {
            self.behind = restored.checkpoint_id;
            self.waiting = restored.list(WAITING).map(<[u8]>::to_vec).collect();
        }
        self.send()
    }

    fn begin_capture(&mut self, checkpoint: CheckpointId, _: Option<u32>) -> FlowResult<Captured> {
        self.behind = checkpoint;
        self.held = !self.waiting.is_empty();
        self.released = false;
        let waiting = ListStateData {
            name: WAITING.to_owned(),
            mode: RedistributionMode::SplitDistribute,
            elements: self.waiting.iter().cloned().collect(),
        };
        Ok(Captured { operator_states: vec![waiting], ..Captured::default() })
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        let mut bytes = Vec::new();
        batch.encode(&mut bytes)?;
        self.waiting.push_back(bytes);
        self.send()
    }

    fn on_event(&mut self, event: &[u8]) -> FlowResult {
        let acknowledged: u32 = codec::decode(event)?;
        self.under_way = self.under_way.saturating_sub(acknowledged as usize);
        self.send()
    }

    fn is_available(&self) -> bool {
        if self.finishing { self.is_empty() } else { self.waiting.is_empty() }
    }

    fn checkpoint_complete(&mut self, _: CheckpointId) -> FlowResult {
        self.released = self.held;
        Ok(())
    }

    fn checkpoint_aborted(&mut self, _: CheckpointId) -> FlowResult {
        self.released = self.held;
        Ok(())
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        self.released.then_some(0)
    }

    fn on_processing_time(&mut self, _: i64, _: &mut dyn Output) -> FlowResult<Progress> {
        self.release();
        self.send()?;
        Ok(Progress::Done)
    }

    fn stop(&mut self) -> FlowResult<Progress> {
        Ok(if self.under_way == 0 { Progress::Done } else { Progress::More })
    }

    fn finish(&mut self, _: &mut dyn Output) -> FlowResult<Progress> {
        self.finishing = true;
        self.release();
        self.send()?;
        Ok(if self.is_empty() { Progress::Done } else { Progress::More })
    }
}

#[derive(Default)]
struct CollectCoordinator {
    checkpoints: bool,
    /// What the client may have.
    visible: VecDeque<(u32, Vec<u8>)>,
    /// What waits for a checkpoint: subtask, the checkpoint behind which it was sent, batch.
    hidden: VecDeque<(u32, CheckpointId, Vec<u8>)>,
}

impl CollectCoordinator {
    fn show(&mut self, may_be_seen: impl Fn(u32, CheckpointId) -> bool) {
        let hidden = std::mem::take(&mut self.hidden);
        for (subtask, behind, batch) in hidden {
            if may_be_seen(subtask, behind) {
                self.visible.push_back((subtask, batch));
            } else {
                self.hidden.push_back((subtask, behind, batch));
            }
        }
    }
}

impl OperatorCoordinator for CollectCoordinator {
    fn start(&mut self, _: &mut Vec<CoordinatorAction>) -> FlowResult {
        Ok(())
    }

    fn on_event(
        &mut self,
        subtask: u32,
        event: &[u8],
        _: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        match codec::decode(event)? {
            ToCoordinator::Batch(behind, batch) if self.checkpoints => {
                self.hidden.push_back((subtask, behind, batch));
            }
            ToCoordinator::Batch(_, batch) => self.visible.push_back((subtask, batch)),
            ToCoordinator::End => self.show(|of, _| of == subtask),
        }
        Ok(())
    }

    fn subtask_reset(
        &mut self,
        subtask: u32,
        restored: Option<CheckpointId>,
        _: &mut Vec<CoordinatorAction>,
    ) -> FlowResult {
        match restored {
            None => {
                self.visible.retain(|(from, _)| *from != subtask);
                self.hidden.retain(|(from, ..)| *from != subtask);
            }
            Some(restored) => {
                self.hidden.retain(|(from, behind, _)| *from != subtask || *behind < restored);
            }
        }
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.show(|_, behind| behind < checkpoint);
        Ok(())
    }

    fn on_request(
        &mut self,
        _: &[u8],
        actions: &mut Vec<CoordinatorAction>,
    ) -> FlowResult<Vec<u8>> {
        let count = self.visible.len().min(BATCHES_PER_ANSWER);
        let taken: Vec<(u32, Vec<u8>)> = self.visible.drain(..count).collect();
        for (subtask, _) in &taken {
            let event = codec::encode(&1u32)?;
            actions.push(CoordinatorAction::SendToSubtask { subtask: *subtask, event });
        }
        let batches: Vec<Vec<u8>> = taken.into_iter().map(|(_, batch)| batch).collect();
        Ok(codec::encode(&batches)?)
    }
}

impl<T: Record> DataStream<T> {
    /// Executes the program and returns the records of this stream, in the order of arrival.
    pub fn execute_and_collect(&self, job_name: &str) -> Result<Vec<T>, ExecuteError> {
        let mut collected = Vec::new();
        self.execute_and_collect_with(job_name, |mut values| collected.append(&mut values))?;
        Ok(collected)
    }

    /// Executes the program and hands the records of this stream to `take`, batch by batch.
    pub fn execute_and_collect_with(
        &self,
        job_name: &str,
        mut take: impl FnMut(Vec<T>),
    ) -> Result<crate::JobExecutionResult, ExecuteError> {
        let name = "Collect";
        let spec = OperatorSpec { kind: OperatorKind::Sink, ..OperatorSpec::operator(name) };
        let checkpoints = self.env.settings.lock().job.checkpoints.interval_ms.is_some();
        let factory = Arc::new(CollectFactory::<T> { checkpoints, types: PhantomData });
        let sink: DataStream<()> = self.add_operator(spec, factory);
        let position = sink.upstream[0].source.0 as usize;
        let stream_graph = self.env.stream_graph(job_name)?;
        let operator = stream_graph.nodes[position].operator_id;
        #[cfg(feature = "cluster")]
        if crate::host::is_host() {
            let text = "records can be collected by a program that runs alone, and not by one that \
                        was submitted to a cluster: use a sink";
            return Err(ExecuteError::Collect(text.to_owned()));
        }
        let (graph, program) = self.env.build(job_name)?;
        let settings = self.env.settings.lock().clone();
        let cluster = start_cluster(&settings, &graph)?;
        let job = graph.job_id;
        let control = cluster.runtimes().control.clone();
        let result = control.block_on(async {
            cluster.submit(graph, program.into()).await?;
            fetch_all(&cluster, job, operator, &mut take).await?;
            Ok::<_, ExecuteError>(cluster.result(job).await?)
        })?;
        finished(result)
    }
}

async fn fetch_all<T: Record>(
    cluster: &MiniCluster,
    job: JobId,
    operator: OperatorId,
    take: &mut impl FnMut(Vec<T>),
) -> Result<(), ExecuteError> {
    let malformed = |error: codec::CodecError| ExecuteError::Collect(error.to_string());
    let mut pause = Duration::from_millis(1);
    loop {
        // Looked at first: what came before the end is fetched after it was seen.
        let over = match cluster.dispatcher().job_status(job).await {
            Ok(status) => status.is_globally_terminal(),
            // Its JobMaster is lost, and another will be there.
            Err(RpcError::Unreachable { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        let answer = cluster.dispatcher().coordination_request(job, operator, Vec::new()).await;
        let batches: Vec<Vec<u8>> = match answer {
            Ok(bytes) => codec::decode(&bytes).map_err(malformed)?,
            // A job that finished has nothing left.
            Err(_) if over => return Ok(()),
            // The job has ended in between, or another JobMaster will be there.
            Err(RpcError::Unreachable { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        if batches.is_empty() {
            if over {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            continue;
        }
        pause = Duration::from_millis(1);
        for batch in batches {
            take(Batch::<T>::decode(&batch).map_err(malformed)?.values);
        }
    }
}

#[cfg(test)]
mod tests {
    use hurtig_types::Batch;
    use parking_lot::Mutex;

    use super::*;

    #[derive(Default)]
    struct Sent(Mutex<Vec<(CheckpointId, Vec<u8>)>>);

    impl EventGateway for Sent {
        fn send_to_coordinator(&self, event: Vec<u8>) -> FlowResult {
            if let ToCoordinator::Batch(behind, batch) = codec::decode(&event)? {
                self.0.lock().push((behind, batch));
            }
            Ok(())
        }
    }

    struct Nowhere;

    impl Output for Nowhere {
        fn emit(&mut self, _: BoxedPayload) -> FlowResult {
            Ok(())
        }
        fn emit_side(&mut self, _: &hurtig_types::SideTag, _: BoxedPayload) -> FlowResult {
            Ok(())
        }
        fn emit_watermark(&mut self, _: hurtig_types::Watermark) -> FlowResult {
            Ok(())
        }
        fn emit_status(&mut self, _: hurtig_types::StreamStatus) -> FlowResult {
            Ok(())
        }
        fn emit_latency(&mut self, _: hurtig_types::LatencyMarker) -> FlowResult {
            Ok(())
        }
        fn is_blocked(&self) -> bool {
            false
        }
    }

    fn sink(sent: &Arc<Sent>) -> CollectOperator {
        CollectOperator {
            events: sent.clone(),
            waiting: VecDeque::new(),
            under_way: 0,
            window: 1,
            behind: CheckpointId(0),
            held: false,
            released: false,
            finishing: false,
        }
    }

    #[test]
    fn what_a_savepoint_holds_is_sent_by_the_job_that_goes_on_alone() {
        for goes_on in [false, true] {
            let sent = Arc::new(Sent::default());
            let mut sink = sink(&sent);
            for value in [1i64, 2] {
                sink.process(0, Batch::new(vec![value]).boxed(), &mut Nowhere).unwrap();
            }
            assert_eq!(sent.0.lock().len(), 1, "the window is one batch");
            let captured = sink.begin_capture(CheckpointId(7), None).unwrap();
            assert_eq!(captured.operator_states[0].elements.len(), 1);
            sink.checkpoint_complete(CheckpointId(7)).unwrap();
            // The batch before the savepoint must reach the client, whatever happens.
            assert_eq!(sink.stop().unwrap(), Progress::More);
            sink.on_event(&codec::encode(&1u32).unwrap()).unwrap();
            assert_eq!(sent.0.lock().len(), 1, "the other one is the savepoint's");
            assert_eq!(sink.stop().unwrap(), Progress::Done);
            if goes_on {
                assert!(sink.next_processing_timer_ms().is_some());
                sink.on_processing_time(0, &mut Nowhere).unwrap();
                assert_eq!(sent.0.lock().len(), 2);
                assert_eq!(sink.next_processing_timer_ms(), None);
            }
        }
    }
}
