//! What is written is as long as its column says: `table.exec.sink.type-length-enforcer`.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, StringArray, cast::AsArray};
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::ChangelogBatch;
use hurtig_types::{FlowError, FlowResult};

use crate::{
    config::{LengthEnforcer, LengthRule},
    rows::make_rows,
    stateless::{Stateless, StatelessOperator},
};

impl OperatorFactory for LengthEnforcer {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(StatelessOperator::boxed(self.clone()))
    }
}

impl LengthRule {
    fn is_broken_by(&self, length: usize) -> bool {
        length > self.length || self.fixed && length < self.length
    }

    fn refuse(&self, length: usize, texts: bool) -> FlowError {
        let (type_name, what) = match (texts, self.fixed) {
            (true, true) => ("CHAR", "a string"),
            (true, false) => ("VARCHAR", "a string"),
            (false, true) => ("BINARY", "a byte array"),
            (false, false) => ("VARBINARY", "a byte array"),
        };
        FlowError::user(format!(
            "Column '{}' is {type_name}({}), however, {what} of length {length} is being written \
             into it. You can set job configuration 'table.exec.sink.type-length-enforcer' to \
             control this behaviour.",
            self.name, self.length
        ))
    }

    /// A column with values of the right length; `None`: all are already.
    fn enforce(&self, column: &ArrayRef, trims: bool) -> FlowResult<Option<ArrayRef>> {
        if let Some(texts) = column.as_string_opt::<i32>() {
            let broken = |text: &str| {
                // No character is longer than four bytes, and none is shorter than one.
                let may_be = text.len() > self.length || self.fixed;
                let length = if may_be { text.chars().count() } else { text.len() };
                (may_be && self.is_broken_by(length)).then_some(length)
            };
            let Some(first) = texts.iter().flatten().find_map(broken) else { return Ok(None) };
            if !trims {
                return Err(self.refuse(first, true));
            }
            let trimmed = texts.iter().map(|text| text.map(|text| self.text(text)));
            return Ok(Some(Arc::new(trimmed.collect::<StringArray>())));
        }
        let Some(bytes) = column.as_binary_opt::<i32>() else { return Ok(None) };
        let broken = |one: &&[u8]| self.is_broken_by(one.len());
        let Some(first) = bytes.iter().flatten().find(broken) else { return Ok(None) };
        if !trims {
            return Err(self.refuse(first.len(), false));
        }
        let trimmed = bytes.iter().map(|one| {
            one.map(|one| {
                let mut one = one[..one.len().min(self.length)].to_vec();
                if self.fixed {
                    one.resize(self.length, 0);
                }
                one
            })
        });
        Ok(Some(Arc::new(trimmed.collect::<BinaryArray>())))
    }

    fn text(&self, text: &str) -> String {
        let length = text.chars().count();
        let mut text: String = text.chars().take(self.length).collect();
        if self.fixed {
            text.extend(std::iter::repeat_n(' ', self.length.saturating_sub(length)));
        }
        text
    }
}

impl Stateless for LengthEnforcer {
    fn apply(&self, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        let mut columns = batch.rows.columns().to_vec();
        let mut changed = false;
        for rule in &self.rules {
            let Some(column) = columns.get_mut(rule.column) else {
                return Err(FlowError::internal("a length of a column that is not there"));
            };
            if let Some(enforced) = rule.enforce(column, self.trims)? {
                debug_assert_eq!(enforced.len(), column.len(), "values keep their rows");
                (*column, changed) = (enforced, true);
            }
        }
        if !changed {
            return out.emit(batch.boxed());
        }
        let rows = make_rows(&batch.rows.schema(), columns, batch.rows.num_rows())?;
        out.emit(ChangelogBatch { rows, kinds: batch.kinds }.boxed())
    }
}
