//! The sink: batches until the client has them.
//!
//! Both lists of its state hold batches with their names. Those that were *sent* are restored by the
//! job that has sent them alone: of a job that is resumed from a savepoint they are the business of
//! the job before, which stops only when they have arrived. Those that were *unsent* go with the
//! state.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use hurtig_operator_api::{
    Captured, EventGateway, ListStateData, Operator, OperatorContext, OperatorRestore, Output,
    Progress,
};
use hurtig_types::{
    BoxedPayload, CheckpointId, FlowResult, JobId, RedistributionMode,
    codec::{self, CodecError},
};
use serde::{Deserialize, Serialize};

use super::{BatchId, BatchStream, Sent, ToSink};

/// Batches of one subtask that may be under way to the client.
const WINDOW: usize = 8;
/// The same with checkpoints, when they also wait for the next one to complete.
const WINDOW_WITH_CHECKPOINTS: usize = 1024;
/// With checkpoints, so many bytes may wait beyond the window before the sink takes no more: what
/// waits for a checkpoint must not keep its barrier away.
const WAITING_BYTES: usize = 64 << 20;
/// The state that holds batches that are under way.
const SENT: &str = "sent";
/// The state that holds batches that were not sent yet.
const UNSENT: &str = "unsent";

/// A batch as it is kept, and as it is in the state.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Kept {
    id: BatchId,
    /// The checkpoint behind which it was emitted, if no later one is known to be complete.
    behind: Option<CheckpointId>,
    batch: Vec<u8>,
}

pub(super) struct CollectOperator {
    events: Arc<dyn EventGateway>,
    stream: BatchStream,
    next: u64,
    /// Under way, until they have arrived.
    sent: VecDeque<Kept>,
    waiting: VecDeque<Kept>,
    waiting_bytes: usize,
    checkpoints: bool,
    pub(super) window: usize,
    /// The last checkpoint that was taken.
    behind: CheckpointId,
    /// What waits is in a checkpoint, behind which the job may stop.
    held: bool,
    /// It did not: what waits is sent with the next timer, which a job that stops never fires.
    released: bool,
    finishing: bool,
}

fn encoded(
    name: &str,
    elements: impl Iterator<Item = Result<Vec<u8>, CodecError>>,
) -> FlowResult<ListStateData> {
    Ok(ListStateData {
        name: name.to_owned(),
        mode: RedistributionMode::SplitDistribute,
        elements: elements.collect::<Result<_, _>>()?,
    })
}

impl CollectOperator {
    pub(super) fn new(
        events: Arc<dyn EventGateway>,
        stream: BatchStream,
        checkpoints: bool,
    ) -> Self {
        Self {
            events,
            stream,
            next: 0,
            sent: VecDeque::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            checkpoints,
            window: if checkpoints { WINDOW_WITH_CHECKPOINTS } else { WINDOW },
            behind: CheckpointId(0),
            held: false,
            released: false,
            finishing: false,
        }
    }

    fn wait(&mut self, kept: Kept) {
        self.waiting_bytes += kept.batch.len();
        self.waiting.push_back(kept);
    }

    fn send(&mut self) -> FlowResult {
        while !self.held
            && self.sent.len() < self.window
            && let Some(kept) = self.waiting.pop_front()
        {
            self.waiting_bytes -= kept.batch.len();
            let batch = Sent(kept.id, kept.behind, kept.batch.clone());
            self.events.send_to_coordinator(codec::encode(&batch)?)?;
            self.sent.push_back(kept);
        }
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.sent.is_empty()
    }

    pub(super) fn restore(&mut self, restored: &OperatorRestore) -> FlowResult {
        self.behind = restored.checkpoint_id;
        for element in restored.list(SENT) {
            let (by, kept): (JobId, Kept) = codec::decode(element)?;
            if by == self.stream.job {
                self.wait(Kept { behind: None, ..kept });
            }
        }
        for element in restored.list(UNSENT) {
            self.wait(Kept { behind: None, ..codec::decode(element)? });
        }
        Ok(())
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
            self.restore(restored)?;
        }
        self.send()
    }

    fn begin_capture(&mut self, checkpoint: CheckpointId, _: Option<u32>) -> FlowResult<Captured> {
        self.behind = checkpoint;
        self.held = !self.waiting.is_empty();
        self.released = false;
        let job = self.stream.job;
        let sent = encoded(SENT, self.sent.iter().map(|kept| codec::encode(&(job, kept))))?;
        let unsent = encoded(UNSENT, self.waiting.iter().map(codec::encode))?;
        Ok(Captured { operator_states: vec![sent, unsent], ..Captured::default() })
    }

    fn process(&mut self, _: usize, batch: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        let mut bytes = Vec::new();
        batch.encode(&mut bytes)?;
        let id = BatchId { stream: self.stream, number: self.next };
        self.next += 1;
        self.wait(Kept { id, behind: Some(self.behind), batch: bytes });
        self.send()
    }

    fn on_event(&mut self, event: &[u8]) -> FlowResult {
        match codec::decode(event)? {
            ToSink::Arrived(arrived) => {
                let arrived: BTreeSet<BatchId> = arrived.into_iter().collect();
                self.sent.retain(|kept| !arrived.contains(&kept.id));
            }
            ToSink::SendAgain => {
                for Kept { id, behind, batch } in &self.sent {
                    let batch = Sent(*id, *behind, batch.clone());
                    self.events.send_to_coordinator(codec::encode(&batch)?)?;
                }
            }
        }
        self.send()
    }

    fn is_available(&self) -> bool {
        if self.finishing {
            return self.checkpoints || self.is_empty();
        }
        let room = self.checkpoints && self.waiting_bytes < WAITING_BYTES;
        self.waiting.is_empty() || room
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
        Ok(if self.sent.is_empty() { Progress::Done } else { Progress::More })
    }

    fn awaits_checkpoint(&self) -> bool {
        self.checkpoints && self.finishing && !self.is_empty()
    }

    fn finish(&mut self, _: &mut dyn Output) -> FlowResult<Progress> {
        self.finishing = true;
        self.release();
        self.send()?;
        // With checkpoints, the last one comes behind this: see `awaits_checkpoint`.
        let done = self.checkpoints || self.is_empty();
        Ok(if done { Progress::Done } else { Progress::More })
    }
}
