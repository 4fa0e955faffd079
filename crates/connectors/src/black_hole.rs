//! A sink that forgets, for measurements and for jobs that are run for their side effects.

use std::{fmt, marker::PhantomData};

use hurtig_connector_api::{Sink, SinkWriter, WriterContext};
use hurtig_types::{Batch, BoxError, Record};

/// Takes everything and does nothing.
pub struct BlackHoleSink<T>(PhantomData<fn(T)>);

impl<T> BlackHoleSink<T> {
    /// A sink that forgets.
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for BlackHoleSink<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for BlackHoleSink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlackHoleSink")
    }
}

impl<T: Record> Sink for BlackHoleSink<T> {
    type Input = T;
    type Committable = ();

    fn create_writer(&self, _: WriterContext) -> Result<Box<dyn SinkWriter<T, ()>>, BoxError> {
        Ok(Box::new(BlackHole))
    }
}

struct BlackHole;

impl<T> SinkWriter<T, ()> for BlackHole {
    fn write(&mut self, _: Batch<T>) -> Result<(), BoxError> {
        Ok(())
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(())
    }
}
