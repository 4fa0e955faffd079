//! Prints records, one line each, as Flink's `print`.
//!
//! A line begins with `identifier:subtask> `, where the subtask counts from 1 and appears only if
//! there is more than one, and the identifier only if there is one. The lines of a batch are
//! written at once, so those of parallel writers do not mix within a batch.
//!
//! Printing is immediate: after a failure, lines may appear again.

use std::{
    fmt::{self, Write as _},
    io::{self, Write},
    sync::Arc,
};

use hurtig_connector_api::{Sink, SinkWriter, WriterContext};
use hurtig_types::{Batch, BoxError, Record};

type Format<T> = Arc<dyn Fn(&T, &mut String) + Send + Sync>;

#[derive(Clone, Copy, Debug)]
enum Target {
    Stdout,
    Stderr,
}

/// Prints records.
pub struct PrintSink<T> {
    format: Format<T>,
    identifier: String,
    target: Target,
}

impl<T: Record> PrintSink<T> {
    /// Prints what `format` appends to the buffer, to standard output.
    pub fn new(format: impl Fn(&T, &mut String) + Send + Sync + 'static) -> Self {
        Self { format: Arc::new(format), identifier: String::new(), target: Target::Stdout }
    }

    /// Prints values as they are displayed, to standard output.
    pub fn display() -> Self
    where
        T: fmt::Display,
    {
        Self::new(|value, out| append(out, format_args!("{value}")))
    }

    /// Prints values in their debug form, to standard output.
    pub fn debug() -> Self
    where
        T: fmt::Debug,
    {
        Self::new(|value, out| append(out, format_args!("{value:?}")))
    }

    /// Prints to standard error instead.
    #[must_use]
    pub fn stderr(mut self) -> Self {
        self.target = Target::Stderr;
        self
    }

    /// Begins each line with this.
    #[must_use]
    pub fn identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = identifier.into();
        self
    }
}

fn append(out: &mut String, text: fmt::Arguments<'_>) {
    // A string takes everything; a `Display` that fails leaves what it has written.
    let _ = out.write_fmt(text);
}

fn prefix(identifier: &str, subtask: u32, parallelism: u32) -> String {
    match (identifier.is_empty(), parallelism > 1) {
        (true, true) => format!("{}> ", subtask + 1),
        (true, false) => String::new(),
        (false, true) => format!("{identifier}:{}> ", subtask + 1),
        (false, false) => format!("{identifier}> "),
    }
}

impl<T: Record> Sink for PrintSink<T> {
    type Input = T;
    type Committable = ();

    fn create_writer(
        &self,
        context: WriterContext,
    ) -> Result<Box<dyn SinkWriter<T, ()>>, BoxError> {
        Ok(Box::new(PrintWriter {
            format: self.format.clone(),
            prefix: prefix(&self.identifier, context.subtask, context.parallelism),
            target: self.target,
            buffer: String::new(),
        }))
    }
}

struct PrintWriter<T> {
    format: Format<T>,
    prefix: String,
    target: Target,
    buffer: String,
}

impl<T> PrintWriter<T> {
    fn render(&mut self, values: &[T]) {
        for value in values {
            self.buffer.push_str(&self.prefix);
            (self.format)(value, &mut self.buffer);
            self.buffer.push('\n');
        }
    }

    fn print(&mut self) -> io::Result<()> {
        let result = match self.target {
            Target::Stdout => write_all(io::stdout().lock(), self.buffer.as_bytes()),
            Target::Stderr => write_all(io::stderr().lock(), self.buffer.as_bytes()),
        };
        self.buffer.clear();
        result
    }
}

fn write_all(mut target: impl Write, bytes: &[u8]) -> io::Result<()> {
    target.write_all(bytes)?;
    target.flush()
}

impl<T: Record> SinkWriter<T, ()> for PrintWriter<T> {
    fn write(&mut self, batch: Batch<T>) -> Result<(), BoxError> {
        self.render(&batch.values);
        Ok(self.print()?)
    }

    fn flush(&mut self, _: bool) -> Result<(), BoxError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_with_identifier_and_subtask_as_in_flink() {
        assert_eq!(prefix("", 0, 1), "");
        assert_eq!(prefix("", 0, 2), "1> ");
        assert_eq!(prefix("audit", 1, 2), "audit:2> ");
        assert_eq!(prefix("audit", 0, 1), "audit> ");
    }

    #[test]
    fn every_record_is_a_line() {
        let mut writer = PrintWriter {
            format: PrintSink::<Option<u8>>::debug().format,
            prefix: prefix("", 3, 4),
            target: Target::Stderr,
            buffer: String::new(),
        };
        writer.render(&[Some(7), None]);
        assert_eq!(writer.buffer, "4> Some(7)\n4> None\n");
    }
}
