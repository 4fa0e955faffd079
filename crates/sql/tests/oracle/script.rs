//! Runs scripts: as they are, or with every job stopped in its middle and resumed.
//!
//! A job is stopped when each of its sources has read half of its rows: a gate holds them there, so
//! that it does not depend on the speed of the machine. It is resumed by the same statement.

use std::{thread, time::Duration};

use hurtig_env::Clock;
use hurtig_sql::{
    QueryResult, Session, SqlError, SqlJob, StatementResult,
    connectors::gate::{RowsPerScan, SourceGate},
};
use hurtig_sql_common::RowKind;
use hurtig_sql_parser::{ScriptPart, SqlParser};

use crate::compare::Row;

/// How long a query may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at what a job does.
const LOOK: Duration = Duration::from_millis(20);

/// What a script's last query gave.
#[derive(Default)]
pub struct ScriptResult {
    pub schema: Vec<(String, String)>,
    pub rows: Vec<Row>,
    /// Rows were taken back.
    pub retracted: bool,
    /// Rows that were taken before they came. A job that is stopped leaves its changes in several
    /// files, and who reads them finds them in any order; elsewhere it is a mistake.
    owed: Option<Vec<Row>>,
}

/// How a script runs.
pub struct Run<'a> {
    pub script: &'a str,
    pub parallelism: u32,
    /// Jobs are stopped and go on with that parallelism.
    pub then: Option<u32>,
    /// What each job reads in all, if they are stopped.
    pub counts: &'a [RowsPerScan],
    /// Where savepoints go.
    pub savepoints: &'a str,
}

/// A script under way.
struct Player<'a> {
    run: &'a Run<'a>,
    session: Session,
    /// Statements to be said again to resume a job: those of the set that has begun.
    set: Vec<ScriptPart>,
    /// What the jobs have read.
    counts: Vec<RowsPerScan>,
    last: Option<ScriptResult>,
    /// Since the script began.
    clock: Clock,
}

impl Run<'_> {
    /// Runs it; the second result is what each job has read.
    pub fn play(&self) -> Result<(ScriptResult, Vec<RowsPerScan>), SqlError> {
        let mut session = Session::new();
        session.set("table.local-time-zone", "UTC")?;
        session.set("execution.checkpointing.savepoint-dir", self.savepoints)?;
        let clock = Clock::system();
        let (set, counts) = (Vec::new(), Vec::new());
        let mut player = Player { run: self, session, set, counts, last: None, clock };
        for part in SqlParser::default().split(self.script)? {
            player.part(part)?;
        }
        Ok((player.last.expect("the last statement is a query"), player.counts))
    }
}

impl Player<'_> {
    fn begins_with(&self, part: ScriptPart, words: &str) -> bool {
        let text = &self.run.script[part.span.start as usize..part.span.end as usize];
        let given = text.split_whitespace().take(words.split(' ').count());
        given.collect::<Vec<_>>().join(" ").eq_ignore_ascii_case(words)
    }

    fn part(&mut self, part: ScriptPart) -> Result<(), SqlError> {
        if !self.set.is_empty() || self.begins_with(part, "BEGIN STATEMENT SET") {
            self.set.push(part);
        }
        self.session.set("parallelism.default", &self.run.parallelism.to_string())?;
        let gate = self.gate();
        self.session.hold_sources(Some(gate.clone()));
        let mut result = ScriptResult::default();
        let reads_changes = self.run.then.is_some() && !self.counts.is_empty();
        result.owed = reads_changes.then(Vec::new);
        match self.session.execute(self.run.script, part)? {
            StatementResult::Query(mut query) => {
                if self.run.then.is_some() {
                    let job = query.job().clone();
                    let path = self.stop(&job, &gate, Some((&mut query, &mut result)))?;
                    self.drain(&mut query, &mut result)?;
                    let StatementResult::Query(resumed) = self.resume(part, &path)? else {
                        panic!("the same statement is a query again");
                    };
                    query = resumed;
                }
                self.drain(&mut query, &mut result)?;
                self.counts.push(gate.rows());
                if let Some([row, ..]) = result.owed.as_deref() {
                    return Err(stuck(format!("a row was taken that never came: {row:?}")));
                }
                self.last = Some(result);
            }
            StatementResult::Job(mut job) => {
                if self.run.then.is_some() {
                    let path = self.stop(&job, &gate, None)?;
                    job.wait()?;
                    let StatementResult::Job(resumed) = self.resume(part, &path)? else {
                        panic!("the same statement is a job again");
                    };
                    job = resumed;
                }
                job.wait()?;
                self.counts.push(gate.rows());
                self.set.clear();
            }
            StatementResult::Rows { columns, rows } => {
                let text = |name| (name, "STRING".to_owned());
                let schema = columns.into_iter().map(text).collect();
                self.last = Some(ScriptResult { schema, rows, ..ScriptResult::default() });
            }
            StatementResult::Done | StatementResult::Text(_) | StatementResult::Warning(_) => {}
        }
        Ok(())
    }

    /// The gate of the next job: of each source half of its rows.
    fn gate(&self) -> SourceGate {
        let Some(counts) =
            self.run.counts.get(self.counts.len()).filter(|_| self.run.then.is_some())
        else {
            return SourceGate::default();
        };
        let half = |(scan, rows): (&String, &u64)| (scan.clone(), rows.div_ceil(2));
        SourceGate::closed(counts.iter().map(half).collect())
    }

    fn is_stuck(&self) -> bool {
        self.clock.monotonic() > PATIENCE
    }

    /// Stops a job when its sources have come to their gates: `STOP JOB .. WITH SAVEPOINT`.
    fn stop(
        &mut self,
        job: &SqlJob,
        gate: &SourceGate,
        mut query: Option<(&mut QueryResult, &mut ScriptResult)>,
    ) -> Result<String, SqlError> {
        while !gate.wait_until_full(LOOK) {
            if let Some((query, result)) = &mut query {
                take(query, result)?;
            }
            if job.status()?.is_globally_terminal() {
                job.wait()?;
                return Err(stuck(
                    "the job ended before its sources were at their gates".to_owned(),
                ));
            }
            if self.is_stuck() {
                let rows = gate.rows();
                return Err(stuck(format!("not all sources came to their gates: {rows:?}")));
            }
        }
        let stop = format!("STOP JOB '{}' WITH SAVEPOINT", job.job_id());
        loop {
            let session = &mut self.session;
            // What a query gives is taken meanwhile, as a client does: it may be what the barrier waits for.
            let stopped = thread::scope(|scope| {
                let stopping = scope.spawn(|| session.execute_one(&stop));
                while let Some((query, result)) = query.as_mut().filter(|_| !stopping.is_finished())
                    && take(query, result)?
                {}
                stopping.join().expect("STOP JOB does not panic")
            });
            match stopped {
                Ok(StatementResult::Rows { rows, .. }) => {
                    return Ok(rows[0][0].clone().expect("the savepoint has a path"));
                }
                Ok(_) => panic!("STOP JOB WITH SAVEPOINT gives the savepoint's path"),
                // It is not granted before all tasks run.
                Err(error) => {
                    if job.status()?.is_globally_terminal() {
                        job.wait()?;
                        return Err(error);
                    }
                    assert!(!self.is_stuck(), "the job cannot be stopped: {error}");
                }
            }
        }
    }

    /// Says the statement again, with the savepoint to start from.
    fn resume(&mut self, part: ScriptPart, path: &str) -> Result<StatementResult, SqlError> {
        self.session.hold_sources(None);
        let then = self.run.then.expect("only stopped jobs are resumed");
        self.session.set("parallelism.default", &then.to_string())?;
        let key = "execution.state-recovery.path";
        self.session.execute_one(&format!("SET '{key}' = '{path}'"))?;
        if self.begins_with(part, "CREATE TABLE") {
            // CREATE TABLE AS has made the table.
            let text = &self.run.script[part.span.start as usize..part.span.end as usize];
            let name = text.split_whitespace().nth(2).unwrap();
            self.session.execute_one(&format!("DROP TABLE {name}"))?;
        }
        let mut again = std::mem::take(&mut self.set);
        if again.is_empty() {
            again.push(part);
        }
        let mut resumed = StatementResult::Done;
        for part in again {
            resumed = self.session.execute(self.run.script, part)?;
        }
        self.session.execute_one(&format!("RESET '{key}'"))?;
        Ok(resumed)
    }

    fn drain(&self, query: &mut QueryResult, result: &mut ScriptResult) -> Result<(), SqlError> {
        while take(query, result)? {
            if self.is_stuck() {
                query.cancel()?;
                return Err(stuck(format!("the query did not end within {PATIENCE:?}")));
            }
        }
        Ok(())
    }
}

/// Something that must not happen has.
fn stuck(text: String) -> SqlError {
    SqlError::Internal(text)
}

/// Takes what a query has; false at its end.
fn take(query: &mut QueryResult, result: &mut ScriptResult) -> Result<bool, SqlError> {
    let columns = query.columns().iter();
    result.schema = columns.map(|one| (one.name.clone(), one.data_type.to_string())).collect();
    let Some(changes) = query.next(LOOK)? else { return Ok(false) };
    for (kind, row) in changes {
        result.retracted |= kind != RowKind::Insert;
        if kind.adds() {
            let owed = result.owed.as_mut();
            match owed.and_then(|owed| Some((owed.iter().position(|one| *one == row)?, owed))) {
                Some((place, owed)) => drop(owed.remove(place)),
                None => result.rows.push(row),
            }
            continue;
        }
        // The last equal one, so that the order of an ordered result stays.
        match (result.rows.iter().rposition(|known| *known == row), &mut result.owed) {
            (Some(place), _) => drop(result.rows.remove(place)),
            (None, Some(owed)) => owed.push(row),
            (None, None) => return Err(stuck(format!("{kind:?} of an unknown row {row:?}"))),
        }
    }
    Ok(true)
}
