//! Rules on source files: module docs, size, names that are taken, text that must not be there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::Finding;

/// A file longer than this wants a split.
const MOST_LINES: usize = 800;

/// Public names that may stand in several crates.
const SHARED_NAMES: &[&str] = &["Result", "Error"];

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                rust_files(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

pub fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let mut files = Vec::new();
    rust_files(&root.join("crates"), &mut files)?;
    rust_files(&root.join("xtask"), &mut files)?;
    files.sort();
    let mut findings = Vec::new();
    let mut names: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for path in files {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let place = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        findings.extend(check_text(&place, &text));
        if place.contains("/src/") {
            let owner = place.split('/').nth(1).unwrap_or_default().to_owned();
            for name in public_types(&text) {
                names.entry(name).or_default().push((owner.clone(), place.clone()));
            }
        }
    }
    for (name, places) in names {
        let first = &places[0].0;
        if places.iter().any(|(owner, _)| owner != first) && !SHARED_NAMES.contains(&&*name) {
            let places: Vec<&str> = places.iter().map(|(_, place)| &**place).collect();
            let problem = format!("public type {name} has the same name in {}", places.join(", "));
            findings.push(Finding { place: places[0].to_owned(), problem });
        }
    }
    Ok(findings)
}

fn check_text(place: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut report = |line: usize, problem: &str| {
        let place = format!("{place}:{line}");
        findings.push(Finding { place, problem: problem.to_owned() });
    };
    let first = text.lines().find(|line| !line.starts_with("#!["));
    if place.contains("/src/") && !first.is_some_and(|line| line.starts_with("//!")) {
        report(1, "a module begins with its documentation: what it owns, what it does not do");
    }
    let lines = text.lines().count();
    if lines > MOST_LINES {
        report(lines, "the file is past 800 lines: split it before it becomes the place for all");
    }
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        if line.ends_with(' ') || line.contains('\t') {
            report(number, "trailing space or tab");
        }
        // Put together here so that this file does not find itself.
        for banned in [["#[ign", "ore"], ["todo", "!("], ["thread::sl", "eep("], ["dbg", "!("]] {
            if line.contains(&banned.concat()) {
                report(number, "must not be in the code base");
            }
        }
    }
    findings
}

/// Names of the public types that a file defines at its top level.
fn public_types(text: &str) -> Vec<String> {
    let definitions = text.lines().filter_map(|line| {
        ["pub struct ", "pub enum ", "pub trait "].iter().find_map(|kind| line.strip_prefix(kind))
    });
    definitions
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_find_what_they_are_for() {
        let problems = |text: &str| check_text("crates/x/src/a.rs", text).len();
        assert_eq!(problems("//! Doc.\nfn f() {}\n"), 0);
        assert_eq!(problems("fn f() {}\n"), 1);
        assert_eq!(problems("//! Doc. \n"), 1);
        assert_eq!(problems(&format!("//! Doc.\n{}", "x\n".repeat(900))), 1);
        assert_eq!(public_types("pub struct A<T> {\npub enum B {\n    pub struct C;"), ["A", "B"]);
    }
}
