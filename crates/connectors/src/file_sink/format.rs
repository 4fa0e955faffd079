//! How records become bytes of part files.
//!
//! - *Row formats* ([`Encoder`]) append one record after the other. A file may go on behind a
//!   checkpoint and be resumed there.
//! - *Bulk formats* ([`BulkWriter`]) have a writer per file, which may hold records back and ends
//!   the file in its own way. Its files end at every checkpoint.

use std::{fmt::Display, io::Write, marker::PhantomData, sync::Arc};

use flate2::{Compression, write::GzEncoder};
use hurtig_types::BoxError;

/// Appends records to a file, each for itself.
pub trait Encoder<T>: Send + Sync + 'static {
    /// Appends the bytes of one record.
    fn encode(&self, element: &T, out: &mut Vec<u8>) -> Result<(), BoxError>;
}

impl<T, F> Encoder<T> for F
where
    F: Fn(&T, &mut Vec<u8>) + Send + Sync + 'static,
{
    fn encode(&self, element: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        self(element, out);
        Ok(())
    }
}

/// One line per record, of what it displays as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SimpleStringEncoder;

impl<T: Display> Encoder<T> for SimpleStringEncoder {
    fn encode(&self, element: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(writeln!(out, "{element}")?)
    }
}

/// Writes one part file of a bulk format.
pub trait BulkWriter<T>: Send {
    /// Adds a record; appends the bytes that are ready.
    fn add_element(&mut self, element: &T, out: &mut Vec<u8>) -> Result<(), BoxError>;
    /// Ends the file: appends all that is left. Nothing will be added.
    fn finish(self, out: &mut Vec<u8>) -> Result<(), BoxError>;
}

/// Makes the writer of each part file.
pub trait BulkWriterFactory<T>: Send + Sync + 'static {
    /// Its writers.
    type Writer: BulkWriter<T>;
    /// The writer of a new file; appends what the file begins with.
    fn create(&self, out: &mut Vec<u8>) -> Result<Self::Writer, BoxError>;
}

/// A bulk format: the bytes of an encoder, compressed with gzip.
pub struct GzipWriterFactory<E> {
    encoder: Arc<E>,
    level: Compression,
}

impl<E> GzipWriterFactory<E> {
    /// Compresses what `encoder` appends.
    pub fn new(encoder: E) -> Self {
        Self { encoder: Arc::new(encoder), level: Compression::default() }
    }

    /// How hard it tries, from 0 to 9.
    #[must_use]
    pub fn with_level(mut self, level: u32) -> Self {
        self.level = Compression::new(level.min(9));
        self
    }
}

/// Writes one compressed file.
pub struct GzipWriter<E> {
    encoder: Arc<E>,
    gzip: GzEncoder<Vec<u8>>,
    record: Vec<u8>,
}

impl<T, E: Encoder<T>> BulkWriterFactory<T> for GzipWriterFactory<E> {
    type Writer = GzipWriter<E>;

    fn create(&self, _: &mut Vec<u8>) -> Result<GzipWriter<E>, BoxError> {
        let gzip = GzEncoder::new(Vec::new(), self.level);
        Ok(GzipWriter { encoder: self.encoder.clone(), gzip, record: Vec::new() })
    }
}

impl<T, E: Encoder<T>> BulkWriter<T> for GzipWriter<E> {
    fn add_element(&mut self, element: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        self.record.clear();
        self.encoder.encode(element, &mut self.record)?;
        self.gzip.write_all(&self.record)?;
        out.append(self.gzip.get_mut());
        Ok(())
    }

    fn finish(self, out: &mut Vec<u8>) -> Result<(), BoxError> {
        out.append(&mut self.gzip.finish()?);
        Ok(())
    }
}

/// A row or bulk format, as the writer of the sink sees it.
pub trait PartFormat<T>: Send + Sync + 'static {
    /// Whether a file may go on behind a checkpoint.
    const RESUMABLE: bool;
    /// What encodes one file.
    type Part: Send;
    /// Begins or resumes a file.
    fn begin(&self, out: &mut Vec<u8>) -> Result<Self::Part, BoxError>;
    /// Appends a record.
    fn add(part: &mut Self::Part, element: &T, out: &mut Vec<u8>) -> Result<(), BoxError>;
    /// Ends a file.
    fn finish(part: Self::Part, out: &mut Vec<u8>) -> Result<(), BoxError>;
}

/// The format of an [`Encoder`].
pub struct RowFormat<E>(pub(crate) Arc<E>);

impl<T, E: Encoder<T>> PartFormat<T> for RowFormat<E> {
    const RESUMABLE: bool = true;
    type Part = Arc<E>;

    fn begin(&self, _: &mut Vec<u8>) -> Result<Arc<E>, BoxError> {
        Ok(self.0.clone())
    }

    #[inline]
    fn add(part: &mut Arc<E>, element: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        part.encode(element, out)
    }

    fn finish(_: Arc<E>, _: &mut Vec<u8>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// The format of a [`BulkWriterFactory`].
pub struct BulkFormat<B, T>(pub(crate) B, pub(crate) PhantomData<fn(T)>);

impl<T: 'static, B: BulkWriterFactory<T>> PartFormat<T> for BulkFormat<B, T> {
    const RESUMABLE: bool = false;
    type Part = B::Writer;

    fn begin(&self, out: &mut Vec<u8>) -> Result<B::Writer, BoxError> {
        self.0.create(out)
    }

    #[inline]
    fn add(part: &mut B::Writer, element: &T, out: &mut Vec<u8>) -> Result<(), BoxError> {
        part.add_element(element, out)
    }

    fn finish(part: B::Writer, out: &mut Vec<u8>) -> Result<(), BoxError> {
        part.finish(out)
    }
}
