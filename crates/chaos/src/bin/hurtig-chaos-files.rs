//! The input of the kill test's job, and the comparison of its output, for scripts that run the
//! cluster themselves.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use hurtig_chaos::{input::InputFiles, run::compare};

/// Writes what the job reads, and compares what it has written.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the input files into a directory.
    Write(Files),
    /// Compares every line below a directory of output with what the input gives.
    Compare(Files),
}

#[derive(Args)]
struct Files {
    /// The directory.
    directory: PathBuf,
    /// Lines of each of the two input files.
    #[arg(long)]
    lines: u32,
}

fn main() -> ExitCode {
    let (files, done) = match Arguments::parse().command {
        Command::Write(files) => {
            let input = InputFiles { files: 2, lines: files.lines, keys: 97 };
            let written = std::fs::create_dir_all(&files.directory);
            let written = written.and_then(|()| input.write(&files.directory));
            (files, written.map(|()| None).map_err(|error| error.to_string()))
        }
        Command::Compare(files) => {
            let input = InputFiles { files: 2, lines: files.lines, keys: 97 };
            let compared = compare(&files.directory, input);
            (files, compared.map(Some))
        }
    };
    match done {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(lines)) => {
            println!("{lines} lines, none lost or repeated");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{}: {problem}", files.directory.display());
            ExitCode::FAILURE
        }
    }
}
