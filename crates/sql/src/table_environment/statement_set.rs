//! INSERTs that run together.

use hurtig_sql_parser::{
    SqlParser,
    ast::{InsertStatement, SqlQuery, StatementKind},
};

use super::{StreamTableEnvironment, Table, object_name};
use crate::{SqlError, StatementResult};

/// INSERTs that are planned as one, so that they share what they read: Flink's `StreamStatementSet`.
pub struct StreamStatementSet<'a> {
    tables: &'a mut StreamTableEnvironment,
    inserts: Vec<InsertStatement>,
}

impl<'a> StreamStatementSet<'a> {
    pub(super) fn new(tables: &'a mut StreamTableEnvironment) -> Self {
        Self { tables, inserts: Vec::new() }
    }

    /// Adds an INSERT.
    ///
    /// # Errors
    /// If the statement is another.
    pub fn add_insert_sql(mut self, statement: &str) -> Result<Self, SqlError> {
        let parsed = SqlParser::default().statement(statement)?;
        match parsed.kind {
            StatementKind::Insert(insert) => self.inserts.push(*insert),
            _ => return Err(SqlError::invalid("only INSERT can be added", Some(parsed.span))),
        }
        Ok(self)
    }

    /// Adds the INSERT of a table's rows into another table.
    ///
    /// # Errors
    /// If the name is none.
    pub fn add_insert(mut self, path: &str, table: &Table) -> Result<Self, SqlError> {
        let query: SqlQuery = table.view().query.clone();
        let name = object_name(path)?;
        let span = name.span();
        self.inserts.push(InsertStatement {
            upsert: false,
            overwrite: false,
            table: name,
            hints: Vec::new(),
            partition: None,
            columns: Vec::new(),
            query: Box::new(query),
            on_conflict: None,
            span,
        });
        Ok(self)
    }

    /// Makes the INSERTs a part of the program, which `execute` of its environment runs.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub fn attach_as_data_stream(self) -> Result<(), SqlError> {
        let Self { tables, inserts } = self;
        tables.session.insert_into(&tables.env, &inserts, &mut tables.uids)
    }

    /// Runs them as a job of its own.
    ///
    /// # Errors
    /// If one of them is wrong, or the job cannot be started.
    pub fn execute(self) -> Result<StatementResult, SqlError> {
        self.tables.session.run_inserts(&self.inserts)
    }
}
