//! Operators and edges in any layout of records, for layers above that bring their own: SQL.
//!
//! What is added here takes part in everything that a program of [`DataStream`](crate::DataStream)s
//! does: chaining, parallelism, checkpoints, hosts of a cluster.

use std::{sync::Arc, time::Duration};

use hurtig_cluster_api::{DispatcherGateway, JobStatus, RpcError};
use hurtig_graph::{ChainingStrategy, OperatorKind, ShipStrategy, TransformationId};
use hurtig_operator_api::{EdgeFactory, OperatorFactory};
use hurtig_types::{OperatorId, Record, codec};

use crate::{
    DataStream, ExecuteError, JobClient, StreamExecutionEnvironment,
    builder::{Input, OperatorSpec},
    collect::collect_factory,
};

/// What an operator gives, or that it was added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawStream(TransformationId);

/// Makes the code of an edge once its strategy is known.
pub type RawEdge = Arc<dyn Fn(ShipStrategy) -> Arc<dyn EdgeFactory> + Send + Sync>;

/// One input of an operator. Several of the same index form a union.
#[derive(Clone)]
pub struct RawInput {
    /// Where the records come from.
    pub stream: RawStream,
    /// Which input they feed: 0, or 1 for the second one.
    pub index: u32,
    /// How they travel; `None`: forward if the parallelism is equal, else rebalance.
    pub ship: Option<ShipStrategy>,
    /// The edge's code.
    pub edge: RawEdge,
}

/// An operator.
pub struct RawOperator {
    /// Its name.
    pub name: String,
    /// The stable name of its state.
    pub uid: Option<String>,
    /// Its role.
    pub kind: OperatorKind,
    /// For a source: whether it ends.
    pub bounded: bool,
    /// Number of subtasks; `None`: the environment's.
    pub parallelism: Option<u32>,
    /// It must never have more subtasks than that.
    pub max_allowed_parallelism: Option<u32>,
    /// Whether it may be chained.
    pub chaining: ChainingStrategy,
    /// Its code.
    pub factory: Arc<dyn OperatorFactory>,
}

impl RawOperator {
    /// An operator between others, with nothing set.
    pub fn new(name: &str, factory: Arc<dyn OperatorFactory>) -> Self {
        Self {
            name: name.to_owned(),
            uid: None,
            kind: OperatorKind::Operator,
            bounded: true,
            parallelism: None,
            max_allowed_parallelism: None,
            chaining: ChainingStrategy::Always,
            factory,
        }
    }
}

impl StreamExecutionEnvironment {
    /// Adds an operator.
    pub fn add_raw(&self, operator: RawOperator, inputs: Vec<RawInput>) -> RawStream {
        let inputs = inputs.into_iter().map(|input| {
            let RawInput { stream, index, ship, edge } = input;
            (index, Input { source: stream.0, side_output: None, ship, make_edge: edge })
        });
        self.add_with_inputs(operator, inputs.collect())
    }

    fn add_with_inputs(&self, operator: RawOperator, inputs: Vec<(u32, Input)>) -> RawStream {
        let spec = OperatorSpec {
            name: operator.name,
            kind: operator.kind,
            bounded: operator.bounded,
            max_allowed_parallelism: operator.max_allowed_parallelism,
        };
        let mut builder = self.builder.lock();
        let id = builder.add(spec, operator.factory, inputs);
        let added = &mut builder.transformations[id.0 as usize];
        added.uid = operator.uid;
        added.parallelism = operator.parallelism;
        added.chaining = operator.chaining;
        RawStream(id)
    }

    /// Adds an operator that reads a stream of records: of this environment, or of one that this is a
    /// copy of.
    ///
    /// # Errors
    /// If the stream is of another environment.
    pub fn add_raw_behind<T: Record>(
        &self,
        stream: &DataStream<T>,
        operator: RawOperator,
    ) -> Result<RawStream, ExecuteError> {
        let own = Arc::ptr_eq(&self.builder, &stream.env.builder)
            || self.builder.lock().is_copy_of(&stream.env.builder.lock());
        if !own {
            let text = "the stream is of another environment".to_owned();
            return Err(ExecuteError::Program(text));
        }
        let inputs = stream.inputs().into_iter().map(|input| (0, input)).collect();
        Ok(self.add_with_inputs(operator, inputs))
    }

    /// The batches of an operator as a stream of records; they must be
    /// [`Batch`](hurtig_types::Batch)es of that type.
    pub fn stream_of_raw<T: Record>(&self, stream: RawStream) -> DataStream<T> {
        DataStream::of_operator(self.clone(), stream.0)
    }

    /// Another environment with the same settings and the program so far. What is added to one is not
    /// in the other.
    pub fn copy(&self) -> Self {
        let builder = self.builder.lock().clone();
        let settings = self.settings.lock().clone();
        Self {
            builder: Arc::new(parking_lot::Mutex::new(builder)),
            settings: Arc::new(parking_lot::Mutex::new(settings)),
        }
    }

    /// Leaves out of the program what does not lead to one of these operators, and returns what these
    /// are from then on. Streams that were taken from the environment before are none of it any more.
    pub fn retain_raw(&self, ends: &[RawStream]) -> Vec<RawStream> {
        let ends: Vec<TransformationId> = ends.iter().map(|end| end.0).collect();
        self.builder.lock().retain(&ends).into_iter().map(RawStream).collect()
    }

    /// Starts the program with a sink behind a stream that brings its batches to the client, encoded
    /// by their [`encode`](hurtig_types::Payload::encode). `parallelism`: of the sink.
    ///
    /// # Errors
    /// If the program is wrong, the cluster cannot start, or the program runs in a cluster's host.
    pub fn collect_raw(
        &self,
        job_name: &str,
        input: RawInput,
        parallelism: Option<u32>,
    ) -> Result<RawCollector, ExecuteError> {
        #[cfg(feature = "cluster")]
        if crate::host::is_host() {
            let text = "rows can be collected by a program that runs alone: use INSERT INTO";
            return Err(ExecuteError::Collect(text.to_owned()));
        }
        let operator = self.add_collector(job_name, input, parallelism)?;
        let client = self.execute_async(job_name)?;
        Ok(RawCollector { client, operator, ended: false })
    }

    /// Adds that sink without starting the program, and says which operator it is. Its coordinator
    /// answers requests with what [`collected`] reads, to whoever submits the program.
    ///
    /// # Errors
    /// If the program is wrong.
    pub fn add_collector(
        &self,
        job_name: &str,
        input: RawInput,
        parallelism: Option<u32>,
    ) -> Result<OperatorId, ExecuteError> {
        let checkpoints = self.settings.lock().job.checkpoints.interval_ms.is_some();
        let sink = RawOperator {
            kind: OperatorKind::Sink,
            uid: Some("collect".to_owned()),
            parallelism,
            ..RawOperator::new("Collect", collect_factory(checkpoints))
        };
        let RawStream(id) = self.add_raw(sink, vec![input]);
        Ok(self.stream_graph(job_name)?.nodes[id.0 as usize].operator_id)
    }
}

/// The batches in an answer of a collecting sink's coordinator.
///
/// # Errors
/// If it is no such answer.
pub fn collected(answer: &[u8]) -> Result<Vec<Vec<u8>>, ExecuteError> {
    codec::decode(answer).map_err(|error| ExecuteError::Collect(error.to_string()))
}

/// Brings the batches of a job that was started by [`StreamExecutionEnvironment::collect_raw`].
pub struct RawCollector {
    client: JobClient,
    operator: OperatorId,
    ended: bool,
}

/// Shortest pause between two questions.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// Longest pause between two questions.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl RawCollector {
    /// The job.
    pub fn client(&self) -> &JobClient {
        &self.client
    }

    /// Batches, when there are some or `patience` has ended; `None` at the end of the job.
    ///
    /// # Errors
    /// If the job has failed or was cancelled, or the cluster cannot be asked.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Vec<Vec<u8>>>, ExecuteError> {
        if self.ended {
            return Ok(None);
        }
        let client = self.client.clone();
        let dispatcher = client.cluster().dispatcher();
        let (job, operator) = (client.job_id(), self.operator);
        let fetched = client.cluster().runtimes().control.block_on(async {
            let mut pause = SHORTEST_PAUSE;
            let mut waited = Duration::ZERO;
            loop {
                // Looked at first: what came before the end is fetched after it was seen.
                let over = match dispatcher.job_status(job).await {
                    Ok(status) => status.is_globally_terminal(),
                    Err(RpcError::Unreachable { .. }) => false,
                    Err(error) => return Err(ExecuteError::from(error)),
                };
                match dispatcher.coordination_request(job, operator, Vec::new()).await {
                    Ok(bytes) => {
                        let batches = collected(&bytes)?;
                        if !batches.is_empty() {
                            return Ok(Some(batches));
                        }
                    }
                    // A job that has ended has nothing left, or its JobMaster is lost.
                    Err(_) if over => {}
                    Err(RpcError::Unreachable { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                if over {
                    return Ok(None);
                }
                if waited >= patience {
                    return Ok(Some(Vec::new()));
                }
                tokio::time::sleep(pause).await;
                waited += pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        })?;
        if fetched.is_none() {
            self.ended = true;
            if client.status()? != JobStatus::Canceled {
                client.wait()?;
            }
        }
        Ok(fetched)
    }
}
