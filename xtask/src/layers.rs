//! Dependencies go downwards, and each heavy dependency has one owner.
//!
//! The layers are those of ARCHITECTURE.md. A crate may depend on crates of lower layers, and on
//! those of its own layer that the table allows. Crates beside the layers may depend on all, but
//! nothing in the layers on them. Development dependencies are free.

use std::{path::Path, process::Command};

use serde_json::Value;

use crate::Finding;

/// Crates beside the layers: tests, benchmarks, tools.
const BESIDE: u8 = 100;

/// Each crate's layer.
const LAYERS: &[(&str, u8)] = &[
    ("hurtig-types", 0),
    ("hurtig-metrics", 0),
    ("hurtig-config", 0),
    ("hurtig-env", 1),
    ("hurtig-state-api", 1),
    ("hurtig-operator-api", 1),
    ("hurtig-connector-api", 1),
    // Plain data of the graphs is part of the contract between roles, so it stands below it.
    ("hurtig-graph", 1),
    ("hurtig-cluster-api", 1),
    ("hurtig-scheduler", 2),
    ("hurtig-checkpoint", 2),
    ("hurtig-network", 3),
    ("hurtig-rpc", 3),
    ("hurtig-tls", 3),
    ("hurtig-filesystem", 3),
    ("hurtig-process-host", 3),
    ("hurtig-blob", 3),
    ("hurtig-storage", 3),
    ("hurtig-state-heap", 3),
    ("hurtig-high-availability", 3),
    ("hurtig-metrics-reporters", 3),
    ("hurtig-task", 4),
    ("hurtig-operators", 4),
    ("hurtig-dispatcher", 5),
    ("hurtig-resource-manager", 5),
    ("hurtig-job-master", 5),
    ("hurtig-task-executor", 5),
    ("hurtig-job-host", 6),
    ("hurtig-minicluster", 6),
    ("hurtig-nexmark", 6),
    ("hurtig-connectors", 6),
    ("hurtig-state-processor", 6),
    ("hurtig-sql-parser", 6),
    ("hurtig-sql-common", 6),
    ("hurtig-sql-functions", 6),
    ("hurtig-sql-formats", 6),
    ("hurtig-sql-runtime", 6),
    ("hurtig-sql-planner", 6),
    ("hurtig-sql", 6),
    ("hurtig", 6),
    ("hurtig-cluster", 7),
    ("hurtig-rest", 7),
    ("hurtig-sql-client", 7),
    ("hurtig-cli", 7),
    ("hurtig-test-util", BESIDE),
    ("hurtig-bench", BESIDE),
    ("hurtig-chaos", BESIDE),
    ("hurtig-itcase", BESIDE),
    ("hurtig-sim", BESIDE),
    ("hurtig-fuzz-targets", BESIDE),
    ("xtask", BESIDE),
];

/// Dependencies within a layer, with the reason.
const WITHIN_A_LAYER: &[(&str, &str, &str)] = &[
    ("hurtig-config", "hurtig-types", "values that are words of the vocabulary: CheckpointingMode"),
    ("hurtig-operator-api", "hurtig-env", "operators get their clock and signal from it"),
    ("hurtig-connector-api", "hurtig-env", "readers get their clock and signal from it"),
    ("hurtig-cluster-api", "hurtig-graph", "a job is submitted as a JobGraph"),
    ("hurtig-storage", "hurtig-filesystem", "the owner of the object stores"),
    ("hurtig-high-availability", "hurtig-filesystem", "the owner of the object stores"),
    ("hurtig-blob", "hurtig-filesystem", "the owner of the object stores"),
    ("hurtig-network", "hurtig-tls", "the owner of TLS"),
    ("hurtig-rpc", "hurtig-tls", "the owner of TLS"),
    ("hurtig-connectors", "hurtig-nexmark", "the Nexmark source"),
    ("hurtig-state-processor", "hurtig-connectors", "a queue of splits"),
    ("hurtig-cluster", "hurtig-job-host", "what hosts are told"),
    ("hurtig-cli", "hurtig-cluster", "the processes are commands"),
    ("hurtig-cluster", "hurtig-rest", "the JobManager answers REST"),
    ("hurtig", "hurtig-job-host", "a job that is submitted runs in hosts of its own"),
    ("hurtig", "hurtig-minicluster", "a job that runs alone brings its cluster"),
    ("hurtig", "hurtig-connectors", "the facade offers the built-in connectors"),
    ("hurtig-cli", "hurtig-rest", "commands for a cluster are REST requests"),
    ("hurtig-sql-common", "hurtig-sql-parser", "data types are the parser's"),
    ("hurtig-sql-functions", "hurtig-sql-parser", "data types"),
    ("hurtig-sql-functions", "hurtig-sql-common", "columns, contexts, errors"),
    ("hurtig-sql-formats", "hurtig-sql-parser", "data types"),
    ("hurtig-sql-formats", "hurtig-sql-common", "what is decoded is a changelog batch"),
    ("hurtig-sql-formats", "hurtig-sql-functions", "texts of values are casts"),
    ("hurtig-sql-runtime", "hurtig-sql-common", "operators take changelog batches"),
    ("hurtig-sql-runtime", "hurtig-sql-functions", "aggregates"),
    ("hurtig-sql-planner", "hurtig-sql-parser", "statements"),
    ("hurtig-sql-planner", "hurtig-sql-common", "columns"),
    ("hurtig-sql-planner", "hurtig-sql-functions", "functions are resolved while planning"),
    ("hurtig-sql-planner", "hurtig-sql-runtime", "a plan ends in operators"),
    ("hurtig-sql", "hurtig", "tables are made of streams"),
    ("hurtig-sql", "hurtig-connectors", "files, generators, Nexmark"),
    ("hurtig-sql", "hurtig-nexmark", "its events as columns"),
    ("hurtig-sql", "hurtig-sql-common", "rows"),
    ("hurtig-sql", "hurtig-sql-formats", "what tables are stored as"),
    ("hurtig-sql", "hurtig-sql-functions", "users' functions are registered"),
    ("hurtig-sql", "hurtig-sql-parser", "statements"),
    ("hurtig-sql", "hurtig-sql-planner", "plans"),
    ("hurtig-sql", "hurtig-sql-runtime", "operators"),
    ("hurtig-cli", "hurtig-sql-client", "hurtig sql"),
];

/// Heavy dependencies and the one crate that may have them.
const OWNERS: &[(&str, &str)] = &[
    ("datafusion-common", "hurtig-sql-planner"),
    ("datafusion-expr", "hurtig-sql-planner"),
    ("datafusion-optimizer", "hurtig-sql-planner"),
    ("datafusion-physical-expr", "hurtig-sql-planner"),
    ("sqlparser", "hurtig-sql-parser"),
    ("rocksdb", "hurtig-state-rocksdb"),
    ("rdkafka", "hurtig-connector-kafka"),
    ("tonic", "hurtig-rpc"),
    ("rustls", "hurtig-tls"),
    ("tokio-rustls", "hurtig-tls"),
    ("axum", "hurtig-rest"),
    ("kube", "hurtig-deploy-kubernetes"),
    ("object_store", "hurtig-filesystem"),
    ("zookeeper-client", "hurtig-high-availability"),
];

/// Crates that decide without running anything: no executor may come near them.
const PURE: &[&str] = &[
    "hurtig-sql-parser",
    "hurtig-config",
    "hurtig-graph",
    "hurtig-scheduler",
    "hurtig-checkpoint",
    "hurtig-types",
    "hurtig-state-api",
];

fn layer_of(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

pub fn check(root: &Path) -> Result<Vec<Finding>, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root)
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        for dependency in dependencies.filter(|dependency| dependency["kind"].is_null()) {
            let on = dependency["name"].as_str().unwrap_or_default();
            findings.extend(
                check_edge(name, on)
                    .map(|problem| Finding { place: format!("{name} -> {on}"), problem }),
            );
        }
        if layer_of(name).is_none() {
            let problem = "has no layer: add it to the table in xtask/src/layers.rs".to_owned();
            findings.push(Finding { place: name.to_owned(), problem });
        }
    }
    Ok(findings)
}

fn check_edge(name: &str, on: &str) -> Option<String> {
    if let Some((_, owner)) = OWNERS.iter().find(|(heavy, _)| *heavy == on)
        && *owner != name
    {
        return Some(format!("only {owner} may depend on it: it is slow to compile"));
    }
    if PURE.contains(&name) && (on == "tokio" || on == "futures") {
        return Some("a pure crate must not know an executor".to_owned());
    }
    let (from, to) = (layer_of(name)?, layer_of(on)?);
    let allowed = WITHIN_A_LAYER.iter().any(|(a, b, _)| *a == name && *b == on);
    if to < from || allowed || (from == BESIDE) {
        return None;
    }
    Some(format!("goes from layer {from} to layer {to}: dependencies go downwards"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_go_down_and_heavy_ones_have_one_owner() {
        assert_eq!(check_edge("hurtig-task", "hurtig-network"), None);
        assert!(check_edge("hurtig-network", "hurtig-task").is_some());
        assert!(check_edge("hurtig-dispatcher", "hurtig-job-master").is_some(), "roles");
        assert!(check_edge("hurtig", "hurtig-bench").is_some(), "beside the layers");
        assert_eq!(check_edge("hurtig-bench", "hurtig"), None);
        assert!(check_edge("hurtig", "datafusion-expr").is_some());
        assert!(check_edge("hurtig-scheduler", "tokio").is_some());
    }
}
