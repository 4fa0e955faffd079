//! The vocabulary that every other crate speaks: identifiers, event time, key groups, the record
//! codec, batches and the elements that flow along an edge.
//!
//! Owns no behaviour beyond what its types need to keep their own invariants; there is no I/O, no
//! clock, no thread here, and nothing in this crate may depend on another crate of the project.

pub mod batch;
pub mod blob;
pub mod checkpoint;
pub mod codec;
pub mod element;
pub mod error;
pub mod id;
pub mod key_group;
pub mod key_hash;
pub mod schema;
pub mod snapshot;
pub mod time;
pub mod varint;

pub use batch::{Batch, BoxedPayload, KeyHashes, Payload, Record};
pub use blob::BlobId;
pub use checkpoint::{
    Alignment, CheckpointConfig, CheckpointException, CheckpointFailureReason, CheckpointId,
    CheckpointMetrics, CheckpointOptions, CheckpointRetentionPolicy, CheckpointType,
    CheckpointingMode, RecoveryClaimMode, SavepointFormat, TerminateKind,
};
pub use codec::CodecError;
pub use element::{CheckpointBarrier, LatencyMarker, StreamElement, StreamStatus, Watermark};
pub use error::{BoxError, ErrorClass, FlowError, FlowResult, chain_text};
pub use id::{
    AllocationId, EdgeId, ExecutionAttemptId, GraphFingerprint, JobId, JobVertexId, OperatorId,
    ParseIdError, ResourceId, ResultPartitionId, SideTag,
};
pub use key_group::{KeyGroupRange, key_group_of, operator_index_of};
pub use key_hash::{KeyHashError, stable_hash};
pub use snapshot::{
    JobManagerTaskRestore, KeyedStateHandle, OperatorStateHandle, OperatorSubtaskState,
    RedistributionMode, SnapshotProgress, StateFile, StateKind, StateLocation, StateMeta,
    StateScope, TaskStateSnapshot,
};
pub use time::{MAX_TIMESTAMP, MIN_TIMESTAMP, TimeWindow};
