//! Options of the JobManager and of high availability.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    option::options,
    value::{HighAvailabilityType, PortRange},
};

options! {
    /// Address under which the JobManager is reached.
    Effective ADDRESS: Option<String> = "jobmanager.rpc.address";

    /// Port under which the JobManager is reached.
    Effective RPC_PORT: u16 = "jobmanager.rpc.port", default "6123";

    /// Address on which the JobManager listens.
    Effective BIND_HOST: Option<String> = "jobmanager.bind-host";

    /// Port on which the JobManager listens.
    Effective RPC_BIND_PORT: Option<u16> = "jobmanager.rpc.bind-port";

    /// Name of the JobManager among the processes of the cluster.
    Planned RESOURCE_ID: Option<String> = "jobmanager.resource-id";

    /// Failures that a job remembers.
    Planned MAX_EXCEPTION_HISTORY_SIZE: u32 = "web.exception-history-size", default "16",
        was ["jobmanager.execution.attempts-history-size"];

    /// Jobs that have ended and are still shown; 256 if it is not set.
    Effective JOB_STORE_MAX_CAPACITY: Option<NonZeroU32> = "jobstore.max-capacity";

    /// Seconds after which an ended job is no longer shown.
    Effective JOB_STORE_EXPIRATION_TIME: u64 = "jobstore.expiration-time", default "3600";

    /// How leaders are elected and jobs survive the end of a JobManager: NONE, ZOOKEEPER,
    /// OBJECT_STORE (one with conditional writes, named by the storage directory) or DIRECTORY (a
    /// local one, for a standby on the same host). KUBERNETES is known, but not supported yet.
    Effective HA_MODE: HighAvailabilityType = "high-availability.type", default "NONE",
        was ["high-availability", "recovery.mode"];

    /// Name of this cluster among those that share a service of high availability.
    Effective HA_CLUSTER_ID: String = "high-availability.cluster-id", default "/default",
        was ["high-availability.zookeeper.path.namespace", "recovery.zookeeper.path.namespace"];

    /// Directory or URL of what a new leader needs to know.
    Effective HA_STORAGE_PATH: Option<String> = "high-availability.storageDir",
        was ["high-availability.zookeeper.storageDir", "recovery.zookeeper.storageDir"];

    /// Port of the JobManager under high availability; a number, a list or a range.
    Effective HA_JOB_MANAGER_PORT_RANGE: PortRange = "high-availability.jobmanager.port",
        default "0", was ["recovery.jobmanager.port"];

    /// Addresses of ZooKeeper, separated by commas.
    Effective HA_ZOOKEEPER_QUORUM: Option<String> = "high-availability.zookeeper.quorum",
        was ["recovery.zookeeper.quorum"];

    /// Node of ZooKeeper below which everything is kept.
    Effective HA_ZOOKEEPER_ROOT: String = "high-availability.zookeeper.path.root",
        default "/flink", was ["recovery.zookeeper.path.root"];

    /// ZooKeeper forgets a process that is silent for this long.
    Effective HA_ZOOKEEPER_SESSION_TIMEOUT: Duration =
        "high-availability.zookeeper.client.session-timeout", default "1 min",
        was ["recovery.zookeeper.client.session-timeout"];

    /// A server of ZooKeeper that does not answer for this long is left for another.
    Effective HA_ZOOKEEPER_CONNECTION_TIMEOUT: Duration =
        "high-availability.zookeeper.client.connection-timeout", default "15 s",
        was ["recovery.zookeeper.client.connection-timeout"];

    /// DIRECTORY and OBJECT_STORE: a leader that is silent for this long may be replaced. A leader
    /// that cannot reach the store stays one until another has replaced it.
    Effective HA_LEASE_DURATION: Duration = "high-availability.leader-election.lease-duration",
        default "15 s";

    /// DIRECTORY and OBJECT_STORE: time between two looks at who leads.
    Effective HA_RETRY_PERIOD: Duration = "high-availability.leader-election.retry-period",
        default "2 s";

    /// Results of jobs are deleted when all else of the job is, instead of being kept for clients
    /// and as a proof that the job has run. Unlike in Flink they are kept unless this is set.
    Effective JOB_RESULT_DELETE_ON_COMMIT: bool = "job-result-store.delete-on-commit",
        default "false";
}
