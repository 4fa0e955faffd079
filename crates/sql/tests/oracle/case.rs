//! One script of the corpus.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use hurtig_sql::{SqlError, connectors::gate::RowsPerScan};
use hurtig_sql_parser::SqlParser;
use serde_json::Value;

use crate::{
    compare::{Row, Rules},
    script::{Run, ScriptResult},
};

/// A way of running a case.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub parallelism: u32,
    /// Every job is stopped with a savepoint in its middle, and resumed with that parallelism.
    pub then: Option<u32>,
    /// Aggregates with DISTINCT in two steps, with few buckets.
    pub splits: bool,
}

/// What comes before a script whose aggregates are split.
const SPLIT: &str = "SET 'table.optimizer.distinct-agg.split.enabled' = 'true';
SET 'table.optimizer.distinct-agg.split.bucket-num' = '3';
";

/// A case of the corpus.
#[derive(Clone)]
pub struct Case {
    /// `area/number-name`.
    pub name: String,
    directory: PathBuf,
    data: PathBuf,
    /// What its jobs read; found by the first run that comes to its end.
    counts: Arc<OnceLock<Result<Vec<RowsPerScan>, String>>>,
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
        Case { name, directory, data: data.clone(), counts: Arc::default() }
    });
    cases.collect()
}

impl Case {
    fn read(&self, file: &str) -> String {
        let path = self.directory.join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    fn meta(&self) -> Value {
        serde_json::from_str(&self.read("meta.json")).unwrap()
    }

    /// True if Flink refuses the script, or its job fails.
    pub fn is_negative(&self) -> bool {
        self.meta()["expect_error"] == true
    }

    /// True if there is an aggregate with DISTINCT.
    pub fn has_distinct(&self) -> bool {
        self.read("query.sql").to_uppercase().contains("(DISTINCT ")
    }

    /// The script with directories of a run's own.
    fn script(&self, out: &Path) -> String {
        let script = self.read("query.sql").replace("${DATA}", &self.data.to_string_lossy());
        script.replace("${OUT}", &out.to_string_lossy())
    }

    /// What each job of the script reads, if it runs to its end.
    fn counts(&self) -> Result<Vec<RowsPerScan>, String> {
        let find = || {
            let out = tempfile::tempdir().unwrap();
            let script = self.script(out.path());
            let run = Run {
                script: &script,
                parallelism: 1,
                then: None,
                counts: &[],
                savepoints: "file:///",
            };
            run.play().map(|(_, counts)| counts).map_err(|error| error.render(&script))
        };
        self.counts.get_or_init(find).clone()
    }

    fn play(
        &self,
        way: Way,
        script: &str,
        counts: &[RowsPerScan],
    ) -> Result<ScriptResult, SqlError> {
        let directory = tempfile::tempdir().unwrap();
        let savepoints = format!("file://{}", directory.path().display());
        let Way { parallelism, then, splits } = way;
        let run = Run { script, parallelism, then, counts, savepoints: &savepoints };
        let (result, counts) = run.play()?;
        if then.is_none() && !splits {
            // Others may have found it before.
            let _ = self.counts.set(Ok(counts));
        }
        Ok(result)
    }

    /// Runs the script and compares with what Flink gave.
    pub fn run(&self, way: Way) -> Result<(), String> {
        let out = tempfile::tempdir().unwrap();
        let mut script = self.script(out.path());
        if way.splits {
            script.insert_str(0, SPLIT);
        }
        let meta = self.meta();
        let counts = if way.then.is_some() { self.counts()? } else { Vec::new() };
        let outcome = self.play(way, &script, &counts);
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
        // A savepoint ends a mini-batch, so that a group may change that would else be given once.
        let mini_batches = script.contains("table.exec.mini-batch.enabled");
        let split = way.then.is_some() && mini_batches;
        if meta["streaming"] == "append" && result.retracted && !split {
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
