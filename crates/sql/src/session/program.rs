//! A statement as a program that runs on a cluster.
//!
//! 1. The client plans the statement, and so knows that it is right, which operator brings its rows,
//!    and which tables, views and functions it names.
//! 2. [`SqlProgram`] holds what another process needs to plan it alike: the statement, those
//!    definitions, the settings.
//! 3. It travels as the arguments of a program (the command `hurtig`, uploaded like any other), whose
//!    hosts plan it again ([`run_program`]); that all have built the same graph is checked by its
//!    fingerprint, as for every program.

use std::{collections::BTreeMap, io::Read, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use hurtig::raw::RawStream;
use hurtig_sql_parser::{
    SqlParser,
    ast::{Ident, InsertStatement, ObjectName, SqlQuery, StatementKind},
};
use hurtig_sql_planner::catalog::{
    Catalog, Catalogs, DatabaseDefinition, MemoryCatalog, ObjectPath, StoredEntry, StoredFunction,
};
use serde::{Deserialize, Serialize};

use super::Session;
use crate::SqlError;

/// The version of the form.
const VERSION: u32 = 1;
/// Longest argument: systems take somewhat more.
const ARGUMENT_BYTES: usize = 60_000;
/// Largest program, unpacked.
const LARGEST_BYTES: u64 = 64 << 20;

/// What another process needs to plan a statement alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlProgram {
    version: u32,
    /// The job's name.
    name: String,
    statement: Statement,
    settings: BTreeMap<String, String>,
    restore: Option<(String, bool)>,
    /// The current catalog and database.
    current: (String, String),
    entries: Vec<Kept<StoredEntry>>,
    functions: Vec<Kept<StoredFunction>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Statement {
    /// A query, whose rows are collected.
    Query(String),
    /// The INSERTs of one job.
    Inserts(Vec<String>),
}

/// A definition and its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept<T> {
    path: [String; 3],
    definition: T,
}

fn refused(text: impl Into<String>) -> SqlError {
    SqlError::invalid(text, None)
}

impl SqlProgram {
    /// The program of a query.
    pub(super) fn of_query(
        session: &Session,
        catalogs: &Catalogs,
        name: &str,
        query: &SqlQuery,
        restore: Option<(String, bool)>,
    ) -> Result<Self, SqlError> {
        Self::new(session, catalogs, name, Statement::Query(query.to_string()), restore)
    }

    /// True if its rows are for the client alone.
    #[must_use]
    pub fn is_query(&self) -> bool {
        matches!(self.statement, Statement::Query(_))
    }

    /// The program of INSERTs.
    pub(super) fn of_inserts(
        session: &Session,
        catalogs: &Catalogs,
        name: &str,
        inserts: &[InsertStatement],
        restore: Option<(String, bool)>,
    ) -> Result<Self, SqlError> {
        let statement = Statement::Inserts(inserts.iter().map(ToString::to_string).collect());
        Self::new(session, catalogs, name, statement, restore)
    }

    fn new(
        session: &Session,
        catalogs: &Catalogs,
        name: &str,
        statement: Statement,
        restore: Option<(String, bool)>,
    ) -> Result<Self, SqlError> {
        let used = catalogs.used();
        let mut entries = Vec::new();
        for path in used.entries {
            if let Some((entry, _)) = catalogs.entry(&path)? {
                let path = [path.catalog, path.database, path.name];
                entries.push(Kept { path, definition: StoredEntry::from(&entry) });
            }
        }
        let mut functions = Vec::new();
        for path in used.functions {
            let parts = [&path.catalog, &path.database, &path.name].map(|part| part.to_owned());
            if let Some(function) = catalogs.function(&name_of(&parts))? {
                functions.push(Kept { path: parts, definition: StoredFunction::from(&function) });
            }
        }
        let mut settings: BTreeMap<String, String> = session
            .settings()
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        // Where the client is decides what its times mean.
        let zone = session.settings().zone().name().to_owned();
        settings.insert("table.local-time-zone".to_owned(), zone);
        Ok(Self {
            version: VERSION,
            name: name.to_owned(),
            statement,
            settings,
            restore,
            current: (
                catalogs.current_catalog().to_owned(),
                catalogs.current_database().to_owned(),
            ),
            entries,
            functions,
        })
    }

    /// What of the settings configures the job, as a client of the cluster says it.
    ///
    /// # Errors
    /// If one of them is wrong.
    pub fn configuration(&self) -> BTreeMap<String, String> {
        let of_job = self.settings.iter().filter(|(key, _)| !crate::settings::is_of_sql(key));
        of_job.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The job's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// As arguments of a process.
    ///
    /// # Errors
    /// If it cannot be encoded.
    pub fn to_arguments(&self) -> Result<Vec<String>, SqlError> {
        let packed = || -> Result<Vec<u8>, std::io::Error> {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
            serde_json::to_writer(&mut encoder, self)?;
            encoder.finish()
        };
        let packed = packed().map_err(|error| SqlError::Internal(error.to_string()))?;
        let text = STANDARD.encode(packed);
        // Base64 is ASCII, so that it can be cut anywhere.
        Ok(text
            .as_bytes()
            .chunks(ARGUMENT_BYTES)
            .map(|chunk| String::from_utf8_lossy(chunk).into_owned())
            .collect())
    }

    /// The inverse of [`SqlProgram::to_arguments`].
    ///
    /// # Errors
    /// If the arguments are none of a program.
    pub fn from_arguments(arguments: &[String]) -> Result<Self, SqlError> {
        let wrong = |why: String| refused(format!("the arguments are no SQL program: {why}"));
        let packed = STANDARD.decode(arguments.concat()).map_err(|e| wrong(e.to_string()))?;
        let mut bytes = Vec::new();
        let unpacked = ZlibDecoder::new(packed.as_slice()).take(LARGEST_BYTES + 1);
        { unpacked }.read_to_end(&mut bytes).map_err(|e| wrong(e.to_string()))?;
        if bytes.len() as u64 > LARGEST_BYTES {
            return Err(wrong(format!("more than {LARGEST_BYTES} bytes")));
        }
        let program: Self = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        if program.version != VERSION {
            return Err(wrong(format!("version {} of its form", program.version)));
        }
        Ok(program)
    }

    /// A session in which the statement means what it meant to the client.
    fn session(self) -> Result<(Session, String, Statement), SqlError> {
        let mut session = Session::new();
        for (key, value) in &self.settings {
            // SET has taken them, also what nobody knows.
            session.settings.set(key, value)?;
        }
        if let Some((pointer, allow)) = &self.restore {
            session.restore_next_from(pointer, *allow);
        }
        let (catalog, database) = &self.current;
        let needed = self.entries.iter().map(|one| &one.path);
        let needed = needed.chain(self.functions.iter().map(|one| &one.path));
        let mut places: Vec<(String, String)> =
            needed.map(|[catalog, database, _]| (catalog.clone(), database.clone())).collect();
        places.push((catalog.clone(), database.clone()));
        for (catalog, database) in places {
            place(&mut session.catalogs, &catalog, &database)?;
        }
        for Kept { path: [catalog, database, name], definition } in self.entries {
            let path = ObjectPath { catalog, database, name };
            let entry = definition.read()?;
            session.catalogs.create(&path, entry, false, true)?;
        }
        for Kept { path, definition } in self.functions {
            let function = definition.read()?;
            session.catalogs.put_function(&name_of(&path), Some(function), false, false)?;
        }
        session.catalogs.use_database(&ObjectName(vec![ident(catalog), ident(database)]))?;
        Ok((session, self.name, self.statement))
    }
}

fn ident(value: &str) -> Ident {
    Ident { value: value.to_owned(), quoted: true, span: Default::default() }
}

fn name_of(path: &[String; 3]) -> ObjectName {
    ObjectName(path.iter().map(|part| ident(part)).collect())
}

/// Makes sure that there is such a database.
fn place(catalogs: &mut Catalogs, catalog: &str, database: &str) -> Result<(), SqlError> {
    if !catalogs.names().any(|known| known == catalog) {
        let memory: Arc<dyn Catalog> = Arc::new(MemoryCatalog::with_database(database));
        catalogs.register(catalog, memory)?;
    }
    let kept = catalogs.catalog(catalog)?;
    if kept.database(database)?.is_none() {
        kept.put_database(database, DatabaseDefinition::default())?;
    }
    Ok(())
}

/// Runs a program in a host of a cluster: plans its statement, and becomes what the process was started
/// for. It returns only if that fails.
///
/// # Errors
/// If the program cannot be planned here, or the process is no host.
pub fn run_program(program: SqlProgram) -> Result<(), SqlError> {
    if !hurtig::is_host() {
        return Err(refused("SQL programs run in hosts of a cluster: use hurtig sql"));
    }
    let (mut session, name, statement) = program.session()?;
    match statement {
        Statement::Query(text) => {
            let query = SqlParser::default().query(&text)?;
            let planned = session.plan_query(&query)?;
            planned.env.add_collector(&name, planned.input, planned.parallelism)?;
            planned.env.execute(&name)?;
        }
        Statement::Inserts(texts) => {
            let mut inserts = Vec::with_capacity(texts.len());
            for text in &texts {
                match SqlParser::default().statement(text)?.kind {
                    StatementKind::Insert(insert) => inserts.push(*insert),
                    _ => return Err(refused("the program holds a statement that is no INSERT")),
                }
            }
            let env = session.environment()?;
            let _: Vec<RawStream> = session.plan_inserts(&inserts, &env)?;
            env.execute(&name)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> SqlProgram {
        let mut session = Session::new();
        for statement in [
            "SET 'parallelism.default' = '3'",
            "CREATE DATABASE shop",
            "USE shop",
            "CREATE TABLE t (a INT, b AS a + 1) WITH ('connector' = 'datagen')",
            "CREATE TEMPORARY VIEW v AS SELECT b FROM t",
            "CREATE TABLE unused (a INT) WITH ('connector' = 'print')",
        ] {
            session.execute_one(statement).unwrap();
        }
        let query = SqlParser::default().query("SELECT SUM(b) FROM v").unwrap();
        let planned = session.plan_query(&query).unwrap();
        SqlProgram::of_query(&session, planned.catalogs(), "sum", &query, None).unwrap()
    }

    #[test]
    fn a_program_holds_what_its_statement_names() {
        let program = program();
        let names: Vec<&str> = program.entries.iter().map(|one| one.path[2].as_str()).collect();
        assert_eq!(names, ["t", "v"]);
        let arguments = program.to_arguments().unwrap();
        assert!(arguments.iter().all(|one| one.len() <= ARGUMENT_BYTES));
        let read = SqlProgram::from_arguments(&arguments).unwrap();
        assert_eq!(read, program);
        assert_eq!(read.configuration()["parallelism.default"], "3");
        assert!(!read.configuration().contains_key("table.local-time-zone"));
        let (mut session, name, statement) = read.session().unwrap();
        assert_eq!(name, "sum");
        let Statement::Query(text) = statement else { panic!("no query") };
        let query = SqlParser::default().query(&text).unwrap();
        assert!(session.plan_query(&query).is_ok());
    }

    #[test]
    fn arguments_that_are_no_program_are_refused() {
        let whole = program().to_arguments().unwrap().concat();
        let refused =
            |text: &str| SqlProgram::from_arguments(&[text.to_owned()]).unwrap_err().to_string();
        for text in ["", "x", "%", &whole[..whole.len() / 2], &whole[4..]] {
            assert!(refused(text).starts_with("the arguments are no SQL program"), "{text}");
        }
        let mut later = program();
        later.version = 2;
        let text = refused(&later.to_arguments().unwrap().concat());
        assert!(text.contains("version 2 of its form"), "{text}");
    }
}
