//! The file sink: writes records exactly once into part files, on the local disk or an object
//! store, as Flink's `FileSink`.
//!
//! ```
//! # use hurtig_connectors::file_sink::*;
//! # use std::time::Duration;
//! let sink = FileSink::for_row_format("/tmp/output", |word: &String, out: &mut Vec<u8>| {
//!     out.extend_from_slice(word.as_bytes());
//!     out.push(b'\n');
//! })
//! .with_bucket_assigner(BasePathBucketAssigner)
//! .with_rolling_policy(DefaultRollingPolicy::new().with_max_part_size(1 << 20))
//! .with_output_file_config(OutputFileConfig::new().with_part_suffix(".txt"));
//! ```
//!
//! # Life of a part file
//!
//! 1. *In progress.* Each record goes to a bucket, a directory below the base. Each writer has at
//!    most one open file per bucket. Nobody sees it: on a local disk it is a hidden file in the
//!    directory `.inprogress`, on an object store an upload.
//! 2. At a checkpoint open files are brought to the disk or store, and their lengths are part of
//!    the checkpoint. After a failure they are cut to that length and written on.
//! 3. *Pending.* A file ends when the [`RollingPolicy`] says so: by size, time, inactivity, or at
//!    the checkpoint; bulk formats end theirs at every checkpoint. It becomes part of the next
//!    checkpoint.
//! 4. *Finished.* When that checkpoint is complete the file is renamed, or the upload completed.
//!    That is repeated after a failure, and then changes nothing.
//! 5. What belongs to no checkpoint is removed when the job goes on from one; see [`names`].
//!
//! So whoever reads the files that are visible sees each record once, whatever fails. Without
//! checkpoints files become visible at the end of input.
//!
//! # Parallelism
//!
//! A job that goes on at another parallelism spreads its open files over the new writers. A writer
//! that gets two of one bucket ends one of them.
//!
//! # Deliberately absent
//!
//! Merging of small files; buckets by watermark (a sink's writer is not told of watermarks).

mod committer;

pub mod bucket;
pub mod format;
pub mod names;
pub mod parts;
pub mod policy;
mod writer;

use std::{marker::PhantomData, sync::Arc, time::Duration};

use hurtig_connector_api::{Committer, Sink, SinkWriter, WriterContext};
pub use hurtig_filesystem::{PendingFile, Stores};
use hurtig_types::{BoxError, Record};

pub use bucket::{
    BasePathBucketAssigner, BucketAssigner, BucketContext, DateTimeBucketAssigner, PatternError,
};
use committer::{Bases, FileCommitter};
pub use format::{
    BulkFormat, BulkWriter, BulkWriterFactory, Encoder, GzipWriterFactory, PartFormat, RowFormat,
    SimpleStringEncoder,
};
pub use names::OutputFileConfig;
pub use parts::Limits;
pub use policy::{
    CheckpointRollingPolicy, DefaultRollingPolicy, OnCheckpointRollingPolicy, PartFileInfo,
    RollingPolicy,
};
use writer::{FileWriter, Settings};

/// Why records cannot be written to files; failures of the file system name the file themselves.
#[derive(Debug, thiserror::Error)]
pub enum FileSinkError {
    /// A bucket is no directory below the base.
    #[error("{bucket:?} cannot be a bucket: {problem}")]
    Bucket {
        /// The bucket.
        bucket: String,
        /// Why not.
        problem: &'static str,
    },
    /// A record could not be encoded.
    #[error("cannot encode a record for {part} below {base}")]
    Encode {
        /// The base directory.
        base: String,
        /// The part file.
        part: String,
        /// Why not.
        source: BoxError,
    },
}

/// Writes records into part files. See the module documentation.
pub struct FileSink<T, F, A = DateTimeBucketAssigner, P = DefaultRollingPolicy> {
    base: String,
    format: Arc<F>,
    assigner: A,
    policy: Arc<P>,
    names: OutputFileConfig,
    check_interval: Duration,
    limits: Limits,
    stores: Arc<Stores>,
    types: PhantomData<fn(T)>,
}

impl<T, E: Encoder<T>> FileSink<T, RowFormat<E>> {
    /// Appends records one after the other. `base` is a path of the local disk or a URL.
    pub fn for_row_format(base: impl Into<String>, encoder: E) -> Self {
        let policy = DefaultRollingPolicy::default();
        FileSink::new(base.into(), RowFormat(Arc::new(encoder)), policy)
    }
}

impl<T, B> FileSink<T, BulkFormat<B, T>, DateTimeBucketAssigner, OnCheckpointRollingPolicy>
where
    B: BulkWriterFactory<T>,
{
    /// Writes each file with a writer of its own, up to the checkpoint.
    pub fn for_bulk_format(base: impl Into<String>, writers: B) -> Self {
        FileSink::new(base.into(), BulkFormat(writers, PhantomData), OnCheckpointRollingPolicy)
    }
}

impl<T, F, P> FileSink<T, F, DateTimeBucketAssigner, P> {
    fn new(base: String, format: F, policy: P) -> Self {
        Self {
            base,
            format: Arc::new(format),
            assigner: DateTimeBucketAssigner::default(),
            policy: Arc::new(policy),
            names: OutputFileConfig::default(),
            check_interval: Duration::from_secs(60),
            limits: Limits::default(),
            stores: Arc::default(),
            types: PhantomData,
        }
    }
}

impl<T, E, A, P> FileSink<T, RowFormat<E>, A, P> {
    /// When files end; [`DefaultRollingPolicy`] if not given.
    #[must_use]
    pub fn with_rolling_policy<Q: RollingPolicy<T>>(
        self,
        policy: Q,
    ) -> FileSink<T, RowFormat<E>, A, Q> {
        self.replace_policy(policy)
    }
}

impl<T, B, A, P> FileSink<T, BulkFormat<B, T>, A, P> {
    /// When files end; [`OnCheckpointRollingPolicy`] if not given.
    #[must_use]
    pub fn with_rolling_policy<Q: CheckpointRollingPolicy<T>>(
        self,
        policy: Q,
    ) -> FileSink<T, BulkFormat<B, T>, A, Q> {
        self.replace_policy(policy)
    }
}

impl<T, F, A, P> FileSink<T, F, A, P> {
    fn replace_policy<Q>(self, policy: Q) -> FileSink<T, F, A, Q> {
        let Self { base, format, assigner, names, check_interval, limits, stores, types, .. } =
            self;
        let policy = Arc::new(policy);
        FileSink { base, format, assigner, policy, names, check_interval, limits, stores, types }
    }

    /// Where records go; [`DateTimeBucketAssigner`] if not given.
    #[must_use]
    pub fn with_bucket_assigner<B: BucketAssigner<T>>(self, assigner: B) -> FileSink<T, F, B, P> {
        let Self { base, format, policy, names, check_interval, limits, stores, types, .. } = self;
        FileSink { base, format, assigner, policy, names, check_interval, limits, stores, types }
    }

    /// How files are called.
    #[must_use]
    pub fn with_output_file_config(mut self, names: OutputFileConfig) -> Self {
        self.names = names;
        self
    }

    /// How often files are looked at that may be too old; a minute if not given.
    #[must_use]
    pub fn with_bucket_check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    /// How many files and bytes a writer holds at most.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The object stores, with their options: for URLs whose store needs credentials.
    #[must_use]
    pub fn with_stores(mut self, stores: Arc<Stores>) -> Self {
        self.stores = stores;
        self
    }
}

impl<T, F, A, P> Sink for FileSink<T, F, A, P>
where
    T: Record,
    F: PartFormat<T>,
    A: BucketAssigner<T>,
    P: RollingPolicy<T>,
{
    type Input = T;
    type Committable = PendingFile;

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<T, PendingFile>>, BoxError> {
        let settings = Settings {
            base: self.base.clone(),
            format: self.format.clone(),
            policy: self.policy.clone(),
            names: self.names.clone(),
            check_interval_ms: self.check_interval.as_millis().clamp(1, i64::MAX as u128) as i64,
            limits: self.limits,
        };
        let bases = Bases::new(self.stores.clone(), &context);
        Ok(Box::new(FileWriter::new(settings, self.assigner.clone(), bases, &context)?))
    }

    fn create_committer(
        &self,
        context: &WriterContext,
    ) -> Result<Option<Box<dyn Committer<PendingFile>>>, BoxError> {
        Ok(Some(Box::new(FileCommitter::new(Bases::new(self.stores.clone(), context)))))
    }
}
