//! Records in flight: what belongs to an unaligned checkpoint beside the operators' state.
//!
//! - What barriers have overtaken on the inputs is [collected](Collecting) by the input processor,
//!   what they have overtaken on the outputs by the record writers.
//! - All of it is [written](write), a file per channel; few bytes stay in the handle.
//! - After a restore, the outputs' records go back to their queues, and the inputs' are
//!   [replayed](Replay) before anything of the gates.
//!
//! What the input processor itself held is kept with the first channel of its gate, which is
//! replayed first. So the order on every channel is kept.

use std::{collections::VecDeque, sync::Arc};

use hurtig_graph::JobVertex;
use hurtig_network::in_flight::{self, InFlightElement};
use hurtig_operator_api::{ChannelSink, EdgeFactory, PartitionContext};
use hurtig_storage::{StateWriter, StorageError};
use hurtig_types::{
    BoxedPayload, CheckpointId, FlowError, FlowResult, JobManagerTaskRestore, KeyGroupRange,
    StateFile, StreamElement, chain_text,
    snapshot::{InputChannelState, ResultSubpartitionState},
};

use crate::local::StateFiles;

/// What is in flight on the inputs of a task, while it is collected.
pub(crate) struct Collecting {
    /// The checkpoint.
    pub(crate) id: CheckpointId,
    /// Encoded elements, by channel of the task.
    pub(crate) channels: Vec<Vec<u8>>,
}

/// Encoded elements that were in flight on the inputs, by gate and channel.
pub(crate) type InputsInFlight = Vec<((u32, u32), Vec<u8>)>;

/// The same on the outputs, by partition and subpartition.
pub(crate) type OutputsInFlight = Vec<((u32, u32), Vec<u8>)>;

impl Collecting {
    /// Nothing yet, of that many channels.
    pub(crate) fn new(id: CheckpointId, channels: usize) -> Self {
        Self { id, channels: vec![Vec::new(); channels] }
    }

    /// What was collected, with the names of all channels in order.
    pub(crate) fn by_channel(self, names: impl Iterator<Item = (u32, u32)>) -> InputsInFlight {
        names.zip(self.channels).filter(|(_, bytes)| !bytes.is_empty()).collect()
    }
}

/// Elements that were in flight when the checkpoint was taken from which the task starts, by gate
/// and channel, in the order in which they are to be processed.
#[derive(Default)]
pub(crate) struct Replay(VecDeque<(usize, usize, StreamElement)>);

impl Replay {
    /// The next element.
    pub(crate) fn pop(&mut self) -> Option<(usize, usize, StreamElement)> {
        let next = self.0.pop_front();
        if self.0.is_empty() {
            self.0 = VecDeque::new();
        }
        next
    }

    /// True if nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an element.
    pub(crate) fn push(&mut self, gate: usize, channel: usize, element: StreamElement) {
        self.0.push_back((gate, channel, element));
    }

    /// What is left is in flight again. `first_channels` are the gates' first channels of the task.
    pub(crate) fn collect(&self, first_channels: &[usize], into: &mut Collecting) -> FlowResult {
        for (gate, channel, element) in &self.0 {
            let bytes = &mut into.channels[first_channels[*gate] + channel];
            put(element, bytes)?;
        }
        Ok(())
    }
}

/// Appends an element, if it is one that is kept.
pub(crate) fn put(element: &StreamElement, bytes: &mut Vec<u8>) -> FlowResult {
    use hurtig_types::element::ControlElement::{Status, Watermark};
    match element {
        StreamElement::Batch(batch) => in_flight::put_batch(batch, bytes),
        StreamElement::Watermark(watermark) => {
            in_flight::put_control(&Watermark(*watermark), bytes)
        }
        StreamElement::Status(status) => in_flight::put_control(&Status(*status), bytes),
        StreamElement::Barrier(_) | StreamElement::Latency(_) | StreamElement::EndOfInput => Ok(()),
    }
}

/// The files of all channels.
#[derive(Debug, Default)]
pub(crate) struct InFlightFiles {
    pub(crate) inputs: Vec<InputChannelState>,
    pub(crate) outputs: Vec<ResultSubpartitionState>,
}

impl InFlightFiles {
    /// Every file.
    pub(crate) fn files(&self) -> impl Iterator<Item = &StateFile> {
        let inputs = self.inputs.iter().map(|state| &state.file);
        inputs.chain(self.outputs.iter().map(|state| &state.file))
    }
}

/// Writes what was in flight; `writer` gives each file its writer.
pub(crate) async fn write(
    inputs: InputsInFlight,
    outputs: OutputsInFlight,
    writer: impl Fn(String) -> Result<StateWriter, StorageError>,
) -> Result<InFlightFiles, StorageError> {
    async fn file(mut writer: StateWriter, bytes: Vec<u8>) -> Result<StateFile, StorageError> {
        writer.write(&bytes).await?;
        writer.finish().await
    }
    let mut files = InFlightFiles::default();
    for ((gate, channel), bytes) in inputs {
        let file = file(writer(format!("input-{gate}-{channel}"))?, bytes).await?;
        files.inputs.push(InputChannelState { gate, channel, file });
    }
    for ((partition, subpartition), bytes) in outputs {
        let file = file(writer(format!("output-{partition}-{subpartition}"))?, bytes).await?;
        files.outputs.push(ResultSubpartitionState { partition, subpartition, file });
    }
    Ok(files)
}

/// What was in flight of one task, read.
#[derive(Default)]
pub(crate) struct RestoredInFlight {
    /// By gate and channel, in order.
    pub(crate) inputs: Vec<(usize, usize, Vec<InFlightElement>)>,
    /// By partition and subpartition.
    pub(crate) outputs: Vec<(usize, usize, Vec<InFlightElement>)>,
    /// Of subtasks that are no more, by gate; with the key groups that are this task's.
    pub(crate) rescaled: Vec<(usize, Option<KeyGroupRange>, Vec<InFlightElement>)>,
}

/// Reads what was in flight of one task.
pub(crate) async fn read(
    restore: &JobManagerTaskRestore,
    files: &StateFiles,
) -> FlowResult<RestoredInFlight> {
    let mut read = RestoredInFlight::default();
    for rescaled in &restore.rescaled_channels {
        for file in &rescaled.files {
            let elements = read_elements(files, file).await?;
            read.rescaled.push((rescaled.gate as usize, rescaled.filter, elements));
        }
    }
    for state in restore.operators.values() {
        for input in &state.input_channels {
            let elements = read_elements(files, &input.file).await?;
            read.inputs.push((input.gate as usize, input.channel as usize, elements));
        }
        for output in &state.result_subpartitions {
            let elements = read_elements(files, &output.file).await?;
            let (partition, subpartition) = (output.partition, output.subpartition);
            read.outputs.push((partition as usize, subpartition as usize, elements));
        }
    }
    read.inputs.sort_by_key(|(gate, channel, _)| (*gate, *channel));
    Ok(read)
}

async fn read_elements(files: &StateFiles, file: &StateFile) -> FlowResult<Vec<InFlightElement>> {
    let bytes = files.read(file).await?;
    in_flight::decode(&bytes).map_err(|error| FlowError::fatal(chain_text(&error)))
}

/// One gate of the task that replays.
pub(crate) struct ReplayedGate {
    /// The code of its edge.
    pub(crate) edge: Arc<dyn EdgeFactory>,
    /// Number of channels.
    pub(crate) channels: usize,
}

/// Decodes what was in flight on the inputs, and keeps the records of one subtask's key groups, by
/// the code that partitions the edge.
pub(crate) struct KeyGroupFilter {
    gates: Vec<ReplayedGate>,
    subtask: u32,
    parallelism: u32,
    max_parallelism: u32,
}

struct Own {
    channel: usize,
    kept: Vec<BoxedPayload>,
}

impl ChannelSink for Own {
    fn push(&mut self, channel: usize, batch: BoxedPayload) -> FlowResult {
        if channel == self.channel {
            self.kept.push(batch);
        }
        Ok(())
    }
}

impl KeyGroupFilter {
    pub(crate) fn new(gates: Vec<ReplayedGate>, vertex: &JobVertex, subtask: u32) -> Self {
        let (parallelism, max_parallelism) = (vertex.parallelism, vertex.max_parallelism);
        Self { gates, subtask, parallelism, max_parallelism }
    }

    /// The gate that a checkpoint names, if the task has it.
    fn gate(&self, gate: usize) -> FlowResult<&ReplayedGate> {
        let no_gate = || FlowError::fatal(format!("records in flight are of gate {gate}"));
        self.gates.get(gate).ok_or_else(no_gate)
    }

    /// The records of a batch that are this subtask's.
    fn keep(&self, edge: &dyn EdgeFactory, batch: BoxedPayload) -> FlowResult<Vec<BoxedPayload>> {
        let mut partitioner = edge.create_partitioner(&PartitionContext {
            channels: self.parallelism as usize,
            subtask: 0,
            parallelism: 1,
            target_parallelism: self.parallelism,
            target_max_parallelism: self.max_parallelism,
            buffer_bytes: batch.size_bytes().max(1),
        })?;
        let mut own = Own { channel: self.subtask as usize, kept: Vec::new() };
        partitioner.partition(batch, &mut own)?;
        partitioner.flush(&mut own)?;
        Ok(own.kept)
    }

    /// The elements that go before everything of the gates.
    ///
    /// Watermarks of subtasks that are no more are left out: which channel they would count for is
    /// gone, and later ones will come.
    pub(crate) fn replay(
        &self,
        inputs: Vec<(usize, usize, Vec<InFlightElement>)>,
        rescaled: Vec<(usize, Option<KeyGroupRange>, Vec<InFlightElement>)>,
    ) -> FlowResult<Replay> {
        let mut replay = Replay::default();
        for (gate, filter, elements) in rescaled {
            let edge = &*self.gate(gate)?.edge;
            for element in elements {
                let InFlightElement::Batch(bytes) = element else { continue };
                let batch = edge.decode(&bytes)?;
                let kept = match filter {
                    Some(_) => self.keep(edge, batch)?,
                    None => vec![batch],
                };
                kept.into_iter().for_each(|b| replay.push(gate, 0, StreamElement::Batch(b)));
            }
        }
        for (gate, channel, elements) in inputs {
            let ReplayedGate { edge, channels } = self.gate(gate)?;
            if channel >= *channels {
                let what = format!("records in flight are of channel {channel} of gate {gate}");
                return Err(FlowError::fatal(format!("{what}, which has {channels}")));
            }
            for element in elements {
                let element = match element {
                    InFlightElement::Batch(bytes) => StreamElement::Batch(edge.decode(&bytes)?),
                    InFlightElement::Control(control) => control.into(),
                };
                replay.push(gate, channel, element);
            }
        }
        Ok(replay)
    }
}

#[cfg(test)]
mod tests {
    use hurtig_operator_api::Partitioner;
    use hurtig_types::{CodecError, Watermark, element::ControlElement};

    use super::*;

    /// Watermarks alone are replayed: no batch comes here.
    struct NoBatches;

    impl EdgeFactory for NoBatches {
        fn create_partitioner(&self, _: &PartitionContext) -> FlowResult<Box<dyn Partitioner>> {
            Err(FlowError::internal("nothing is partitioned"))
        }

        fn decode(&self, _: &[u8]) -> Result<BoxedPayload, CodecError> {
            panic!("nothing is decoded")
        }
    }

    fn replay(gate: usize, channel: usize) -> Result<usize, String> {
        let gate_of = |channels| ReplayedGate { edge: Arc::new(NoBatches), channels };
        let gates = vec![gate_of(1), gate_of(3)];
        let filter = KeyGroupFilter { gates, subtask: 0, parallelism: 1, max_parallelism: 128 };
        let watermark = InFlightElement::Control(ControlElement::Watermark(Watermark(7)));
        let replay = filter.replay(vec![(gate, channel, vec![watermark])], Vec::new());
        replay.map(|replay| replay.0.len()).map_err(|error| error.to_string())
    }

    #[test]
    fn metadata_cannot_name_a_channel_that_the_task_has_not() {
        assert_eq!(replay(0, 0), Ok(1));
        assert_eq!(replay(1, 2), Ok(1));
        let error = "records in flight are of channel 1 of gate 0, which has 1";
        assert_eq!(replay(0, 1), Err(error.to_owned()));
        assert_eq!(replay(2, 0), Err("records in flight are of gate 2".to_owned()));
    }
}
