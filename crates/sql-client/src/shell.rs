//! The interactive shell: editing, history, completion, colours.
//!
//! A line is taken when the statement is whole: a semicolon ends it, or it is one of the shell's own
//! commands. Until then Enter begins another line of it.

mod assist;

use std::{
    io::{self, Write},
    path::PathBuf,
};

use rustyline::{Config, Editor, error::ReadlineError, history::FileHistory};

use assist::Assistant;
pub use assist::Vocabulary;

/// What the shell gives its words to.
pub trait Commands {
    /// Runs one or more whole statements, and shows what they give. Errors are shown, too.
    fn run(&mut self, statements: &str);
    /// What can be completed now.
    fn vocabulary(&self) -> Vocabulary;
}

const PROMPT: &str = "Hurtig SQL> ";
/// Entries of the history that are kept.
const HISTORY: usize = 10_000;

/// What a line asks the shell itself for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Quit,
    Clear,
    Help,
}

fn own_command(line: &str) -> Option<Own> {
    let word = line.trim().trim_end_matches(';').trim_end();
    let is = |known: &[&str]| known.iter().any(|known| known.eq_ignore_ascii_case(word));
    match () {
        () if is(&["quit", "exit"]) => Some(Own::Quit),
        () if is(&["clear"]) => Some(Own::Clear),
        () if is(&["help"]) => Some(Own::Help),
        () => None,
    }
}

const HELP: &str = "\
Statements end with a semicolon. Beside Flink SQL there are:
  HELP            this text
  CLEAR           clears the screen
  QUIT, EXIT      ends the shell
  SET 'key' = 'value', RESET, SHOW ..., DESCRIBE ..., EXPLAIN ...
  SET 'sql-client.execution.result-mode' = 'table' | 'changelog' | 'tableau'
Ctrl-C ends a query that runs, or drops what is being written. Tab completes.
";

/// Reads statements until the user leaves. The history is kept in that file, if there is one.
pub fn run(commands: &mut dyn Commands, history: Option<PathBuf>) -> io::Result<()> {
    let config = Config::builder().max_history_size(HISTORY).map_err(io::Error::other)?;
    let config = config.auto_add_history(true).build();
    let mut editor: Editor<Assistant, FileHistory> =
        Editor::with_config(config).map_err(io::Error::other)?;
    editor.set_helper(Some(Assistant::default()));
    if let Some(path) = &history {
        if let Some(folder) = path.parent() {
            // Without a history the shell works as well.
            let _ = std::fs::create_dir_all(folder);
        }
        let _ = editor.load_history(path);
    }
    loop {
        if let Some(assistant) = editor.helper_mut() {
            assistant.vocabulary = commands.vocabulary();
        }
        let line = match editor.readline(PROMPT) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(ReadlineError::Io(error)) => return Err(error),
            Err(error) => return Err(io::Error::other(error)),
        };
        match own_command(&line) {
            Some(Own::Quit) => break,
            Some(Own::Clear) => editor.clear_screen().map_err(io::Error::other)?,
            Some(Own::Help) => print!("{HELP}"),
            None if line.trim().is_empty() => {}
            None => commands.run(&line),
        }
        io::stdout().flush()?;
        if let Some(path) = &history {
            let _ = editor.save_history(path);
        }
    }
    Ok(())
}

/// Where the history is kept: `XDG_STATE_HOME`, or the like in the user's home.
#[must_use]
pub fn default_history() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let state = set("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/state")));
    Some(state?.join("hurtig").join("sql-history"))
}
