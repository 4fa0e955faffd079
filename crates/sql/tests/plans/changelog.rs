//! The kinds of change of every case of the oracle are those of Flink's plan.

use std::{fs, path::Path};

use hurtig_sql_parser::SqlParser;
use serde_json::Value;

use crate::run;

/// Cases whose plan has other kinds of change, with the reason.
const DIFFERENT: [(&str, &str); 3] =
    [("setops/003-intersect", SETS), ("setops/005-except", SETS), ("setops/006-except-all", SETS)];
/// The operator of sets counts rows; Flink's planner makes an aggregate of it, which updates counts.
const SETS: &str = "a row comes or goes, but never changes";

/// The kinds of change of a script's last query, as EXPLAIN prints them.
fn mode_of(script: &str) -> Result<String, String> {
    let parts = SqlParser::default().split(script).map_err(|error| error.to_string())?;
    let last = parts.last().ok_or("no statement")?.span;
    let (before, query) = script.split_at(last.start as usize);
    let explained = format!("{before}EXPLAIN CHANGELOG_MODE {query}");
    let text = run(&explained).map_err(|error| error.render(&explained))?;
    let text = text.ok_or("the last statement is no query")?;
    let plan = text.split("== Optimized Physical Plan ==\n").nth(1).ok_or("no plan")?;
    let root = plan.lines().next().unwrap_or_default();
    let mode = root.rsplit("changelogMode=[").next().unwrap_or_default();
    Ok(mode.trim_end_matches("])").to_owned())
}

#[test]
fn changes_of_every_case_are_flinks() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle");
    let data = root.join("data").canonicalize().unwrap();
    let mut differences = Vec::new();
    let mut compared = 0;
    for area in fs::read_dir(root.join("cases")).unwrap() {
        for case in fs::read_dir(area.unwrap().path()).unwrap() {
            let folder = case.unwrap().path();
            let name = folder.strip_prefix(root.join("cases")).unwrap().display().to_string();
            let meta = fs::read_to_string(folder.join("meta.json")).unwrap();
            let meta: Value = serde_json::from_str(&meta).unwrap();
            let Some(wanted) = meta["changelog_mode"].as_str() else { continue };
            if meta["expect_error"] == true || name.starts_with("match/") {
                continue;
            }
            let script = fs::read_to_string(folder.join("query.sql")).unwrap();
            let script = script.replace("${DATA}", &data.display().to_string());
            let script = script.replace("${OUT}", "/nonexistent");
            let found = mode_of(&script);
            let known = DIFFERENT.iter().any(|(known, _)| *known == name);
            compared += 1;
            match (found.as_deref() == Ok(wanted), known) {
                (true, false) | (false, true) => {}
                (true, true) => differences.push(format!("{name}: equal, take it off the list")),
                (false, false) => differences.push(format!("{name}: {found:?}, not {wanted}")),
            }
        }
    }
    assert!(compared > 150, "only {compared} cases: is the oracle there?");
    differences.sort();
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}
