//! Names of the engine's metrics. They are Flink 2.3's where Flink has the metric; what each means
//! stands in the [catalogue](crate::catalogue).

macro_rules! names {
    ($($constant:ident = $name:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: &str = $name;
        )*
    };
}

names! {
    NUM_RECORDS_IN = "numRecordsIn";
    NUM_RECORDS_IN_PER_SECOND = "numRecordsInPerSecond";
    NUM_RECORDS_OUT = "numRecordsOut";
    NUM_RECORDS_OUT_PER_SECOND = "numRecordsOutPerSecond";
    NUM_BYTES_IN = "numBytesIn";
    NUM_BYTES_IN_PER_SECOND = "numBytesInPerSecond";
    NUM_BYTES_OUT = "numBytesOut";
    NUM_BYTES_OUT_PER_SECOND = "numBytesOutPerSecond";
    NUM_BUFFERS_OUT = "numBuffersOut";
    NUM_BUFFERS_OUT_PER_SECOND = "numBuffersOutPerSecond";
    NUM_RECORDS_IN_ERRORS = "numRecordsInErrors";
    NUM_RECORDS_OUT_ERRORS = "numRecordsOutErrors";
    NUM_RECORDS_SEND = "numRecordsSend";
    NUM_RECORDS_SEND_PER_SECOND = "numRecordsSendPerSecond";
    NUM_RECORDS_SEND_ERRORS = "numRecordsSendErrors";
    NUM_BYTES_SEND = "numBytesSend";
    NUM_BYTES_SEND_PER_SECOND = "numBytesSendPerSecond";
    CURRENT_SEND_TIME = "currentSendTime";
    CURRENT_FETCH_EVENT_TIME_LAG = "currentFetchEventTimeLag";
    CURRENT_EMIT_EVENT_TIME_LAG = "currentEmitEventTimeLag";
    SOURCE_IDLE_TIME = "sourceIdleTime";
    PENDING_RECORDS = "pendingRecords";
    PENDING_BYTES = "pendingBytes";
    TOTAL_COMMITTABLES = "totalCommittables";
    SUCCESSFUL_COMMITTABLES = "successfulCommittables";
    ALREADY_COMMITTED_COMMITTABLES = "alreadyCommittedCommittables";
    RETRIED_COMMITTABLES = "retriedCommittables";
    FAILED_COMMITTABLES = "failedCommittables";
    PENDING_COMMITTABLES = "pendingCommittables";
    NUM_LATE_RECORDS_DROPPED = "numLateRecordsDropped";
    CURRENT_INPUT_WATERMARK = "currentInputWatermark";
    CURRENT_OUTPUT_WATERMARK = "currentOutputWatermark";
    WATERMARK_LAG = "watermarkLag";
    BUSY_TIME_MS_PER_SECOND = "busyTimeMsPerSecond";
    IDLE_TIME_MS_PER_SECOND = "idleTimeMsPerSecond";
    BACK_PRESSURED_TIME_MS_PER_SECOND = "backPressuredTimeMsPerSecond";
    ACCUMULATE_BUSY_TIME_MS = "accumulateBusyTimeMs";
    ACCUMULATE_IDLE_TIME_MS = "accumulateIdleTimeMs";
    ACCUMULATE_BACK_PRESSURED_TIME_MS = "accumulateBackPressuredTimeMs";
    IS_BACK_PRESSURED = "isBackPressured";
    MAILBOX_MAILS_PER_SECOND = "mailboxMailsPerSecond";
    CURRENT_ACTIVITY = "currentActivity";
    MAILBOX_QUEUE_SIZE = "mailboxQueueSize";
    MAILBOX_LATENCY_MS = "mailboxLatencyMs";
    CHECKPOINT_ALIGNMENT_TIME = "checkpointAlignmentTime";
    CHECKPOINT_START_DELAY_NANOS = "checkpointStartDelayNanos";
    INITIALIZATION_TIME = "initializationTime";
    INPUT_QUEUE_LENGTH = "inputQueueLength";
    IN_POOL_USAGE = "inPoolUsage";
    OUTPUT_QUEUE_LENGTH = "outputQueueLength";
    OUT_POOL_USAGE = "outPoolUsage";
    LATENCY = "latency";
    UPTIME = "uptime";
    DOWNTIME = "downtime";
    INITIALIZING_TIME = "initializingTime";
    CREATED_TIME = "createdTime";
    RUNNING_TIME = "runningTime";
    RESTARTING_TIME = "restartingTime";
    CANCELLING_TIME = "cancellingTime";
    FAILING_TIME = "failingTime";
    NUM_RESTARTS = "numRestarts";
    FULL_RESTARTS = "fullRestarts";
    TOTAL_NUMBER_OF_CHECKPOINTS = "totalNumberOfCheckpoints";
    NUMBER_OF_IN_PROGRESS_CHECKPOINTS = "numberOfInProgressCheckpoints";
    NUMBER_OF_COMPLETED_CHECKPOINTS = "numberOfCompletedCheckpoints";
    NUMBER_OF_FAILED_CHECKPOINTS = "numberOfFailedCheckpoints";
    LAST_CHECKPOINT_RESTORE_TIMESTAMP = "lastCheckpointRestoreTimestamp";
    LAST_CHECKPOINT_SIZE = "lastCheckpointSize";
    LAST_CHECKPOINT_FULL_SIZE = "lastCheckpointFullSize";
    LAST_CHECKPOINT_DURATION = "lastCheckpointDuration";
    LAST_CHECKPOINT_PROCESSED_DATA = "lastCheckpointProcessedData";
    LAST_CHECKPOINT_PERSISTED_DATA = "lastCheckpointPersistedData";
    LAST_CHECKPOINT_EXTERNAL_PATH = "lastCheckpointExternalPath";
    LAST_COMPLETED_CHECKPOINT_ID = "lastCompletedCheckpointId";
    LAST_CHECKPOINT_COMPLETED_TIMESTAMP = "lastCheckpointCompletedTimestamp";
    NUM_REGISTERED_TASK_MANAGERS = "numRegisteredTaskManagers";
    NUM_RUNNING_JOBS = "numRunningJobs";
    TASK_SLOTS_AVAILABLE = "taskSlotsAvailable";
    TASK_SLOTS_TOTAL = "taskSlotsTotal";
}
