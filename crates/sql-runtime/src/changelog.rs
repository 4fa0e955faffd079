//! Changes as rows, and rows as changes: TO_CHANGELOG and FROM_CHANGELOG.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, StringArray, cast::AsArray};
use hurtig_operator_api::{Operator, OperatorContext, OperatorFactory, Output};
use hurtig_sql_common::{ChangelogBatch, RowKind};
use hurtig_types::{FlowError, FlowResult};

use crate::{
    config::{FromChangelog, ToChangelog},
    rows::make_rows,
    stateless::{Stateless, StatelessOperator, filter},
};

impl OperatorFactory for ToChangelog {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(StatelessOperator::boxed(self.clone()))
    }
}

impl OperatorFactory for FromChangelog {
    fn create(&self, _: &OperatorContext) -> FlowResult<Box<dyn Operator>> {
        Ok(StatelessOperator::boxed(self.clone()))
    }
}

impl Stateless for ToChangelog {
    fn apply(&self, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        let code = |row: usize| self.codes[batch.kind(row) as usize].as_deref();
        let rows = batch.rows.num_rows();
        let mask: BooleanArray = (0..rows).map(|row| Some(code(row).is_some())).collect();
        let codes: StringArray = (0..rows).filter_map(code).map(Some).collect();
        let rows = filter(batch, &mask)?.rows;
        let codes: ArrayRef = Arc::new(codes);
        let columns = [codes].into_iter().chain(rows.columns().iter().cloned()).collect();
        let rows = make_rows(&self.schema, columns, rows.num_rows())?;
        out.emit(ChangelogBatch::inserts(rows).boxed())
    }
}

impl FromChangelog {
    fn kind(&self, code: Option<&str>) -> FlowResult<Option<RowKind>> {
        let found = self.kinds.iter().find(|(known, _)| Some(known.as_str()) == code);
        match (found, self.skips_unknown) {
            (Some((_, kind)), _) => Ok(Some(*kind)),
            (None, true) => Ok(None),
            (None, false) => {
                let known: Vec<&str> = self.kinds.iter().map(|(code, _)| code.as_str()).collect();
                Err(FlowError::user(format!(
                    "FROM_CHANGELOG received the invalid op code '{}'. Defined op codes are: [{}]",
                    code.unwrap_or("NULL"),
                    known.join(", ")
                )))
            }
        }
    }
}

impl Stateless for FromChangelog {
    fn apply(&self, batch: ChangelogBatch, out: &mut dyn Output) -> FlowResult {
        let codes = batch.rows.column(self.op).as_string_opt::<i32>();
        let codes = codes.ok_or_else(|| FlowError::internal("an op column is no STRING"))?;
        let kinds = codes.iter().map(|code| self.kind(code)).collect::<FlowResult<Vec<_>>>()?;
        let mask: BooleanArray = kinds
            .iter()
            .map(|kind| {
                let dropped = self.drops_update_before && *kind == Some(RowKind::UpdateBefore);
                Some(kind.is_some() && !dropped)
            })
            .collect();
        let given = kinds.iter().zip(mask.values()).filter(|(_, kept)| *kept);
        let given: Vec<RowKind> = given.filter_map(|(kind, _)| *kind).collect();
        let rows = filter(batch.clone(), &mask)?.rows;
        let columns = rows.columns().iter().enumerate().filter(|(column, _)| *column != self.op);
        let columns = columns.map(|(_, column)| column.clone()).collect();
        let rows = make_rows(&self.schema, columns, given.len())?;
        out.emit(ChangelogBatch::new(rows, given).boxed())
    }
}
