//! The processes that run a job's code, from the inside.
//!
//! 1. A process of the cluster writes a [`HostSpec`] into a file, and starts the job's binary with
//!    the name of that file in its environment ([`SPEC_VARIABLE`]) and the program's arguments.
//! 2. The program runs `main` as it always does, up to `execute()`. There the graph is built.
//! 3. By its role, the process becomes
//!    - a **plan host**: it writes the graph and ends;
//!    - a **JobMaster host**: if the graph is the one that was submitted, its JobMaster runs here;
//!    - a **task host**: likewise, with the job's tasks of one TaskExecutor.
//! 4. `execute()` does not return in a host: when the host has done its work, or the process that
//!    started it is gone or says so, the process ends.
//!
//! Whatever the parent dies of, the host notices: the kernel kills it, its standard input ends, its
//! connection breaks. Each alone suffices.
//!
//! Deliberately absent: everything that outlives the job. A host keeps nothing that its parent, its
//! JobMaster or a checkpoint would miss.

mod job_master;
mod plan;
mod run;
mod spec;
mod task;

pub use plan::{PlannedJob, read_plan};
pub use run::{HostError, JobCode, current, end_with_parent, run};
pub use spec::{
    HostRole, HostSpec, JobMasterRole, PlanRole, SPEC_VARIABLE, SpecError, StoreOptions, TaskRole,
};
pub use task::TaskHostSettings;
