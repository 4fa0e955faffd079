//! The contract in which the roles meet: gateway traits and the plain data that they carry.
//!
//! A gateway is the only thing one role knows of another. Embedded, its implementation posts to an
//! actor's bounded queue; between processes it is an RPC client. All data here is serialisable.
//!
//! Every message of a leader carries its fencing token; the receiver rejects a stale one with
//! [`RpcError::Fenced`].

pub mod actor;
pub mod back_pressure;
pub mod checkpoints;
pub mod gateway;
pub mod hosts;
pub mod job;
pub mod leader;
pub mod metrics;
pub mod peer;
pub mod programs;
pub mod register;
pub mod requirements;
pub mod slot;
pub mod task;

pub use actor::{Inbox, Mailbox};
pub use back_pressure::{BackPressureLevel, SubtaskBackPressure, VertexBackPressure};
pub use checkpoints::{
    CheckpointStatistics, CheckpointStatsCounts, CheckpointStatsSnapshot, CheckpointStatsStatus,
    RestoredCheckpointStats, SubtaskStateStats,
};
pub use gateway::{
    DispatcherGateway, JobMasterGateway, JobMasterLauncher, ResourceManagerGateway, RpcError,
    RpcResult, TaskExecutorGateway,
};
pub use hosts::{CheckpointNews, HostId, HostParentGateway, TaskHostGateway};
pub use job::{
    ExceptionHistoryEntry, JobDetails, JobOverview, JobResult, JobStatus,
    RootExceptionHistoryEntry, SubtaskDetails, TaskExecutorOverview, VertexDetails,
};
pub use leader::{Leader, LeaderReceiver};
pub use metrics::{METRICS_TIMEOUT, gather_metrics};
pub use peer::{GatewayAddress, Identity, NOT_FENCED, Peer};
pub use programs::{
    BlobError, BlobInfo, BlobService, BlobSource, BlobUpload, LogFile, LogSource, ProcessThread,
    ProgramError, ProgramRequest, ProgramRunner,
};
pub use register::{CheckpointPointer, CheckpointRegister, RecoveredCheckpoints};
pub use requirements::{JobResourceRequirements, ParallelismBounds};
pub use slot::{
    FencingToken, OccupiedSlot, SlotId, SlotOffer, SlotReport, SlotStatus, SurvivingTask,
    TaskExecutorRegistration,
};
pub use task::{
    ExecutionState, FailureClass, FailureInfo, GateDescriptor, JobHeartbeatAnswer, PeerAddress,
    ProducerDescriptor, TaskDeploymentDescriptor, TaskIoMetrics, TaskStateUpdate,
};
