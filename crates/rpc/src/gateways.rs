//! The gateways that can be called from other processes: one file each, with the list of methods.

mod dispatcher;
mod job_master;
mod resource_manager;
mod task_executor;
