//! The connectors of tables.
//!
//! - [`api`]: what a connector is to a session.
//! - [`options`]: options as text, checked as Flink does.
//! - [`partitions`]: which partitions of a table are read.
//! - [`source`]: the operator of all sources: splits, batches, watermarks per split.
//! - [`gate`]: holds sources after a number of rows, so that a job can be stopped in its middle.
//! - [`filesystem`], [`datagen`], [`nexmark`], [`print`], [`blackhole`], [`values`]: the connectors.
//!
//! Deliberately absent: what needs heavy clients (message queues, databases).

pub mod api;
pub mod blackhole;
pub mod datagen;
pub mod filesystem;
pub mod gate;
pub mod nexmark;
pub mod options;
pub mod partitions;
pub mod print;
pub mod source;
pub mod values;

use std::sync::Arc;

pub use api::{
    ColumnFilter, Scan, ScanColumn, ScanWatermark, TableError, TableFactory, TableSink,
    TableSource, TableSpec, Write,
};
pub use partitions::{Partition, PartitionFilter};

/// The factories that a session knows, by identifier.
#[derive(Clone)]
pub struct Connectors(Vec<Arc<dyn TableFactory>>);

impl Default for Connectors {
    fn default() -> Self {
        Self(vec![
            Arc::new(filesystem::FileSystemFactory),
            Arc::new(datagen::DatagenFactory),
            Arc::new(nexmark::NexmarkFactory("nexmark-gen")),
            Arc::new(nexmark::NexmarkFactory("nexmark")),
            Arc::new(print::PrintFactory),
            Arc::new(blackhole::BlackholeFactory),
        ])
    }
}

impl Connectors {
    /// Adds a connector, which takes the place of one of the same identifier.
    pub fn register(&mut self, factory: Arc<dyn TableFactory>) {
        self.0.retain(|known| known.identifier() != factory.identifier());
        self.0.push(factory);
    }

    /// The source of a table.
    pub fn source(&self, table: &TableSpec) -> Result<Arc<dyn TableSource>, TableError> {
        let factory = self.factory(table, "source")?;
        let made = options::check(factory, table).and_then(|()| factory.source(table));
        let made = made.map_err(|e| unable(table, "source", &e))?;
        made.ok_or_else(|| {
            TableError(format!(
                "Connector '{}' can only be used as a sink. It cannot be used as a source.",
                factory.identifier()
            ))
        })
    }

    /// The sink of a table.
    pub fn sink(&self, table: &TableSpec) -> Result<Arc<dyn TableSink>, TableError> {
        let factory = self.factory(table, "sink")?;
        let made = options::check(factory, table).and_then(|()| factory.sink(table));
        let made = made.map_err(|e| unable(table, "sink", &e))?;
        made.ok_or_else(|| {
            TableError(format!(
                "Connector '{}' can only be used as a source. It cannot be used as a sink.",
                factory.identifier()
            ))
        })
    }

    fn factory(&self, table: &TableSpec, role: &str) -> Result<&dyn TableFactory, TableError> {
        let missing = || {
            unable(
                table,
                role,
                &TableError(
                    "Table options do not contain an option key 'connector' for discovering a \
                     connector."
                        .to_owned(),
                ),
            )
        };
        let wanted = table.options.get("connector").ok_or_else(missing)?;
        let found = self.0.iter().find(|factory| factory.identifier() == wanted);
        found.map(|factory| &**factory).ok_or_else(|| {
            let mut known: Vec<_> = self.0.iter().map(|factory| factory.identifier()).collect();
            known.sort_unstable();
            let text = format!(
                "Could not find any factory for identifier '{wanted}'. Available factory \
                 identifiers are: {}.",
                known.join(", ")
            );
            unable(table, role, &TableError(text))
        })
    }
}

fn unable(table: &TableSpec, role: &str, error: &TableError) -> TableError {
    TableError(format!("Unable to create a {role} for table {}: {error}", table.identifier))
}
