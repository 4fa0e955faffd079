//! Clusters of real processes: a JobManager in the test's process, TaskManagers and hosts in their
//! own.

mod cluster;
mod failures;
mod hostile;
mod jobs;
mod kill_test;
mod leaders;
mod on_demand;
mod programs;
mod remote;
mod sql;
