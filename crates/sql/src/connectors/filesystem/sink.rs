//! Writes rows into files, exactly once: the file sink of streams behind an encoder.
//!
//! Rows of a batch that go to the same directory travel as one piece of bytes. With partitions, that
//! directory is `key=value/...`, and columns of the partition are not in the files.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use hurtig_connector_api::Sink;
use hurtig_connectors::file_sink::{
    BucketContext, DefaultRollingPolicy, FileSink, OnCheckpointRollingPolicy, OutputFileConfig,
};
use hurtig_env::Clock;
use hurtig_operator_api::{Captured, Operator, OperatorContext, OperatorFactory, Output, Progress};
use hurtig_operators::{connector_metrics::SinkMetrics, sink::SinkOperator};
use hurtig_sql_common::{ChangelogBatch, ChangelogMode};
use hurtig_sql_formats::{EncodingFormat, text::TextWriter};
use hurtig_types::{Batch, BoxedPayload, CheckpointId, FlowError, FlowResult, Watermark};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        api::{TableError, TableSink, TableSpec, Write},
        options::{TableOptions, invalid},
    },
    default_partition, listing, local_path,
    success::{Mark, Marking},
};

/// A piece is given on when it has so many bytes, so that files end about where they should.
const PIECE_BYTES: usize = 64 << 10;

/// Rows as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EncodedRows {
    /// The directory below the table's.
    bucket: String,
    bytes: Vec<u8>,
}

/// A table of files, to be written.
pub(super) struct FileTableSink {
    base: String,
    format: EncodingFormat,
    /// Files end at every checkpoint, as those of bulk formats do.
    bulk: bool,
    stored: Vec<usize>,
    /// The keys of the partition, each with its column.
    partition: Vec<(String, usize)>,
    default_partition: String,
    policy: DefaultRollingPolicy,
    check_interval: Duration,
    parallelism: Option<u32>,
    mark: Option<Mark>,
}

impl FileTableSink {
    pub(super) fn new(
        table: &TableSpec,
        format: EncodingFormat,
        bulk: bool,
    ) -> Result<Self, TableError> {
        let options = TableOptions(&table.options);
        if options.flag("auto-compaction")? == Some(true) {
            return Err(invalid("auto-compaction", "true", &"files are not merged here yet"));
        }
        let column = |key: &String| {
            let found = table.columns.iter().position(|(name, _)| name == key);
            found.map(|column| (key.clone(), column))
        };
        let keys = &table.partition_keys;
        let base = local_path(options.required("path")?)?;
        let mark = mark(&options, &base)?.filter(|_| !keys.is_empty());
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let interval = |key: &str, default| options.duration(key).map(|d| d.unwrap_or(default));
        let size = options.bytes("sink.rolling-policy.file-size")?.unwrap_or(128 << 20);
        let rollover = interval("sink.rolling-policy.rollover-interval", minutes(30))?;
        let inactivity = interval("sink.rolling-policy.inactivity-interval", minutes(30))?;
        Ok(Self {
            base: base
                .to_str()
                .map(str::to_owned)
                .ok_or_else(|| TableError(format!("the path {} is not UTF-8", base.display())))?,
            format,
            bulk,
            stored: (0..table.columns.len())
                .filter(|column| !keys.contains(&table.columns[*column].0))
                .collect(),
            partition: keys.iter().filter_map(column).collect(),
            default_partition: default_partition(&options),
            policy: DefaultRollingPolicy::new()
                .with_max_part_size(size)
                .with_rollover_interval(rollover)
                .with_inactivity_interval(inactivity),
            check_interval: interval("sink.rolling-policy.check-interval", minutes(1))?,
            parallelism: options.parallelism("sink.parallelism")?,
            mark,
        })
    }
}

/// How partitions are committed, if they are.
fn mark(options: &TableOptions<'_>, base: &Path) -> Result<Option<Mark>, TableError> {
    const KIND: &str = "sink.partition-commit.policy.kind";
    const TRIGGER: &str = "sink.partition-commit.trigger";
    const DELAY: &str = "sink.partition-commit.delay";
    let Some(kind) = options.text(KIND) else { return Ok(None) };
    if kind != "success-file" {
        return Err(invalid(KIND, kind, &"the only policy here is success-file"));
    }
    match options.text(TRIGGER) {
        None | Some("process-time") => {}
        Some(other) => return Err(invalid(TRIGGER, other, &"the only trigger is process-time")),
    }
    if options.duration(DELAY)?.is_some_and(|delay| !delay.is_zero()) {
        let text = options.text(DELAY).unwrap_or_default();
        return Err(invalid(DELAY, text, &"partitions are committed with their first files"));
    }
    let name = options.text("sink.partition-commit.success-file.name").unwrap_or("_SUCCESS");
    if name.is_empty() || name.contains('/') {
        return Err(invalid("sink.partition-commit.success-file.name", name, &"it is no name"));
    }
    Ok(Some(Mark { base: base.to_owned(), name: name.to_owned() }))
}

impl TableSink for FileTableSink {
    fn changelog_mode(&self, _: ChangelogMode) -> ChangelogMode {
        self.format.changelog_mode()
    }

    fn parallelism(&self) -> Option<u32> {
        self.parallelism
    }

    fn factory(&self, write: Write) -> Result<Arc<dyn OperatorFactory>, TableError> {
        if write.overwrite {
            return Err(TableError("Streaming mode not support overwrite.".to_owned()));
        }
        let encoder = |rows: &EncodedRows, out: &mut Vec<u8>| out.extend_from_slice(&rows.bytes);
        let assigner = |rows: &EncodedRows, _: &BucketContext, bucket: &mut String| {
            bucket.push_str(&rows.bucket);
        };
        let sink = FileSink::for_row_format(self.base.clone(), encoder)
            .with_bucket_assigner(assigner)
            .with_output_file_config(OutputFileConfig::new())
            .with_bucket_check_interval(self.check_interval);
        let plan = Plan {
            format: self.format.clone(),
            stored: self.stored.clone(),
            partition: self.partition.clone(),
            default_partition: self.default_partition.clone(),
            write,
        };
        Ok(if self.bulk {
            let sink = sink.with_rolling_policy(OnCheckpointRollingPolicy);
            let sink = Arc::new(Marking { sink, mark: self.mark.clone() });
            Arc::new(FileSinkOperators { sink, plan })
        } else {
            let sink = sink.with_rolling_policy(self.policy);
            let sink = Arc::new(Marking { sink, mark: self.mark.clone() });
            Arc::new(FileSinkOperators { sink, plan })
        })
    }
}

/// How rows become pieces.
#[derive(Clone)]
struct Plan {
    format: EncodingFormat,
    stored: Vec<usize>,
    partition: Vec<(String, usize)>,
    default_partition: String,
    write: Write,
}

struct FileSinkOperators<S> {
    sink: Arc<S>,
    plan: Plan,
}

impl<S: Sink<Input = EncodedRows>> OperatorFactory for FileSinkOperators<S> {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let inner = SinkOperator::new(self.sink.clone()).without_count();
        Ok(Box::new(EncodingOperator { inner, plan: self.plan.clone(), metrics: None }))
    }
}

impl Plan {
    fn encode(&self, batch: &ChangelogBatch) -> FlowResult<Vec<EncodedRows>> {
        let rows = batch.rows.project(&self.stored).map_err(FlowError::external)?;
        let encoder = self.format.encoder(&rows).map_err(FlowError::external)?;
        let mut writers = Vec::new();
        for (key, column) in &self.partition {
            let (array, field) = (batch.rows.column(*column), self.write.schema.field(*column));
            let writer = TextWriter::of_objects(array.as_ref(), field);
            writers.push((key, writer.map_err(FlowError::external)?));
        }
        let (mut full, mut open) = (Vec::new(), HashMap::<String, EncodedRows>::new());
        let (mut bucket, mut value) = (String::new(), Vec::new());
        for row in 0..rows.num_rows() {
            bucket.clear();
            for (key, writer) in &writers {
                if !bucket.is_empty() {
                    bucket.push('/');
                }
                listing::escape(key, &mut bucket);
                bucket.push('=');
                value.clear();
                if !writer.is_null(row) {
                    writer.write(row, &mut value);
                }
                match std::str::from_utf8(&value) {
                    Ok("") | Err(_) => bucket.push_str(&self.default_partition),
                    Ok(text) => listing::escape(text, &mut bucket),
                }
            }
            if !open.contains_key(&bucket) {
                let rows = EncodedRows { bucket: bucket.clone(), bytes: Vec::new() };
                open.insert(bucket.clone(), rows);
            }
            let Some(piece) = open.get_mut(&bucket) else { continue };
            let kind = batch.kind(row);
            encoder.encode(row, kind, &mut piece.bytes).map_err(FlowError::external)?;
            piece.bytes.extend_from_slice(self.format.record_end());
            if piece.bytes.len() >= PIECE_BYTES {
                full.extend(open.remove(&bucket));
            }
        }
        let mut rest: Vec<_> = open.into_values().collect();
        rest.sort_unstable_by(|a, b| a.bucket.cmp(&b.bucket));
        full.extend(rest);
        Ok(full)
    }
}

/// Encodes rows and gives them to the operator of the file sink, which does all the rest.
struct EncodingOperator<S: Sink<Input = EncodedRows>> {
    inner: SinkOperator<S>,
    plan: Plan,
    /// Rows are counted here: the inner operator sees pieces of bytes.
    metrics: Option<(SinkMetrics, Clock)>,
}

impl<S: Sink<Input = EncodedRows>> Operator for EncodingOperator<S> {
    fn open(&mut self, context: &OperatorContext) -> FlowResult {
        self.metrics = Some((SinkMetrics::register(&context.metrics), context.clock));
        self.inner.open(context)
    }

    fn process(&mut self, input: usize, batch: BoxedPayload, out: &mut dyn Output) -> FlowResult {
        let batch = ChangelogBatch::from_payload(batch)?;
        let rows = batch.rows.num_rows() as u64;
        let began = self.metrics.as_ref().map(|(_, clock)| clock.monotonic());
        let encoded = self.plan.encode(&batch);
        let written = encoded.and_then(|pieces| {
            self.inner.process(input, Batch::from_parts(pieces, None).boxed(), out)
        });
        if let (Some((metrics, clock)), Some(began)) = (&self.metrics, began) {
            metrics.on_write(rows, clock.monotonic().saturating_sub(began), written.is_ok());
        }
        written
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> FlowResult<Progress> {
        self.inner.on_watermark(watermark, out)
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        self.inner.next_processing_timer_ms()
    }

    fn on_processing_time(&mut self, now_ms: i64, out: &mut dyn Output) -> FlowResult<Progress> {
        self.inner.on_processing_time(now_ms, out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        self.inner.resume(out)
    }

    fn is_available(&self) -> bool {
        self.inner.is_available()
    }

    fn prepare_barrier(&mut self, checkpoint: CheckpointId, out: &mut dyn Output) -> FlowResult {
        self.inner.prepare_barrier(checkpoint, out)
    }

    fn is_prepared(&self) -> bool {
        self.inner.is_prepared()
    }

    fn begin_capture(
        &mut self,
        checkpoint: CheckpointId,
        since: Option<u32>,
    ) -> FlowResult<Captured> {
        self.inner.begin_capture(checkpoint, since)
    }

    fn next_capture(&mut self, max_bytes: usize, out: &mut Vec<u8>) -> FlowResult<bool> {
        self.inner.next_capture(max_bytes, out)
    }

    fn cancel_capture(&mut self) {
        self.inner.cancel_capture();
    }

    fn forget_captures_before(&mut self, capture: u32) {
        self.inner.forget_captures_before(capture);
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.inner.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> FlowResult {
        self.inner.checkpoint_aborted(checkpoint)
    }

    fn awaits_checkpoint(&self) -> bool {
        self.inner.awaits_checkpoint()
    }

    fn stop(&mut self) -> FlowResult<Progress> {
        self.inner.stop()
    }

    fn end_input(&mut self, input: usize, out: &mut dyn Output) -> FlowResult<Progress> {
        self.inner.end_input(input, out)
    }

    fn finish(&mut self, out: &mut dyn Output) -> FlowResult<Progress> {
        self.inner.finish(out)
    }

    fn close(&mut self) -> FlowResult {
        self.inner.close()
    }
}
