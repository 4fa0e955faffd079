//! Writes the part files of one subtask.

use std::sync::Arc;

use futures::FutureExt;
use hurtig_connector_api::{SinkWriter, WriterContext, WriterState};
use hurtig_env::Clock;
use hurtig_filesystem::{FileSystemError, PartFile, PendingFile, RecoverableWriter, ResumableFile};
use hurtig_metrics::{
    Counter,
    names::{NUM_BYTES_SEND, NUM_BYTES_SEND_PER_SECOND},
};
use hurtig_types::{Batch, BoxError, Record, codec, snapshot::state_checksum};
use serde::{Deserialize, Serialize};

use super::{
    FileSinkError,
    bucket::{BucketAssigner, BucketContext},
    committer::{Bases, Outcome, Work},
    format::PartFormat,
    names::{Generation, Mark, OutputFileConfig, PartName},
    parts::{Limits, Part, Parts, bucket_problem},
    policy::{PartFileInfo, RollingPolicy},
};

/// Bytes of a part that are worth a call of the file system.
const HAND_OVER_BYTES: usize = 64 << 10;

/// What the writers of a sink share.
pub(crate) struct Settings<F, P> {
    pub base: String,
    pub format: Arc<F>,
    pub policy: Arc<P>,
    pub names: OutputFileConfig,
    pub check_interval_ms: i64,
    pub limits: Limits,
}

/// An open part file.
struct OpenFile<E> {
    file: Box<dyn PartFile>,
    encoder: E,
    /// Encoded, and not handed over to the file.
    buffer: Vec<u8>,
    /// Its number, unless an earlier writer began it.
    number: Option<u64>,
}

impl<E> OpenFile<E> {
    fn hand_over(&mut self) -> Result<(), FileSystemError> {
        if !self.buffer.is_empty() {
            self.file.write(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// A file that waits to be given to the committer.
struct Closing {
    file: Box<dyn PartFile>,
    number: Option<u64>,
}

/// An open file in a checkpoint.
#[derive(Serialize, Deserialize)]
struct OpenState {
    bucket: String,
    creation_time_ms: i64,
    file: ResumableFile,
}

/// Writes the part files of one subtask.
pub(crate) struct FileWriter<T, F: PartFormat<T>, A, P> {
    settings: Settings<F, P>,
    assigner: A,
    clock: Clock,
    files: Arc<dyn RecoverableWriter>,
    generation: Generation,
    /// Number of the next file.
    next: u64,
    /// `next` at the last snapshot: files from here on are in no checkpoint.
    in_no_checkpoint: u64,
    parts: Parts<OpenFile<F::Part>>,
    closing: Vec<Closing>,
    /// The bucket of the last record.
    bucket: String,
    /// Encoded since memory was last looked at.
    unlooked_bytes: usize,
    next_check_ms: i64,
    cleaning: Work,
    sent_bytes: Counter,
}

impl<T, F, A, P> FileWriter<T, F, A, P>
where
    T: Record,
    F: PartFormat<T>,
    A: BucketAssigner<T>,
    P: RollingPolicy<T>,
{
    pub(crate) fn new(
        settings: Settings<F, P>,
        assigner: A,
        mut bases: Bases,
        context: &WriterContext,
    ) -> Result<Self, BoxError> {
        let sink = state_checksum(&codec::encode(&(context.job.0, context.operator.0))?);
        let restored = context.restored_checkpoint.map_or(0, |checkpoint| checkpoint.0 + 1);
        let generation =
            Generation { sink, subtask: context.subtask, restored, attempt: context.attempt };
        let files = bases.get(&settings.base)?;
        let next_check_ms = context.clock.now_ms() + settings.check_interval_ms;
        let mut writer = Self {
            settings,
            assigner,
            clock: context.clock,
            files,
            generation,
            next: 0,
            in_no_checkpoint: 0,
            parts: Parts::default(),
            closing: Vec::new(),
            bucket: String::new(),
            unlooked_bytes: 0,
            next_check_ms,
            cleaning: Work::default(),
            sent_bytes: context.metrics.counter(NUM_BYTES_SEND),
        };
        context.metrics.rate_of(NUM_BYTES_SEND_PER_SECOND, &writer.sent_bytes);
        let mut marks = None;
        if let Some(state) = &context.restored {
            let decoded = state.union.iter().map(|mark| codec::decode::<Mark>(mark));
            marks = Some(decoded.collect::<Result<Vec<_>, _>>()?);
            for open in &state.split {
                writer.resume(codec::decode(open)?, &mut bases)?;
            }
        }
        // Without checkpoints nothing but the end of input commits. A later attempt begins anew,
        // so what an earlier one has committed is not output.
        let begins_anew = marks.is_none() && !context.checkpoints && context.attempt > 0;
        let clean = clean_up(
            writer.files.clone(),
            writer.generation,
            context.parallelism,
            marks,
            begins_anew,
        );
        writer.cleaning = bases.run(clean.boxed());
        Ok(writer)
    }

    fn resume(&mut self, state: OpenState, bases: &mut Bases) -> Result<(), BoxError> {
        let OpenState { bucket, creation_time_ms, file } = state;
        let size_bytes = file.length;
        let mut file = bases.get(&file.base)?.resume(file)?;
        if self.parts.find(&bucket).is_some() || !F::RESUMABLE {
            // Two of one bucket come together when there are fewer writers than before.
            file.close()?;
            self.closing.push(Closing { file, number: None });
            return Ok(());
        }
        let mut buffer = Vec::new();
        let encoder = self.settings.format.begin(&mut buffer)?;
        let last_update_time_ms = self.clock.now_ms();
        let info = PartFileInfo { bucket, size_bytes, creation_time_ms, last_update_time_ms };
        self.parts.open(Part { info, file: OpenFile { file, encoder, buffer, number: None } });
        Ok(())
    }

    /// Opens a file for the bucket of the last record.
    fn open(&mut self, now_ms: i64) -> Result<usize, BoxError> {
        if let Some(part) = self.parts.make_room(&self.settings.limits) {
            self.close_part(part)?;
        }
        let name = PartName { generation: self.generation, number: self.next };
        let bucket = self.bucket.clone();
        let target = self.settings.names.target(&bucket, &name);
        if let Some(problem) = bucket_problem(&bucket) {
            return Err(FileSinkError::Bucket { bucket, problem }.into());
        }
        let file = self.files.create(&name.to_string(), &target)?;
        let mut buffer = Vec::new();
        let encoder = self.settings.format.begin(&mut buffer)?;
        self.next += 1;
        let info = PartFileInfo {
            bucket,
            size_bytes: buffer.len() as u64,
            creation_time_ms: now_ms,
            last_update_time_ms: now_ms,
        };
        let file = OpenFile { file, encoder, buffer, number: Some(name.number) };
        Ok(self.parts.open(Part { info, file }))
    }

    fn close_part(&mut self, part: Part<OpenFile<F::Part>>) -> Result<(), BoxError> {
        let OpenFile { mut file, encoder, mut buffer, number } = part.file;
        F::finish(encoder, &mut buffer).map_err(|source| self.encode_error(number, source))?;
        if !buffer.is_empty() {
            file.write(&buffer)?;
        }
        file.close()?;
        self.closing.push(Closing { file, number });
        Ok(())
    }

    fn encode_error(&self, number: Option<u64>, source: BoxError) -> FileSinkError {
        let number = number.unwrap_or(self.next);
        let part = PartName { generation: self.generation, number }.to_string();
        FileSinkError::Encode { base: self.settings.base.clone(), part, source }
    }

    /// The open file of the bucket of the last record, for `element`.
    fn part_for(&mut self, element: &T, now_ms: i64) -> Result<usize, BoxError> {
        if let Some(at) = self.parts.find(&self.bucket) {
            let policy = &self.settings.policy;
            let part = self.parts.get_mut(at);
            if part.is_some_and(|part| !policy.should_roll_on_event(&part.info, element)) {
                return Ok(at);
            }
            let ended = self.parts.end(at);
            self.close_part(ended)?;
        }
        self.open(now_ms)
    }

    /// Keeps memory within its bound.
    fn relieve(&mut self) -> Result<(), BoxError> {
        let limits = self.settings.limits;
        if self.unlooked_bytes < limits.buffered_bytes / 16 {
            return Ok(());
        }
        self.unlooked_bytes = 0;
        for part in self.parts.iter_mut() {
            part.file.hand_over()?;
            part.file.buffer = Vec::new();
        }
        let ended = self.parts.relieve(&limits, |file| file.file.buffered_bytes());
        ended.into_iter().try_for_each(|part| self.close_part(part))
    }
}

/// Removes what belongs to no checkpoint.
async fn clean_up(
    files: Arc<dyn RecoverableWriter>,
    me: Generation,
    parallelism: u32,
    marks: Option<Vec<Mark>>,
    begins_anew: bool,
) -> Outcome {
    for name in files.in_progress(&me.sink_prefix()).await? {
        let part = PartName::parse(&name);
        if part.is_some_and(|part| me.is_left_over(&part, parallelism, marks.as_deref())) {
            files.discard(&name).await?;
        }
    }
    if begins_anew {
        let obsolete = move |name: &str| me.has_committed(name, parallelism);
        files.remove_committed(Arc::new(obsolete)).await?;
    }
    Ok(())
}

impl<T, F, A, P> SinkWriter<T, PendingFile> for FileWriter<T, F, A, P>
where
    T: Record,
    F: PartFormat<T>,
    A: BucketAssigner<T>,
    P: RollingPolicy<T>,
{
    fn write(&mut self, batch: Batch<T>) -> Result<(), BoxError> {
        let now_ms = self.clock.now_ms();
        let mut bucket = String::new();
        // Where the last record went; records that follow each other often share a bucket.
        let mut last: Option<usize> = None;
        let before = self.unlooked_bytes;
        for (position, element) in batch.values.iter().enumerate() {
            let timestamp_ms = batch.timestamps.as_ref().and_then(|t| t.get(position).copied());
            let context = BucketContext { timestamp_ms, processing_time_ms: now_ms };
            bucket.clear();
            self.assigner.bucket_id(element, &context, &mut bucket)?;
            let at = match last {
                Some(at)
                    if bucket == self.bucket
                        && self.parts.get_mut(at).is_some_and(|part| {
                            !self.settings.policy.should_roll_on_event(&part.info, element)
                        }) =>
                {
                    at
                }
                _ => {
                    std::mem::swap(&mut self.bucket, &mut bucket);
                    self.part_for(element, now_ms)?
                }
            };
            last = Some(at);
            let Some(part) = self.parts.get_mut(at) else { continue };
            let file = &mut part.file;
            let before = file.buffer.len();
            let added = F::add(&mut file.encoder, element, &mut file.buffer);
            let (number, length) = (file.number, file.buffer.len());
            part.info.size_bytes += (length - before) as u64;
            part.info.last_update_time_ms = now_ms;
            self.unlooked_bytes += length - before;
            if length >= HAND_OVER_BYTES {
                file.hand_over()?;
            }
            added.map_err(|source| self.encode_error(number, source))?;
        }
        self.sent_bytes.add((self.unlooked_bytes - before) as u64);
        self.relieve()
    }

    fn flush(&mut self, end_of_input: bool) -> Result<(), BoxError> {
        let ends = end_of_input || !F::RESUMABLE;
        for part in self.parts.on_checkpoint(&*self.settings.policy, ends) {
            self.close_part(part)?;
        }
        for part in self.parts.iter_mut() {
            part.file.hand_over()?;
            part.file.file.flush()?;
        }
        Ok(())
    }

    fn is_flushed(&self) -> bool {
        self.cleaning.is_done()
            && self.closing.iter().all(|closing| closing.file.is_flushed())
            && self.parts.iter().all(|part| part.file.file.is_flushed())
    }

    fn prepare_commit(&mut self) -> Result<Vec<PendingFile>, BoxError> {
        self.cleaning.outcome(&self.settings.base)?;
        let finished = self.closing.drain(..).map(|closing| closing.file.finish());
        Ok(finished.collect::<Result<_, _>>()?)
    }

    fn snapshot(&mut self) -> Result<WriterState, BoxError> {
        self.in_no_checkpoint = self.next;
        let mark = Mark { generation: self.generation, next: self.next };
        let mut state = WriterState { union: vec![codec::encode(&mark)?], ..Default::default() };
        for part in self.parts.iter_mut() {
            state.split.push(codec::encode(&OpenState {
                bucket: part.info.bucket.clone(),
                creation_time_ms: part.info.creation_time_ms,
                file: part.file.file.persist()?,
            })?);
        }
        Ok(state)
    }

    fn is_available(&self) -> bool {
        self.files.is_available()
    }

    fn next_processing_timer_ms(&self) -> Option<i64> {
        Some(self.next_check_ms)
    }

    fn on_processing_time(&mut self, now_ms: i64) -> Result<(), BoxError> {
        self.next_check_ms = now_ms + self.settings.check_interval_ms;
        for part in self.parts.on_processing_time(&*self.settings.policy, now_ms) {
            self.close_part(part)?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), BoxError> {
        let open = self.parts.drain().map(|part| (part.file.file, part.file.number));
        let closing = self.closing.drain(..).map(|closing| (closing.file, closing.number));
        for (file, number) in open.chain(closing) {
            // What is in a checkpoint may be resumed by another attempt.
            if number.is_some_and(|number| number >= self.in_no_checkpoint) {
                file.discard();
            }
        }
        self.files.close();
        Ok(())
    }
}
