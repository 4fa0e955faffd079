//! Every script of the oracle parses, and prints as what parses to the same; those that Flink's
//! parser refuses are refused.

use std::{fs, path::PathBuf};

use hurtig_sql_parser::SqlParser;
use serde_json::Value;

use crate::support::{error, round_trip};

/// Negative cases whose mistake is one of syntax, or a type that there is not. All others are found by
/// whoever knows tables.
const SYNTAX_ERRORS: [&str; 3] =
    ["negative/024-syntax-error", "negative/043-reserved-word-as-column", "negative/603-real"];

/// A script of the oracle.
pub struct Case {
    pub name: String,
    pub script: String,
    pub negative: bool,
}

/// All scripts of the oracle, sorted by name.
pub fn cases() -> Vec<Case> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/cases");
    let mut cases = Vec::new();
    for area in fs::read_dir(&root).unwrap() {
        for case in fs::read_dir(area.unwrap().path()).unwrap() {
            let folder = case.unwrap().path();
            let meta = fs::read_to_string(folder.join("meta.json")).unwrap();
            let meta: Value = serde_json::from_str(&meta).unwrap();
            cases.push(Case {
                name: folder.strip_prefix(&root).unwrap().display().to_string(),
                script: fs::read_to_string(folder.join("query.sql")).unwrap(),
                negative: meta["error_phase"] == "plan",
            });
        }
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() > 200, "only {} cases: is the oracle there?", cases.len());
    cases
}

#[test]
fn every_script_parses_and_prints_as_what_parses_to_the_same() {
    for case in cases() {
        if !SYNTAX_ERRORS.contains(&&*case.name) {
            let printed = round_trip(&case.script);
            assert!(!printed.is_empty(), "{}", case.name);
        }
    }
}

#[test]
fn scripts_with_mistakes_of_syntax_are_refused() {
    for name in SYNTAX_ERRORS {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        assert!(case.negative);
        let shown = error(&case.script);
        assert!(shown.contains("line ") && shown.contains('^'), "{name}: {shown}");
    }
}

#[test]
fn splitting_finds_the_statements_that_parsing_finds() {
    let parser = SqlParser::default();
    for case in cases() {
        let parts = parser.split(&case.script).unwrap();
        assert!(parts.iter().rev().skip(1).all(|part| part.terminated), "{}", case.name);
        for part in parts {
            let text = part.span.text(&case.script);
            assert!(!text.starts_with(char::is_whitespace) && !text.ends_with(';'), "{text}");
            let (alone, within) = (parser.statement(text), parser.part(&case.script, part));
            assert_eq!(alone.is_ok(), within.is_ok(), "{text}");
            if let (Ok(alone), Ok(within)) = (alone, within) {
                assert_eq!(alone, within);
                assert_eq!(within.span.text(&case.script), text);
            }
        }
    }
}
