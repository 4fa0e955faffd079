//! Decodes the records of a split into batches.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arrow_array::{
    Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMillisecondArray,
};
use arrow_schema::SchemaRef;
use flate2::read::MultiGzDecoder;
use hurtig_connector_api::SplitEnumerator;
use hurtig_operator_api::OperatorContext;
use hurtig_sql_common::{ChangelogBatch, SqlContext};
use hurtig_sql_formats::{DecodedColumn, Decoder, DecodingFormat, Framing, constant};
use hurtig_sql_functions::api::{Kernel, Operand};
use hurtig_sql_parser::types::SqlDataType;
use hurtig_types::BoxError;

use super::{
    super::{
        partitions::PartitionFilter,
        source::{ROWS_PER_BATCH, Read, SplitProgress, SplitReader, TableReading},
    },
    dead_letters::DeadLetters,
    enumerator::{FileEnumerator, FileSplit, Place},
    scanner::{Scanner, Step},
};

/// A batch ends when its records have so many bytes.
const BYTES_PER_BATCH: usize = 1 << 20;

/// Where a column comes from.
#[derive(Clone, Debug)]
pub(super) enum Give {
    /// The records.
    Decoded(usize),
    /// The partition's key of that position.
    Partition(usize, SqlDataType),
    /// The file.
    File(&'static str),
}

/// What is read of a table.
#[derive(Clone, Debug)]
pub(super) struct FileReading {
    pub(super) path: PathBuf,
    pub(super) pattern: Option<regex::Regex>,
    pub(super) monitor: Option<Duration>,
    pub(super) dead_letters: Option<PathBuf>,
    pub(super) partition_keys: Vec<String>,
    pub(super) default_partition: String,
    pub(super) partitions: Option<PartitionFilter>,
    pub(super) format: DecodingFormat,
    pub(super) decoded: Vec<DecodedColumn>,
    pub(super) gives: Vec<Give>,
    pub(super) schema: SchemaRef,
    pub(super) limit: Option<u64>,
    pub(super) casts: Vec<Option<Arc<dyn Kernel>>>,
    pub(super) context: SqlContext,
    /// The longest record, in bytes.
    pub(super) longest: usize,
}

impl FileReading {
    fn place(&self) -> Place {
        Place {
            path: self.path.clone(),
            pattern: self.pattern.clone(),
            monitor: self.monitor,
            partition_keys: self.partition_keys.clone(),
            default_partition: self.default_partition.clone(),
            partitions: self.partitions.clone(),
            splittable: self.format.framing() == Framing::Lines,
        }
    }
}

impl TableReading for FileReading {
    type Split = FileSplit;

    fn create_enumerator(
        &self,
        parallelism: u32,
    ) -> Result<Box<dyn SplitEnumerator<FileSplit>>, BoxError> {
        Ok(Box::new(FileEnumerator::new(self.place(), parallelism)))
    }

    fn restore_enumerator(
        &self,
        parallelism: u32,
        state: &[u8],
    ) -> Result<Box<dyn SplitEnumerator<FileSplit>>, BoxError> {
        Ok(Box::new(FileEnumerator::restored(self.place(), parallelism, state)?))
    }

    fn open(
        &self,
        split: FileSplit,
        context: &OperatorContext,
    ) -> Result<Box<dyn SplitReader<FileSplit>>, BoxError> {
        // A split of a savepoint may be of a partition that the query of today leaves out.
        if let Some(filter) = &self.partitions
            && !filter.passes(&split.partition)?
        {
            return Ok(Box::new(NotWanted(split)));
        }
        Ok(Box::new(FileReader::open(self, split, context)?))
    }
}

/// A split that has nothing to give.
struct NotWanted(FileSplit);

impl SplitReader<FileSplit> for NotWanted {
    fn read(&mut self, _: usize) -> Result<Read, BoxError> {
        Ok(Read::End)
    }

    fn position(&mut self) -> Result<FileSplit, BoxError> {
        Ok(self.0.clone())
    }
}

struct FileReader {
    split: FileSplit,
    scanner: Scanner,
    decoder: Box<dyn Decoder>,
    /// Records that are none are dropped without a word.
    ignores_errors: bool,
    dead_letters: Option<DeadLetters>,
    columns: Vec<FileColumn>,
    /// How columns become those of the schema, where they are not.
    casts: Vec<Option<Arc<dyn Kernel>>>,
    context: SqlContext,
    schema: SchemaRef,
    /// The longest record, in bytes.
    longest: usize,
    /// Rows that may still be given.
    left: u64,
    ended: bool,
    /// How far the split was read when somebody asked last.
    told: u64,
    /// Records since then that were none.
    errors: u64,
}

/// A column of the batches of a split.
enum FileColumn {
    Decoded(usize),
    /// The same value in all rows: as many as a batch usually has.
    Constant(ArrayRef),
}

impl FileReader {
    fn open(
        reading: &FileReading,
        split: FileSplit,
        context: &OperatorContext,
    ) -> Result<Self, BoxError> {
        let failed = |error: io::Error| format!("cannot open {}: {error}", split.path);
        let mut file = File::open(&split.path).map_err(failed)?;
        let framing = reading.format.framing();
        let mut scanner = if split.is_gzip() {
            let content = MultiGzDecoder::new(BufReader::new(file));
            let mut scanner = Scanner::new(Box::new(content), framing, reading.longest, 0);
            scanner.skip_bytes(split.position).map_err(failed)?;
            scanner
        } else {
            // The byte before the position tells whether a line starts there.
            let from = split.position.saturating_sub(1);
            file.seek(SeekFrom::Start(from)).map_err(failed)?;
            Scanner::new(Box::new(file), framing, reading.longest, from)
        };
        if framing == Framing::Lines && !split.is_gzip() {
            scanner.skip_to_line(split.position).map_err(failed)?;
        } else {
            scanner.skip_bytes(split.position).map_err(failed)?;
        }
        let letters = reading.dead_letters.as_deref();
        let letters = letters.map(|directory| DeadLetters::open(directory, &split, context));
        let columns = reading.gives.iter().map(|give| FileColumn::of(give, &split));
        Ok(Self {
            columns: columns.collect::<Result<_, _>>()?,
            dead_letters: letters.transpose()?,
            decoder: reading.format.decoder(&reading.decoded)?,
            ignores_errors: reading.format.ignores_errors(),
            casts: reading.casts.clone(),
            context: reading.context.clone(),
            schema: reading.schema.clone(),
            longest: reading.longest,
            left: reading.limit.unwrap_or(u64::MAX),
            ended: false,
            told: scanner.offset(),
            errors: 0,
            scanner,
            split,
        })
    }

    /// A record that is none: kept, dropped, or the end of the job.
    fn on_error(&mut self, offset: u64, error: String, record: &[u8]) -> Result<(), BoxError> {
        if let Some(letters) = &mut self.dead_letters {
            self.errors += 1;
            return letters.add(offset, &error, record).map_err(|source| {
                format!("cannot keep a dead letter of {}: {source}", self.split.path).into()
            });
        }
        if self.ignores_errors {
            self.errors += 1;
            return Ok(());
        }
        let path = &self.split.path;
        let line = line_of(Path::new(path), offset, self.split.is_gzip());
        let line = line.map(|line| format!("line {line}, ")).unwrap_or_default();
        Err(format!("{error} (file {path}, {line}the record at byte {offset})").into())
    }

    fn finish(&mut self) -> Result<ChangelogBatch, BoxError> {
        let decoded = self.decoder.finish()?;
        let rows = decoded.rows;
        let columns = self.columns.iter_mut().map(|column| match column {
            FileColumn::Decoded(index) => Ok(decoded.columns[*index].clone()),
            FileColumn::Constant(values) => {
                if values.len() < rows {
                    *values = repeated(values, rows)?;
                }
                Ok(values.slice(0, rows))
            }
        });
        let mut columns = columns.collect::<Result<Vec<_>, BoxError>>()?;
        for (column, cast) in columns.iter_mut().zip(&self.casts) {
            if let Some(cast) = cast {
                let given = [Operand::Column(column.clone())];
                *column = cast.evaluate(&given, rows, &self.context)?;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(match decoded.kinds {
            Some(kinds) => ChangelogBatch::new(batch, kinds),
            None => ChangelogBatch::inserts(batch),
        })
    }
}

/// The number of the line that begins at an offset; read again, since nobody counts before there is an
/// error.
fn line_of(path: &Path, offset: u64, gzip: bool) -> Option<u64> {
    let file = File::open(path).ok()?;
    let content: Box<dyn io::Read> =
        if gzip { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) };
    let mut before = BufReader::with_capacity(256 << 10, content.take(offset));
    let mut line = 1;
    loop {
        let bytes = before.fill_buf().ok()?;
        if bytes.is_empty() {
            return Some(line);
        }
        line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        let read = bytes.len();
        before.consume(read);
    }
}

fn repeated(values: &ArrayRef, rows: usize) -> Result<ArrayRef, BoxError> {
    let all: Vec<&dyn Array> = vec![values.as_ref(); rows.div_ceil(values.len().max(1))];
    Ok(arrow_select::concat::concat(&all)?)
}

impl FileColumn {
    fn of(give: &Give, split: &FileSplit) -> Result<Self, BoxError> {
        let rows = ROWS_PER_BATCH;
        Ok(Self::Constant(match give {
            Give::Decoded(index) => return Ok(Self::Decoded(*index)),
            Give::Partition(key, data_type) => {
                let value = split.partition.get(*key).and_then(Option::as_deref);
                constant(data_type, value, rows)?
            }
            Give::File(key) => match *key {
                "file.path" => text(&split.path, rows),
                "file.name" => {
                    let name = Path::new(&split.path).file_name().and_then(|name| name.to_str());
                    text(name.unwrap_or_default(), rows)
                }
                "file.size" => {
                    let size = i64::try_from(split.size).unwrap_or(i64::MAX);
                    Arc::new(Int64Array::from_value(size, rows))
                }
                _ => {
                    let times = TimestampMillisecondArray::from_value(split.modified_ms, rows);
                    Arc::new(times.with_timezone("UTC"))
                }
            },
        }))
    }
}

fn text(value: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(value, rows)))
}

impl SplitReader<FileSplit> for FileReader {
    fn read(&mut self, max_rows: usize) -> Result<Read, BoxError> {
        if self.ended || self.left == 0 {
            return Ok(Read::End);
        }
        let most = max_rows.min(usize::try_from(self.left).unwrap_or(usize::MAX)).max(1);
        let mut bytes = 0;
        while self.decoder.rows() < most && bytes < BYTES_PER_BATCH {
            let offset = self.scanner.offset();
            let step = self.scanner.next(self.split.end).map_err(|error| {
                format!("cannot read {} beyond byte {offset}: {error}", self.split.path)
            })?;
            match step {
                Step::End => {
                    self.ended = true;
                    break;
                }
                Step::Record(range) => {
                    bytes += range.len() + 1;
                    let record = &self.scanner.bytes()[range];
                    if let Err(error) = self.decoder.decode(record) {
                        let record = record.to_vec();
                        self.on_error(offset, error.message, &record)?;
                    }
                }
                Step::TooLong(offset) => {
                    bytes += self.longest;
                    let error = format!(
                        "the record is longer than {} bytes ('source.max-record-size')",
                        self.longest
                    );
                    self.on_error(offset, error, b"")?;
                }
            }
        }
        let rows = self.decoder.rows();
        self.left = self.left.saturating_sub(rows as u64);
        Ok(Read::Rows(self.finish()?))
    }

    fn progress(&mut self) -> SplitProgress {
        let offset = self.scanner.offset();
        let before = std::mem::replace(&mut self.told, offset);
        // Of a compressed file nobody knows how much is left before its end.
        let pending = self.split.end.saturating_sub(offset.max(self.split.position));
        SplitProgress {
            bytes: offset.saturating_sub(before),
            errors: std::mem::take(&mut self.errors),
            pending_bytes: (!self.split.is_gzip()).then_some(pending),
        }
    }

    fn position(&mut self) -> Result<FileSplit, BoxError> {
        if let Some(letters) = &mut self.dead_letters {
            letters.sync()?;
        }
        let position = self.split.position.max(self.scanner.offset());
        Ok(FileSplit { position, ..self.split.clone() })
    }
}
