//! The catalogue of metric names. Names are Flink 2.3's where Flink has the metric.

/// Records that entered an operator or task.
pub const NUM_RECORDS_IN: &str = "numRecordsIn";
/// Records that left it.
pub const NUM_RECORDS_OUT: &str = "numRecordsOut";
/// Bytes that entered a task through the network stack, as accounted.
pub const NUM_BYTES_IN: &str = "numBytesIn";
/// Bytes that left it.
pub const NUM_BYTES_OUT: &str = "numBytesOut";
/// Records dropped because they were late.
pub const NUM_LATE_RECORDS_DROPPED: &str = "numLateRecordsDropped";
/// Event time at the input, in milliseconds.
pub const CURRENT_INPUT_WATERMARK: &str = "currentInputWatermark";
/// Share of time spent processing, in milliseconds per second.
pub const BUSY_TIME_MS_PER_SECOND: &str = "busyTimeMsPerSecond";
/// Share of time without input, in milliseconds per second.
pub const IDLE_TIME_MS_PER_SECOND: &str = "idleTimeMsPerSecond";
/// Share of time waiting for room in the outputs, in milliseconds per second.
pub const BACK_PRESSURED_TIME_MS_PER_SECOND: &str = "backPressuredTimeMsPerSecond";
