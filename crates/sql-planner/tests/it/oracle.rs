//! Every case of the oracle is planned: names and types are Flink's, and what Flink refuses is
//! refused.

use std::{fs, path::PathBuf};

use hurtig_sql_parser::SqlParser;
use serde_json::Value;

use crate::support::{Planner, columns};

/// Mistakes that others find: the parser, connectors and formats, and the streaming planner.
const OTHERS_FIND: [&str; 15] = [
    "negative/008-order-by-non-time",
    "negative/009-unknown-with-option",
    "negative/011-unknown-format",
    "negative/029-update-into-append-sink",
    "negative/510-missing-connector",
    "negative/511-unknown-metadata-key",
    "negative/512-metadata-of-another-type",
    "negative/517-duplicate-changes-without-key",
    "negative/600-over-on-updating",
    "over/509-lead",
    "negative/604-first-value-over-hop",
    "negative/607-metadata-of-a-format",
    "negative/608-window-after-join",
    "negative/609-window-after-in",
    "negative/610-sort-after-join",
];

struct Case {
    name: String,
    script: String,
    meta: Value,
}

fn cases() -> Vec<Case> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/cases");
    let mut cases = Vec::new();
    for area in fs::read_dir(&root).unwrap() {
        for case in fs::read_dir(area.unwrap().path()).unwrap() {
            let folder = case.unwrap().path();
            let meta = fs::read_to_string(folder.join("meta.json")).unwrap();
            cases.push(Case {
                name: folder.strip_prefix(&root).unwrap().display().to_string(),
                script: fs::read_to_string(folder.join("query.sql")).unwrap(),
                meta: serde_json::from_str(&meta).unwrap(),
            });
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() > 200, "only {} cases: is the oracle there?", cases.len());
    cases
}

/// Why a positive case is not planned as it is in Flink.
fn difference(case: &Case) -> Option<String> {
    let query = match Planner::new().script(&case.script) {
        Err(error) => return Some(format!("{error} {:?}", error.hint)),
        Ok(None) => return Some("no query".to_owned()),
        Ok(Some(query)) => query,
    };
    let wanted = case.meta["schema"].as_array()?;
    let found = columns(&query);
    if found.len() != wanted.len() {
        return Some(format!("{} columns, not {}", found.len(), wanted.len()));
    }
    for ((name, data_type), wanted) in found.iter().zip(wanted) {
        let (wanted_name, wanted_type) = (wanted[0].as_str()?, wanted[1].as_str()?);
        let wanted_type = SqlParser::default().data_type(wanted_type).unwrap();
        if name != wanted_name || data_type.to_string() != wanted_type.to_string() {
            return Some(format!("{name} {data_type}, not {wanted_name} {wanted_type}"));
        }
    }
    None
}

#[test]
fn every_case_has_flinks_columns() {
    let mut differences = Vec::new();
    for case in cases() {
        let positive = case.meta["error_phase"] != "plan" && !case.name.starts_with("match/");
        if !positive || case.meta["schema"].is_null() {
            continue;
        }
        if let Some(why) = difference(&case) {
            differences.push(format!("{}: {why}", case.name));
        }
    }
    assert!(differences.is_empty(), "{} differ:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn what_flink_refuses_is_refused() {
    let mut accepted = Vec::new();
    for case in cases() {
        if case.meta["error_phase"] != "plan" || OTHERS_FIND.contains(&&*case.name) {
            continue;
        }
        match Planner::new().script(&case.script) {
            Ok(_) => accepted.push(case.name),
            Err(error) => assert!(!error.message.starts_with("internal"), "{}: {error}", case.name),
        }
    }
    assert!(accepted.is_empty(), "accepted: {accepted:?}");
}
