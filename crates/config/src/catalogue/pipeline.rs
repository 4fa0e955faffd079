//! Options of programs: parallelism, chaining, buffers, watermarks.

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use crate::option::options;

options! {
    /// Parallelism of operators that set none, in jobs that set none. Set in a file it is the
    /// cluster's level, set by `-D` the client's, set by the program the environment's; the
    /// operator's own wins over all.
    Effective DEFAULT_PARALLELISM: NonZeroU32 = "parallelism.default", default "1";

    /// Number of key groups of operators that set none: the most to which a job can be rescaled.
    /// -1 derives it from the parallelism.
    Effective MAX_PARALLELISM: i32 = "pipeline.max-parallelism", default "-1";

    /// Consecutive operators run in one task where possible. If false, every operator is a task.
    Effective OPERATOR_CHAINING: bool = "pipeline.operator-chaining.enabled", default "true",
        was ["pipeline.operator-chaining"];

    /// Operators of different max parallelism may share a chain.
    Planned CHAIN_DIFFERENT_MAX_PARALLELISM: bool =
        "pipeline.operator-chaining.chain-operators-with-different-max-parallelism",
        default "true";

    /// Processing time between two periodic watermarks of a source. 0 turns them off.
    Effective AUTO_WATERMARK_INTERVAL: Duration = "pipeline.auto-watermark-interval",
        default "200 ms";

    /// Parameters of the program that are shown with its job.
    Effective GLOBAL_JOB_PARAMETERS: BTreeMap<String, String> = "pipeline.global-job-parameters",
        default "";

    /// Name of a job whose program gives none.
    Planned NAME: Option<String> = "pipeline.name";

    /// Operators get ids from the structure of the graph unless they have a uid. If false, every
    /// operator needs a uid.
    Planned AUTO_GENERATE_UIDS: bool = "pipeline.auto-generate-uids", default "true";

    /// Records are moved from operator to operator and never copied, whatever this says.
    Inapplicable OBJECT_REUSE: bool = "pipeline.object-reuse", default "false";

    /// Longest time that a record waits in an output buffer. 0 sends every batch at once.
    Effective BUFFER_TIMEOUT: Duration = "execution.buffer-timeout.interval", default "100 ms",
        was ["execution.buffer-timeout"];

    /// If false, an output buffer is sent only when it is full or its task has nothing to do.
    Effective BUFFER_TIMEOUT_ENABLED: bool = "execution.buffer-timeout.enabled", default "true";

    /// Whether inputs are taken as streams or as finished sets. Jobs run as streams.
    Planned RUNTIME_MODE: String = "execution.runtime-mode", default "STREAMING";
}
