//! Prints records.

use std::{io::Write, marker::PhantomData, sync::Arc};

use hurtig_connector_api::{Sink, SinkWriter, WriterContext};
use hurtig_types::{Batch, BoxError, Record};

type Format<T> = Arc<dyn Fn(&T, &mut String) + Send + Sync>;

/// Prints each record as a line on standard output.
pub struct PrintSink<T> {
    format: Format<T>,
    types: PhantomData<fn(T)>,
}

impl<T> PrintSink<T> {
    /// Formats by a function.
    pub fn new(format: impl Fn(&T, &mut String) + Send + Sync + 'static) -> Self {
        Self { format: Arc::new(format), types: PhantomData }
    }
}

impl<T: Record> Sink for PrintSink<T> {
    type Input = T;
    type Committable = ();

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<T, ()>>, BoxError> {
        let prefix = match context.parallelism {
            1 => String::new(),
            _ => format!("{}> ", context.subtask + 1),
        };
        Ok(Box::new(Writer { format: self.format.clone(), prefix }))
    }
}

struct Writer<T> {
    format: Format<T>,
    prefix: String,
}

impl<T: Record> SinkWriter<T, ()> for Writer<T> {
    fn write(&mut self, batch: Batch<T>) -> Result<(), BoxError> {
        let mut text = String::new();
        for value in &batch.values {
            text.push_str(&self.prefix);
            (self.format)(value, &mut text);
            text.push('\n');
        }
        Ok(std::io::stdout().lock().write_all(text.as_bytes())?)
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(std::io::stdout().lock().flush()?)
    }
}
