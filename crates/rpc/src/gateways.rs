//! The gateways that can be called from other processes: one file each, with the list of methods.

mod dispatcher;
mod hosts;
mod job_master;
mod programs;
mod register;
mod resource_manager;
mod task_executor;
