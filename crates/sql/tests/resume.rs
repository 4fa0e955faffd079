//! Jobs of a session: shown, stopped, and gone on with by the same or a changed statement.

#![allow(clippy::unwrap_used)]

#[path = "resume/failures.rs"]
mod failures;
#[path = "resume/ids.rs"]
mod ids;

use std::{path::Path, thread, time::Duration};

use hurtig_sql::{
    QueryResult, Session, SqlError, StatementResult, TextRow, connectors::gate::SourceGate,
};
use hurtig_sql_common::RowKind;
use tempfile::TempDir;

/// Rows of the table `t`: a key, a number, a time in seconds.
const ROWS: [(&str, i64, i64); 8] = [
    ("a", 1, 1),
    ("b", 2, 2),
    ("a", 3, 3),
    ("c", 4, 4),
    ("a", 5, 65),
    ("b", 6, 66),
    ("d", 7, 67),
    ("a", 8, 130),
];

/// A session with the table `t`, and what it needs on disk.
struct Setting {
    directory: TempDir,
    session: Session,
}

impl Setting {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let line = |(k, v, seconds): &(&str, i64, i64)| {
            let (minute, second) = (seconds / 60, seconds % 60);
            format!("{k},{v},2024-01-01 00:{minute:02}:{second:02}\n")
        };
        let lines: String = ROWS.iter().map(line).collect();
        std::fs::write(directory.path().join("t.csv"), lines).unwrap();
        let mut made = Self { session: Session::new(), directory };
        made.run("SET 'table.local-time-zone' = 'UTC'");
        made.run(&format!(
            "CREATE TABLE t (k STRING, v BIGINT, ts TIMESTAMP(3), \
             WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) \
             WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv')",
            made.path("t.csv")
        ));
        made
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn with_savepoints(mut self) -> Self {
        let path = self.path("savepoints");
        self.run(&format!("SET 'execution.checkpointing.savepoint-dir' = 'file://{path}'"));
        self
    }

    fn run(&mut self, statement: &str) -> StatementResult {
        let done = self.session.execute_one(statement);
        done.unwrap_or_else(|error| panic!("{statement}: {}", error.render(statement)))
    }

    fn rows(&mut self, statement: &str) -> Vec<TextRow> {
        match self.run(statement) {
            StatementResult::Rows { rows, .. } => rows,
            _ => panic!("{statement} gives rows"),
        }
    }

    fn query(&mut self, statement: &str) -> QueryResult {
        match self.run(statement) {
            StatementResult::Query(query) => query,
            _ => panic!("{statement} is a query"),
        }
    }

    /// Runs a query until its source has read half of the rows, and stops it.
    fn stopped_in_the_middle(&mut self, statement: &str, how: &str) -> Stopped {
        let gate = SourceGate::after(ROWS.len() as u64 / 2);
        self.session.hold_sources(Some(gate.clone()));
        let mut query = self.query(statement);
        self.session.hold_sources(None);
        let mut changes = Vec::new();
        while !gate.wait_until_full(Duration::from_millis(20)) {
            changes.extend(query.next(Duration::ZERO).unwrap().expect("the job runs"));
        }
        let stop = format!("STOP JOB '{}' {how}", query.job().job_id());
        // Not before all tasks run.
        let savepoint = loop {
            let session = &mut self.session;
            // The job ends when the client has what was sent before the savepoint, so that is fetched
            // meanwhile.
            let stopped = thread::scope(|scope| {
                let stopping = scope.spawn(|| session.execute_one(&stop));
                while !stopping.is_finished()
                    && let Some(some) = query.next(Duration::from_millis(20)).unwrap()
                {
                    changes.extend(some);
                }
                stopping.join().unwrap()
            });
            match stopped {
                Ok(StatementResult::Rows { rows, .. }) => break rows[0][0].clone().unwrap(),
                Ok(_) => panic!("{stop} gives the path of a savepoint"),
                Err(error) => {
                    let status = query.job().status().unwrap();
                    assert!(!status.is_globally_terminal(), "{error}");
                }
            }
        };
        changes.extend(rest(&mut query).unwrap());
        Stopped { savepoint, changes }
    }

    /// The next job starts from a savepoint.
    fn start_from(&mut self, savepoint: &str) {
        self.run(&format!("SET 'execution.state-recovery.path' = '{savepoint}'"));
    }
}

struct Stopped {
    savepoint: String,
    changes: Vec<(RowKind, TextRow)>,
}

/// All changes up to the end of the job.
fn rest(query: &mut QueryResult) -> Result<Vec<(RowKind, TextRow)>, SqlError> {
    let mut all = Vec::new();
    while let Some(changes) = query.next(Duration::from_millis(100))? {
        all.extend(changes);
    }
    Ok(all)
}

/// What is there after changes, sorted: rows joined by a space.
fn folded(changes: &[(RowKind, TextRow)]) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for (kind, row) in changes {
        let text = row.iter().map(|value| value.as_deref().unwrap_or("null"));
        let text = text.collect::<Vec<_>>().join(" ");
        match kind.adds() {
            true => rows.push(text),
            false => {
                let place = rows.iter().position(|row| *row == text);
                rows.swap_remove(place.unwrap_or_else(|| panic!("{text} was never there")));
            }
        }
    }
    rows.sort();
    rows
}

const SUMS: &str = "SELECT k, SUM(v) AS s FROM t GROUP BY k";

#[test]
fn jobs_are_shown_and_stopped() {
    let mut setting = Setting::new();
    assert!(setting.rows("SHOW JOBS").is_empty());
    setting.session.hold_sources(Some(SourceGate::after(1)));
    let mut query = setting.query(SUMS);
    let id = query.job().job_id().to_string();
    let shown = setting.rows("SHOW JOBS");
    assert_eq!(shown[0][0].as_deref(), Some(id.as_str()));
    assert!(shown[0][1].as_deref().unwrap().starts_with("collect: SELECT"), "{shown:?}");

    let refused = |setting: &mut Setting, statement: &str| {
        setting.session.execute_one(statement).err().expect("it is refused").to_string()
    };
    let unknown = refused(&mut setting, "STOP JOB '0123456789abcdef0123456789abcdef'");
    assert!(unknown.contains("has no job 0123"), "{unknown}");
    let nowhere = refused(&mut setting, &format!("STOP JOB '{id}' WITH SAVEPOINT"));
    assert!(nowhere.contains("execution.checkpointing.savepoint-dir is not set"), "{nowhere}");

    setting.run(&format!("STOP JOB '{id}'"));
    assert!(rest(&mut query).is_ok(), "the client asked for it");
    assert_eq!(setting.rows("SHOW JOBS")[0][2].as_deref(), Some("CANCELED"));
}

#[test]
fn a_changed_query_keeps_the_state_that_it_can_keep() {
    let mut setting = Setting::new().with_savepoints();
    let stopped = setting.stopped_in_the_middle(SUMS, "WITH SAVEPOINT");
    assert_eq!(folded(&stopped.changes), ["a 4", "b 2", "c 4"]);
    assert!(Path::new(stopped.savepoint.strip_prefix("file://").unwrap()).exists());
    setting.start_from(&stopped.savepoint);
    setting.run("SET 'parallelism.default' = '3'");
    let changed = format!("SELECT s * 10 AS tenfold, UPPER(k) FROM ({SUMS}) AS sums WHERE s > 4");
    let changes = rest(&mut setting.query(&changed)).unwrap();
    // Of `a` the sum before was too small to be shown.
    assert_eq!(folded(&changes), ["170 A", "70 D", "80 B"]);
    assert_eq!(setting.rows("SHOW JOBS")[1][2].as_deref(), Some("FINISHED"));
}

#[test]
fn state_of_rows_that_have_changed_is_refused() {
    let mut setting = Setting::new().with_savepoints();
    let top = |columns: &str| {
        format!(
            "SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS n \
             FROM (SELECT {columns} FROM t) AS x) AS y WHERE n <= 2"
        )
    };
    let stopped = setting.stopped_in_the_middle(&top("k, v"), "WITH SAVEPOINT");
    setting.start_from(&stopped.savepoint);
    let more = top("k, v, ts").replacen("SELECT k, v FROM", "SELECT k, v, ts FROM", 1);
    let error = rest(&mut setting.query(&more)).expect_err("a column more");
    let text = error.to_string();
    assert!(text.contains("its row has the columns (k"), "{text}");
    // The query as it was goes on.
    let changes = rest(&mut setting.query(&top("k, v"))).unwrap();
    let all: Vec<_> = stopped.changes.into_iter().chain(changes).collect();
    assert_eq!(folded(&all), ["a 5", "a 8", "b 2", "b 6", "c 4", "d 7"]);
}

#[test]
fn state_that_nobody_claims_is_named_and_can_be_left_behind() {
    let mut setting = Setting::new().with_savepoints();
    let stopped = setting.stopped_in_the_middle(SUMS, "WITH SAVEPOINT");
    setting.start_from(&stopped.savepoint);
    let plain = "SELECT k, v FROM t";
    let error = match setting.session.execute_one(plain) {
        Ok(StatementResult::Query(mut query)) => rest(&mut query).expect_err("state is lost"),
        Ok(_) => panic!("it is a query"),
        Err(error) => error,
    };
    assert!(error.to_string().contains("GroupAggregate"), "{error}");
    setting.run("SET 'execution.state-recovery.ignore-unclaimed-state' = 'true'");
    let changes = rest(&mut setting.query(plain)).unwrap();
    assert_eq!(folded(&changes), ["a 5", "a 8", "b 6", "d 7"], "the source goes on");
}

#[test]
fn a_drained_job_fires_its_windows() {
    let mut setting = Setting::new().with_savepoints();
    let windows = "SELECT k, SUM(v) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' \
                   MINUTE)) GROUP BY k, window_start, window_end";
    let stopped = setting.stopped_in_the_middle(windows, "WITH SAVEPOINT");
    assert_eq!(folded(&stopped.changes), Vec::<String>::new(), "no window is over");
    let drained = setting.stopped_in_the_middle(windows, "WITH SAVEPOINT WITH DRAIN");
    assert_eq!(folded(&drained.changes), ["a 4", "b 2", "c 4"]);
}
