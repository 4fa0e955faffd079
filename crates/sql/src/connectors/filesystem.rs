//! The connector `filesystem`: files of a directory (or one file), by a format.
//!
//! - `listing` finds files and partitions, `enumerator` cuts files into splits,
//! - `scanner` finds records in bytes, `reader` decodes those of a split,
//! - `dead_letters` keeps what cannot be decoded,
//! - `sink` writes, `success` marks partitions that were written.
//!
//! Files whose names begin with `.` or `_` are left out; directories are entered. With partitions, files
//! lie in directories `key=value`, one level a key in the order of the keys.
//!
//! Beside Flink's options there is `dead-letter.path`: a directory for records that cannot be decoded.

mod dead_letters;
mod enumerator;
mod listing;
mod reader;
mod scanner;
mod sink;
mod success;

use std::{path::PathBuf, sync::Arc, time::Duration};

use hurtig_connector_api::Boundedness;
use hurtig_operator_api::OperatorFactory;
use hurtig_sql_common::ChangelogMode;
use hurtig_sql_formats::{DecodedColumn, DecodingFormat, EncodingFormat};
use hurtig_sql_parser::types::{SqlDataType, SqlTypeKind};

use self::reader::{FileReading, Give};
use super::{
    api::{Scan, ScanColumn, TableError, TableFactory, TableSink, TableSource, TableSpec},
    options::{TableOptions, invalid},
    partitions::Partition,
    source::{RowLimit, TableSourceFactory},
};

/// What stands for NULL and the empty text in the name of a partition's directory.
const DEFAULT_PARTITION: &str = "__DEFAULT_PARTITION__";

/// The factory.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystemFactory;

impl TableFactory for FileSystemFactory {
    fn identifier(&self) -> &'static str {
        "filesystem"
    }

    fn required_options(&self) -> &'static [&'static str] {
        &["path", "format"]
    }

    fn optional_options(&self) -> &'static [&'static str] {
        &[
            "auto-compaction",
            "compaction.file-size",
            "compaction.parallelism",
            "dead-letter.path",
            "partition.default-name",
            "partition.time-extractor.class",
            "partition.time-extractor.kind",
            "partition.time-extractor.timestamp-formatter",
            "partition.time-extractor.timestamp-pattern",
            "sink.parallelism",
            "sink.partition-commit.delay",
            "sink.partition-commit.policy.class",
            "sink.partition-commit.policy.class.parameters",
            "sink.partition-commit.policy.kind",
            "sink.partition-commit.success-file.name",
            "sink.partition-commit.trigger",
            "sink.partition-commit.watermark-time-zone",
            "sink.rolling-policy.check-interval",
            "sink.rolling-policy.file-size",
            "sink.rolling-policy.inactivity-interval",
            "sink.rolling-policy.rollover-interval",
            "sink.shuffle-by-partition.enable",
            "source.max-record-size",
            "source.monitor-interval",
            "source.path.regex-pattern",
            "source.report-statistics",
        ]
    }

    fn has_format(&self) -> bool {
        true
    }

    fn source(&self, table: &TableSpec) -> Result<Option<Arc<dyn TableSource>>, TableError> {
        let options = TableOptions(&table.options);
        let format = options.required("format")?;
        let columns = stored_columns(table)?;
        let format = DecodingFormat::from_options(format, &columns, &table.options)
            .map_err(|error| TableError(error.to_string()))?;
        let pattern = options.text("source.path.regex-pattern").map(|text| {
            regex::Regex::new(&format!("^(?:{text})$"))
                .map_err(|error| invalid("source.path.regex-pattern", text, &error))
        });
        let monitor = options.duration("source.monitor-interval")?;
        if monitor == Some(Duration::ZERO) {
            return Err(invalid("source.monitor-interval", "0", &"it must be greater than 0"));
        }
        Ok(Some(Arc::new(FileSource {
            path: local_path(options.required("path")?)?,
            pattern: pattern.transpose()?,
            monitor,
            dead_letters: options.text("dead-letter.path").map(local_path).transpose()?,
            default_partition: default_partition(&options),
            longest: longest_record(&options)?,
            format,
            table: table.clone(),
        })))
    }

    fn sink(&self, table: &TableSpec) -> Result<Option<Arc<dyn TableSink>>, TableError> {
        let options = TableOptions(&table.options);
        let format = options.required("format")?;
        let columns = stored_columns(table)?;
        let bulk = format == "csv";
        let format = EncodingFormat::from_options(format, &columns, &table.options)
            .map_err(|error| TableError(error.to_string()))?;
        Ok(Some(Arc::new(sink::FileTableSink::new(table, format, bulk)?)))
    }
}

/// The longest record that a user may ask for: a batch must be able to hold it.
const MOST_RECORD_BYTES: u64 = 1 << 30;

/// `source.max-record-size`, which is ours: a line without an end must not fill the memory.
fn longest_record(options: &TableOptions<'_>) -> Result<usize, TableError> {
    let key = "source.max-record-size";
    match options.bytes(key)? {
        None => Ok(scanner::MAX_RECORD_BYTES),
        Some(size) if (1..=MOST_RECORD_BYTES).contains(&size) => Ok(size as usize),
        Some(size) => Err(invalid(key, &size.to_string(), &"it must be 1 byte to 1 gb")),
    }
}

fn default_partition(options: &TableOptions<'_>) -> String {
    options.text("partition.default-name").unwrap_or(DEFAULT_PARTITION).to_owned()
}

/// The columns that are in the files: all but those of the partition.
fn stored_columns(table: &TableSpec) -> Result<Vec<(String, SqlDataType)>, TableError> {
    for key in &table.partition_keys {
        if !table.columns.iter().any(|(name, _)| name == key) {
            return Err(TableError(format!(
                "Partition key '{key}' is not a physical column of the table."
            )));
        }
    }
    let stored = table.columns.iter().filter(|(name, _)| !table.partition_keys.contains(name));
    Ok(stored.cloned().collect())
}

/// A path of the local disk.
fn local_path(text: &str) -> Result<PathBuf, TableError> {
    let plain = match text.split_once(':') {
        Some(("file", rest)) => match rest.strip_prefix("//") {
            Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
            None => rest,
        },
        Some((scheme, _)) if is_scheme(scheme) => {
            return Err(TableError(format!(
                "Could not find a file system implementation for scheme '{scheme}' of {text}: \
                 tables are read from the local disk."
            )));
        }
        _ => text,
    };
    Ok(PathBuf::from(plain))
}

fn is_scheme(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-'))
}

/// Metadata of files, with its types.
const FILE_METADATA: [(&str, SqlTypeKind); 4] = [
    ("file.path", SqlTypeKind::Varchar(i32::MAX as u32)),
    ("file.name", SqlTypeKind::Varchar(i32::MAX as u32)),
    ("file.size", SqlTypeKind::BigInt),
    ("file.modification-time", SqlTypeKind::TimestampLtz(3)),
];

/// A table of files, to be read.
struct FileSource {
    path: PathBuf,
    pattern: Option<regex::Regex>,
    monitor: Option<Duration>,
    dead_letters: Option<PathBuf>,
    default_partition: String,
    longest: usize,
    format: DecodingFormat,
    table: TableSpec,
}

impl TableSource for FileSource {
    fn changelog_mode(&self) -> ChangelogMode {
        self.format.changelog_mode()
    }

    fn boundedness(&self) -> Boundedness {
        match self.monitor {
            None => Boundedness::Bounded,
            Some(_) => Boundedness::Unbounded,
        }
    }

    fn metadata(&self) -> Vec<(String, SqlDataType)> {
        // Not those of the format, as in Flink: they are for connectors of messages.
        let of_files = FILE_METADATA.into_iter();
        of_files.map(|(key, kind)| (key.to_owned(), SqlDataType::not_null(kind))).collect()
    }

    fn chooses_partitions(&self) -> bool {
        !self.table.partition_keys.is_empty()
    }

    fn partitions(&self) -> Result<Option<Vec<Partition>>, TableError> {
        // Those of a monitored directory are not all there yet.
        if self.table.partition_keys.is_empty() || self.monitor.is_some() {
            return Ok(None);
        }
        let (keys, default) = (&self.table.partition_keys, &self.default_partition);
        let found = listing::partitions(&self.path, keys, default, None);
        let found = found.map_err(|error| TableError(error.to_string()))?;
        Ok(Some(found.into_iter().map(|(partition, _)| partition).collect()))
    }

    fn reads_nested(&self) -> bool {
        true
    }

    fn takes_limit(&self) -> bool {
        true
    }

    fn factory(&self, scan: Scan) -> Result<Arc<dyn OperatorFactory>, TableError> {
        let TableSpec { columns, partition_keys, .. } = &self.table;
        let (mut decoded, mut gives) = (Vec::new(), Vec::new());
        for column in &scan.columns {
            gives.push(match column {
                ScanColumn::Physical { column, path } => {
                    let (name, data_type) = columns.get(*column).ok_or_else(|| {
                        TableError(format!("internal: there is no column {column}"))
                    })?;
                    match partition_keys.iter().position(|key| key == name) {
                        Some(key) => Give::Partition(key, data_type.clone()),
                        None => {
                            let before = &columns[..*column];
                            let stored =
                                |(name, _): &&(String, SqlDataType)| !partition_keys.contains(name);
                            let column = before.iter().filter(stored).count();
                            decoded.push(DecodedColumn::Physical { column, path: path.clone() });
                            Give::Decoded(decoded.len() - 1)
                        }
                    }
                }
                ScanColumn::Metadata(key) => match FILE_METADATA.iter().find(|(k, _)| k == key) {
                    Some((key, _)) => Give::File(key),
                    None => {
                        decoded.push(DecodedColumn::Metadata(key.clone()));
                        Give::Decoded(decoded.len() - 1)
                    }
                },
            });
        }
        // What is wrong with the columns is told now.
        self.format.decoder(&decoded).map_err(|error| TableError(error.to_string()))?;
        let reading = FileReading {
            path: self.path.clone(),
            pattern: self.pattern.clone(),
            monitor: self.monitor,
            dead_letters: self.dead_letters.clone(),
            partition_keys: partition_keys.clone(),
            default_partition: self.default_partition.clone(),
            partitions: scan.partitions,
            format: self.format.clone(),
            decoded,
            gives,
            schema: scan.schema,
            limit: scan.limit,
            casts: scan.casts,
            context: scan.context,
            longest: self.longest,
        };
        // One that is watched has no end.
        let limit = scan.limit.map(|rows| RowLimit { rows, ends: self.monitor.is_none() });
        let factory = TableSourceFactory::new(reading, scan.watermark);
        Ok(Arc::new(factory.limited(limit).behind(scan.gate)))
    }
}
