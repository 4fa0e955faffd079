//! The connector `print`: one line a row, `+I[a, b]`, to standard output or standard error.
//!
//! As Flink's: `identifier:subtask> ` stands before a line, the subtask (from 1) only if there are
//! several, the identifier only if there is one. The lines of a batch are written at once. Printing is
//! immediate: after a failure, lines may appear again.

use std::{
    io::{self, Write as _},
    sync::Arc,
};

use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, ChangelogMode};
use hurtig_sql_formats::{TableFormatError, text::TextWriter};
use hurtig_types::{BoxedPayload, FlowError, FlowResult};

use super::{
    api::{TableError, TableFactory, TableSink, TableSource, TableSpec, Write},
    options::TableOptions,
};

/// The factory.
#[derive(Clone, Copy, Debug, Default)]
pub struct PrintFactory;

impl TableFactory for PrintFactory {
    fn identifier(&self) -> &'static str {
        "print"
    }

    fn required_options(&self) -> &'static [&'static str] {
        &[]
    }

    fn optional_options(&self) -> &'static [&'static str] {
        &["print-identifier", "standard-error", "sink.parallelism"]
    }

    fn source(&self, _: &TableSpec) -> Result<Option<Arc<dyn TableSource>>, TableError> {
        Ok(None)
    }

    fn sink(&self, table: &TableSpec) -> Result<Option<Arc<dyn TableSink>>, TableError> {
        let options = TableOptions(&table.options);
        Ok(Some(Arc::new(PrintSink {
            identifier: options.text("print-identifier").unwrap_or_default().to_owned(),
            to_stderr: options.flag("standard-error")?.unwrap_or(false),
            parallelism: options.parallelism("sink.parallelism")?,
        })))
    }
}

#[derive(Clone)]
struct PrintSink {
    identifier: String,
    to_stderr: bool,
    parallelism: Option<u32>,
}

impl TableSink for PrintSink {
    fn changelog_mode(&self, offered: ChangelogMode) -> ChangelogMode {
        offered
    }

    fn can_overwrite(&self) -> bool {
        true
    }

    fn parallelism(&self) -> Option<u32> {
        self.parallelism
    }

    fn factory(&self, write: Write) -> Result<Arc<dyn OperatorFactory>, TableError> {
        Ok(Arc::new(PrintOperators { sink: self.clone(), write }))
    }
}

struct PrintOperators {
    sink: PrintSink,
    write: Write,
}

impl OperatorFactory for PrintOperators {
    fn create(&self, context: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        let identifier = &self.sink.identifier;
        let prefix = match (identifier.is_empty(), context.parallelism > 1) {
            (true, false) => String::new(),
            (false, false) => format!("{identifier}> "),
            (true, true) => format!("{}> ", context.subtask + 1),
            (false, true) => format!("{identifier}:{}> ", context.subtask + 1),
        };
        Ok(Box::new(PrintOperator {
            prefix,
            sink: self.sink.clone(),
            write: self.write.clone(),
            lines: Vec::new(),
        }))
    }
}

struct PrintOperator {
    prefix: String,
    sink: PrintSink,
    write: Write,
    lines: Vec<u8>,
}

impl PrintOperator {
    fn format(&mut self, batch: &ChangelogBatch) -> Result<(), TableFormatError> {
        self.lines.clear();
        let fields = self.write.schema.fields().iter();
        let writers = batch.rows.columns().iter().zip(fields);
        let writers = writers
            .map(|(array, field)| TextWriter::of_objects(array.as_ref(), field))
            .collect::<Result<Vec<_>, _>>()?;
        let out = &mut self.lines;
        for row in 0..batch.rows.num_rows() {
            out.extend_from_slice(self.prefix.as_bytes());
            out.extend_from_slice(batch.kind(row).short().as_bytes());
            out.push(b'[');
            for (nth, writer) in writers.iter().enumerate() {
                if nth > 0 {
                    out.extend_from_slice(b", ");
                }
                writer.write(row, out);
            }
            out.extend_from_slice(b"]\n");
        }
        Ok(())
    }
}

impl Operator for PrintOperator {
    fn process(&mut self, _: usize, batch: BoxedPayload, _: &mut dyn Output) -> FlowResult {
        let batch = ChangelogBatch::from_payload(batch)?;
        self.format(&batch).map_err(FlowError::external)?;
        let written = if self.sink.to_stderr {
            io::stderr().lock().write_all(&self.lines)
        } else {
            let mut out = io::stdout().lock();
            out.write_all(&self.lines).and_then(|()| out.flush())
        };
        written.map_err(FlowError::external)
    }
}
