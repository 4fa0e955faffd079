//! Options of clients that wait for their jobs.

use std::time::Duration;

use crate::option::options;

options! {
    /// The client stays until its job has ended.
    Effective EXECUTION_ATTACHED: bool = "execution.attached", default "false";

    /// A job whose client stays is cancelled when the client is gone, also if that was killed:
    /// queries of `hurtig sql` on a cluster are, unless it is set to false.
    Effective SHUTDOWN_ON_ATTACHED_EXIT: bool = "execution.shutdown-on-attached-exit",
        default "false";

    /// How often such a client tells the cluster that it is there.
    Effective CLIENT_HEARTBEAT_INTERVAL: Duration = "client.heartbeat.interval", default "30 s";

    /// A client that is silent for this long is gone.
    Effective CLIENT_HEARTBEAT_TIMEOUT: Duration = "client.heartbeat.timeout", default "180 s";
}
