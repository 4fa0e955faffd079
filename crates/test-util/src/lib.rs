//! Real servers for tests, each with a free port and a data directory of its own; they end with the
//! test. Where a server is not installed, `start` says so loudly and gives `None`, and the test
//! returns. `.ci/run` installs them all.

#![allow(clippy::unwrap_used, reason = "a test that cannot start its server has failed")]

mod s3;
mod server;
mod zookeeper;

pub use s3::S3;
pub use zookeeper::ZooKeeper;
