//! Bringing a stream's records to the client.
//!
//! 1. The [sink](sink) sends each batch, encoded and under a name that is never used again, to its
//!    coordinator in the JobMaster; it keeps at most a window of batches under way, and keeps each of
//!    them until the client has it.
//! 2. The client asks the [coordinator], which hands out what may be seen. The next question says
//!    what has arrived ([`Received`]): only that is forgotten by coordinator and sink.
//! 3. A sink finishes when everything has arrived, so a job that has ended has nothing left. A
//!    savepoint that stops the job also waits for that, as far as batches were sent before it; those
//!    that were not are in it, and are not sent before it is known that the job goes on.
//!
//! With checkpoints each record reaches the client once, whatever is lost in between: a task, the
//! JobMaster with all that waits in it, an answer. A batch carries the checkpoint behind which it
//! was emitted, and is handed out when a later one is complete; so a sink that has seen the end of
//! its input waits for one more. Until a batch has arrived it is in every checkpoint, and is sent
//! again after a restore; the client drops what it has. What was emitted behind the checkpoint that
//! is restored has never been seen, and has gone. Without checkpoints a restart begins anew, also
//! for the client.
//!
//! As Flink 2.3's collect sink, whose client holds what waits for a checkpoint.

mod coordinator;
mod received;
mod sink;
#[cfg(test)]
mod tests;

use std::{marker::PhantomData, sync::Arc, time::Duration};

use hurtig_cluster_api::{DispatcherGateway, RpcError};
use hurtig_graph::{JobGraph, OperatorKind};
use hurtig_minicluster::MiniCluster;
use hurtig_operator_api::{
    CoordinatorContext, Operator, OperatorContext, OperatorCoordinator, OperatorFactory, Program,
};
use hurtig_types::{Batch, CheckpointId, FlowResult, JobId, OperatorId, Record, codec};
use serde::{Deserialize, Serialize};

use crate::{
    DataStream, ExecuteError,
    builder::OperatorSpec,
    execution::{finished, start_cluster},
};

use self::{coordinator::CollectCoordinator, sink::CollectOperator};

pub use received::Received;

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

/// Whose batches these are: one attempt of one subtask, of the job in which they were emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct BatchStream {
    job: JobId,
    subtask: u32,
    attempt: u32,
}

/// The name of a batch, which it keeps wherever it is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct BatchId {
    stream: BatchStream,
    number: u64,
}

/// From a sink to its coordinator: a batch, to be seen when a later checkpoint than that one is
/// complete; `None`: at once.
#[derive(Serialize, Deserialize)]
struct Sent(BatchId, Option<CheckpointId>, Vec<u8>);

/// From the coordinator to a sink.
#[derive(Serialize, Deserialize)]
enum ToSink {
    /// These have arrived.
    Arrived(Vec<BatchId>),
    /// The coordinator is another, and has nothing: what is under way is to be sent again.
    SendAgain,
}

/// From the client to the coordinator: these have arrived since the last answer.
type Question = Vec<BatchId>;

/// From the coordinator to the client, in the order in which they came.
type Answer = Vec<(BatchId, Vec<u8>)>;

impl<T: Record> OperatorFactory for CollectFactory<T> {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let OperatorContext { job, subtask, attempt, .. } = *context;
        let stream = BatchStream { job, subtask, attempt };
        Ok(Box::new(CollectOperator::new(context.events.clone(), stream, self.checkpoints)))
    }

    fn has_coordinator(&self) -> bool {
        true
    }

    fn create_coordinator(
        &self,
        context: &CoordinatorContext,
    ) -> FlowResult<Option<Box<dyn OperatorCoordinator>>> {
        Ok(Some(Box::new(CollectCoordinator::new(self.checkpoints, context.parallelism))))
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
        take: impl FnMut(Vec<T>),
    ) -> Result<crate::JobExecutionResult, ExecuteError> {
        self.collected(job_name)?.run(take)
    }

    /// The program with a sink behind this stream, and a cluster that will run it.
    fn collected(&self, job_name: &str) -> Result<Collected, ExecuteError> {
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
        Ok(Collected { cluster, graph, program, operator })
    }
}

/// A job whose records will be collected, and its cluster.
struct Collected {
    cluster: MiniCluster,
    graph: JobGraph,
    program: Program,
    operator: OperatorId,
}

impl Collected {
    fn run<T: Record>(
        &self,
        mut take: impl FnMut(Vec<T>),
    ) -> Result<crate::JobExecutionResult, ExecuteError> {
        let (cluster, job) = (&self.cluster, self.graph.job_id);
        let result = cluster.runtimes().control.clone().block_on(async {
            cluster.submit(self.graph.clone(), self.program.clone().into()).await?;
            fetch_all(cluster, job, self.operator, &mut take).await?;
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
    let mut received = Received::default();
    loop {
        // Looked at first: what came before the end is fetched after it was seen.
        let over = match cluster.dispatcher().job_status(job).await {
            Ok(status) => status.is_globally_terminal(),
            // Its JobMaster is lost, and another will be there.
            Err(RpcError::Unreachable { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        let question = received.question().map_err(malformed)?;
        let answer = cluster.dispatcher().coordination_request(job, operator, question).await;
        let batches = match answer {
            Ok(answer) => received.accept(&answer).map_err(malformed)?,
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
