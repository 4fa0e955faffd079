//! One script of the corpus.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use hurtig_sql::{QueryResult, Session, SqlError, StatementResult};
use hurtig_sql_common::RowKind;
use hurtig_sql_parser::SqlParser;
use serde_json::Value;

use crate::compare::{Row, Rules};

/// How long a query may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// A case of the corpus.
#[derive(Clone)]
pub struct Case {
    /// `area/number-name`.
    pub name: String,
    directory: PathBuf,
    data: PathBuf,
}

/// All cases, in the order of their names.
pub fn all(root: &Path) -> Vec<Case> {
    let folders = |path: &Path| {
        let entries = std::fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.is_dir());
        paths.sort();
        paths
    };
    let data = root.join("data").canonicalize().unwrap();
    let areas = folders(&root.join("cases")).into_iter();
    let cases = areas.flat_map(|area| folders(&area)).map(|directory| {
        let part = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        let name = format!("{}/{}", part(directory.parent().unwrap()), part(&directory));
        Case { name, directory, data: data.clone() }
    });
    cases.collect()
}

impl Case {
    fn read(&self, file: &str) -> String {
        let path = self.directory.join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// Runs the script and compares with what Flink gave.
    pub fn run(&self, parallelism: u32) -> Result<(), String> {
        let out = tempfile::tempdir().unwrap();
        let script = self.read("query.sql");
        let script = script.replace("${DATA}", &self.data.to_string_lossy());
        let script = script.replace("${OUT}", &out.path().to_string_lossy());
        let meta: Value = serde_json::from_str(&self.read("meta.json")).unwrap();
        let outcome = result_of(&script, parallelism);
        if meta["expect_error"] == true {
            let wanted = self.read("expected_error.txt");
            return match outcome {
                Ok(_) => Err(format!("it was taken; Flink says: {wanted}")),
                Err(error) if error.is_of_planning() != (meta["error_phase"] == "plan") => {
                    Err(format!("it was refused in another phase: {error}; Flink says: {wanted}"))
                }
                Err(_) => Ok(()),
            };
        }
        let result = outcome.map_err(|error| error.render(&script))?;
        let schema: Vec<(String, String)> = serde_json::from_value(meta["schema"].clone()).unwrap();
        let schema: Vec<(String, String)> = schema.into_iter().map(canonical).collect();
        if result.schema != schema {
            return Err(format!("the schema is {:?}; Flink's is {schema:?}", result.schema));
        }
        if meta["streaming"] == "append" && result.retracted {
            return Err("rows were taken back; Flink only emits +I".to_owned());
        }
        let expected = self.read("expected.jsonl");
        let expected: Vec<Row> =
            expected.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Rules::of(&meta).difference(expected, result.rows).map_or(Ok(()), Err)
    }
}

/// A column with its type as our types print themselves: STRING for the longest VARCHAR.
fn canonical((name, data_type): (String, String)) -> (String, String) {
    let parsed = SqlParser::default().data_type(&data_type);
    let printed = parsed.map_or(data_type, |data_type| data_type.to_string());
    (name, printed)
}

/// What a script's last query gave.
struct ScriptResult {
    schema: Vec<(String, String)>,
    rows: Vec<Row>,
    retracted: bool,
}

fn result_of(script: &str, parallelism: u32) -> Result<ScriptResult, SqlError> {
    let mut session = Session::new();
    session.set("table.local-time-zone", "UTC")?;
    session.set("parallelism.default", &parallelism.to_string())?;
    let mut last = None;
    for part in SqlParser::default().split(script)? {
        match session.execute(script, part)? {
            StatementResult::Query(query) => last = Some(folded(query)?),
            StatementResult::Job(job) => job.wait()?,
            StatementResult::Rows { columns, rows } => {
                let text = |name| (name, "STRING".to_owned());
                let schema = columns.into_iter().map(text).collect();
                last = Some(ScriptResult { schema, rows, retracted: false });
            }
            _ => {}
        }
    }
    Ok(last.expect("the last statement is a query"))
}

fn folded(mut query: QueryResult) -> Result<ScriptResult, SqlError> {
    let columns = query.columns().iter();
    let schema = columns.map(|one| (one.name.clone(), one.data_type.to_string())).collect();
    let mut rows: Vec<Row> = Vec::new();
    let mut retracted = false;
    let clock = hurtig_env::Clock::system();
    let begun = clock.monotonic();
    while let Some(changes) = query.next(Duration::from_millis(500))? {
        for (kind, row) in changes {
            retracted |= kind != RowKind::Insert;
            if kind.adds() {
                rows.push(row);
            } else {
                // The last equal one, so that the order of an ordered result stays.
                let place = rows.iter().rposition(|known| *known == row);
                let place = place.unwrap_or_else(|| panic!("{kind:?} of an unknown row {row:?}"));
                rows.remove(place);
            }
        }
        if clock.monotonic() - begun > PATIENCE {
            query.cancel()?;
            panic!("the query did not end within {PATIENCE:?}");
        }
    }
    Ok(ScriptResult { schema, rows, retracted })
}
