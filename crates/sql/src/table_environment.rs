//! Tables and streams in one program: Flink's `StreamTableEnvironment`.

mod convert;
mod statement_set;
mod table;

use std::{collections::HashMap, sync::Arc};

use hurtig::{DataStream, StreamExecutionEnvironment};
use hurtig_sql_common::ChangelogMode;
use hurtig_sql_parser::{SqlParser, ast::ObjectName};
use hurtig_sql_planner::catalog::FunctionDefinition;
use hurtig_types::Record;

pub use statement_set::StreamStatementSet;
pub use table::{Table, ViewSource};

use crate::{
    Schema, Session, SqlError, StatementResult,
    bridge::{ChangelogRow, source::StreamTables},
    functions::UserFunction,
};

/// Tables beside the streams of a program.
///
/// - [`execute_sql`](Self::execute_sql) runs a statement: a query or an INSERT is a job of its own, of
///   which streams of the program are a part if its tables are made of them.
/// - [`to_data_stream`](Self::to_data_stream) and [`to_changelog_stream`](Self::to_changelog_stream)
///   make a query a part of the program, which `execute` of its environment runs.
///
/// ```
/// use hurtig::prelude::*;
/// use hurtig_sql::StreamTableEnvironment;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Order {
///     item: String,
///     price: f64,
/// }
///
/// let env = StreamExecutionEnvironment::new();
/// let mut tables = StreamTableEnvironment::create(&env);
/// let orders = env.from_collection(vec![
///     Order { item: "tea".to_owned(), price: 4.0 },
///     Order { item: "ink".to_owned(), price: 9.5 },
/// ]);
/// tables.create_temporary_view("orders", &orders)?;
/// let dear = tables.sql_query("SELECT item FROM orders WHERE price > 5")?;
/// let items: DataStream<String> = tables.to_data_stream(&dear)?;
/// assert_eq!(items.execute_and_collect("dear")?, ["ink"]);
/// # Ok(())
/// # }
/// ```
pub struct StreamTableEnvironment {
    pub(crate) session: Session,
    env: StreamExecutionEnvironment,
    streams: StreamTables,
    /// Names of operators that are given in the program.
    uids: HashMap<String, u32>,
    /// Tables without a name of the user's.
    unnamed: u32,
}

impl StreamTableEnvironment {
    /// Tables beside the streams of that environment.
    #[must_use]
    pub fn create(env: &StreamExecutionEnvironment) -> Self {
        let streams = StreamTables::default();
        let mut session = Session::new();
        session.attach(env.clone(), Arc::new(streams.clone()));
        Self { session, env: env.clone(), streams, uids: HashMap::new(), unnamed: 0 }
    }

    /// The session: catalogs, settings, jobs.
    #[must_use]
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Sets a key, as SET does.
    ///
    /// # Errors
    /// If the key is unknown, or the value is wrong for it.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), SqlError> {
        self.session.set(key, value)
    }

    /// Runs a single statement.
    ///
    /// # Errors
    /// If it is wrong or cannot be run.
    pub fn execute_sql(&mut self, statement: &str) -> Result<StatementResult, SqlError> {
        self.session.execute_one(statement)
    }

    /// The table of a query.
    ///
    /// # Errors
    /// If the query is wrong.
    pub fn sql_query(&mut self, query: &str) -> Result<Table, SqlError> {
        let query = SqlParser::default().query(query)?;
        Table::of_query(&self.session, query)
    }

    /// The table or view of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn from(&mut self, path: &str) -> Result<Table, SqlError> {
        self.sql_query(&format!("SELECT * FROM {path}"))
    }

    /// Makes a table or a stream a view under that name.
    ///
    /// # Errors
    /// If the name is taken, or records of the stream are no rows.
    pub fn create_temporary_view(
        &mut self,
        path: &str,
        source: &impl ViewSource,
    ) -> Result<(), SqlError> {
        source.create_view(self, path)
    }

    /// Makes a stream a view under that name, with a schema.
    ///
    /// # Errors
    /// If the name is taken, the schema is wrong, or records of the stream are no rows.
    pub fn create_temporary_view_with<T: Record>(
        &mut self,
        path: &str,
        stream: &DataStream<T>,
        schema: &Schema,
    ) -> Result<(), SqlError> {
        let name = self.unnamed();
        let ddl = self.streams.add_inserts(stream, schema, &name)?;
        self.execute_sql(&ddl)?;
        let table = self.from(&crate::bridge::quoted(&name))?;
        table.create_view(self, path)
    }

    /// Drops a view; false if there is none.
    ///
    /// # Errors
    /// If it is of the catalog.
    pub fn drop_temporary_view(&mut self, path: &str) -> Result<bool, SqlError> {
        let path = self.session.catalogs.path(&object_name(path)?)?;
        Ok(self.session.catalogs.drop(&path, true)?)
    }

    /// The table of a stream: its columns are the fields of its records.
    ///
    /// # Errors
    /// If its records are no rows.
    pub fn from_data_stream<T: Record>(
        &mut self,
        stream: &DataStream<T>,
    ) -> Result<Table, SqlError> {
        self.from_data_stream_with(stream, &Schema::default())
    }

    /// The table of a stream, with a schema.
    ///
    /// # Errors
    /// If the schema is wrong, or its records are no rows.
    pub fn from_data_stream_with<T: Record>(
        &mut self,
        stream: &DataStream<T>,
        schema: &Schema,
    ) -> Result<Table, SqlError> {
        let name = self.unnamed();
        let ddl = self.streams.add_inserts(stream, schema, &name)?;
        self.execute_sql(&ddl)?;
        self.from(&crate::bridge::quoted(&name))
    }

    /// The table that a stream of changes describes. With `mode` it may be told that some kinds of
    /// changes do not occur; without rows before updates it needs a primary key.
    ///
    /// # Errors
    /// If the schema is wrong, or its records are no rows.
    pub fn from_changelog_stream<T: Record>(
        &mut self,
        stream: &DataStream<ChangelogRow<T>>,
        schema: &Schema,
        mode: ChangelogMode,
    ) -> Result<Table, SqlError> {
        let name = self.unnamed();
        let ddl = self.streams.add_changelog(stream, schema, mode, &name)?;
        self.execute_sql(&ddl)?;
        self.from(&crate::bridge::quoted(&name))
    }

    fn unnamed(&mut self) -> String {
        self.unnamed += 1;
        format!("*anonymous_datastream_source${}*", self.unnamed)
    }

    /// Registers a function under a name that every database sees, before built-in ones.
    ///
    /// # Errors
    /// If its types are none of SQL.
    pub fn create_temporary_system_function(
        &mut self,
        name: &str,
        function: UserFunction,
    ) -> Result<(), SqlError> {
        self.session.register_function(name, &function)?;
        let definition = FunctionDefinition {
            implementation: name.to_owned(),
            language: Some("RUST".to_owned()),
        };
        let name = ObjectName(vec![hurtig_sql_parser::ast::Ident::new(name)]);
        self.session.catalogs.put_function(&name, Some(definition), true, true)?;
        Ok(())
    }

    /// Removes such a function; false if there is none.
    ///
    /// # Errors
    /// None today: a function of the catalog is none of these.
    pub fn drop_temporary_system_function(&mut self, name: &str) -> Result<bool, SqlError> {
        let path = ObjectName(vec![hurtig_sql_parser::ast::Ident::new(name)]);
        self.session.catalogs.put_function(&path, None, true, true)?;
        Ok(self.session.forget_function(name))
    }

    /// An empty set of INSERTs, which run as one job.
    pub fn create_statement_set(&mut self) -> StreamStatementSet<'_> {
        StreamStatementSet::new(self)
    }
}

/// A name of SQL, with its parts.
fn object_name(path: &str) -> Result<ObjectName, SqlError> {
    use hurtig_sql_parser::ast::ExprKind;
    match SqlParser::default().expression(path)?.kind {
        ExprKind::Name(name) => Ok(name),
        _ => Err(SqlError::invalid(format!("'{path}' is no name"), None)),
    }
}
