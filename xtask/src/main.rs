//! House rules that check themselves: `cargo xtask tidy`.

mod layers;
mod source_files;

use std::{env, path::PathBuf, process::ExitCode};

/// A broken rule, at a place.
struct Finding {
    place: String,
    problem: String,
}

fn main() -> ExitCode {
    let task = env::args().nth(1).unwrap_or_default();
    if task != "tidy" {
        eprintln!("usage: cargo xtask tidy");
        return ExitCode::from(2);
    }
    // As it is when it runs: a target directory may serve several copies of the tree.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR");
    let root = manifest.map_or_else(|| PathBuf::from("xtask"), PathBuf::from).join("..");
    let checks = layers::check(&root).and_then(|mut findings| {
        findings.extend(source_files::check(&root)?);
        Ok(findings)
    });
    match checks {
        Err(error) => {
            eprintln!("tidy cannot run: {error}");
            ExitCode::from(2)
        }
        Ok(findings) if findings.is_empty() => {
            println!("tidy: no findings");
            ExitCode::SUCCESS
        }
        Ok(findings) => {
            for finding in &findings {
                println!("{}: {}", finding.place, finding.problem);
            }
            println!("tidy: {} findings", findings.len());
            ExitCode::FAILURE
        }
    }
}
