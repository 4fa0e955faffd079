//! Table functions.

use std::{fmt, sync::Arc};

use arrow_array::ArrayRef;
use arrow_schema::{Schema, SchemaRef};
use hurtig_sql_common::{EvalError, columns::field};
use hurtig_sql_functions::api::{CallArgument, CallError};
use hurtig_sql_parser::types::SqlDataType;
use hurtig_sql_planner::functions::{ResolvedTableFunction, SqlTableFunction};
use hurtig_sql_runtime::config::TableFunction;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    arguments::{ArgumentColumn, Arguments, Function},
    casts, value_error,
};
use crate::values::{ColumnReader, RowValueError, RowWriter, columns_of};

/// Most rows that one batch may become.
const MOST_ROWS: usize = 1 << 24;

/// The rows that each row of arguments makes: whose they are, and the columns.
type Made = Result<(Vec<u32>, Vec<ArrayRef>), EvalError>;
type Run = dyn Fn(&str, &[ArrayRef], usize) -> Made + Send + Sync;

#[derive(Clone)]
pub(super) struct TableDefinition {
    parameters: Vec<SqlDataType>,
    columns: Vec<(String, SqlDataType)>,
    run: Arc<Run>,
}

impl TableDefinition {
    pub(super) fn new<A, I>(f: impl Function<A, I>) -> Result<Self, RowValueError>
    where
        A: Arguments,
        I: IntoIterator,
        I::Item: Serialize + DeserializeOwned + 'static,
    {
        let parameters = A::types()?;
        let columns = columns_of::<I::Item>()?;
        let fields = columns.iter().map(|(name, data_type)| field(name, data_type));
        let fields = fields.collect::<Result<Vec<_>, _>>();
        let schema = Schema::new(fields.map_err(|error| RowValueError(error.to_string()))?);
        let shape = Shape {
            schema: Arc::new(schema),
            fields: columns.iter().enumerate().map(|(at, (name, _))| (at, name.clone())).collect(),
            nullable: parameters.iter().map(|one| one.nullable).collect(),
        };
        let run = move |name: &str, arguments: &[ArrayRef], rows: usize| {
            by_row(name, arguments, rows, &shape, &f)
        };
        Ok(Self { parameters, columns, run: Arc::new(run) })
    }

    pub(super) fn named(&self, name: &str) -> NamedTable {
        NamedTable { name: name.into(), definition: self.clone() }
    }
}

/// What rows are made into, and which arguments may be NULL.
struct Shape {
    schema: SchemaRef,
    fields: Vec<(usize, String)>,
    nullable: Vec<bool>,
}

fn by_row<A, I>(
    name: &str,
    arguments: &[ArrayRef],
    rows: usize,
    shape: &Shape,
    f: &impl Function<A, I>,
) -> Made
where
    A: Arguments,
    I: IntoIterator,
    I::Item: Serialize + DeserializeOwned + 'static,
{
    let wrong = |error: RowValueError| value_error(name, &error);
    if arguments.len() != shape.nullable.len() {
        return Err(EvalError::Internal(format!("{name} has another number of arguments")));
    }
    let columns = arguments.iter().zip(&shape.nullable).map(|(values, nullable)| {
        Ok(ArgumentColumn::new(ColumnReader::of(values)?, false, *nullable))
    });
    let columns = columns.collect::<Result<Vec<_>, RowValueError>>().map_err(wrong)?;
    let mut origins = Vec::new();
    let mut writer = RowWriter::new(shape.schema.clone(), &shape.fields).map_err(wrong)?;
    for row in 0..rows {
        if columns.iter().any(|column| column.forbids(row)) {
            continue;
        }
        let origin = u32::try_from(row).map_err(|error| EvalError::Internal(error.to_string()))?;
        for made in f.call(A::read(&columns, row).map_err(wrong)?) {
            if origins.len() == MOST_ROWS {
                let text = format!("{name} makes more than {MOST_ROWS} rows of one batch");
                return Err(EvalError::Value(text));
            }
            writer.write(&made).map_err(wrong)?;
            origins.push(origin);
        }
    }
    Ok((origins, writer.finish().map_err(wrong)?.columns().to_vec()))
}

pub(super) struct NamedTable {
    name: Arc<str>,
    definition: TableDefinition,
}

impl SqlTableFunction for NamedTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn resolve(&self, arguments: &[CallArgument]) -> Result<ResolvedTableFunction, CallError> {
        let TableDefinition { parameters, columns, run } = &self.definition;
        Ok(ResolvedTableFunction {
            arguments: casts(&self.name, arguments, parameters)?,
            columns: columns.clone(),
            function: Arc::new(UserTable { name: self.name.clone(), run: run.clone() }),
        })
    }
}

struct UserTable {
    name: Arc<str>,
    run: Arc<Run>,
}

impl fmt::Debug for UserTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserTable({})", self.name)
    }
}

impl TableFunction for UserTable {
    fn evaluate(&self, arguments: &[ArrayRef], rows: usize) -> Made {
        (self.run)(&self.name, arguments, rows)
    }
}
