//! Everything that a job usually needs.

pub use std::time::Duration;

pub use hurtig_config::Configuration;
pub use hurtig_operators::{
    Collector, OutputTag, RuntimeContext,
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
    ReducingStateDescriptor, ValueStateDescriptor,
};
pub use hurtig_state_heap::{AggregatingState, ListState, MapState, ReducingState, ValueState};
pub use hurtig_types::{
    BoxError, CheckpointConfig, CheckpointId, CheckpointRetentionPolicy, CheckpointingMode,
    TimeWindow,
};
pub use serde::{Deserialize, Serialize};

pub use crate::{
    ConnectedStreams, DataStream, ExecuteError, JobClient, JobExecutionResult,
    KeyedConnectedStreams, KeyedStream, ParameterTool, StreamExecutionEnvironment, WindowedStream,
};
