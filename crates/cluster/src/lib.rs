//! The processes of a cluster, put together from roles.
//!
//! - [`JobManagerProcess`]: Dispatcher, ResourceManager, blob server; starts a plan host for each
//!   program that is submitted, and a JobMaster host for each job.
//! - [`TaskManagerProcess`]: a TaskExecutor; starts a task host for each job that has slots here.
//!
//! With high availability several JobManagers compete. Only the one that leads has roles; the others
//! send clients on to it. TaskManagers and clients find it by the leader's record.
//!
//! No code of a user runs in either. Deliberately absent: protocols. What the roles say to each
//! other is `cluster-api`, how it travels `rpc`; here is only who starts what, and what ends with
//! what.

mod blobs;
mod directories;
mod high_availability;
mod host_calls;
mod host_start;
mod job_manager;
mod job_masters;
mod leadership;
mod logs;
mod processes;
mod programs;
mod roles;
mod task_hosts;
mod task_manager;
mod threads;
mod workers;

pub use high_availability::leading_rest_address;
pub use job_manager::JobManagerProcess;
pub use processes::{
    HOST_LAUNCHER, ProcessError, StopSignal, run_job_manager, run_local_cluster, run_task_manager,
    until_stopped,
};
pub use task_manager::TaskManagerProcess;
pub use workers::TaskManagerStart;
