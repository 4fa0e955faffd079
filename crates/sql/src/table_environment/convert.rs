//! From tables to streams.

use std::sync::Arc;

use hurtig::{
    DataStream,
    raw::{RawOperator, RawStream},
};
use hurtig_sql_parser::ast::SqlQuery;
use hurtig_sql_planner::types::{TimeAttribute, time_attribute};
use hurtig_types::{Record, schema::Schema as TypeSchema};

use super::{StreamTableEnvironment, Table};
use crate::{
    SqlError,
    bridge::{
        ChangelogRow,
        sink::{Changes, Making, Rows, TableToStream},
    },
    values::columns_of,
};

impl StreamTableEnvironment {
    /// The rows of a table as a stream of the program: structs by the names of its columns, tuples by
    /// their position. The table must only grow.
    ///
    /// # Errors
    /// If it changes otherwise, or records of that type have other columns.
    pub fn to_data_stream<T: Record>(&mut self, table: &Table) -> Result<DataStream<T>, SqlError> {
        let stream = self.converted::<T, T, Rows>(table, Rows, true)?;
        Ok(self.env.stream_of_raw(stream))
    }

    /// The changes of a table as a stream of the program.
    ///
    /// # Errors
    /// If records of that type have other columns.
    pub fn to_changelog_stream<T: Record>(
        &mut self,
        table: &Table,
    ) -> Result<DataStream<ChangelogRow<T>>, SqlError> {
        let stream = self.converted::<ChangelogRow<T>, T, Changes>(table, Changes, false)?;
        Ok(self.env.stream_of_raw(stream))
    }

    fn converted<R: Record, T: Record, M: Making<R, T>>(
        &mut self,
        table: &Table,
        making: M,
        grows_only: bool,
    ) -> Result<RawStream, SqlError> {
        let names: Vec<String> = table.columns().iter().map(|(name, _)| name.clone()).collect();
        check_columns::<T>(&names)?;
        let query: &SqlQuery = &table.view().query;
        let planned =
            self.session.translate_into(&self.env, query, &table.view().current, &mut self.uids)?;
        if grows_only && !planned.mode.is_insert_only() {
            let text = format!(
                "a stream of inserts does not support consuming update and delete changes, which this \
                 query gives ({}): use to_changelog_stream",
                planned.mode
            );
            return Err(SqlError::invalid(text, None));
        }
        let translated = planned.translated;
        let mut times = translated.schema.fields().iter().enumerate().filter_map(|(at, field)| {
            (time_attribute(field) == Some(TimeAttribute::Rowtime)).then_some(at)
        });
        let rowtime = times.next();
        if let (Some(first), Some(second)) = (rowtime, times.next()) {
            let text = format!(
                "the query has two rowtime attributes, '{}' and '{}', and a record has one timestamp: \
                 cast all but one to TIMESTAMP",
                names[first], names[second]
            );
            return Err(SqlError::invalid(text, None));
        }
        let factory = TableToStream::<R, T, M>::new(names, rowtime, making);
        let mut operator = RawOperator::new("TableToDataStream", Arc::new(factory));
        operator.parallelism = translated.parallelism;
        Ok(self.env.add_raw(operator, vec![translated.input]))
    }
}

/// Records must be found in the rows before anything runs.
fn check_columns<T: Record>(names: &[String]) -> Result<(), SqlError> {
    let wrong = |text: String| SqlError::invalid(text, None);
    let fields = match hurtig_types::schema::schema_of::<T>() {
        // Only its own code knows what it reads.
        TypeSchema::Opaque(_) | TypeSchema::Map(..) => return Ok(()),
        _ => columns_of::<T>().map_err(|error| wrong(error.to_string()))?,
    };
    let of_type = std::any::type_name::<T>();
    let by_position = fields.iter().enumerate().all(|(at, (name, _))| *name == format!("f{at}"));
    if by_position {
        if fields.len() == names.len() {
            return Ok(());
        }
        let (columns, found) = (names.len(), fields.len());
        return Err(wrong(format!(
            "the query has {columns} columns, and {of_type} has {found} fields"
        )));
    }
    match fields.iter().find(|(name, data_type)| !data_type.nullable && !names.contains(name)) {
        None => Ok(()),
        Some((name, _)) => Err(wrong(format!(
            "the query has no column '{name}', which is a field of {of_type}: it has {}",
            names.join(", ")
        ))),
    }
}
