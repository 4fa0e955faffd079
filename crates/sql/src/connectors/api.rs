//! What a connector is to a session.
//!
//! 1. A table's options name its connector; [`TableFactory`] checks them and makes a [`TableSource`]
//!    or a [`TableSink`], which are plain descriptions.
//! 2. The planner asks a source what it can do and settles a [`Scan`]: which columns, nested fields
//!    and metadata it reads (nothing else is decoded), which filters it applies, which partitions it
//!    enters, how many rows are enough, and the watermark, which the source generates per split.
//! 3. [`TableSource::factory`] and [`TableSink::factory`] give the operator that runs. It emits, or
//!    takes, [`hurtig_sql_common::ChangelogBatch`]es.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arrow_array::ArrayRef;
use arrow_schema::SchemaRef;
use hurtig::{
    ExecuteError, StreamExecutionEnvironment,
    raw::{RawOperator, RawStream},
};
use hurtig_connector_api::Boundedness;
use hurtig_operator_api::OperatorFactory;
use hurtig_sql_common::{ChangelogMode, SqlContext};
use hurtig_sql_functions::api::{Expression, Kernel};
use hurtig_sql_parser::types::SqlDataType;

use super::{
    gate::ScanGate,
    partitions::{Partition, PartitionFilter},
};

/// A table cannot be read or written as it is described. The text is for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TableError(pub String);

/// A table as its catalog has it.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Its whole name, for messages: `` `catalog`.`database`.`table` ``.
    pub identifier: String,
    /// The physical columns, in order; those of the partition are among them.
    pub columns: Vec<(String, SqlDataType)>,
    /// PARTITIONED BY.
    pub partition_keys: Vec<String>,
    /// PRIMARY KEY, or nothing.
    pub primary_key: Vec<String>,
    /// WITH.
    pub options: BTreeMap<String, String>,
}

/// Makes the sources and sinks of one connector.
pub trait TableFactory: Send + Sync {
    /// What `'connector'` must be.
    fn identifier(&self) -> &'static str;
    /// TableOptions that must be there.
    fn required_options(&self) -> &'static [&'static str];
    /// TableOptions that may be there, beside the required ones and `'connector'`. A `#` stands for one or
    /// more characters (`fields.#.kind`).
    fn optional_options(&self) -> &'static [&'static str];
    /// True if options that begin with the format's name are the format's own business.
    fn has_format(&self) -> bool {
        false
    }
    /// The source of a table whose options have the right keys; `None` if the connector has none.
    fn source(&self, table: &TableSpec) -> Result<Option<Arc<dyn TableSource>>, TableError>;
    /// Its sink; `None` if the connector has none.
    fn sink(&self, table: &TableSpec) -> Result<Option<Arc<dyn TableSink>>, TableError>;
}

/// Where the rows of a table come from.
pub trait TableSource: Send + Sync {
    /// Which kinds of change it gives.
    fn changelog_mode(&self) -> ChangelogMode;
    /// Whether it ends.
    fn boundedness(&self) -> Boundedness;
    /// The metadata that it can give as columns: key and type.
    fn metadata(&self) -> Vec<(String, SqlDataType)> {
        Vec::new()
    }
    /// True if it reads only the partitions that [`Scan::partitions`] leaves.
    fn chooses_partitions(&self) -> bool {
        false
    }
    /// The partitions that there are (the values are texts, to be cast to the columns' types); `None`
    /// if it has none, or does not know all of them yet.
    fn partitions(&self) -> Result<Option<Vec<Partition>>, TableError> {
        Ok(None)
    }
    /// True if it can read fields of ROWs without the rest of them: paths of [`ScanColumn`]s.
    fn reads_nested(&self) -> bool {
        false
    }
    /// True if it gives only the rows that pass the filter, when [`Scan::filters`] has it.
    fn takes_filter(&self, filter: &ColumnFilter) -> bool {
        let _ = filter;
        false
    }
    /// True if a reader gives no more rows than [`Scan::limit`] (but for those of a batch).
    fn takes_limit(&self) -> bool {
        false
    }
    /// True if that ends it, also if it is unbounded.
    fn ends_at_limit(&self) -> bool {
        false
    }
    /// How many subtasks it must have (`scan.parallelism`), if it says so.
    fn parallelism(&self) -> Option<u32> {
        None
    }
    /// Whether its operator makes the watermark of the scan.
    fn makes_watermarks(&self) -> bool {
        true
    }
    /// Adds the operator to a program: as a source, or behind what the table is made of.
    ///
    /// # Errors
    /// If what it is made of is no part of that program.
    fn add(
        &self,
        env: &StreamExecutionEnvironment,
        operator: RawOperator,
    ) -> Result<RawStream, ExecuteError> {
        Ok(env.add_raw(operator, Vec::new()))
    }
    /// The operator. The batches that it emits have the columns of the scan, in that order.
    fn factory(&self, scan: Scan) -> Result<Arc<dyn OperatorFactory>, TableError>;
}

/// What of a table is read.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The columns.
    pub columns: Vec<ScanColumn>,
    /// The schema of the batches, a field for each column: its names are the planner's, its types
    /// those of the columns that are read.
    pub schema: SchemaRef,
    /// The watermark, if the table has one.
    pub watermark: Option<ScanWatermark>,
    /// The partitions that are read; `None`: all. Only for sources that choose.
    pub partitions: Option<PartitionFilter>,
    /// All rows pass these; only such as the source takes are here.
    pub filters: Vec<ColumnFilter>,
    /// How many rows are needed; a source may give more. Only for sources that take it.
    pub limit: Option<u64>,
    /// How what the source has becomes a column of another type: of metadata, which tables may declare
    /// as they like. Nothing where the types are the same, or beyond the end.
    pub casts: Vec<Option<Arc<dyn Kernel>>>,
    /// What casts depend on.
    pub context: SqlContext,
    /// What holds the source; nothing but in tests.
    pub gate: Option<ScanGate>,
}

/// A column equals a value.
#[derive(Clone, Debug)]
pub struct ColumnFilter {
    /// The column.
    pub column: ScanColumn,
    /// The value, of the column's type and never NULL: one row.
    pub value: ArrayRef,
}

/// One column that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanColumn {
    /// A physical column, by its position in the table, or what the path of positions leads to
    /// inside of its ROWs. NULL where a ROW on the way is NULL.
    Physical {
        /// The column.
        column: usize,
        /// Fields of ROWs, from the outside in; empty for the whole column.
        path: Vec<usize>,
    },
    /// Metadata, by its key.
    Metadata(String),
}

impl ScanColumn {
    /// A whole column.
    #[must_use]
    pub fn whole(column: usize) -> Self {
        Self::Physical { column, path: Vec::new() }
    }
}

/// How a source makes watermarks.
#[derive(Clone, Debug)]
pub struct ScanWatermark {
    /// The watermark of each row, a TIMESTAMP or TIMESTAMP_LTZ over the columns of the scan.
    pub expression: Arc<dyn Expression>,
    /// After this long without rows, a subtask holds nobody back.
    pub idle_timeout: Option<Duration>,
    /// Watermarks are emitted with every row that has a new one, not when event time has moved by
    /// more than the interval (`scan.watermark.emit.strategy` = `on-event`).
    pub on_event: bool,
}

/// Where the rows of a table go.
pub trait TableSink: Send + Sync {
    /// Which kinds of change it takes, when it is offered these.
    fn changelog_mode(&self, offered: ChangelogMode) -> ChangelogMode;
    /// True if INSERT OVERWRITE is possible.
    fn can_overwrite(&self) -> bool {
        false
    }
    /// How many subtasks it must have (`sink.parallelism`), if it says so.
    fn parallelism(&self) -> Option<u32> {
        None
    }
    /// The operator.
    fn factory(&self, write: Write) -> Result<Arc<dyn OperatorFactory>, TableError>;
}

/// What is written.
#[derive(Clone, Debug)]
pub struct Write {
    /// The columns, as many and in the order of the table's.
    pub schema: SchemaRef,
    /// INSERT OVERWRITE.
    pub overwrite: bool,
    /// `table.local-time-zone`.
    pub zone: chrono_tz::Tz,
}
