//! Everything that a job usually needs.

pub use std::time::Duration;

pub use hurtig_config::Configuration;
pub use hurtig_connectors::file_sink::{
    BasePathBucketAssigner, BucketAssigner, BucketContext, BulkWriter, BulkWriterFactory,
    DateTimeBucketAssigner, DefaultRollingPolicy, Encoder, FileSink, GzipWriterFactory,
    OnCheckpointRollingPolicy, OutputFileConfig, SimpleStringEncoder,
};
pub use hurtig_operators::{
    Collector, OutputTag, RuntimeContext,
    broadcast::{
        BroadcastContext, BroadcastOpenContext, BroadcastProcessFunction, KeyedBroadcastContext,
        KeyedBroadcastOpenContext, KeyedBroadcastProcessFunction, KeyedReadOnlyContext,
        ReadOnlyContext,
    },
    checkpointed::{FunctionInitializationContext, FunctionSnapshotContext},
    keyed::{KeyedCoProcessFunction, KeyedContext, KeyedProcessFunction, OpenContext, TimeDomain},
    stateless::{MapFunction, ProcessFunction},
    time::{WatermarkGenerator, WatermarkStrategy},
    two_input::CoProcessFunction,
    window::{
        assigner::{
            EventTimeSessionWindows, GlobalWindows, ProcessingTimeSessionWindows,
            SlidingEventTimeWindows, SlidingProcessingTimeWindows, TumblingEventTimeWindows,
            TumblingProcessingTimeWindows, WindowAssigner,
        },
        evictor::{CountEvictor, DeltaEvictor, Evictor, TimeEvictor, Timestamped},
        function::{WindowContext, WindowFunction, WindowOpenContext},
        trigger::{
            ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger,
            DeltaTrigger, EndOfStreamTrigger, EventTimeTrigger, NeverTrigger,
            ProcessingTimeTrigger, PurgingTrigger, Trigger, TriggerContext, TriggerResult,
        },
    },
};
pub use hurtig_state_api::{
    AggregateFunction, AggregatingStateDescriptor, ListStateDescriptor, MapStateDescriptor,
    ReducingStateDescriptor, StateTtlConfig, ValueStateDescriptor,
};
pub use hurtig_state_heap::{
    AggregatingState, BroadcastState, ListState, MapState, OperatorListState, ReducingState,
    ValueState,
};
pub use hurtig_types::{
    BoxError, CheckpointConfig, CheckpointId, CheckpointRetentionPolicy, CheckpointingMode,
    TimeWindow,
};
pub use serde::{Deserialize, Serialize};

pub use crate::{
    BroadcastConnectedStream, BroadcastStream, ConnectedStreams, DataStream, ExecuteError,
    JobClient, JobExecutionResult, KeyedBroadcastConnectedStream, KeyedConnectedStreams,
    KeyedStream, ParameterTool, StreamExecutionEnvironment, WindowedStream,
};
