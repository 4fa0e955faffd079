//! Values that are one of a few words. Case does not matter, and `_` equals `-`; each value has the
//! word that is written and others that are understood.

use hurtig_types::{CheckpointRetentionPolicy, CheckpointingMode, RecoveryClaimMode};

use super::{ConfigValue, ValueError};

/// How a failed region is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RestartStrategyType {
    /// Never.
    None,
    /// A number of times, with a pause.
    FixedDelay,
    /// With a growing pause.
    ExponentialDelay,
    /// Unless failures come too often.
    FailureRate,
}

/// Where the working state of tasks lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StateBackendType {
    /// Hash tables in memory.
    HashMap,
    /// RocksDB on local disk.
    RocksDb,
}

/// Where checkpoints are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CheckpointStorageKind {
    /// Memory of the JobManager.
    JobManager,
    /// A directory or an object store.
    FileSystem,
}

/// How leaders are elected and their data kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HighAvailabilityType {
    /// There is one JobManager; its end is the end.
    None,
    /// With ZooKeeper.
    ZooKeeper,
    /// With an object store that has conditional writes.
    ObjectStore,
    /// With a local directory, for a standby on the same host.
    Directory,
    /// With leases of Kubernetes.
    Kubernetes,
}

/// How jobs are scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchedulerType {
    /// With the parallelism that the program says.
    Default,
    /// With the parallelism that the slots allow.
    Adaptive,
}

/// A mode of all jobs of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchedulerExecutionMode {
    /// Jobs take every slot that there is.
    Reactive,
}

/// Which TaskManager a slot is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskManagerLoadBalanceMode {
    /// One after the other.
    None,
    /// The one with the smallest share of slots in use.
    Slots,
    /// As few as can be: the one with the largest share of slots in use.
    MinResources,
    /// The one with the smallest share of slots in use; tasks of a job are spread evenly over them.
    Tasks,
}

/// Finds a word in a table of values with their words.
fn find<T: Copy>(table: &[(T, &[&str])], text: &str) -> Result<T, ValueError> {
    let same = |known: &str| {
        known.len() == text.trim().len()
            && known.bytes().zip(text.trim().bytes()).all(|(a, b)| {
                let plain = |c: u8| if c == b'_' { b'-' } else { c.to_ascii_lowercase() };
                plain(a) == plain(b)
            })
    };
    let found = table.iter().find(|(_, words)| words.iter().any(|known| same(known)));
    found.map(|(value, _)| *value).ok_or_else(ValueError::default)
}

macro_rules! words {
    ($($type:ty { $($value:ident: $word:literal $(| $other:literal)*;)+ })*) => {$(
        impl ConfigValue for $type {
            fn type_name() -> &'static str {
                "Enum"
            }

            fn expected() -> String {
                format!("one of {}", [$($word),+].join(", "))
            }

            fn parse(text: &str) -> Result<Self, ValueError> {
                find(&[$((Self::$value, &[$word $(, $other)*])),+], text)
            }

            fn to_text(&self) -> String {
                match self {
                    $(Self::$value => $word.to_owned(),)+
                }
            }
        }
    )*};
}

words! {
    RestartStrategyType {
        None: "none" | "off" | "disable" | "disabled" | "false";
        FixedDelay: "fixed-delay" | "fixeddelay";
        ExponentialDelay: "exponential-delay" | "exponentialdelay";
        FailureRate: "failure-rate" | "failurerate";
    }
    StateBackendType {
        HashMap: "hashmap";
        RocksDb: "rocksdb";
    }
    CheckpointStorageKind {
        JobManager: "jobmanager";
        FileSystem: "filesystem";
    }
    HighAvailabilityType {
        None: "NONE";
        ZooKeeper: "ZOOKEEPER";
        ObjectStore: "OBJECT_STORE";
        Directory: "DIRECTORY";
        Kubernetes: "KUBERNETES";
    }
    SchedulerType {
        Default: "Default" | "Ng";
        Adaptive: "Adaptive";
    }
    SchedulerExecutionMode {
        Reactive: "REACTIVE";
    }
    TaskManagerLoadBalanceMode {
        None: "NONE";
        Slots: "SLOTS";
        MinResources: "MIN_RESOURCES";
        Tasks: "TASKS";
    }
    CheckpointingMode {
        ExactlyOnce: "EXACTLY_ONCE";
        AtLeastOnce: "AT_LEAST_ONCE";
    }
    RecoveryClaimMode {
        NoClaim: "NO_CLAIM";
        Claim: "CLAIM";
    }
    CheckpointRetentionPolicy {
        RetainOnFailure: "DELETE_ON_CANCELLATION";
        RetainOnCancellation: "RETAIN_ON_CANCELLATION";
        NeverRetainAfterTermination: "NO_EXTERNALIZED_CHECKPOINTS";
    }
}
