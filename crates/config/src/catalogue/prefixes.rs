//! Families of keys of which only the beginning is known.

use crate::option::{
    OptionPrefix,
    OptionStatus::{self, Effective, Inapplicable, Planned},
};

const fn prefix(
    status: OptionStatus,
    prefix: &'static str,
    description: &'static str,
) -> OptionPrefix {
    OptionPrefix { prefix, status, description }
}

pub(super) static PREFIXES: &[OptionPrefix] = &[
    prefix(Effective, "metrics.reporter.", "Settings of a metrics reporter, by its name."),
    prefix(Planned, "fs.", "Settings of a file system, by its scheme."),
    prefix(Planned, "s3.", "Settings of S3."),
    prefix(Planned, "table.", "Settings of SQL."),
    prefix(Planned, "kubernetes.", "Settings of clusters on Kubernetes."),
    prefix(Planned, "state.backend.rocksdb.", "Settings of RocksDB."),
    prefix(Planned, "high-availability.kubernetes.", "Settings of leases of Kubernetes."),
    prefix(Planned, "high-availability.zookeeper.client.", "Settings of the ZooKeeper client."),
    prefix(Planned, "historyserver.", "Settings of the history server."),
    prefix(Planned, "containerized.", "Environment of processes in containers."),
    prefix(Inapplicable, "env.", "Environment and options of a JVM."),
    prefix(Inapplicable, "jobmanager.memory.", "Memory of a JVM: there is none to divide."),
    prefix(Inapplicable, "taskmanager.memory.jvm-", "Memory of a JVM: there is none."),
    prefix(Inapplicable, "taskmanager.memory.task.", "Heap of a JVM: there is none to divide."),
    prefix(Inapplicable, "taskmanager.memory.framework.", "Heap of a JVM: there is none."),
    prefix(Inapplicable, "classloader.", "Loading of classes: programs are binaries."),
    prefix(Inapplicable, "akka.", "Settings of a library that is not used."),
    prefix(Inapplicable, "pekko.", "Settings of a library that is not used."),
    prefix(Inapplicable, "yarn.", "Settings of clusters on YARN."),
    prefix(Inapplicable, "python.", "Settings of programs in Python."),
    prefix(Inapplicable, "pipeline.closure-cleaner-level", "Closures need no cleaning."),
    prefix(Inapplicable, "pipeline.generic-types", "Records are ordinary Rust types."),
    prefix(Inapplicable, "pipeline.serialization-config", "Records are ordinary Rust types."),
];
