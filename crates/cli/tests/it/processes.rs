//! Clusters of real processes: a JobManager in the test's process, TaskManagers and hosts in their
//! own.

mod cluster;
mod failures;
mod hostile;
mod jobs;
mod leaders;
mod programs;
mod remote;
