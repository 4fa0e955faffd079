//! The job of the kill test as a program of its own, as a user would write it.

use std::{error::Error, path::PathBuf};

use clap::Parser;
use hurtig::prelude::*;

/// Sums and counts of keys by second, exactly once.
#[derive(Parser)]
struct Arguments {
    /// Directory of the files to read.
    #[arg(long)]
    input: PathBuf,
    /// Directory of the files to write.
    #[arg(long)]
    output: PathBuf,
    /// Lines per second and file.
    #[arg(long, default_value_t = 1_000_000)]
    rate: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let env = StreamExecutionEnvironment::new();
    hurtig_chaos::job::build(&env, &arguments.input, &arguments.output, arguments.rate);
    env.execute("kill test")?;
    Ok(())
}
