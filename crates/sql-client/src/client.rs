//! Scripts and statements: run in a session, and shown.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hurtig_env::Clock;
use hurtig_sql::{QueryResult, Session, Settings, SqlCluster, SqlError, SqlJob, StatementResult};
use hurtig_sql_parser::SqlParser;

use crate::{
    output::{
        ChangelogOutput, JsonLines, LiveTable, MaterializedJsonLines, ResultColumn, Screen,
        Tableau, print_table,
    },
    shell::{self, Commands, Vocabulary},
};

/// How results are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultMode {
    /// A table that is drawn anew as it changes; on a terminal only.
    Table,
    /// The changelog, line by line.
    Changelog,
    /// The changelog, and how many rows it had.
    Tableau,
    /// `{"op":"+I","row":[..]}`.
    JsonLines,
    /// The rows that are left at the end, as JSON, sorted.
    Materialized,
}

/// What the client is asked for.
#[derive(Clone, Debug, Default)]
pub struct ClientOptions {
    /// Scripts that run before all else; they must hold no query.
    pub init: Vec<PathBuf>,
    /// Scripts to run.
    pub files: Vec<PathBuf>,
    /// Statements to run.
    pub statements: Vec<String>,
    /// Settings, as SET sets them.
    pub settings: Vec<(String, String)>,
    /// How results are shown; `None`: as the setting says, or as fits.
    pub mode: Option<ResultMode>,
    /// Where the shell's history is; `None`: none.
    pub history: Option<PathBuf>,
    /// Where jobs run; `None`: in embedded clusters.
    pub cluster: Option<Arc<dyn SqlCluster>>,
}

/// Why the client has ended early. What is wrong was written to standard error.
#[derive(Debug, thiserror::Error)]
pub enum SqlClientError {
    /// A statement could not be done.
    #[error("{0}")]
    Statement(String),
    /// A script cannot be read.
    #[error("cannot read {path}: {source}")]
    Script {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The output has gone.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// How long a query is asked for more before the client looks around.
const PATIENCE: Duration = Duration::from_millis(100);

/// Runs what the options ask for: scripts and statements; without any, the shell.
///
/// # Errors
/// If a script cannot be read, or one of its statements cannot be done; those behind it do not run.
pub fn run(options: ClientOptions) -> Result<(), SqlClientError> {
    let mut client = Client::new(options.mode);
    if let Some(cluster) = &options.cluster {
        client.session.run_on(cluster.clone());
        client.detaches = true;
    }
    for (key, value) in &options.settings {
        let set = client.session.set(key, value);
        set.map_err(|error| SqlClientError::Statement(error.to_string()))?;
    }
    for path in &options.init {
        client.script(&read(path)?)?;
    }
    let in_shell =
        options.files.is_empty() && options.statements.is_empty() && io::stdin().is_terminal();
    if client.detaches && !in_shell {
        // A query's job on a cluster must not outlive its client; all else ends with Ctrl-C as it does
        // everywhere.
        use signal_hook::{consts::SIGINT, flag};
        let _ = flag::register_conditional_default(SIGINT, client.may_be_ended.clone());
        let _ = flag::register(SIGINT, client.interrupted.clone());
    }
    if options.files.is_empty() && options.statements.is_empty() {
        if !in_shell {
            return client.script(&io::read_to_string(io::stdin())?);
        }
        client.interactive = true;
        // Without it Ctrl-C ends the client as a whole.
        let _ =
            signal_hook::flag::register(signal_hook::consts::SIGINT, client.interrupted.clone());
        return Ok(shell::run(&mut client, options.history)?);
    }
    for path in &options.files {
        client.script(&read(path)?)?;
    }
    options.statements.iter().try_for_each(|statement| client.script(statement))
}

fn read(path: &PathBuf) -> Result<String, SqlClientError> {
    let script = |source| SqlClientError::Script { path: path.display().to_string(), source };
    std::fs::read_to_string(path).map_err(script)
}

struct Client {
    session: Session,
    mode: Option<ResultMode>,
    interactive: bool,
    /// Jobs run on a cluster, and outlive the client.
    detaches: bool,
    interrupted: Arc<AtomicBool>,
    /// Ctrl-C ends the process.
    may_be_ended: Arc<AtomicBool>,
}

impl Client {
    fn new(mode: Option<ResultMode>) -> Self {
        Self {
            session: Session::new(),
            mode,
            interactive: false,
            detaches: false,
            interrupted: Arc::new(AtomicBool::new(false)),
            may_be_ended: Arc::new(AtomicBool::new(true)),
        }
    }

    /// Runs statements until one fails.
    fn script(&mut self, text: &str) -> Result<(), SqlClientError> {
        // Whoever shows it says that it is an error.
        let told = |error: SqlError| {
            let text = error.render(text);
            SqlClientError::Statement(text.strip_prefix("error: ").unwrap_or(&text).to_owned())
        };
        for part in SqlParser::default().split(text).map_err(|error| told(error.into()))? {
            let result = self.session.execute(text, part).map_err(told)?;
            match self.show(result) {
                Ok(()) => {}
                Err(Shown::Statement(error)) => return Err(told(error)),
                Err(Shown::Output(error)) => return Err(error.into()),
                Err(Shown::Interrupted) => {
                    return Err(SqlClientError::Statement("the query was cancelled".to_owned()));
                }
            }
        }
        Ok(())
    }

    fn show(&mut self, result: StatementResult) -> Result<(), Shown> {
        let mut out = io::stdout().lock();
        match result {
            StatementResult::Done if self.interactive => writeln!(out, "[INFO] Done.\n")?,
            StatementResult::Done => {}
            StatementResult::Text(text) => writeln!(out, "{text}")?,
            // Beside the results, which may be read by programs.
            StatementResult::Warning(text) => writeln!(io::stderr(), "[WARNING] {text}")?,
            StatementResult::Rows { columns, rows } if self.is_for_programs() => {
                let _ = columns;
                for row in &rows {
                    serde_json::to_writer(&mut out, row).map_err(io::Error::from)?;
                    writeln!(out)?;
                }
            }
            StatementResult::Rows { columns, rows } => print_table(&mut out, &columns, &rows)?,
            StatementResult::Query(query) => {
                drop(out);
                self.show_query(query)?;
            }
            StatementResult::Job(job) => {
                drop(out);
                self.show_job(&job)?;
            }
        }
        Ok(())
    }

    fn is_for_programs(&self) -> bool {
        matches!(self.mode, Some(ResultMode::JsonLines | ResultMode::Materialized))
    }

    /// A job on a cluster goes on by itself, unless `table.dml-sync` is set. An embedded one lives as
    /// long as this process, so a script waits for it; in the shell it goes on beside what is typed.
    fn show_job(&mut self, job: &SqlJob) -> Result<(), Shown> {
        let id = job.job_id();
        if self.is_for_programs() {
            if self.detaches {
                println!("[\"{id}\"]");
            }
        } else if self.detaches {
            println!("[INFO] The job is submitted to the cluster.\nJob ID: {id}\n");
        } else if self.interactive {
            println!("[INFO] The job runs: {id}\n");
        }
        let by_itself = self.detaches || self.interactive;
        let waits = self.session.settings().flag("table.dml-sync").unwrap_or(!by_itself);
        if waits {
            job.wait().map_err(Shown::Statement)?;
        }
        Ok(())
    }

    fn show_query(&mut self, mut query: QueryResult) -> Result<(), Shown> {
        let columns = query.columns().iter().map(|column| ResultColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
        });
        let columns: Vec<ResultColumn> = columns.collect();
        let mut output = self.output(&columns);
        self.interrupted.store(false, Ordering::Relaxed);
        self.may_be_ended.store(false, Ordering::Relaxed);
        let clock = Clock::system();
        let begun = clock.monotonic();
        let mut cancelled = false;
        while let Some(changes) = query.next(PATIENCE).map_err(Shown::Statement)? {
            if let Err(error) = output.changes(&changes) {
                // Nobody reads on: the job has no reader either.
                let _ = query.cancel();
                return Err(error.into());
            }
            if self.interrupted.swap(false, Ordering::Relaxed) {
                query.cancel().map_err(Shown::Statement)?;
                cancelled = true;
                break;
            }
        }
        self.may_be_ended.store(true, Ordering::Relaxed);
        output.end()?;
        drop(output);
        if cancelled && !self.interactive {
            return Err(Shown::Interrupted);
        }
        if self.interactive {
            let verb = if cancelled { "Cancelled" } else { "Done" };
            println!("[INFO] {verb} after {:.2} s.\n", (clock.monotonic() - begun).as_secs_f64());
        }
        Ok(())
    }

    fn output(&self, columns: &[ResultColumn]) -> Box<dyn ChangelogOutput> {
        let settings = self.session.settings();
        let set = match settings.get("sql-client.execution.result-mode") {
            Some("table") => Some(ResultMode::Table),
            Some("changelog") => Some(ResultMode::Changelog),
            Some("tableau") => Some(ResultMode::Tableau),
            _ => None,
        };
        let fitting = if self.interactive { ResultMode::Table } else { ResultMode::Tableau };
        let mode = self.mode.or(set).unwrap_or(fitting);
        let width = settings.get("sql-client.display.max-column-width");
        let width = width.and_then(|text| text.parse().ok());
        let out = io::stdout();
        match mode {
            ResultMode::JsonLines => Box::new(JsonLines::new(out)),
            ResultMode::Materialized => Box::new(MaterializedJsonLines::new(out)),
            ResultMode::Table if out.is_terminal() => {
                Box::new(LiveTable::new(out, Terminal(Clock::system()), columns))
            }
            ResultMode::Table | ResultMode::Changelog | ResultMode::Tableau => {
                Box::new(Tableau::new(out, columns, width))
            }
        }
    }
}

/// Why a result could not be shown.
enum Shown {
    Statement(SqlError),
    Output(io::Error),
    /// Ctrl-C has cancelled the query.
    Interrupted,
}

impl From<io::Error> for Shown {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Commands for Client {
    fn run(&mut self, statements: &str) {
        if let Err(error) = self.script(statements) {
            eprintln!("[ERROR] {error}\n");
        }
    }

    fn vocabulary(&self) -> Vocabulary {
        Vocabulary {
            names: self.session.names(),
            functions: self.session.function_names(),
            settings: Settings::known_keys(),
        }
    }
}

/// The terminal that the client runs in.
struct Terminal(Clock);

/// Lines of a terminal that does not tell.
const LINES: usize = 24;

impl Screen for Terminal {
    fn lines(&self) -> usize {
        let size = rustix::termios::tcgetwinsize(io::stdout());
        size.map_or(LINES, |size| usize::from(size.ws_row)).max(LINES / 2)
    }

    fn now_ms(&self) -> u64 {
        self.0.monotonic().as_millis() as u64
    }
}
